//! The packet sockets of one round of probes: one per namespace, and one for the host's own.
//!
//! It does not know what is sent, but for the ethertype by which the kernel is told what to keep.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Instant;

use archetype_model::ContainerName;
use archetype_netns::Namespace;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::frame::ETHERTYPE;
use super::{End, Reach};
use crate::contract::{ProbeEnd, ProbeOrder};

/// The packet sockets of one round.
#[derive(Default)]
pub(super) struct Sockets(Vec<OwnedFd>);

/// Which socket hears a node, in which of its namespaces, or why none does.
pub(super) type Opened = BTreeMap<(ContainerName, usize), Result<usize, String>>;
/// A namespace to open, and of which node it is which.
type Wanted<'a> = ((ContainerName, usize), &'a Namespace);

impl Sockets {
    /// Opens one socket per namespace of the orders; answers which, or why not. Few threads, each
    /// entering one namespace after the other, never to come back to the host's.
    pub(super) fn open(&mut self, orders: &[ProbeOrder], reach: &Reach) -> Opened {
        let wanted: std::collections::BTreeSet<&ContainerName> =
            orders.iter().flat_map(|order| order.ends.iter().map(|end| &end.container)).collect();
        let of_node = |name: &ContainerName| {
            let spaces = reach.insides.get(name).into_iter().flatten().enumerate();
            spaces.map(|(at, (space, _))| ((name.clone(), at), space)).collect::<Vec<_>>()
        };
        let spaces: Vec<Wanted<'_>> = wanted.into_iter().flat_map(of_node).collect();
        let (left, right) = spaces.split_at(spaces.len() / 2);
        let open_all = |spaces: &[Wanted<'_>]| -> Vec<((ContainerName, usize), Result<OwnedFd, String>)> {
            let open = |space: &Namespace| {
                space.enter().map_err(|error| error.to_string())?;
                open_socket().map_err(|error| error.to_string())
            };
            spaces.iter().map(|(name, space)| (name.clone(), open(space))).collect()
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

    /// The end inside its node.
    pub(super) fn find(&self, end: &ProbeEnd, reach: &Reach, opened: &Opened) -> Result<End, String> {
        let missing = || format!("the inside of {} could not be opened", end.container);
        let spaces = reach.insides.get(&end.container).ok_or_else(missing)?;
        let found = spaces.iter().enumerate().find_map(|(at, (_, inside))| Some((at, inside.get(&end.host_ifindex)?)));
        let (at, device) = found.ok_or_else(|| format!("{} is not there", end.end))?;
        let socket = opened.get(&(end.container.clone(), at)).ok_or_else(missing)?.clone()?;
        let address = device.mac.map_or(super::NO_ADDRESS, archetype_model::Mac::octets);
        Ok(End { socket, ifindex: device.ifindex, address })
    }

    /// A socket for the host's own namespace, in which the calling thread is.
    pub(super) fn open_host(&mut self) -> Result<usize, String> {
        let socket = open_socket().map_err(|error| format!("the host's devices could not be heard: {error}"))?;
        self.0.push(socket);
        Ok(self.0.len() - 1)
    }

    /// Sends a frame out of an end's device.
    pub(super) fn send(&self, from: &End, frame: &[u8]) {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = from.ifindex as i32;
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&frame[..6]);
        let size = std::mem::size_of_val(&address) as libc::socklen_t;
        let fd = self.0[from.socket].as_raw_fd();
        // SAFETY: frame and address outlive the call, with their true sizes. A frame that is not
        // sent (device shut meanwhile) is a frame that does not arrive.
        unsafe { libc::sendto(fd, frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), size) };
    }

    /// Waits until something comes, or `until`.
    pub(super) fn wait(&self, until: Instant) {
        let mut fds: Vec<PollFd<'_>> = self.0.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        let left = until.saturating_duration_since(Instant::now()).as_millis().min(1000) as u16;
        let _ = poll(&mut fds, PollTimeout::from(left.max(1)));
    }

    /// Takes all that came: which socket, which device, which frame.
    pub(super) fn receive(&self, mut take: impl FnMut(usize, u32, &[u8])) {
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
    pub(super) fn close_in_background(self) {
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
