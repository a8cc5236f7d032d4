//! One pass: observe, diff, apply what is due, observe again, probe, report.
//!
//! Takes no argument that says why it runs: a user's request, a timer, a restart and an event all
//! run the same pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archetype_host::{Event, Host};
use archetype_model::observed::Observed;
use archetype_model::report::{Finding, Report};
use archetype_model::spec::{HostSpec, NodeSpec};
use archetype_model::step::{NodeAction, Outcome, Resource, Step};
use archetype_model::{ContainerName, InterfaceName};
use archetype_plan::carrier::Carriers;
use archetype_plan::diff::{DatapathSettings, Diff, Memory as Known, diff};
use archetype_plan::joining;
use archetype_plan::resources::Wanted;
use archetype_plan::stages::{self, HeldWires, Order};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::memory::{Begun, Memory, step_failed};
use crate::ordering::{self, Looking, PATIENCE_MS, tell_held};
use crate::probes::{Proofs, Wires};
use crate::repairs;
use crate::reporting::{Seen, report};
use crate::seen::{Unsettled, in_work, is_moot, right, starts};

/// Rounds of observe, diff, apply in one pass. Three are usual: make, mend what making showed,
/// find nothing. If 12 are reached, steps fight each other, and the finding says so.
const ROUNDS: usize = 12;

/// After so long a host that came to no rest is looked at again.
const RESTLESS_MS: u64 = 1_000;
/// Starts that run are written down within this.
const STARTS_NOTED_WITHIN_MS: u64 = 1_000;

/// Everything one pass works with.
pub(crate) struct Pass<'a, H> {
    pub(crate) host: &'a Arc<H>,
    pub(crate) settings: &'a DatapathSettings,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) memory: &'a mut Memory,
    pub(crate) proofs: &'a mut Proofs,
    pub(crate) clock: Clock,
    /// What has happened since the pass began, for the next one.
    pub(crate) events: &'a UnboundedReceiver<Event>,
    /// Repairs that this run of the agent opened.
    pub(crate) opened_here: &'a mut BTreeSet<Resource>,
}

/// What a pass ended with.
pub(crate) struct Passed {
    pub(crate) report: Report,
    /// When the next pass is due without any event, in milliseconds of the Unix epoch.
    pub(crate) again_ms: Option<u64>,
    /// Steps taken.
    pub(crate) writes: usize,
}

