//! The management networks of a host: the Linux bridge of each, its addresses, its packet rules
//! and published ports, the names that nodes and host see, and the Docker network laid over it.
//!
//! The pairs of devices that hang on the bridge are another room's. What is wanted comes as a spec;
//! nothing here decides.
//!
//! | room | what it holds |
//! |---|---|
//! | `bridge`, `addresses` | the device, its addresses and the news of them, the kernel's settings |
//! | `rules`, `nftables`, `user_chain` | our nft table, the kernel's word on it, our rules in Docker's chain |
//! | `ports`, `listeners` | published ports bound on the host, and who else listens |
//! | `hosts`, `resolvers` | hosts files edited in place, resolv.conf for nodes |
//! | `guests` | the Docker network laid over, by a replica of the engine's networks |
//! | `record` | what was last meant: the measure for what is read |

mod addresses;
mod apply;
mod bridge;
mod conflict;
mod error;
mod guests;
mod hosts;
mod listeners;
mod mark;
mod nftables;
mod ports;
mod reading;
mod record;
pub(crate) mod resolvers;
mod rules;
mod survey;
mod user_chain;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use archetype_model::observed::{NetworkObserved, Part, PassagesObserved, Reading};
use archetype_model::spec::{HostSpec, NetworkSpec, PublishedPort};
use archetype_model::{BridgeName, NetworkName};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::Place;
use crate::event::{Event, Waker};
use guests::Guests;
use ports::Held;
use record::{Meant, Record};

pub use error::Error;
pub use survey::{HeldNetwork, HeldPort, Survey};

/// News that could not be heard are listened for again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// What the room needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the installation keeps its files.
    pub place: Place,
    /// The Docker Engine's socket; none lays no Docker networks over ours.
    pub docker_socket: Option<PathBuf>,
    /// The host's own hosts file.
    pub hosts_path: PathBuf,
    /// Whether the host's own hosts file gets a marked block for each lab.
    pub write_host_hosts: bool,
    /// How long reading or one change may take.
    pub deadline: Duration,
}

impl Settings {
    /// The usual settings: `/etc/hosts` written, `/run/docker.sock`, 5 s.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            docker_socket: Some("/run/docker.sock".into()),
            hosts_path: "/etc/hosts".into(),
            write_host_hosts: true,
            deadline: Duration::from_secs(5),
        }
    }
}

/// The management networks of one installation on this host. Published ports stay bound for as
/// long as it lives.
pub struct Networks {
    settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
    guests: Arc<Guests>,
    /// The ruleset's generation after our own last write.
    own_generation: Arc<AtomicU32>,
    news: [JoinHandle<()>; 2],
}

/// What is kept between calls. Every call takes it as a whole.
#[derive(Default)]
struct State {
    records: BTreeMap<NetworkName, Arc<Meant>>,
    /// Blocks of hosts files found right.
    known: hosts::Known,
    held: Held,
    /// Who holds sockets that others listen on.
    holders: listeners::Holders,
    /// Rules found right, by network: not read again while nothing changed.
    checked: BTreeMap<NetworkName, Checked>,
    /// Docker's chains as they were read last; none when we changed them since.
    chains: Option<Read>,
    /// When bridges of ours without a record were last looked for.
    searched: Option<Instant>,
    /// The networks found then.
    stray: BTreeMap<NetworkName, BridgeName>,
}

/// A look at the rules.
struct Checked {
    generation: u32,
    at: Instant,
    right: bool,
}

/// Docker's chains as they were read.
struct Read {
    /// The ruleset's generation then; none where the kernel has none.
    generation: Option<u32>,
    at: Instant,
    chains: Arc<user_chain::Chains>,
}

impl Networks {
    /// Opens the room: reads what an earlier agent recorded, binds its published ports again,
    /// begins to watch the packet rules and the engine's networks. Needs a tokio runtime.
    pub fn open(settings: Settings, waker: Waker) -> Self {
        let records = Record::all(&settings.place).into_iter().map(|(name, record)| (name, Arc::new(record.into())));
        let records = records.collect();
        let mut state = State { records, ..State::default() };
        let ports = state.ports();
        if let Err(error) = state.held.set(&ports) {
            // The next reading shows rules that are not right, and setting them tells this again.
            tracing::warn!(%error, "a published port could not be bound again");
        }
        let installation = settings.place.installation().clone();
        let (socket, deadline) = (settings.docker_socket.clone(), settings.deadline);
        let guests = Guests::open(installation.clone(), socket, deadline, waker.clone());
        let own_generation = Arc::new(AtomicU32::new(0));
        let names = vec![format!("archetype_{installation}"), user_chain::CHAIN.to_owned()];
        let state = Arc::new(Mutex::new(state));
        let news = [
            tokio::spawn(watch(names, own_generation.clone(), waker.clone())),
            tokio::spawn(watch_addresses(Arc::downgrade(&state), waker)),
        ];
        Self { settings: Arc::new(settings), state, guests: Arc::new(guests), own_generation, news }
    }

    /// Reads every network of ours. Never waits for the engine: its part is what it last told.
    pub async fn show(&self) -> Reading<BTreeMap<NetworkName, NetworkObserved>> {
        self.within(reading::show).await.into()
    }

    /// Reads what lets bridges of the host through Docker's packet filter.
    pub async fn passages(&self) -> Reading<PassagesObserved> {
        self.within(reading::passages).await.into()
    }

