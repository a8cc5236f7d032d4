//! Whether a topology can be planned: everything that is wrong with it, at once, each with where
//! it is and what to do. Knows nothing of other labs; what collides with them is found by planning.

mod host;
mod interfaces;
mod keys;
mod notes;
mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use archetype_model::Mtu;
use archetype_model::name::NodeName;
use archetype_model::others::NameHolder;
use archetype_model::topology::{
    EndpointDecl, NodeDecl, Place, Position, Problem, RuntimeKind, Stated, Subject, Topology, is_runnable, unsupported,
};

use crate::blueprint::HostFacts;

pub use host::not_let_in;
pub use notes::{notes, replaced_binds};

/// Everything that keeps a topology from being planned, without what is left out. With no
/// knowledge of the host, give empty facts.
pub fn check(topology: &Topology, left_out: &BTreeSet<Subject>, facts: &HostFacts) -> Vec<Problem> {
    let mut problems = unsupported(topology);
    problems.extend(keys::check(topology));
    problems.extend(stages::check(topology));
    problems.extend(interfaces::check(topology, left_out));
    let check = Check { topology, left_out, facts };
    problems.extend(check.nodes());
    problems.extend(check.devices());
    problems.extend(check.sizes());
    problems.extend(check.addresses());
    problems.retain(|problem| !check.is_left_out(problem));
    problems.sort_by_key(Problem::position);
    problems.dedup();
    problems
}

/// What [`check`] finds in a topology beyond what its reading said: of a place where something is wrong the reading says
/// it better, and an end in a node whose name is none is wrong where that name stands.
pub fn beyond_reading(topology: &Topology, stated: &Stated, said: &[Problem], facts: &HostFacts) -> Vec<Problem> {
    let places: BTreeSet<Position> = said.iter().map(Problem::position).collect();
    let misnamed: BTreeSet<&str> = stated.misnamed.iter().map(|node| node.name.as_str()).collect();
    let is_misnamed = |problem: &Problem| match problem.subject {
        Some(Subject::Link(index)) if problem.code == "unknown-node" => {
            let ends = topology.links.get(index).into_iter().flat_map(|link| &link.endpoints);
            ends.filter(|end| end.position == problem.position()).any(|end| misnamed.contains(&*end.node))
        }
        _ => false,
    };
    let mut found = check(topology, &BTreeSet::new(), facts);
    found.retain(|problem| !places.contains(&problem.position()) && !is_misnamed(problem));
    found
}

/// Bridge nodes of the topology, and whether each is a bridge of the host (true) or a LAN of ours.
pub fn bridges(topology: &Topology, facts: &HostFacts) -> BTreeMap<NodeName, bool> {
    let bridges = topology.nodes.iter().filter(|node| node.runtime() == RuntimeKind::Bridge && is_runnable(node));
    bridges.map(|node| (node.name.clone(), facts.bridges.contains(node.name.as_str()))).collect()
}

/// A problem of a topology, at a place in its file.
pub(crate) fn problem(topology: &Topology, code: &'static str, position: Position, message: String) -> Problem {
    Problem::new(code, &topology.source.shown, position, message)
}

struct Check<'a> {
    topology: &'a Topology,
    left_out: &'a BTreeSet<Subject>,
    facts: &'a HostFacts,
}

