//! Tasks on nodes: create, start, stop, restart, remove, run a command. One per node at a time;
//! a pass begins them and sees their end as an event.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use archetype_model::observed::{Busy, Mark, NodeObserved, Outside, Part, RunObserved};
use archetype_model::report::ExecState;
use archetype_model::spec::{Bind, ContainerBody, DesiredRun, NodeBody, NodeSpec, PullPolicy};
use archetype_model::step::NodeAction;
use archetype_model::{ContainerName, LabName};
use bollard::Docker;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use tokio_util::sync::CancellationToken;

use super::error::EngineError;
use super::making::Making;
use super::privilege::Granted;
use super::replica::{Link, Working};
use super::watch::{self, within};
use super::{Order, Room, exec, files, image, label};
use crate::event::TaskError;
use crate::{Event, TaskEnded};

/// Seconds a node has to end after its stop signal.
const GRACE: i32 = 10;
const CREATE_WITHIN: Duration = Duration::from_secs(60);
const START_WITHIN: Duration = Duration::from_secs(120);
const END_WITHIN: Duration = Duration::from_secs(60);

/// See [`super::Containers::begin`].
pub(super) fn begin(room: &Arc<Room>, order: Order) -> bool {
    let given_up = CancellationToken::new();
    let first = image_first(room, &order);
    let working = Working {
        busy: busy(&order.action, first.as_deref()),
        mark: mark(room, &order),
        given_up: given_up.clone(),
        ends_the_run: first.is_none()
            && matches!(order.action, NodeAction::Stop | NodeAction::Restart | NodeAction::Remove),
    };
    if !room.replica().take(&order.container, working) {
        return false;
    }
    room.waker.ring(Event::Changed(Part::Engine));
    let room = Arc::clone(room);
    tokio::spawn(async move {
        let (container, action) = (order.container.clone(), order.action.clone());
        let work = tokio::spawn(carry_out(Arc::clone(&room), order, first, given_up)).await;
        let result = work.unwrap_or_else(|panic| Err(TaskError::crashed(&panic.to_string())));
        let (error, exec) = match result {
            Ok(exec) => (None, exec),
            Err(error) => (Some(error), None),
        };
        // In one: who sees nothing at work on the node has been told before how the task ended.
        let mut replica = room.replica();
        replica.release(&container);
        room.waker.ring(Event::TaskEnded(TaskEnded { container, action, error, exec }));
        drop(replica);
        room.waker.ring(Event::Changed(Part::Engine));
    });
    true
}

