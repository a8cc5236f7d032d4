//! What a topology declares that this version reads and cannot run, one problem each, so that it
//! can be refused whole or left out alone.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::{
    HOST, LinkKind, NetworkMode, NodeDecl, Place, PortDecl, Position, Problem, RuntimeKind, Subject, Topology,
};

/// Kinds that this version runs.
pub const RUNNABLE_KINDS: [&str; 3] = ["linux", "bridge", HOST];

/// Everything this version cannot run, in the order of the file; each problem names the node or the link to leave out.
/// A link of a node that cannot run is named as well.
pub fn unsupported(topology: &Topology) -> Vec<Problem> {
    let mut problems: Vec<Problem> = topology.nodes.iter().flat_map(|node| of_node(topology, node)).collect();
    problems.extend(of_network(topology));
    let alone = left_out_nodes(&problems);
    problems.extend(topology.nodes.iter().filter_map(|node| of_shared(topology, node, &alone)));
    let left_out = left_out_nodes(&problems);
    let on_host: BTreeSet<&str> =
        topology.nodes.iter().filter(|node| is_on_host(topology, node)).map(|node| node.name.as_str()).collect();
    for (index, link) in topology.links.iter().enumerate() {
        let at = |code, message: String, hint: &str| {
            Problem::new(code, &topology.source.shown, link.position, message).hint(hint).about(Subject::Link(index))
        };
        if let Some((code, what)) = of_link(&link.kind) {
            problems.push(at(code, format!("this version cannot make {what}"), "leave the link out with --partial"));
        }
        if let Some(end) = link.endpoints.iter().find(|end| end.place == Place::Node && on_host.contains(&*end.node)) {
            let message = format!("the link ends at {}, which has no network of its own", end.node);
            problems.push(at("not-runnable-host-mode-link", message, "use a link of type host instead"));
        }
        let end = link.endpoints.iter().find(|e| e.place == Place::Node && left_out.contains(&e.node));
        if let Some(end) = end {
            let message = format!("the link ends at {}, which this version cannot run", end.node);
            problems.push(at("not-runnable-far-end", message, "it is left out together with the node by --partial"));
        }
    }
    problems.sort_by_key(Problem::position);
    problems
}

/// The nodes that problems name.
fn left_out_nodes(problems: &[Problem]) -> BTreeSet<String> {
    let named = problems.iter().filter_map(|problem| match &problem.subject {
        Some(Subject::Node(name)) => Some(name.to_string()),
        _ => None,
    });
    named.collect()
}

/// A node that uses the network of one which is left out.
fn of_shared(topology: &Topology, node: &NodeDecl, left_out: &BTreeSet<String>) -> Option<Problem> {
    let owner = topology.network_owner(node)?;
    if !left_out.contains(owner.name.as_str()) || left_out.contains(node.name.as_str()) {
        return None;
    }
    let message = format!("node {}: it uses the network of {}, which this version cannot run", node.name, owner.name);
    let position = topology.position_of_key(node, "network-mode");
    let problem = Problem::new("not-runnable-network-mode", &topology.source.shown, position, message);
    Some(problem.hint("it is left out together with the node by --partial").about(Subject::Node(node.name.clone())))
}

/// Whether a node uses the host's network, by itself or through the node that it joins.
fn is_on_host(topology: &Topology, node: &NodeDecl) -> bool {
    let owner = topology.network_owner(node).unwrap_or(node);
    node.runtime().runs() && owner.network_mode() == NetworkMode::Host
}

/// The container engine's own network: it is no network of a lab.
fn of_network(topology: &Topology) -> Option<Problem> {
    topology.mgmt.network.as_ref().filter(|name| name.as_str() == "bridge")?;
    let position = topology.positions.get("mgmt.network").copied().unwrap_or_default();
    let message = "this version cannot put nodes on Docker's own network \"bridge\"";
    let problem = Problem::new("not-runnable-management-network", &topology.source.shown, position, message);
    Some(problem.hint("give the management network a name of its own, or leave it out"))
}

/// Whether this version runs a node's kind. Nodes that are namespaces have no image: of their kind
/// they have the names of the interfaces.
pub fn is_runnable(node: &NodeDecl) -> bool {
    RUNNABLE_KINDS.contains(&node.kind.as_str()) || node.runtime() == RuntimeKind::Namespace && !is_outside(&node.kind)
}

/// Whether nodes of the kind are something outside of the lab: no namespace can stand for one.
fn is_outside(kind: &str) -> bool {
    matches!(kind, "ext-container" | "k8s-kind" | "ovs-bridge")
}

