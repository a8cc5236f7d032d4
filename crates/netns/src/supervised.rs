//! What the supervisor of a namespace node writes about its run: who runs, and how it ended.
//!
//! Two small files in the node's state folder. The supervisor itself is a program of its own
//! (`archetype-oci supervise`); here is only what others read of it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::replace;

/// A process, by its number and by when it was born, since numbers are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, as the host counts.
    pub pid: i32,
    /// When it was born, in ticks since the machine was booted (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl Process {
    /// The process that has this number now; nothing when none has.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything; the fields count from behind it.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
        let is_dead = matches!(fields.first(), Some(&"Z" | &"X"));
        let start_time = fields.get(19)?.parse().ok()?;
        (!is_dead).then_some(Self { pid, start_time })
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }
}

/// The run that has been started (`pid.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The node's first process.
    #[serde(flatten)]
    pub process: Process,
    /// The number of the process that supervises it.
    pub supervisor: i32,
    /// When that one was born, in the same ticks.
    pub supervisor_start_time: u64,
    /// Whether it was the first start in its network namespace.
    pub is_first: bool,
    /// When it was started, in seconds since 1970.
    pub started_at: u64,
}

/// How the run ended (`exit.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit status, when the command ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the kernel killed it for want of memory.
    pub oom: bool,
    /// Whether its end was asked for.
    pub stopped: bool,
    /// When it ended, in seconds since 1970.
    pub finished_at: u64,
    /// Why the namespace could not be made dead on the wire, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_quiet: Option<String>,
}

const STARTED: &str = "pid.json";
const ENDED: &str = "exit.json";

/// Notes a new run in the state folder; how the one before it ended is forgotten.
///
/// # Errors
/// When the files cannot be written.
pub fn write_started(state: &Path, started: &Started) -> Result<()> {
    match fs::remove_file(state.join(ENDED)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::system(format!("remove {}", state.join(ENDED).display()), error));
        }
        _ => {}
    }
    replace(&state.join(STARTED), &json(started)?)
}

/// Notes how the run ended.
///
/// # Errors
/// When the file cannot be written.
pub fn write_ended(state: &Path, ended: &Ended) -> Result<()> {
    replace(&state.join(ENDED), &json(ended)?)
}

/// The last run that was started; nothing when there was none.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn started(state: &Path) -> Result<Option<Started>> {
    read(&state.join(STARTED))
}

/// How the last run ended; nothing while it goes on, and also when the supervisor was killed.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn ended(state: &Path) -> Result<Option<Ended>> {
    read(&state.join(ENDED))
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Missing { what: format!("write a state file: {error}") })
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::system(format!("read {}", path.display()), error)),
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| Error::Missing { what: format!("{} cannot be read: {error}", path.display()) })
}
