//! From what a pass knows to the report that the controller gets.

use std::collections::BTreeMap;

use archetype_model::observed::{NodeObserved, Observed, RunObserved};
use archetype_model::report::{ExecReport, ExecState, Finding, NodeReport, Report};
use archetype_model::spec::{FORMAT, HostSpec, NodeBody, NodeSpec};
use archetype_model::stages::When;
use archetype_model::step::Resource;
use archetype_model::topology::value::{ExecPhase, Stage};
use archetype_model::{ContainerName, LabName};
use archetype_plan::resources::Wanted;
use archetype_plan::{judge, stages};

use crate::ledger::Done;
use crate::memory::Memory;
use crate::probes::Wires;
use crate::seen::is_at_rest;

/// What a report is made from.
pub(crate) struct Seen<'a> {
    pub(crate) spec: &'a HostSpec,
    pub(crate) wanted: &'a Wanted,
    pub(crate) observed: &'a Observed,
    pub(crate) wires: Wires,
    pub(crate) findings: Vec<Finding>,
    pub(crate) leaving: BTreeMap<LabName, Vec<String>>,
    pub(crate) memory: &'a Memory,
    pub(crate) done: &'a Done,
    /// What nodes wait for.
    pub(crate) waits: BTreeMap<ContainerName, stages::Waits>,
    pub(crate) converged: bool,
}

/// The report of a pass.
pub(crate) fn report(seen: Seen<'_>) -> Report {
    let nodes: BTreeMap<_, _> =
        seen.spec.nodes().map(|(_, node)| (node.container.clone(), node_report(&seen, node))).collect();
    let eth0 = |node: &NodeSpec| judge::management_end(seen.spec, node, seen.observed);
    let management = seen.spec.nodes().filter_map(|(_, node)| Some((node.container.clone(), eth0(node)?))).collect();
    let failed = seen.memory.failed.values().map(|failed| failed.finding.clone());
    let too_slow = nodes.iter().flat_map(|(container, node)| too_slow(container, node));
    let found = seen.findings.iter().cloned().chain(failed).chain(too_slow);
    let mut findings: Vec<Finding> = found.map(|finding| with_lab(seen.spec, finding)).collect();
    findings.sort();
    findings.dedup();
    let datapath = seen.observed.datapath.known().and_then(|datapath| datapath.bridge.as_ref());
    Report {
        format: FORMAT,
        installation: seen.spec.installation.clone(),
        host: seen.spec.host.clone(),
        generation: seen.spec.generation.clone(),
        converged: seen.converged,
        datapath: datapath.map(|bridge| bridge.datapath),
        unreadable: seen.observed.unreadable(),
        nodes,
        wires: seen.wires,
        management,
        leaving: seen.leaving,
        findings,
    }
}

fn node_report(seen: &Seen<'_>, node: &NodeSpec) -> NodeReport {
    let room = match node.body {
        NodeBody::Namespace(_) => &seen.observed.processes,
        NodeBody::Container(_) => &seen.observed.containers,
    };
    let found: Option<&NodeObserved> = room.known().and_then(|nodes| nodes.get(&node.container));
    let run = match (room.known(), found) {
        (None, _) => None,
        (Some(_), None) => Some(RunObserved::Absent),
        (Some(_), Some(found)) => Some(found.run.clone()),
    };
    let space = seen.observed.namespaces.known().and_then(|spaces| spaces.get(&node.container));
    let restarts = seen.done.restarts.get(&node.container).copied().unwrap_or(node.restarts);
    let asked = restarts < node.restarts;
    let waits = seen.waits.get(&node.container);
    let body = seen.wanted.body(&node.container);
    // A node of which an image could not be had runs, and a finding tells why it is not another one: each further try would
    // only have its state come and go.
    let has_failed = seen.memory.failed.contains_key(&Resource::Node(node.container.clone()));
    let goes = |found: &NodeObserved| found.at_work().is_some() || found.busy.is_some() && !has_failed;
    NodeReport {
        execs: execs(seen.done, node, run.as_ref()),
        run,
        id: found.map(|found| found.id.clone()),
        busy: found.and_then(|found| found.busy.clone()),
        outdated: found.is_some_and(|found| goes(found) && body != Some(&found.made_from)),
        restarts,
        waits: waits.map(|waits| waits.words.clone()),
        waits_for: waits.map(|waits| waits.nodes.clone()).unwrap_or_default(),
        ended: seen.memory.ends_of(&node.container),
        ended_by_hand_ms: found.and_then(|found| found.ended_by_hand_ms),
        started_unseen_ms: seen.memory.unseen_starts.get(&node.container).copied(),
        at_rest: found.is_some_and(|found| is_at_rest(node, found)) && !asked,
        namespace: space.map(|space| space.identity),
        privileges: found.and_then(|found| found.privileges.clone()),
        image: found.and_then(|found| found.image.clone()),
        stand_in: found.is_some_and(|found| found.stand_in),
    }
}

/// Commands on the host that were killed, for they took too long.
fn too_slow(container: &ContainerName, node: &NodeReport) -> Vec<Finding> {
    let told = |exec: &ExecReport| {
        let ExecState::OutOfTime { seconds, .. } = exec.state else { return None };
        Some(Finding {
            code: "host-command-too-slow".into(),
            lab: None,
            resource: Some(Resource::Node(container.clone())),
            message: format!("`{}` took longer on the host than {seconds} s and was killed", exec.command.join(" ")),
            hint: "mend the command, or give it more time with --host-command-limit; it runs again at the node's next \
                   start"
                .into(),
        })
    };
    node.execs.iter().filter_map(told).collect()
}

fn execs(done: &Done, node: &NodeSpec, run: Option<&RunObserved>) -> Vec<ExecReport> {
    let states = match (run, done.exec_states(node)) {
        // What ran before a start belongs to it.
        (Some(run), Some((of, states))) if run.start() == Some(of) || stages::is_before(of) => states,
        _ => Vec::new(),
    };
    let state = |index: usize| states.get(index).cloned().unwrap_or(ExecState::Waiting);
    let stage = |when: When| (when != When::Listed).then_some(when);
    let runs = matches!(run, Some(RunObserved::Running { .. }));
    // What came before an earlier start does not come again.
    let is_past = |when: When, index: usize| {
        let unbegun = matches!(state(index), ExecState::Waiting | ExecState::NextStart);
        runs && when == When::Stage(Stage::Create, ExecPhase::OnEnter) && unbegun
    };
    let commands = node.commands().into_iter().enumerate();
    commands
        .filter(|(index, command)| !is_past(command.when, *index))
        .map(|(index, command)| ExecReport {
            stage: stage(command.when),
            command: command.words.to_vec(),
            state: state(index),
        })
        .collect()
}

/// A finding about a node's thing belongs to the node's lab.
fn with_lab(spec: &HostSpec, finding: Finding) -> Finding {
    if finding.lab.is_some() {
        return finding;
    }
    let node_of = |resource: &Resource| {
        spec.nodes().find(|(_, node)| match resource {
            Resource::Node(name) | Resource::Namespace(name) => &node.container == name,
            Resource::Device(device) | Resource::Port(device) => {
                node.interfaces.iter().any(|interface| &interface.host_device == device)
            }
            _ => false,
        })
    };
    let lab = finding.resource.as_ref().and_then(node_of).map(|(lab, _)| lab.name.clone());
    Finding { lab, ..finding }
}
