//! Interfaces of nodes, and the wires between them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ecow::EcoString;
use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, InterfaceName, NetworkName, NodeName};
use crate::number::{Mac, Mtu, VlanTag};

/// One interface of a node and its host side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSpec {
    /// Its Linux name inside the node.
    pub name: InterfaceName,
    /// Its Linux name when its port came to be, where the file spells the port in another way now:
    /// what is made for a port is marked with this one. See [`Self::port`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<InterfaceName>,
    /// Its address, the same for as long as lab, node and interface are.
    pub mac: Mac,
    /// Its MTU inside the node at each start.
    pub mtu: Mtu,
    /// The device on the host whose peer it is. Made by the planner, never reused.
    pub host_device: InterfaceName,
    /// Where the host side leads.
    pub attachment: Attachment,
    /// Whether its cable is to carry frames; one that is not has no carrier at either end.
    #[serde(default, skip_serializing_if = "DesiredLink::is_up")]
    pub desired: DesiredLink,
}

impl InterfaceSpec {
    /// The port that it is, for as long as the node has it: the Linux name under which it came to
    /// be. A file that spells the port in another way changes the name, and not this.
    pub fn port(&self) -> &InterfaceName {
        self.port.as_ref().unwrap_or(&self.name)
    }
}

/// Where the host side of an interface leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum Attachment {
    /// A wire of the lab: a port of the datapath.
    Wire {
        /// The wire's id within the lab.
        wire: LinkId,
    },
    /// A management network.
    Network {
        /// Which.
        network: NetworkName,
        /// The node's address there.
        ipv4: Option<Ipv4Addr>,
        /// The node's address there.
        ipv6: Option<Ipv6Addr>,
        /// Whether this is the node's `eth0`, with the default route.
        primary: bool,
    },
    /// The host's own network namespace: the host device is for the host to use.
    Host,
    /// A bridge of the host that is not ours.
    ForeignBridge {
        /// Its name.
        bridge: BridgeName,
    },
}

/// A link's or wire's id, unique within its lab: both ends as `node:interface`, joined by `--`,
/// in byte order; or the name of a LAN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(EcoString);

impl LinkId {
    /// The id of the link between two ends.
    pub fn between(a: &EndRef, b: &EndRef) -> Self {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        let parts = [a.node.as_str(), ":", a.interface.as_str(), "--", b.node.as_str(), ":", b.interface.as_str()];
        Self(parts.concat().into())
    }

    /// The id of the LAN that the bridge node `name` stands for.
    pub fn lan(name: &NodeName) -> Self {
        Self(name.as_str().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LinkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// One end of a wire: an interface of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndRef {
    /// The node.
    pub node: NodeName,
    /// The interface's Linux name.
    pub interface: InterfaceName,
}

impl std::fmt::Display for EndRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.node, self.interface)
    }
}

/// A link or LAN as one host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireSpec {
    /// The id within the lab.
    pub id: LinkId,
    /// Cable or LAN.
    pub shape: WireShape,
    /// Its local ends.
    pub ends: Vec<EndRef>,
    /// Whether it is to carry frames.
    pub desired: DesiredLink,
    /// What becomes of the carrier of a cable's end when the other one is shut.
    #[serde(default, skip_serializing_if = "Carrier::follows")]
    pub carrier: Carrier,
    /// The tag that marks it on this host's bridge: Open vSwitch's part of the wire.
    pub tag: VlanTag,
}

/// How many ends a wire may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireShape {
    /// Two ends, nothing learned between them.
    Cable,
    /// Any number of ends, addresses learned.
    Lan,
}

/// Whether a wire is to carry frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredLink {
    /// It is to carry frames.
    #[default]
    Up,
    /// Both ends are to have no carrier.
    Down,
}

impl DesiredLink {
    /// Whether it is to carry frames.
    pub fn is_up(&self) -> bool {
        *self == Self::Up
    }
}

/// What becomes of the carrier of a cable's end when the other one is shut or its node does not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// It goes, and comes back with the other end: as with a cable.
    #[default]
    Follow,
    /// It stays.
    Keep,
}

impl Carrier {
    /// Whether it goes with the other end.
    pub fn follows(&self) -> bool {
        *self == Self::Follow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(node: &str, interface: &str) -> EndRef {
        EndRef { node: node.parse().unwrap(), interface: interface.parse().unwrap() }
    }

    #[test]
    fn an_interface_of_an_older_spec_is_the_port_of_its_name() {
        let text = r#"{"name": "eth1", "written": "Gi2", "mac": "aa:c1:ab:00:00:01", "mtu": 9500,
            "host_device": "aab1c2-7", "attachment": {"to": "host"}}"#;
        let interface: InterfaceSpec = serde_json::from_str(text).unwrap();
        assert_eq!(interface.port(), &interface.name);
        assert!(!serde_json::to_string(&interface).unwrap().contains("port"), "as it was, where nothing was respelled");
    }

    #[test]
    fn a_link_has_one_id_from_either_end() {
        let (a, b) = (end("r1", "eth1"), end("PC1", "eth2"));
        assert_eq!(LinkId::between(&a, &b), LinkId::between(&b, &a));
        assert_eq!(LinkId::between(&a, &b).as_str(), "PC1:eth2--r1:eth1");
    }
}
