//! Keys of a node that would change what it is and that nothing here carries out yet: told, not
//! swallowed.

use archetype_model::topology::{NodeDecl, NodeDefinition, Problem, RuntimeKind, Subject, Topology};

/// One problem for each such key of each node.
pub(super) fn check(topology: &Topology) -> Vec<Problem> {
    let nodes = topology.nodes.iter().filter(|node| node.runtime() != RuntimeKind::Bridge);
    nodes.flat_map(|node| of_node(topology, node)).collect()
}

fn of_node(topology: &Topology, node: &NodeDecl) -> Vec<Problem> {
    let told = |key: &str| {
        let message = format!("node {}: this version does not carry out {key}", node.name);
        let position = topology.position_of_key(node, key);
        super::problem(topology, "not-runnable-key", position, message)
            .hint("leave the key out, or the node with --partial")
            .about(Subject::Node(node.name.clone()))
    };
    let mut keys = of_definition(&node.definition);
    if node.runtime() == RuntimeKind::Namespace && !node.ports.is_empty() {
        keys.push("ports");
    }
    keys.into_iter().map(told).collect()
}

fn of_definition(definition: &NodeDefinition) -> Vec<&'static str> {
    let stated = [
        ("volumes", !definition.volumes.is_empty()),
        ("cgroupns-mode", definition.cgroupns_mode.is_some()),
        ("cgroup-parent", definition.cgroup_parent.is_some()),
        ("pid-mode", definition.pid_mode.is_some()),
        ("security-opts", !definition.security_opts.is_empty()),
        ("auto-remove", definition.auto_remove == Some(true)),
        ("components", !definition.components.is_empty()),
    ];
    stated.into_iter().filter_map(|(key, stated)| stated.then_some(key)).collect()
}
