//! Which commands of a node's lists run, noted by the commands themselves in the moment in which
//! they begin: so that none runs twice because the agent died over it. How one ended whose agent
//! died only its parent could have known.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use archetype_model::report::ExecState;
use archetype_model::{ContainerName, digest};
use archetype_netns::folder::replace;
use archetype_netns::supervised::Process;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use crate::place::Place;

/// How often it is asked whether a command of a former agent has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The note of one command of one start.
#[derive(Debug)]
pub(crate) struct Note {
    file: PathBuf,
}

impl Note {
    /// The note of the command at `index` in the node's start `start`.
    pub(crate) fn of(place: &Place, container: &ContainerName, start: &str, index: usize) -> Self {
        Self { file: place.begun_folder(container).join(format!("{}-{index}", digest(&start))) }
    }

    /// The command of this note that an agent began and died over; none where none was.
    pub(crate) fn left(&self) -> Option<Left> {
        let noted = fs::read(&self.file).ok().filter(|noted| !noted.is_empty())?;
        // Without a process: the agent died before it could note which.
        let process = serde_json::from_slice::<Process>(&noted).ok();
        Some(Left(process))
    }

    /// Has a command note that it begins, in the last moment before it does.
    pub(crate) fn taken_by(&self, command: &mut Command) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&self.file)?;
        let begins = move || match nix::unistd::write(&file, b"begun") {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::from(error)),
        };
        // SAFETY: it makes one system call, on a descriptor that the closure owns.
        unsafe { command.pre_exec(begins) };
        Ok(())
    }

    /// Notes which process the command is, as far as it still is one.
    pub(crate) fn is_of(&self, child: &Child) {
        let process = i32::try_from(child.id()).ok().and_then(Process::of);
        let noted = process.and_then(|process| serde_json::to_vec(&process).ok());
        // Without it nobody waits for the command once this agent is gone; it runs once all the same.
        if let Some(Err(error)) = noted.map(|noted| replace(&self.file, &noted)) {
            tracing::debug!(%error, "the process of a command could not be noted");
        }
    }

    /// Takes the note away: the command is over, or never was.
    pub(crate) fn is_over(&self) {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the note of a command that is over could not be removed");
            }
            _ => {}
        }
    }
}

/// A command that a former agent began.
#[derive(Debug)]
pub(crate) struct Left(Option<Process>);

impl Left {
    /// Waits until it has ended, kills it when its time is over or it is given up.
    pub(crate) fn followed(&self, limit: Option<Duration>, given_up: &CancellationToken) -> ExecState {
        let until = limit.map(|limit| Instant::now() + limit);
        while let Some(process) = self.0.filter(Process::is_running) {
            let is_late = until.is_some_and(|until| Instant::now() >= until);
            if is_late || given_up.is_cancelled() {
                // It may have ended just now.
                let _ = killpg(Pid::from_raw(process.pid), Signal::SIGKILL);
                let output = String::new();
                return match limit.filter(|_| is_late) {
                    Some(limit) => ExecState::OutOfTime { seconds: limit.as_secs(), output },
                    None => ExecState::GivenUp { output },
                };
            }
            thread::sleep(LOOK_EVERY);
        }
        ExecState::Unknown
    }
}
