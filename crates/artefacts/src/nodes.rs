//! The nodes of a lab in the order of their names, each with all that the files say of it.

use std::net::{Ipv4Addr, Ipv6Addr};

use archetype_model::spec::{Attachment, NodeSpec, PublishedPort};
use archetype_model::topology::{NodeDecl, Subject, TextMap};

use crate::Lab;
use crate::login::{Login, login};

/// How much of a container's id is shown, in characters.
const ID: usize = 12;

/// A node.
pub struct Row<'a> {
    /// As declared.
    pub node: &'a NodeDecl,
    /// Its name on its host.
    pub long_name: String,
    /// The beginning of its container's id; none where there is no container, or not yet.
    pub id: Option<&'a str>,
    /// Its address on the management network.
    pub ipv4: Option<Ipv4Addr>,
    /// Its address on the management network.
    pub ipv6: Option<Ipv6Addr>,
    /// The ports published on the host.
    pub ports: &'a [PublishedPort],
    /// Its labels, containerlab's among them.
    pub labels: TextMap,
    /// Who logs in.
    pub login: Login,
}

/// Every node that is not left out.
pub fn rows<'a>(lab: &Lab<'a>) -> Vec<Row<'a>> {
    let is_in = |node: &&NodeDecl| !lab.left_out.contains(&Subject::Node(node.name.clone()));
    let mut nodes: Vec<&NodeDecl> = lab.topology.nodes.iter().filter(is_in).collect();
    nodes.sort_by_key(|node| &node.name);
    nodes.into_iter().map(|node| row(lab, node)).collect()
}

fn row<'a>(lab: &Lab<'a>, node: &'a NodeDecl) -> Row<'a> {
    let spec = lab.part.and_then(|part| part.node(&node.name));
    let (ipv4, ipv6) = spec.map(addresses).unwrap_or_default();
    let mut labels = lab.topology.container_labels(node);
    if let Some(network) = lab.network {
        labels.insert("clab-mgmt-net-bridge".to_owned(), network.bridge.to_string());
    }
    let long_name = lab.topology.container_name(&node.name).map(String::from);
    Row {
        node,
        long_name: long_name.unwrap_or_else(|_| node.name.to_string()),
        id: lab.seen.containers.get(&node.name).map(|id| id.get(..ID).unwrap_or(id)),
        ipv4,
        ipv6,
        ports: spec.map(NodeSpec::ports).unwrap_or_default(),
        labels,
        login: login(lab.topology, node),
    }
}

fn addresses(node: &NodeSpec) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    match node.management().map(|(interface, _)| &interface.attachment) {
        Some(Attachment::Network { ipv4, ipv6, .. }) => (*ipv4, *ipv6),
        _ => (None, None),
    }
}
