//! Which commands of a node's lists run, noted by the commands themselves in the moment in which
//! they begin: so that none runs twice because the agent died over it. How one ended that outlived
//! its agent only that one could have known.
//!
//! A note stays until a command of another start begins, with how the command ended: what was not
//! written into the ledger any more is read here. Of a start that has not come yet nothing stays,
//! for the next such start may be called alike.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use archetype_model::report::ExecState;
use archetype_model::stages::is_before;
use archetype_model::{ContainerName, digest};
use archetype_netns::folder::replace;
use archetype_netns::supervised::Process;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::place::Place;

/// How often it is asked whether a command of a former agent has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The note of one command of one start.
#[derive(Debug)]
pub(crate) struct Note {
    folder: PathBuf,
    /// What the notes of this start are called by.
    start: String,
    index: usize,
    is_before: bool,
}

/// What a note says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Noted {
    Runs(Process),
    Ended(ExecState),
}

impl Note {
    /// The note of the command at `index` in the node's start `start`.
    pub(crate) fn of(place: &Place, container: &ContainerName, start: &str, index: usize) -> Self {
        let folder = place.begun_folder(container);
        Self { folder, start: digest(&start), index, is_before: is_before(start) }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}-{}", self.start, self.index))
    }

    /// The command of this note that an agent began and died over; none where none was.
    pub(crate) fn left(&self) -> Option<Left> {
        let noted = fs::read(self.file()).ok().filter(|noted| !noted.is_empty())?;
        // What the command itself wrote names nobody: the agent died before it could note who it is.
        Some(Left(serde_json::from_slice(&noted).ok()))
    }

    /// Has a command note that it begins, in the last moment before it does. Notes of other starts go.
    pub(crate) fn taken_by(&self, command: &mut Command) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        for entry in fs::read_dir(&self.folder)?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&self.start) {
                fs::remove_file(entry.path())?;
            }
        }
        let file = File::create(self.file())?;
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
        if let Some(process) = i32::try_from(child.id()).ok().and_then(Process::of) {
            self.write(&Noted::Runs(process));
        }
    }

    /// Notes how the command ended.
    pub(crate) fn has_ended(&self, state: &ExecState) {
        match self.is_before {
            false => self.write(&Noted::Ended(state.clone())),
            true => {
                if let Err(error) = fs::remove_file(self.file())
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, "the note of a command that is over could not be removed");
                }
            }
        }
    }

    fn write(&self, noted: &Noted) {
        let written = serde_json::to_vec(noted).map_err(io::Error::from);
        let written = written.and_then(|noted| replace(&self.file(), &noted).map_err(io::Error::other));
        // Without it nobody waits for the command once this agent is gone; it runs once all the same.
        if let Err(error) = written {
            tracing::debug!(%error, "what became of a command could not be noted");
        }
    }
}

/// A command that a former agent began.
#[derive(Debug)]
pub(crate) struct Left(Option<Noted>);

impl Left {
    /// Waits until it has ended, kills it when its time is over or it is given up.
    pub(crate) fn followed(self, limit: Option<Duration>, given_up: &CancellationToken) -> ExecState {
        let process = match self.0 {
            Some(Noted::Ended(state)) => return state,
            Some(Noted::Runs(process)) => Some(process),
            None => None,
        };
        let until = limit.map(|limit| Instant::now() + limit);
        while let Some(process) = process.filter(Process::is_running) {
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
