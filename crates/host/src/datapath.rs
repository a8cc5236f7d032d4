//! Open vSwitch: the bridge that carries wires, its ports, and the switch that moves the frames.
//!
//! A monitor session keeps a replica while it lives; when it breaks, the datapath is unreadable
//! until the next one stands. Writing is one transaction for all pending changes.

mod door;
mod flows;
mod openflow;
mod operations;
mod rows;
mod switch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archetype_model::observed::{DatapathKind, DatapathObserved, Hears, Part, PortObserved, Reading};
use archetype_model::spec::HostSpec;
use archetype_model::step::{Outcome, Step};
use archetype_model::{BridgeName, InstallationId, InterfaceName};
use archetype_ovsdb::{Client, Columns, Endpoint, Monitor, Schema, Uuid, vswitch};
use tokio::sync::{mpsc, oneshot, watch};

use crate::event::{Event, Waker};

pub(crate) use door::{Door, Learned};
use flows::Told;
pub use switch::Switch;

/// A transaction or read that takes longer than this makes the datapath unreadable.
const DEADLINE: Duration = Duration::from_secs(10);
/// A server that takes longer than this for an echo is late.
const ECHO: Duration = Duration::from_secs(2);

/// What the room must know.
#[derive(Debug, Clone)]
pub struct DatapathSettings {
    /// Where the database is.
    pub endpoint: Endpoint,
    /// The bridge.
    pub bridge: BridgeName,
    /// Who moves the frames of a bridge that is made here; none lets the host decide (the kernel if
    /// it can, else userspace).
    pub kind: Option<DatapathKind>,
    /// The folder with `ovs-vswitchd.pid`; none where the switch is not on this machine.
    pub rundir: Option<PathBuf>,
}

/// Why Open vSwitch could not be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatapathError {
    /// There is no session with the database.
    #[error("Open vSwitch cannot be reached: {0}")]
    Away(String),
    /// The database refused, or the session broke.
    #[error("Open vSwitch: {0}")]
    Database(#[from] archetype_ovsdb::Error),
    /// The switch itself could not be told past its database, in its words.
    #[error("ovs-vswitchd: {0}")]
    Switch(String),
    /// No answer in time.
    #[error("Open vSwitch gave no answer within {} s", DEADLINE.as_secs())]
    Deadline,
    /// A step is about something the spec does not have.
    #[error("no interface of the spec has the host device {0}")]
    NotInSpec(InterfaceName),
    /// The bridge is there but not in the replica yet.
    #[error("bridge {0} is missing")]
    NoBridge(BridgeName),
}

/// The room.
#[derive(Debug, Clone)]
pub struct Datapath {
    settings: Arc<DatapathSettings>,
    session: watch::Receiver<Session>,
    audits: mpsc::UnboundedSender<oneshot::Sender<u64>>,
    written: Arc<Mutex<Written>>,
    switch: Arc<Switch>,
    flows: flows::Flows,
    waker: Waker,
}

/// What others have on the bridge.
#[derive(Debug, Clone, Default)]
pub struct TagsOfOthers {
    /// Tags that ports of others hold, each with the holder in words.
    pub held: BTreeMap<u16, String>,
    /// Ports of others that hear every tag.
    pub hear_all: BTreeSet<String>,
    /// Other installations with wires on the bridge, each with the tags of those.
    pub installations: BTreeMap<InstallationId, BTreeSet<u16>>,
}

/// Our writes that Open vSwitch may not have carried out yet, each by its `next_cfg`. They are of one session: what was
/// pending when the next one began is told by the database, which may be another one, and count anew.
#[derive(Debug, Default)]
struct Written {
    session: u64,
    last: i64,
    /// Of settings of the bridge, which every port depends on.
    bridge: i64,
    ports: BTreeMap<InterfaceName, i64>,
}

/// The session with the database, as its task publishes it.
#[derive(Debug, Clone)]
enum Session {
    Away(String),
    Live(Arc<Live>),
}

