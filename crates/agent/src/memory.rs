//! What the agent learns from pass to pass: how nodes ended, what backs off, what is settled.
//!
//! Lives in memory only; what must survive the agent is in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archetype_host::event::TaskError;
use archetype_model::observed::{Exit, NodeObserved, Observed, RunObserved};
use archetype_model::report::Finding;
use archetype_model::spec::{DesiredLink, DesiredRun, HostSpec, LinkId};
use archetype_model::step::{Resource, Step, StepError};
use archetype_model::{ContainerName, InterfaceName, LabName};
use archetype_plan::diff::Diff;
use archetype_plan::resources::Wanted;

use crate::seen::node_in;
use crate::undone::Undone;

/// A run at least this long starts a node's count of ends anew.
const LONG_RUN_MS: u64 = 60_000;
/// No resource waits longer than this for its next try.
const LONGEST_WAIT_MS: u64 = 60_000;

/// Wires that are held down.
pub(crate) type HeldDown = BTreeSet<(LabName, LinkId)>;

/// The agent's memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// How each node ran and ended.
    pub(crate) runs: BTreeMap<ContainerName, Runs>,
    /// Resources whose last step failed.
    pub(crate) failed: BTreeMap<Resource, Failed>,
    /// Nodes on which a command of the exec list or a wanted restart was begun and has not been told
    /// as ended. What the host shows may be a moment older or younger than that.
    pub(crate) begun: BTreeMap<ContainerName, Begun>,
    /// Resources that were as wanted at the end of some pass, with what was wanted of them.
    pub(crate) settled: BTreeMap<Resource, String>,
    /// Since when nothing but its delay holds a node back, in milliseconds of the Unix epoch.
    pub(crate) ready: BTreeMap<ContainerName, u64>,
    /// The spec with the wires that stages hold down, the same for as long as both are.
    held: Option<(Arc<HostSpec>, HeldDown, Arc<HostSpec>)>,
    /// What each host's end that follows its far end was made last. One that is to be otherwise now
    /// follows; one that is not as it was made has drifted.
    pub(crate) carriers: BTreeMap<InterfaceName, bool>,
    /// Which start of each node a former agent saw run last; none before the first pass. Each is compared once.
    former: Option<BTreeMap<ContainerName, String>>,
    /// When the starts that run are to be written down, in milliseconds of the Unix epoch; none where they are.
    pub(crate) starts_due_ms: Option<u64>,
    /// When nodes were seen in a start that no agent saw begin, in milliseconds of the Unix epoch.
    pub(crate) unseen_starts: BTreeMap<ContainerName, u64>,
    /// Repairs that somebody undoes.
    pub(crate) undone: Undone,
    /// Ports that were parked at the end of the last round.
    pub(crate) parked: BTreeSet<InterfaceName>,
    /// What a spec wants: the same for as long as the spec is.
    wanted: Option<(Arc<HostSpec>, Arc<Wanted>)>,
}

/// Something that is to happen once, and was begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Whether the node was seen with nothing at work on it since. Its end is told before that is seen.
    pub(crate) is_idle: bool,
    /// The restarts that are behind the node when it is done.
    pub(crate) restarts: u64,
}

/// How one node ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// The start it is in, and when it was first seen running.
    running: Option<(String, u64)>,
    /// Ends since it last ran for a minute.
    pub(crate) count: u32,
    /// The last end, by its start.
    last: Option<(String, Exit)>,
    /// Not to be started before.
    not_before: u64,
}

/// The code of a stop that failed.
const STOP_FAILED: &str = "node-stop-failed";

/// A resource whose step failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    count: u32,
    not_before: u64,
    /// What a report says of it.
    pub(crate) finding: Finding,
}

impl Memory {
    /// Compares the nodes that run with the starts that a former agent saw last. A node of a room that cannot be read is
    /// compared as soon as it can.
    pub(crate) fn compare_starts(
        &mut self,
        before: &BTreeMap<ContainerName, String>,
        spec: &HostSpec,
        observed: &Observed,
        now_ms: u64,
    ) {
        let former = self.former.get_or_insert_with(|| before.clone());
        if former.is_empty() {
            return;
        }
        former.retain(|container, start| {
            let Some((_, node)) = spec.node(container) else { return false };
            let Some(seen) = node_in(observed, node) else { return true };
            if let Some(RunObserved::Running { start: now, .. }) = seen.map(|seen| &seen.run)
                && now != start
            {
                self.unseen_starts.insert(container.clone(), now_ms);
            }
            false
        });
    }

    /// Forgets what was begun on nodes that were idle in a former pass although no end was told: another task had just
    /// taken the node, and it never was. To be called once everything that was told by then is taken.
    pub(crate) fn forget_never_begun(&mut self) {
        self.begun.retain(|_, begun| !begun.is_idle);
    }