impl<H: Host> Pass<'_, H> {
    pub(crate) async fn run(mut self, spec: &Arc<HostSpec>) -> Passed {
        self.ledger.catch_up();
        self.memory.forget_never_begun();
        self.remember_restarts(spec);
        let (base, mut writes, mut round) = (spec, 0, 0);
        let (spec, wanted, observed, mut wires, found, order) = loop {
            let held = stages::held_wires(base, &self.ledger.done().stages);
            let spec = self.memory.with_held(base, held.keys().cloned().collect());
            let wanted = self.memory.wanted(&spec);
            if self.ledger.done().converged.as_ref() == Some(&spec.generation) && self.memory.settled.is_empty() {
                self.memory.settled = wanted.resources.clone();
            }
            let observed = self.host.observe().await;
            self.memory.compare_starts(&self.ledger.done().starts, &spec, &observed, self.clock.now_ms());
            self.memory.settled.retain(|resource, _| !is_moot(resource, &observed));
            self.unsettle_followers(&spec, &wanted.resources, &observed);
            let wires = self.look_at_wires(&spec, &observed).await;
            let (found, order) = self.difference((&spec, &wanted), &observed, &wires, &held);
            round += 1;
            let moved = stages::held_wires(base, &self.ledger.done().stages) != held;
            if found.is_empty() && !moved || round > ROUNDS {
                break (spec, wanted, observed, wires, found, order);
            }
            for step in found.steps() {
                tracing::debug!(round, %step, "due");
            }
            let taken = self.take((&spec, &observed), &wanted.resources, &found).await;
            self.memory.followed(&found, &taken.left);
            writes += taken.writes;
        };
        let (spec, mut found) = (&spec, found);
        // After so many rounds there may still be something to be done, which is left for the next pass.
        self.memory.followed(&found, &in_work(&found));
        tell_held(&mut wires, spec, &order.held_wires);
        let right = right(&wanted.resources, spec, &observed, &found);
        let is_complete = wanted.resources.keys().all(|one| right.contains(one) || is_moot(one, &observed));
        self.settle(spec, &wanted.resources, &right, &observed, &found, is_complete);
        let again_ms = self.next_due(spec, &found, &order);
        found.findings.extend(restless(&found));
        found.findings.extend(self.memory.undone.findings());
        found.findings.extend(self.ledger.unwritten().map(not_written));
        let converged = is_complete && found.findings.is_empty();
        // What no lab's resource is about keeps nothing from being as wanted.
        found.findings.extend(self.host.findings());
        let report = report(Seen {
            spec,
            wanted: &wanted,
            observed: &observed,
            wires,
            findings: found.findings,
            leaving: found.leaving,
            memory: self.memory,
            done: self.ledger.done(),
            waits: order.waits,
            converged,
        });
        Passed { report, again_ms, writes }
    }

    /// A node that was never there has all its restarts behind it.
    fn remember_restarts(&mut self, spec: &HostSpec) {
        let known = &self.ledger.done().restarts;
        let all: BTreeMap<ContainerName, u64> = spec
            .nodes()
            .map(|(_, node)| (node.container.clone(), known.get(&node.container).copied().unwrap_or(node.restarts)))
            .collect();
        if all == *known {
            return;
        }
        let execs: BTreeSet<ContainerName> = all.keys().cloned().collect();
        self.ledger.note(|done| {
            done.restarts = all;
            done.execs.retain(|container, _| execs.contains(container));
            done.begun_as.retain(|container, _| execs.contains(container));
        });
    }

    /// What goes and comes with a node that is not settled is not settled either.
    fn unsettle_followers(&mut self, spec: &HostSpec, wanted: &BTreeMap<Resource, String>, observed: &Observed) {
        let settled = &mut self.memory.settled;
        let is_settled = |node: &NodeSpec| {
            let resource = Resource::Node(node.container.clone());
            settled.get(&resource).is_some_and(|digest| wanted.get(&resource) == Some(digest))
        };
        let followers: Vec<Resource> =
            joining::followers(spec, observed, is_settled).cloned().map(Resource::Node).collect();
        settled.retain(|resource, _| !followers.contains(resource));
    }

    fn difference(
        &mut self,
        (spec, wanted): (&HostSpec, &Wanted),
        observed: &Observed,
        wires: &Wires,
        held: &HeldWires,
    ) -> (Diff, Order) {
        let now_ms = self.clock.now_ms();
        self.memory.learn((spec, wanted), observed, now_ms);
        self.memory.undone.forget_old(now_ms);
        let order = self.order(spec, observed, wires, held, now_ms);
        let known = Known {
            now_ms,
            restarts: self.restarts_done(),
            unstarted: self.memory.unstarted(),
            plugged: self.memory.plugged(),
            not_before: self.memory.not_before(),
            order: order.clone(),
        };
        (diff(spec, wanted, observed, self.settings, &known), order)
    }

    /// Carries the stages on to what is seen, writes down how far they came, and says what follows.
    fn order(&mut self, spec: &HostSpec, observed: &Observed, wires: &Wires, held: &HeldWires, now_ms: u64) -> Order {
        let (memory, done) = (&*self.memory, self.ledger.done());
        let seen = ordering::nodes(&Looking { spec, observed, wires, memory, done, held, now_ms });
        let mut passages = done.stages.clone();
        let mut order = stages::advance(spec, &seen, &mut passages, &mut self.memory.ready, now_ms);
        self.ledger.note(|done| done.stages = passages);
        joining::hold(spec, observed, &mut order);
        order.commands.retain(|container, _| !self.memory.begun.contains_key(container));
        order
    }

    /// Restarts that are behind each node, or will be when what was begun is done.
    fn restarts_done(&self) -> BTreeMap<ContainerName, u64> {
        let mut restarts = self.ledger.done().restarts.clone();
        restarts.extend(self.memory.begun.iter().map(|(container, begun)| (container.clone(), begun.restarts)));
        restarts
    }

    /// Takes the steps, phase by phase. Steps of a node of which an earlier one failed are left for
    /// the next pass: what they stand on is not there.
    async fn take(
        &mut self,
        (spec, observed): (&Arc<HostSpec>, &Observed),
        wanted: &BTreeMap<Resource, String>,
        found: &Diff,
    ) -> Taken {
        let now_ms = self.clock.now_ms();
        self.note_begun(spec, found);
        let steps: Vec<&Step> = found.steps().collect();
        let once = steps.iter().filter_map(|step| happens_once(step));
        let begun = once.filter_map(|container| {
            let (_, node) = spec.node(container)?;
            Some((container.clone(), Begun { is_idle: false, restarts: node.restarts }))
        });
        self.memory.begun.extend(begun);
        let settled = &self.memory.settled;
        let memory = &self.memory;
        let is_settled = |resource: &Resource| {
            settled.get(resource).is_some_and(|digest| wanted.get(resource) == Some(digest))
                && !follows(resource, memory, found, observed)
        };
        let repaired: Vec<Resource> = steps.iter().map(|step| step.resource()).filter(&is_settled).collect();
        self.proofs.forget_repaired(spec, &repaired);
        for (resource, found) in repairs::open(self.ledger, spec, &steps, is_settled, now_ms) {
            self.memory.undone.note(&resource, &found, now_ms);
            self.opened_here.insert(resource);
        }
        let mut stuck: BTreeSet<ContainerName> = BTreeSet::new();
        let mut taken = Taken::default();
        for phase in &found.phases {
            let (left, due): (Vec<&Step>, Vec<&Step>) = phase.iter().partition(|step| touches(spec, step, &stuck));
            taken.left.extend(left.into_iter().map(Step::resource));
            let due: Vec<Step> = due.into_iter().cloned().collect();
            for Outcome { step, error } in self.host.apply(spec, &due).await {
                let resource = step.resource();
                match error {
                    None => {
                        taken.writes += 1;
                        self.memory.made(&step);
                        self.memory.succeeded(&resource);
                    }
                    Some(error) => {
                        if let Some(container) = happens_once(&step) {
                            self.memory.begun.remove(container);
                        }
                        stuck.extend(node_of(spec, &step));
                        let finding = step_failed(&step, error);
                        self.memory.failed(resource, finding, now_ms);
                    }
                }
            }
        }
        taken
    }

    /// Writes down restarts and commands before they are begun, so that neither happens twice.
    fn note_begun(&mut self, spec: &HostSpec, found: &Diff) {
        let begun: Vec<(&ContainerName, &NodeAction)> = found
            .steps()
            .filter_map(|step| match step {
                Step::Node { container, action } => Some((container, action)),
                _ => None,
            })
            .collect();
        self.ledger.note(|done| {
            for (container, action) in begun {
                match action {
                    NodeAction::Start => {
                        if let Some((_, node)) = spec.node(container) {
                            done.restarts.insert(container.clone(), node.restarts);
                        }
                    }
                    NodeAction::Exec { index, start } => {
                        if let Some((_, node)) = spec.node(container) {
                            done.begin_command(node, *index, start);
                        }
                    }
                    NodeAction::Create
                    | NodeAction::Stop
                    | NodeAction::Restart
                    | NodeAction::Remove
                    | NodeAction::GiveUp => {}
                }
            }
        });
    }

    /// What is so of all wires with their proofs, those that are due probed. Carrier goes before:
    /// probes of a wire that loses them take longer than a far end may wait for it.
    async fn look_at_wires(&mut self, spec: &HostSpec, observed: &Observed) -> Wires {
        self.proofs.keep_only(spec);
        self.proofs.take_ended(self.clock.now_ms());
        let wires = self.proofs.wires(spec, observed, self.settings);
        self.proofs.forget_dead(&wires);
        if Carriers::of(spec, observed).is_due(observed) {
            return wires;
        }
        let due = self.proofs.due(spec, &wires, self.clock.now_ms());
        if due.is_empty() {
            return wires;
        }
        self.proofs.begin(self.host, due);
        self.proofs.glance(self.clock, || !self.events.is_empty()).await;
        self.proofs.wires(spec, observed, self.settings)
    }

    /// Remembers what is right, closes its repairs, and notes a full convergence.
    fn settle(
        &mut self,
        spec: &HostSpec,
        wanted: &BTreeMap<Resource, String>,
        right: &BTreeSet<Resource>,
        observed: &Observed,
        found: &Diff,
        is_complete: bool,
    ) {
        let mut unsettled = Unsettled::of(observed, found);
        unsettled.being_made.retain(|resource| wanted.contains_key(resource));
        self.memory.settled.retain(|resource, digest| wanted.get(resource) == Some(digest));
        self.memory.carriers.retain(|device, _| wanted.contains_key(&Resource::Device(device.clone())));
        self.memory.failed.retain(|resource, _| {
            !right.contains(resource) && (wanted.contains_key(resource) || unsettled.in_work.contains(resource))
        });
        for resource in right.difference(&unsettled.being_made) {
            if let Some(digest) = wanted.get(resource)
                && self.memory.settled.get(resource) != Some(digest)
            {
                self.memory.settled.insert(resource.clone(), digest.clone());
            }
        }
        let gone: BTreeSet<Resource> = self
            .ledger
            .done()
            .open
            .iter()
            .map(|repair| repair.resource.clone())
            .filter(|resource| right.contains(resource) || !wanted.contains_key(resource))
            .collect();
        repairs::close(self.ledger, &gone, self.opened_here);
        // The next life takes everything for settled that this one noted as converged.
        let has_converged = is_complete && unsettled.being_made.is_empty();
        let starts = starts(spec, observed, &self.ledger.done().starts);
        let are_due = self.are_due(&starts, has_converged);
        if !has_converged && !are_due {
            return;
        }
        // Who waits for the report does not wait for this.
        self.ledger.note_late(|done| {
            if has_converged {
                done.converged = Some(spec.generation.clone());
            }
            if are_due {
                done.starts = starts;
            }
        });
    }

    /// Whether the starts that run are to be written down now: with a convergence, else soon, for what is not as wanted may
    /// stay so, and many nodes start at once.
    fn are_due(&mut self, starts: &BTreeMap<ContainerName, String>, has_converged: bool) -> bool {
        if *starts == self.ledger.done().starts {
            self.memory.starts_due_ms = None;
            return false;
        }
        let now_ms = self.clock.now_ms();
        let is_due =
            has_converged || *self.memory.starts_due_ms.get_or_insert(now_ms + STARTS_NOTED_WITHIN_MS) <= now_ms;
        if is_due {
            self.memory.starts_due_ms = None;
        }
        is_due
    }

    fn next_due(&self, spec: &HostSpec, found: &Diff, order: &Order) -> Option<u64> {
        let later = found.later.iter().map(|(_, at)| *at);
        let now_ms = self.clock.now_ms();
        let asking = spec.nodes().filter(|(lab, node)| ordering::asks(lab, node));
        let patience =
            asking.filter_map(|(_, node)| self.memory.running_since(&node.container).map(|since| since + PATIENCE_MS));
        let waiting = patience.chain(order.delays.iter().copied()).filter(|at| *at > now_ms);
        let restless = (!found.is_empty()).then_some(now_ms + RESTLESS_MS);
        let over = self.memory.undone.over_ms();
        later
            .chain(self.proofs.next_try())
            .chain(over)
            .chain(self.memory.starts_due_ms)
            .chain(waiting)
            .chain(restless)
            .min()
    }
}

