//! What a topology declares that this version reads and cannot run, one problem each, so that it
//! can be refused whole or left out alone.

use std::collections::BTreeSet;

use super::{LinkKind, NetworkMode, NodeDecl, Place, Position, Problem, RuntimeKind, Subject, Topology};

/// Kinds that this version runs.
pub const RUNNABLE_KINDS: [&str; 2] = ["linux", "bridge"];

/// Everything this version cannot run, in the order of the file; each problem names the node or the link to leave out.
/// A link of a node that cannot run is named as well.
pub fn unsupported(topology: &Topology) -> Vec<Problem> {
    let mut problems: Vec<Problem> = topology.nodes.iter().flat_map(|node| of_node(topology, node)).collect();
    problems.extend(of_network(topology));
    let left_out: BTreeSet<String> = problems
        .iter()
        .filter_map(|problem| match &problem.subject {
            Some(Subject::Node(name)) => Some(name.to_string()),
            _ => None,
        })
        .collect();
    let on_host: BTreeSet<&str> =
        topology.nodes.iter().filter(|node| is_on_host(node)).map(|node| node.name.as_str()).collect();
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

/// Whether a node uses the host's network.
fn is_on_host(node: &NodeDecl) -> bool {
    node.runtime() != RuntimeKind::Bridge && node.network_mode() == NetworkMode::Host
}

/// The container engine's own network: it is no network of a lab.
fn of_network(topology: &Topology) -> Option<Problem> {
    topology.mgmt.network.as_ref().filter(|name| name.as_str() == "bridge")?;
    let position = topology.positions.get("mgmt.network").copied().unwrap_or_default();
    let message = "this version cannot put nodes on Docker's own network \"bridge\"";
    let problem = Problem::new("not-runnable-management-network", &topology.source.shown, position, message);
    Some(problem.hint("give the management network a name of its own, or leave it out"))
}

/// Nodes that are namespaces have no image: of their kind they have the names of the interfaces.
fn is_runnable(node: &NodeDecl) -> bool {
    let is_outside = matches!(node.kind.as_str(), "host" | "ext-container" | "k8s-kind" | "ovs-bridge");
    RUNNABLE_KINDS.contains(&node.kind.as_str()) || node.runtime() == RuntimeKind::Namespace && !is_outside
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
        add(
            "not-runnable-kind",
            position("kind"),
            message,
            "kinds linux and bridge run, and others with the label \"archetype.runtime: namespace\"; leave it out with --partial",
        );
        return problems;
    }
    match node.network_mode() {
        _ if node.runtime() == RuntimeKind::Bridge => {}
        NetworkMode::Bridge | NetworkMode::None | NetworkMode::Host => {}
        mode => {
            let message = format!("node {}: this version cannot run network-mode {mode}", node.name);
            add("not-runnable-network-mode", position("network-mode"), message, "bridge, none and host run");
        }
    }
    if node.runtime() == RuntimeKind::Namespace && node.network_mode() == NetworkMode::Host {
        let message = format!("node {}: a namespace node cannot use the host's network", node.name);
        add("not-runnable-network-mode", position("network-mode"), message, "leave out network-mode or the label");
    }
    if node.runtime() == RuntimeKind::Bridge && node.name.as_str().contains('|') {
        let message = format!("node {}: this version cannot make a bridge inside another node", node.name);
        add("not-runnable-nested-bridge", node.position, message, "leave it out with --partial");
    }
    if definition.runtime.as_deref().is_some_and(|runtime| runtime != "docker") {
        let message = format!("node {}: this version runs containers through docker only", node.name);
        add("not-runnable-runtime", position("runtime"), message, "leave out runtime");
    }
    if definition.certificate.as_ref().and_then(|certificate| certificate.issue) == Some(true) {
        let message = format!("node {}: this version issues no certificates", node.name);
        add("not-runnable-certificate", position("certificate"), message, "leave out certificate");
    }
    problems
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