fn busy(action: &NodeAction, image_first: Option<&NodeSpec>) -> Busy {
    let image = image_first.and_then(|node| Some(Outside::Image(container_body(node).ok()?.image.clone())));
    let doing = match action {
        NodeAction::Remove if image.is_some() => "looking for its image".into(),
        NodeAction::Create => "creating".into(),
        NodeAction::Start => "starting".into(),
        NodeAction::Stop => "stopping".into(),
        NodeAction::Restart => "restarting".into(),
        NodeAction::Remove => "removing".into(),
        NodeAction::GiveUp => "giving up".into(),
        NodeAction::Exec { index, .. } => format!("running command {}", index + 1),
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let outside = image.or_else(|| matches!(action, NodeAction::Exec { .. }).then_some(Outside::Command));
    Busy { doing, since_ms: u64::try_from(since.as_millis()).unwrap_or_default(), outside }
}

fn mark(room: &Room, order: &Order) -> Option<Mark> {
    let (lab, node) = order.wanted.as_ref()?;
    let installation = room.settings.place.installation().clone();
    Some(Mark { installation, lab: lab.clone(), node: node.name.clone(), interface: None })
}

/// The node that is to be made from something else while what it was before runs: that goes on until the image is there.
fn image_first(room: &Room, order: &Order) -> Option<Arc<NodeSpec>> {
    let (_, node) = order.wanted.as_ref().filter(|_| order.action == NodeAction::Remove)?;
    let runs = |seen: &NodeObserved| matches!(seen.run, RunObserved::Running { .. });
    let goes_on = |seen: &NodeObserved| runs(seen) && seen.made_from != node.body_digest();
    let is_kept = node.desired == DesiredRun::Running && matches!(node.body, NodeBody::Container(_));
    (is_kept && room.replica().find(&order.container).is_some_and(goes_on)).then(|| Arc::clone(node))
}

type Done = Result<Option<ExecState>, TaskError>;

async fn carry_out(
    room: Arc<Room>,
    order: Order,
    image_first: Option<Arc<NodeSpec>>,
    given_up: CancellationToken,
) -> Done {
    let link = match order.action {
        // A command that has its turn is not over because the engine cannot be asked at this moment.
        NodeAction::Exec { .. } => tokio::select! {
            link = room.linked() => link,
            () = given_up.cancelled() => return Ok(Some(ExecState::GivenUp { output: String::new() })),
        },
        _ => room.link().map_err(|error| error.finding("engine-unreachable"))?,
    };
    let task = Task { room, link, container: order.container, given_up };
    if let Some(node) = image_first {
        task.need_image(container_body(&node)?).await?;
    }
    match (order.action, order.wanted) {
        (NodeAction::Remove, wanted) => task.remove(wanted.is_some()).await.map(|()| None),
        (NodeAction::Stop, wanted) => task.stop(wanted.as_ref().map(|(_, node)| &**node)).await.map(|()| None),
        (NodeAction::Create, Some((lab, node))) => task.create(&lab, &node).await.map(|()| None),
        (NodeAction::Start, Some((_, node))) => task.start(&node).await.map(|()| None),
        (NodeAction::Restart, Some((_, node))) => {
            task.stop(Some(&node)).await?;
            task.start(&node).await.map(|()| None)
        }
        (NodeAction::Exec { index, start }, Some((_, node))) => {
            exec::run(&task, &node, index, &start, order.exec).await.map(Some)
        }
        (NodeAction::GiveUp, _) => Ok(None),
        (action, None) => Err(TaskError {
            code: "node-not-described",
            message: format!("nothing describes {}, so it cannot be done: {action}", task.container),
            hint: "this is a fault of ours: please tell us".into(),
        }),
    }
}

/// One task at work.
pub(super) struct Task {
    pub room: Arc<Room>,
    pub link: Link,
    pub container: ContainerName,
    pub given_up: CancellationToken,
}

impl Task {
    // --- create ---

    async fn create(&self, lab: &LabName, node: &Arc<NodeSpec>) -> Result<(), TaskError> {
        let body = container_body(node)?;
        self.need_runtime().await?;
        let granted = self.granted(body)?;
        let files = self.prepare_files(body).await.map_err(|error| files_failed(&error))?;
        let is_fresh = self.room.replica().take_fetched(&self.container, &body.image);
        if body.pull == PullPolicy::Always && !is_fresh {
            self.pull(&body.image).await?;
        }
        let made = match self.make(lab, node, body, &granted, &files).await {
            Err(error) if is_missing_image(&error) && body.pull == PullPolicy::IfNotPresent => {
                self.pull(&body.image).await?;
                self.make(lab, node, body, &granted, &files).await
            }
            other => other,
        };
        let id = match made {
            Ok(id) => id,
            Err(error) if error.is_conflict() => self.name_is_taken().await?,
            Err(error) if is_missing_image(&error) => return Err(image_missing(&body.image)),
            Err(error) => return Err(refused(error, "node-create-refused")),
        };
        self.room.look(&id).await;
        // The node's namespace and its facts are made beside this, and need not be there yet: the
        // start writes them again, and tells what then is wrong with them.
        drop(self.write_facts(node, &id).await);
        Ok(())
    }

    /// One create call; the id of what it made.
    async fn make(
        &self,
        lab: &LabName,
        node: &NodeSpec,
        body: &ContainerBody,
        granted: &Granted,
        files: &[Bind],
    ) -> Result<String, EngineError> {
        self.tell("creating");
        let settings = &self.room.settings;
        let making = Making {
            installation: settings.place.installation(),
            lab,
            node,
            body,
            runtime: &settings.runtime,
            granted,
            open_files: self.link.facts.grant.as_ref().map(|grant| grant.open_files),
            files: files.to_vec(),
        };
        let name = CreateContainerOptions { name: Some(self.container.to_string()), ..Default::default() };
        let _permit = self.room.starts.acquire().await;
        let made = within(CREATE_WITHIN, self.link.client.create_container(Some(name), making.call())).await?;
        Ok(made.id)
    }

    fn granted(&self, body: &ContainerBody) -> Result<Granted, TaskError> {
        Granted::decide(body.privileges, self.link.facts.grant.as_ref()).map_err(|missing| TaskError {
            code: "privileged-refused",
            message: format!("the file demands `privileged: true`; the engine cannot grant {missing}"),
            hint: "leave `privileged` out to get all that this host grants, or run the node on another host".into(),
        })
    }

    /// Has the image there from which the node is to be made anew. Where it cannot be had, what runs stays.
    async fn need_image(&self, body: &ContainerBody) -> Result<(), TaskError> {
        let image = &body.image;
        if body.pull == PullPolicy::Always || !self.has(image).await? {
            if body.pull == PullPolicy::Never {
                return Err(image_missing(image));
            }
            self.pull(image).await?;
        }
        // What was given up leaves what runs, whatever came in the same moment.
        if self.given_up.is_cancelled() {
            return Err(pull_stopped(image));
        }
        self.room.replica().has_image(&self.container, image);
        Ok(())
    }

    /// Whether the engine has an image.
    async fn has(&self, image: &str) -> Result<bool, TaskError> {
        let found = tokio::select! {
            found = within(CREATE_WITHIN, self.link.client.inspect_image(image)) => found,
            () = self.given_up.cancelled() => return Err(pull_stopped(image)),
        };
        match found {
            Err(error) if !error.is_missing() => Err(error.finding("node-create-refused")),
            found => Ok(found.is_ok()),
        }
    }

    async fn pull(&self, image: &str) -> Result<(), TaskError> {
        self.room.replica().waits_for(&self.container, Some(Outside::Image(image.to_owned())));
        self.tell(&format!("pulling {image}"));
        let progress = |percent| self.tell(&format!("pulling {image} {percent}%"));
        let pulled = tokio::select! {
            pulled = image::pull(&self.link.client, image, progress) => {
                pulled.map_err(|error| pull_failed(image, error))
            }
            () = self.given_up.cancelled() => Err(pull_stopped(image)),
        };
        // Who could not have it has touched nothing, and ends.
        if pulled.is_ok() {
            self.room.replica().waits_for(&self.container, None);
        }
        pulled
    }

    /// The engine says that the name is in use: by a container of ours, then its id, or not.
    async fn name_is_taken(&self) -> Result<String, TaskError> {
        let name = self.container.as_str();
        let inspected =
            within(CREATE_WITHIN, self.link.client.inspect_container(name, None::<InspectContainerOptions>));
        let holder = inspected.await.map_err(|error| error.finding("node-create-refused"))?;
        let ours = self.room.settings.place.installation().as_str();
        let labels = holder.config.and_then(|config| config.labels).unwrap_or_default();
        let (id, whose) = (holder.id.unwrap_or_default(), labels.get(label::INSTALLATION));
        if whose.map(String::as_str) == Some(ours) {
            return Ok(id);
        }
        let holder = whose.map_or("a container that is not ours".to_owned(), |other| format!("installation {other}"));
        Err(TaskError {
            code: "node-name-taken",
            message: format!("the name {name} is held by {holder} ({})", id.get(..12).unwrap_or(&id)),
            hint: format!(
                "remove or rename that container, or give the lab another name or prefix; `docker inspect {name}` shows it"
            ),
        })
    }

    // --- start and stop ---

    async fn start(&self, node: &Arc<NodeSpec>) -> Result<(), TaskError> {
        let body = container_body(node)?;
        let id = self.id()?;
        self.tell("starting");
        self.need_runtime().await?;
        self.prepare_files(body).await.map_err(|error| files_failed(&error))?;
        self.write_facts(node, &id).await?;
        let started = {
            let _permit = self.room.starts.acquire().await;
            within(START_WITHIN, self.link.client.start_container(&id, None::<StartContainerOptions>)).await
        };
        self.room.look(&id).await;
        started.map_err(|error| refused(error, "node-start-refused"))
    }

    async fn stop(&self, node: Option<&NodeSpec>) -> Result<(), TaskError> {
        let id = self.id()?;
        self.tell("stopping");
        let client = &self.link.client;
        let stopped = if node.is_some_and(ends_by_kill) {
            let options = KillContainerOptions { signal: "SIGKILL".into() };
            within(END_WITHIN, client.kill_container(&id, Some(options))).await
        } else {
            let options = StopContainerOptions { t: Some(GRACE), signal: None };
            within(END_WITHIN, client.stop_container(&id, Some(options))).await
        };
        self.room.look(&id).await;
        match stopped {
            // 409: it does not run, which is what was wanted.
            Err(error) if !error.is_conflict() => Err(error.finding("node-stop-failed")),
            _ => Ok(()),
        }
    }

    /// Removes the container. One that `returns`, made anew, leaves its namespace dead on the wire until then. The
    /// namespace of one that does not return goes with it, and its ports leave the bridge as this begins; so our
    /// runtime, which knows containers by their facts, is left nothing to do at its end, which
    /// would be a good part of the time that a large lab takes to go.
    async fn remove(&self, returns: bool) -> Result<(), TaskError> {
        let Ok(id) = self.id() else { return Ok(()) };
        self.tell("removing");
        if !returns {
            self.forget_facts().await?;
            self.remove_facts(&id).await?;
        }
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        let removed = within(END_WITHIN, self.link.client.remove_container(&id, Some(options))).await;
        self.room.look(&id).await;
        match removed {
            Err(error) if !error.is_missing() && !error.is_conflict() => {
                return Err(error.finding("node-remove-failed"));
            }
            // 409: somebody else is removing it at this moment; the next pass sees whether.
            _ => {}
        }
        self.remove_facts(&id).await
    }

    /// Has the facts written again should the node be wanted again before it is gone: nothing else says that they
    /// are there.
    async fn forget_facts(&self) -> Result<(), TaskError> {
        let noted = self.room.settings.place.facts_digest(&self.container);
        let forgotten = blocking(move || match std::fs::remove_file(noted) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        forgotten.await.map_err(|error| facts_failed(&error))
    }

    async fn remove_facts(&self, id: &str) -> Result<(), TaskError> {
        let (remove, id) = (Arc::clone(&self.room.settings.remove_facts), id.to_owned());
        blocking(move || remove(&id)).await.map_err(|error| facts_failed(&error))
    }

    // --- what all of them need ---

    /// The engine as it is reached now, or was last.
    pub(super) fn client(&self) -> Docker {
        self.room.link().map_or_else(|_| self.link.client.clone(), |link| link.client)
    }

    /// The full id of the node's container.
    pub(super) fn id(&self) -> Result<String, TaskError> {
        self.room.id_of(&self.container).map_err(|error| error.finding("node-not-made"))
    }

    /// Says what goes on, for people.
    fn tell(&self, doing: &str) {
        self.room.replica().doing(&self.container, doing.to_owned());
        self.room.waker.ring(Event::Changed(Part::Engine));
    }

    /// The engine must know the runtime. One that did not may have learned it since.
    async fn need_runtime(&self) -> Result<(), TaskError> {
        if self.link.facts.runtime_registered {
            return Ok(());
        }
        let registered = watch::ask_runtime(&self.room, &self.link.client, START_WITHIN).await;
        match registered.map_err(|error| error.finding(RUNTIME_MISSING))? {
            true => Ok(()),
            false => Err(runtime_missing(&self.room.settings.runtime)),
        }
    }

    async fn write_facts(&self, node: &Arc<NodeSpec>, id: &str) -> Result<(), TaskError> {
        if !node.has_namespace() {
            return Ok(());
        }
        let (write, node, id) = (Arc::clone(&self.room.settings.write_facts), Arc::clone(node), id.to_owned());
        blocking(move || write(&node, &id)).await.map_err(|error| facts_failed(&error))
    }

    async fn prepare_files(&self, body: &ContainerBody) -> io::Result<Vec<Bind>> {
        let (place, container, body) = (self.room.settings.place.clone(), self.container.clone(), body.clone());
        blocking(move || files::prepare(&place, &container, &body)).await
    }
}

/// containerlab ends nodes of this kind at once; a shell as first process ignores softer signals.
fn ends_by_kill(node: &NodeSpec) -> bool {
    let stated = match &node.body {
        NodeBody::Container(body) => body.stop_signal.is_some(),
        NodeBody::Namespace(_) => false,
    };
    node.kind == "linux" && !stated
}

fn container_body(node: &NodeSpec) -> Result<&ContainerBody, TaskError> {
    match &node.body {
        NodeBody::Container(body) => Ok(body),
        NodeBody::Namespace(_) => Err(TaskError {
            code: "node-not-described",
            message: format!("{} is no container", node.container),
            hint: "this is a fault of ours: please tell us".into(),
        }),
    }
}

/// Runs what may block where it may. What panics there ends the whole task: that is a fault of ours, and told as one.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Err(ended) => Err(io::Error::other(ended)),
    }
}