/// The finding for what is known to this run of the agent alone.
fn not_written(why: &str) -> Finding {
    Finding {
        code: "ledger-not-written".into(),
        lab: None,
        resource: None,
        message: format!("what this host did is not written down: {why}"),
        hint: "make room in the data directory; until then a new start of the agent may run commands a second time"
            .into(),
    }
}

/// The finding for a pass that ended with steps still due, although each was taken many times.
fn restless(found: &Diff) -> Option<Finding> {
    let step = found.steps().next()?;
    Some(Finding {
        code: "steps-without-end".into(),
        lab: None,
        resource: Some(step.resource()),
        message: format!("{step}: taken again and again, and still due"),
        hint: "something else on this host undoes it; look for who changes it".into(),
    })
}

/// What became of the steps of a round.
#[derive(Default)]
struct Taken {
    /// How many were taken and done.
    writes: usize,
    /// What those were about that were left for the next pass.
    left: BTreeSet<Resource>,
}

/// The node to which a step does something that must not be done twice.
fn happens_once(step: &Step) -> Option<&ContainerName> {
    match step {
        Step::Node { container, action } if action.happens_once() => Some(container),
        _ => None,
    }
}

fn touches(spec: &HostSpec, step: &Step, stuck: &BTreeSet<ContainerName>) -> bool {
    !stuck.is_empty() && node_of(spec, step).is_some_and(|container| stuck.contains(&container))
}

/// Whether a resource is to be otherwise than it was made last because of what is so at its far end;
/// or this is the first pass, and nobody knows whether a host's end was made up or down.
fn follows(resource: &Resource, memory: &Memory, found: &Diff, observed: &Observed) -> bool {
    let is_now = |device: &InterfaceName| Some(observed.devices.known()?.get(device)?.up);
    match resource {
        Resource::Device(device) => found.carriers.get(device).is_some_and(|up| {
            memory.carriers.get(device).map_or_else(|| is_now(device).is_some_and(|now| now != *up), |made| made != up)
        }),
        Resource::Port(port) => memory.parked.contains(port) != found.parked.contains(port),
        _ => false,
    }
}

/// The node a step works for.
fn node_of(spec: &HostSpec, step: &Step) -> Option<ContainerName> {
    match step.resource() {
        Resource::Namespace(container) | Resource::Node(container) => Some(container),
        Resource::Device(device) | Resource::Port(device) => spec
            .nodes()
            .find(|(_, node)| node.interfaces.iter().any(|interface| interface.host_device == device))
            .map(|(_, node)| node.container.clone()),
        Resource::Network(_) | Resource::Passage(_) | Resource::Bridge | Resource::Lab(_) => None,
    }
}
