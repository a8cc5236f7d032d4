//! The only end of a segment, proven through the switch: nobody else is there to hear it, so the
//! switch itself is the other party.
//!
//! Towards the switch the end sends a frame from an address that nobody has; it has come through
//! its port, in its tag, when the switch has learned that address there. Back, the switch is handed
//! a frame with the segment's tag to be switched as any other (a packet-out with the action
//! NORMAL), and the end must hear it: it does only as a member of that tag.

use std::time::Instant;

use archetype_model::report::ProbeResult;

use super::frame::{self, GROUP, SWITCH};
use super::sockets::Sockets;
use super::{AGAIN, End, Patience};
use crate::contract::{Across, ProbeOrder};
use crate::datapath::{Door, Learned};

/// One lone end and what has crossed so far.
struct Lone<'a> {
    order: usize,
    end: &'a End,
    seen: Learned,
    heard: bool,
    learned: bool,
}

/// Probes every lone end among the orders and writes what became of it into `results`.
pub(super) fn probe(
    orders: &[ProbeOrder],
    ends: &[Result<Vec<End>, String>],
    sockets: &Sockets,
    switch: Option<&Door>,
    nonce: u64,
    results: &mut [ProbeResult],
) {
    let mut lone: Vec<Lone<'_>> =
        orders.iter().zip(ends).enumerate().filter_map(|(at, (order, ends))| of(at, order, ends, nonce)).collect();
    if lone.is_empty() {
        return;
    }
    let told = match switch {
        Some(switch) => exchange(&mut lone, sockets, switch, nonce),
        None => Err("the switch is not on this machine".to_string()),
    };
    for lone in lone {
        let names = orders[lone.order].parties();
        let lost = [(lone.learned, 0, 1), (lone.heard, 1, 0)].into_iter().filter(|(crossed, ..)| !crossed);
        let directions: Vec<String> = lost.map(|(_, from, to)| format!("{} -> {}", names[from], names[to])).collect();
        results[lone.order] = match (&told, directions.is_empty()) {
            (_, true) => ProbeResult::Crossed,
            (Err(why), false) => ProbeResult::NotSent { why: why.clone() },
            (Ok(()), false) => ProbeResult::Lost { directions },
        };
    }
}

fn of<'a>(at: usize, order: &ProbeOrder, ends: &'a Result<Vec<End>, String>, nonce: u64) -> Option<Lone<'a>> {
    let Across::Switch { tag, ofport } = order.across else { return None };
    let end = ends.as_ref().ok()?.first()?;
    let seen = Learned { ofport, tag: tag.get(), address: frame::fresh_address(nonce, at as u32) };
    Some(Lone { order: at, end, seen, heard: false, learned: false })
}

fn exchange(lone: &mut [Lone<'_>], sockets: &Sockets, switch: &Door, nonce: u64) -> Result<(), String> {
    let mut injector = switch.injector().map_err(|error| format!("the switch takes no frames: {error}"))?;
    let mut patience = Patience::begin();
    while lone.iter().any(|one| !one.heard || !one.learned) && patience.goes_on() {
        for one in lone.iter().filter(|one| !one.learned) {
            let frame = frame::frame(GROUP, one.seen.address, nonce, one.order as u32, 0);
            sockets.send(one.end, &frame);
        }
        for one in lone.iter().filter(|one| !one.heard) {
            let frame = frame::frame(GROUP, one.seen.address, nonce, one.order as u32, SWITCH);
            let tagged = frame::tagged(&frame, one.seen.tag);
            injector.inject(&tagged).map_err(|error| format!("the switch takes no frames: {error}"))?;
        }
        hear(lone, sockets, nonce);
        if lone.iter().any(|one| !one.learned) {
            let known =
                switch.learned().map_err(|error| format!("the switch does not tell what it learned: {error}"))?;
            lone.iter_mut().for_each(|one| one.learned |= known.contains(&one.seen));
        }
    }
    Ok(())
}

/// Takes what comes until all have heard theirs, or it is time to send again.
fn hear(lone: &mut [Lone<'_>], sockets: &Sockets, nonce: u64) {
    let again = Instant::now() + AGAIN;
    while lone.iter().any(|one| !one.heard) {
        sockets.wait(again);
        sockets.receive(|socket, ifindex, frame| {
            let Some((order, SWITCH)) = frame::read(frame, nonce) else { return };
            let is_at = |one: &&mut Lone<'_>| {
                one.order == order as usize && one.end.socket == socket && one.end.ifindex == ifindex
            };
            if let Some(one) = lone.iter_mut().find(is_at) {
                one.heard = true;
            }
        });
        if Instant::now() >= again {
            return;
        }
    }
}
