//! One daemon as a child process: started with a log file, ended by its own pid. Knows no particular daemon.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{eventually, slowly};

/// A running child. Dropping it kills it (`SIGKILL`) and waits.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts the command with standard output and error appended to `log`.
    ///
    /// # Panics
    /// When the log cannot be opened or the program cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log);
        let file = file.unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()));
        let errors = file.try_clone().expect("an open file can be doubled");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}; `make setup` installs it"));
        Self { child, log: log.to_owned() }
    }

    /// The process id, as this process's namespace counts.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are small and positive")
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended and was waited for.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("a child not yet waited for takes signals");
    }

    /// Waits until `fact` answers, and fails at once when the daemon ends instead.
    ///
    /// # Panics
    /// When the daemon ends, or after `limit`; with the end of its log.
    #[track_caller]
    pub fn until<T>(&mut self, limit: Duration, what: &str, mut fact: impl FnMut() -> Option<T>) -> T {
        let log = self.log.clone();
        let (start, time) = (Instant::now(), slowly(limit));
        eventually(limit * 2, what, || {
            let ended = self.child.try_wait().expect("our own child can be asked");
            assert!(
                ended.is_none() && start.elapsed() < time,
                "{what}: {ended:?}; its log ends:\n{}",
                last_lines(&log)
            );
            fact()
        })
    }

    /// Asks it to end (`SIGTERM`), and kills it when it has not after `limit`.
    #[track_caller]
    pub fn stop(mut self, limit: Duration) {
        self.signal(Signal::SIGTERM);
        let (start, limit) = (Instant::now(), slowly(limit));
        while start.elapsed() < limit {
            if self.child.try_wait().expect("our own child can be asked").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only for a child that was waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
