//! What a host tells the controller: findings, nodes, wires with their proof, repairs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, ContainerName, HostName, InstallationId, LabName, NodeName};
use crate::number::Generation;
use crate::observed::{Busy, DatapathKind, DeviceObserved, Exit, InsideObserved, Part, PortObserved, RunObserved};
use crate::spec::{EndRef, LinkId};
use crate::stages::When;
use crate::step::Resource;
use crate::topology::Stage;

/// A difference that remains, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, in kebab case; `docs/problems` has a page for each.
    pub code: String,
    /// The lab it belongs to, if to one.
    pub lab: Option<LabName>,
    /// What it is about.
    pub resource: Option<Resource>,
    /// What is so, in a sentence.
    pub message: String,
    /// What a person can do.
    pub hint: String,
}

/// Everything a host tells. Equal reports mean that nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`crate::spec::FORMAT`] of the writer.
    pub format: u32,
    /// Whose agent.
    pub installation: InstallationId,
    /// Which host.
    pub host: HostName,
    /// The generation of the spec it was judged against.
    pub generation: Generation,
    /// Whether nothing was left to do at the end of the pass.
    pub converged: bool,
    /// Who moves the frames, when known.
    pub datapath: Option<DatapathKind>,
    /// Parts that could not be read, with the reason.
    pub unreadable: Vec<(Part, String)>,
    /// Every node of the spec.
    pub nodes: BTreeMap<ContainerName, NodeReport>,
    /// Every wire of the spec and every link out of a lab, by lab and id.
    pub wires: BTreeMap<LabName, BTreeMap<LinkId, WireReport>>,
    /// The `eth0` of every node on a management network.
    #[serde(default)]
    pub management: BTreeMap<ContainerName, EndReport>,
    /// Labs wanted gone of which something is left, and what.
    pub leaving: BTreeMap<LabName, Vec<String>>,
    /// What remains different.
    pub findings: Vec<Finding>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// What its process does; none when that could not be read.
    pub run: Option<RunObserved>,
    /// The container's full id, when there is one.
    pub id: Option<String>,
    /// The task that works on it.
    pub busy: Option<Busy>,
    /// Whether a task works on it because it was made from another spec than the present one.
    #[serde(default)]
    pub outdated: bool,
    /// How many of the wanted restarts are behind it.
    pub restarts: u64,
    /// How often it ended by itself since it last ran for a minute, and how it ended last.
    pub ended: Option<(u32, Exit)>,
    /// When somebody last had its engine end a run of it, in milliseconds of the Unix epoch.
    #[serde(default)]
    pub ended_by_hand_ms: Option<u64>,
    /// When it was seen to have been started while no agent was there, in milliseconds of the Unix epoch.
    #[serde(default)]
    pub started_unseen_ms: Option<u64>,
    /// Whether it ended by itself and stays so, as its restart policy says.
    #[serde(default)]
    pub at_rest: bool,
    /// What it waits for before it goes on, in words.
    #[serde(default)]
    pub waits: Option<String>,
    /// The nodes of its lab that it waits for.
    #[serde(default)]
    pub waits_for: BTreeSet<NodeName>,
    /// What happened to the commands of its exec list in this start.
    pub execs: Vec<ExecReport>,
    /// Its namespace's identity, when it has one.
    pub namespace: Option<u64>,
    /// What it may do on its host, for people.
    pub privileges: Option<String>,
    /// The image that it was created from, which may not be the wanted one yet; none where there is none.
    #[serde(default)]
    pub image: Option<String>,
    /// Whether its image is a stand-in built from packages.
    pub stand_in: bool,
}

/// One command of a node's exec list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecReport {
    /// When it is due; none for the list `exec`.
    #[serde(default)]
    pub stage: Option<When>,
    /// The command's words.
    pub command: Vec<String>,
    /// What became of it.
    pub state: ExecState,
}

