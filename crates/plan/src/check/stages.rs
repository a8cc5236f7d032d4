//! Nodes that wait for each other in a circle: none of them would ever start. As in containerlab, a
//! node that waits for any stage of another comes after it as a whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;

use archetype_model::topology::{NodeDecl, Problem, Subject, Topology};
use petgraph::algo::kosaraju_scc;
use petgraph::graphmap::DiGraphMap;

/// One problem for each group of nodes that keep each other from starting.
pub(super) fn check(topology: &Topology) -> Vec<Problem> {
    let after: DiGraphMap<&str, ()> = topology.nodes.iter().flat_map(|node| waits(topology, node)).collect();
    let mut groups = BTreeMap::new();
    for (number, group) in kosaraju_scc(&after).into_iter().enumerate() {
        groups.extend(group.into_iter().map(|node| (node, number)));
    }
    let mut told: BTreeSet<usize> = BTreeSet::new();
    let mut problems = Vec::new();
    for node in &topology.nodes {
        let name = node.name.as_str();
        let Some(group) = groups.get(name).copied().filter(|group| !told.contains(group)) else { continue };
        let Some(circle) = circle_from(name, &after, |other| groups.get(other) == Some(&group)) else { continue };
        told.insert(group);
        let message = format!("nodes wait for each other in a circle: {}", circle.join(" waits for "));
        let position = topology.position_of_key(node, "stages");
        problems.push(
            super::problem(topology, "cyclic-stages", position, message)
                .hint("take one of these out of `wait-for`, `network-mode` or `pid-mode`")
                .about(Subject::Node(node.name.clone())),
        );
    }
    problems
}

/// Who waits for whom, by its stages or because it shares their network or processes.
fn waits<'a>(topology: &'a Topology, node: &'a NodeDecl) -> impl Iterator<Item = (&'a str, &'a str)> {
    let stages = node.definition.stages.iter().flat_map(|stages| stages.0.values());
    let waits = stages.flat_map(|stage| &stage.wait_for).map(|wait| wait.node.as_str());
    let shared = topology.network_owner(node).map(|owner| owner.name.as_str());
    let processes = topology.processes_owner(node).map(|owner| owner.name.as_str());
    // Who is to share a network that is its own has none to share, which is said of its mode.
    let shared = shared.filter(|owner| *owner != node.name.as_str());
    waits.chain(shared).chain(processes).map(|other| (node.name.as_str(), other))
}

/// The shortest way from a node back to it through nodes of its group, both ends told.
fn circle_from<'a>(
    start: &'a str,
    after: &DiGraphMap<&'a str, ()>,
    is_near: impl Fn(&str) -> bool,
) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(node) = next.pop_front() {
        if after.contains_edge(node, start) {
            let mut way: Vec<&str> = successors(Some(node), |node| came_from.get(node).copied()).collect();
            way.reverse();
            way.push(start);
            return Some(way);
        }
        for other in after.neighbors(node).filter(|other| is_near(other)) {
            if other != start && !came_from.contains_key(other) {
                came_from.insert(other, node);
                next.push_back(other);
            }
        }
    }
    None
}
