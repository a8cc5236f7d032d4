//! Tags: each wire's own on the host's bridge. A wire keeps its tag; a new one gets the lowest
//! that neither is in use nor was until now, so that no frame of an old wire meets a new one. What
//! another port of the bridge holds is nobody's to give.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::VlanTag;
use archetype_model::spec::LinkId;

use super::attempt::Attempt;
use super::input::PlanInput;

/// The tags of each lab planned anew, in the order of `Attempt::labs`.
pub(super) fn give(attempt: &mut Attempt<'_>) -> Vec<BTreeMap<LinkId, VlanTag>> {
    let (settings, facts) = (&attempt.input.settings, &attempt.input.facts);
    let former = attempt.input.parent.iter().flat_map(|parent| parent.allocations.labs.iter());
    let dropped = &attempt.dropped;
    let held = former.filter(|(lab, _)| !dropped.contains(*lab)).flat_map(|(_, held)| held.tags.values());
    let used: BTreeSet<VlanTag> = held.copied().collect();
    let is_held = |tag: &VlanTag| facts.tags.contains_key(&tag.get());
    let mut free = settings.wire_tags().filter(|tag| !used.contains(tag) && !is_held(tag));
    let in_the_way = shared(attempt.input).or_else(|| heard(attempt.input));
    let mut refused = Vec::new();
    let mut labs = Vec::new();
    let mut without = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        let mut tags = BTreeMap::new();
        for wire in &lab.shape.wires {
            let id = lab.held_as(wire);
            let kept = lab.held.zip(id).and_then(|(held, id)| held.tags.get(&id)).filter(|tag| settings.allows(**tag));
            match kept.copied().or_else(|| free.next()) {
                Some(tag) => {
                    if kept.is_none() && in_the_way.is_some() {
                        refused.push(index);
                    }
                    tags.insert(wire.id.clone(), tag);
                }
                None => without.push(index),
            }
        }
        labs.push(tags);
    }
    without.dedup();
    for index in without {
        let lab = &attempt.labs[index];
        let message = exhausted(attempt.input, used.len(), lab.shape.wires.len());
        let hint = "remove a lab, or widen --tags";
        let (name, problem) = (lab.name, lab.problem("tags-exhausted", "topology.links", message).hint(hint));
        attempt.fail(name, problem);
    }
    refused.dedup();
    for (index, why) in refused.into_iter().filter_map(|index| Some((index, in_the_way.as_ref()?))) {
        let lab = &attempt.labs[index];
        let problem = lab.problem(why.code, "topology.links", why.message.clone()).hint(why.hint);
        attempt.fail(lab.name, problem);
    }
    labs
}

/// That too few tags are left for a lab with so many wires, `used` of them being in use.
fn exhausted(input: &PlanInput<'_>, used: usize, wires: usize) -> String {
    let total = input.settings.wire_tags().count();
    let held = || input.settings.wire_tags().filter_map(|tag| input.facts.tags.get(&tag.get()));
    let others = match held().next() {
        None => String::new(),
        Some(first) => format!(", {} are held by others ({first}, …)", held().count()),
    };
    format!("the bridge has {total} tags, {used} are in use{others}, and the lab's {wires} wires need more")
}

/// Why no new wire can be on the bridge.
struct InTheWay {
    code: &'static str,
    message: String,
    hint: &'static str,
}

/// Who hears every wire, whatever its tag: none would ever be up.
fn heard(input: &PlanInput<'_>) -> Option<InTheWay> {
    let port = input.facts.hear_all.first()?;
    Some(InTheWay {
        code: "bridge-heard",
        message: format!(
            "port {port} of the bridge is not ours and hears every tag: no wire on it is between two ends alone"
        ),
        hint: "take that port off the bridge or give it a tag (`ovs-vsctl set port NAME tag=N`), or start with --bridge",
    })
}

/// Who else has wires on the bridge in tags that are this installation's to give.
fn shared(input: &PlanInput<'_>) -> Option<InTheWay> {
    let (first, last) = input.settings.tags;
    let is_ours = |tag: &&u16| (first.get()..=last.get()).contains(*tag);
    input.facts.sharing.iter().find_map(|(installation, tags)| {
        let tag = tags.iter().find(is_ours)?;
        Some(InTheWay {
            code: "bridge-shared",
            message: format!(
                "installation {installation} has wires on the same bridge, one in tag {tag}, and tags {first} to {last} \
                 are this one's"
            ),
            hint: "give one of the two another bridge with --bridge, or tags of its own with --tags",
        })
    })
}
