//! Keys of a node that would change what it is and that nothing here carries out yet: told, not
//! swallowed.

use archetype_model::topology::{NodeDecl, Problem, RuntimeKind, Subject, Topology, is_runnable};

/// One problem for each such key of each node.
pub(super) fn check(topology: &Topology) -> Vec<Problem> {
    let nodes = topology.nodes.iter().filter(|node| node.runtime() != RuntimeKind::Bridge && is_runnable(node));
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
    keys(node).into_iter().map(told).collect()
}

fn keys(node: &NodeDecl) -> Vec<&'static str> {
    let definition = &node.definition;
    if node.runtime() == RuntimeKind::Host {
        // It is never started, so nothing would say when its commands are due.
        let stated = [("exec", !node.execs.is_empty()), ("stages", !node.stage_commands.is_empty())];
        return stated.into_iter().filter_map(|(key, stated)| stated.then_some(key)).collect();
    }
    // What only a container can have.
    let in_namespace = node.runtime() == RuntimeKind::Namespace;
    let stated = [
        ("ports", in_namespace && !node.ports.is_empty()),
        ("volumes", in_namespace && !node.volumes.is_empty()),
        ("cgroupns-mode", in_namespace && definition.cgroupns_mode.is_some()),
        ("cgroup-parent", in_namespace && definition.cgroup_parent.is_some()),
        ("pid-mode", in_namespace && definition.pid_mode.is_some()),
        ("security-opts", in_namespace && !definition.security_opts.is_empty()),
    ];
    stated.into_iter().filter_map(|(key, stated)| stated.then_some(key)).collect()
}
