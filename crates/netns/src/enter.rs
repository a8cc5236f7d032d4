//! Commands run inside the namespaces of a running node.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, setns};

use crate::error::{Error, Result};
use crate::time_slice;

/// Whom a command runs as, in place of root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's first group.
    pub gid: u32,
    /// The numbers of all the user's groups.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// Makes this process that user's, for good. Plain system calls: it may be used between fork
    /// and exec.
    ///
    /// # Errors
    /// When this process is not root.
    pub fn take_on(&self) -> io::Result<()> {
        // SAFETY: the list lives until the call is over.
        check(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })?;
        // SAFETY: both take numbers, no pointers.
        check(unsafe { libc::setgid(self.gid) })?;
        // SAFETY: as above.
        check(unsafe { libc::setuid(self.uid) })
    }
}

/// The namespaces of a process, held open: they can be entered even when it has ended meanwhile.
#[derive(Debug)]
pub struct Entry {
    process: File,
    net: File,
    mount: File,
    host_name: File,
}

impl Entry {
    /// Opens the namespaces of the process with this number.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(pid: i32) -> Result<Self> {
        let open = |name: &str| {
            let path = format!("/proc/{pid}/ns/{name}");
            File::open(&path).map_err(|error| Error::system(format!("open {path}: is the node running?"), error))
        };
        Ok(Self { process: open("pid")?, net: open("net")?, mount: open("mnt")?, host_name: open("uts")? })
    }

    /// Starts `command` inside, in the folder `cwd` there. Its standard streams are as `command`
    /// says; with `terminal` its standard input, a terminal, becomes the one that controls it.
    /// Without `user` it runs as root. Folders and users set on `command` itself are without effect.
    ///
    /// # Errors
    /// The system's own, so that a command that is not there can be told: also when the namespaces
    /// cannot be entered.
    pub fn spawn(
        &self,
        mut command: Command,
        cwd: &Path,
        terminal: bool,
        user: Option<Credentials>,
    ) -> io::Result<Child> {
        let folder = CString::new(cwd.as_os_str().as_bytes())?;
        let fds = [&self.net, &self.host_name, &self.mount].map(AsRawFd::as_raw_fd);
        // SAFETY: the closure makes plain system calls only, on descriptors and a text that live
        // until the command has been started.
        unsafe {
            command.pre_exec(move || {
                fds.iter().try_for_each(|fd| check(libc::setns(*fd, 0)))?;
                check(libc::chdir(folder.as_ptr()))?;
                check(libc::prctl(libc::PR_SET_PDEATHSIG, 0))?;
                ordinary_start()?;
                if terminal {
                    take_terminal()?;
                }
                user.as_ref().map_or(Ok(()), Credentials::take_on)
            });
        }
        // A process enters a process namespace only by being born into it, and who is born is
        // decided by the thread that gives birth: hence one for this alone.
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.process, CloneFlags::CLONE_NEWPID)?;
                command.spawn()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Makes this process's standard input, a terminal, the one that controls a session of its own.
/// Plain system calls: it may be used between fork and exec.
///
/// # Errors
/// When this process leads a group already, or its standard input is no terminal.
pub fn take_terminal() -> io::Result<()> {
    // SAFETY: it takes nothing.
    check(unsafe { libc::setsid() })?;
    // SAFETY: TIOCSCTTY takes a number, no pointer.
    check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })
}

/// Gives this process what a program expects at its start: no signal blocked and none ignored, and time slices as the
/// kernel makes them. What its parent ignores it would ignore as well (`execve(2)`): under `nohup`, no command could hang
/// up. Plain system calls: it may be used between fork and exec.
///
/// # Errors
/// None that a kernel gives; the system's own.
pub fn ordinary_start() -> io::Result<()> {
    // A sandbox may not let it ask; then the program has what its parent has.
    let _ = time_slice::be_usual();
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // SAFETY: the default action is no code of ours. Two numbers are the C library's own, which it refuses.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a set of signals is plain numbers, for which zeroes are valid; both calls get one that lives on.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()))
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