// --- findings ---

fn is_missing_image(error: &EngineError) -> bool {
    error.is_missing() && error.to_string().to_lowercase().contains("no such image")
}

fn pull_failed(image: &str, error: EngineError) -> TaskError {
    let mut finding = error.finding(PULL_FAILED);
    if finding.code == PULL_FAILED {
        finding.message = format!("cannot pull {image}: {}", finding.message);
        finding.hint = format!(
            "`docker pull {image}` on this host shows the same; check name and network, or load it by `docker load`"
        );
    }
    finding
}

fn pull_stopped(image: &str) -> TaskError {
    TaskError {
        code: TaskError::PULL_STOPPED,
        message: format!("the pull of {image} was given up, for nothing is to be made of it any more"),
        hint: "nothing is to be done".into(),
    }
}

fn image_missing(image: &str) -> TaskError {
    TaskError {
        code: IMAGE_MISSING,
        message: format!("the engine has no image {image}, and the file says never to pull it"),
        hint: format!("`docker load` or `docker pull {image}` on this host, or set `image-pull-policy: IfNotPresent`"),
    }
}

/// The code of an image that may not be pulled and is not there.
pub(super) const IMAGE_MISSING: &str = "image-missing";

/// The code of one that could not be pulled.
pub(super) const PULL_FAILED: &str = "image-pull-failed";

