//! The Docker network laid over a management network, for other people's containers. A replica of
//! the engine's networks is kept by its events and read again on a timer; asking it never waits for
//! the engine. Changes are tasks, at most one a network.

mod engine;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archetype_model::observed::{Part, Reading};
use archetype_model::spec::NetworkSpec;
use archetype_model::{BridgeName, InstallationId, NetworkName};
use ipnet::IpNet;

use super::{Error, mark};
use crate::event::{Event, Waker};

/// A Docker network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GuestNetwork {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The bridge it names, if it names one.
    pub bridge: Option<BridgeName>,
    /// Whose it is, as its label tells.
    pub installation: Option<String>,
    /// What it was made from, as its label tells.
    pub digest: Option<String>,
    /// Whether containerlab made it.
    pub by_containerlab: bool,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Of which it gives addresses to its containers, where it names ranges of its own.
    pub ranges: Vec<IpNet>,
    /// The running containers on it; known for ours only.
    pub containers: Vec<String>,
}

impl GuestNetwork {
    /// Whether it is ours.
    pub fn is_of(&self, installation: &InstallationId) -> bool {
        self.installation.as_deref() == Some(installation.as_str())
    }

    /// Whose it is, in words.
    pub fn holder(&self) -> String {
        let id = self.id.get(..12).unwrap_or(&self.id);
        match &self.installation {
            Some(other) => format!("Docker network {} ({id}) of installation {other}", self.name),
            None if self.by_containerlab => format!("Docker network {} ({id}) of containerlab", self.name),
            None => format!("Docker network {} ({id})", self.name),
        }
    }
}

/// The engine as far as it concerns this host's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    /// There is none, or it has a network namespace of its own: nothing can be laid over.
    Absent,
    /// It could not be read, and why.
    Unreadable(String),
    /// Its networks, by name.
    Known(BTreeMap<String, GuestNetwork>),
}

/// The replica and the tasks.
pub(super) struct Guests {
    shared: Arc<Shared>,
    watcher: tokio::task::JoinHandle<()>,
}

/// What watcher and tasks share.
pub(super) struct Shared {
    installation: InstallationId,
    socket: Option<PathBuf>,
    deadline: Duration,
    waker: Waker,
    state: Mutex<State>,
}

struct State {
    engine: Engine,
    /// Readings that were begun, and the number of the one that `engine` is.
    begun: u64,
    told: u64,
    /// What is being done to a network right now, for people.
    tasks: BTreeMap<NetworkName, &'static str>,
    /// How the last task on a network failed; kept through the tries that follow until one is done.
    failed: BTreeMap<NetworkName, Error>,
}

impl Guests {
    /// Begins to keep the replica. Needs a tokio runtime.
    pub fn open(installation: InstallationId, socket: Option<PathBuf>, deadline: Duration, waker: Waker) -> Self {
        let engine = match &socket {
            Some(_) => Engine::Unreadable("the Docker Engine's networks were not read yet".into()),
            None => Engine::Absent,
        };
        let state = Mutex::new(State { engine, begun: 0, told: 0, tasks: BTreeMap::new(), failed: BTreeMap::new() });
        let shared = Arc::new(Shared { installation, socket, deadline, waker, state });
        let watcher = tokio::spawn(engine::keep(shared.clone()));
        Self { shared, watcher }
    }

    /// The engine's networks as last told.
    pub fn engine(&self) -> Engine {
        self.shared.lock().engine.clone()
    }

    /// Reads the engine's networks now, outside of the watcher's time.
    pub async fn read_again(&self) {
        if self.shared.lock().engine != Engine::Absent
            && let Err(error) = engine::read_again(&self.shared).await
        {
            self.shared.tell_now(Engine::Unreadable(error.to_string()));
        }
    }

    /// Whether the Docker network of a network is as wanted; unreadable while a task works on it,
    /// unless the one before failed: then it is not, until one is done.
    pub fn reading(&self, network: &NetworkSpec) -> Reading<bool> {
        let state = self.shared.lock();
        if let Some(doing) = state.tasks.get(&network.name) {
            return match state.failed.contains_key(&network.name) {
                true => Reading::Known(false),
                false => Reading::Unreadable((*doing).to_owned()),
            };
        }
        match &state.engine {
            Engine::Absent => Reading::Known(true),
            Engine::Unreadable(why) => Reading::Unreadable(why.clone()),
            Engine::Known(networks) => Reading::Known(self.shared.is_right(networks, network)),
        }
    }

