//! Namespace nodes: the host's own programs in a namespace, with nothing installed for them.
//!
//! A node without a command is its namespace, cold booted and marked as started. One with a command
//! has a supervisor of its own, which outlives the agent. What runs is read from the run folder and
//! from `/proc`, never remembered.

mod health;
mod run;
mod state;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use archetype_model::observed::{Busy, Mark, NodeObserved, Outside, Part, Reading, RunObserved};
use archetype_model::report::ExecState;
use archetype_model::spec::{HostSpec, NodeBody, NodeSpec};
use archetype_model::step::NodeAction;
use archetype_model::{ContainerName, LabName};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::begun::Note;
use crate::command::{self, HostCommands};
use crate::event::{Event, TaskEnded, TaskError, Waker};
use crate::place::Place;
use crate::process_end;

pub use run::{Inside, spawn_inside, status};
pub use user::User;

/// Cold boots at once. They share the kernel's one lock for network changes, so more gain nothing.
const AT_ONCE: usize = 3;

/// The room.
#[derive(Debug, Clone)]
pub struct Processes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    place: Place,
    /// The program that supervises commands (`archetype-oci`).
    supervisor: PathBuf,
    host_commands: HostCommands,
    waker: Waker,
    busy: Mutex<BTreeMap<ContainerName, Working>>,
    slots: Semaphore,
    /// Commands whose end somebody waits for, by process id.
    watched: Mutex<BTreeSet<u32>>,
    /// What health checks found, by node: for which start of it.
    health: Mutex<BTreeMap<ContainerName, health::Checked>>,
    known: Mutex<state::Known>,
}

/// A task at work on a node.
#[derive(Debug)]
struct Working {
    /// The node while nothing else is known of it.
    absent: NodeObserved,
    busy: Busy,
    /// What waits for a command gives up by it.
    given_up: CancellationToken,
}

/// How long a supervisor needs to make its node dead on the wire, about.
const ENDING: Duration = Duration::from_millis(10);

/// Whether a node runs, as its run folder and `/proc` tell.
pub fn runs(place: &Place, container: &ContainerName) -> bool {
    state::runs(place, container)
}

/// A task on a node.
#[derive(Debug, Clone)]
struct Order {
    lab: LabName,
    mark: Mark,
    node: Arc<NodeSpec>,
    action: NodeAction,
}

impl Processes {
    /// Opens the room; `supervisor` is the program that runs commands of nodes, `host_commands`
    /// says which of them run on the host.
    pub fn open(place: Place, supervisor: PathBuf, host_commands: HostCommands, waker: Waker) -> Self {
        let slots = Semaphore::new(AT_ONCE);
        Self {
            inner: Arc::new(Inner {
                place,
                supervisor,
                host_commands,
                waker,
                busy: Mutex::default(),
                slots,
                watched: Mutex::default(),
                health: Mutex::default(),
                known: Mutex::default(),
            }),
        }
    }

    /// What runs, as the run folders and `/proc` tell.
    pub fn show(&self) -> Reading<BTreeMap<ContainerName, NodeObserved>> {
        // Before the folders are read: a start that ends between the two would show what was before it as all there is,
        // and the node would be started a second time. One that is shown as busy too long rings when it has ended.
        let working: Vec<_> = {
            let busy = self.inner.busy();
            busy.iter().map(|(name, one)| (name.clone(), one.absent.clone(), one.busy.clone())).collect()
        };
        let mut nodes = match state::all(&self.inner.place, &mut self.inner.known()) {
            Ok(nodes) => nodes,
            Err(error) => return Reading::Unreadable(format!("run folders: {error}")),
        };
        if nodes.values().any(|node| node.busy.is_some()) {
            self.look_again_soon();
        }
        nodes.values().for_each(|node| self.watch_end(node));
        health::show(&self.inner, &mut nodes);
        for (container, absent, busy) in working {
            nodes.entry(container).or_insert(absent).busy = Some(busy);
        }
        Reading::Known(nodes)
    }

