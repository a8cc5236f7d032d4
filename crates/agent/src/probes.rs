//! Proofs: which wires were crossed by a frame, on which wiring, and which are to be probed now.
//!
//! A frame that is lost takes its time to be so, and no pass waits for that: a round of probes runs
//! beside the passes, and wakes the agent when it ends.

mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use archetype_host::{Host, ProbeOrder};
use archetype_model::observed::Observed;
use archetype_model::outward::{Outward, OutwardTo};
use archetype_model::report::{Fault, ProbeResult, Proof, WireReport, Wiring};
use archetype_model::spec::{DesiredLink, EndRef, HostSpec, LabSpec, LinkId, WireShape, WireSpec};
use archetype_model::step::Resource;
use archetype_model::{InterfaceName, LabName};
use archetype_plan::diff::DatapathSettings;
use archetype_plan::judge;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::clock::Clock;

/// A pass waits so long for frames on the way: on wires that carry they come in no time.
const GLANCE: Duration = Duration::from_millis(40);
/// And so long at least.
const BLINK: Duration = Duration::from_millis(5);
/// No round takes longer; one that is not told by then never will be.
const LOST_ROUND: Duration = Duration::from_secs(10);

/// Proofs of all wires. They live in memory only: after a restart every wire is probed again.
#[derive(Debug)]
pub(crate) struct Proofs {
    known: BTreeMap<(LabName, LinkId), Held>,
    /// Rounds that are under way: what was sent, and until when they are waited for.
    rounds: BTreeMap<u64, Round>,
    next: u64,
    ended: UnboundedReceiver<Ended>,
    tell: UnboundedSender<Ended>,
}

/// A round's number, and what became of each of its orders.
type Ended = (u64, Vec<ProbeResult>);

#[derive(Debug)]
struct Round {
    orders: Vec<Sent>,
    until: Instant,
}

/// A wire and the wiring that is being probed; none where it is of no use any more.
type Sent = Option<(LabName, LinkId, Wiring)>;

#[derive(Debug, Clone)]
struct Held {
    proof: Proof,
    /// Probes lost in a row, and when to try again.
    lost: u32,
    again_ms: u64,
}

/// Every wire of a spec with what was observed of it.
pub(crate) type Wires = BTreeMap<LabName, BTreeMap<LinkId, WireReport>>;

impl Default for Proofs {
    fn default() -> Self {
        let (tell, ended) = unbounded_channel();
        Self { known: BTreeMap::new(), rounds: BTreeMap::new(), next: 0, ended, tell }
    }
}

impl Proofs {
    /// Sends probes on the wires of `due`, beside whatever else happens.
    pub(crate) fn begin<H: Host>(&mut self, host: &Arc<H>, due: Vec<(ProbeOrder, Wiring)>) {
        self.next += 1;
        // What is still on the way was sent on another wiring: told later, it would hide this round's result.
        let again: BTreeSet<_> = due.iter().map(|(order, _)| (&order.lab, &order.wire)).collect();
        for sent in self.rounds.values_mut().flat_map(|round| &mut round.orders) {
            if sent.as_ref().is_some_and(|(lab, wire, _)| again.contains(&(lab, wire))) {
                *sent = None;
            }
        }
        let sent = due.iter().map(|(order, wiring)| Some((order.lab.clone(), order.wire.clone(), wiring.clone())));
        let round = Round { orders: sent.collect(), until: Instant::now() + LOST_ROUND };
        self.rounds.insert(self.next, round);
        let (host, number, tell) = (host.clone(), self.next, self.tell.clone());
        tokio::spawn(async move {
            let orders: Vec<ProbeOrder> = due.into_iter().map(|(order, _)| order).collect();
            let results = host.probe(&orders).await;
            drop(tell.send((number, results)));
        });
    }

    /// Waits a moment for the rounds that are under way; a shorter one when something else is to do.
    pub(crate) async fn glance(&mut self, clock: Clock, is_awaited: impl Fn() -> bool) {
        let until = Instant::now() + GLANCE;
        while !self.is_idle() && Instant::now() < until {
            match tokio::time::timeout(BLINK, self.ended.recv()).await {
                Ok(Some(ended)) => self.take(ended, clock.now_ms()),
                Err(_) if !is_awaited() => {}
                _ => return,
            }
        }
    }

