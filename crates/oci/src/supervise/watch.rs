//! The supervisor's watch: output, signals, the end of the command. One thread that waits for all.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use archetype_netns::{Error, supervised};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
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
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGCHLD] {
            set.add(signal);
        }
        set.thread_block().map_err(failed)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self).map_err(failed)
    }
}

/// Hears when the note of the run goes.
pub(super) struct Note(Inotify);

impl Note {
    /// Watches the note of the run that stands in `state` now.
    pub fn watch(state: &Path) -> Result<Self, Error> {
        let failed = |error| Error::system("watch the note of the run", error);
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(failed)?;
        inotify.add_watch(&supervised::started_file(state), AddWatchFlags::IN_DELETE_SELF).map_err(failed)?;
        Ok(Self(inotify))
    }

    /// Whether it is gone.
    fn is_gone(&self) -> bool {
        self.0.read_events().is_ok_and(|events| !events.is_empty())
    }
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
            self.obey();
            if self.note.is_gone() {
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
        let told = [self.signals.0.as_fd(), self.note.0.as_fd()];
        let mut fds: Vec<PollFd<'_>> = told.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
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

    /// Does what signals ask for.
    fn obey(&mut self) {
        while let Ok(Some(signal)) = self.signals.0.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT) => self.stop(),
                Ok(Signal::SIGHUP) => self.send(Signal::SIGHUP),
                _ => {}
            }
        }
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
