//! What a host read back. Nothing here is wanted or concluded; what could not be read says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, ContainerName, InstallationId, InterfaceName, Invalid, LabName, NetworkName, NodeName};
use crate::number::Mac;

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

/// Open vSwitch as its database shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatapathObserved {
    /// The running start of `ovs-vswitchd`; none when it does not run.
    pub switch: Option<DaemonStart>,
    /// Whether Open vSwitch has carried out our last write (`cur_cfg` at or past it).
    pub settled: bool,
    /// Our bridge, if there.
    pub bridge: Option<BridgeObserved>,
    /// Every port of every bridge, by name.
    pub ports: BTreeMap<InterfaceName, PortObserved>,
}

/// One start of a daemon: a process id means nothing without its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DaemonStart {
    /// The process id.
    pub pid: u32,
    /// Its start, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub ticks: u64,
}

/// The bridge's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeObserved {
    /// Kernel or userspace.
    pub datapath: DatapathKind,
    /// What it was made as, by our note on it; none where it bears none.
    pub made_as: Option<DatapathKind>,
    /// `fail_mode`, empty when unset.
    pub fail_mode: String,
    /// `other_config:forward-bpdu`.
    pub forward_bpdu: bool,
    /// Tags in which nothing is learned.
    pub flood_vlans: BTreeSet<u16>,
    /// Settings that break a wire: `vlan-limit`, `stp_enable`, a controller; as `name=value`.
    pub harmful: Vec<String>,
    /// Mirrors that copy what ports of ours carry, or end at one: each in words.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// What the switch does with frames of this bridge, whatever its database says.
    pub flows: Reading<FlowsObserved>,
    /// Ports that hear more than one tag, or bear no mark of any installation; its own among them.
    pub hearers: Vec<HearerObserved>,
}

/// A port of the bridge that may hear wires on which it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HearerObserved {
    /// The port; its name may be longer than a device's.
    pub port: String,
    /// What it hears.
    pub hears: Hears,
}

/// The tags that a port hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hears {
    /// Every tag.
    All,
    /// These.
    Tags(BTreeSet<u16>),
}

/// The flow table of a bridge, which is to switch every frame normally and to do nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowsObserved {
    /// How often it was heard to have changed: what was proven before is not proven now.
    pub changes: u64,
    /// What else it does, or does not do: each in words that follow the bridge's name.
    pub wrong: Vec<String>,
}

/// Who moves the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatapathKind {
    /// The kernel's module.
    Kernel,
    /// `ovs-vswitchd` itself (`datapath_type=netdev`).
    Userspace,
    /// No frames at all; for tests of the control plane.
    Dummy,
}

/// A port with its one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortObserved {
    /// The bridge it is on.
    pub bridge: BridgeName,
    /// The port's row: another row is another port.
    pub row: String,
    /// The VLAN tag, if set.
    pub tag: Option<u16>,
    /// `vlan_mode`, empty when unset.
    pub vlan_mode: String,
    /// Whether it may not talk to other protected ports.
    pub protected: bool,
    /// The names of its interfaces: one, of its own name, unless somebody changed that.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Columns set by somebody that change what it carries (trunks, cvlans, …), as `name=value`.
    pub harmful: Vec<String>,
    /// Whose it is; none when it lacks our mark.
    pub mark: Option<Mark>,
    /// The ifindex of the device it was plugged for, from the mark.
    pub plugged_ifindex: Option<u32>,
    /// OpenFlow port number; above 0 when Open vSwitch has it.
    pub ofport: Option<i64>,
    /// Whether Open vSwitch has carried out our last write to it (`cur_cfg` at or past that write).
    pub settled: bool,
    /// Open vSwitch's error text, empty when none.
    pub error: String,
    /// The ifindex that Open vSwitch has for it.
    pub ifindex: Option<u32>,
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
    /// The interface, for ports and devices.
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
    /// Whose it is; none when it lacks our mark.
    pub mark: Option<Mark>,
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
}

/// The node's side of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsideObserved {
    /// The name it has now.
    pub name: String,
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

/// A node's process or container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeObserved {
    /// The full id: of the container, or of the run's state folder.
    pub id: String,
    /// Whose it is.
    pub mark: Mark,
    /// Hash of the body it was created from; another one asks for re-creation.
    pub made_from: String,
    /// What it does.
    pub run: RunObserved,
    /// A task of ours that works on it right now.
    pub busy: Option<Busy>,
    /// What privileges were granted (`privileged`, `confined`, …) for people.
    pub privileges: Option<String>,
    /// Whether the image is a stand-in built from packages.
    pub stand_in: bool,
    /// The containers, by id or name, whose network or processes it was made to share; another container in the place
    /// of one of these is not the one it shares with.
    #[serde(default)]
    pub shares_with: BTreeSet<String>,
}

/// What a node's process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RunObserved {
    /// Not created yet; only a task works on it.
    Absent,
    /// Created, never started.
    Created,
    /// It runs.
    Running {
        /// The first process, in the host's numbering; none for a namespace node without a process.
        pid: Option<u32>,
        /// Which start this is: differs between any two starts.
        start: String,
        /// The engine's word on health (`healthy`, `starting`, …), if it has one.
        health: Option<String>,
    },
    /// It ended.
    Ended {
        /// Which start ended.
        start: String,
        /// How.
        exit: Exit,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Exit {
    /// By itself.
    Status {
        /// The exit status, 0 to 255.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The kernel ended it for want of memory.
    OutOfMemory,
    /// The engine lost it (reboot, engine crash), or nobody saw it end.
    Lost,
}

/// A task that works on a node, seen by a pass as in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// What it does, for people: `pulling IMAGE`, `starting`, …
    pub doing: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_ms: u64,
}

/// A management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkObserved {
    /// The bridge device's ifindex; none when it is missing.
    pub bridge: Option<u32>,
    /// Whether the bridge is ours: by its alias, or by our labelled Docker network that names it.
    pub ours: bool,
    /// Addresses on the bridge.
    pub addresses: BTreeSet<IpAddr>,
    /// Whether the Docker network laid over it is as wanted; unreadable when the engine is.
    pub guests: Reading<bool>,
    /// Whether the rules (way out, published ports) are as wanted, as the hash of what they were made from.
    pub rules: Option<String>,
    /// The nodes' hosts entries as written, as a hash.
    pub hosts: Option<String>,
    /// Containers of other people that are on it.
    pub foreign: Vec<String>,
    /// Whether it began to go by an earlier spec: everything that serves only nodes was taken away,
    /// and it stays for those who are on it.
    #[serde(default)]
    pub leaving: bool,
}

/// The rules of ours for bridges of the host that are not ours: where a packet filter judges what
/// bridges carry, and Docker has it drop what nobody accepts, members reach each other only by them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassagesObserved {
    /// Whether there is a filter that asks for rules.
    pub filtered: bool,
    /// The bridges that rules of ours name, and whether each one's rules are as wanted.
    pub bridges: BTreeMap<BridgeName, bool>,
}

// === impl Hears ===

impl Hears {
    /// Whether it hears this tag.
    pub fn hears(&self, tag: u16) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.contains(&tag),
        }
    }
}

// === impl PortObserved ===

impl PortObserved {
    /// Whether it holds one interface, the one of its name.
    pub fn is_single(&self, name: &InterfaceName) -> bool {
        matches!(self.interfaces.as_slice(), [only] if only == name.as_str())
    }
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

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { code } => write!(f, "exit status {code}"),
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Lost => f.write_str("end not seen"),
        }
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
