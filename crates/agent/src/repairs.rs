//! Repairs: steps whose cause was drift, written down before they are mended, and closed and numbered
//! when the resource is right again, so that each reaches the journal exactly once: whoever has noted a number
//! has noted all before it.

use std::collections::BTreeSet;

use archetype_model::report::{Repair, RepairOutcome};
use archetype_model::spec::{Attachment, HostSpec, InterfaceSpec, NodeSpec};
use archetype_model::step::{NodeAction, Resource, Step};
use archetype_model::{ContainerName, LabName};

use crate::ledger::Ledger;

/// Opens a repair for each settled resource that has a step now, and adds the steps to it. Answers which it opened, each
/// with what was found.
pub(crate) fn open(
    ledger: &mut Ledger,
    spec: &HostSpec,
    steps: &[&Step],
    is_settled: impl Fn(&Resource) -> bool,
    now_ms: u64,
) -> Vec<(Resource, String)> {
    let mut opened = Vec::new();
    ledger.note(|done| {
        for step in steps {
            // What was asked for is no drift, however often it is tried.
            let asked = |action: &NodeAction| {
                matches!(action, NodeAction::Exec { .. } | NodeAction::GiveUp | NodeAction::Restart)
            };
            if matches!(step, Step::Node { action, .. } if asked(action)) {
                continue;
            }
            let resource = step.resource();
            if let Some(repair) = done.open.iter_mut().find(|repair| repair.resource == resource) {
                let words = step.to_string();
                if repair.done.last() != Some(&words) {
                    repair.done.push(words);
                }
                // A device that goes is shut first, and may have been seen so.
                if matches!(step, Step::MakePair { .. }) {
                    repair.found = found(spec, step);
                }
            } else if is_settled(&resource) {
                let found = found(spec, step);
                opened.push((resource.clone(), found.clone()));
                done.open.push(Repair {
                    number: 0,
                    lab: lab_of(spec, &resource),
                    found,
                    done: vec![step.to_string()],
                    resource,
                    at_ms: now_ms,
                    outcome: RepairOutcome::FoundMended,
                });
            }
        }
    });
    opened
}

/// Closes the repairs of resources that are right again. One whose steps this agent did not take
/// was mended by a former one, or by somebody else.
pub(crate) fn close(ledger: &mut Ledger, right: &BTreeSet<Resource>, opened_here: &mut BTreeSet<Resource>) {
    if ledger.done().open.is_empty() {
        return;
    }
    ledger.note(|done| {
        let (closed, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut done.open).into_iter().partition(|repair| right.contains(&repair.resource));
        done.open = open;
        for repair in closed {
            done.last_repair += 1;
            let outcome =
                if opened_here.remove(&repair.resource) { RepairOutcome::Mended } else { RepairOutcome::FoundMended };
            done.closed.push(Repair { number: done.last_repair, outcome, ..repair });
        }
    });
}

/// What was found, in words, from the step that mends it.
fn found(spec: &HostSpec, step: &Step) -> String {
    let command = |container: &ContainerName, word: &str| match spec.node(container) {
        Some((lab, node)) => format!("archetype node {} {} {word}", lab.name, node.name),
        None => format!("archetype node LAB NODE {word}"),
    };
    match step {
        Step::SetNetwork { network } => format!("management network {network} is not as wanted"),
        Step::OpenPassage { bridge } => format!("the packet filter's rules for bridge {bridge} are not as wanted"),
        Step::MakeNamespace { container } => format!("the namespace of {container} is gone"),
        Step::NameNamespace { container } => format!("/run/netns/{container} is gone"),
        Step::MakePair { device, .. } => format!("device {device} is gone"),
        Step::SetDevice { device, .. } => format!("device {device} is not as wanted"),
        Step::SetBridge { .. } => "the bridge is not as wanted".into(),
        Step::AddPort { device, .. } => format!("port {device} is gone"),
        Step::SetPort { device, .. } => format!("port {device} is not as wanted"),
        Step::RemovePort { device, .. } => format!("port {device} holds another device"),
        Step::Node { container, action: NodeAction::Create } => {
            format!("{container} is gone (to have it stopped: {})", command(container, "stop"))
        }
        Step::Node { container, action: NodeAction::Start } => {
            format!("{container} does not run (to have it stopped: {})", command(container, "stop"))
        }
        Step::Node { container, action: NodeAction::Stop } => {
            format!("{container} runs (to have it run: {})", command(container, "start"))
        }
        Step::Node { container, action: NodeAction::Remove } => {
            format!("what {container} was made from, or shares, is not what is there")
        }
        other => format!("found drift: {other}"),
    }
}

/// The lab that a resource is of; none where it is of several, or of the host alone.
fn lab_of(spec: &HostSpec, resource: &Resource) -> Option<LabName> {
    let is_of = |interface: &InterfaceSpec| match (resource, &interface.attachment) {
        (Resource::Device(device) | Resource::Port(device), _) => &interface.host_device == device,
        (Resource::Network(name), Attachment::Network { network, .. }) => name == network,
        (Resource::Passage(name), Attachment::ForeignBridge { bridge }) => name == bridge,
        _ => false,
    };
    let uses = |node: &NodeSpec| match resource {
        Resource::Namespace(name) | Resource::Node(name) => &node.container == name,
        _ => node.interfaces.iter().any(is_of),
    };
    let mut labs = spec.present().filter(|lab| lab.nodes.iter().any(uses));
    let lab = labs.next()?;
    labs.next().is_none().then(|| lab.name.clone())
}
