//! What an agent must know after it was ended at any moment: the spec it accepted, what it last
//! converged to, and which commands were run in which start of a node.
//!
//! Two files, each replaced whole by rename after fsync: `spec.json` changes with the spec,
//! `memory.json` with what was done. A newer format is refused with words.
//!
//! A disk that takes no more does not keep the host from being mended: what was done is then known to this run of the
//! agent alone, which says so and writes it as soon as it can. A spec is accepted only when it is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archetype_model::report::{ExecState, Repair};
use archetype_model::spec::{FORMAT, HostSpec, NodeSpec};
use archetype_model::stages::{Command, Passage, When};
use archetype_model::topology::value::ExecTarget;
use archetype_model::{ContainerName, Generation};
use archetype_plan::stages;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The file of what was done.
const MEMORY: &str = "memory.json";

/// The ledger of one host.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
    spec: Option<Arc<HostSpec>>,
    done: Done,
    /// Why the newest of `done` is not in its file.
    unwritten: Option<String>,
    /// Whether `done` waits to be written.
    is_late: bool,
}

/// What was done in answer to specs. The content of `memory.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The generation to which the host last converged fully.
    pub converged: Option<Generation>,
    /// Restart counters carried out.
    pub restarts: BTreeMap<ContainerName, u64>,
    /// Commands of exec lists, by node: the start they belong to, and their states.
    pub execs: BTreeMap<ContainerName, (String, Vec<ExecState>)>,
    /// What a node's commands were when the first of them was begun in that start: the states are theirs.
    #[serde(default)]
    pub begun_as: BTreeMap<ContainerName, Vec<BegunAs>>,
    /// How far nodes have come in labs with stages.
    #[serde(default)]
    pub stages: BTreeMap<ContainerName, Passage>,
    /// Which start of each node was seen to run last.
    #[serde(default)]
    pub starts: BTreeMap<ContainerName, String>,
    /// The number of the newest repair; the first one is 1, for 0 is what a controller acknowledges
    /// when it has none.
    pub last_repair: u64,
    /// Repairs found and not mended yet.
    pub open: Vec<Repair>,
    /// Repairs done that the controller has not acknowledged yet.
    pub closed: Vec<Repair>,
}

/// A command as it was: when it is due, where it runs, its words.
pub type BegunAs = (When, ExecTarget, Vec<String>);

impl Done {
    /// What became of the node's commands as they are now, in their order, and in which start. One that is not what it was
    /// when that start's first was begun is of the next start; before the first start none has to wait for that.
    pub(crate) fn exec_states(&self, node: &NodeSpec) -> Option<(&str, Vec<ExecState>)> {
        let (start, states) = self.execs.get(&node.container)?;
        let begun_as = self.begun_as.get(&node.container);
        let is_before = stages::is_before(start);
        let state = |(index, command): (usize, Command<'_>)| {
            let state = states.get(index).cloned().unwrap_or(ExecState::Waiting);
            let is_it = |begun: &Vec<BegunAs>| begun.get(index).is_some_and(|begun| was(begun, &command));
            match state {
                ExecState::Waiting if is_before => ExecState::Waiting,
                state if begun_as.is_none_or(is_it) => state,
                _ => ExecState::NextStart,
            }
        };
        Some((start, node.commands().into_iter().enumerate().map(state).collect()))
    }

    /// Notes that the command at a place is about to begin in a start.
    pub(crate) fn begin_command(&mut self, node: &NodeSpec, index: usize, start: &str) {
        let (of, states) = self.execs.entry(node.container.clone()).or_default();
        let is_first = of != start;
        if is_first {
            // What ran before this start belongs to it.
            if !stages::is_before(of) {
                states.clear();
            }
            start.clone_into(of);
        }
        // Those that were begun keep what they were. Before the first start each is what it is when it begins.
        if is_first || stages::is_before(start) {
            let begun_as = self.begun_as.entry(node.container.clone()).or_default();
            begun_as.truncate(states.len());
            let now = node.commands().into_iter().skip(begun_as.len());
            begun_as.extend(now.map(|command| (command.when, command.target, command.words.to_vec())));
        }
        if states.len() <= index {
            states.resize(index, ExecState::Waiting);
            states.push(ExecState::Running { id: None });
        }
    }
}