/// What to do about a kind that does not run.
fn hint_for(kind: &str) -> &'static str {
    match kind {
        "ext-container" => "containers of others join no lab; leave it out with --partial",
        "ovs-bridge" => "a node of kind bridge is a LAN, or a Linux bridge of the host; leave it out with --partial",
        kind if is_outside(kind) => "leave it out with --partial",
        _ => {
            "kinds linux, bridge and host run, and others with the label \"archetype.runtime: namespace\"; leave it out \
             with --partial"
        }
    }
}

fn of_node(topology: &Topology, node: &NodeDecl) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |code, position: Position, message: String, hint: &str| {
        let subject = Subject::Node(node.name.clone());
        problems.push(Problem::new(code, &topology.source.shown, position, message).hint(hint).about(subject));
    };
    let definition = &node.definition;
    let position = |key| topology.position_of_key(node, key);
    if !is_runnable(node) {
        let message = format!("node {}: this version cannot run kind {}", node.name, node.kind);
        add("not-runnable-kind", position("kind"), message, hint_for(&node.kind));
        return problems;
    }
    if let Some((what, hint)) = of_network_mode(topology, node) {
        add("not-runnable-network-mode", position("network-mode"), format!("node {}: {what}", node.name), hint);
    }
    if node.runtime() == RuntimeKind::Bridge && node.name.as_str().contains('|') {
        let message = format!("node {}: this version cannot make a bridge inside another node", node.name);
        add("not-runnable-nested-bridge", node.position, message, "leave it out with --partial");
    }
    let loops = |port: &&PortDecl| port.host_address.is_some_and(|address| address == Ipv6Addr::LOCALHOST);
    if let Some(port) = node.ports.iter().find(loops) {
        let message = format!("node {}: port {} cannot be published at ::1", node.name, port.node_port);
        let hint = "the kernel does not route its loopback address out: publish it at 127.0.0.1, or at no address";
        add("not-runnable-port", position("ports"), message, hint);
    }
    if definition.runtime.as_deref().is_some_and(|runtime| runtime != "docker") {
        let message = format!("node {}: this version runs containers through docker only", node.name);
        add("not-runnable-runtime", position("runtime"), message, "leave out runtime");
    }
    problems
}

/// Why a node cannot have the network that the file states, and what to do.
fn of_network_mode(topology: &Topology, node: &NodeDecl) -> Option<(String, &'static str)> {
    let mode = node.network_mode();
    match (&mode, node.runtime()) {
        (_, RuntimeKind::Bridge | RuntimeKind::Host) | (NetworkMode::Bridge | NetworkMode::None, _) => None,
        (NetworkMode::Host | NetworkMode::Container(_), RuntimeKind::Namespace) => {
            let whose = if mode == NetworkMode::Host { "the host's" } else { "another node's" };
            Some((format!("a namespace node cannot use {whose} network"), "leave out network-mode or the label"))
        }
        (NetworkMode::Host, RuntimeKind::Container) => None,
        (NetworkMode::Container(_), RuntimeKind::Container) => of_joined(topology, node, &mode),
        (NetworkMode::Other(_), _) => {
            Some((format!("this version cannot run network-mode {mode}"), "bridge, none, host and container:NODE run"))
        }
    }
}

/// A network is shared with a container of the same lab that has one of its own.
fn of_joined(topology: &Topology, node: &NodeDecl, mode: &NetworkMode) -> Option<(String, &'static str)> {
    let refused = format!("this version cannot run network-mode {mode}");
    let Some(owner) = topology.network_owner(node) else {
        let hint = "name a container of the lab; one from outside can join a node instead, by `docker run --network \
                    container:CONTAINER` with the node's container";
        return Some((format!("{refused}: the lab has no such node"), hint));
    };
    let is_joined = matches!(owner.network_mode(), NetworkMode::Container(_));
    if owner.runtime() != RuntimeKind::Container || is_joined || !is_runnable(owner) {
        let hint = "name a node that runs as a container, with a network of its own";
        return Some((format!("{refused}: {} has none to share", owner.name), hint));
    }
    None
}

fn of_link(kind: &LinkKind) -> Option<(&'static str, &'static str)> {
    match kind {
        LinkKind::Veth | LinkKind::Host | LinkKind::MgmtNet => None,
        LinkKind::Dummy => Some(("not-runnable-dummy-link", "a dummy link")),
        LinkKind::VethStitch => Some(("not-runnable-veth-stitch-link", "a veth-stitch link")),
        LinkKind::Macvlan { .. } => Some(("not-runnable-macvlan-link", "a macvlan link")),
        LinkKind::Vxlan(_) => Some(("not-runnable-vxlan-link", "a vxlan link")),
        LinkKind::VxlanStitch(_) => Some(("not-runnable-vxlan-stitch-link", "a vxlan-stitch link")),
    }
}
