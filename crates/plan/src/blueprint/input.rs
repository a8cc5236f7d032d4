//! What a plan is made from. Knows nothing of how a plan is made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use archetype_model::blueprint::Blueprint;
use archetype_model::name::{HostName, InstallationId, LabName, NetworkName, NodeName};
use archetype_model::number::VlanTag;
use archetype_model::others::{NameHolder, Visited};
use archetype_model::spec::{LinkId, Protocol};
use archetype_model::topology::{MgmtDecl, Subject, Subnet, Topology};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Everything a plan is made from; the same input gives the same blueprint, byte for byte.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// Whose plan it is.
    pub installation: InstallationId,
    /// The store incarnation. Another one than the parent's gives every host a new generation.
    pub incarnation: String,
    /// The host that runs everything.
    pub host: HostName,
    /// Settings of the installation.
    pub settings: PlanSettings,
    /// Every lab that is wanted or wanted gone, in any order. A lab of the parent that is not
    /// named here keeps its part: nothing is removed for want of an entry.
    pub labs: Vec<LabInput<'a>>,
    /// Labs of which the host reported nothing left. Those wanted gone are dropped, and what they
    /// held is free again.
    pub reported_gone: BTreeSet<LabName>,
    /// What else is on the host.
    pub facts: HostFacts,
    /// The blueprint that this one follows.
    pub parent: Option<&'a Blueprint>,
    /// Which names are one port's.
    pub port_key: PortKey,
}

/// What all names of one port have in common on a node of a kind: what is known of kinds, which
/// planning is told and does not know itself.
pub type PortKey = fn(kind: &str, name: &str) -> String;

/// A [`PortKey`] by which each name is a port of its own.
pub fn port_by_name(_kind: &str, name: &str) -> String {
    name.to_owned()
}

/// One lab as it is wanted.
#[derive(Debug, Clone)]
pub struct LabInput<'a> {
    /// The lab.
    pub name: LabName,
    /// What is wanted of it.
    pub wanted: Wanted<'a>,
}

/// What is wanted of a lab.
#[derive(Debug, Clone)]
pub enum Wanted<'a> {
    /// It is to be as its topology declares.
    Present {
        /// What its file declares.
        topology: &'a Topology,
        /// What was wanted of it since.
        overrides: Overrides,
    },
    /// Nothing of it may be left.
    Gone,
}

/// What users asked for beyond the file. An entry for something that the file does not have says
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Nodes that are to be stopped.
    pub stopped: BTreeSet<NodeName>,
    /// How often each node was wanted restarted.
    pub restarts: BTreeMap<NodeName, u64>,
    /// Links, by the id of their two ends as declared, and LANs that are to carry nothing.
    pub links_down: BTreeSet<LinkId>,
    /// Nodes and links that are left out; a node takes its links along.
    pub left_out: BTreeSet<Subject>,
}

/// Settings of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSettings {
    /// The tags of the bridge that are ours, both ends included.
    pub tags: (VlanTag, VlanTag),
    /// Tags of that range that are not to be used.
    pub reserved_tags: BTreeSet<VlanTag>,
    /// The management network of files that name none.
    pub mgmt_network: NetworkName,
    /// The IPv4 subnet of management networks where no file states a subnet; none for none.
    pub mgmt_ipv4: Option<Subnet<Ipv4Net>>,
    /// The IPv6 subnet of management networks where no file states a subnet; none for none.
    pub mgmt_ipv6: Option<Subnet<Ipv6Net>>,
}

impl Default for PlanSettings {
    fn default() -> Self {
        let tag = |value| VlanTag::new(value).expect("a valid constant");
        Self {
            tags: (tag(1), tag(4094)),
            reserved_tags: BTreeSet::new(),
            mgmt_network: MgmtDecl::default().network_name(),
            mgmt_ipv4: Some(Subnet::Net(MgmtDecl::IPV4_SUBNET)),
            mgmt_ipv6: Some(Subnet::Net(MgmtDecl::IPV6_SUBNET)),
        }
    }
}

impl PlanSettings {
    /// The tag of ports without a wire: the highest of the range that is not reserved. With every
    /// tag reserved it is the highest of the range, and no wire can be planned.
    pub fn dead_tag(&self) -> VlanTag {
        self.usable().next_back().unwrap_or(self.tags.1)
    }

    /// The tags that wires may have, lowest first.
    pub fn wire_tags(&self) -> impl Iterator<Item = VlanTag> + '_ {
        let dead = self.dead_tag();
        self.usable().filter(move |tag| *tag != dead)
    }

    /// Whether a wire may have this tag.
    pub fn allows(&self, tag: VlanTag) -> bool {
        let (first, last) = self.tags;
        (first..=last).contains(&tag) && !self.reserved_tags.contains(&tag) && tag != self.dead_tag()
    }

    fn usable(&self) -> impl DoubleEndedIterator<Item = VlanTag> + '_ {
        let (first, last) = self.tags;
        (first.get()..=last.get())
            .filter_map(|value| VlanTag::new(value).ok())
            .filter(|tag| !self.reserved_tags.contains(tag))
    }
}

/// What is on the host that is not ours. What is ours must not be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Names of the network devices, bridges included.
    pub devices: BTreeSet<String>,
    /// Names of those devices that are bridges.
    pub bridges: BTreeSet<String>,
    /// Networks and subnets that somebody else uses.
    pub held: Vec<HeldNetwork>,
    /// Management networks of ours on which containers of somebody else are.
    pub visited: BTreeMap<NetworkName, Visited>,
    /// Ports that somebody else listens on.
    pub listeners: Vec<Listener>,
    /// Tags of the bridge that ports of others hold, each with the holder in words.
    pub tags: BTreeMap<u16, String>,
    /// Ports of the bridge that are not ours and hear every tag.
    pub hear_all: BTreeSet<String>,
    /// Other installations with wires on the bridge, each with the tags of those.
    pub sharing: BTreeMap<InstallationId, BTreeSet<u16>>,
    /// Names of containers that are not ours.
    pub containers: BTreeMap<String, NameHolder>,
    /// Names under `/run/netns` that lead to namespaces that are not ours.
    pub namespaces: BTreeMap<String, NameHolder>,
    /// Whether the host runs no commands of labs on itself.
    pub refuses_commands: bool,
    /// Why no container can be started here, where that is certain; an engine that does not answer
    /// may do so in a moment.
    pub no_containers: Option<NoContainers>,
}

/// Why a host starts no containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoContainers {
    /// It was told to use no Docker Engine.
    NoEngine,
    /// Its engine does not know the runtime through which nodes start.
    NoRuntime {
        /// The runtime's name.
        name: String,
    },
}

/// A network that somebody else uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldNetwork {
    /// Its name in the container engine, if it has one.
    pub name: Option<String>,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Who holds it, for people: `docker network clab of containerlab`.
    pub holder: String,
}

/// A port that somebody else listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address; none is every address.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Who listens, for people: `sshd (pid 812)`.
    pub holder: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(value: u16) -> VlanTag {
        VlanTag::new(value).unwrap()
    }

    #[test]
    fn the_dead_tag_is_the_highest_that_is_not_reserved_and_no_wire_gets_it() {
        let settings = PlanSettings {
            tags: (tag(10), tag(14)),
            reserved_tags: [tag(14), tag(11)].into(),
            ..PlanSettings::default()
        };
        assert_eq!(settings.dead_tag(), tag(13));
        assert_eq!(settings.wire_tags().collect::<Vec<_>>(), [tag(10), tag(12)]);
        assert!(!settings.allows(tag(13)) && !settings.allows(tag(11)) && settings.allows(tag(12)));
    }
}
