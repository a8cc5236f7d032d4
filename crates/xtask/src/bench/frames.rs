//! Frames that the floor program sends across links: the plainest way to know that a link carries.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const LENGTH: usize = 60;
const ETHERTYPE: u16 = 0x88b6;
const AGAIN: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// One end of a link: its namespace's socket, by place, and the device's number inside.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub socket: usize,
    pub ifindex: u32,
}

/// A packet socket in the calling thread's namespace.
pub fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket takes no pointer. A protocol is given at bind, for with one here bind waits for the kernel.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just given to us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let address = address(0);
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address outlives the call, with its true size.
    let done = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Sends a frame each way across each link until all have arrived.
pub fn cross(sockets: &[OwnedFd], links: &[(End, End)]) -> anyhow::Result<()> {
    let nonce = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let mut waiting: BTreeSet<usize> = (0..2 * links.len()).collect();
    let ends = |crossing: usize| {
        let (a, b) = links[crossing / 2];
        if crossing.is_multiple_of(2) { (a, b) } else { (b, a) }
    };
    let begun = Instant::now();
    while !waiting.is_empty() {
        if begun.elapsed() > PATIENCE {
            bail!("{} of {} frames never arrived", waiting.len(), 2 * links.len());
        }
        for crossing in &waiting {
            let (from, _) = ends(*crossing);
            send(&sockets[from.socket], from.ifindex, &frame(nonce, *crossing));
        }
        let again = Instant::now() + AGAIN;
        while !waiting.is_empty() && Instant::now() < again {
            let mut fds: Vec<PollFd<'_>> =
                sockets.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut fds, PollTimeout::from(5u8)).context("wait for frames")?;
            let ready: Vec<usize> = (0..fds.len())
                .filter(|at| fds[*at].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
                .collect();
            for at in ready {
                receive(&sockets[at], |ifindex, bytes| {
                    let Some(crossing) = read(bytes, nonce) else { return };
                    let (_, to) = ends(crossing);
                    if to.socket == at && to.ifindex == ifindex {
                        waiting.remove(&crossing);
                    }
                });
            }
        }
    }
    Ok(())
}

fn frame(nonce: u64, crossing: usize) -> [u8; LENGTH] {
    let mut frame = [0u8; LENGTH];
    frame[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    frame[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    frame[14..22].copy_from_slice(&nonce.to_be_bytes());
    frame[22..30].copy_from_slice(&(crossing as u64).to_be_bytes());
    frame
}

fn read(bytes: &[u8], nonce: u64) -> Option<usize> {
    let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let ours = bytes.get(12..14)? == ETHERTYPE.to_be_bytes() && number(14)? == nonce;
    ours.then(|| number(22)).flatten().map(|crossing| crossing as usize)
}

fn address(ifindex: u32) -> libc::sockaddr_ll {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = ifindex as i32;
    address
}

fn send(fd: &OwnedFd, ifindex: u32, frame: &[u8]) {
    let address = address(ifindex);
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: frame and address outlive the call, with their true sizes. A frame that is not sent does not arrive.
    unsafe { libc::sendto(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), size) };
}

fn receive(fd: &OwnedFd, mut take: impl FnMut(u32, &[u8])) {
    let mut buffer = [0u8; 256];
    loop {
        let mut from = address(0);
        let mut size = std::mem::size_of_val(&from) as libc::socklen_t;
        let (raw, room) = (fd.as_raw_fd(), buffer.len());
        // SAFETY: buffer and address outlive the call, with their true sizes.
        let got =
            unsafe { libc::recvfrom(raw, buffer.as_mut_ptr().cast(), room, 0, (&raw mut from).cast(), &raw mut size) };
        let Ok(got @ 1..) = usize::try_from(got) else { return };
        if from.sll_pkttype != libc::PACKET_OUTGOING {
            take(from.sll_ifindex as u32, &buffer[..got]);
        }
    }
}