    /// Takes up the rounds that have ended.
    pub(crate) fn take_ended(&mut self, now_ms: u64) {
        while let Ok(ended) = self.ended.try_recv() {
            self.take(ended, now_ms);
        }
        let now = Instant::now();
        self.rounds.retain(|_, round| round.until > now);
    }

    /// Waits for the next round to end; for ever when none is under way. Cancel safe.
    pub(crate) async fn next_ended(&mut self, clock: Clock) {
        if let Some(ended) = self.ended.recv().await {
            self.take(ended, clock.now_ms());
        }
    }

    /// Whether no round is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.rounds.is_empty()
    }

    fn take(&mut self, (number, results): Ended, now_ms: u64) {
        let Some(round) = self.rounds.remove(&number) else { return };
        for (sent, result) in round.orders.into_iter().zip(results) {
            if let Some((lab, wire, wiring)) = sent {
                self.keep((lab, wire), wiring, result, now_ms);
            }
        }
    }

    /// Whether this wiring is being probed.
    fn is_under_way(&self, lab: &LabName, wire: &LinkId, wiring: &Wiring) -> bool {
        let is_it = |(of, id, sent): &(LabName, LinkId, Wiring)| of == lab && id == wire && sent == wiring;
        self.rounds.values().flat_map(|round| round.orders.iter().flatten()).any(is_it)
    }

    /// Forgets the proofs of wires, those on the way included.
    fn drop_proofs(&mut self, is_void: impl Fn(&(LabName, LinkId)) -> bool) {
        self.known.retain(|key, _| !is_void(key));
        self.drop_on_the_way(is_void);
    }

    /// Has what is on the way on wires come to nothing.
    fn drop_on_the_way(&mut self, is_void: impl Fn(&(LabName, LinkId)) -> bool) {
        for sent in self.rounds.values_mut().flat_map(|round| &mut round.orders) {
            if sent.as_ref().is_some_and(|(lab, wire, _)| is_void(&(lab.clone(), wire.clone()))) {
                *sent = None;
            }
        }
    }

    /// What is so of every wire, with its proof.
    pub(crate) fn wires(&self, spec: &HostSpec, observed: &Observed, settings: &DatapathSettings) -> Wires {
        let mut wires = Wires::new();
        let seen = judge::Seen::of(spec, observed, settings);
        for (lab, wire) in spec.wires() {
            let proof = self.known.get(&(lab.name.clone(), wire.id.clone())).map(|held| held.proof.clone());
            let report = judge::wire_report(lab, wire, &seen, proof);
            wires.entry(lab.name.clone()).or_default().insert(wire.id.clone(), report);
        }
        for (name, lab, outward) in spec.outward() {
            let proof = self.known.get(&(name.clone(), outward.id.clone())).map(|held| held.proof.clone());
            let report = judge::outward_report(spec, lab, &outward, observed, proof);
            wires.entry(name.clone()).or_default().insert(outward.id, report);
        }
        wires
    }

    /// Forgets the proofs of cables of which an end is down, as wanted or by the node: when it comes
    /// back the wiring may be the same, yet it is to be proven.
    pub(crate) fn forget_dead(&mut self, wires: &Wires) {
        let is_dead = |wire: &WireReport| {
            wire.wiring.is_none()
                && wire.ends.iter().flat_map(|end| &end.faults).any(|fault| {
                    matches!(fault, Fault::NodeNotRunning(_) | Fault::ShutInside(_) | Fault::WantedDown(_))
                })
        };
        let find = |(lab, wire): &(LabName, LinkId)| wires.get(lab).and_then(|wires| wires.get(wire));
        self.drop_proofs(|key| find(key).is_some_and(is_dead));
    }

    /// The wires and links out of labs to be probed: complete (a LAN among the members that are
    /// there), wanted up, and without a proof of this very wiring, or with a lost one whose time has
    /// come.
    pub(crate) fn due(&self, spec: &HostSpec, wires: &Wires, now_ms: u64) -> Vec<(ProbeOrder, Wiring)> {
        let inner = spec.wires().filter(|(_, wire)| wire.desired == DesiredLink::Up && can_be_alone(wire));
        let inner = inner.filter_map(|(lab, wire)| {
            let (report, wiring) = self.is_due(wires, &lab.name, &wire.id, now_ms)?;
            Some((orders::wire(lab, wire, report)?, wiring))
        });
        let outer = spec.outward().filter_map(|(name, lab, outward)| {
            let (report, wiring) = self.is_due(wires, name, &outward.id, now_ms)?;
            Some((orders::outward(lab, &outward, report)?, wiring))
        });
        inner.chain(outer).collect()
    }

    /// What is so of a link that is to be probed now.
    fn is_due<'w>(
        &self,
        wires: &'w Wires,
        lab: &LabName,
        id: &LinkId,
        now_ms: u64,
    ) -> Option<(&'w WireReport, Wiring)> {
        let report = wires.get(lab)?.get(id)?;
        let wiring = report.wiring.clone()?;
        if self.is_under_way(lab, id, &wiring) {
            return None;
        }
        let held = self.known.get(&(lab.clone(), id.clone()));
        let due = held.is_none_or(|held| held.proof.wiring != wiring || (held.lost > 0 && held.again_ms <= now_ms));
        due.then_some((report, wiring))
    }

    /// Keeps what probes showed. A wire's first loss after a change is tried again at once, for a
    /// switch may still be learning of its port.
    fn keep(&mut self, key: (LabName, LinkId), wiring: Wiring, result: ProbeResult, now_ms: u64) {
        let before = self.known.get(&key).filter(|held| held.proof.wiring == wiring).map_or(0, |held| held.lost);
        let lost = if result == ProbeResult::Crossed { 0 } else { before + 1 };
        let wait = 50u64 << lost.min(7);
        self.known.insert(key, Held { proof: Proof { wiring, result }, lost, again_ms: now_ms + wait.min(5000) });
    }

    /// When the next lost wire is to be tried again.
    pub(crate) fn next_try(&self) -> Option<u64> {
        self.known.values().filter(|held| held.lost > 0).map(|held| held.again_ms).min()
    }

    /// Has the proofs of a lab, or of all, made anew. That a wire was wired once is not forgotten: one that is not now
    /// has come apart, and is not being made.
    pub(crate) fn renew(&mut self, lab: Option<&LabName>) {
        let is_of = |(of, _): &(LabName, LinkId)| lab.is_none_or(|lab| lab == of);
        for (_, held) in self.known.iter_mut().filter(|(key, _)| is_of(key)) {
            // No wiring is called so, and so none is proven.
            held.proof.wiring = Wiring(String::new());
            held.lost = 0;
        }
        self.drop_on_the_way(is_of);
    }

    /// Forgets the proofs of wires that stand on a resource that is being repaired: the wiring may
    /// be the same afterwards, yet it is to be proven.
    pub(crate) fn forget_repaired(&mut self, spec: &HostSpec, repaired: &[Resource]) {
        if repaired.contains(&Resource::Bridge) {
            return self.drop_proofs(|_| true);
        }
        let stands_on = |device: &InterfaceName| {
            let is_it = |one: &Resource| matches!(one, Resource::Device(name) | Resource::Port(name) if name == device);
            repaired.iter().any(is_it)
        };
        let any_end = |lab: &LabSpec, ends: &[EndRef]| {
            ends.iter().filter_map(|end| lab.interface(end)).any(|(_, interface)| stands_on(&interface.host_device))
        };
        let network = |outward: &Outward<'_>| match outward.to {
            OutwardTo::Network(name) => repaired.contains(&Resource::Network(name.clone())),
            OutwardTo::Host | OutwardTo::Bridge(_) => false,
        };
        if repaired.is_empty() {
            return;
        }
        let inner = spec.wires().filter(|(lab, wire)| any_end(lab, &wire.ends));
        let inner = inner.map(|(lab, wire)| (lab.name.clone(), wire.id.clone()));
        let outer = spec.outward().filter(|(_, lab, outward)| network(outward) || any_end(lab, &outward.ends));
        let void: BTreeSet<_> = inner.chain(outer.map(|(name, _, outward)| (name.clone(), outward.id))).collect();
        self.drop_proofs(|key| void.contains(key));
    }

    /// Forgets wires that are no longer wanted.
    pub(crate) fn keep_only(&mut self, spec: &HostSpec) {
        let inner = spec.wires().map(|(lab, wire)| (lab.name.clone(), wire.id.clone()));
        let outer = spec.outward().map(|(name, _, outward)| (name.clone(), outward.id));
        let wanted: BTreeSet<_> = inner.chain(outer).collect();
        self.drop_proofs(|key| !wanted.contains(key));
    }
}

/// A cable with one end has nobody to send to. A segment's only member has the switch.
fn can_be_alone(wire: &WireSpec) -> bool {
    wire.ends.len() > 1 || wire.shape == WireShape::Lan
}
