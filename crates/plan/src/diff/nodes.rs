//! Nodes: created, started, stopped, removed, and their exec lists.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::ContainerName;
use archetype_model::observed::{Exit, NodeObserved, Observed, Outside, RunObserved};
use archetype_model::spec::{ContainerBody, DesiredRun, NodeBody, NodeSpec};
use archetype_model::step::{NodeAction, Step};

use super::{Look, Room};
use crate::{joining, stages};

pub(super) fn diff(look: &Look<'_>) -> Room {
    let mut room = Room::default();
    let mut wanted = BTreeSet::new();
    for (lab, node) in look.spec.nodes() {
        wanted.insert(&node.container);
        let Some(seen) = seen(look.observed, node) else { continue };
        let action = match seen.and_then(NodeObserved::awaited_image) {
            Some(image) => is_for_nothing(look, node, seen, image).then_some(NodeAction::GiveUp),
            None if joining::is_made(lab, look.observed, node) => action(look, node, seen),
            None => alone(seen),
        };
        if let Some(action) = action {
            room.steps.push(Step::Node { container: node.container.clone(), action });
        }
    }
    for nodes in [look.observed.containers.known(), look.observed.processes.known()].into_iter().flatten() {
        for (container, node) in nodes {
            let goes = !wanted.contains(container) || of_another_sort(look, nodes, container);
            let action = removal(node).filter(|_| goes && look.speaks_for(&node.mark));
            room.steps.extend(action.map(|action| Step::Node { container: container.clone(), action }));
        }
    }
    room
}

/// What is known of a node: outer none when its room could not be read, inner none when it is not there.
#[allow(clippy::option_option, reason = "unreadable and absent are two things")]
fn seen<'a>(observed: &'a Observed, node: &NodeSpec) -> Option<Option<&'a NodeObserved>> {
    Some(observed.room_of(node).known()?.get(&node.container))
}

/// A node that changed its sort is removed from its former room.
fn of_another_sort(look: &Look<'_>, nodes: &BTreeMap<ContainerName, NodeObserved>, container: &ContainerName) -> bool {
    let Some((_, node)) = look.spec.node(container) else { return true };
    look.observed.room_of(node).known().is_some_and(|right| !std::ptr::eq(right, nodes))
}

/// Whether something of the sort that the node was before is there: its end makes the namespace dead on the wire.
fn is_of_another_sort_still(look: &Look<'_>, node: &NodeSpec) -> bool {
    let other = match node.body {
        NodeBody::Namespace(_) => &look.observed.containers,
        NodeBody::Container(_) => &look.observed.processes,
    };
    other.known().is_some_and(|nodes| nodes.contains_key(&node.container))
}

/// Whether the node runs, as far as is known.
pub(super) fn runs(look: &Look<'_>, node: &NodeSpec) -> bool {
    match seen(look.observed, node) {
        None => true,
        Some(None) => false,
        Some(Some(node)) => matches!(node.run, RunObserved::Running { .. }),
    }
}

/// Whether nothing of the node is left in any room, and every room could be read.
pub(super) fn is_absent(look: &Look<'_>, container: &ContainerName) -> bool {
    [&look.observed.containers, &look.observed.processes]
        .into_iter()
        .all(|room| room.known().is_some_and(|nodes| !nodes.contains_key(container)))
}

fn action(look: &Look<'_>, node: &NodeSpec, seen: Option<&NodeObserved>) -> Option<NodeAction> {
    let Some(seen) = seen else { return absent(look, node) };
    if is_outdated(look, node, seen) {
        return removal(seen);
    }
    let asked = look.memory.restarts.get(&node.container).is_some_and(|done| *done < node.restarts);
    if let Some(busy) = &seen.busy {
        let is_over = node.desired == DesiredRun::Stopped || asked && has_begun(&seen.run);
        return (busy.outside == Some(Outside::Command) && is_over).then_some(NodeAction::GiveUp);
    }
    match (&seen.run, node.desired) {
        (RunObserved::Absent, _) => absent(look, node),
        (RunObserved::Running { .. }, DesiredRun::Stopped) => Some(NodeAction::Stop),
        (RunObserved::Running { .. }, DesiredRun::Running) if asked => Some(NodeAction::Restart),
        (RunObserved::Running { .. }, DesiredRun::Running) => command(look, node),
        (_, DesiredRun::Stopped) => None,
        (RunObserved::Ended { exit, .. }, DesiredRun::Running) => {
            let retried = look.memory.unstarted.contains(&node.container);
            let due = asked || retried || node.restart.starts_again(exit);
            if due { start(look, node) } else { of_its_end(look, node) }
        }
        (_, DesiredRun::Running) => start(look, node),
    }
}

