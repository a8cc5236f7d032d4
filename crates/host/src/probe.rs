//! Probe frames: a nonce sent from inside one end of a wire and received inside the others.
//!
//! To 01:80:c2:00:00:0e, which no bridge inside a node forwards, with ethertype 0x88b5 (IEEE Std
//! 802, local experimental). One packet socket per namespace hears all of it: a socket bound to the
//! ethertype sees nothing on an enslaved port. An end that is alone on its wire has nobody to hear
//! it; its frame is looked for where it enters the switch, at the host's end of its pair.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use archetype_model::ContainerName;
use archetype_model::observed::InsideObserved;
use archetype_model::report::ProbeResult;
use archetype_netns::Namespace;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::contract::ProbeOrder;

/// Nothing beyond the nearest bridge-like thing (IEEE Std 802.1Q, table 8-1).
const DESTINATION: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const MAGIC: &[u8; 8] = b"archetyp";
/// A frame on a healthy wire takes under a millisecond; a switch that has just been told of many
/// ports is busy for longer.
const PATIENCE: Duration = Duration::from_millis(400);
/// What has not come is sent again after this.
const AGAIN: Duration = Duration::from_millis(25);

/// A node's namespace, and what is inside by the peer's ifindex on the host.
pub(crate) type Insides = BTreeMap<ContainerName, (Namespace, BTreeMap<u32, InsideObserved>)>;

/// One direction of one wire.
struct Crossing {
    order: usize,
    from: usize,
    to: usize,
    crossed: bool,
}

/// One end, found inside its node.
#[derive(Clone)]
struct End {
    socket: usize,
    ifindex: u32,
    source: [u8; 6],
}

/// Sends both ways across every wire and says what arrived. Blocks for at most half a second.
pub(crate) fn probe(orders: &[ProbeOrder], insides: &Insides) -> Vec<ProbeResult> {
    let mut sockets = Sockets::default();
    let mut ends: Vec<Result<Vec<End>, String>> = Vec::with_capacity(orders.len());
    let opened = sockets.open(orders, insides);
    let ports = orders.iter().any(is_alone).then(|| sockets.hear_ports());
    for order in orders {
        let port = ports.as_ref().filter(|_| is_alone(order)).map(|socket| own_port(order, socket));
        ends.push(order.ends.iter().map(|end| sockets.find(end, insides, &opened)).chain(port).collect());
    }
    let mut crossings = Vec::new();
    for (order, ends) in ends.iter().enumerate() {
        let count = ends.as_ref().map_or(0, Vec::len);
        // Nothing is sent from a host's end: the switch would take it for a frame of its own.
        for from in 0..orders[order].ends.len().min(count) {
            crossings.extend((0..count).filter(|to| *to != from).map(|to| Crossing {
                order,
                from,
                to,
                crossed: false,
            }));
        }
    }
    let nonce = nonce();
    exchange(&sockets, &ends, &mut crossings, nonce);
    let results = (0..orders.len()).map(|order| result(order, &orders[order], &ends[order], &crossings)).collect();
    sockets.close_in_background();
    results
}

fn result(at: usize, order: &ProbeOrder, ends: &Result<Vec<End>, String>, crossings: &[Crossing]) -> ProbeResult {
    if let Err(why) = ends {
        return ProbeResult::NotSent { why: why.clone() };
    }
    let lost = crossings.iter().filter(|crossing| crossing.order == at && !crossing.crossed);
    let name = |at: usize| order.ends.get(at).map_or_else(|| "its port".to_string(), |end| end.end.to_string());
    let directions: Vec<String> = lost.map(|lost| format!("{} -> {}", name(lost.from), name(lost.to))).collect();
    if directions.is_empty() { ProbeResult::Crossed } else { ProbeResult::Lost { directions } }
}

fn is_alone(order: &ProbeOrder) -> bool {
    order.ends.len() == 1
}

/// The host's end of the only end of an order, as one that hears.
fn own_port(order: &ProbeOrder, socket: &Result<usize, String>) -> Result<End, String> {
    Ok(End { socket: socket.clone()?, ifindex: order.ends[0].host_ifindex, source: [0; 6] })
}

