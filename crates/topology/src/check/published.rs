//! Published ports: no port of the host leads to two nodes.

use std::collections::HashMap;

use archetype_model::topology::{NodeDecl, PortDecl, Protocol, Subject, Topology};

use super::Check;

impl Check {
    /// Names each port of the host that is published twice, at its second place.
    pub(super) fn published(&mut self, topology: &Topology) {
        let mut seen: HashMap<(u16, Protocol), Vec<(&PortDecl, &NodeDecl)>> = HashMap::new();
        for node in &topology.nodes {
            for port in &node.ports {
                let Some(number) = port.host_port else { continue };
                let others = seen.entry((number, port.protocol)).or_default();
                // A port at all addresses is taken at each of them.
                let clash = |other: &PortDecl| match (other.host_address, port.host_address) {
                    (Some(one), Some(another)) => one == another,
                    _ => true,
                };
                if let Some((_, other)) = others.iter().find(|(other, _)| clash(other)) {
                    let message =
                        format!("port {number} of the host is published by {} and by {}", other.name, node.name);
                    let at = topology.position_of_key(node, "ports");
                    let first = topology.position_of_key(other, "ports");
                    let problem = self.add("port-twice", at, message);
                    problem.subject = Some(Subject::Node(node.name.clone()));
                    // Ports that two nodes inherit are stated once.
                    problem.also = (first != at).then_some(first);
                }
                others.push((port, node));
            }
        }
    }
}
