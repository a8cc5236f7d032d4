//! Proofs: which wires were crossed by a frame, on which wiring, and which are to be probed now.

use std::collections::BTreeMap;

use archetype_host::{ProbeEnd, ProbeOrder};
use archetype_model::observed::Observed;
use archetype_model::report::{ProbeResult, Proof, WireReport, Wiring};
use archetype_model::spec::{DesiredLink, HostSpec, LabSpec, LinkId, WireShape, WireSpec};
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
        wires
    }

    /// The wires to be probed: complete (a LAN among the members that are there), wanted up, and
    /// without a proof of this very wiring, or with a lost one whose time has come.
    pub(crate) fn due(&self, spec: &HostSpec, wires: &Wires, now_ms: u64) -> Vec<(ProbeOrder, Wiring)> {
        spec.wires()
            .filter(|(_, wire)| wire.desired == DesiredLink::Up && can_be_alone(wire))
            .filter_map(|(lab, wire)| {
                let report = wires.get(&lab.name)?.get(&wire.id)?;
                let wiring = report.wiring.clone()?;
                let held = self.known.get(&(lab.name.clone(), wire.id.clone()));
                let due =
                    held.is_none_or(|held| held.proof.wiring != wiring || (held.lost > 0 && held.again_ms <= now_ms));
                due.then(|| Some((order(lab, wire, report)?, wiring))).flatten()
            })
            .collect()
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
        for (lab, wire) in spec.wires() {
            let stands_on = |device: &InterfaceName| {
                repaired
                    .iter()
                    .any(|one| matches!(one, Resource::Device(name) | Resource::Port(name) if name == device))
            };
            let ends = wire.ends.iter().filter_map(|end| lab.interface(end));
            if ends.into_iter().any(|(_, interface)| stands_on(&interface.host_device)) {
                self.known.remove(&(lab.name.clone(), wire.id.clone()));
            }
        }
    }

    /// Forgets wires that are no longer wanted.
    pub(crate) fn keep_only(&mut self, spec: &HostSpec) {
        let wanted: std::collections::BTreeSet<_> =
            spec.wires().map(|(lab, wire)| (lab.name.clone(), wire.id.clone())).collect();
        self.known.retain(|key, _| wanted.contains(key));
    }
}

/// A cable with one end has nobody to send to. A LAN's only member sends to its own port.
fn can_be_alone(wire: &WireSpec) -> bool {
    wire.ends.len() > 1 || wire.shape == WireShape::Lan
}

fn order(lab: &LabSpec, wire: &WireSpec, report: &WireReport) -> Option<ProbeOrder> {
    let ends = report
        .ends
        .iter()
        .filter(|end| end.faults.is_empty())
        .map(|end| {
            let node = lab.node(&end.end.node)?;
            Some(ProbeEnd {
                end: end.end.clone(),
                container: node.container.clone(),
                host_ifindex: end.device.as_ref()?.ifindex,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(ProbeOrder { lab: lab.name.clone(), wire: wire.id.clone(), ends })
}