fn exchange(sockets: &Sockets, ends: &[Result<Vec<End>, String>], crossings: &mut [Crossing], nonce: u64) {
    let end = |order: usize, at: usize| ends[order].as_ref().ok().and_then(|ends| ends.get(at));
    // Who waits for what: (order, from) at a socket's device.
    let mut waiting: BTreeMap<(usize, u32, u32, u32), usize> = BTreeMap::new();
    for (at, crossing) in crossings.iter().enumerate() {
        if let Some(to) = end(crossing.order, crossing.to) {
            waiting.insert((to.socket, to.ifindex, crossing.order as u32, crossing.from as u32), at);
        }
    }
    let until = Instant::now() + PATIENCE;
    while !waiting.is_empty() && Instant::now() < until {
        let mut sent = std::collections::BTreeSet::new();
        for at in waiting.values() {
            let crossing = &crossings[*at];
            if sent.insert((crossing.order, crossing.from))
                && let Some(from) = end(crossing.order, crossing.from)
            {
                sockets.send(from, &frame(from, nonce, crossing.order as u32, crossing.from as u32));
            }
        }
        let again = Instant::now() + AGAIN;
        while !waiting.is_empty() && Instant::now() < again {
            sockets.wait(again);
            sockets.receive(|socket, ifindex, frame| {
                let Some((order, from)) = read(frame, nonce) else { return };
                if let Some(at) = waiting.remove(&(socket, ifindex, order, from)) {
                    crossings[at].crossed = true;
                }
            });
        }
    }
}

fn frame(from: &End, nonce: u64, order: u32, end: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend(DESTINATION);
    frame.extend(from.source);
    frame.extend(ETHERTYPE);
    frame.extend(MAGIC);
    frame.extend(nonce.to_be_bytes());
    frame.extend(order.to_be_bytes());
    frame.extend(end.to_be_bytes());
    frame.resize(60, 0);
    frame
}

fn read(frame: &[u8], nonce: u64) -> Option<(u32, u32)> {
    let ours = frame.len() >= 38 && frame[..6] == DESTINATION && frame[12..14] == ETHERTYPE && frame[14..22] == *MAGIC;
    if !ours || frame[22..30] != nonce.to_be_bytes() {
        return None;
    }
    let number = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?));
    Some((number(30)?, number(34)?))
}

/// Differs between any two rounds on this machine, so that no late frame is taken for a new one.
fn nonce() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now.as_nanos() as u64).rotate_left(20) ^ u64::from(std::process::id())
}

/// The packet sockets of one round: one per namespace, and one for the host's own where an end is
/// alone.
#[derive(Default)]
struct Sockets(Vec<OwnedFd>);

impl Sockets {
    /// Opens one socket per namespace of the orders; answers which, or why not. Few threads, each
    /// entering one namespace after the other, never to come back to the host's.
    fn open(&mut self, orders: &[ProbeOrder], insides: &Insides) -> BTreeMap<ContainerName, Result<usize, String>> {
        let wanted: std::collections::BTreeSet<&ContainerName> =
            orders.iter().flat_map(|order| order.ends.iter().map(|end| &end.container)).collect();
        let spaces: Vec<(&ContainerName, &Namespace)> =
            wanted.into_iter().filter_map(|name| Some((name, &insides.get(name)?.0))).collect();
        let (left, right) = spaces.split_at(spaces.len() / 2);
        let open_all = |spaces: &[(&ContainerName, &Namespace)]| -> Vec<(ContainerName, Result<OwnedFd, String>)> {
            let open = |space: &Namespace| {
                space.enter().map_err(|error| error.to_string())?;
                open_socket().map_err(|error| error.to_string())
            };
            spaces.iter().map(|(name, space)| ((*name).clone(), open(space))).collect()
        };
        let results = std::thread::scope(|scope| {
            let threads = [scope.spawn(|| open_all(left)), scope.spawn(|| open_all(right))];
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
        });
        let mut opened = BTreeMap::new();
        for (name, result) in results {
            let entry = result.map(|socket| {
                self.0.push(socket);
                self.0.len() - 1
            });
            opened.insert(name, entry);
        }
        opened
    }

