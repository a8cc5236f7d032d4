//! Links as declared.

use std::collections::BTreeMap;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::definition::TextMap;
use super::problem::Position;
use crate::name::InterfaceName;
use crate::number::{Mac, Mtu};

/// How a declared link is realised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum LinkKind {
    /// Between two nodes.
    Veth,
    /// Between two nodes, joined on the host.
    VethStitch,
    /// Between a node and the host's own network: the second end is a device of the host.
    Host,
    /// Between a node and the management bridge: the second end is a port of that bridge.
    MgmtNet,
    /// A child of a device of the host: the second end names that device.
    Macvlan {
        /// How children of one device see each other.
        mode: MacvlanMode,
    },
    /// A VXLAN tunnel whose device is in the node; one end.
    Vxlan(VxlanDecl),
    /// A VXLAN tunnel on the host, joined to the node's interface; one end.
    VxlanStitch(VxlanDecl),
    /// A device without a far end; one end.
    Dummy,
}

impl LinkKind {
    /// The word the file uses for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::VethStitch => "veth-stitch",
            Self::Host => "host",
            Self::MgmtNet => "mgmt-net",
            Self::Macvlan { .. } => "macvlan",
            Self::Vxlan(_) => "vxlan",
            Self::VxlanStitch(_) => "vxlan-stitch",
            Self::Dummy => "dummy",
        }
    }
}

/// How macvlan children of one device see each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacvlanMode {
    /// Not at all.
    Private,
    /// By way of the switch outside.
    Vepa,
    /// Directly.
    #[default]
    Bridge,
    /// There is one child only.
    Passthru,
    /// By a list of sources.
    Source,
}

/// The tunnel of a VXLAN link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VxlanDecl {
    /// The far end: an address or a name.
    pub remote: String,
    /// The network identifier, 1 to 16777215.
    pub vni: u32,
    /// The UDP port of the far end; 14789 when not stated.
    pub dst_port: u16,
    /// The UDP port frames are sent from, when stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The host's device the tunnel runs over, when stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_interface: Option<String>,
}

/// What the `node` of an end stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A node of the topology.
    #[default]
    Node,
    /// The host's own network namespace; the node is written `host`.
    Host,
    /// The management bridge; the node is written `mgmt-net`.
    MgmtNet,
    /// A device of the host that gets a macvlan child; the node is written `macvlan`.
    MacvlanParent,
}

impl Place {
    fn is_node(&self) -> bool {
        *self == Self::Node
    }
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointDecl {
    /// What `node` stands for.
    #[serde(default, skip_serializing_if = "Place::is_node")]
    pub place: Place,
    /// The node's name as written; `host`, `mgmt-net` or `macvlan` for the other places.
    pub node: String,
    /// The interface as written, possibly in the vendor's words.
    pub interface: String,
    /// The device's name in Linux: what `interface` becomes by the node's kind. Absent only when
    /// reading reported a problem with the name.
    pub linux_interface: Option<InterfaceName>,
    /// The address the file asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// For nodes that configure it themselves; nothing of ours sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Net>,
    /// For nodes that configure it themselves; nothing of ours sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Net>,
    /// Free values for tools of the user.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Where the file declares this end.
    #[serde(default)]
    pub position: Position,
}

/// A link: two ends, or one for `vxlan`, `vxlan-stitch` and `dummy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkDecl {
    /// How it is realised.
    #[serde(flatten)]
    pub kind: LinkKind,
    /// Its ends in the order of the file; where the file states one end and a `host-interface`,
    /// the node's end comes first.
    pub endpoints: Vec<EndpointDecl>,
    /// The MTU of the nodes' interfaces as a demand; absent when the file does not state it
    /// (then it is a default, see `Mtu::LAB_DEFAULT`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// Labels of the link; those beginning with `archetype.` speak to us.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: TextMap,
    /// Free values for tools of the user.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Where the file declares the link.
    #[serde(default)]
    pub position: Position,
}