    /// Learns from an observation which nodes ended, and when they are due again.
    pub(crate) fn learn(&mut self, (spec, made): (&HostSpec, &Wanted), observed: &Observed, now_ms: u64) {
        let wanted: BTreeSet<&ContainerName> = spec.nodes().map(|(_, node)| &node.container).collect();
        self.runs.retain(|container, _| wanted.contains(container));
        self.unseen_starts.retain(|container, _| wanted.contains(container));
        for (_, node) in spec.nodes() {
            let Some(seen) = node_in(observed, node).flatten() else { continue };
            let runs = self.runs.entry(node.container.clone()).or_default();
            runs.learn(seen, node.desired, now_ms);
            if let Some(begun) = self.begun.get_mut(&node.container).filter(|_| seen.busy.is_none()) {
                begun.is_idle = true;
            }
            let runs = matches!(seen.run, RunObserved::Running { .. }) && node.desired == DesiredRun::Running;
            let runs_as_wanted = runs && made.body(&node.container) == Some(&seen.made_from);
            if runs_as_wanted && seen.busy.is_none() {
                let resource = Resource::Node(node.container.clone());
                // That it runs says nothing of a stop that failed on the way to a restart.
                self.failed.retain(|failed, why| *failed != resource || why.finding.code == STOP_FAILED);
            }
        }
    }

    /// The spec as it is to be now: wires that stages hold are down.
    pub(crate) fn with_held(&mut self, spec: &Arc<HostSpec>, wires: HeldDown) -> Arc<HostSpec> {
        if wires.is_empty() {
            self.held = None;
            return Arc::clone(spec);
        }
        if let Some((of, held, made)) = &self.held
            && Arc::ptr_eq(of, spec)
            && *held == wires
        {
            return Arc::clone(made);
        }
        let mut made = HostSpec::clone(spec);
        for lab in &mut made.labs {
            let name = lab.name.clone();
            let held = lab.wires.iter_mut().filter(|wire| wires.contains(&(name.clone(), wire.id.clone())));
            held.for_each(|wire| wire.desired = DesiredLink::Down);
        }
        let made = Arc::new(made);
        self.held = Some((Arc::clone(spec), wires, Arc::clone(&made)));
        made
    }

    /// What the spec wants.
    pub(crate) fn wanted(&mut self, spec: &Arc<HostSpec>) -> Arc<Wanted> {
        match &self.wanted {
            Some((of, wanted)) if Arc::ptr_eq(of, spec) => wanted.clone(),
            _ => {
                let wanted = Arc::new(Wanted::of(spec));
                self.wants(spec, wanted.clone());
                wanted
            }
        }
    }

    /// Takes what the spec wants, which somebody worked out. What failed on a node says nothing of one that is to be made
    /// from something else, or in another way.
    pub(crate) fn wants(&mut self, spec: &Arc<HostSpec>, wanted: Arc<Wanted>) {
        if let Some((former, before)) = &self.wanted {
            let pull = |spec: &HostSpec, node: &ContainerName| spec.node(node).and_then(|(_, node)| node.pull());
            self.failed.retain(|resource, _| match resource {
                Resource::Node(node) => {
                    before.body(node) == wanted.body(node) && pull(former, node) == pull(spec, node)
                }
                _ => true,
            });
        }
        self.wanted = Some((spec.clone(), wanted));
    }

    /// Nodes whose last task failed.
    pub(crate) fn unstarted(&self) -> BTreeSet<ContainerName> {
        let nodes = self.failed.keys().filter_map(|resource| match resource {
            Resource::Node(container) => Some(container.clone()),
            _ => None,
        });
        nodes.collect()
    }

    /// Ports that were on the bridge as wanted.
    pub(crate) fn plugged(&self) -> BTreeSet<InterfaceName> {
        let ports = self.settled.keys().filter_map(|resource| match resource {
            Resource::Port(port) => Some(port.clone()),
            _ => None,
        });
        ports.collect()
    }

    /// Notes what a step has made of a host's end, whatever follows from the far end later.
    pub(crate) fn made(&mut self, step: &Step) {
        if let Step::MakePair { device, up, .. } = step {
            self.carriers.insert(device.clone(), *up);
        }
    }

    /// Notes what was made, or found to be, because of what is so at the far ends. Nothing was made of what was `left`.
    pub(crate) fn followed(&mut self, found: &Diff, left: &BTreeSet<Resource>) {
        let is_left = |port: &InterfaceName| {
            let resource = Resource::Port(port.clone());
            left.contains(&resource) || self.failed.contains_key(&resource)
        };
        let parked = found.parked.iter().filter(|port| !is_left(port)).cloned();
        self.parked = parked.chain(self.parked.iter().filter(|port| is_left(port)).cloned()).collect();
        for (device, up) in &found.carriers {
            let resource = Resource::Device(device.clone());
            if self.carriers.get(device) != Some(up)
                && !self.failed.contains_key(&resource)
                && !left.contains(&resource)
            {
                self.carriers.insert(device.clone(), *up);
            }
        }
    }

