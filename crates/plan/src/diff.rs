//! The difference between what is wanted of a host and what was observed, as steps in the order in
//! which they may be taken, with findings for what no step can mend.
//!
//! Pure. A part that could not be read yields no step (R4); nothing without our mark, and nothing
//! of a lab the spec does not speak for, is ever removed (R3).

mod crowd;
mod datapath;
mod devices;
mod namespaces;
mod networks;
mod nodes;
mod passages;

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::observed::{Mark, Observed};
use archetype_model::report::{ExecState, Finding};
use archetype_model::spec::{HostSpec, Presence};
use archetype_model::step::{NodeAction, Resource, Step};
use archetype_model::{BridgeName, ContainerName, InterfaceName, LabName, VlanTag};

use crate::carrier::Carriers;
use crate::resources::Wanted;
use crate::stages::Order;

/// How long a step waits for others at most before it is looked at again; their ends begin a pass by themselves.
const WAITED_FOR_MS: u64 = 1000;

/// How this host's datapath is set up; the same for every spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatapathSettings {
    /// The bridge that carries wires.
    pub bridge: BridgeName,
    /// The tags that are ours to give on it, first and last.
    pub tags: (VlanTag, VlanTag),
    /// The tag of ports without a wire.
    pub dead_tag: VlanTag,
}

/// What an agent knows beside spec and observation: what it did in answer to them so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The time of this pass, in milliseconds of the Unix epoch.
    pub now_ms: u64,
    /// Restart counters carried out.
    pub restarts: BTreeMap<ContainerName, u64>,
    /// Nodes whose last start failed: they are tried again, whatever their restart policy.
    pub unstarted: BTreeSet<ContainerName>,
    /// Ports that were on the bridge as wanted since the agent began.
    pub plugged: BTreeSet<InterfaceName>,
    /// Resources whose steps are not due before a time, in milliseconds of the Unix epoch.
    pub not_before: BTreeMap<Resource, u64>,
    /// What follows from the stages of the nodes.
    pub order: Order,
}

/// The commands of one start of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecMemory {
    /// Which start.
    pub start: String,
    /// Per command, in order.
    pub states: Vec<ExecState>,
}

/// What is to be done, and what cannot be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Steps, grouped: a group begins when the one before it is done; within one they are independent.
    pub phases: Vec<Vec<Step>>,
    /// Differences that no step mends.
    pub findings: Vec<Finding>,
    /// Steps that will be taken later, and when, in milliseconds of the Unix epoch.
    pub later: Vec<(Step, u64)>,
    /// Labs that are to be gone and are not yet, with what is left of them.
    pub leaving: BTreeMap<LabName, Vec<String>>,
    /// The host's ends that follow what the far end does, and whether each is to be up now. A step
    /// on one that was to be otherwise before is no repair.
    pub carriers: BTreeMap<InterfaceName, bool>,
    /// Ports without a wire, or whose wire has no other end yet. A step on one that was not so
    /// before, or on one that was, is no repair either.
    pub parked: BTreeSet<InterfaceName>,
}

/// Everything the rooms of the difference look at.
struct Look<'a> {
    spec: &'a HostSpec,
    wanted: &'a Wanted,
    observed: &'a Observed,
    settings: &'a DatapathSettings,
    memory: &'a Memory,
    carriers: Carriers<'a>,
}

/// What a room found to do.
#[derive(Default)]
struct Room {
    steps: Vec<Step>,
    /// Steps that wait for others to end; nothing has to be waited for but the next pass.
    waiting: Vec<Step>,
    findings: Vec<Finding>,
    parked: BTreeSet<InterfaceName>,
}

/// What is to be done to make the host as `spec` wants it; `wanted` are the digests of this very spec.
pub fn diff(
    spec: &HostSpec,
    wanted: &Wanted,
    observed: &Observed,
    settings: &DatapathSettings,
    memory: &Memory,
) -> Diff {
    let look = Look { spec, wanted, observed, settings, memory, carriers: Carriers::of(spec, observed) };
    let nodes = nodes::diff(&look);
    let crowded = crowd::crowded(&look, &nodes.steps);
    let mut all = Room::default();
    for room in [
        networks::diff(&look),
        passages::diff(&look),
        namespaces::diff(&look),
        devices::diff(&look),
        datapath::diff(&look, &crowded),
        nodes,
    ] {
        all.steps.extend(room.steps);
        all.waiting.extend(room.waiting);
        all.findings.extend(room.findings);
        all.parked.extend(room.parked);
    }
    let (due, mut later) = split_by_time(all.steps, memory);
    later.extend(all.waiting.into_iter().map(|step| (step, memory.now_ms + WAITED_FOR_MS)));
    let carriers = look.carriers.following().map(|(device, up)| (device.clone(), up)).collect();
    Diff { phases: in_order(due), findings: all.findings, later, leaving: leaving(&look), carriers, parked: all.parked }
}

