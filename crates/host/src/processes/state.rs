//! The run folder of a namespace node: what was started, and what the supervisor wrote of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt as _;
use std::path::Path;

use archetype_model::ContainerName;
use archetype_model::observed::{Busy, Exit, Mark, NodeObserved, RunObserved};
use archetype_model::spec::NodeSpec;
use archetype_netns::folder::replace;
use archetype_netns::supervised;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// What `node.json` holds: written when a start is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) mark: Mark,
    pub(super) made_from: String,
    /// Differs between any two starts.
    pub(super) start: String,
    /// Whether a supervisor runs a command; else the namespace alone is the node.
    pub(super) supervised: bool,
    /// Set when it was stopped by us.
    pub(super) stopped: bool,
    /// What its health check needs, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checked: Option<Box<NodeSpec>>,
}

/// What `node.json` files held, by the file they stood in: a start writes a new one.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<ContainerName, (Version, Started)>);

/// Tells one file from another that replaced it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    modified: (i64, i64),
}

impl Known {
    /// What a node was started with; none where it was not.
    fn started(&mut self, place: &Place, container: &ContainerName) -> Option<Started> {
        let path = place.run_folder(container).join("node.json");
        let meta = fs::metadata(&path).ok()?;
        let version = Version { inode: meta.st_ino(), modified: (meta.st_mtime(), meta.st_mtime_nsec()) };
        if let Some((known, started)) = self.0.get(container)
            && *known == version
        {
            return Some(started.clone());
        }
        let started: Started = read(&path)?;
        self.0.insert(container.clone(), (version, started.clone()));
        Some(started)
    }
}

/// Every namespace node with a run folder.
pub(super) fn all(place: &Place, known: &mut Known) -> io::Result<BTreeMap<ContainerName, NodeObserved>> {
    let folder = place.nodes();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut nodes = BTreeMap::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(Ok(container)) = name.to_str().map(ContainerName::new) else { continue };
        if let Some(started) = known.started(place, &container) {
            let folder = place.run_folder(&container);
            let mut run = run_of(&folder, &started);
            let is_lost = matches!(run, RunObserved::Ended { exit: Exit::Lost, .. });
            let is_ending = is_lost && is_ending(&folder);
            if is_lost && !is_ending {
                // What a supervisor leaves stands before it ends itself.
                run = run_of(&folder, &started);
            }
            let node = NodeObserved {
                id: format!("{container}@{}", started.start),
                mark: started.mark,
                made_from: started.made_from,
                run,
                busy: is_ending.then(|| Busy { doing: "ending".into(), since_ms: 0, outside: None }),
                privileges: None,
                image: None,
                stand_in: false,
                shares_with: BTreeSet::new(),
                ended_by_hand_ms: None,
            };
            nodes.insert(container, node);
        }
    }
    known.0.retain(|container, _| nodes.contains_key(container));
    Ok(nodes)
}

/// Whether the node runs.
pub(super) fn runs(place: &Place, container: &ContainerName) -> bool {
    let run = started(place, container).map(|started| run_of(&place.run_folder(container), &started));
    matches!(run, Some(RunObserved::Running { .. }))
}

fn run_of(folder: &Path, started: &Started) -> RunObserved {
    let start = started.start.clone();
    let ended = |exit| RunObserved::Ended { start: start.clone(), exit };
    if started.stopped {
        return ended(Exit::Status { code: 0 });
    }
    if !started.supervised {
        return RunObserved::Running { pid: None, start, health: None };
    }
    if let Ok(Some(end)) = supervised::ended(folder) {
        return ended(match (end.oom, end.signal, end.code) {
            (true, ..) => Exit::OutOfMemory,
            (false, Some(signal), _) => Exit::Signal { signal },
            (false, None, Some(code)) => Exit::Status { code },
            (false, None, None) => Exit::Lost,
        });
    }
    match running(folder) {
        Some(running) => RunObserved::Running { pid: u32::try_from(running.process.pid).ok(), start, health: None },
        None => ended(Exit::Lost),
    }
}

/// Whether the command has ended and its supervisor is about to say how: it makes the node dead on
/// the wire before.
fn is_ending(folder: &Path) -> bool {
    let started = supervised::started(folder).ok().flatten();
    let supervisor = started
        .map(|started| supervised::Process { pid: started.supervisor, start_time: started.supervisor_start_time });
    supervisor.is_some_and(|supervisor| supervisor.is_running())
}

/// The command's process, if it still runs.
pub(super) fn running(folder: &Path) -> Option<supervised::Started> {
    supervised::started(folder).ok().flatten().filter(|started| started.process.is_running())
}

pub(super) fn started(place: &Place, container: &ContainerName) -> Option<Started> {
    read(&place.run_folder(container).join("node.json"))
}

pub(super) fn write(place: &Place, container: &ContainerName, started: &Started) -> io::Result<()> {
    let folder = place.run_folder(container);
    fs::create_dir_all(&folder)?;
    replace(&folder.join("node.json"), &serde_json::to_vec(started)?).map_err(io::Error::other)
}

/// Removes the run folder: the node is not there any more.
pub(super) fn forget(place: &Place, container: &ContainerName) -> io::Result<()> {
    match fs::remove_dir_all(place.run_folder(container)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
