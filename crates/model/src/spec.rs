//! What is wanted of one host: the whole document, with a generation.
//!
//! A spec names a wire by its ends; which tag marks it is the datapath's part of the wire. Names
//! of devices are given once, by the planner, and never reused.

mod body;
mod wire;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use body::{
    Bind, ContainerBody, DnsSpec, HealthcheckSpec, NamespaceBody, NodeBody, Privileges, Protocol, PublishedPort,
    PullPolicy, VolumeSpec,
};
pub use wire::{Attachment, Carrier, DesiredLink, EndRef, InterfaceSpec, LinkId, WireShape, WireSpec};

use crate::name::{BridgeName, ContainerName, HostName, InstallationId, InterfaceName, LabName, NetworkName, NodeName};
use crate::nodes::{Named, Nodes};
use crate::number::{Generation, Mtu};
use crate::restart::RestartRule;
use crate::stages::{Command, StagesSpec};
use crate::topology::OF_CONTAINER;

/// Variables that tell of the rest of the lab: how many links the node has, which names and subnets
/// there are, in which folder the lab's file lies, and who deployed it.
const OF_THE_LAB_ENV: [&str; 6] = [
    "CLAB_INTFS",
    "NO_PROXY",
    "no_proxy",
    "CLAB_LABEL_CLAB_NODE_LAB_DIR",
    "CLAB_LABEL_CLAB_OWNER",
    "CLAB_LABEL_CLAB_TOPO_FILE",
];
/// Labels that tell of the rest of the lab.
const OF_THE_LAB_LABELS: [&str; 4] = ["clab-mgmt-net-bridge", "clab-node-lab-dir", "clab-owner", "clab-topo-file"];

/// The format of specs, ledgers and reports that this code writes.
pub const FORMAT: u32 = 1;

/// Everything wanted of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// [`FORMAT`] of the writer; a newer one is refused.
    pub format: u32,
    /// Whose spec this is; the mark on everything made for it.
    pub installation: InstallationId,
    /// The host it is for.
    pub host: HostName,
    /// Its version.
    pub generation: Generation,
    /// Management networks with a node of this host on them.
    pub networks: Vec<NetworkSpec>,
    /// Every lab with something on this host, and those of which nothing may be left.
    pub labs: Vec<LabSpec>,
}

/// One lab's part of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSpec {
    /// The lab.
    pub name: LabName,
    /// Whether it is wanted at all.
    pub presence: Presence,
    /// Its nodes on this host, in file order. Empty when gone.
    pub nodes: Nodes<NodeSpec>,
    /// Its wires with an end on this host.
    pub wires: Vec<WireSpec>,
    /// The names of all its nodes with a management address, wherever they run: the marked block of
    /// each node's hosts file. Here once, for a copy in each node grows with the square of a lab.
    #[serde(default)]
    pub hosts: Vec<HostsLine>,
}

/// Whether a lab is wanted on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is to be as described.
    Present,
    /// Nothing of it may be left. Only such an entry deletes a whole lab; a missing one deletes nothing.
    Gone,
}

/// One node as its host is to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The name within the lab.
    pub name: NodeName,
    /// The name on the host, unique there; it identifies the node in steps and reports.
    pub container: ContainerName,
    /// The kind, in lower case.
    pub kind: String,
    /// What sort of thing runs it, with what that sort needs.
    pub body: NodeBody,
    /// Whether it is to run.
    pub desired: DesiredRun,
    /// Rises by one for every wanted restart, and for every wanted start of one that had ended.
    pub restarts: u64,
    /// What becomes of it when it ends by itself.
    #[serde(default)]
    pub restart: RestartRule,
    /// Every interface, `eth0` of the management network included, in file order.
    pub interfaces: Vec<InterfaceSpec>,
    /// Commands to run once per start, in order, each split into words.
    pub execs: Vec<Vec<String>>,
    /// What it waits for, and the commands of its stages.
    #[serde(default, skip_serializing_if = "StagesSpec::is_empty")]
    pub stages: StagesSpec,
}

/// Whether a node is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredRun {
    /// It is to run; when it ends it is started again.
    Running,
    /// It is to be stopped, and dead on the wire.
    Stopped,
}

/// One line of a hosts file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostsLine {
    /// The address.
    pub address: IpAddr,
    /// Its names, the first being the canonical one.
    pub names: Vec<String>,
}

/// A management network on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name, also that of the Docker network laid over it.
    pub name: NetworkName,
    /// The Linux bridge that carries it.
    pub bridge: BridgeName,
    /// The MTU of bridge and interfaces.
    pub mtu: Mtu,
    /// IPv4 subnet and gateway.
    pub ipv4: Option<Subnet<Ipv4Net, Ipv4Addr>>,
    /// IPv6 subnet and gateway.
    pub ipv6: Option<Subnet<Ipv6Net, Ipv6Addr>>,
    /// Whether nodes reach the world through the host.
    pub external_access: bool,
}