// === impl Diff ===

impl Diff {
    /// Every step that is due.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flatten()
    }

    /// Whether nothing is due.
    pub fn is_empty(&self) -> bool {
        self.phases.iter().all(Vec::is_empty)
    }
}

// === impl Look ===

impl Look<'_> {
    /// Whether a thing with this mark is ours, and of a lab the spec speaks for.
    fn speaks_for(&self, mark: &Mark) -> bool {
        mark.installation == self.spec.installation && self.spec.lab(&mark.lab).is_some()
    }

    fn finding(&self, code: &str, lab: &LabName, resource: Resource, message: String, hint: &str) -> Finding {
        Finding {
            code: code.to_string(),
            lab: Some(lab.clone()),
            resource: Some(resource),
            message,
            hint: hint.to_string(),
        }
    }
}

/// Holds back what backs off.
fn split_by_time(steps: Vec<Step>, memory: &Memory) -> (Vec<Step>, Vec<(Step, u64)>) {
    let mut due = Vec::new();
    let mut later = Vec::new();
    for step in steps {
        match memory.not_before.get(&step.resource()) {
            Some(at) if *at > memory.now_ms => later.push((step, *at)),
            _ => due.push(step),
        }
    }
    (due, later)
}

/// Groups steps: what others stand on first, what stands on others first when removing.
fn in_order(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut phases: Vec<Vec<Step>> = vec![Vec::new(); 5];
    for step in steps {
        phases[phase(&step)].push(step);
    }
    phases.retain(|steps| !steps.is_empty());
    phases
}

fn phase(step: &Step) -> usize {
    match step {
        Step::RemovePort { .. } | Step::SetNetwork { .. } | Step::OpenPassage { .. } | Step::MakeNamespace { .. } => 0,
        Step::Node {
            action: NodeAction::Create | NodeAction::Stop | NodeAction::Remove | NodeAction::GiveUp, ..
        } => 0,
        Step::NameNamespace { .. } | Step::RemoveNamespace { .. } => 1,
        Step::RemoveDevice { .. } | Step::SetDevice { .. } | Step::WriteFacts { .. } => 1,
        Step::MakePair { .. } => 2,
        Step::SetBridge { .. } | Step::AddPort { .. } | Step::SetPort { .. } => 3,
        Step::Node { .. } | Step::RemoveNetwork { .. } | Step::ClosePassage { .. } => 4,
    }
}

/// What is still there of labs that are to be gone.
fn leaving(look: &Look<'_>) -> BTreeMap<LabName, Vec<String>> {
    let gone = look.spec.labs.iter().filter(|lab| lab.presence == Presence::Gone);
    let left = gone.map(|lab| (lab.name.clone(), left_of(look, &lab.name)));
    left.filter(|(_, left)| !left.is_empty()).collect()
}

fn left_of(look: &Look<'_>, lab: &LabName) -> Vec<String> {
    let ours = |mark: &Mark| mark.installation == look.spec.installation && &mark.lab == lab;
    let observed = look.observed;
    let mut left: Vec<String> =
        observed.unreadable().into_iter().map(|(part, _)| format!("{part} unreadable")).collect();
    if let Some(nodes) = observed.containers.known() {
        left.extend(nodes.iter().filter(|(_, node)| ours(&node.mark)).map(|(name, _)| format!("container {name}")));
    }
    if let Some(nodes) = observed.processes.known() {
        left.extend(nodes.iter().filter(|(_, node)| ours(&node.mark)).map(|(name, _)| format!("process of {name}")));
    }
    if let Some(spaces) = observed.namespaces.known() {
        left.extend(spaces.iter().filter(|(_, ns)| ours(&ns.mark)).map(|(name, _)| format!("namespace {name}")));
    }
    if let Some(devices) = observed.devices.known() {
        let marked = devices.iter().filter(|(_, device)| device.mark.as_ref().is_some_and(ours));
        left.extend(marked.map(|(name, _)| format!("device {name}")));
    }
    if let Some(datapath) = observed.datapath.known() {
        let marked = datapath.ports.iter().filter(|(_, port)| port.mark.as_ref().is_some_and(ours));
        left.extend(marked.map(|(name, _)| format!("port {name}")));
    }
    left.extend(networks::going(look).map(|(name, _)| format!("network {name}")));
    left.extend(passages::going(look).map(|bridge| format!("packet rules of bridge {bridge}")));
    left
}
