//! T1: every end names a node and an interface that no other link uses; and what may be joined to
//! what. Knows nothing of tags and devices.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::name::{InterfaceName, NodeName};
use archetype_model::number::Mac;
use archetype_model::spec::EndRef;
use archetype_model::topology::{
    EndpointDecl, LinkDecl, LinkKind, NodeDecl, Place, Position, Problem, RuntimeKind, Subject, Topology,
};

use crate::blueprint::shape::{Side, What, is_in};

/// The name of the management interface.
const MANAGEMENT: &str = "eth0";

/// Everything wrong with the ends of links.
pub(super) fn check(topology: &Topology, left_out: &BTreeSet<Subject>) -> Vec<Problem> {
    let mut check = Ends { topology, used: BTreeMap::new(), macs: BTreeMap::new(), problems: Vec::new() };
    for (index, link) in topology.links.iter().enumerate() {
        let runs = matches!(link.kind, LinkKind::Veth | LinkKind::Host | LinkKind::MgmtNet);
        if runs && is_in(left_out, index, link) {
            check.link(index, link);
        }
    }
    check.problems
}

/// The devices of the host that a link names, each with where.
pub(super) fn named_devices(
    topology: &Topology,
    link: &LinkDecl,
    bridges: &BTreeMap<NodeName, bool>,
) -> Vec<(Position, InterfaceName)> {
    let runs = matches!(link.kind, LinkKind::Veth | LinkKind::Host | LinkKind::MgmtNet);
    let may_be = |end: &&EndpointDecl| end.place != Place::Node || topology.node(&end.node).is_some_and(is_outside);
    let ends = link.endpoints.iter().filter(|_| runs).filter(may_be);
    let named = ends.filter_map(|end| Some((end.position, Side::of(topology, end)?)));
    let is_named = |side: &Side<'_>| match side.what {
        What::Host | What::Network => true,
        What::Bridge => bridges.get(&side.node) == Some(&true),
        What::Node | What::HostNode => false,
    };
    named.filter(|(_, side)| is_named(side)).map(|(position, side)| (position, side.interface)).collect()
}

/// Whether the ends of links at a node may be devices of the host.
fn is_outside(node: &NodeDecl) -> bool {
    matches!(node.runtime(), RuntimeKind::Bridge | RuntimeKind::Host)
}

struct Ends<'a> {
    topology: &'a Topology,
    used: BTreeMap<EndRef, Position>,
    macs: BTreeMap<(String, Mac), &'a EndpointDecl>,
    problems: Vec<Problem>,
}

impl<'a> Ends<'a> {
    fn add(&mut self, index: usize, position: Position, code: &'static str, message: String, hint: &str) {
        let found = super::problem(self.topology, code, position, message);
        self.problems.push(found.hint(hint).about(Subject::Link(index)));
    }

    fn link(&mut self, index: usize, link: &'a LinkDecl) {
        let [a, b] = link.endpoints.as_slice() else {
            let message = format!("the link has {} ends, not two", link.endpoints.len());
            return self.add(index, link.position, "bad-endpoint", message, "name two ends");
        };
        self.end(index, a);
        self.end(index, b);
        let (Some(near), Some(far)) = (Side::of(self.topology, a), Side::of(self.topology, b)) else { return };
        self.pair(index, link, near.what, far.what);
        self.mac(index, a, &far, link);
        self.mac(index, b, &near, link);
    }

    fn end(&mut self, index: usize, end: &'a EndpointDecl) {
        let shown = || format!("{}:{}", end.node, end.interface);
        let node = self.topology.node(&end.node);
        if end.place == Place::Node && node.is_none() {
            let message = format!("{}: there is no node {}", shown(), end.node);
            return self.add(index, end.position, "unknown-node", message, "name a node of topology.nodes");
        }
        let Some(interface) = &end.linux_interface else {
            let message = format!("{}: no interface of Linux has this name", shown());
            return self.add(index, end.position, "invalid-interface", message, "use a name that the kind knows");
        };
        let owner = node.map(|node| self.topology.network_owner(node).unwrap_or(node));
        if interface.as_str() == MANAGEMENT && owner.is_some_and(|node| node.is_managed()) {
            let message = format!("{}: {MANAGEMENT} is the node's management interface", shown());
            let hint = "use another interface, or network-mode: none";
            self.add(index, end.position, "interface-reserved", message, hint);
        }
        // The host's devices are looked at as devices.
        if end.place != Place::Node || node.is_some_and(|node| node.runtime() == RuntimeKind::Host) {
            return;
        }
        let Some(used) = self.topology.end_ref(end) else { return };
        if let Some(first) = self.used.insert(used, end.position) {
            let message = format!("{} is used by two ends of links", shown());
            self.add(index, end.position, "interface-used-twice", message, "give each link its own interface");
            if let Some(problem) = self.problems.last_mut() {
                problem.also = Some(first);
            }
        }
    }

    /// What may be joined to what. Ends in a node without a network of its own are told elsewhere.
    fn pair(&mut self, index: usize, link: &LinkDecl, near: What, far: What) {
        let has_node = [near, far].iter().any(|what| matches!(what, What::Node | What::HostNode));
        if !has_node {
            let message = "this version cannot make a link without a node at either end".to_owned();
            let hint = "leave it out with --partial";
            self.add(index, link.position, "not-runnable-bridge-link", message, hint);
        }
    }

    /// Stated addresses on one wire or LAN differ (A1).
    fn mac(&mut self, index: usize, end: &'a EndpointDecl, far: &Side<'_>, link: &LinkDecl) {
        let Some(mac) = end.mac.filter(|_| end.place == Place::Node) else { return };
        let segment = match far.what {
            What::Bridge => format!("LAN {}", far.node),
            What::Network => "management network".into(),
            What::Node | What::HostNode => format!("link {index}"),
            What::Host => return,
        };
        if let Some(other) = self.macs.insert((segment.clone(), mac), end) {
            let message =
                format!("{}:{} and {}:{} both state {mac}", other.node, other.interface, end.node, end.interface);
            self.add(index, link.position, "mac-twice", message, "give each interface of a wire its own address");
        }
    }
}