/// A subnet of a management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet<Net, Addr> {
    /// The subnet.
    pub net: Net,
    /// The host's address in it, the nodes' gateway.
    pub gateway: Addr,
    /// The block from which containers of other people get addresses.
    pub guests: Option<Net>,
}

// === impl NetworkSpec ===

impl NetworkSpec {
    /// The host's addresses on it.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let ipv4 = self.ipv4.as_ref().map(|subnet| IpAddr::from(subnet.gateway));
        let ipv6 = self.ipv6.as_ref().map(|subnet| IpAddr::from(subnet.gateway));
        ipv4.into_iter().chain(ipv6)
    }
}

// === impl HostSpec ===

impl HostSpec {
    /// Every node that is wanted, with its lab.
    pub fn nodes(&self) -> impl Iterator<Item = (&LabSpec, &NodeSpec)> {
        self.present().flat_map(|lab| lab.nodes.iter().map(move |node| (lab, node)))
    }

    /// Every wire that is wanted, with its lab.
    pub fn wires(&self) -> impl Iterator<Item = (&LabSpec, &WireSpec)> {
        self.present().flat_map(|lab| lab.wires.iter().map(move |wire| (lab, wire)))
    }

    /// The labs that are wanted.
    pub fn present(&self) -> impl Iterator<Item = &LabSpec> {
        self.labs.iter().filter(|lab| lab.presence == Presence::Present)
    }

    /// The entry for a lab, if the spec speaks for it.
    pub fn lab(&self, name: &LabName) -> Option<&LabSpec> {
        self.labs.iter().find(|lab| &lab.name == name)
    }

    /// The management network of this name.
    pub fn network(&self, name: &NetworkName) -> Option<&NetworkSpec> {
        self.networks.iter().find(|network| &network.name == name)
    }

    /// What a node's namespace is made from, as a digest: other interfaces or sysctls, or other subnets and gateways of the
    /// management networks that it is on, other facts.
    pub fn facts_digest(&self, node: &NodeSpec) -> String {
        // A cable that is cut is so on the host's side alone.
        let up = |interface: &InterfaceSpec| InterfaceSpec { desired: DesiredLink::Up, ..interface.clone() };
        let interfaces: Cow<'_, [InterfaceSpec]> = match node.interfaces.iter().all(|one| one.desired.is_up()) {
            true => Cow::Borrowed(&node.interfaces),
            false => Cow::Owned(node.interfaces.iter().map(up).collect()),
        };
        let ways = |interface: &InterfaceSpec| {
            let Attachment::Network { network, .. } = &interface.attachment else { return None };
            let network = self.network(network)?;
            let ipv4 = network.ipv4.as_ref().map(|subnet| (subnet.net, subnet.gateway));
            Some((ipv4, network.ipv6.as_ref().map(|subnet| (subnet.net, subnet.gateway))))
        };
        let ways: Vec<_> = node.interfaces.iter().filter_map(ways).collect();
        crate::digest(&(interfaces, node.sysctls(), ways))
    }

    /// The MTU of the host's end of an interface. On a wire as large as it can be; on a management
    /// bridge the network's, for a bridge is as small as its smallest port; where the host or a
    /// bridge of its uses the end, the link's own: what is larger would be lost at the node.
    pub fn host_mtu(&self, interface: &InterfaceSpec) -> Mtu {
        match &interface.attachment {
            Attachment::Wire { .. } => Mtu::HOST_END,
            Attachment::Host | Attachment::ForeignBridge { .. } => interface.mtu,
            Attachment::Network { network, .. } => self.network(network).map_or(Mtu::HOST_END, |network| network.mtu),
        }
    }

    /// The node with this name on the host.
    pub fn node(&self, container: &ContainerName) -> Option<(&LabSpec, &NodeSpec)> {
        self.nodes().find(|(_, node)| &node.container == container)
    }
}

// === impl LabSpec ===

impl LabSpec {
    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<&NodeSpec> {
        self.nodes.named(name.as_str())
    }

    /// The interface at a wire's end.
    pub fn interface(&self, end: &EndRef) -> Option<(&NodeSpec, &InterfaceSpec)> {
        let node = self.node(&end.node)?;
        Some((node, node.interface(&end.interface)?))
    }

    /// The ends that `next` calls otherwise: by what they are called here, what they are there.
    pub fn respelled(&self, next: &Self) -> BTreeMap<EndRef, EndRef> {
        let nodes = self.nodes.iter().filter_map(|node| Some((node, next.node(&node.name)?)));
        let ends = nodes.flat_map(|(node, after)| {
            let names: BTreeMap<_, _> = after.interfaces.iter().map(|after| (after.port(), &after.name)).collect();
            node.interfaces.iter().filter_map(move |interface| {
                let name = *names.get(interface.port())?;
                let end = |name: &InterfaceName| EndRef { node: node.name.clone(), interface: name.clone() };
                (*name != interface.name).then(|| (end(&interface.name), end(name)))
            })
        });
        ends.collect()
    }

