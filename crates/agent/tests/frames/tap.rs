//! A packet socket on one interface of a node: what it sends and hears is whole frames, tags included.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
/// The kernel took a tag off and tells of it beside the frame (`TP_STATUS_VLAN_VALID`).
const TAG_TAKEN: u32 = 1 << 4;
/// It also tells of which kind the tag was (`TP_STATUS_VLAN_TPID_VALID`).
const KIND_TOLD: u32 = 1 << 6;
/// The largest frame there can be, and some.
const ROOM: usize = 1 << 17;

/// Does `work` in the namespace of a node, on a thread of its own.
pub fn inside<T: Send>(node: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(node);
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread into the namespace of a node for good.
pub fn enter(node: &str) {
    let file = std::fs::File::open(Path::new("/run/netns").join(node)).unwrap();
    setns(file, CloneFlags::CLONE_NEWNET).unwrap();
}

/// Hears every frame that comes in at one interface, and sends there.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Tap {
    /// A tap on an interface of a node.
    pub fn open(node: &str, interface: &str) -> Self {
        inside(node, || Self::here(interface))
    }

    /// A tap on an interface of the calling thread's namespace.
    pub fn here(interface: &str) -> Self {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket takes no pointer. Protocol 0: it hears nothing before it is bound.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the descriptor was just given to us.
        let tap = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, buffer: vec![0; ROOM] };
        tap.switch_on(libc::PACKET_AUXDATA);
        tap.switch_on(PACKET_IGNORE_OUTGOING);
        tap.bind(nix::net::if_::if_nametoindex(interface).unwrap());
        tap
    }

    fn switch_on(&self, option: libc::c_int) {
        let one: libc::c_int = 1;
        let size = std::mem::size_of_val(&one) as libc::socklen_t;
        // SAFETY: the value outlives the call, with its true size.
        let done =
            unsafe { libc::setsockopt(self.fd.as_raw_fd(), libc::SOL_PACKET, option, (&raw const one).cast(), size) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }

    fn bind(&self, index: u32) {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index as i32;
        let size = std::mem::size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address outlives the call, with its true size.
        let done = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), size) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// What the kernel says, as that it is too long.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame outlives the call, with its true size.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next frame, waited for until `until`.
    pub fn next(&mut self, until: Instant) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.heard() {
                return Some(frame);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
            let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid pollfd.
            unsafe { libc::poll(&raw mut poll, 1, millis) };
        }
    }

    /// Every frame that comes within a time.
    pub fn all_within(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let until = Instant::now() + time;
        std::iter::from_fn(|| self.next(until)).collect()
    }

    /// A frame that waits to be read, with its tag where it was on the wire.
    fn heard(&mut self) -> Option<Vec<u8>> {
        let mut parts = libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        let mut control = [0u64; 16];
        // SAFETY: all-zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut parts;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = std::mem::size_of_val(&control) as _;
        // SAFETY: buffer and control outlive the call, with their true sizes.
        let length = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, 0) };
        let mut frame = self.buffer.get(..usize::try_from(length).ok()?)?.to_vec();
        if let Some((kind, tci)) = tag_taken(&message) {
            frame.splice(12..12, [kind.to_be_bytes(), tci.to_be_bytes()].concat());
        }
        Some(frame)
    }
}

/// The tag that the kernel took off a frame: its kind and its content.
fn tag_taken(message: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: the message was filled in by recvmsg and its control buffer still stands.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the header is not null and lies in the control buffer.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if level == libc::SOL_PACKET && kind == libc::PACKET_AUXDATA {
            // SAFETY: the kernel put a tpacket_auxdata behind this header.
            let told: libc::tpacket_auxdata = unsafe { std::ptr::read_unaligned(libc::CMSG_DATA(header).cast()) };
            let kind = if told.tp_status & KIND_TOLD != 0 { told.tp_vlan_tpid } else { 0x8100 };
            return (told.tp_status & TAG_TAKEN != 0).then_some((kind, told.tp_vlan_tci));
        }
        // SAFETY: as above; the answer is null at the end.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}