/// Whether what there is of a node was made from another body than the one that is wanted.
fn is_outdated(look: &Look<'_>, node: &NodeSpec, seen: &NodeObserved) -> bool {
    look.wanted.body(&node.container) != Some(&seen.made_from) && seen.run != RunObserved::Absent
}

/// Whether an image that a task waits for is of no use any more: the node is made from another one, or what runs of it is
/// as wanted, or is to stop now.
fn is_for_nothing(look: &Look<'_>, node: &NodeSpec, seen: Option<&NodeObserved>, image: &str) -> bool {
    let is_of = |body: &ContainerBody| body.image == image;
    let is_wanted = matches!(&node.body, NodeBody::Container(body) if is_of(body));
    let runs = |seen: &&NodeObserved| matches!(seen.run, RunObserved::Running { .. });
    let stays = |seen: &NodeObserved| node.desired == DesiredRun::Stopped || !is_outdated(look, node, seen);
    !is_wanted || seen.filter(runs).is_some_and(stays)
}

/// A node that shares what is not there is not made, and goes with it.
fn alone(seen: Option<&NodeObserved>) -> Option<NodeAction> {
    seen.filter(|seen| seen.run != RunObserved::Absent).and_then(removal)
}

/// What a node that is to go needs next: first, that nothing works on it. What it waits for outside may never end.
fn removal(seen: &NodeObserved) -> Option<NodeAction> {
    match &seen.busy {
        None => Some(NodeAction::Remove),
        Some(busy) => busy.outside.as_ref().map(|_| NodeAction::GiveUp),
    }
}

/// Whether commands that run now belong to a start that was: those before one come anew only with a node that was lost.
fn has_begun(run: &RunObserved) -> bool {
    match run {
        RunObserved::Running { .. } => true,
        RunObserved::Ended { exit, .. } => *exit != Exit::Lost,
        RunObserved::Absent | RunObserved::Created => false,
    }
}

fn absent(look: &Look<'_>, node: &NodeSpec) -> Option<NodeAction> {
    match (&node.body, node.desired) {
        (NodeBody::Container(_), _) => Some(NodeAction::Create),
        (NodeBody::Namespace(_), DesiredRun::Stopped) => None,
        (NodeBody::Namespace(_), DesiredRun::Running) => start(look, node),
    }
}

/// Whether what a start needs is there, or is made by earlier steps of the same pass.
fn stands(look: &Look<'_>, node: &NodeSpec) -> bool {
    let (Some(spaces), Some(devices)) = (look.observed.namespaces.known(), look.observed.devices.known()) else {
        return false;
    };
    let namespace = spaces.get(&node.container);
    node.interfaces.iter().all(|interface| {
        let whole = devices.get(&interface.host_device).is_some_and(|device| {
            namespace.and_then(|space| space.inside.known()).is_some_and(|inside| inside.contains_key(&device.ifindex))
        });
        whole || !devices.contains_key(&interface.host_device) && super::devices::can_make(look, interface)
    })
}

/// The next of the node's commands that is due: in order, one at a time, once per start.
fn command(look: &Look<'_>, node: &NodeSpec) -> Option<NodeAction> {
    let (index, start) = look.memory.order.commands.get(&node.container)?;
    Some(NodeAction::Exec { index: *index, start: start.clone() })
}

/// A command that follows the end of a node which is not to be started again.
fn of_its_end(look: &Look<'_>, node: &NodeSpec) -> Option<NodeAction> {
    let (_, start) = look.memory.order.commands.get(&node.container)?;
    command(look, node).filter(|_| !stages::is_before(start))
}

/// The start, unless something is to come before it: a command, what it waits for, or the end of what it was before.
fn start(look: &Look<'_>, node: &NodeSpec) -> Option<NodeAction> {
    let held = look.memory.order.held.contains(&node.container) || is_of_another_sort_still(look, node);
    command(look, node).or_else(|| (!held && stands(look, node)).then_some(NodeAction::Start))
}
