//! What one look says: which resources are as wanted, which are in work, which nodes run or rest. Changes nothing, and
//! remembers nothing.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::ContainerName;
use archetype_model::observed::{NodeObserved, Observed, RunObserved};
use archetype_model::spec::{DesiredRun, HostSpec, NodeSpec};
use archetype_model::step::{Resource, Step};
use archetype_plan::diff::Diff;

use crate::memory::Memory;

/// Resources with a step that is due, or will be.
pub(crate) fn in_work(found: &Diff) -> BTreeSet<Resource> {
    found.steps().chain(found.later.iter().map(|(step, _)| step)).map(Step::resource).collect()
}

/// Whether nothing is to be done about a resource as the host is: where nothing filters, no passage was ever opened, and
/// one that is opened later is no repair.
pub(crate) fn is_moot(resource: &Resource, observed: &Observed) -> bool {
    matches!(resource, Resource::Passage(_)) && observed.passages.known().is_some_and(|passages| !passages.filtered)
}

/// What a pass does not call settled.
pub(crate) struct Unsettled {
    pub(crate) in_work: BTreeSet<Resource>,
    /// What is not wrong now, and not whole either: a step on it is no repair.
    ///
    /// Networks over which a Docker network is to lie, and it is not known whether one does: it may be being laid for
    /// the first time. Devices that Open vSwitch is taking over: with its userspace datapath it makes each promiscuous
    /// by writing all of its flags, as it read them before, and so shuts one that was opened meanwhile.
    pub(crate) being_made: BTreeSet<Resource>,
}

impl Unsettled {
    pub(crate) fn of(observed: &Observed, found: &Diff) -> Self {
        let networks = observed.networks.known().into_iter().flatten();
        let unread = networks.filter(|(_, network)| network.guests.known().is_none());
        let unread = unread.map(|(name, _)| Resource::Network(name.clone()));
        let ports = observed.datapath.known().into_iter().flat_map(|datapath| &datapath.ports);
        let coming = ports.filter(|(_, port)| port.ofport.is_none() || !port.settled);
        let coming = coming.map(|(device, _)| Resource::Device(device.clone()));
        Self { in_work: in_work(found), being_made: unread.chain(coming).collect() }
    }
}

/// Resources that are as wanted: readable, without a step now or later, and for nodes, in the
/// wanted state with no task on them.
pub(crate) fn right(
    wanted: &BTreeMap<Resource, String>,
    spec: &HostSpec,
    observed: &Observed,
    found: &Diff,
) -> BTreeSet<Resource> {
    let open = in_work(found);
    let mut about: BTreeSet<&Resource> =
        found.findings.iter().filter_map(|finding| finding.resource.as_ref()).collect();
    // What somebody else has set on the bridge is told, and takes nothing from what is ours to set there.
    about.remove(&Resource::Bridge);
    let readable = |resource: &Resource| match resource {
        Resource::Bridge => observed.datapath.known().is_some_and(|d| {
            d.switch.is_some() && d.bridge.as_ref().is_none_or(|bridge| bridge.flows.known().is_some())
        }),
        // One that is not there and has no step waits for something else: it was never right.
        Resource::Port(port) => {
            observed.datapath.known().is_some_and(|d| d.switch.is_some() && d.ports.contains_key(port))
        }
        Resource::Device(device) => observed.devices.known().is_some_and(|devices| devices.contains_key(device)),
        Resource::Namespace(_) => observed.namespaces.known().is_some(),
        Resource::Network(_) => observed.networks.known().is_some(),
        // Where nothing filters, nothing was ever opened.
        Resource::Passage(_) => observed.passages.known().is_some_and(|passages| passages.filtered),
        Resource::Node(container) => spec.node(container).is_some_and(|(_, node)| node_right(observed, node)),
        Resource::Lab(_) => true,
    };
    wanted
        .keys()
        .filter(|resource| !open.contains(resource) && !about.contains(resource) && readable(resource))
        .cloned()
        .collect()
}

fn node_right(observed: &Observed, node: &NodeSpec) -> bool {
    let Some(nodes) = observed.room_of(node).known() else { return false };
    let seen = nodes.get(&node.container);
    let running = seen.is_some_and(|seen| matches!(seen.run, RunObserved::Running { .. }));
    let busy = seen.is_some_and(|seen| seen.busy.is_some());
    let wanted = node.desired == DesiredRun::Running;
    !busy && (running == wanted || wanted && seen.is_some_and(|seen| is_at_rest(node, seen)))
}

/// Whether the node ended by itself and is not to be started again.
pub(crate) fn is_at_rest(node: &NodeSpec, seen: &NodeObserved) -> bool {
    let ended = |run: &RunObserved| matches!(run, RunObserved::Ended { exit, .. } if !node.restart.starts_again(exit));
    node.desired == DesiredRun::Running && seen.busy.is_none() && ended(&seen.run)
}

/// A node as it was seen: outer none when its room could not be read.
#[allow(clippy::option_option, reason = "unreadable and absent are two things")]
pub(crate) fn node_in<'a>(observed: &'a Observed, node: &NodeSpec) -> Option<Option<&'a NodeObserved>> {
    Some(observed.room_of(node).known()?.get(&node.container))
}

/// Whether a node runs or may soon.
pub(crate) fn is_coming(observed: &Observed, node: &NodeSpec, memory: &Memory) -> bool {
    let failed = memory.failed.contains_key(&Resource::Node(node.container.clone()));
    let rests = |nodes: &BTreeMap<_, _>| nodes.get(&node.container).is_some_and(|seen| is_at_rest(node, seen));
    node.desired == DesiredRun::Running && !failed && observed.room_of(node).known().is_some_and(|nodes| !rests(nodes))
}

/// Which start of each node runs; of one that cannot be read, what was noted before.
pub(crate) fn starts(
    spec: &HostSpec,
    observed: &Observed,
    before: &BTreeMap<ContainerName, String>,
) -> BTreeMap<ContainerName, String> {
    let start = |node: &NodeSpec| match node_in(observed, node) {
        None => before.get(&node.container).cloned(),
        Some(seen) => match &seen?.run {
            RunObserved::Running { start, .. } => Some(start.clone()),
            _ => None,
        },
    };
    spec.nodes().filter_map(|(_, node)| Some((node.container.clone(), start(node)?))).collect()
}
