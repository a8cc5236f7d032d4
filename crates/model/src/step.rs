//! Steps: one change each, named by what it changes. What a step needs beyond its names stands in
//! the spec it was made from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, ContainerName, InterfaceName, LabName, NetworkName};
use crate::number::VlanTag;

/// One change to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Make a management network as the spec says, or mend it: bridge, addresses, rules, names.
    SetNetwork {
        /// Which.
        network: NetworkName,
    },
    /// Remove a management network of ours that no node uses.
    RemoveNetwork {
        /// Which.
        network: NetworkName,
    },
    /// Let what a bridge of the host carries through the host's packet filter.
    OpenPassage {
        /// The bridge.
        bridge: BridgeName,
    },
    /// Take our rules for a bridge of the host out of the host's packet filter.
    ClosePassage {
        /// The bridge.
        bridge: BridgeName,
    },
    /// Make and pin a node's namespace.
    MakeNamespace {
        /// The node.
        container: ContainerName,
    },
    /// Put back the name under `/run/netns`.
    NameNamespace {
        /// The node.
        container: ContainerName,
    },
    /// Remove a namespace of ours with everything in it.
    RemoveNamespace {
        /// The node.
        container: ContainerName,
    },
    /// Write what is to be in a node's namespace, for the runtime to read at each start.
    WriteFacts {
        /// The node.
        container: ContainerName,
    },
    /// Make the pair of devices of one interface: the host's end here, the node's end in place.
    MakePair {
        /// The node.
        container: ContainerName,
        /// Its interface.
        interface: InterfaceName,
        /// The host's end.
        device: InterfaceName,
        /// Whether the host's end is up at once; down takes the carrier from the node's end.
        up: bool,
    },
    /// Remove a device of ours.
    RemoveDevice {
        /// Its name.
        device: InterfaceName,
        /// Its number: another device of that name stays.
        ifindex: u32,
    },
    /// Set the host's end as it is to be.
    SetDevice {
        /// Its name.
        device: InterfaceName,
        /// Its number.
        ifindex: u32,
        /// Administratively up; down takes the carrier from the node's end.
        up: bool,
        /// The Linux bridge it is to be a port of, if any.
        controller: Option<BridgeName>,
    },
    /// Set the bridge's own row, and make the bridge when it is missing.
    SetBridge {
        /// Tags to learn nothing in.
        add_flood: BTreeSet<u16>,
        /// Tags of ours that no cable uses any more.
        remove_flood: BTreeSet<u16>,
    },
    /// Add a port for a device.
    AddPort {
        /// The device and port.
        device: InterfaceName,
        /// The tag.
        tag: PortTag,
    },
    /// Set an existing port as it is to be.
    SetPort {
        /// The port.
        device: InterfaceName,
        /// Its row: another port of that name stays.
        row: String,
        /// The tag.
        tag: PortTag,
    },
    /// Remove a port of ours.
    RemovePort {
        /// The port.
        device: InterfaceName,
        /// Its row.
        row: String,
        /// The bridge it is on.
        bridge: BridgeName,
    },
    /// Begin a task on a node. The pass does not wait for it.
    Node {
        /// The node.
        container: ContainerName,
        /// What to do.
        action: NodeAction,
    },
}

/// What is done to a node by a task of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum NodeAction {
    /// Make it (pulling its image if needed) without starting it.
    Create,
    /// Start it from cold.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Remove it, stopping it first.
    Remove,
    /// Have the task that works on it give up what it waits for outside.
    GiveUp,
    /// Run one command of its exec list.
    Exec {
        /// The command's place in the list, from 0.
        index: usize,
        /// Which start of the node it belongs to.
        start: String,
    },
}

impl NodeAction {
    /// Whether it must not be done twice: once it was begun, its end is waited for.
    pub fn happens_once(&self) -> bool {
        matches!(self, Self::Exec { .. } | Self::Restart)
    }
}

/// The tag a port is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum PortTag {
    /// The tag of its wire.
    Wire {
        /// The tag.
        tag: VlanTag,
    },
    /// No wire: the dead tag, protected.
    Parked {
        /// The dead tag.
        tag: VlanTag,
    },
}

/// What a step changes: the unit that backs off, and that a repair is counted for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "resource", content = "name", rename_all = "kebab-case")]
pub enum Resource {
    /// A management network.
    Network(NetworkName),
    /// A node's namespace.
    Namespace(ContainerName),
    /// A device on the host.
    Device(InterfaceName),
    /// The bridge.
    Bridge,
    /// A port of the bridge.
    Port(InterfaceName),
    /// A node's process or container.
    Node(ContainerName),
    /// The rules that let what a bridge of the host carries through its packet filter.
    Passage(BridgeName),
    /// A lab as a whole.
    Lab(LabName),
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The step.
    pub step: Step,
    /// Nothing, or what went wrong.
    pub error: Option<StepError>,
}

