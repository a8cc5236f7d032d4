//! What happens between fork and exec: namespaces, mounts, and the two processes that watch over the sandbox.
//!
//! Runs in a forked copy of a program with threads, so everything here is a bare system call: no allocation, no lock,
//! no panic. Knows nothing of tests.

use std::ffi::CStr;
use std::io;

use libc::c_int;

/// Exit status of a sandbox that could not be made.
pub(super) const BROKEN: c_int = 125;

/// Turns the calling process into the one that shall exec the test, inside everything new. The processes that stay
/// behind as keeper and PID 1 never return from here.
pub(super) fn enter(owner: libc::pid_t) -> io::Result<()> {
    die_with_parent();
    // SAFETY: plain system calls without memory of ours.
    unsafe {
        if libc::getppid() != owner {
            libc::_exit(BROKEN);
        }
        need(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_NEWPID), c"unshare");
    }
    if let Some(first) = fork() {
        stay(first);
    }
    die_with_parent();
    furnish();
    if let Some(body) = fork() {
        stay(body);
    }
    Ok(())
}

fn die_with_parent() {
    // SAFETY: sets a flag of this process.
    unsafe { need(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), c"prctl") };
}

/// The child's number in the parent, `None` in the child.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the process has one thread (it is itself a fresh fork), and the child keeps to system calls as well.
    let pid = unsafe { libc::fork() };
    need(pid, c"fork");
    (pid != 0).then_some(pid)
}

/// Reaps whoever ends until `child` does, then ends alike. For PID 1 that is its whole duty: daemons that detach
/// become its children, and its own end kills them.
fn stay(child: libc::pid_t) -> ! {
    // SAFETY: system calls on a local variable. Files other than the first three are closed, since the pipes among
    // them must not be held open by a process that never execs.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        loop {
            let mut status: c_int = 0;
            let ended = libc::waitpid(-1, &mut status, 0);
            if ended == child {
                let signal = libc::WTERMSIG(status);
                libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + signal });
            }
            if ended < 0 && *libc::__errno_location() != libc::EINTR {
                libc::_exit(BROKEN);
            }
        }
    }
}

/// A `/proc`, `/sys` and `/run` that belong to the new namespaces, and a loopback that is up.
fn furnish() {
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None);
    mount(Some(c"proc"), c"/proc", Some(c"proc"), 0, None);
    mount(Some(c"run"), c"/run", Some(c"tmpfs"), 0, Some(c"mode=755"));
    // A new sysfs shows the new network namespace, but covers the control groups mounted below the old one.
    make_dir(c"/run/.cgroup");
    mount(Some(c"/sys/fs/cgroup"), c"/run/.cgroup", None, libc::MS_BIND | libc::MS_REC, None);
    mount(Some(c"sysfs"), c"/sys", Some(c"sysfs"), 0, None);
    mount(Some(c"/run/.cgroup"), c"/sys/fs/cgroup", None, libc::MS_MOVE, None);
    // SAFETY: a system call on a literal.
    unsafe { libc::rmdir(c"/run/.cgroup".as_ptr()) };
    for folder in [c"/run/netns", c"/run/lock", c"/run/openvswitch"] {
        make_dir(folder);
    }
    forget_forwarding();
    raise_loopback();
}

/// A namespace starts with the machine's own setting, which Docker and labs change; a sandbox starts as a fresh host.
fn forget_forwarding() {
    // SAFETY: system calls on literals and on a descriptor that was just given.
    unsafe {
        let file = libc::open(c"/proc/sys/net/ipv4/ip_forward".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        need(file, c"ip_forward");
        need(libc::write(file, b"0".as_ptr().cast(), 1) as c_int, c"ip_forward");
        libc::close(file);
    }
}

fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong, options: Option<&CStr>) {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all pointers are null or lead to literals that end with a zero.
    let done = unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(options).cast::<libc::c_void>())
    };
    need(done, target);
}

fn make_dir(path: &CStr) {
    // SAFETY: the pointer leads to a literal that ends with a zero.
    need(unsafe { libc::mkdir(path.as_ptr(), 0o755) }, path);
}

fn raise_loopback() {
    // SAFETY: an all-zero ifreq is valid; its name field is longer than "lo".
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        need(socket, c"socket");
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        need(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request), c"lo up");
        libc::close(socket);
    }
}

/// Ends this process with the name of what failed and the error's number: all that is possible without allocating.
fn need(result: c_int, what: &CStr) {
    if result >= 0 {
        return;
    }
    // SAFETY: writes literals and a local buffer to the standard error.
    unsafe {
        let number = *libc::__errno_location();
        let digits = [b'0' + (number / 100 % 10) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
        for part in [b"sandbox: ".as_slice(), what.to_bytes(), b": errno ", &digits, b"\n"] {
            libc::write(2, part.as_ptr().cast(), part.len());
        }
        libc::_exit(BROKEN);
    }
}