/// A living session: the client and what the replica shows.
#[derive(Debug, Clone)]
struct Live {
    /// Which session it is.
    number: u64,
    client: Client,
    rows: Arc<rows::Rows>,
}

impl Datapath {
    /// Opens the room: from now on a task keeps a session, and rings at every change.
    pub fn open(settings: DatapathSettings, waker: Waker) -> Self {
        let (publish, session) = watch::channel(Session::Away("not connected yet".into()));
        let (audits, asked) = mpsc::unbounded_channel();
        let switch = Arc::new(Switch::new(settings.rundir.clone()));
        let flows = flows::Flows::open(door_of(&settings), session.clone(), waker.clone());
        let settings = Arc::new(settings);
        tokio::spawn(keep_session(settings.clone(), publish, asked, waker.clone()));
        tokio::spawn(switch.clone().watch(waker.clone()));
        Self { settings, session, audits, written: Arc::default(), switch, flows, waker }
    }

    /// What is, from the replica.
    pub fn show(&self) -> Reading<DatapathObserved> {
        let live = match self.live() {
            Ok(live) => live,
            Err(why) => return Reading::Unreadable(why),
        };
        let mut written = self.written(live.number);
        let done = live.rows.cur_cfg;
        written.ports.retain(|_, next_cfg| *next_cfg > done);
        // What was pending when the session began may have been about any port.
        let known = done >= live.rows.first_next_cfg.max(written.bridge);
        let is_settled = |name: &InterfaceName| known && !written.ports.contains_key(name);
        let show = |(name, port): (&InterfaceName, &PortObserved)| {
            (name.clone(), PortObserved { settled: is_settled(name), ..port.clone() })
        };
        let mut ports: BTreeMap<InterfaceName, PortObserved> = live.rows.ports().map(show).collect();
        let told = self.flows.show();
        for (name, settings) in told.known().into_iter().flat_map(|told| &told.ports) {
            if let Some(port) = ports.get_mut(name) {
                port.harmful.extend(settings.harmful().map(|setting| format!("{setting} (ovs-ofctl)")));
            }
        }
        let mut bridge = live.rows.bridges.get(&self.settings.bridge).map(|bridge| bridge.observed.clone());
        let learning = self.learning(&live);
        bridge.iter_mut().for_each(|bridge| bridge.flows = told.clone().map(|told| told.with(&learning)));
        Reading::Known(DatapathObserved {
            switch: self.switch.running(),
            settled: known && done >= written.last,
            bridge,
            ports,
        })
    }

    /// The session that shows what is; why nothing does.
    fn live(&self) -> Result<Arc<Live>, String> {
        if self.switch.is_frozen() {
            return Err("ovs-vswitchd runs and does not answer".into());
        }
        match &*self.session.borrow() {
            Session::Away(why) => Err(why.clone()),
            Session::Live(live) => Ok(live.clone()),
        }
    }

    /// The tags of wires in which the bridge learns where addresses are. In the others it does not look at its table.
    fn learning(&self, live: &Live) -> BTreeSet<u16> {
        let bridge = live.rows.bridges.get(&self.settings.bridge);
        let is_on_wire = |port: &PortObserved| port.bridge == self.settings.bridge && port.mark.is_some();
        let tags = live.rows.ports().filter(|(_, port)| is_on_wire(port)).filter_map(|(_, port)| port.tag);
        let learns = |tag: &u16| bridge.is_some_and(|bridge| !bridge.observed.flood_vlans.contains(tag));
        tags.filter(learns).collect()
    }

