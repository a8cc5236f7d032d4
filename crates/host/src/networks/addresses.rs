//! The news of addresses and routes of our bridges: what somebody takes away is told by no device.

use std::collections::BTreeSet;
use std::io;
use std::sync::Weak;

use archetype_model::observed::Part;
use archetype_netns::rtnl::{LinkEvent, Watch};
use nix::net::if_::if_indextoname;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use super::State;
use crate::event::{Event, Waker};

/// Rings at each change of the addresses of a bridge of ours, and when a route out of it goes, until the room is closed.
/// Needs a tokio runtime.
///
/// # Errors
/// What the kernel said when it told no more.
pub(super) async fn ring(state: &Weak<Mutex<State>>, waker: &Waker) -> io::Result<()> {
    let watch = Watch::of_addresses().map_err(io::Error::other)?;
    // SAFETY: the descriptor is owned by the watch that is registered, and is never exchanged in it.
    let mut watch = unsafe { AsyncFd::register_with_interest(watch, Interest::READABLE) }?;
    loop {
        let mut ready = watch.readable_mut().await?;
        let events = ready.get_inner_mut().read().map_err(io::Error::other)?;
        ready.clear_ready();
        let Some(state) = state.upgrade() else { return Ok(()) };
        if concern(&events, &*state.lock().await) {
            waker.ring(Event::Changed(Part::Networks));
        }
    }
}

/// Whether something happened to a bridge of ours; it may have where news were lost. One that is gone is the news of
/// devices.
fn concern(events: &[LinkEvent], state: &State) -> bool {
    let index = |event: &LinkEvent| match event {
        LinkEvent::Addressed { index, .. } => Some(*index),
        _ => None,
    };
    // A host that routes for others has thousands of news at once, of few devices.
    let indexes: BTreeSet<u32> = events.iter().filter_map(index).collect();
    let names: BTreeSet<String> =
        indexes.into_iter().filter_map(|index| if_indextoname(index).ok()?.into_string().ok()).collect();
    let mut bridges = state.records.values().map(|meant| meant.record.wanted.network.bridge.as_str());
    events.contains(&LinkEvent::Lost) || bridges.any(|bridge| names.contains(bridge))
}
