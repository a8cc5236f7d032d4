//! Open vSwitch as it was read: bridge, ports, and what may hear what.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Mark, Reading};
use crate::name::{BridgeName, InterfaceName};

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
    /// Where mirrors put their copies.
    #[serde(default)]
    pub copies: Vec<CopiesTo>,
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

/// Where a mirror puts its copies: what is there carries something else than was sent into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopiesTo {
    /// To a port, which then sends nothing else.
    Port {
        /// The mirror's name.
        mirror: String,
        /// The port's.
        port: String,
    },
    /// To every port of a tag.
    Tag {
        /// The mirror's name.
        mirror: String,
        /// The tag.
        tag: u16,
    },
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

impl Hears {
    /// Whether it hears this tag.
    pub fn hears(&self, tag: u16) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => tags.contains(&tag),
        }
    }
}

impl PortObserved {
    /// Whether it holds one interface, the one of its name.
    pub fn is_single(&self, name: &InterfaceName) -> bool {
        matches!(self.interfaces.as_slice(), [only] if only == name.as_str())
    }
}
