//! `archetype serve` as a child that a test stops, kills and starts again on the same data.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use archetype_testbed::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);

/// The process, or where it is to be started. Dropping it kills it.
pub struct Serve {
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Serve {
    /// Starts it with that environment; its output is appended to `log`.
    #[track_caller]
    pub fn start_first(environment: Vec<(String, String)>, log: PathBuf) -> Self {
        let mut serve = Self { environment, log, child: None };
        serve.start();
        serve
    }

    /// What it is started with.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Sets a variable for later starts and for commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it, and waits until it answers. Nothing where it runs.
    #[track_caller]
    pub fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(super::ARCHETYPE);
        self.with_environment(&mut command).arg("serve").stdin(Stdio::null());
        let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        eventually(START, "serve answers", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "serve has ended: {}", std::fs::read_to_string(&self.log).unwrap_or_default());
            let mut ask = Command::new(super::ARCHETYPE);
            let ask = self.with_environment(ask.args(["inspect", "--format", "json"])).output().unwrap();
            ask.status.success().then_some(())
        });
        self.child = Some(child);
    }

    /// Kills it (`SIGKILL`) and waits until it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to end (`SIGTERM`) and waits until it has.
    ///
    /// # Panics
    /// When it takes more than 10 s, or ends with an error.
    #[track_caller]
    pub fn term(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = eventually(END, "serve ends", || child.try_wait().unwrap());
        assert!(status.success(), "serve ended with {status}");
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Gives a command the environment of `serve`, its socket with it.
    pub fn with_environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill9();
    }
}
