//! Probe frames: a nonce sent from inside one end of a wire and received inside the others.
//!
//! Across a wire of ours to 01:80:c2:00:00:0e, which no bridge inside a node forwards. A Linux
//! bridge does not forward that group either, so across a bridge of the host the frame goes to the
//! receiver's own address: the bridge knows it, or asks all its ports once, and nothing is ever
//! sent to everybody on a network that may reach beyond the host. One packet socket per namespace
//! hears all frames: a socket bound to the ethertype sees nothing on an enslaved port.
//!
//! A segment's only end has nobody to hear it: what it does with the switch is in [`segment`].

mod frame;
mod segment;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use archetype_model::observed::InsideObserved;
use archetype_model::report::ProbeResult;
use archetype_model::{ContainerName, Mac};
use archetype_netns::Namespace;

use crate::contract::{Across, ProbeOrder};
use crate::datapath::Door;
use frame::GROUP;
use sockets::Sockets;

/// A frame on a healthy wire takes under a millisecond; a switch that has just been told of many
/// ports is busy for longer.
const PATIENCE: Duration = Duration::from_millis(400);
/// No frame is lost before it was sent so often: on a busy host a time passes without anything done in it.
const TRIES: usize = 16;
/// What has not come is sent again after this.
const AGAIN: Duration = Duration::from_millis(25);
/// Any sender address will do where a device has none of its own.
const NO_ADDRESS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];

/// What frames are sent and received with.
pub(crate) struct Reach {
    /// The namespaces in which interfaces of each node are, and what is inside by the peer's ifindex on the host.
    pub(crate) insides: BTreeMap<ContainerName, Vec<Reached>>,
    /// The addresses of the host's devices that orders name, by ifindex.
    pub(crate) addresses: BTreeMap<u32, Mac>,
    /// The switch; none where it is not on this machine.
    pub(crate) switch: Option<Door>,
}

/// A namespace, and the devices in it by the peer's ifindex on the host.
pub(crate) type Reached = (Namespace, BTreeMap<u32, InsideObserved>);

/// One direction of one wire.
struct Crossing {
    order: usize,
    from: usize,
    to: usize,
    crossed: bool,
}

/// One end, found inside its node or on the host.
#[derive(Clone)]
struct End {
    socket: usize,
    ifindex: u32,
    address: [u8; 6],
}

/// Sends both ways across every wire and says what arrived. Blocks for at most a second.
pub(crate) fn probe(orders: &[ProbeOrder], reach: &Reach) -> Vec<ProbeResult> {
    let mut sockets = Sockets::default();
    let opened = sockets.open(orders, reach);
    let host = orders.iter().any(|order| beyond(order).is_some()).then(|| sockets.open_host());
    let find = |order: &ProbeOrder| -> Result<Vec<End>, String> {
        let ends = order.ends.iter().map(|end| sockets.find(end, reach, &opened));
        let beyond = beyond(order).zip(host.as_ref()).map(|(ifindex, socket)| {
            let address = reach.addresses.get(&ifindex).map_or(NO_ADDRESS, |mac| mac.octets());
            Ok(End { socket: socket.clone()?, ifindex, address })
        });
        ends.chain(beyond).collect()
    };
    let ends: Vec<Result<Vec<End>, String>> = orders.iter().map(find).collect();
    let mut crossings = crossings(orders, &ends);
    let nonce = frame::nonce();
    exchange(&sockets, orders, &ends, &mut crossings, nonce);
    let mut results: Vec<ProbeResult> =
        (0..orders.len()).map(|order| result(order, &orders[order], &ends[order], &crossings)).collect();
    segment::probe(orders, &ends, &sockets, reach.switch.as_ref(), nonce, &mut results);
    sockets.close_in_background();
    results
}

/// The device of the host that takes part in an order.
fn beyond(order: &ProbeOrder) -> Option<u32> {
    match order.across {
        Across::Wire | Across::Switch { .. } => None,
        Across::Device { ifindex, .. } => Some(ifindex),
        Across::Bridge { ifindex, .. } => (order.ends.len() == 1).then_some(ifindex),
    }
}

/// Every direction between the parties of each order; none for a segment's only end.
fn crossings(orders: &[ProbeOrder], ends: &[Result<Vec<End>, String>]) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    for (order, ends) in ends.iter().enumerate() {
        if matches!(orders[order].across, Across::Switch { .. }) {
            continue;
        }
        let count = ends.as_ref().map_or(0, Vec::len);
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let pairs = pairs.filter(|(from, to)| from != to);
        crossings.extend(pairs.map(|(from, to)| Crossing { order, from, to, crossed: false }));
    }
    crossings
}

fn result(at: usize, order: &ProbeOrder, ends: &Result<Vec<End>, String>, crossings: &[Crossing]) -> ProbeResult {
    if let Err(why) = ends {
        return ProbeResult::NotSent { why: why.clone() };
    }
    let names = order.parties();
    let lost = crossings.iter().filter(|crossing| crossing.order == at && !crossing.crossed);
    let directions: Vec<String> = lost.map(|lost| format!("{} -> {}", names[lost.from], names[lost.to])).collect();
    if directions.is_empty() { ProbeResult::Crossed } else { ProbeResult::Lost { directions } }
}

fn exchange(
    sockets: &Sockets,
    orders: &[ProbeOrder],
    ends: &[Result<Vec<End>, String>],
    crossings: &mut [Crossing],
    nonce: u64,
) {
    let end = |order: usize, at: usize| ends[order].as_ref().ok().and_then(|ends| ends.get(at));
    // Who waits for what: (order, from) at a socket's device.
    let mut waiting: BTreeMap<(usize, u32, u32, u32), usize> = BTreeMap::new();
    for (at, crossing) in crossings.iter().enumerate() {
        if let Some(to) = end(crossing.order, crossing.to) {
            waiting.insert((to.socket, to.ifindex, crossing.order as u32, crossing.from as u32), at);
        }
    }
    let mut patience = Patience::begin();
    while patience.goes_on() {
        let mut sent = BTreeSet::new();
        for at in waiting.values() {
            let Crossing { order, from, to, .. } = crossings[*at];
            let (Some(sender), Some(receiver)) = (end(order, from), end(order, to)) else { continue };
            let to = destination(&orders[order].across, receiver);
            if sent.insert((order, from, to)) {
                sockets.send(sender, &frame::frame(to, sender.address, nonce, order as u32, from as u32));
            }
        }
        let again = Instant::now() + AGAIN;
        // However late it is: what has come is taken before anything is said to be lost.
        loop {
            if waiting.is_empty() {
                return;
            }
            sockets.wait(again);
            sockets.receive(|socket, ifindex, frame| {
                let Some((order, from)) = frame::read(frame, nonce) else { return };
                if let Some(at) = waiting.remove(&(socket, ifindex, order, from)) {
                    crossings[at].crossed = true;
                }
            });
            if Instant::now() >= again {
                break;
            }
        }
    }
}

/// How long frames are sent again.
struct Patience {
    until: Instant,
    tries: usize,
}

impl Patience {
    fn begin() -> Self {
        Self { until: Instant::now() + PATIENCE, tries: 0 }
    }

    /// Whether to send once more.
    fn goes_on(&mut self) -> bool {
        self.tries += 1;
        self.tries <= TRIES || Instant::now() < self.until
    }
}

fn destination(across: &Across, receiver: &End) -> [u8; 6] {
    match across {
        Across::Bridge { .. } => receiver.address,
        Across::Wire | Across::Switch { .. } | Across::Device { .. } => GROUP,
    }
}
