//! The news of addresses on our bridges: one that somebody takes away or adds is told by no device.

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

/// Rings at each change of the addresses of a bridge of ours, until the room is closed. Needs a tokio runtime.
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
        let state = state.lock().await;
        if events.iter().any(|event| concerns(event, &state)) {
            waker.ring(Event::Changed(Part::Networks));
        }
    }
}

/// Whether something happened to a bridge of ours; it may have where news were lost. One that is gone is the news of devices.
fn concerns(event: &LinkEvent, state: &State) -> bool {
    let LinkEvent::Addressed { index, .. } = event else { return matches!(event, LinkEvent::Lost) };
    let name = if_indextoname(*index).unwrap_or_default();
    let is_it = |bridge: &str| name.to_str() == Ok(bridge);
    state.records.values().any(|meant| is_it(meant.record.wanted.network.bridge.as_str()))
}