    /// The tags of the bridge that ports hold which this installation did not make.
    pub fn tags_of_others(&self, installation: &InstallationId) -> TagsOfOthers {
        let mut others = TagsOfOthers::default();
        let Ok(live) = self.live() else { return others };
        let ours = |port: &PortObserved| port.mark.as_ref().is_some_and(|mark| &mark.installation == installation);
        let bridge = live.rows.bridges.get(&self.settings.bridge);
        for hearer in bridge.iter().flat_map(|bridge| &bridge.observed.hearers) {
            let port = live.rows.port(hearer.port.as_str());
            // The bridge's own port is put where it belongs by whoever sets the bridge.
            if hearer.port == self.settings.bridge.as_str() || port.is_some_and(ours) {
                continue;
            }
            match &hearer.hears {
                Hears::Tags(tags) => {
                    others.held.extend(tags.iter().map(|tag| (*tag, format!("port {}", hearer.port))));
                }
                Hears::All => drop(others.hear_all.insert(hearer.port.clone())),
            }
        }
        for (name, port) in live.rows.ports().filter(|(_, port)| port.bridge == self.settings.bridge && !ours(port)) {
            if let (Some(mark), Some(tag)) = (&port.mark, port.tag) {
                others.held.insert(tag, format!("port {name} of installation {}", mark.installation));
                // One that is parked shares its tag with nobody's wires.
                if !port.protected {
                    others.installations.entry(mark.installation.clone()).or_default().insert(tag);
                }
            }
        }
        others
    }

    /// Who moves the frames: of the bridge if it is there, as it was made, else of one made now.
    pub fn kind(&self) -> DatapathKind {
        let live = self.live().ok();
        let bridge = live.as_ref().and_then(|live| live.rows.bridges.get(&self.settings.bridge));
        // Of a bridge that somebody made: the kernel's, which is the default, where there is one.
        let made = |kind| if kind == DatapathKind::Kernel { switch::best_kind() } else { kind };
        let seen = bridge.map(|bridge| bridge.observed.made_as.unwrap_or_else(|| made(bridge.observed.datapath)));
        seen.or(self.settings.kind).unwrap_or_else(switch::best_kind)
    }

    /// The way to the switch itself; none where it is not on this machine.
    pub(crate) fn door(&self) -> Option<Door> {
        door_of(&self.settings)
    }

    /// Takes all steps in one transaction. Answers when the replica shows them; that Open vSwitch
    /// has carried them out shows later, as `settled`. `ifindex` finds a device's number.
    pub async fn apply(
        &self,
        spec: &HostSpec,
        steps: &[Step],
        ifindex: impl Fn(&InterfaceName) -> Option<u32>,
    ) -> Vec<Outcome> {
        let result = tokio::time::timeout(DEADLINE, self.transact(spec, steps, ifindex)).await;
        let error = result.unwrap_or(Err(DatapathError::Deadline)).err().map(|error| error.to_string());
        steps.iter().map(|step| Outcome { step: step.clone(), error: error.clone().map(Into::into) }).collect()
    }

    async fn transact(
        &self,
        spec: &HostSpec,
        steps: &[Step],
        ifindex: impl Fn(&InterfaceName) -> Option<u32>,
    ) -> Result<(), DatapathError> {
        let live = match &*self.session.borrow() {
            Session::Away(why) => return Err(DatapathError::Away(why.clone())),
            Session::Live(live) => live.clone(),
        };
        let kind = self.kind();
        let operations = operations::build(&self.settings.bridge, kind, &live.rows, spec, steps, ifindex)?;
        let committed = vswitch::commit_and_settle(&live.client, operations).await?;
        self.note(live.number, steps, committed.next_cfg);
        let mut session = self.session.clone();
        let seen = |session: &Session| match session {
            Session::Away(_) => true,
            Session::Live(live) => live.rows.next_cfg >= committed.next_cfg,
        };
        session.wait_for(seen).await.map_err(|_| DatapathError::Away("the session has ended".into()))?;
        drop(session);
        self.restore(steps).await
    }

