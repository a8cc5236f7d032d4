//! The smallest programs of XDP.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

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
