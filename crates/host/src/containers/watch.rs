//! Keeps the replica true: connects, subscribes, lists, follows the events, and asks for a sign of
//! life all the while. Whatever breaks makes the room unreadable and starts over.
//!
//! An engine that is late with an answer makes the room unreadable, too, until the answer is there: a connection that
//! stands has lost no event, and to begin another would only cost a slow host more.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use archetype_model::observed::Part;
use archetype_model::others::NameHolder;
use bollard::Docker;
use bollard::models::{EventMessage, EventMessageTypeEnum, SystemInfo};
use bollard::query_parameters::{EventsOptions, InspectContainerOptions, ListContainersOptions};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::door::{Greeting, client, greet};
use super::error::EngineError;
use super::privilege::Grant;
use super::replica::Link;
use super::sight::{Sight, sight};
use super::task::{IMAGE_MISSING, PULL_FAILED, RUNTIME_MISSING};
use super::{EngineFacts, Room, label};
use crate::Event;

/// Between two signs of life.
const SIGN_EVERY: Duration = Duration::from_millis(1_200);
/// A sign of life costs the engine nothing: one that hangs this long is a sign of the contrary.
const SIGN_WITHIN: Duration = Duration::from_millis(1_800);
/// From the end that a `docker restart` makes to the begin of its start, in which the engine is silent about the container,
/// it takes less.
const HAND_WITHIN: Duration = Duration::from_millis(500);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(2);
/// An answer that is late by this factor is waited for no more, and the connection is begun anew.
pub(super) const PATIENCE: u32 = 20;
/// The engine's events by which an image may have come.
const IMAGE_COMES: [&str; 4] = ["pull", "load", "import", "tag"];
/// Between two times that nodes without their image are tried because one came.
const IMAGES_EVERY: Duration = Duration::from_secs(5);
/// For calls of bollard that have no limit from us: the answer's head.
const CLIENT_SECONDS: u64 = 300;
/// Inspections under way at once while connecting.
const READERS: usize = 8;

/// A wish to have one container read again, answered when it was.
pub(super) struct Look {
    pub id: String,
    pub done: oneshot::Sender<()>,
}

/// Watches the engine until the room is dropped.
pub(super) async fn watch(room: Arc<Room>, mut looks: mpsc::UnboundedReceiver<Look>) {
    let mut pause = RETRY_FIRST;
    loop {
        let error = match connect(&room).await {
            Ok(following) => {
                pause = RETRY_FIRST;
                following.follow(&mut looks).await
            }
            Err(error) => error,
        };
        let news = room.replica().lost(error.to_string());
        tell_unread(&room, &error, news);
        // Nobody is left waiting for a look at an engine that is not there.
        while looks.try_recv().is_ok() {}
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MOST);
    }
}

type Reading = Pin<Box<dyn Future<Output = (String, Result<Option<Sight>, EngineError>)> + Send>>;
type Sign = Pin<Box<dyn Future<Output = Result<(Greeting, bool), EngineError>> + Send>>;

/// Those who wait for a container to be read.
#[derive(Default)]
struct Waiting {
    now: Vec<oneshot::Sender<()>>,
    /// Asked while a reading was under way, which may be too old for them.
    next: Vec<oneshot::Sender<()>>,
    again: bool,
}

/// A connection whose events are followed.
struct Following {
    room: Arc<Room>,
    client: Docker,
    greeting: Greeting,
    events: Events,
    readings: FuturesUnordered<Reading>,
    waiting: HashMap<String, Waiting>,
    /// When those who wait for an image were told last, or will be, that one came.
    images_told: Option<Instant>,
}

async fn connect(room: &Arc<Room>) -> Result<Following, EngineError> {
    let limit = room.settings.deadline;
    let greeting = late(room, SIGN_WITHIN.max(limit), greet(&room.settings.socket)).await?;
    let client = client(&room.settings.socket, CLIENT_SECONDS, greeting.api)?;
    let events = Events::subscribe(&client, room);
    let facts = late(room, limit, read_facts(room, &client, greeting)).await?;
    let containers = late(room, limit * 3, read_all(room, &client)).await?;
    tell_runtime(room, facts.runtime_registered);
    room.replica().connected(Link { client: client.clone(), facts }, containers);
    room.waker.ring(Event::Changed(Part::Engine));
    let room = Arc::clone(room);
    Ok(Following {
        room,
        client,
        greeting,
        events,
        readings: FuturesUnordered::new(),
        waiting: HashMap::new(),
        images_told: None,
    })
}

/// Asks an engine that did not know the runtime whether it has learned it since, and takes note if so.
pub(super) async fn ask_runtime(room: &Room, client: &Docker, limit: Duration) -> Result<bool, EngineError> {
    let info = within(limit, client.info()).await?;
    let registered = has_runtime(&info, &room.settings.runtime);
    if registered && room.replica().set_runtime_registered(true) {
        room.waker.ring(Event::Cured(RUNTIME_MISSING));
    }
    Ok(registered)
}

