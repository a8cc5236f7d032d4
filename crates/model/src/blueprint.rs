//! The immutable plan of an installation: what each host is to be, and everything that was given
//! away once and must not move (tags, device names, MACs, addresses, ports).
//!
//! Knows nothing of how any of it was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{HostName, InstallationId, InterfaceName, LabName, NetworkName, NodeName};
use crate::number::{Mac, VlanTag};
use crate::spec::{HostSpec, LabSpec, LinkId, NetworkSpec};

/// A plan: a table from host to spec, with its parent. Never changed; a change is a new blueprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// [`crate::spec::FORMAT`] of the writer; a newer one is refused.
    pub format: u32,
    /// The store incarnation that the generations in it belong to.
    pub incarnation: String,
    /// Its place in the chain of blueprints: the parent's number and one, 1 without a parent.
    pub number: u64,
    /// The digest of the blueprint it was made from; none for the first.
    pub parent: Option<String>,
    /// Whose plan it is.
    pub installation: InstallationId,
    /// The tag of ports without a wire; no wire has it.
    pub dead_tag: VlanTag,
    /// Everything wanted of each host, shared with whoever carries it out.
    pub specs: BTreeMap<HostName, Arc<HostSpec>>,
    /// What was given away.
    pub allocations: Allocations,
}

/// What was given away once and is kept for as long as its holder is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocations {
    /// The number that the next device made on a host gets; never falls.
    pub next_device: u64,
    /// By lab, also of labs that are leaving: nothing of theirs is given away before they are gone.
    pub labs: BTreeMap<LabName, LabAllocations>,
    /// Management networks, as they were laid out.
    pub networks: BTreeMap<NetworkName, NetworkSpec>,
    /// Who last had an address that is free now: it gets the address again if it is still free
    /// when it comes back. One entry an address, so that this cannot grow beyond the networks.
    pub former: BTreeMap<NetworkName, BTreeMap<IpAddr, FormerHolder>>,
}

/// Who had an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FormerHolder {
    /// The lab.
    pub lab: LabName,
    /// Its node.
    pub node: NodeName,
}

/// What one lab holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabAllocations {
    /// The tag of each wire.
    pub tags: BTreeMap<LinkId, VlanTag>,
    /// Each interface's device and address.
    pub interfaces: BTreeMap<NodeName, BTreeMap<InterfaceName, InterfaceAllocation>>,
    /// The management addresses of each node.
    pub addresses: BTreeMap<NodeName, AddressAllocation>,
    /// Host ports chosen because the file names none, by node and node's port (`80/tcp`).
    pub ports: BTreeMap<NodeName, BTreeMap<String, u16>>,
    /// Bridge nodes that are bridges of the host; the others are LANs of ours.
    pub host_bridges: BTreeSet<NodeName>,
}

/// What one interface holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAllocation {
    /// The device on the host, when it was named by us and not by the file.
    pub device: Option<InterfaceName>,
    /// Its address, when it was made by us and not stated by the file.
    pub mac: Option<Mac>,
    /// Its name when it was given these, where it has another one now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<InterfaceName>,
}

/// A node's addresses on its management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressAllocation {
    /// The network.
    pub network: NetworkName,
    /// Its IPv4 address, where the network has such.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address, where the network has such.
    pub ipv6: Option<Ipv6Addr>,
}

impl AddressAllocation {
    /// The addresses of both families.
    pub fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

impl Blueprint {
    /// The digest that names it as a parent.
    pub fn digest(&self) -> String {
        crate::digest(self)
    }

    /// What a host's spec says of a lab.
    pub fn lab(&self, host: &HostName, lab: &LabName) -> Option<&LabSpec> {
        self.specs.get(host)?.lab(lab)
    }
}
