//! What is wanted of one host: the whole document, with a generation.
//!
//! A spec names a wire by its ends; which tag marks it is the datapath's part of the wire. Names
//! of devices are given once, by the planner, and never reused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ecow::{EcoString, eco_format};
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, ContainerName, HostName, InstallationId, InterfaceName, LabName, NetworkName, NodeName};
use crate::number::{Generation, Mac, Mtu, VlanTag};
use crate::restart::RestartRule;
use crate::stages::{Command, StagesSpec};

/// Variables that tell of the rest of the lab: how many links the node has, which names and subnets
/// there are, and in which folder the lab's file lies.
const OF_THE_LAB_ENV: [&str; 5] =
    ["CLAB_INTFS", "NO_PROXY", "no_proxy", "CLAB_LABEL_CLAB_NODE_LAB_DIR", "CLAB_LABEL_CLAB_TOPO_FILE"];
/// Labels that tell of the rest of the lab.
const OF_THE_LAB_LABELS: [&str; 3] = ["clab-mgmt-net-bridge", "clab-node-lab-dir", "clab-topo-file"];

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
    pub nodes: Vec<NodeSpec>,
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

/// What runs a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sort", rename_all = "kebab-case")]
pub enum NodeBody {
    /// A network namespace with the host's own programs.
    Namespace(NamespaceBody),
    /// A container of the Docker Engine.
    Container(Box<ContainerBody>),
}

/// A namespace node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceBody {
    /// The supervised process, or none.
    pub cmd: Option<Vec<String>>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What is bound into its own mount namespace.
    pub binds: Vec<Bind>,
    /// `net.*` settings of its namespace.
    pub sysctls: BTreeMap<String, String>,
    /// Its health check, run by the agent, when the file states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthcheckSpec>,
}

/// A container node: what Docker's create call needs beyond what every node has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerBody {
    /// The image reference, as written.
    pub image: String,
    /// When to pull.
    pub pull: PullPolicy,
    /// The host name inside.
    pub hostname: String,
    /// Whether it runs in the host's own network namespace (`network-mode: host`): then it has no
    /// namespace of ours and no interfaces.
    #[serde(default)]
    pub host_network: bool,
    /// The container of the lab whose network it uses (`network-mode: container:`): then, too, it
    /// has no namespace of ours and no interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_of: Option<ContainerName>,
    /// Overrides the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Overrides the image's command.
    pub cmd: Option<Vec<String>>,
    /// The user to run as.
    pub user: Option<String>,
    /// The environment, containerlab's own variables included.
    pub env: BTreeMap<String, String>,
    /// Labels, containerlab's own included; ours are added on creation.
    pub labels: BTreeMap<String, String>,
    /// Binds of host paths.
    pub binds: Vec<Bind>,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// CPU limit in thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// CPUs it may run on, in Linux list form (`0-1,3`).
    pub cpu_set: Option<String>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// What it may do on its host.
    pub privileges: Privileges,
    /// Capabilities added, as written.
    pub cap_add: Vec<String>,
    /// Host devices given, as Docker's `--device` takes them.
    pub devices: Vec<String>,
    /// `net.*` settings.
    pub sysctls: BTreeMap<String, String>,
    /// tmpfs mounts: path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// Resolver settings; empty lists mean the host's own.
    pub dns: DnsSpec,
    /// Extra lines for the hosts file, `name:address`.
    pub extra_hosts: Vec<String>,
    /// Docker's health check, when the file states one.
    pub healthcheck: Option<HealthcheckSpec>,
    /// The signal that stops it; none is the image's own.
    pub stop_signal: Option<String>,
    /// Volumes of the engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeSpec>,
    /// The cgroup namespace: `host` or `private`; none is the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_namespace: Option<String>,
    /// The cgroup above its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// The PID namespace: `host`, or `container:` and a name or id; none is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<String>,
    /// Options of the engine's security, as `docker run --security-opt` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_options: Vec<String>,
}

/// A volume of the engine, seen inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name, under which it outlives the node; without one it goes with the node.
    pub name: Option<String>,
    /// The path inside.
    pub target: PathBuf,
    /// Docker's options (`ro`, `nocopy`), as written.
    pub options: Option<String>,
}

/// A health check, with times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthcheckSpec {
    /// Docker's form: `CMD`, then words, or `CMD-SHELL`, then one shell line.
    pub test: Vec<String>,
    /// Seconds between checks; 0 is Docker's default.
    pub interval: u64,
    /// Seconds one check may take.
    pub timeout: u64,
    /// Seconds after start in which failures do not count.
    pub start_period: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u64,
}