fn was((when, target, words): &BegunAs, command: &Command<'_>) -> bool {
    (*when, *target, words.as_slice()) == (command.when, command.target, command.words)
}

/// Why a spec is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A spec of this incarnation with a higher number was accepted before.
    #[error("generation {offered} is older than {accepted}, which this host already has")]
    Outdated {
        /// What the host has.
        accepted: Generation,
        /// What came.
        offered: Generation,
    },
    /// The same generation came with other content.
    #[error("generation {0} came with other content than before")]
    OtherContent(Generation),
    /// It comes from another store than the one this host follows.
    #[error(
        "this host follows store {follows}, the spec comes from {comes}: move `agent` in the data directory away, and the host follows the other store"
    )]
    OtherIncarnation {
        /// The incarnation the host follows.
        follows: String,
        /// The incarnation of the spec.
        comes: String,
    },
    /// It is written in a newer format.
    #[error("the spec has format {0}, this agent reads up to {FORMAT}: update the agent")]
    NewerFormat(u32),
    /// It could not be written down.
    #[error("the ledger could not be written: {0}")]
    NotWritten(String),
}

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file could not be read or written.
    #[error("ledger file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// A file is not what this agent writes.
    #[error("ledger file {} cannot be read: {error}; move it away to begin anew (labs stay, unmended)", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: serde_json::Error,
    },
    /// A file comes from a newer version.
    #[error("ledger file {} has format {format}, this version reads up to {FORMAT}: update archetype", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

impl Ledger {
    /// Opens the ledger in `folder`, making the folder if it is missing.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(folder).map_err(|error| LedgerError::File { path: folder.to_path_buf(), error })?;
        let spec: Option<HostSpec> = read(&folder.join("spec.json"))?;
        let done: Option<Done> = read(&folder.join(MEMORY))?;
        for (name, format) in
            [("spec.json", spec.as_ref().map(|s| s.format)), (MEMORY, done.as_ref().map(|d| d.format))]
        {
            if let Some(format) = format.filter(|format| *format > FORMAT) {
                return Err(LedgerError::Newer { path: folder.join(name), format });
            }
        }
        let done = done.unwrap_or(Done { format: FORMAT, ..Done::default() });
        Ok(Self { folder: folder.to_path_buf(), spec: spec.map(Arc::new), done, unwritten: None, is_late: false })
    }

    /// The spec that is to be kept true.
    pub fn spec(&self) -> Option<&Arc<HostSpec>> {
        self.spec.as_ref()
    }

    /// What was done so far.
    pub fn done(&self) -> &Done {
        &self.done
    }

    /// Takes a spec if it is newer than what the ledger holds; `Ok(false)` when it holds it already. `meanwhile` is done
    /// while a new one is written.
    pub async fn accept(&mut self, spec: Arc<HostSpec>, meanwhile: impl FnOnce()) -> Result<bool, Refusal> {
        if spec.format > FORMAT {
            return Err(Refusal::NewerFormat(spec.format));
        }
        if let Some(held) = &self.spec {
            let (accepted, offered) = (&held.generation, &spec.generation);
            if accepted.incarnation != offered.incarnation {
                return Err(Refusal::OtherIncarnation {
                    follows: accepted.incarnation.clone(),
                    comes: offered.incarnation.clone(),
                });
            }
            if accepted.number > offered.number {
                return Err(Refusal::Outdated { accepted: accepted.clone(), offered: offered.clone() });
            }
            if accepted.number == offered.number {
                return if **held == *spec { Ok(false) } else { Err(Refusal::OtherContent(offered.clone())) };
            }
        }
        let (path, written) = (self.folder.join("spec.json"), spec.clone());
        let writing = tokio::task::spawn_blocking(move || write(&path, &*written));
        meanwhile();
        let written = writing.await.map_err(io::Error::other).flatten();
        written.map_err(|error| Refusal::NotWritten(error.to_string()))?;
        self.spec = Some(spec);
        Ok(true)
    }

    /// Changes what was done, and writes it down before it answers. No change, no write. Where it cannot be written,
    /// [`Self::unwritten`] says why.
    pub fn note(&mut self, change: impl FnOnce(&mut Done)) {
        let mut done = self.done.clone();
        change(&mut done);
        if done != self.done {
            self.done = done;
            self.write_done();
        }
    }

    /// Changes what was done, and leaves it to [`Self::write_late`] to write that down: for what nobody is to wait for, and
    /// of which no more than the last moment may be lost.
    pub fn note_late(&mut self, change: impl FnOnce(&mut Done)) {
        let mut done = self.done.clone();
        change(&mut done);
        self.is_late |= done != self.done;
        self.done = done;
    }

    /// Writes what was noted late, on a thread that may wait.
    pub async fn write_late(&mut self) {
        if !std::mem::take(&mut self.is_late) {
            return;
        }
        let (path, done) = (self.folder.join(MEMORY), self.done.clone());
        let written = tokio::task::spawn_blocking(move || write(&path, &done)).await;
        self.written(written.map_err(io::Error::other).flatten());
    }

    /// Writes what could not be written before.
    pub fn catch_up(&mut self) {
        if self.unwritten.is_some() {
            self.write_done();
        }
    }

    /// Why what was done is not written down; nothing when it is.
    pub fn unwritten(&self) -> Option<&str> {
        self.unwritten.as_deref()
    }

    fn write_done(&mut self) {
        self.is_late = false;
        self.written(write(&self.folder.join(MEMORY), &self.done));
    }

    fn written(&mut self, written: io::Result<()>) {
        let path = self.folder.join(MEMORY);
        let failed = written.err().map(|error| LedgerError::File { path, error }.to_string());
        if let (None, Some(error)) = (&self.unwritten, &failed) {
            tracing::error!(error, "what was done is not written down");
        }
        self.unwritten = failed;
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LedgerError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| LedgerError::Content { path: path.to_path_buf(), error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::File { path: path.to_path_buf(), error }),
    }
}

