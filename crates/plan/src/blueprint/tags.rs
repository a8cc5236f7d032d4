//! Tags: each wire's own on the host's bridge. A wire keeps its tag; a new one gets the lowest
//! that neither is in use nor was until now, so that no frame of an old wire meets a new one.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::VlanTag;
use archetype_model::spec::LinkId;

use super::attempt::Attempt;

/// The tags of each lab planned anew, in the order of `Attempt::labs`.
pub(super) fn give(attempt: &mut Attempt<'_>) -> Vec<BTreeMap<LinkId, VlanTag>> {
    let settings = &attempt.input.settings;
    let former = attempt.input.parent.iter().flat_map(|parent| parent.allocations.labs.iter());
    let dropped = &attempt.dropped;
    let held = former.filter(|(lab, _)| !dropped.contains(*lab)).flat_map(|(_, held)| held.tags.values());
    let used: BTreeSet<VlanTag> = held.copied().collect();
    let mut free = settings.wire_tags().filter(|tag| !used.contains(tag));
    let mut labs = Vec::new();
    let mut without = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        let mut tags = BTreeMap::new();
        for wire in &lab.shape.wires {
            let kept = lab.held.and_then(|held| held.tags.get(&wire.id)).filter(|tag| settings.allows(**tag));
            match kept.copied().or_else(|| free.next()) {
                Some(tag) => drop(tags.insert(wire.id.clone(), tag)),
                None => without.push(index),
            }
        }
        labs.push(tags);
    }
    let total = settings.wire_tags().count();
    let in_use = used.len();
    without.dedup();
    for index in without {
        let lab = &attempt.labs[index];
        let wires = lab.shape.wires.len();
        let message =
            format!("the bridge has {total} tags, {in_use} are in use, and the lab's {wires} wires need more");
        let hint = "remove a lab, or widen --tags";
        let (name, problem) = (lab.name, lab.problem("tags-exhausted", "topology.links", message).hint(hint));
        attempt.fail(name, problem);
    }
    labs
}