/// Why a step could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// The code of the finding it makes.
    pub code: String,
    /// What went wrong, in words for people.
    pub message: String,
    /// What a person can do.
    pub hint: String,
}

impl StepError {
    /// The code of everything that has none of its own.
    pub const FAILED: &str = "step-failed";
}

/// Words alone: it is tried again by itself, and nothing more is known.
impl From<String> for StepError {
    fn from(message: String) -> Self {
        let hint = "it is tried again by itself; `archetype journal` shows each try".into();
        Self { code: Self::FAILED.into(), message, hint }
    }
}

// === impl Step ===

impl Step {
    /// What the step changes.
    pub fn resource(&self) -> Resource {
        match self {
            Self::SetNetwork { network } | Self::RemoveNetwork { network } => Resource::Network(network.clone()),
            Self::OpenPassage { bridge } | Self::ClosePassage { bridge } => Resource::Passage(bridge.clone()),
            Self::MakeNamespace { container }
            | Self::NameNamespace { container }
            | Self::WriteFacts { container }
            | Self::RemoveNamespace { container } => Resource::Namespace(container.clone()),
            Self::MakePair { device, .. } | Self::RemoveDevice { device, .. } | Self::SetDevice { device, .. } => {
                Resource::Device(device.clone())
            }
            Self::SetBridge { .. } => Resource::Bridge,
            Self::AddPort { device, .. } | Self::SetPort { device, .. } | Self::RemovePort { device, .. } => {
                Resource::Port(device.clone())
            }
            Self::Node { container, .. } => Resource::Node(container.clone()),
        }
    }
}

impl PortTag {
    /// The VLAN tag to set.
    pub fn tag(self) -> VlanTag {
        match self {
            Self::Wire { tag } | Self::Parked { tag } => tag,
        }
    }

    /// Whether the port may talk to no other parked port.
    pub fn protected(self) -> bool {
        matches!(self, Self::Parked { .. })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SetNetwork { network } => write!(f, "set management network {network}"),
            Self::RemoveNetwork { network } => write!(f, "remove management network {network}"),
            Self::OpenPassage { bridge } => write!(f, "let what bridge {bridge} carries through the packet filter"),
            Self::ClosePassage { bridge } => write!(f, "take the packet filter's rules for bridge {bridge} away"),
            Self::MakeNamespace { container } => write!(f, "make namespace of {container}"),
            Self::NameNamespace { container } => write!(f, "name namespace of {container}"),
            Self::RemoveNamespace { container } => write!(f, "remove namespace of {container}"),
            Self::WriteFacts { container } => write!(f, "write facts of {container}"),
            Self::MakePair { container, interface, device, .. } => {
                write!(f, "make {interface} of {container} ({device})")
            }
            Self::RemoveDevice { device, .. } => write!(f, "remove device {device}"),
            Self::SetDevice { device, up, controller, .. } => {
                write!(f, "set device {device} {}", if *up { "up" } else { "down" })?;
                controller.as_ref().map_or(Ok(()), |bridge| write!(f, " on {bridge}"))
            }
            Self::SetBridge { .. } => f.write_str("set bridge"),
            Self::AddPort { device, tag } => write!(f, "add port {device} tag {}", tag.tag()),
            Self::SetPort { device, tag, .. } => write!(f, "set port {device} tag {}", tag.tag()),
            Self::RemovePort { device, .. } => write!(f, "remove port {device}"),
            Self::Node { container, action } => write!(f, "{action} {container}"),
        }
    }
}

impl std::fmt::Display for NodeAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Start => f.write_str("start"),
            Self::Stop => f.write_str("stop"),
            Self::Restart => f.write_str("restart"),
            Self::Remove => f.write_str("remove"),
            Self::GiveUp => f.write_str("give up what is under way on"),
            Self::Exec { index, .. } => write!(f, "run command {} of", index + 1),
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(name) => write!(f, "network {name}"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Device(name) => write!(f, "device {name}"),
            Self::Bridge => f.write_str("bridge"),
            Self::Port(name) => write!(f, "port {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Passage(name) => write!(f, "packet rules of bridge {name}"),
            Self::Lab(name) => write!(f, "lab {name}"),
        }
    }
}