/// Says that no container can start, or that nothing is in their way any more.
fn tell_runtime(room: &Room, registered: bool) {
    match registered {
        true => room.waker.ring(Event::Cured(RUNTIME_MISSING)),
        false => {
            let runtime = &room.settings.runtime;
            tracing::warn!(
                "the engine does not know the runtime {runtime}, through which nodes start: run `archetype host setup`"
            );
        }
    }
}

impl Following {
    /// Follows events until something breaks, and says what.
    async fn follow(mut self, looks: &mut mpsc::UnboundedReceiver<Look>) -> EngineError {
        let mut tick = tokio::time::interval(SIGN_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sign: Option<Sign> = None;
        loop {
            let step = tokio::select! {
                event = self.events.next() => self.heard(event),
                Some(look) = looks.recv() => { self.look(look.id, Some(look.done)); Ok(()) }
                Some((id, read)) = self.readings.next() => self.was_read(id, read),
                _ = tick.tick(), if sign.is_none() => { sign = Some(self.ask_sign()); Ok(()) }
                answer = async { sign.as_mut().expect("only polled while there is one").await }, if sign.is_some() => {
                    sign = None;
                    self.alive(answer)
                }
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    /// A sign of life; and, for as long as the engine does not know the runtime, whether it has
    /// learned it since.
    fn ask_sign(&self) -> Sign {
        let (room, client) = (Arc::clone(&self.room), self.client.clone());
        let known = room.link().is_ok_and(|link| link.facts.runtime_registered);
        Box::pin(async move {
            let greeting = late(&room, SIGN_WITHIN, greet(&room.settings.socket)).await?;
            if known {
                return Ok((greeting, true));
            }
            let info = late(&room, room.settings.deadline, client.info()).await?;
            Ok((greeting, has_runtime(&info, &room.settings.runtime)))
        })
    }

    fn alive(&self, answer: Result<(Greeting, bool), EngineError>) -> Result<(), EngineError> {
        let (greeting, runtime_registered) = answer?;
        if greeting != self.greeting {
            return Err(EngineError::unreachable("it was restarted"));
        }
        if self.room.replica().answers() {
            tracing::info!("the Docker Engine answers again");
            self.room.waker.ring(Event::Changed(Part::Engine));
        }
        if self.room.replica().set_runtime_registered(runtime_registered) {
            tell_runtime(&self.room, runtime_registered);
            self.room.waker.ring(Event::Changed(Part::Engine));
        }
        Ok(())
    }

    fn heard(&mut self, event: Option<Result<EventMessage, EngineError>>) -> Result<(), EngineError> {
        let event = event.ok_or_else(|| EngineError::unreachable("it ended the stream of events"))??;
        if event.typ == Some(EventMessageTypeEnum::IMAGE) {
            self.image_came();
            return Ok(());
        }
        let Some(id) = event.actor.as_ref().and_then(|actor| actor.id.clone()) else { return Ok(()) };
        let attribute = |name: &str| event.actor.as_ref()?.attributes.as_ref()?.get(name).map(String::as_str);
        let at = Duration::from_nanos(event.time_nano.and_then(|at| u64::try_from(at).ok()).unwrap_or_default());
        match event.action.as_deref().unwrap_or_default() {
            "destroy" => self.write(&id, None),
            "kill" => {
                if let Some(signal) = attribute("signal").and_then(|signal| signal.parse().ok()) {
                    self.room.replica().signalled(&id, signal, at);
                }
            }
            action if changes_a_container(action) => {
                if action == "die" && attribute("exitCode") == Some("255") {
                    self.room.replica().end_announced(&id);
                }
                if action == "die" && self.room.replica().ended(&id, at) {
                    self.await_hand(id.clone(), at);
                }
                self.look(id, None);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whoever waits for an image looks whether it was this: not more often than every so often, for a lab has many.
    fn image_came(&mut self) {
        let now = Instant::now();
        let at = self.images_told.map_or(now, |last| last + IMAGES_EVERY).max(now);
        if self.images_told.is_some_and(|last| last > now) {
            return;
        }
        self.images_told = Some(at);
        let waker = self.room.waker.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            [IMAGE_MISSING, PULL_FAILED].into_iter().for_each(|code| waker.ring(Event::Cured(code)));
        });
    }

    /// Whoever ended a run may be about to start it, as `docker restart` does; it is drift once that does not come. While
    /// a start is under way the engine answers no question about the container.
    fn await_hand(&self, id: String, at: Duration) {
        let room = Arc::clone(&self.room);
        tokio::spawn(async move {
            tokio::time::sleep(HAND_WITHIN).await;
            room.look(&id).await;
            room.replica().hand_is_over(&id, at);
            room.waker.ring(Event::Changed(Part::Engine));
        });
    }

    /// Has a container read; one at a time each, so that an older reading never wins.
    fn look(&mut self, id: String, done: Option<oneshot::Sender<()>>) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.again = true;
            waiting.next.extend(done);
            return;
        }
        self.waiting.insert(id.clone(), Waiting { now: done.into_iter().collect(), ..Waiting::default() });
        self.begin_reading(id);
    }

    fn begin_reading(&self, id: String) {
        let (room, client) = (Arc::clone(&self.room), self.client.clone());
        self.readings.push(Box::pin(async move {
            let read = inspect(&client, &room, &id).await;
            (id, read)
        }));
    }

    fn was_read(&mut self, id: String, read: Result<Option<Sight>, EngineError>) -> Result<(), EngineError> {
        match read {
            Ok(sight) => self.write(&id, sight),
            Err(error @ EngineError::Unreachable { .. }) => return Err(error),
            // The engine is well and cannot say: what was known stays until it can.
            Err(error) => tracing::warn!(%error, id, "a container could not be read"),
        }
        let Some(waiting) = self.waiting.get_mut(&id) else { return Ok(()) };
        for done in waiting.now.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
        if std::mem::take(&mut waiting.again) {
            waiting.now = std::mem::take(&mut waiting.next);
            self.begin_reading(id);
        } else {
            self.waiting.remove(&id);
        }
        Ok(())
    }

    fn write(&self, id: &str, sight: Option<Sight>) {
        let gone = sight.is_none();
        if !self.room.replica().write(id, sight) {
            return;
        }
        self.room.waker.ring(Event::Changed(Part::Engine));
        if gone {
            // Whoever removed it: nobody starts a container of this id any more.
            let (remove, id) = (Arc::clone(&self.room.settings.remove_facts), id.to_owned());
            tokio::task::spawn_blocking(move || {
                remove(&id).unwrap_or_else(|error| tracing::warn!(%error, id, "facts of a removed container stay"));
            });
        }
    }
}

fn changes_a_container(action: &str) -> bool {
    // "health_status: healthy" carries its value in its name.
    let verb = action.split(':').next().unwrap_or_default();
    matches!(verb, "create" | "start" | "die" | "oom" | "pause" | "unpause" | "rename" | "update" | "health_status")
}

/// The engine's events about containers of one installation and about images that come, read by a task of their own so that
/// the subscription stands while the list is read.
struct Events {
    receiver: mpsc::UnboundedReceiver<Result<EventMessage, EngineError>>,
    readers: [tokio::task::JoinHandle<()>; 2],
}

impl Events {
    fn subscribe(client: &Docker, room: &Room) -> Self {
        let label = format!("{}={}", label::INSTALLATION, room.settings.place.installation());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A second of the past too: an event between now and the engine's taking note is not lost.
        let since = Some(now.as_secs().saturating_sub(1).to_string());
        let about = |kind: &str, key: &str, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let filters = HashMap::from([("type".to_owned(), vec![kind.to_owned()]), (key.to_owned(), values)]);
            EventsOptions { since: since.clone(), until: None, filters: Some(filters) }
        };
        let (containers, images) = (about("container", "label", &[&label]), about("image", "event", &IMAGE_COMES));
        let (sender, receiver) = mpsc::unbounded_channel();
        // Without it an image that comes is only found with the next try.
        let (engine, beside) = (client.clone(), sender.downgrade());
        let of_images = tokio::spawn(async move {
            let mut stream = engine.events(Some(images));
            while let (Some(event), Some(sender)) = (stream.next().await, beside.upgrade()) {
                match event {
                    Ok(event) => drop(sender.send(Ok(event))),
                    Err(error) => tracing::debug!(%error, "an event about an image could not be read"),
                }
            }
        });
        let engine = client.clone();
        let of_containers = tokio::spawn(async move {
            let mut stream = engine.events(Some(containers));
            while let Some(event) = stream.next().await {
                if sender.send(event.map_err(broken_stream)).is_err() {
                    return;
                }
            }
        });
        Self { receiver, readers: [of_containers, of_images] }
    }

    async fn next(&mut self) -> Option<Result<EventMessage, EngineError>> {
        self.receiver.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.readers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Everything of this installation, by a list and an inspection each.
pub(super) async fn read_all(room: &Arc<Room>, client: &Docker) -> Result<Vec<Sight>, EngineError> {
    let label = format!("{}={}", label::INSTALLATION, room.settings.place.installation());
    let filters = Some(HashMap::from([("label".into(), vec![label])]));
    let listed =
        client.list_containers(Some(ListContainersOptions { all: true, filters, ..Default::default() })).await?;
    let ids: Vec<String> = listed.into_iter().filter_map(|container| container.id).collect();
    let readings = futures::stream::iter(ids.into_iter().map(|id| async move { inspect(client, room, &id).await }));
    let read: Vec<_> = readings.buffer_unordered(READERS).collect().await;
    read.into_iter().filter_map(Result::transpose).collect()
}

/// The names of every container without our installation's label, each with who has it by the label.
pub(super) async fn names_of_others(
    room: &Room,
    client: &Docker,
) -> Result<BTreeMap<String, NameHolder>, bollard::errors::Error> {
    let listed = client.list_containers(Some(ListContainersOptions { all: true, ..Default::default() })).await?;
    let own = room.settings.place.installation().as_str();
    let named = listed.into_iter().flat_map(|container| {
        let installation = container.labels.and_then(|mut labels| labels.remove(label::INSTALLATION));
        let names = container.names.unwrap_or_default().into_iter();
        names.map(move |name| (name.trim_start_matches('/').to_owned(), installation.clone()))
    });
    let others = named.filter(|(_, installation)| installation.as_deref() != Some(own));
    let holder = |installation: Option<String>| match installation {
        Some(other) => NameHolder::Installation(other),
        None => NameHolder::Other("a container".into()),
    };
    Ok(others.map(|(name, installation)| (name, holder(installation))).collect())
}

async fn inspect(client: &Docker, room: &Room, id: &str) -> Result<Option<Sight>, EngineError> {
    let inspected = client.inspect_container(id, None::<InspectContainerOptions>).await.map_err(EngineError::from);
    match inspected {
        Ok(inspected) => Ok(sight(&inspected, room.settings.place.installation())),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What there is to know of the engine itself.
pub(super) async fn read_facts(room: &Room, client: &Docker, greeting: Greeting) -> Result<EngineFacts, EngineError> {
    let info = client.info().await?;
    let (major, minor) = (client.client_version().major_version, client.client_version().minor_version);
    Ok(EngineFacts {
        version: info.server_version.clone().unwrap_or_default(),
        api: format!("{major}.{minor}"),
        runtime_registered: has_runtime(&info, &room.settings.runtime),
        grant: greeting.daemon.and_then(|daemon| Grant::of(daemon.pid, greeting.api)),
        start: greeting.daemon,
    })
}

/// Whether the engine has `runtime` registered.
fn has_runtime(info: &SystemInfo, runtime: &str) -> bool {
    info.runtimes.as_ref().is_some_and(|runtimes| runtimes.contains_key(runtime))
}

/// A call under a time limit.
pub(super) async fn within<T, E: Into<EngineError>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, EngineError> {
    match timeout(limit, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(no_answer(limit)),
    }
}

/// An answer that nothing is known without: when `limit` is over, the room cannot be read until it is there.
async fn late<T, E: Into<EngineError>>(
    room: &Room,
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, EngineError> {
    let mut call = std::pin::pin!(call);
    if let Ok(answer) = timeout(limit, &mut call).await {
        return answer.map_err(Into::into);
    }
    let error = no_answer(limit);
    let news = room.replica().silent(error.to_string());
    tell_unread(room, &error, news);
    within(limit * PATIENCE, call).await
}

fn no_answer(limit: Duration) -> EngineError {
    EngineError::unreachable(format!("no answer within {:.1} s", limit.as_secs_f32()))
}

fn tell_unread(room: &Room, error: &EngineError, is_news: bool) {
    if is_news {
        tracing::warn!(%error, "the Docker Engine cannot be read");
        room.waker.ring(Event::Changed(Part::Engine));
    }
}

/// Reads everything again and compares it with the replica; what differs, although no event came
/// in between, is counted and read once more.
pub(super) async fn full_read(room: &Arc<Room>) -> Result<u64, EngineError> {
    let link = room.link()?;
    let before = room.replica().snapshot();
    let read = within(room.settings.deadline * 3, read_all(room, &link.client)).await?;
    let read: BTreeMap<String, Sight> = read.into_iter().map(|sight| (sight.node.id.clone(), sight)).collect();
    let after = room.replica().snapshot();
    let untouched = |id: &&String| before.get(*id).map(|(count, _)| count) == after.get(*id).map(|(count, _)| count);
    let ids: std::collections::BTreeSet<&String> = read.keys().chain(after.keys()).collect();
    let wrong: Vec<&String> = ids
        .into_iter()
        .filter(untouched)
        .filter(|id| read.get(*id) != after.get(*id).map(|(_, sight)| sight))
        .collect();
    let count = u64::try_from(wrong.len()).unwrap_or(u64::MAX);
    room.replica().add_differences(count);
    for id in wrong {
        tracing::warn!(id, "a full read differs from what the engine's events told");
        room.look(id).await;
    }
    Ok(count)
}

fn broken_stream(error: bollard::errors::Error) -> EngineError {
    EngineError::unreachable(format!("the stream of its events broke: {error}"))
}
