//! Which port of Open vSwitch is which interface of which node, as it was read back.

use archetype_model::{InterfaceName, LabName, Mac, NodeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The mappings of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterfaceMappings {
    /// One for each interface that a link of the file leads to.
    pub mappings: Vec<InterfaceMapping>,
}

/// One interface of a node and the port it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InterfaceMapping {
    /// The lab.
    #[schema(value_type = String)]
    pub lab: LabName,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeName,
    /// The node's kind.
    pub device_kind: String,
    /// The interface's name in Linux.
    #[schema(value_type = String)]
    pub linux_interface: InterfaceName,
    /// What the device calls it, where its kind has names of its own (`docs/kinds.md`).
    pub vendor_interface: Option<String>,
    /// Where it leads: `wire`, `network`, `host` or `bridge`.
    pub attachment: String,
    /// The device at the host's end that was read back; null when there is none.
    pub host_device: Option<String>,
    /// The Linux bridge that device was found on, where it leads to one.
    pub linux_bridge: Option<String>,
    /// The port that was read back; null when there is none.
    pub ovs_port: Option<String>,
    /// The bridge that port is on.
    pub ovs_bridge: Option<String>,
    /// The port's OpenFlow number.
    pub ofport: Option<i64>,
    /// The VLAN tag that was read back.
    pub vlan_tag: Option<u16>,
    /// The id of the link it belongs to, as `inspect` shows it.
    pub link: String,
    /// When it was last read back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified_at: Option<Timestamp>,
}

/// The interfaces of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeInterfaces {
    /// In file order, `eth0` of the management network included.
    pub interfaces: Vec<NodeInterface>,
}

/// One interface of a node: as wanted, and as read back inside the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeInterface {
    /// Its name in Linux.
    #[schema(value_type = String)]
    pub linux_interface: InterfaceName,
    /// What the device calls it, where its kind has names of its own (`docs/kinds.md`).
    pub vendor_interface: Option<String>,
    /// Its hardware address at each start.
    #[schema(value_type = String)]
    pub mac: Mac,
    /// Its MTU at each start, in bytes.
    pub mtu: u32,
    /// Where it leads: `wire`, `network`, `host` or `bridge`.
    pub attachment: String,
    /// The link, network or bridge it leads to; null for `host`.
    pub attached_to: Option<String>,
    /// The id of the link it belongs to, as `inspect` shows it; null for `eth0` of the management network.
    pub link: Option<String>,
    /// The device at the host's end.
    #[schema(value_type = String)]
    pub host_device: InterfaceName,
    /// The name it has in the node right now; null when it was not read.
    pub name_now: Option<String>,
    /// Whether the node has it up right now.
    pub up: Option<bool>,
    /// Whether it has carrier right now.
    pub carrier: Option<bool>,
    /// Its MTU right now, which is the node's own business.
    pub mtu_now: Option<u32>,
    /// Its hardware address right now.
    #[schema(value_type = Option<String>)]
    pub mac_now: Option<Mac>,
    /// Addresses on it right now, with their prefix lengths.
    pub addresses: Vec<String>,
    /// When that was last read back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified_at: Option<Timestamp>,
}
