//! What lets bridges of the host that ports of ours are on through the host's packet filter. Knows
//! neither the filter nor its rules: only which bridges want them, and which have them.

use archetype_model::BridgeName;
use archetype_model::observed::Reading;
use archetype_model::step::Step;

use super::{Look, Room};

pub(super) fn diff(look: &Look<'_>) -> Room {
    let mut room = Room::default();
    let Reading::Known(seen) = &look.observed.passages else { return room };
    let wanted = look.spec.foreign_bridges();
    let opened = wanted.iter().filter(|bridge| seen.is_shut(bridge));
    room.steps.extend(opened.map(|&bridge| Step::OpenPassage { bridge: bridge.clone() }));
    // An empty spec deletes nothing.
    if !look.spec.labs.is_empty() {
        room.steps.extend(going(look).map(|bridge| Step::ClosePassage { bridge: bridge.clone() }));
    }
    room
}

/// Bridges with rules of ours and without a port. A lab that is to be gone waits for them: once
/// nothing is wanted any more, nothing is deleted either.
pub(super) fn going<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a BridgeName> {
    let wanted = look.spec.foreign_bridges();
    let all = look.observed.passages.known().into_iter().flat_map(|seen| seen.bridges.keys());
    all.filter(move |bridge| !wanted.contains(bridge))
}