/// What a node may do on its host (nodes.md 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privileges {
    /// The file states `privileged: true`: demanded, an error where the machine refuses.
    Demanded,
    /// The file says nothing: all that the machine grants.
    #[default]
    AsGranted,
    /// The file states `privileged: false`: Docker's defaults and `cap-add`.
    Confined,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When the engine has none of this name.
    #[default]
    IfNotPresent,
    /// Before each creation.
    Always,
    /// Never; an image that is missing is a finding.
    Never,
}

/// A host path seen inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The path on the host, absolute.
    pub source: PathBuf,
    /// The path inside.
    pub target: PathBuf,
    /// Docker's options after the second colon (`ro`, `z`, …), as written.
    pub options: Option<String>,
}

impl Bind {
    /// Whether the node may only read it.
    pub fn read_only(&self) -> bool {
        self.options.as_deref().is_some_and(|o| o.split(',').any(|o| o == "ro"))
    }
}

/// Resolver settings of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

/// A port of the host that leads to a port of the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Only on this address of the host; none is every address.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The node's port.
    pub node_port: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}

/// One line of a hosts file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostsLine {
    /// The address.
    pub address: IpAddr,
    /// Its names, the first being the canonical one.
    pub names: Vec<String>,
}

/// One interface of a node and its host side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSpec {
    /// Its Linux name inside the node.
    pub name: InterfaceName,
    /// How the file writes it.
    pub written: String,
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
        Self(eco_format!("{a}--{b}"))
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

    /// The MTU of the host's end of an interface. On a wire as large as it can be; on a management
    /// bridge the network's, for a bridge is as small as its smallest port; where the host or a
    /// bridge of its uses the end, the link's own: what is larger would be lost at the node.
    pub fn host_mtu(&self, interface: &InterfaceSpec) -> Mtu {
        match &interface.attachment {
            Attachment::Wire { .. } => Mtu::HOST_END,
            Attachment::Host | Attachment::ForeignBridge { .. } => interface.mtu,
            Attachment::Network { network, .. } => {
                let found = self.networks.iter().find(|candidate| &candidate.name == network);
                found.map_or(Mtu::HOST_END, |network| network.mtu)
            }
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
        self.nodes.iter().find(|node| &node.name == name)
    }

    /// The interface at a wire's end.
    pub fn interface(&self, end: &EndRef) -> Option<(&NodeSpec, &InterfaceSpec)> {
        let node = self.node(&end.node)?;
        Some((node, node.interface(&end.interface)?))
    }
}

// === impl NodeSpec ===

impl NodeSpec {
    /// Every command of one start, in order: those of its stages, and among them those of the list.
    pub fn commands(&self) -> Vec<Command<'_>> {
        self.stages.with(&self.execs)
    }

    /// The interface of this Linux name.
    pub fn interface(&self, name: &InterfaceName) -> Option<&InterfaceSpec> {
        self.interfaces.iter().find(|interface| &interface.name == name)
    }

    /// What the namespace is made from, as a digest: other interfaces or sysctls, other facts.
    pub fn facts_digest(&self) -> String {
        if self.interfaces.iter().all(|interface| interface.desired.is_up()) {
            return crate::digest(&(&self.interfaces, self.sysctls()));
        }
        // A cable that is cut is so on the host's side alone.
        let up = |interface: &InterfaceSpec| InterfaceSpec { desired: DesiredLink::Up, ..interface.clone() };
        let interfaces: Vec<InterfaceSpec> = self.interfaces.iter().map(up).collect();
        crate::digest(&(interfaces, self.sysctls()))
    }

    /// What the node is made from, as a digest: another body asks for re-creation. What the
    /// environment and labels tell of the rest of the lab does not count: they say how it was when
    /// the node was made, and a link or node more, or a file that was moved, is no reason to make
    /// every other one anew.
    pub fn body_digest(&self) -> String {
        crate::digest(&self.own_body())
    }

    /// The body without what its environment and labels tell of the rest of the lab.
    pub fn own_body(&self) -> NodeBody {
        let mut body = self.body.clone();
        let env = match &mut body {
            NodeBody::Namespace(body) => &mut body.env,
            NodeBody::Container(body) => {
                OF_THE_LAB_LABELS.iter().for_each(|key| drop(body.labels.remove(*key)));
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

    /// The management addresses: those of `eth0`.
    pub fn management(&self) -> Option<(&InterfaceSpec, &NetworkName)> {
        self.interfaces.iter().find_map(|interface| match &interface.attachment {
            Attachment::Network { network, primary: true, .. } => Some((interface, network)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(node: &str, interface: &str) -> EndRef {
        EndRef { node: node.parse().unwrap(), interface: interface.parse().unwrap() }
    }

    #[test]
    fn a_link_has_one_id_from_either_end() {
        let (a, b) = (end("r1", "eth1"), end("PC1", "eth2"));
        assert_eq!(LinkId::between(&a, &b), LinkId::between(&b, &a));
        assert_eq!(LinkId::between(&a, &b).as_str(), "PC1:eth2--r1:eth1");
    }
}