    /// Has the end of a node's command ring, whoever started it.
    fn watch_end(&self, node: &NodeObserved) {
        let RunObserved::Running { pid: Some(pid), .. } = node.run else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.inner.watched().insert(pid) {
            return;
        }
        let inner = self.inner.clone();
        runtime.spawn(async move {
            process_end::of(pid).await;
            inner.watched().remove(&pid);
            inner.waker.ring(Event::Changed(Part::Processes));
        });
    }

    /// No event tells that a supervisor has said how its command ended.
    fn look_again_soon(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let waker = self.inner.waker.clone();
        runtime.spawn(async move {
            tokio::time::sleep(ENDING).await;
            waker.ring(Event::Changed(Part::Processes));
        });
    }

    /// Begins a task on a node and answers at once; it ends with [`Event::TaskEnded`].
    ///
    /// # Errors
    /// When the spec does not have the node and it is not to be removed.
    pub fn begin(&self, spec: &HostSpec, container: &ContainerName, action: NodeAction) -> Result<(), String> {
        if action == NodeAction::Remove {
            self.begin_removal(container, spec.node(container).is_none());
            return Ok(());
        }
        let (lab, node) = spec.node(container).ok_or_else(|| format!("{container} is not in the spec"))?;
        let mark = Mark::of_node(spec, lab, node);
        self.spawn(Order { lab: lab.name.clone(), mark, node: Arc::new(node.clone()), action });
        Ok(())
    }

    fn spawn(&self, order: Order) {
        let container = order.node.container.clone();
        let Some(given_up) = self.take(&container, &order.mark, &order.action) else { return };
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let done = match &order.action {
                NodeAction::Exec { index, start } => inner.clone().command(&order, *index, start, given_up).await,
                _ => inner.clone().change(&order).await.map(|()| None),
            };
            let (error, exec) = match done {
                Ok(exec) => (None, exec),
                Err(error) => (Some(error), None),
            };
            inner.told_as_ended(TaskEnded { container, action: order.action, error, exec });
        });
    }

    /// Whether the node has a run folder, or a task that works on it. Quicker than [`Processes::show`].
    pub(crate) fn knows(&self, container: &ContainerName) -> bool {
        self.inner.busy().contains_key(container) || state::started(&self.inner.place, container).is_some()
    }

    /// `going`: its namespace is removed next, so nothing in it has to be made quiet before.
    fn begin_removal(&self, container: &ContainerName, going: bool) {
        let Some(started) = state::started(&self.inner.place, container) else { return };
        if self.take(container, &started.mark, &NodeAction::Remove).is_none() {
            return;
        }
        let (inner, container) = (self.inner.clone(), container.clone());
        tokio::task::spawn_blocking(move || {
            let stopped =
                if going { run::end_command(&inner.place, &container) } else { run::stop(&inner.place, &container) };
            let done = stopped.and_then(|()| state::forget(&inner.place, &container));
            let error = done.err().map(|error| TaskError {
                code: "node-not-removed",
                message: format!("{container} could not be removed: {error}"),
                hint: "it is tried again by itself".into(),
            });
            let action = NodeAction::Remove;
            inner.told_as_ended(TaskEnded { container, action, error, exec: None });
        });
    }

    /// Has the task that works on a node, if any, give up the command that it waits for.
    pub fn give_up(&self, container: &ContainerName) {
        if let Some(working) = self.inner.busy().get_mut(container) {
            working.given_up.cancel();
            working.busy.outside = None;
        }
    }

    /// Marks a node as busy, and answers by what the task is told to give up; none when it is busy already.
    fn take(&self, container: &ContainerName, mark: &Mark, action: &NodeAction) -> Option<CancellationToken> {
        let mut all = self.inner.busy();
        if all.contains_key(container) {
            return None;
        }
        let absent = NodeObserved {
            id: container.to_string(),
            mark: mark.clone(),
            made_from: String::new(),
            run: RunObserved::Absent,
            busy: None,
            privileges: None,
            image: None,
            stand_in: false,
            shares_with: BTreeSet::new(),
            ended_by_hand_ms: None,
        };
        let doing = match action {
            NodeAction::Start | NodeAction::Create => "starting",
            NodeAction::Stop => "stopping",
            NodeAction::Restart => "restarting",
            NodeAction::Remove => "removing",
            NodeAction::GiveUp => "giving up",
            NodeAction::Exec { .. } => "running its exec list",
        };
        let since_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let since_ms = u64::try_from(since_ms).unwrap_or(u64::MAX);
        let outside = matches!(action, NodeAction::Exec { .. }).then_some(Outside::Command);
        let (busy, given_up) = (Busy { doing: doing.into(), since_ms, outside }, CancellationToken::new());
        all.insert(container.clone(), Working { absent, busy, given_up: given_up.clone() });
        Some(given_up)
    }
}

