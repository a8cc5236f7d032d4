//! The start and the end of a node's run, seen from its namespace.
//!
//! Every start is a cold boot: nothing that the last run left is there. Every end leaves the node
//! dead on the wire. Both are called in the namespace where the host's ends are (unless the facts
//! name it) and with the facts' lock held.

use archetype_model::InterfaceName;
use archetype_model::facts::NamespaceFacts;

use crate::error::Result;
use crate::interior::{complete, present, write};
use crate::recorded::Recorded;
use crate::reset::{reset, silence};
use crate::room::Room;

/// What a start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Whether it was the first start in this namespace; then there was nothing to take away.
    pub is_first: bool,
    /// The interfaces that were gone and have been made again: their host's ends want plugging.
    pub remade: Vec<InterfaceName>,
}

/// Makes the namespace as it was when it was new and then as the facts declare it, down to the
/// last address. How it was when it was new is written down at the first start.
///
/// # Errors
/// With the first thing that could not be done; the node must not be started then.
pub fn cold_boot(facts: &NamespaceFacts) -> Result<Boot> {
    let (namespace, mut room) = Room::open(facts)?;
    let is_first = namespace.inside(|| match Recorded::read(&room.node) {
        Some(recorded) => reset(&mut room, &recorded).map(|()| false),
        None => record(&mut room).map(|_| true),
    })?;
    let remade = complete(&namespace, &mut room, true)?;
    namespace.inside(|| write(&mut room, true))?;
    Ok(Boot { is_first, remade })
}

/// Makes the node dead on the wire at the end of a run: every device down, at once, and then
/// everything taken away that the run left.
///
/// # Errors
/// With the first thing that could not be done; the devices are down by then.
pub fn quiesce(facts: &NamespaceFacts) -> Result<()> {
    let (namespace, mut room) = Room::open(facts)?;
    namespace.inside(|| {
        silence(&mut room)?;
        match Recorded::read(&room.node) {
            Some(recorded) => reset(&mut room, &recorded),
            None => Ok(()),
        }
    })
}

fn record(room: &mut Room<'_>) -> Result<Recorded> {
    let links = room.node.links()?;
    let ours = present(room, &links)?;
    let fresh: Vec<_> = ours.iter().map(|(_, link)| link).collect();
    Recorded::take(&mut room.node, &links, &fresh, &room.switch)
}