    /// Whether something is being done to the Docker network of a network.
    pub fn is_busy(&self, network: &NetworkName) -> bool {
        self.shared.lock().tasks.contains_key(network)
    }

    /// Begins to lay a Docker network over the bridge, unless one lies there or a task is under way.
    ///
    /// # Errors
    /// How the last attempt failed; the next one is under way then.
    pub fn lay(&self, network: &NetworkSpec) -> Result<(), Error> {
        if self.reading(network) != Reading::Known(false) {
            return Ok(());
        }
        let (busy, failed) = self.begin(&network.name, "laying the Docker network over it");
        if busy {
            return failed.map_or(Ok(()), Err);
        }
        let (shared, network) = (self.shared.clone(), network.clone());
        tokio::spawn(async move {
            let done = engine::lay(&shared, &network).await;
            shared.end(&network.name, done).await;
        });
        failed.map_or(Ok(()), Err)
    }

    /// Begins to remove our Docker network of this name.
    ///
    /// # Errors
    /// How the last attempt failed; the next one is under way then.
    pub fn remove(&self, network: &NetworkName, id: String) -> Result<(), Error> {
        let (busy, failed) = self.begin(network, "removing its Docker network");
        if busy {
            return failed.map_or(Ok(()), Err);
        }
        let (shared, network) = (self.shared.clone(), network.clone());
        tokio::spawn(async move {
            let done = engine::remove(&shared, &network, &id).await;
            shared.end(&network, done).await;
        });
        failed.map_or(Ok(()), Err)
    }

    /// Notes a task, unless one is under way: says whether one is, and how the last one failed.
    fn begin(&self, network: &NetworkName, doing: &'static str) -> (bool, Option<Error>) {
        let mut state = self.shared.lock();
        let busy = state.tasks.contains_key(network);
        if !busy {
            state.tasks.insert(network.clone(), doing);
        }
        (busy, state.failed.get(network).cloned())
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Shared {
    /// The state. A panic elsewhere leaves it usable: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a reading that begins now.
    fn begin_reading(&self) -> u64 {
        let mut state = self.lock();
        state.begun += 1;
        state.begun
    }

    /// Takes over what a reading found that began and ended now.
    fn tell_now(&self, engine: Engine) {
        self.tell(self.begin_reading(), engine);
    }

    /// Takes over what a reading found, and rings when it is something else. Readings run beside each other, and an
    /// engine may be slow: one that began before what is known was read does not tell of a network that was laid since.
    fn tell(&self, reading: u64, engine: Engine) {
        let mut state = self.lock();
        if reading < state.told {
            return;
        }
        state.told = reading;
        if state.engine != engine {
            state.engine = engine;
            self.waker.ring(Event::Changed(Part::Networks));
        }
    }

    fn is_right(&self, networks: &BTreeMap<String, GuestNetwork>, network: &NetworkSpec) -> bool {
        let there = networks.get(network.name.as_str());
        // Somebody else's of this name is told by the attempt to lay ours.
        !can_lay(network)
            || there.is_some_and(|there| {
                there.is_of(&self.installation) && there.digest.as_deref() == Some(digest(network).as_str())
            })
    }

    /// The end of a task: read anew, then let the next pass see it.
    async fn end(&self, network: &NetworkName, done: Result<(), Error>) {
        if let Err(error) = engine::read_again(self).await {
            // What was known before says nothing of what was done.
            self.tell_now(Engine::Unreadable(error.to_string()));
        }
        let mut state = self.lock();
        state.tasks.remove(network);
        match done {
            Ok(()) => drop(state.failed.remove(network)),
            Err(error) => drop(state.failed.insert(network.clone(), error)),
        }
        self.waker.ring(Event::Changed(Part::Networks));
    }
}

/// Docker needs an IPv4 subnet, and a range of its own: without one it would give away addresses
/// that are planned for nodes.
fn can_lay(network: &NetworkSpec) -> bool {
    network.ipv4.as_ref().is_some_and(|subnet| subnet.guests.is_some())
}

/// What a Docker network is made from.
fn digest(network: &NetworkSpec) -> String {
    archetype_model::digest(&(&network.bridge, network.mtu, &network.ipv4, &network.ipv6))
}

/// The labels of ours.
fn labels(installation: &InstallationId, network: &NetworkSpec) -> BTreeMap<String, String> {
    BTreeMap::from([
        (mark::LABEL_INSTALLATION.to_owned(), installation.to_string()),
        (mark::LABEL_DIGEST.to_owned(), digest(network)),
    ])
}