impl Inner {
    fn watched(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, BTreeMap<ContainerName, health::Checked>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, state::Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> MutexGuard<'_, BTreeMap<ContainerName, Working>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a task. In one: who sees nothing at work on the node has been told before how the task ended.
    fn told_as_ended(&self, ended: TaskEnded) {
        let mut busy = self.busy();
        busy.remove(&ended.container);
        self.waker.ring(Event::TaskEnded(ended));
        drop(busy);
        self.waker.ring(Event::Changed(Part::Processes));
    }

    /// Starts or stops a node, when its turn has come.
    async fn change(self: Arc<Self>, order: &Order) -> Result<(), TaskError> {
        let (inner, order) = (self.clone(), order.clone());
        let _slot = self.slots.acquire().await;
        let done = tokio::task::spawn_blocking(move || inner.carry_out(&order)).await;
        done.unwrap_or_else(|broken| Err(TaskError::crashed(&broken.to_string())))
    }

    /// Runs a command of the node's lists. Commands take no turns: one that waits for ever would keep others from theirs.
    async fn command(
        self: Arc<Self>,
        order: &Order,
        index: usize,
        start: &str,
        given_up: CancellationToken,
    ) -> Result<Option<ExecState>, TaskError> {
        let note = || Note::of(&self.place, &order.node.container, start, index);
        let on_host = command::run_on_host(&order.node, index, self.host_commands, note(), given_up.clone()).await?;
        if on_host.is_some() {
            return Ok(on_host);
        }
        let (node, note) = (order.node.clone(), note());
        command::on_a_thread(move || {
            let commands = node.commands();
            let words = commands.get(index)?.words;
            if !state::runs(&self.place, &node.container) {
                return Some(command::not_running());
            }
            Some(run::exec(&self.place, &node, words, &note, &given_up))
        })
        .await
    }

    fn carry_out(&self, order: &Order) -> Result<(), TaskError> {
        let container = &order.node.container;
        let stop = || run::stop(&self.place, container).map_err(|error| failed(order, &NodeAction::Stop, &error));
        let start = || self.start(order).map_err(|error| failed(order, &NodeAction::Start, &error));
        match &order.action {
            NodeAction::Start => start(),
            NodeAction::Stop => stop(),
            NodeAction::Restart => {
                stop()?;
                start()
            }
            NodeAction::Create | NodeAction::Remove | NodeAction::GiveUp | NodeAction::Exec { .. } => Ok(()),
        }
    }

    fn start(&self, order: &Order) -> std::io::Result<()> {
        let NodeBody::Namespace(body) = &order.node.body else { return Ok(()) };
        run::start(&self.place, &self.supervisor, &order.mark, &order.node, body)
    }
}

fn failed(order: &Order, action: &NodeAction, why: &std::io::Error) -> TaskError {
    let (code, what) = match action {
        NodeAction::Stop => ("node-stop-failed", "stopped"),
        _ => ("node-start-failed", "started"),
    };
    TaskError {
        code,
        message: format!("{} of lab {} could not be {what}: {why}", order.node.name, order.lab),
        hint: "it is tried again by itself; see `archetype logs`".into(),
    }
}

/// Where the supervisor stands when nobody says otherwise: beside the running program, else at the
/// runtime's fixed place.
pub fn default_supervisor(installed: &Path) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("archetype-oci")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| installed.to_path_buf())
}
