//! The supervisor's watch: output, signals, the end of the command. One thread that waits for all.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archetype_netns::Error;
use archetype_netns::supervised::{self, Started};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::log::Log;

/// The signals that are read one by one instead of interrupting.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// From now on signals wait to be read; the command's process undoes this for itself.
    pub fn block() -> Result<Self, Error> {
        let failed = |error| Error::system("set up signals", error);
        let mut set = SigSet::empty();
        let of_others = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCHLD];
        for signal in of_others.into_iter().chain([Signal::SIGIO]) {
            set.add(signal);
        }
        set.thread_block().map_err(failed)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self).map_err(failed)
    }
}

/// The note of the run, and who hears when it goes: by a signal, for of the watches of inotify a user
/// has no more than 128, and there may be more nodes.
pub(super) struct Note {
    state: PathBuf,
    own: Started,
    /// The kernel watches the folder for as long as it is open.
    _folder: Option<OwnedFd>,
}

impl Note {
    /// Watches the note `own` that stands in `state` now. Where the kernel has no such watch, the run goes on when its
    /// note goes.
    pub fn watch(state: &Path, own: Started) -> Self {
        let folder = File::open(state).map(OwnedFd::from).ok().filter(tells_of_removals);
        Self { state: state.to_owned(), own, _folder: folder }
    }

    /// Whether it is gone, or another one.
    fn is_gone(&self) -> bool {
        supervised::started(&self.state).is_ok_and(|noted| noted.as_ref() != Some(&self.own))
    }
}

/// Has `SIGIO` sent whenever something goes from a folder or takes the place of what was there (`F_NOTIFY` in fcntl(2)).
fn tells_of_removals(folder: &OwnedFd) -> bool {
    const DN_DELETE: libc::c_ulong = 0x8;
    const DN_RENAME: libc::c_ulong = 0x10;
    const DN_MULTISHOT: libc::c_ulong = 0x8000_0000;
    // SAFETY: a plain system call on a descriptor that is open.
    unsafe { libc::fcntl(folder.as_raw_fd(), libc::F_NOTIFY, DN_DELETE | DN_RENAME | DN_MULTISHOT) == 0 }
}

/// How the command ended.
#[derive(Debug, Default)]
pub(super) struct End {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub oom: bool,
    pub stopped: bool,
}

/// A command that runs.
pub(super) struct Running {
    pid: Pid,
    output: Option<File>,
    log: Log,
    signals: Signals,
    note: Note,
    patience: Duration,
    /// Whether nobody knows of the run any more.
    forgotten: bool,
    /// When it is killed, once it was asked to end.
    deadline: Option<Instant>,
    stopped: bool,
    kills: Option<u64>,
}

impl Running {
    /// A watch over the process `pid`.
    pub fn new(pid: Pid, output: OwnedFd, log: Log, signals: Signals, note: Note, patience: Duration) -> Self {
        let output = Some(File::from(output));
        let kills = memory_kills();
        Self { pid, output, log, signals, note, patience, forgotten: false, deadline: None, stopped: false, kills }
    }

    /// Whether the note of the run was taken away: nobody would find it to end it, or its like was started meanwhile.
    pub fn is_forgotten(&self) -> bool {
        self.forgotten
    }

    /// Watches until the command has ended.
    pub fn watch(&mut self) -> End {
        loop {
            self.wait();
            self.collect();
            if self.obey() && self.note.is_gone() {
                self.forgotten = true;
                self.send(Signal::SIGKILL);
            }
            if let Some(end) = self.reap() {
                // All its descendants have died with it, so what is in the pipe is all there is.
                self.drain();
                return end;
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.deadline = None;
                self.send(Signal::SIGKILL);
            }
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.0.as_fd(), PollFlags::POLLIN)];
        if let Some(output) = &self.output {
            fds.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        // An interruption is as good as an event: everything is looked at.
        let _ = poll(&mut fds, timeout);
    }

    /// Takes what the command has printed, if anything.
    fn collect(&mut self) -> bool {
        let Some(output) = &mut self.output else { return false };
        let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1..)) {
            return false;
        }
        let mut buffer = [0u8; 16 * 1024];
        match output.read(&mut buffer) {
            Ok(0) | Err(_) => {
                self.output = None;
                false
            }
            Ok(count) => {
                self.log.write(&buffer[..count]);
                true
            }
        }
    }

    fn drain(&mut self) {
        while self.collect() {}
    }

    /// Does what signals ask for; whether one of them was that something went from the state folder.
    fn obey(&mut self) -> bool {
        let mut is_less = false;
        while let Ok(Some(signal)) = self.signals.0.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT) => self.stop(),
                Ok(Signal::SIGHUP) => self.send(Signal::SIGHUP),
                Ok(Signal::SIGIO) => is_less = true,
                _ => {}
            }
        }
        is_less
    }

    fn stop(&mut self) {
        self.stopped = true;
        if self.deadline.is_some() {
            return;
        }
        if catches_term(self.pid) {
            self.send(Signal::SIGTERM);
            self.deadline = Some(Instant::now() + self.patience);
        } else {
            self.send(Signal::SIGKILL);
        }
    }

    fn send(&self, signal: Signal) {
        // It may have ended just now; then there is nobody to tell.
        let _ = kill(self.pid, signal);
    }

    fn reap(&mut self) -> Option<End> {
        let end = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => End { code: Some(code), ..End::default() },
            Ok(WaitStatus::Signaled(_, signal, _)) => End { signal: Some(signal as i32), ..End::default() },
            Ok(_) | Err(nix::errno::Errno::EINTR) => return None,
            // Nobody is left to be waited for; how it ended is lost.
            Err(_) => End::default(),
        };
        let killed = end.signal == Some(Signal::SIGKILL as i32) && !self.stopped;
        let more = self.kills.zip(memory_kills()).is_some_and(|(before, now)| now > before);
        Some(End { oom: killed && more, stopped: self.stopped, ..end })
    }
}

/// Whether the process has a handler for `SIGTERM`: the kernel keeps the signal from the first
/// process of a namespace that has none.
fn catches_term(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask & 1 << (Signal::SIGTERM as i32 - 1) != 0)
}

/// How often the kernel has killed for want of memory in this process's control group, which is
/// the command's too; nothing when that cannot be told.
fn memory_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        match controllers {
            "" => Some(format!("/sys/fs/cgroup{path}/memory.events")),
            "memory" => Some(format!("/sys/fs/cgroup/memory{path}/memory.oom_control")),
            _ => None,
        }
    });
    let counts = files.filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
    });
    counts.reduce(|sum, count| sum + count)
}
