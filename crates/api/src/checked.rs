//! The answer of `check`: what a topology file says as it is written, and expanded: as containerlab's own reader
//! resolves it.

use archetype_model::Mtu;
use archetype_model::topology::{self, LinkDecl, LinkKind, MgmtDecl, Place, Topology};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::FileProblem;

/// What a topology file says and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The lab's name as the file states it; null when it states none, or even that could not be read.
    pub name: Option<String>,
    /// The nodes, in file order.
    pub nodes: Vec<CheckedNode>,
    /// The links, in file order.
    pub links: Vec<CheckedLink>,
    /// What container names begin with, where it was asked for and is not `clab`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The management network, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mgmt: Option<CheckedNetwork>,
    /// Everything that is wrong, in file order.
    pub problems: Vec<FileProblem>,
    /// What does nothing although the file states it, in file order: nothing is wrong with that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FileProblem>,
}

/// A node as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedNode {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// By what it would be run: `container`, `namespace`, `bridge` or `host`.
    pub runtime: String,
    /// Its image.
    pub image: Option<String>,
    /// The merged definition under the file's own keys, where it was asked for: only keys with a value, the kind in
    /// lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<serde_json::Value>,
}

/// A link as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedLink {
    /// Its ends, in file order, names as written. Expanded, the host's end comes last and the management network's
    /// first.
    pub endpoints: Vec<CheckedEndpoint>,
    /// `veth`, `host`, `mgmt-net`, …; expanded by what it is made of, which for these three is a `veth`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The MTU of its ends, where it was asked for: what the file states, or the format's default. A lab's own may be
    /// smaller by what the hosts' network carries, which `plan` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// The management network, with the format's defaults where the file states nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CheckedNetwork {
    /// Its name.
    pub network: String,
    /// Its IPv4 subnet, or `auto`; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_subnet: Option<String>,
    /// Its IPv6 subnet, or `auto`; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_subnet: Option<String>,
    /// Its MTU, where one is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// One end of a link as the file writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedEndpoint {
    /// The node.
    pub node: String,
    /// The interface.
    pub interface: String,
    /// What the interface is called in Linux, where it was asked for; null where it has no valid name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub linux_interface: Option<Option<String>>,
}

impl Checked {
    /// The answer for a file of which this much could be read, with what is wrong in it and what is to be noted.
    pub fn new(
        topology: Option<&Topology>,
        problems: impl IntoIterator<Item = topology::Problem>,
        notes: impl IntoIterator<Item = topology::Problem>,
    ) -> Self {
        let node = |node: &topology::NodeDecl| CheckedNode::new(node.name.as_str(), &node.kind, &node.definition);
        Self {
            name: topology.map(|t| t.name.to_string()),
            nodes: topology.iter().flat_map(|t| t.nodes.iter().map(node)).collect(),
            links: topology.iter().flat_map(|t| t.links.iter().map(CheckedLink::written)).collect(),
            prefix: None,
            mgmt: None,
            problems: problems.into_iter().map(FileProblem::from).collect(),
            notes: notes.into_iter().map(FileProblem::from).collect(),
        }
    }

    /// Names the lab as its file does, and puts each node whose name is none where it stands in the file.
    pub fn name_as_stated(&mut self, topology: Option<&Topology>, stated: topology::Stated) {
        self.name = stated.name;
        let right: Vec<_> = topology.iter().flat_map(|t| t.nodes.iter()).map(|node| node.position).collect();
        for (before, node) in stated.misnamed.into_iter().enumerate() {
            let at = before + right.iter().filter(|position| **position < node.position).count();
            let kind = node.definition.kind.as_deref().unwrap_or_default();
            self.nodes.insert(at, CheckedNode::new(&node.name, kind, &node.definition));
        }
    }