    fn find(
        &self,
        end: &crate::contract::ProbeEnd,
        insides: &Insides,
        opened: &BTreeMap<ContainerName, Result<usize, String>>,
    ) -> Result<End, String> {
        let missing = || format!("the inside of {} could not be opened", end.container);
        let socket = opened.get(&end.container).ok_or_else(missing)?.clone()?;
        let (_, inside) = insides.get(&end.container).ok_or_else(missing)?;
        let device = inside.get(&end.host_ifindex).ok_or_else(|| format!("{} is not there", end.end))?;
        // Any sender address will do where the node took the device's own away.
        let source = device.mac.map_or([0x02, 0, 0, 0, 0, 1], archetype_model::Mac::octets);
        Ok(End { socket, ifindex: device.ifindex, source })
    }

    /// A socket for the host's own namespace, in which the calling thread is.
    fn hear_ports(&mut self) -> Result<usize, String> {
        let socket = open_socket().map_err(|error| format!("the host's ports could not be heard: {error}"))?;
        self.0.push(socket);
        Ok(self.0.len() - 1)
    }

    fn send(&self, from: &End, frame: &[u8]) {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = from.ifindex as i32;
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&DESTINATION);
        let size = std::mem::size_of_val(&address) as libc::socklen_t;
        let fd = self.0[from.socket].as_raw_fd();
        // SAFETY: frame and address outlive the call, with their true sizes. A frame that is not
        // sent (device shut meanwhile) is a frame that does not arrive.
        unsafe { libc::sendto(fd, frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), size) };
    }

    fn wait(&self, until: Instant) {
        let mut fds: Vec<PollFd<'_>> = self.0.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let left = until.saturating_duration_since(Instant::now()).as_millis().min(1000) as u16;
        let _ = poll(&mut fds, PollTimeout::from(left.max(1)));
    }

    fn receive(&self, mut take: impl FnMut(usize, u32, &[u8])) {
        let mut buffer = [0u8; 256];
        for (at, socket) in self.0.iter().enumerate() {
            loop {
                // SAFETY: all-zero is a valid sockaddr_ll.
                let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
                let mut size = std::mem::size_of_val(&address) as libc::socklen_t;
                let (fd, room) = (socket.as_raw_fd(), buffer.len());
                // SAFETY: buffer and address outlive the call, with their true sizes.
                let got = unsafe {
                    libc::recvfrom(
                        fd,
                        buffer.as_mut_ptr().cast(),
                        room,
                        libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                        (&raw mut address).cast(),
                        &raw mut size,
                    )
                };
                let Ok(got @ 1..) = usize::try_from(got) else { break };
                // A copy of what the node itself sends.
                if address.sll_pkttype != libc::PACKET_OUTGOING {
                    take(at, address.sll_ifindex as u32, &buffer[..got.min(room)]);
                }
            }
        }
    }

    /// Each close waits for the kernel; nobody needs to wait with it.
    fn close_in_background(self) {
        let mut sockets = self.0.into_iter().peekable();
        while sockets.peek().is_some() {
            let some: Vec<OwnedFd> = sockets.by_ref().take(16).collect();
            std::thread::spawn(move || drop(some));
        }
    }
}

/// A socket that hears every frame of the calling thread's namespace, but keeps only probes.
fn open_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket takes no pointer. Protocol 0: with one, the bind below would wait for the kernel.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just given to us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    keep_only_probes(&fd)?;
    // SAFETY: all-zero is a valid sockaddr_ll: every device.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address outlives the call, with its true size.
    let done = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Classic BPF: load the ethertype, keep the frame if it is ours.
fn keep_only_probes(fd: &OwnedFd) -> io::Result<()> {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let ethertype = u32::from(u16::from_be_bytes(ETHERTYPE));
    let mut program = [
        step(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 12),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, ethertype),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 256),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let size = std::mem::size_of_val(&filter) as libc::socklen_t;
    // SAFETY: the filter and its program outlive the call, with their true sizes.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const filter).cast(), size)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_another_round_is_not_taken() {
        let end = End { socket: 0, ifindex: 1, source: [2, 0, 0, 0, 0, 1] };
        let sent = frame(&end, 7, 3, 1);
        assert_eq!(read(&sent, 7), Some((3, 1)));
        assert_eq!(read(&sent, 8), None);
        assert_eq!(read(&sent[..37], 7), None);
    }
}
