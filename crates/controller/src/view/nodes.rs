//! Nodes in the words of the API.

use archetype_api::checked::runtime_word;
use archetype_api::lab::{Exec, Management, Node};
use archetype_model::LabName;
use archetype_model::observed::RunObserved;
use archetype_model::report::{ExecReport, ExecState, NodeReport};
use archetype_model::spec::{Attachment, NodeSpec, Protocol, PublishedPort};
use archetype_model::status::{NodeState, Status};
use archetype_model::topology::{NodeDecl, Topology};
use archetype_plan::judge;

use crate::now::Now;

/// A node: as declared, planned and told.
pub(crate) fn node(
    now: &Now,
    lab: &LabName,
    topology: &Topology,
    declared: &NodeDecl,
    status: &Status<NodeState>,
) -> Option<Node> {
    let part = now.part(lab);
    let spec = part.and_then(|part| part.node(&declared.name));
    let report = spec.and_then(|spec| now.heard.as_ref()?.report.nodes.get(&spec.container));
    let runs = declared.runtime().runs();
    let made_from = report.and_then(|report| report.image.clone());
    Some(Node {
        name: declared.name.clone(),
        kind: declared.kind.clone(),
        runtime: runtime_word(declared.runtime()).to_string(),
        host: part.filter(|_| spec.is_some() || !runs).map(|_| now.host.clone()),
        state: status.state,
        reason: status.reason.clone(),
        // What a bridge inherits, it has no use for.
        image: made_from.or_else(|| declared.definition.image.clone()).filter(|_| runs),
        management: spec.and_then(management),
        container: topology.container_name(&declared.name).ok().filter(|_| runs),
        container_id: report.and_then(|report| report.id.clone()),
        privileges: report.and_then(|report| report.privileges.clone()),
        stand_in: report.is_some_and(|report| report.stand_in),
        health: report.and_then(health),
        ready: runs.then(|| report.is_some_and(|report| is_ready(report, status.state))),
        ended_times: report.and_then(|report| report.ended.as_ref()).map_or(0, |(times, _)| *times),
        ended_how: report.and_then(|report| report.ended.as_ref()).map(|(_, exit)| exit.to_string()),
        execs: report.map(|report| report.execs.iter().map(exec).collect()).unwrap_or_default(),
        ports: spec.map(|spec| spec.ports().iter().map(port).collect()).unwrap_or_default(),
    })
}

fn management(node: &NodeSpec) -> Option<Management> {
    let (interface, network) = node.management()?;
    let Attachment::Network { ipv4, ipv6, .. } = &interface.attachment else { return None };
    Some(Management {
        network: network.clone(),
        ipv4: ipv4.map(|address| address.to_string()),
        ipv6: ipv6.map(|address| address.to_string()),
        mac: interface.mac,
    })
}

fn health(report: &NodeReport) -> Option<String> {
    match &report.run {
        Some(RunObserved::Running { health, .. }) => health.clone(),
        _ => None,
    }
}

/// Whether others can use the node.
fn is_ready(report: &NodeReport, state: NodeState) -> bool {
    let healthy = health(report).is_none_or(|health| health == "healthy");
    state == NodeState::Running && healthy && judge::execs_are_over(report)
}

fn exec(report: &ExecReport) -> Exec {
    let (state, code, output) = match &report.state {
        ExecState::Waiting => ("waiting", None, None),
        ExecState::Running { .. } => ("running", None, None),
        ExecState::Ended { code, output } => ("ended", Some(*code), Some(output.clone())),
        ExecState::OutOfTime { output, .. } => ("out-of-time", None, Some(output.clone())),
        ExecState::GivenUp { output } => ("given-up", None, Some(output.clone())),
        ExecState::Unknown => ("unknown", None, None),
        ExecState::NextStart => ("next-start", None, None),
    };
    let stage = report.stage.map(|when| when.to_string());
    Exec { command: report.command.clone(), stage, state: state.to_string(), code, output }
}

fn port(port: &PublishedPort) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    let address = match port.address {
        None => "0.0.0.0".to_string(),
        Some(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        Some(address) => address.to_string(),
    };
    format!("{address}:{}->{}/{protocol}", port.host_port, port.node_port)
}
