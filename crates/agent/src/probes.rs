//! Proofs: which wires were crossed by a frame, on which wiring, and which are to be probed now.

mod orders;

use std::collections::BTreeMap;

use archetype_host::ProbeOrder;
use archetype_model::observed::Observed;
use archetype_model::outward::{Outward, OutwardTo};
use archetype_model::report::{ProbeResult, Proof, WireReport, Wiring};
use archetype_model::spec::{DesiredLink, EndRef, HostSpec, LabSpec, LinkId, WireShape, WireSpec};
use archetype_model::step::Resource;
use archetype_model::{InterfaceName, LabName};
use archetype_plan::diff::DatapathSettings;
use archetype_plan::judge;

/// Proofs of all wires. They live in memory only: after a restart every wire is probed again.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    known: BTreeMap<(LabName, LinkId), Held>,
}

#[derive(Debug, Clone)]
struct Held {
    proof: Proof,
    /// Probes lost in a row, and when to try again.
    lost: u32,
    again_ms: u64,
}

/// Every wire of a spec with what was observed of it.
pub(crate) type Wires = BTreeMap<LabName, BTreeMap<LinkId, WireReport>>;

impl Proofs {
    /// What is so of every wire, with its proof.
    pub(crate) fn wires(&self, spec: &HostSpec, observed: &Observed, settings: &DatapathSettings) -> Wires {
        let mut wires = Wires::new();
        for (lab, wire) in spec.wires() {
            let proof = self.known.get(&(lab.name.clone(), wire.id.clone())).map(|held| held.proof.clone());
            let report = judge::wire_report(lab, wire, observed, settings, proof);
            wires.entry(lab.name.clone()).or_default().insert(wire.id.clone(), report);
        }
        for (name, lab, outward) in spec.outward() {
            let proof = self.known.get(&(name.clone(), outward.id.clone())).map(|held| held.proof.clone());
            let report = judge::outward_report(spec, lab, &outward, observed, proof);
            wires.entry(name.clone()).or_default().insert(outward.id, report);
        }
        wires
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
        let held = self.known.get(&(lab.clone(), id.clone()));
        let due = held.is_none_or(|held| held.proof.wiring != wiring || (held.lost > 0 && held.again_ms <= now_ms));
        due.then_some((report, wiring))
    }

    /// Keeps what probes showed. A wire's first loss after a change is tried again at once, for a
    /// switch may still be learning of its port.
    pub(crate) fn keep(&mut self, order: &ProbeOrder, wiring: Wiring, result: ProbeResult, now_ms: u64) {
        let key = (order.lab.clone(), order.wire.clone());
        let before = self.known.get(&key).filter(|held| held.proof.wiring == wiring).map_or(0, |held| held.lost);
        let lost = if result == ProbeResult::Crossed { 0 } else { before + 1 };
        let wait = 50u64 << lost.min(7);
        self.known.insert(key, Held { proof: Proof { wiring, result }, lost, again_ms: now_ms + wait.min(5000) });
    }

    /// When the next lost wire is to be tried again.
    pub(crate) fn next_try(&self) -> Option<u64> {
        self.known.values().filter(|held| held.lost > 0).map(|held| held.again_ms).min()
    }

    /// Forgets the proofs of a lab, or of all, so that they are made anew.
    pub(crate) fn forget(&mut self, lab: Option<&LabName>) {
        self.known.retain(|(of, _), _| lab.is_some_and(|lab| lab != of));
    }

    /// Forgets the proofs of wires that stand on a resource that is being repaired: the wiring may
    /// be the same afterwards, yet it is to be proven.
    pub(crate) fn forget_repaired(&mut self, spec: &HostSpec, repaired: &[Resource]) {
        if repaired.contains(&Resource::Bridge) {
            return self.forget(None);
        }
        let stands_on = |device: &InterfaceName| {
            let is_it = |one: &Resource| matches!(one, Resource::Device(name) | Resource::Port(name) if name == device);
            repaired.iter().any(is_it)
        };
        let any_end = |lab: &LabSpec, ends: &[EndRef]| {
            ends.iter().filter_map(|end| lab.interface(end)).any(|(_, interface)| stands_on(&interface.host_device))
        };
        for (lab, wire) in spec.wires().filter(|(lab, wire)| any_end(lab, &wire.ends)) {
            self.known.remove(&(lab.name.clone(), wire.id.clone()));
        }
        let network = |outward: &Outward<'_>| match outward.to {
            OutwardTo::Network(name) => repaired.contains(&Resource::Network(name.clone())),
            OutwardTo::Host | OutwardTo::Bridge(_) => false,
        };
        for (name, lab, outward) in spec.outward() {
            if network(&outward) || any_end(lab, &outward.ends) {
                self.known.remove(&(name.clone(), outward.id));
            }
        }
    }

    /// Forgets wires that are no longer wanted.
    pub(crate) fn keep_only(&mut self, spec: &HostSpec) {
        let inner = spec.wires().map(|(lab, wire)| (lab.name.clone(), wire.id.clone()));
        let outer = spec.outward().map(|(name, _, outward)| (name.clone(), outward.id));
        let wanted: std::collections::BTreeSet<_> = inner.chain(outer).collect();
        self.known.retain(|key, _| wanted.contains(key));
    }
}

/// A cable with one end has nobody to send to. A segment's only member has the switch.
fn can_be_alone(wire: &WireSpec) -> bool {
    wire.ends.len() > 1 || wire.shape == WireShape::Lan
}
