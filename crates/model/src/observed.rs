//! What a host read back. Nothing here is wanted or concluded; what could not be read says so.

mod datapath;
mod network;
mod node;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use datapath::{
    BridgeObserved, CopiesTo, DaemonStart, DatapathKind, DatapathObserved, FlowsObserved, HearerObserved, Hears,
    PortObserved,
};
pub use network::{NetworkObserved, PassagesObserved};
pub use node::{Busy, Exit, NodeObserved, Outside, RunObserved};

use crate::name::{ContainerName, InstallationId, InterfaceName, Invalid, LabName, NetworkName, NodeName};
use crate::number::Mac;
use crate::spec::{HostSpec, InterfaceSpec, LabSpec, NodeBody, NodeSpec};

/// One part of a host as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// Read, and this is all there is.
    Known(T),
    /// Not readable, and why. Never to be taken for empty.
    Unreadable(String),
}

/// A part of a host that is read, and may be unreadable, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Open vSwitch.
    Datapath,
    /// Network devices of the host's own namespace.
    Devices,
    /// Namespaces of nodes and their insides.
    Namespaces,
    /// The Docker Engine.
    Engine,
    /// Processes of namespace nodes.
    Processes,
    /// Management networks.
    Networks,
}

/// Everything a host read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Open vSwitch's bridge and ports.
    pub datapath: Reading<DatapathObserved>,
    /// Devices in the host's own network namespace, by name.
    pub devices: Reading<BTreeMap<InterfaceName, DeviceObserved>>,
    /// Namespaces pinned by this installation, by the node's name on the host.
    pub namespaces: Reading<BTreeMap<ContainerName, NamespaceObserved>>,
    /// Containers of this installation.
    pub containers: Reading<BTreeMap<ContainerName, NodeObserved>>,
    /// Namespace nodes of this installation.
    pub processes: Reading<BTreeMap<ContainerName, NodeObserved>>,
    /// Management networks, by name.
    pub networks: Reading<BTreeMap<NetworkName, NetworkObserved>>,
    /// What lets bridges of the host that ports of ours are on through its packet filter.
    pub passages: Reading<PassagesObserved>,
}

impl Observed {
    /// The nodes of the sort that this one is of.
    pub fn room_of(&self, node: &NodeSpec) -> &Reading<BTreeMap<ContainerName, NodeObserved>> {
        match node.body {
            NodeBody::Namespace(_) => &self.processes,
            NodeBody::Container(_) => &self.containers,
        }
    }
}

/// Our mark on a thing: whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The installation that made it.
    pub installation: InstallationId,
    /// The lab.
    pub lab: LabName,
    /// The node within the lab.
    pub node: NodeName,
    /// The interface, for ports and devices, by the name under which its port came to be.
    pub interface: Option<InterfaceName>,
}

/// A network device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceObserved {
    /// The kernel's number for it.
    pub ifindex: u32,
    /// `veth`, `bridge`, …; empty for a physical one.
    pub kind: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has carrier.
    pub carrier: bool,
    /// Its MTU.
    pub mtu: u32,
    /// Its address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The device it is a port of.
    pub controller: Option<u32>,
    /// Its peer's ifindex, for a veth.
    pub peer: Option<u32>,
    /// Whether its peer is a device of the host, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub peer_is_here: bool,
    /// Whose it is; none when it lacks our mark.
    pub mark: Option<Mark>,
    /// A number for the way in which its frames are handled, another one with each change: of queueing disciplines and
    /// filters (`tc`, nftables at devices), of what it may do as a port of a bridge (`bridge link`), of its XDP program.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub handlings: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A node's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceObserved {
    /// Its identity: inode number on nsfs. Another number is another namespace.
    pub identity: u64,
    /// Whose it is.
    pub mark: Mark,
    /// Whether `/run/netns/<container name>` leads to it.
    pub named: bool,
    /// Whose namespace that name leads to where it is another one, in words.
    #[serde(default)]
    pub name_taken: Option<String>,
    /// What the facts file says is in it, as a hash; none when missing.
    pub facts: Option<String>,
    /// The devices inside that have a peer on the host, wherever the node moved them, by peer's ifindex.
    pub inside: Reading<BTreeMap<u32, InsideObserved>>,
    /// Whether `lo` is up inside: a start sets it up, and an end sets down everything.
    pub awake: bool,
}