    /// Lets what a bridge of the host carries through Docker's packet filter (`open`), or takes our
    /// rules for it away. Nothing where Docker filters nothing.
    ///
    /// # Errors
    /// When the rules cannot be read or set.
    pub async fn apply_passage(&self, bridge: &BridgeName, open: bool) -> Result<(), Error> {
        let bridge = bridge.clone();
        self.within(move |room| apply::pass(room, &bridge, open)).await
    }

    /// Makes a network as the spec wants it, or mends it; writes nothing where it is right. The
    /// Docker network over it is laid by a task of its own: a failure of that is told by the next
    /// call, which begins another attempt.
    ///
    /// # Errors
    /// See [`Error`]. What could be set right is right also then: the other published ports of one
    /// that is taken, for instance.
    pub async fn apply_set(&self, spec: &HostSpec, network: &NetworkName) -> Result<(), Error> {
        let wanted = spec.network_wanted(network).ok_or_else(|| Error::Unknown { network: network.clone() })?;
        let lay = wanted.network.clone();
        self.within(move |room| apply::set(room, wanted)).await?;
        self.guests.lay(&lay)
    }

    /// Removes a network of ours with everything of it. Where a Docker network lies over it, a task
    /// removes that one, and the next call the rest.
    ///
    /// # Errors
    /// [`Error::InUse`] when somebody else is on it: then everything but bridge and Docker network
    /// is removed. Otherwise see [`Error`].
    pub async fn apply_remove(&self, network: &NetworkName) -> Result<(), Error> {
        let network = network.clone();
        self.within(move |room| apply::remove(room, &network)).await
    }

    /// What stands in the way of this network on this host: its bridge, name or subnet held by
    /// something that is not ours.
    ///
    /// # Errors
    /// When the kernel cannot be read. An engine that cannot be read holds nothing that is known.
    pub async fn conflicts(&self, network: &NetworkSpec) -> Result<Vec<Error>, Error> {
        let network = network.clone();
        self.within(move |room| conflict::find(room, &network)).await
    }

    /// Everything of networks and ports that is somebody else's on this host, for a plan to keep
    /// away from. Takes some milliseconds; the engine's part is what it last told.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub async fn survey(&self) -> Result<Survey, Error> {
        self.within(survey::survey).await
    }

    /// The same, with the numbers of our own bridges and what `look` sees on the same thread.
    pub(crate) async fn survey_and<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(Survey, BTreeSet<u32>, T), Error> {
        let looked = self.within(|room| {
            let survey = survey::survey(room)?;
            let networks = reading::show(room).unwrap_or_default().into_values();
            let own = networks.filter(|network| network.ours).filter_map(|network| network.bridge).collect();
            Ok((survey, own, look()))
        });
        looked.await
    }

    /// Reads everything from its source at once, and the engine's part soon. Answers how many
    /// networks' rules were not what was believed although the kernel told of no change.
    pub async fn full_read(&self) -> u64 {
        let wrong = self.within(reading::full).await;
        let guests = self.guests.clone();
        tokio::spawn(async move { guests.read_again().await });
        wrong.unwrap_or(0)
    }

    /// Runs one call on a thread that may block, alone, within the deadline.
    async fn within<T, F>(&self, call: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Room) -> Result<T, Error> + Send + 'static,
    {
        let deadline = self.settings.deadline;
        let work = async {
            let mut room = Room {
                settings: self.settings.clone(),
                state: self.state.clone().lock_owned().await,
                guests: self.guests.clone(),
                own_generation: self.own_generation.clone(),
            };
            let done = tokio::task::spawn_blocking(move || call(&mut room)).await;
            done.unwrap_or_else(|error| Err(Error::kernel("management networks", error)))
        };
        let too_slow = Error::TooSlow { seconds: deadline.as_secs() };
        tokio::time::timeout(deadline, work).await.unwrap_or(Err(too_slow))
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        self.news.iter().for_each(JoinHandle::abort);
    }
}

/// What one call works with.
struct Room {
    settings: Arc<Settings>,
    state: tokio::sync::OwnedMutexGuard<State>,
    guests: Arc<Guests>,
    own_generation: Arc<AtomicU32>,
}

impl Room {
    /// Notes that the ruleset as it is now is of our making, so that nobody is woken by it.
    fn note_generation(&self) -> Result<u32, Error> {
        let generation = nftables::generation()?;
        self.own_generation.store(generation, Ordering::Relaxed);
        Ok(generation)
    }
}

impl State {
    /// Every published port of every network.
    fn ports(&self) -> Vec<PublishedPort> {
        let networks = self.records.values().flat_map(|meant| &meant.record.wanted.ports);
        networks.map(|wanted| wanted.port.clone()).collect()
    }
}

/// Wakes the agent at every change of the packet rules that names ours and is not ours.
async fn watch(names: Vec<String>, own_generation: Arc<AtomicU32>, waker: Waker) {
    loop {
        match nftables::News::open() {
            Ok(news) => {
                while news.of(&names).await.is_ok() {
                    if nftables::generation().ok() != Some(own_generation.load(Ordering::Relaxed)) {
                        waker.ring(Event::Changed(Part::Networks));
                    }
                }
            }
            // A kernel without nftables: setting a network says so.
            Err(error) => tracing::debug!(%error, "changes of packet rules are not heard"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Wakes the agent at every change of the addresses of our bridges. It keeps no port bound: the state is the room's.
async fn watch_addresses(state: Weak<Mutex<State>>, waker: Waker) {
    while let Err(error) = addresses::ring(&state, &waker).await {
        tracing::warn!(%error, "changes of addresses are not heard; only the timed full read sees them");
        tokio::time::sleep(AGAIN).await;
    }
}