impl ExecReport {
    /// Whether it is due when the node enters its last stage, or later.
    pub fn is_of_end(&self) -> bool {
        matches!(self.stage, Some(When::Stage(Stage::Exit, _)))
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ExecState {
    /// Not yet.
    Waiting,
    /// It runs, or was about to when the agent last looked.
    Running {
        /// The engine's id for it.
        id: Option<String>,
    },
    /// It ended.
    Ended {
        /// Its exit status.
        code: i64,
        /// The end of what it printed.
        output: String,
    },
    /// It was killed, for it took longer than it may.
    OutOfTime {
        /// How long it may take, in seconds.
        seconds: u64,
        /// The end of what it printed.
        output: String,
    },
    /// It was ended before it was over, for its node was to stop, to start again, or to go.
    GivenUp {
        /// The end of what it printed, as far as that is known.
        output: String,
    },
    /// The engine no longer knows it.
    Unknown,
    /// The commands were changed while the node ran: this one is of its next start.
    NextStart,
}

impl ExecState {
    /// Whether nothing more comes of it in this start.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Running { .. })
    }
}

/// One wire as its host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireReport {
    /// Its local ends.
    pub ends: Vec<EndReport>,
    /// What the wiring is made of right now; none while it is not complete.
    pub wiring: Option<Wiring>,
    /// The last probes that crossed it, or did not.
    pub proof: Option<Proof>,
}

/// What a wiring is made of (ports, ifindexes, tags, namespaces, the switch's start). A proof
/// holds for the wiring it was made on and for no other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wiring(pub String);

/// What probe frames showed about a wiring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The wiring they crossed; the empty one where they are to be sent anew.
    pub wiring: Wiring,
    /// What became of them.
    pub result: ProbeResult,
}

/// What became of the probes of one wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum ProbeResult {
    /// Every direction was crossed.
    Crossed,
    /// Some were not crossed.
    Lost {
        /// Directions, `from -> to`.
        directions: Vec<String>,
    },
    /// Probes could not be sent.
    NotSent {
        /// Why.
        why: String,
    },
}

/// What was read at one end of a wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndReport {
    /// The end.
    pub end: EndRef,
    /// The host's device.
    pub device_name: String,
    /// The port's row; none when missing.
    pub port: Option<PortObserved>,
    /// The host's device; none when missing.
    pub device: Option<DeviceObserved>,
    /// The Linux bridge that the host's device is to be a port of; none where it is to be of none.
    #[serde(default)]
    pub bridge: Option<BridgeSeen>,
    /// The node's side; none when missing.
    pub inside: Option<InsideObserved>,
    /// Whether the node runs; none when that could not be read.
    pub running: Option<bool>,
    /// What is not as it is to be, in words, the most telling first.
    pub faults: Vec<Fault>,
}

/// A Linux bridge as the end of a link sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeSeen {
    /// Its name.
    pub name: BridgeName,
    /// Its number; none when it is missing.
    pub ifindex: Option<u32>,
    /// Whether it is administratively up.
    pub up: bool,
}

/// Something at an end that keeps a wire from being up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", content = "what", rename_all = "kebab-case")]
pub enum Fault {
    /// Could not be read.
    Unreadable(String),
    /// The node is not there or does not run; what it waits for.
    NodeNotRunning(String),
    /// Not made yet, or about to be mended.
    NotMade(String),
    /// Made, and parked until the other end is.
    Parked(String),
    /// Wrong, and it stays so.
    Wrong(String),
    /// The node's own software shut the interface.
    ShutInside(String),
    /// It is wanted down, and what asks for it to be up again.
    WantedDown(String),
}

/// A step whose cause was drift, numbered by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Rises by one per repair of this agent, in the order in which they end; tells doubles apart. 0 until it has ended.
    pub number: u64,
    /// The lab, if it concerns one.
    pub lab: Option<LabName>,
    /// What was found, in a sentence.
    pub found: String,
    /// What was done, in words; empty when the agent died in between and found it mended.
    pub done: Vec<String>,
    /// What was mended.
    pub resource: Resource,
    /// When it was found, in milliseconds of the Unix epoch.
    pub at_ms: u64,
    /// How it went.
    pub outcome: RepairOutcome,
}

/// How a repair went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum RepairOutcome {
    /// It was carried out.
    Mended,
    /// It failed, and why; it will be tried again.
    Failed {
        /// Why.
        why: String,
    },
    /// The agent ended between finding and noting; it is right now.
    FoundMended,
}
