//! Labs of which many containers start right now.
//!
//! Open vSwitch looks at all its ports whenever any device of the host changes, and each container that starts changes
//! some: beside 400 ports that takes a processor as much time as the start itself. So the first ports of such a lab are
//! added when the crowd has gone by, all at once, and its links are proven that much sooner.

use std::collections::BTreeSet;

use archetype_model::observed::{NodeObserved, RunObserved};
use archetype_model::spec::{LabSpec, NodeBody, NodeSpec};
use archetype_model::step::{NodeAction, Step};
use archetype_model::{ContainerName, LabName};

use super::Look;
use crate::stages::has_stages;

/// From how many on they are a crowd.
const CROWD: usize = 8;

/// The labs whose first ports are to wait, given the steps that nodes are to take. Never for what waits itself for
/// something outside, as a pull does, or for its next try; and in no lab in which something waits for links.
pub(super) fn crowded<'a>(look: &Look<'a>, steps: &[Step]) -> BTreeSet<&'a LabName> {
    let begin: BTreeSet<&ContainerName> = steps.iter().filter_map(|step| begins(look, step)).collect();
    let starts = |node: &&NodeSpec| {
        matches!(node.body, NodeBody::Container(_)) && (begin.contains(&node.container) || is_starting(look, node))
    };
    let is_crowded = |lab: &&LabSpec| !asks(lab) && lab.nodes.iter().filter(starts).count() >= CROWD;
    look.spec.present().filter(is_crowded).map(|lab| &lab.name).collect()
}

/// Whether commands or stages wait for links, each for those of its own node.
fn asks(lab: &LabSpec) -> bool {
    has_stages(lab) || lab.nodes.iter().any(|node| !node.execs.is_empty())
}

/// The node that a step is to start or to make now.
fn begins<'s>(look: &Look<'_>, step: &'s Step) -> Option<&'s ContainerName> {
    let Step::Node { container, action: NodeAction::Create | NodeAction::Start, .. } = step else { return None };
    let backs_off = look.memory.not_before.get(&step.resource()).is_some_and(|at| *at > look.memory.now_ms);
    (!backs_off).then_some(container)
}

fn is_starting(look: &Look<'_>, node: &NodeSpec) -> bool {
    let works = |seen: &NodeObserved| {
        let works = seen.busy.as_ref().is_some_and(|busy| busy.outside.is_none());
        works && !matches!(seen.run, RunObserved::Running { .. })
    };
    look.observed.containers.known().and_then(|all| all.get(&node.container)).is_some_and(works)
}