    /// Takes back what the switch was told past its database, where a step is about that.
    async fn restore(&self, steps: &[Step]) -> Result<(), DatapathError> {
        let (Some(door), Reading::Known(told)) = (self.door(), self.flows.show()) else { return Ok(()) };
        let Ok(live) = self.live() else { return Ok(()) };
        let learning = self.learning(&live);
        let placed = told.astray(&learning);
        let is_wrong = !told.flows.wrong.is_empty() || !placed.is_empty();
        let flows = is_wrong && steps.iter().any(|step| matches!(step, Step::SetBridge { .. }));
        let ports = steps.iter().filter_map(|step| match step {
            Step::SetPort { device, .. } => Some((device.clone(), *told.ports.get(device)?)),
            _ => None,
        });
        let (names, settings): (Vec<InterfaceName>, Vec<_>) = ports.unzip();
        if !flows && names.is_empty() {
            return Ok(());
        }
        let placed = if flows { placed } else { Vec::new() };
        let told = tokio::task::spawn_blocking(move || door.restore(flows, &placed, &settings)).await;
        told.map_err(std::io::Error::other).flatten().map_err(|error| DatapathError::Switch(error.to_string()))?;
        let is_right = |told: &Told| {
            let is_as_learned = told.flows.wrong.is_empty() && told.astray(&learning).is_empty();
            (!flows || is_as_learned) && !names.iter().any(|name| told.ports.contains_key(name))
        };
        // What somebody else does at once is seen by the next round.
        self.flows.until(|told| told.known().is_none_or(is_right)).await;
        Ok(())
    }

    /// Remembers what a write was about: which ports, or the bridge and with it all of them.
    fn note(&self, session: u64, steps: &[Step], next_cfg: i64) {
        let mut written = self.written(session);
        written.last = next_cfg;
        // One that brings or takes tags is about wires that come and go; the others need not wait for it.
        let sets_bridge = |step: &Step| match step {
            Step::SetBridge { add_flood, remove_flood } => add_flood.is_empty() && remove_flood.is_empty(),
            _ => false,
        };
        if steps.iter().any(sets_bridge) {
            written.bridge = next_cfg;
        }
        let ports = steps.iter().filter_map(|step| match step {
            Step::AddPort { device, .. } | Step::SetPort { device, .. } => Some((device.clone(), next_cfg)),
            _ => None,
        });
        written.ports.extend(ports);
    }

    /// What was written in this session.
    fn written(&self, session: u64) -> MutexGuard<'_, Written> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.session != session {
            *written = Written { session, ..Written::default() };
        }
        written
    }

    /// Has the switch asked whether it answers. Does not wait for it: what comes of it rings.
    pub fn look_whether_it_answers(&self) {
        if let Some(door) = self.door() {
            self.switch.clone().ask(door, self.waker.clone());
        }
    }

    /// Reads everything from the database and the switch and compares; answers how much differed.
    pub async fn audit(&self) -> u64 {
        let (answer, answered) = oneshot::channel();
        drop(self.audits.send(answer));
        let rows = tokio::time::timeout(DEADLINE, answered);
        let (rows, flows) = tokio::join!(rows, self.flows.audit());
        rows.ok().and_then(Result::ok).unwrap_or(0) + flows
    }
}

/// The way to the switch itself; none where it is not on this machine.
fn door_of(settings: &DatapathSettings) -> Option<Door> {
    Some(Door::new(settings.rundir.clone()?, settings.bridge.clone()))
}

