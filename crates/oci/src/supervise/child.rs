//! The command's process: born into its namespaces, held until the supervisor has noted it, then
//! turned into the command.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use archetype_netns::enter::ordinary_start;
use archetype_netns::pin::NETNS_FOLDER;
use archetype_netns::{Error, Namespace, mounts};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, pipe2};

use super::Options;

type Result<T> = std::result::Result<T, Error>;

/// A process that waits to become the command.
pub(super) struct Child {
    /// Its number, as the host counts.
    pub pid: Pid,
    /// Everything that it will print.
    pub output: OwnedFd,
    go: OwnedFd,
    word: OwnedFd,
}

impl Child {
    /// Lets it become the command. Gives why not, if it could not.
    pub fn release(&self) -> Result<std::result::Result<(), String>> {
        let failed = |error: std::io::Error| Error::system("talk to the command's process", error);
        let duplicate = |fd: &OwnedFd| fd.try_clone().map(File::from).map_err(failed);
        // One that has died already has left its words all the same.
        let _ = duplicate(&self.go)?.write_all(b"g");
        let mut words = String::new();
        // The pipe ends without a word when the process becomes the command.
        duplicate(&self.word)?.read_to_string(&mut words).map_err(failed)?;
        Ok(if words.is_empty() { Ok(()) } else { Err(words) })
    }
}

/// Closes every descriptor that the caller left open but the standard ones, which become
/// `/dev/null`, and `keep`.
pub(super) fn close_others(keep: RawFd) -> Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| Error::system("open /dev/null", error))?;
    let keep = keep as u32;
    // SAFETY: plain system calls; no descriptor that is closed here is used again by anybody: the
    // process was forked just now and holds only `keep` and `null` besides what it inherited.
    unsafe {
        for standard in 0..3 {
            libc::dup2(null.as_raw_fd(), standard);
        }
        drop(null);
        libc::close_range(3, keep - 1, 0);
        libc::close_range(keep + 1, u32::MAX, 0);
    }
    Ok(())
}

/// Makes the process. It waits inside its namespaces for [`Child::release`].
pub(super) fn spawn(options: &Options, namespace: &Path) -> Result<Child> {
    let namespace = Namespace::open_node(namespace)?;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| Error::system("make a pipe", error));
    let ((output, print), (wait, go), (word, say)) = (pipe()?, pipe()?, pipe()?);
    // SAFETY: the process has one thread, so the child may do what it likes. The stack is null:
    // the child runs on a copy of ours, as after fork.
    let pid = unsafe {
        let flags = libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::SIGCHLD;
        libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0)
    };
    match pid {
        ..0 => Err(Error::last("make the command's process")),
        0 => {
            drop((output, go, word));
            let error = born(options, &namespace, &print, wait);
            let _ = File::from(say).write_all(error.to_string().as_bytes());
            // SAFETY: ends the process at once, without running what belongs to the supervisor.
            unsafe { libc::_exit(127) }
        }
        pid => Ok(Child { pid: Pid::from_raw(pid as i32), output, go, word }),
    }
}

/// The child's life until it is the command; comes back only with a failure.
fn born(options: &Options, network: &Namespace, print: &OwnedFd, wait: OwnedFd) -> Error {
    match arrange(options, network, print, wait) {
        Ok(()) => become_command(&options.command),
        Err(error) => error,
    }
}

fn arrange(options: &Options, network: &Namespace, print: &OwnedFd, wait: OwnedFd) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| Error::system("tie the command's life", error))?;
    mounts::enter_new(&options.binds, &[NETNS_FOLDER.into()])?;
    let none: Option<&str> = None;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).map_err(|error| Error::system("mount /proc", error))?;
    if let Some(name) = &options.host_name {
        nix::unistd::sethostname(name).map_err(|error| Error::system("set the host name", error))?;
    }
    network.enter()?;
    show_own_sys();
    std::env::set_current_dir(&options.cwd)
        .map_err(|error| Error::system(format!("go to {}", options.cwd.display()), error))?;
    let mut go = [0u8];
    // Without the word the supervisor has died before death signals were arranged.
    File::from(wait).read_exact(&mut go).map_err(|error| Error::system("wait for the supervisor", error))?;
    ordinary_start().map_err(|error| Error::system("set up what a program expects", error))?;
    // SAFETY: plain system calls on descriptors that are open.
    unsafe {
        libc::dup2(print.as_raw_fd(), 1);
        libc::dup2(print.as_raw_fd(), 2);
        libc::setsid();
    }
    Ok(())
}

/// Shows the node's own devices under `/sys/class/net`, with what is mounted below `/sys` kept
/// out of reach of nobody: a fresh `/sys` would lack the control groups, so they are bound again.
fn show_own_sys() {
    let none: Option<&str> = None;
    let groups = File::open("/sys/fs/cgroup");
    // A host that forbids it (inside a container) leaves the node with the host's view: harmless.
    if mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, none).is_err() {
        return;
    }
    if let Ok(groups) = groups {
        let source = format!("/proc/self/fd/{}", groups.as_raw_fd());
        let _ = mount(Some(source.as_str()), "/sys/fs/cgroup", none, MsFlags::MS_BIND | MsFlags::MS_REC, none);
    }
}

fn become_command(command: &[OsString]) -> Error {
    let texts: std::result::Result<Vec<CString>, _> =
        command.iter().map(|word| CString::new(word.as_bytes())).collect();
    let name = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match texts {
        Err(error) => Error::system(format!("run {name}"), error),
        Ok(texts) => match nix::unistd::execvp(&texts[0], &texts) {
            Err(error) => Error::system(format!("run {name}"), error),
            Ok(never) => match never {},
        },
    }
}
