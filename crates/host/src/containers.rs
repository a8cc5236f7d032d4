//! The room of the Docker Engine: containers of this installation as they are, and tasks on them.
//!
//! What is comes from a replica that the engine's events keep true, so looking costs nothing and
//! never waits; when the events cannot be heard the room is unreadable and says why. What is done
//! is done by tasks, one per node at a time, whose ends are rung through the [`Waker`]. Knows
//! nothing of what is wanted beyond the one spec in an [`Order`], and nothing of what is in the
//! runtime's facts.

mod door;
mod error;
mod exec;
mod files;
mod hands;
mod image;
mod making;
mod privilege;
mod replica;
mod session;
mod sight;
mod task;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archetype_model::observed::{DaemonStart, NodeObserved, Part, Reading};
use archetype_model::others::NameHolder;
use archetype_model::report::Finding;
use archetype_model::spec::NodeSpec;
use archetype_model::step::NodeAction;
use archetype_model::{ContainerName, LabName};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use error::EngineError;
pub use exec::status_of_refusal;
pub use privilege::Grant;
pub use session::{ExecControl, ExecRequest, ExecSession, Output, Pieces};

use crate::{Event, HostCommands, Place, Waker};
use replica::{Link, Replica};

/// Labels of ours on containers; containerlab's stand beside them.
pub mod label {
    /// The installation that made it.
    pub const INSTALLATION: &str = "archetype.installation";
    /// The lab.
    pub const LAB: &str = "archetype.lab";
    /// The node within the lab.
    pub const NODE: &str = "archetype.node";
    /// Digest of the body it was made from.
    pub const MADE_FROM: &str = "archetype.made-from";
    /// What it may do on its host, in words.
    pub const PRIVILEGES: &str = "archetype.privileges";
    /// `true` on an image built from packages in place of the one that the file names.
    pub const STAND_IN: &str = "archetype.stand-in";
}

/// The runtime's name when no other is set.
pub const RUNTIME: &str = "archetype";
/// Creations and starts under way at once. More only makes each of them slower.
const STARTS: usize = 4;
/// How often who waits for an engine looks whether it is there again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Writes what the runtime is to know before a container starts: the node, and its container's
/// full id. Called after each creation and before each start of ours; may block.
pub type WriteFacts = Arc<dyn Fn(&NodeSpec, &str) -> io::Result<()> + Send + Sync>;
/// Removes what the runtime was to know of the container with this full id. Called when a
/// container of ours is gone, whoever removed it, and maybe twice; may block.
pub type RemoveFacts = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;
/// Keeps the engine's id of an exec so that it survives a crash. Called before the command runs;
/// may block. When it fails the command does not run.
pub type KeepExec = Arc<dyn Fn(&ExecMade) -> io::Result<()> + Send + Sync>;

/// A command of a node's exec list that the engine knows and that has not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecMade {
    /// The node.
    pub container: ContainerName,
    /// Which start of the node.
    pub start: String,
    /// The command's place in the list, from 0.
    pub index: usize,
    /// The engine's id.
    pub id: String,
}

/// How the room is opened.
#[derive(Clone)]
pub struct Settings {
    /// The engine's unix socket.
    pub socket: PathBuf,
    /// Name of the OCI runtime that containers start through; usually [`RUNTIME`].
    pub runtime: String,
    /// Whose containers, and where their files are.
    pub place: Place,
    /// Within which the engine answers a question that it need not work for.
    pub deadline: Duration,
    /// See [`WriteFacts`].
    pub write_facts: WriteFacts,
    /// See [`RemoveFacts`].
    pub remove_facts: RemoveFacts,
    /// See [`KeepExec`].
    pub keep_exec: KeepExec,
    /// Which commands of nodes run on the host.
    pub host_commands: HostCommands,
}

/// Something to do to a node.
#[derive(Debug, Clone)]
pub struct Order {
    /// The node's name on the host.
    pub container: ContainerName,
    /// What to do.
    pub action: NodeAction,
    /// The node's lab and spec. Only stopping and removing do without; a node that is removed with one is made anew.
    pub wanted: Option<(LabName, Arc<NodeSpec>)>,
    /// For an exec: the id kept by [`KeepExec`] in an earlier life, if any.
    pub exec: Option<String>,
}

impl Order {
    /// To do `action` to a node of `lab`.
    pub fn new(lab: LabName, node: Arc<NodeSpec>, action: NodeAction) -> Self {
        Self { container: node.container.clone(), action, wanted: Some((lab, node)), exec: None }
    }

    /// To remove a node that no spec describes any more, for good.
    pub fn remove(container: ContainerName) -> Self {
        Self { container, action: NodeAction::Remove, wanted: None, exec: None }
    }

    /// The same for an exec that was made in an earlier life.
    pub fn adopting(self, exec: Option<String>) -> Self {
        Self { exec, ..self }
    }
}

/// What is known of the engine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Its version, for people.
    pub version: String,
    /// The API version spoken with it.
    pub api: String,
    /// Whether it knows the runtime of [`Settings::runtime`].
    pub runtime_registered: bool,
    /// What it can grant containers, read once per start of it; none when that cannot be seen.
    pub grant: Option<Grant>,
    /// Which start of it this is; none when its process cannot be seen.
    pub start: Option<DaemonStart>,
}