/// Replaces a file whole: a reader sees the old or the new one, also after a power cut.
fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(number: u64) -> HostSpec {
        HostSpec {
            format: FORMAT,
            installation: "ab1c2".parse().unwrap(),
            host: "host1".parse().unwrap(),
            generation: Generation { incarnation: "one".into(), number },
            networks: Vec::new(),
            labs: Vec::new(),
        }
    }

    #[tokio::test]
    async fn an_older_spec_is_refused_and_an_equal_one_is_held_already() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        let mut accept = async |spec| ledger.accept(Arc::new(spec), || ()).await;
        assert_eq!(accept(spec(2)).await, Ok(true));
        assert_eq!(accept(spec(2)).await, Ok(false));
        assert!(matches!(accept(spec(1)).await, Err(Refusal::Outdated { .. })));
        let mut other = spec(2);
        other.host = "host2".parse().unwrap();
        assert!(matches!(accept(other).await, Err(Refusal::OtherContent(_))));
    }

    #[tokio::test]
    async fn what_was_accepted_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.accept(Arc::new(spec(7)), || ()).await.unwrap();
        ledger.note(|done| done.last_repair = 3);
        ledger.note_late(|done| done.last_repair = 4);
        assert_eq!(Ledger::open(folder.path()).unwrap().done().last_repair, 3);
        ledger.write_late().await;
        let again = Ledger::open(folder.path()).unwrap();
        assert_eq!(again.spec().unwrap().generation.number, 7);
        assert_eq!(again.done().last_repair, 4);
    }

    #[test]
    fn what_cannot_be_written_is_known_all_the_same_and_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        // Where a folder lies in its place no file can be made, also by root.
        let in_the_way = folder.path().join("memory.new");
        fs::create_dir(&in_the_way).unwrap();
        ledger.note(|done| done.last_repair = 3);
        assert!(ledger.unwritten().unwrap().contains("memory.json"));
        assert_eq!(ledger.done().last_repair, 3);
        assert_eq!(Ledger::open(folder.path()).unwrap().done().last_repair, 0);
        fs::remove_dir(&in_the_way).unwrap();
        ledger.catch_up();
        assert_eq!(ledger.unwritten(), None);
        assert_eq!(Ledger::open(folder.path()).unwrap().done().last_repair, 3);
    }

    #[test]
    fn a_newer_format_is_refused_with_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut newer = spec(1);
        newer.format = FORMAT + 1;
        fs::write(folder.path().join("spec.json"), serde_json::to_vec(&newer).unwrap()).unwrap();
        let error = Ledger::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("update archetype"), "{error}");
    }
}
