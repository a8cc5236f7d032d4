//! What the stages of nodes ask of an observation: who runs, whose links are attached, whose are
//! proven, which commands have ended.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::ContainerName;
use archetype_model::observed::Observed;
use archetype_model::report::{Fault, WireReport};
use archetype_model::spec::{EndRef, HostSpec, LabSpec, LinkId, NodeSpec, WireSpec};
use archetype_model::status::LinkState;
use archetype_model::topology::value::Stage;
use archetype_plan::diff::ExecMemory;
use archetype_plan::judge;
use archetype_plan::stages::{self, HeldWires, NodeSeen};

use crate::ledger::Done;
use crate::memory::Memory;
use crate::probes::Wires;
use crate::seen::{is_coming, node_in};

/// How long commands and stages wait for wires that could still come.
pub(crate) const PATIENCE_MS: u64 = 10_000;

/// What is looked at.
pub(crate) struct Looking<'a> {
    pub(crate) spec: &'a HostSpec,
    pub(crate) observed: &'a Observed,
    pub(crate) wires: &'a Wires,
    pub(crate) memory: &'a Memory,
    pub(crate) done: &'a Done,
    pub(crate) held: &'a HeldWires,
    pub(crate) now_ms: u64,
}

/// Every node that has commands, or is of a lab with stages.
pub(crate) fn nodes(looking: &Looking<'_>) -> BTreeMap<ContainerName, NodeSeen> {
    let mut all = BTreeMap::new();
    for lab in looking.spec.present() {
        let nodes: Vec<&NodeSpec> = lab.nodes.iter().filter(|node| asks(lab, node)).collect();
        if nodes.is_empty() {
            continue;
        }
        let (unproven, unattached) = (looking.unproven(lab), looking.unattached(lab));
        for node in nodes {
            let seen = looking.node(node, !unproven.contains(&node.container), !unattached.contains(&node.container));
            all.insert(node.container.clone(), seen);
        }
    }
    all
}

/// Whether anything is asked of the node.
pub(crate) fn asks(lab: &LabSpec, node: &NodeSpec) -> bool {
    !node.execs.is_empty() || stages::has_stages(lab)
}

impl Looking<'_> {
    fn node(&self, node: &NodeSpec, proven: bool, attached: bool) -> NodeSeen {
        let found = node_in(self.observed, node);
        let impatient =
            self.memory.running_since(&node.container).is_some_and(|since| self.now_ms >= since + PATIENCE_MS);
        let execs = self.done.exec_states(node);
        NodeSeen {
            run: found
                .as_ref()
                .map(|found| found.map_or(archetype_model::observed::RunObserved::Absent, |f| f.run.clone())),
            busy: found.flatten().is_some_and(|found| found.busy.is_some()),
            attached: attached || impatient,
            proven: proven || impatient,
            execs: execs.map(|(start, states)| ExecMemory { start: start.to_owned(), states }),
        }
    }

    fn wire_report(&self, lab: &LabSpec, id: &LinkId) -> Option<&WireReport> {
        self.wires.get(&lab.name)?.get(id)
    }

    fn is_held(&self, lab: &LabSpec, wire: &WireSpec) -> bool {
        self.held.contains_key(&(lab.name.clone(), wire.id.clone()))
    }

    /// Nodes with a link that is not proven although it could be.
    fn unproven(&self, lab: &LabSpec) -> BTreeSet<ContainerName> {
        let mut waiting = BTreeSet::new();
        let mut wait = |ends: &[EndRef], state: LinkState| {
            let nodes: Vec<&NodeSpec> = ends.iter().filter_map(|end| lab.node(&end.node)).collect();
            let can_come = |node: &&NodeSpec| is_coming(self.observed, node, self.memory) && !self.waits_to_start(node);
            let can_come = nodes.iter().all(can_come);
            if state == LinkState::Creating || state == LinkState::Pending && can_come {
                waiting.extend(nodes.iter().map(|node| node.container.clone()));
            }
        };
        for wire in lab.wires.iter().filter(|wire| !self.is_held(lab, wire)) {
            wait(&wire.ends, judge::link_status(wire, self.wire_report(lab, &wire.id)).state);
        }
        for outward in lab.outward() {
            let report = self.wire_report(lab, &outward.id);
            wait(&outward.ends, judge::outward_status(&outward, report, None).state);
        }
        waiting
    }

    /// Whether a node waits for others before its first start: for how long nobody knows, and maybe for who waits for it.
    fn waits_to_start(&self, node: &NodeSpec) -> bool {
        let is_through =
            self.done.stages.get(&node.container).is_some_and(|passed| passed.through.contains(&Stage::Create));
        !is_through && !node.stages.waits_of(Stage::Create).is_empty()
    }

    /// Nodes of which an end of their own is not as it is to be.
    fn unattached(&self, lab: &LabSpec) -> BTreeSet<ContainerName> {
        let mut waiting = BTreeSet::new();
        if !stages::has_stages(lab) {
            return waiting;
        }
        for wire in lab.wires.iter().filter(|wire| !self.is_held(lab, wire)) {
            let report = self.wire_report(lab, &wire.id);
            for end in &wire.ends {
                let told = report.and_then(|report| report.ends.iter().find(|told| &told.end == end));
                let right =
                    told.is_some_and(|end| end.faults.iter().all(|fault| matches!(fault, Fault::ShutInside(_))));
                if !right {
                    waiting.extend(lab.node(&end.node).map(|node| node.container.clone()));
                }
            }
        }
        waiting
    }
}

/// Says of each wire that a stage holds what it waits for.
pub(crate) fn tell_held(wires: &mut Wires, spec: &HostSpec, held: &HeldWires) {
    for ((lab, wire), node) in held {
        let Some(report) = wires.get_mut(lab).and_then(|wires| wires.get_mut(wire)) else { continue };
        let node = spec.lab(lab).and_then(|lab| lab.nodes.iter().find(|candidate| &candidate.container == node));
        let Some(node) = node else { continue };
        let what = format!("{}, which may not enter create-links yet", node.name);
        if let Some(end) = report.ends.iter_mut().find(|end| end.end.node == node.name) {
            end.faults.insert(0, Fault::NodeNotRunning(what));
        }
    }
}