/// Connects, follows, and connects again, for as long as somebody listens.
async fn keep_session(
    settings: Arc<DatapathSettings>,
    publish: watch::Sender<Session>,
    mut audits: mpsc::UnboundedReceiver<oneshot::Sender<u64>>,
    waker: Waker,
) {
    let mut wait = Duration::from_millis(50);
    let mut number = 0;
    while !publish.is_closed() {
        let why = match connect(&settings.endpoint).await {
            Ok(monitor) => {
                wait = Duration::from_millis(50);
                number += 1;
                follow(number, monitor, &publish, &mut audits, &waker).await
            }
            Err(error) => error,
        };
        away(&publish, &waker, why.to_string());
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Monitor, archetype_ovsdb::Error> {
    let connected = async {
        let client = Client::connect(endpoint).await?;
        let schema = client.schema(vswitch::DATABASE).await?;
        client.monitor(vswitch::DATABASE, columns(&schema)).await
    };
    let late = || archetype_ovsdb::Error::lost("no answer from ovsdb-server in time");
    tokio::time::timeout(DEADLINE, connected).await.unwrap_or_else(|_| Err(late()))
}

/// What is followed, as far as this version of Open vSwitch has it.
fn columns(schema: &Schema) -> BTreeMap<String, Columns> {
    let table = |name: &str, columns: &[&str]| {
        let there = columns.iter().copied().filter(|column| schema.column(name, column).is_ok());
        (name.to_string(), Columns::only(there))
    };
    BTreeMap::from([
        table("Open_vSwitch", &["next_cfg", "cur_cfg", "other_config", "bridges"]),
        table("Bridge", rows::BRIDGE_COLUMNS),
        table("Port", rows::PORT_COLUMNS),
        table("Interface", rows::INTERFACE_COLUMNS),
        table("Mirror", rows::MIRROR_COLUMNS),
    ])
}

/// Publishes every change until the session breaks; answers why it did. A server that hangs is
/// noticed by an echo.
async fn follow(
    number: u64,
    mut monitor: Monitor,
    publish: &watch::Sender<Session>,
    audits: &mut mpsc::UnboundedReceiver<oneshot::Sender<u64>>,
    waker: &Waker,
) -> archetype_ovsdb::Error {
    let client = monitor.client().clone();
    let mut rows = Arc::new(rows::Rows::read(monitor.replica()));
    let mut echo = tokio::time::interval(ECHO);
    loop {
        publish.send_replace(Session::Live(Arc::new(Live { number, client: client.clone(), rows: rows.clone() })));
        waker.ring(Event::Changed(Part::Datapath));
        // Cancel safe: `next` keeps what it has taken, the others only wait.
        let changes = tokio::select! {
            changes = monitor.next() => match changes {
                Ok(changes) => changes,
                Err(error) => return error,
            },
            Some(answer) = audits.recv() => match tokio::time::timeout(DEADLINE, monitor.audit()).await {
                Ok(Ok(audit)) => {
                    answer.send(audit.differences.len() as u64).unwrap_or_default();
                    audit.changes.into_iter().chain(audit.differences).collect()
                }
                Ok(Err(error)) => return error,
                Err(_) => return archetype_ovsdb::Error::lost("ovsdb-server does not answer"),
            },
            answered = alive(&client, &mut echo, |why| away(publish, waker, why)) => match answered {
                Ok(()) => Vec::new(),
                Err(error) => return error,
            },
        };
        rows = Arc::new(rows.changed(monitor.replica(), &changes));
    }
}

/// Completes when the server no longer answers, or has answered late; that it is late is told meanwhile. A session whose
/// server is late has lost no change, and to begin another would cost a slow host more.
async fn alive(
    client: &Client,
    echo: &mut tokio::time::Interval,
    late: impl Fn(String),
) -> Result<(), archetype_ovsdb::Error> {
    loop {
        echo.tick().await;
        let mut answered = std::pin::pin!(client.echo());
        match tokio::time::timeout(ECHO, &mut answered).await {
            Ok(answer) => answer?,
            Err(_) => {
                let lost = || archetype_ovsdb::Error::lost("ovsdb-server does not answer");
                late(lost().to_string());
                return tokio::time::timeout(DEADLINE * 3, answered).await.unwrap_or_else(|_| Err(lost()));
            }
        }
    }
}

/// Says that nothing can be known of the database.
fn away(publish: &watch::Sender<Session>, waker: &Waker, why: String) {
    publish.send_replace(Session::Away(why));
    waker.ring(Event::Changed(Part::Datapath));
}

/// The database's row ids, as text for the model.
fn row_text(uuid: Uuid) -> String {
    uuid.to_string()
}
