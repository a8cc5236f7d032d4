//! Whether a lab comes any further by itself. Only what nobody has to do anything for counts as coming: tasks, commands,
//! starts that follow ends, waits for nodes that can still come. What a person may do is not foreseen.

use std::collections::BTreeSet;

use archetype_model::NodeName;
use archetype_model::observed::RunObserved;
use archetype_model::report::{ExecState, NodeReport};
use archetype_model::spec::{DesiredRun, NodeSpec};
use archetype_model::status::LinkState;

/// What is still to come of a lab by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToCome {
    /// Something is being done, or will be.
    More,
    /// Only tries of links that were found wrong, again and again.
    Tries,
    /// Nothing.
    Nothing,
}

/// What is to come of a lab whose host told all of it. A node that its host did not report counts as coming.
pub fn to_come<'a>(
    nodes: impl IntoIterator<Item = (&'a NodeSpec, Option<&'a NodeReport>)>,
    links: impl IntoIterator<Item = LinkState>,
) -> ToCome {
    let nodes: Vec<_> = nodes.into_iter().collect();
    let stuck = stuck(&nodes);
    let links: Vec<LinkState> = links.into_iter().collect();
    // A node that runs may still wait for others before its links are made.
    let some_wait = links.contains(&LinkState::Pending);
    let moves = |(node, report): &(&NodeSpec, Option<&NodeReport>)| {
        report.is_none_or(|report| {
            let waits = some_wait && !report.waits_for.is_empty();
            is_under_way(node, report) || (waits || !has_arrived(node, report)) && !stuck.contains(&node.name)
        })
    };
    // A link that is pending waits for a node, and comes no sooner than that.
    let is_being_made = |state: &LinkState| matches!(state, LinkState::Creating | LinkState::Unknown);
    if nodes.iter().any(moves) || links.iter().any(is_being_made) {
        ToCome::More
    } else if links.contains(&LinkState::Error) {
        ToCome::Tries
    } else {
        ToCome::Nothing
    }
}

/// Nodes that neither start nor come to their next stage: stopped, ended for good, or waiting for one of these.
fn stuck(nodes: &[(&NodeSpec, Option<&NodeReport>)]) -> BTreeSet<NodeName> {
    let mut stuck = BTreeSet::new();
    loop {
        let more = nodes.iter().filter(|(node, report)| {
            let waits_in_vain = |report: &NodeReport| {
                is_gone(node, report) || report.waits_for.iter().any(|other| stuck.contains(other))
            };
            !stuck.contains(&node.name) && report.is_some_and(waits_in_vain)
        });
        let more: Vec<NodeName> = more.map(|(node, _)| node.name.clone()).collect();
        if more.is_empty() {
            return stuck;
        }
        stuck.extend(more);
    }
}

/// Whether it does not run, and nobody starts it but a person.
fn is_gone(node: &NodeSpec, report: &NodeReport) -> bool {
    let ended = report.run.as_ref().is_some_and(|run| !matches!(run, RunObserved::Running { .. }));
    ended && report.busy.is_none() && (node.desired == DesiredRun::Stopped || report.at_rest)
}

/// Whether something works on it, whatever it waits for.
fn is_under_way(node: &NodeSpec, report: &NodeReport) -> bool {
    let runs = matches!(report.run, Some(RunObserved::Running { .. }));
    let is_to_stop = runs && (node.desired == DesiredRun::Stopped || report.restarts < node.restarts);
    let executes = report.execs.iter().any(|exec| matches!(exec.state, ExecState::Running { .. }));
    report.run.is_none() || report.busy.is_some() || is_to_stop || executes
}

/// Whether it runs and every command of its start is over.
fn has_arrived(node: &NodeSpec, report: &NodeReport) -> bool {
    let runs = matches!(report.run, Some(RunObserved::Running { .. }));
    runs && node.desired == DesiredRun::Running && execs_are_over(report)
}

/// Whether nothing more comes of the commands of a node's start.
pub fn execs_are_over(report: &NodeReport) -> bool {
    report.execs.iter().all(|exec| exec.is_of_end() || exec.state.is_over())
}
