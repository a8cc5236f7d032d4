//! Nodes that share the network or the processes of another container of their lab, which the
//! engine grants only while that one runs: they wait for it, and are made after it. Pure.

use std::collections::BTreeSet;

use archetype_model::ContainerName;
use archetype_model::observed::{NodeObserved, Observed, RunObserved};
use archetype_model::spec::{DesiredRun, HostSpec, LabSpec, NodeBody, NodeSpec};

use crate::stages::{Order, Waits};

/// Holds the start of every node whose other does not run, and says what it waits for.
pub fn hold(spec: &HostSpec, observed: &Observed, order: &mut Order) {
    for lab in spec.present() {
        for node in lab.nodes.iter().filter(|node| node.desired == DesiredRun::Running && !runs(observed, node)) {
            let Some((other, what)) = shared(lab, node).find(|(other, _)| !runs(observed, other)) else { continue };
            order.held.insert(node.container.clone());
            let words = format!("waits for {}, whose {what} it shares", other.name);
            let waits = order.waits.entry(node.container.clone());
            waits.or_insert(Waits { words, nodes: BTreeSet::new() }).nodes.insert(other.name.clone());
        }
    }
}

/// Nodes that share something of a node which is made or made anew, as it is wanted (`is_settled` does not hold of it), and
/// is not as they found it: what they come and go by with it is no drift of theirs.
pub fn followers<'a>(
    spec: &'a HostSpec,
    observed: &'a Observed,
    is_settled: impl Fn(&NodeSpec) -> bool,
) -> impl Iterator<Item = &'a ContainerName> {
    let follows = move |lab: &LabSpec, node: &NodeSpec| {
        let is_as_found = |other: &NodeSpec| runs(observed, other) && is_made(lab, observed, node);
        shared(lab, node).any(|(other, _)| !is_settled(other) && !is_as_found(other))
    };
    spec.nodes().filter(move |(lab, node)| follows(lab, node)).map(|(_, node)| &node.container)
}

/// Whether everything that the node shares is made, and is what the node was made to share. One that was made before
/// can never be started again: the engine looks for the container that there was.
pub(crate) fn is_made(lab: &LabSpec, observed: &Observed, node: &NodeSpec) -> bool {
    let own = seen(observed, node).map(|seen| &seen.shares_with).filter(|ids| !ids.is_empty());
    shared(lab, node).all(|(other, _)| {
        let made = seen(observed, other).filter(|seen| seen.run != RunObserved::Absent);
        made.is_some_and(|made| own.is_none_or(|ids| ids.contains(&made.id) || ids.contains(other.container.as_str())))
    })
}

/// The nodes of which it shares something, and what.
pub(crate) fn shared<'a>(lab: &'a LabSpec, node: &'a NodeSpec) -> impl Iterator<Item = (&'a NodeSpec, &'static str)> {
    let network = node.network_of().map(|other| (other.as_str(), "network"));
    let named = network.into_iter().chain(node.processes_of().map(|other| (other, "processes")));
    named.filter_map(|(named, what)| {
        let other = lab.nodes.iter().find(|other| other.container.as_str() == named)?;
        matches!(other.body, NodeBody::Container(_)).then_some((other, what))
    })
}

/// Whether a node shares something of one that is stopped by wish, or that waits for such a one: it cannot start before that
/// one does.
pub fn shares_what_is_stopped(lab: &LabSpec, node: &NodeSpec) -> bool {
    // No node shares of itself by way of others: the file would not have been taken.
    shared(lab, node).any(|(other, _)| other.desired == DesiredRun::Stopped || shares_what_is_stopped(lab, other))
}

fn runs(observed: &Observed, node: &NodeSpec) -> bool {
    seen(observed, node).is_some_and(|seen| matches!(seen.run, RunObserved::Running { .. }))
}

fn seen<'a>(observed: &'a Observed, node: &NodeSpec) -> Option<&'a NodeObserved> {
    observed.containers.known()?.get(&node.container)
}