    /// When each resource that backs off is due.
    pub(crate) fn not_before(&self) -> BTreeMap<Resource, u64> {
        let failed = self.failed.iter().map(|(resource, failed)| (resource.clone(), failed.not_before));
        let ended = self.runs.iter().map(|(name, runs)| (Resource::Node(name.clone()), runs.not_before));
        let mut all = BTreeMap::new();
        for (resource, at) in failed.chain(ended).chain(self.undone.not_before()) {
            let due = all.entry(resource).or_insert(at);
            *due = at.max(*due);
        }
        all
    }

    /// Notes that a step on a resource failed; it is tried again after 1, 2, 4, … 60 s.
    pub(crate) fn failed(&mut self, resource: Resource, finding: Finding, now_ms: u64) {
        let count = self.failed.get(&resource).map_or(0, |failed| failed.count);
        let wait = 1000u64.saturating_mul(1 << count.min(6)).min(LONGEST_WAIT_MS);
        self.failed.insert(resource, Failed { count: count + 1, not_before: now_ms + wait, finding });
    }

    /// Notes that a step on a resource was carried out.
    pub(crate) fn succeeded(&mut self, resource: &Resource) {
        // A node's task is only begun by its step; it succeeds when it is seen running.
        if !matches!(resource, Resource::Node(_)) {
            self.failed.remove(resource);
        }
    }

    /// Forgets every wait, so that everything is tried at once.
    pub(crate) fn forget_waits(&mut self) {
        self.failed.values_mut().for_each(|failed| failed.not_before = 0);
        self.undone.forget();
    }

    /// Forgets the waits of what failed under this code.
    pub(crate) fn forget_waits_of(&mut self, code: &str) {
        let cured = self.failed.values_mut().filter(|failed| failed.finding.code == code);
        cured.for_each(|failed| failed.not_before = 0);
    }

    /// When and how often a node ended.
    pub(crate) fn ends_of(&self, container: &ContainerName) -> Option<(u32, Exit)> {
        let runs = self.runs.get(container)?;
        let (_, exit) = runs.last.as_ref()?;
        (runs.count > 0).then(|| (runs.count, exit.clone()))
    }

    /// When the running start of a node was first seen.
    pub(crate) fn running_since(&self, container: &ContainerName) -> Option<u64> {
        self.runs.get(container)?.running.as_ref().map(|(_, since)| *since)
    }
}

impl Runs {
    fn learn(&mut self, seen: &NodeObserved, desired: DesiredRun, now_ms: u64) {
        match &seen.run {
            RunObserved::Running { start, .. } => {
                if self.running.as_ref().is_none_or(|(known, _)| known != start) {
                    self.running = Some((start.clone(), now_ms));
                    // Whoever started it: nothing waits for a start any more, and its commands do not either.
                    self.not_before = 0;
                }
            }
            RunObserved::Ended { start, exit } => {
                let counted = self.last.as_ref().is_some_and(|(known, _)| known == start);
                // While a task of ours works on it, the end is of its making.
                if counted || seen.at_work().is_some() {
                    return;
                }
                let lived = self.running.take().map_or(0, |(_, since)| now_ms.saturating_sub(since));
                self.last = Some((start.clone(), exit.clone()));
                if desired == DesiredRun::Stopped {
                    (self.count, self.not_before) = (0, 0);
                    return;
                }
                self.count = if lived >= LONG_RUN_MS { 1 } else { self.count + 1 };
                // 0, 1, 2, 4, … 60 s.
                let wait = if self.count <= 1 { 0 } else { 1000u64 << (self.count - 2).min(6) };
                self.not_before = now_ms + wait.min(LONGEST_WAIT_MS);
            }
            RunObserved::Absent | RunObserved::Created => {}
        }
    }
}

/// The finding for a step that the host could not take.
pub(crate) fn step_failed(step: &Step, error: StepError) -> Finding {
    // Words with a code of their own say what they are about.
    let message = if error.code == StepError::FAILED { format!("{step}: {error}") } else { error.message };
    Finding { code: error.code, lab: None, resource: Some(step.resource()), message, hint: error.hint }
}

/// The finding for a task that failed.
pub(crate) fn task_failed(resource: &Resource, error: &TaskError) -> Finding {
    Finding {
        code: error.code.into(),
        lab: None,
        resource: Some(resource.clone()),
        message: error.message.clone(),
        hint: error.hint.clone(),
    }
}
