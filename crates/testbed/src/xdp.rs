//! The smallest programs of XDP.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// What a program does with every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `XDP_DROP`.
    Drop = 1,
    /// `XDP_PASS`.
    Pass = 2,
}

/// Loads a program; it is gone when it sits nowhere and the descriptor is closed.
///
/// # Panics
/// When the kernel refuses it.
#[track_caller]
pub fn xdp_program(verdict: Verdict) -> OwnedFd {
    // r0 = verdict; exit
    let program: [u64; 2] = [(verdict as u64) << 32 | 0xb7, 0x95];
    let mut attributes = [0u64; 16];
    attributes[0] = 6 | 2 << 32; // BPF_PROG_TYPE_XDP, two instructions
    attributes[1] = program.as_ptr() as u64;
    attributes[2] = c"GPL".as_ptr() as u64;
    // SAFETY: the attributes are laid out as BPF_PROG_LOAD's and point to what outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, 5, attributes.as_ptr(), 48) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Puts a program onto a device of the caller's namespace, in place of the one that is there; none takes that one off.
/// In the mode that every device has (`xdpgeneric`).
///
/// # Panics
/// When the kernel refuses it.
#[track_caller]
pub fn xdp_set(device: &str, program: Option<&OwnedFd>) {
    const GENERIC: u32 = 2;
    let index = if_nametoindex(device).unwrap_or_else(|error| panic!("{device}: {error}"));
    // A descriptor of -1 is none.
    let fd = program.map_or(-1, |program| program.as_raw_fd());
    let mut message = Vec::new();
    // nlmsghdr, ifinfomsg, and IFLA_XDP with IFLA_XDP_FD and IFLA_XDP_FLAGS inside.
    message.extend(52u32.to_ne_bytes());
    message.extend(libc::RTM_SETLINK.to_ne_bytes());
    message.extend(((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([20u16.to_ne_bytes(), (43u16 | 0x8000).to_ne_bytes()].concat());
    message.extend([8u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat());
    message.extend(fd.to_ne_bytes());
    message.extend([8u16.to_ne_bytes(), 3u16.to_ne_bytes()].concat());
    message.extend(GENERIC.to_ne_bytes());
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
    let socket = socket.expect("a netlink socket");
    send(socket.as_raw_fd(), &message, MsgFlags::empty()).expect("the request is sent");
    let mut answer = [0u8; 256];
    recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).expect("an answer comes");
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    assert_eq!(error, 0, "{device}: {}", io::Error::from_raw_os_error(-error));
}