impl Check<'_> {
    /// A problem counts only while what it is about is wanted.
    fn is_left_out(&self, problem: &Problem) -> bool {
        match &problem.subject {
            Some(Subject::Link(index)) => self
                .topology
                .links
                .get(*index)
                .is_some_and(|link| !crate::blueprint::shape::is_in(self.left_out, *index, link)),
            Some(subject) => self.left_out.contains(subject),
            None => false,
        }
    }

    fn wanted_nodes(&self) -> impl Iterator<Item = &NodeDecl> {
        let is_wanted = |node: &&NodeDecl| !self.left_out.contains(&Subject::Node(node.name.clone()));
        self.topology.nodes.iter().filter(is_wanted)
    }

    fn nodes(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for node in self.wanted_nodes().filter(|node| node.runtime().runs()) {
            let mut add = |code, position, message: String, hint: &str| {
                let subject = Subject::Node(node.name.clone());
                problems.push(problem(self.topology, code, position, message).hint(hint).about(subject));
            };
            let has_image = node.definition.image.as_deref().is_some_and(|image| !image.is_empty());
            // What does not run for its kind has that problem; some kinds have no image at all.
            if node.runtime() == RuntimeKind::Container && is_runnable(node) && !has_image {
                let message = format!("node {} has no image", node.name);
                let hint = "state image, or run it as a namespace with the label archetype.runtime: namespace";
                add("missing-image", node.position, message, hint);
            }
            match self.topology.container_name(&node.name) {
                Err(error) => {
                    add("bad-container-name", node.position, error.to_string(), "change the prefix or the name")
                }
                Ok(name) => {
                    let container = self.facts.containers.get(name.as_str()).map(|holder| ("container-taken", holder));
                    let namespace = || Some(("namespace-taken", self.facts.namespaces.get(name.as_str())?));
                    let Some((code, holder)) = container.or_else(namespace) else { continue };
                    let (message, hint) = match holder {
                        NameHolder::Installation(other) => (
                            format!("the name {name} is that of a node of installation {other}"),
                            "rename the lab, or destroy the one of that installation",
                        ),
                        NameHolder::Other(holder) if code == "container-taken" => (
                            format!("the name {name} is held by {holder} that is not ours"),
                            "remove that container or rename the lab",
                        ),
                        NameHolder::Other(holder) => (
                            format!("/run/netns/{name} leads to {holder}, which is not ours"),
                            "remove that name or rename the lab",
                        ),
                    };
                    add(code, node.position, message, hint);
                }
            }
        }
        problems
    }

    /// Devices that the file names: unique in it, and free on the host.
    fn devices(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen: BTreeMap<_, Position> = BTreeMap::new();
        let bridges = bridges(self.topology, self.facts);
        for (index, link) in self.topology.links.iter().enumerate() {
            if !crate::blueprint::shape::is_in(self.left_out, index, link) {
                continue;
            }
            for (position, device) in interfaces::named_devices(self.topology, link, &bridges) {
                let mut add = |code, message: String, hint: &str| {
                    let subject = Subject::Link(index);
                    problems.push(problem(self.topology, code, position, message).hint(hint).about(subject));
                };
                if let Some(first) = seen.get(&device) {
                    let message = format!("two links ask for the host's device {device}");
                    let found = problem(self.topology, "interface-used-twice", position, message).and_at(*first);
                    problems.push(found.hint("give each its own name").about(Subject::Link(index)));
                    continue;
                }
                seen.insert(device.clone(), position);
                if self.facts.devices.contains(device.as_str()) {
                    let message = format!("the host has a device {device} that is not ours");
                    add("device-taken", message, "give the host's end another name");
                }
            }
        }
        problems
    }

    /// Stated MTUs of wires: no larger than a wire carries.
    fn sizes(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let bridges = bridges(self.topology, self.facts);
        for (index, link) in self.topology.links.iter().enumerate() {
            let is_ours = |end: &EndpointDecl| {
                let node = self.topology.node(&end.node);
                end.place == Place::Node && node.is_some_and(|node| bridges.get(&node.name) != Some(&true))
            };
            let stated = link.mtu.filter(|mtu| *mtu > Mtu::HOST_END && link.endpoints.iter().all(is_ours));
            let Some(mtu) = stated else { continue };
            let message = format!("a wire carries packets of up to {} bytes, not {mtu}", Mtu::HOST_END);
            let found = problem(self.topology, "mtu-too-large", link.position, message);
            let hint = format!("state an mtu of at most {}", Mtu::HOST_END);
            problems.push(found.hint(&hint).about(Subject::Link(index)));
        }
        problems
    }

    /// Stated management addresses: each at one node.
    fn addresses(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen: BTreeMap<IpAddr, &NodeName> = BTreeMap::new();
        for node in self.wanted_nodes().filter(|node| node.is_managed()) {
            let ipv4 = node.definition.mgmt_ipv4.map(|address| ("mgmt-ipv4", IpAddr::V4(address)));
            let ipv6 = node.definition.mgmt_ipv6.map(|address| ("mgmt-ipv6", IpAddr::V6(address)));
            for (key, address) in ipv4.into_iter().chain(ipv6) {
                let Some(other) = seen.insert(address, &node.name) else { continue };
                let message = format!("nodes {other} and {} both state {address}", node.name);
                let position = self.topology.position_of_key(node, key);
                let subject = Subject::Node(node.name.clone());
                let found = problem(self.topology, "management-address-twice", position, message);
                problems.push(found.hint("give each node its own address").about(subject));
            }
        }
        problems
    }
}