    /// The same part with its ends called otherwise, as [`Self::respelled`] has them.
    #[must_use]
    pub fn with_names(mut self, names: &BTreeMap<EndRef, EndRef>) -> Self {
        if names.is_empty() {
            return self;
        }
        let named = |end: &EndRef| names.get(end).unwrap_or(end).clone();
        let mut ids = BTreeMap::new();
        for wire in &mut self.wires {
            wire.ends.iter_mut().for_each(|end| *end = named(end));
            if let (WireShape::Cable, [a, b]) = (wire.shape, wire.ends.as_slice()) {
                let id = LinkId::between(a, b);
                ids.insert(std::mem::replace(&mut wire.id, id.clone()), id);
            }
        }
        for node in &mut self.nodes {
            for interface in &mut node.interfaces {
                let end = EndRef { node: node.name.clone(), interface: interface.name.clone() };
                interface.name = named(&end).interface;
                if let Attachment::Wire { wire } = &mut interface.attachment {
                    *wire = ids.get(wire).unwrap_or(wire).clone();
                }
            }
        }
        self
    }
}

// === impl NodeSpec ===

impl Named for NodeSpec {
    fn name(&self) -> &NodeName {
        &self.name
    }
}

impl NodeSpec {
    /// Every command of one start, in order: those of its stages, and among them those of the list.
    pub fn commands(&self) -> Vec<Command<'_>> {
        self.stages.with(&self.execs)
    }

    /// The interface of this Linux name.
    pub fn interface(&self, name: &InterfaceName) -> Option<&InterfaceSpec> {
        self.interfaces.iter().find(|interface| &interface.name == name)
    }

    /// What the node is made from, as a digest: another body asks for re-creation. What the
    /// environment and labels tell of the rest of the lab does not count: they say how it was when
    /// the node was made, and a link or node more, or a file that was moved, is no reason to make
    /// every other one anew. Nor is when its image is pulled: that is for the next time.
    pub fn body_digest(&self) -> String {
        crate::digest(&self.own_body())
    }

    /// The body without what its environment and labels tell of the rest of the lab, and without what a container that is
    /// made has no use for.
    pub fn own_body(&self) -> NodeBody {
        let mut body = self.body.clone();
        let env = match &mut body {
            NodeBody::Namespace(body) => &mut body.env,
            NodeBody::Container(body) => {
                OF_THE_LAB_LABELS.iter().for_each(|key| drop(body.labels.remove(*key)));
                body.pull = PullPolicy::default();
                &mut body.env
            }
        };
        OF_THE_LAB_ENV.iter().for_each(|key| drop(env.remove(*key)));
        body
    }

    /// The `net.*` settings the file states.
    pub fn sysctls(&self) -> &BTreeMap<String, String> {
        match &self.body {
            NodeBody::Namespace(body) => &body.sysctls,
            NodeBody::Container(body) => &body.sysctls,
        }
    }

    /// When its image is pulled, of a container.
    pub fn pull(&self) -> Option<PullPolicy> {
        match &self.body {
            NodeBody::Namespace(_) => None,
            NodeBody::Container(body) => Some(body.pull),
        }
    }

    /// The ports published on the host.
    pub fn ports(&self) -> &[PublishedPort] {
        match &self.body {
            NodeBody::Namespace(_) => &[],
            NodeBody::Container(body) => &body.ports,
        }
    }

    /// Whether it has a network namespace of its own: all but containers in the host's or another
    /// container's.
    pub fn has_namespace(&self) -> bool {
        !matches!(&self.body, NodeBody::Container(body) if body.host_network || body.network_of.is_some())
    }

    /// The container whose network it uses, when that is not its own.
    pub fn network_of(&self) -> Option<&ContainerName> {
        match &self.body {
            NodeBody::Container(body) => body.network_of.as_ref(),
            NodeBody::Namespace(_) => None,
        }
    }

    /// The container, by name or id, whose processes it sees, when not only its own.
    pub fn processes_of(&self) -> Option<&str> {
        match &self.body {
            NodeBody::Container(body) => body.pid_mode.as_deref()?.strip_prefix(OF_CONTAINER),
            NodeBody::Namespace(_) => None,
        }
    }

    /// The management addresses: those of `eth0`.
    pub fn management(&self) -> Option<(&InterfaceSpec, &NetworkName)> {
        self.interfaces.iter().find_map(|interface| match &interface.attachment {
            Attachment::Network { network, primary: true, .. } => Some((interface, network)),
            _ => None,
        })
    }
}