/// The node's side of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsideObserved {
    /// The name it has now.
    pub name: String,
    /// The namespace in which it is, as [`NamespaceObserved::identity`]: a node may have moved it into one of its own.
    #[serde(default)]
    pub namespace: u64,
    /// The kernel's number for it in its namespace.
    pub ifindex: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has carrier.
    pub carrier: bool,
    /// Its MTU now.
    pub mtu: u32,
    /// Its address now.
    pub mac: Option<Mac>,
}

// === impl Reading ===

impl<T> Reading<T> {
    /// What was read, if it was.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unreadable(_) => None,
        }
    }

    /// The same reading with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(change(value)),
            Self::Unreadable(why) => Reading::Unreadable(why),
        }
    }

    /// Why it was not read, if it was not.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unreadable(why) => Some(why),
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

// === impl Mark ===

impl Mark {
    /// The mark on what is made for a node.
    pub fn of_node(spec: &HostSpec, lab: &LabSpec, node: &NodeSpec) -> Self {
        Self {
            installation: spec.installation.clone(),
            lab: lab.name.clone(),
            node: node.name.clone(),
            interface: None,
        }
    }

    /// The mark on what is made for an interface: it names the port, so that another spelling of it
    /// makes nothing another's.
    pub fn of_port(spec: &HostSpec, lab: &LabSpec, node: &NodeSpec, interface: &InterfaceSpec) -> Self {
        Self { interface: Some(interface.port().clone()), ..Self::of_node(spec, lab, node) }
    }

    /// Whether a device with this mark was made and its other end not set up yet inside a node that may run: who made it
    /// died over it, or failed.
    pub fn is_of_unfinished(&self) -> bool {
        self.interface.is_none()
    }
}

impl std::fmt::Display for Mark {
    /// The form written into a device's alias: `archetype:INSTALLATION:LAB:NODE[:INTERFACE]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "archetype:{}:{}:{}", self.installation, self.lab, self.node)?;
        self.interface.as_ref().map_or(Ok(()), |interface| write!(f, ":{interface}"))
    }
}

impl std::str::FromStr for Mark {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("mark", text, "is not archetype:INSTALLATION:LAB:NODE[:INTERFACE]");
        let mut parts = text.split(':');
        if parts.next() != Some("archetype") {
            return Err(wrong());
        }
        let mark = Self {
            installation: parts.next().ok_or_else(wrong)?.parse()?,
            lab: parts.next().ok_or_else(wrong)?.parse()?,
            node: parts.next().ok_or_else(wrong)?.parse()?,
            interface: parts.next().map(str::parse).transpose()?,
        };
        parts.next().is_none().then_some(mark).ok_or_else(wrong)
    }
}

// === impl Observed ===

impl Observed {
    /// The parts that could not be read, with the reason.
    pub fn unreadable(&self) -> Vec<(Part, String)> {
        let parts = [
            (Part::Datapath, self.datapath.why()),
            (Part::Devices, self.devices.why()),
            (Part::Namespaces, self.namespaces.why()),
            (Part::Engine, self.containers.why()),
            (Part::Processes, self.processes.why()),
            (Part::Networks, self.networks.why().or(self.passages.why())),
        ];
        parts.into_iter().filter_map(|(part, why)| Some((part, why?.to_string()))).collect()
    }

    /// A host on which nothing could be read, for the same reason everywhere.
    pub fn unreadable_because(why: &str) -> Self {
        fn part<T>(why: &str) -> Reading<T> {
            Reading::Unreadable(why.to_string())
        }
        Self {
            datapath: part(why),
            devices: part(why),
            namespaces: part(why),
            containers: part(why),
            processes: part(why),
            networks: part(why),
            passages: part(why),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Datapath => "Open vSwitch",
            Self::Devices => "network devices",
            Self::Namespaces => "namespaces",
            Self::Engine => "Docker Engine",
            Self::Processes => "processes",
            Self::Networks => "management networks",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written() {
        for text in ["archetype:ab1c2:frr01:router1:eth1", "archetype:ab1c2:frr01:router1"] {
            assert_eq!(text.parse::<Mark>().unwrap().to_string(), text);
        }
        for foreign in ["", "archetype", "uplink", "archetype:ab1c2:x", "archetype:ab1c2:x:y:eth1:z"] {
            assert!(foreign.parse::<Mark>().is_err(), "{foreign:?}");
        }
    }
}
