//! Nodes that wait for each other in a circle: none of them would ever start. As in containerlab, a
//! node that waits for any stage of another comes after it as a whole.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::topology::{NodeDecl, Problem, Subject, Topology};

/// One problem for each circle.
pub(super) fn check(topology: &Topology) -> Vec<Problem> {
    let after: BTreeMap<&str, Vec<&str>> =
        topology.nodes.iter().map(|node| (node.name.as_str(), waited_for(topology, node))).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut problems = Vec::new();
    for node in &topology.nodes {
        if told.contains(node.name.as_str()) {
            continue;
        }
        let Some(circle) = circle_from(node.name.as_str(), &after) else { continue };
        told.extend(&circle);
        let mut words = circle.clone();
        words.push(node.name.as_str());
        let message = format!("nodes wait for each other in a circle: {}", words.join(" waits for "));
        let position = topology.position_of_key(node, "stages");
        problems.push(
            super::problem(topology, "cyclic-stages", position, message)
                .hint("take one of these out of `wait-for`")
                .about(Subject::Node(node.name.clone())),
        );
    }
    problems
}

/// The nodes that a node waits for, by its stages or because it shares their network or processes.
fn waited_for<'a>(topology: &'a Topology, node: &'a NodeDecl) -> Vec<&'a str> {
    let stages = node.definition.stages.iter().flat_map(|stages| stages.0.values());
    let waits = stages.flat_map(|stage| &stage.wait_for).map(|wait| wait.node.as_str());
    let shared = topology.network_owner(node).map(|owner| owner.name.as_str());
    let processes = node.definition.pid_mode.as_deref().and_then(|mode| mode.strip_prefix("container:"));
    waits.chain(shared).chain(processes).collect()
}

/// The shortest way from a node back to it, without its end.
fn circle_from<'a>(start: &'a str, after: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| after.get(last)).into_iter().flatten() {
                if *next == start {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push(way.iter().copied().chain([*next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}
