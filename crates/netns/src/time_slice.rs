//! How long the kernel lets a thread run before it looks at who waits (`sched_attr(2)`, `sched_runtime` of an ordinary
//! thread; kernels since 6.12, earlier ones leave it as it is).
//!
//! A short slice gives nobody more of a processor, but a thread that wakes has its turn sooner: it does not wait until
//! whoever runs there has used up a long one.

use std::io;

use nix::errno::Errno;

/// The shortest that a kernel takes.
const SHORT_NS: u64 = 100_000;

/// Gives the calling thread, and all threads and processes that it will start, short slices. One that somebody gave
/// another policy is left as it is; one that somebody gave other slices is not.
///
/// # Errors
/// The system's own.
pub fn be_short() -> io::Result<()> {
    set(SHORT_NS)
}

/// Gives the calling thread slices as the kernel makes them. Plain system calls: it may be used between fork and exec.
///
/// # Errors
/// The system's own.
pub fn be_usual() -> io::Result<()> {
    set(0)
}

fn set(nanoseconds: u64) -> io::Result<()> {
    // SAFETY: plain numbers, for which zeroes are valid.
    let mut of_thread: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    let (me, no_flags) = (0 as libc::pid_t, 0 as libc::c_uint);
    // SAFETY: the kernel writes no more than `size` bytes.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_getattr, me, &raw mut of_thread, size, no_flags) })?;
    if of_thread.sched_policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    of_thread.size = size;
    of_thread.sched_runtime = nanoseconds;
    // SAFETY: the kernel reads a value that lives on.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, me, &raw const of_thread, no_flags) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slice of the calling thread as the kernel tells it; none where it tells of none.
    fn told() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let line = text.lines().find(|line| line.starts_with("se.slice"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    #[test]
    fn a_thread_with_short_slices_keeps_its_niceness_and_may_have_usual_ones_again() {
        // SAFETY: it asks for a number.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = (told(), nice());
        be_short().unwrap();
        // Kernels before 6.12 tell of a slice, if at all, that nobody can set.
        let after = told();
        assert!(after == Some(SHORT_NS) || after == before.0, "{after:?}");
        assert_eq!(nice(), before.1);
        be_usual().unwrap();
        assert_eq!((told(), nice()), before);
    }
}