impl EngineFacts {
    /// Whether `privileged` containers can start; none when not known.
    pub fn privileged_granted(&self) -> Option<bool> {
        self.grant.as_ref().map(Grant::privileged)
    }
}

/// The room. Cheap to clone; the last one dropped ends the watching, and tasks under way go on.
#[derive(Clone)]
pub struct Containers {
    room: Arc<Room>,
    _watch: Arc<Watching>,
}

struct Watching(tokio::task::JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What all parts of the room share.
struct Room {
    settings: Settings,
    waker: Waker,
    replica: Mutex<Replica>,
    looks: mpsc::UnboundedSender<watch::Look>,
    starts: Semaphore,
}

impl Containers {
    /// Opens the room and returns at once; it connects, and connects again, by itself. Needs a
    /// running tokio runtime.
    pub fn open(settings: Settings, waker: Waker) -> Self {
        let (looks, wishes) = mpsc::unbounded_channel();
        let (replica, starts) = (Mutex::new(Replica::new()), Semaphore::new(STARTS));
        let room = Arc::new(Room { settings, waker, replica, looks, starts });
        let watching = Watching(tokio::spawn(watch::watch(Arc::clone(&room), wishes)));
        Self { room, _watch: Arc::new(watching) }
    }

    /// Every node of this installation that has a container or a task, by its name on the host.
    pub fn show(&self) -> Reading<BTreeMap<ContainerName, NodeObserved>> {
        self.room.replica().show()
    }

    /// What is known of the engine itself.
    pub fn engine(&self) -> Reading<EngineFacts> {
        match self.room.replica().link() {
            Reading::Known(link) => Reading::Known(link.facts.clone()),
            Reading::Unreadable(why) => Reading::Unreadable(why.clone()),
        }
    }

    /// The finding for an engine that does not know our runtime: no container can start on it.
    pub(crate) fn lacks_runtime(&self) -> Option<Finding> {
        let known = self.room.replica().link().known().is_none_or(|link| link.facts.runtime_registered);
        let error = (!known).then(|| task::runtime_missing(&self.room.settings.runtime))?;
        Some(Finding { code: error.code.into(), lab: None, resource: None, message: error.message, hint: error.hint })
    }

    /// The name of our runtime where the engine answers and does not know it; one that did not is asked anew.
    pub async fn missing_runtime(&self) -> Option<String> {
        let link = self.room.link().ok().filter(|link| !link.facts.runtime_registered)?;
        let registered = watch::ask_runtime(&self.room, &link.client, self.room.settings.deadline).await.ok()?;
        (!registered).then(|| self.room.settings.runtime.clone())
    }

    /// Begins a task and returns at once. Its end is rung as [`crate::Event::TaskEnded`]. Says
    /// false, and does nothing, when a task works on that node already.
    pub fn begin(&self, order: Order) -> bool {
        task::begin(&self.room, order)
    }

    /// Has the task that works on a node, if any, give up the image or the command that it waits for.
    pub fn give_up(&self, container: &ContainerName) {
        self.room.replica().give_up(container);
        self.room.waker.ring(Event::Changed(Part::Engine));
    }

    /// Reads everything again, compares it with the replica, mends the replica, and answers how
    /// many containers differed although no event had come.
    pub async fn refresh(&self) -> Result<u64, EngineError> {
        watch::full_read(&self.room).await
    }

    /// The names of all containers that are not of this installation, each with who has it.
    pub async fn names_of_others(&self) -> Result<BTreeMap<String, NameHolder>, EngineError> {
        let link = self.room.link()?;
        watch::within(self.room.settings.deadline, watch::names_of_others(&self.room, &link.client)).await
    }

    /// How many differences all calls of [`Self::refresh`] have found.
    pub fn differences(&self) -> u64 {
        self.room.replica().differences()
    }
}

impl Room {
    fn replica(&self) -> MutexGuard<'_, Replica> {
        // Every change of the replica is one call that cannot be left half done.
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, or why there is none.
    fn link(&self) -> Result<Link, EngineError> {
        match self.replica().link() {
            Reading::Known(link) => Ok(link.clone()),
            Reading::Unreadable(why) => Err(EngineError::unreachable(why.clone())),
        }
    }

    /// The connection, as soon as there is one.
    async fn linked(&self) -> Link {
        loop {
            if let Ok(link) = self.link() {
                return link;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The full id of our container of this name.
    fn id_of(&self, name: &ContainerName) -> Result<String, EngineError> {
        let id = self.replica().find(name).map(|node| node.id.clone());
        id.ok_or_else(|| EngineError::NoSuchContainer { container: name.to_string() })
    }

    /// Has a container read again, and waits until it is in the replica or cannot be: what a task has done is seen
    /// by the time it ends, or nothing is.
    async fn look(&self, id: &str) {
        let (done, read) = oneshot::channel();
        if self.looks.send(watch::Look { id: id.to_owned(), done }).is_ok() {
            // An error is a watch that lost the engine; the replica says so by itself.
            drop(read.await);
        }
    }
}
