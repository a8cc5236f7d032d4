//! Waiting for the end of a process that is not our child.

use std::os::fd::{FromRawFd as _, OwnedFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

/// Completes when the process has ended, or soon when there is none of that number.
pub(crate) async fn of(pid: u32) {
    // SAFETY: pidfd_open takes no pointer and gives a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    let Ok(fd @ 0..) = i32::try_from(fd) else {
        // Gone already, or no descriptors left; whoever asks again at once must not spin.
        return tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // SAFETY: the descriptor was just given to us and nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the descriptor is owned by the value that is registered, and is never exchanged in it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) };
    if let Ok(fd) = registered {
        drop(fd.readable().await);
    }
}