/// The code of an engine that lacks our runtime.
pub(super) const RUNTIME_MISSING: &str = "runtime-missing";

pub(super) fn runtime_missing(runtime: &str) -> TaskError {
    TaskError {
        code: RUNTIME_MISSING,
        message: format!("the engine does not know the runtime {runtime}, through which nodes start"),
        hint: "run `archetype host setup`".into(),
    }
}

/// What the engine said against a creation or a start.
fn refused(error: EngineError, code: &'static str) -> TaskError {
    let words = error.to_string().to_lowercase();
    if words.contains("unknown runtime specified") || words.contains("unknown or invalid runtime name") {
        let mut finding = runtime_missing("named above");
        finding.message = error.to_string();
        return finding;
    }
    let mut finding = error.finding(code);
    if words.contains("apply caps") {
        finding.code = "privileged-refused";
        finding.hint = "the engine cannot hand on every capability: state `privileged: false` and `cap-add`".into();
    }
    finding
}

fn files_failed(error: &io::Error) -> TaskError {
    TaskError {
        code: "node-files-failed",
        message: format!("the node's own hosts and resolver files could not be made: {error}"),
        hint: "look at the space and the rights below /run/archetype".into(),
    }
}

fn facts_failed(error: &io::Error) -> TaskError {
    TaskError {
        code: "node-facts-failed",
        message: format!("the runtime's facts of the node could not be kept: {error}"),
        hint: "look at the space and the rights below /run/archetype".into(),
    }
}