    /// Makes it what `topology`, of which this is the answer, amounts to: each node merged, each link as it is made.
    pub fn expand(&mut self, topology: &Topology) {
        for (checked, node) in self.nodes.iter_mut().zip(&topology.nodes) {
            checked.definition = Some(definition(node));
        }
        self.links = topology.links.iter().map(CheckedLink::resolved).collect();
        self.prefix = topology.prefix.clone().filter(|prefix| prefix != topology::DEFAULT_PREFIX);
        self.mgmt = Some(CheckedNetwork::of(&topology.mgmt));
    }
}

impl CheckedNode {
    /// A node of this name, whose merged definition this is.
    fn new(name: &str, kind: &str, definition: &topology::NodeDefinition) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            runtime: runtime_word(topology::RuntimeKind::of(kind, definition)).to_owned(),
            image: definition.image.clone(),
            definition: None,
        }
    }
}

impl CheckedLink {
    /// The link as the file writes it: reading puts a node's end before one outside of the lab.
    fn written(link: &LinkDecl) -> Self {
        let mut ends: Vec<&topology::EndpointDecl> = link.endpoints.iter().collect();
        if ends.iter().any(|end| end.place != Place::Node) {
            ends.sort_by_key(|end| end.position);
        }
        let endpoints = ends.into_iter().map(CheckedEndpoint::written).collect();
        Self { endpoints, kind: link.kind.as_str().to_string(), mtu: None }
    }

    /// The link as containerlab makes it: one to the host or to the management network is a pair of devices, too.
    fn resolved(link: &LinkDecl) -> Self {
        let end = |end: &topology::EndpointDecl| CheckedEndpoint {
            linux_interface: Some(end.linux_interface.as_ref().map(ToString::to_string)),
            ..CheckedEndpoint::written(end)
        };
        let mut endpoints: Vec<CheckedEndpoint> = link.endpoints.iter().map(end).collect();
        if link.kind == LinkKind::MgmtNet {
            endpoints.reverse();
        }
        let kind = match &link.kind {
            LinkKind::Host | LinkKind::MgmtNet => LinkKind::Veth.as_str(),
            kind => kind.as_str(),
        };
        let mtu = match &link.kind {
            // The default of these follows from the device that they run over.
            LinkKind::Vxlan(_) | LinkKind::VxlanStitch(_) | LinkKind::Macvlan { .. } => link.mtu,
            _ => Some(link.mtu.unwrap_or(Mtu::LAB_DEFAULT)),
        };
        Self { endpoints, kind: kind.to_owned(), mtu: mtu.map(Mtu::get) }
    }
}

impl CheckedEndpoint {
    fn written(end: &topology::EndpointDecl) -> Self {
        Self { node: end.node.clone(), interface: end.interface.clone(), linux_interface: None }
    }
}

impl CheckedNetwork {
    fn of(mgmt: &MgmtDecl) -> Self {
        Self {
            network: mgmt.network_name().to_string(),
            ipv4_subnet: mgmt.ipv4().map(|subnet| subnet.to_string()),
            ipv6_subnet: mgmt.ipv6().map(|subnet| subnet.to_string()),
            mtu: mgmt.mtu.map(Mtu::get),
        }
    }
}

/// The merged definition, each value as written. A truth that is false is no value, except where true is
/// what stands for nothing.
fn definition(node: &topology::NodeDecl) -> serde_json::Value {
    let mut keys = node.definition.to_file_keys();
    if let Some(keys) = keys.as_object_mut() {
        keys.extend(node.written.iter().map(|(key, text)| (key.clone(), text.clone().into())));
        keys.retain(|key, value| *value != serde_json::Value::Bool(false) || key == "privileged");
    }
    keys
}

/// The word for what runs a node.
pub fn runtime_word(runtime: topology::RuntimeKind) -> &'static str {
    match runtime {
        topology::RuntimeKind::Namespace => "namespace",
        topology::RuntimeKind::Container => "container",
        topology::RuntimeKind::Bridge => "bridge",
        topology::RuntimeKind::Host => "host",
    }
}
