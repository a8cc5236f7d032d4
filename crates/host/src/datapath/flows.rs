//! What the switch does with the frames of the bridge beside what its database says: its flow
//! table, and settings of ports, which anybody may change with `ovs-ofctl`.
//!
//! A session with the bridge's own socket hears of every change; while there is none, nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use archetype_model::InterfaceName;
use archetype_model::observed::{FlowsObserved, Part, Reading};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::door::{ByHand, Door};
use super::openflow::{self, Flow, Message, PortSettings, Stats};
use super::{DEADLINE, Session};
use crate::event::{Event, Waker};

/// How often a bridge that does not answer is tried again when its database is silent.
const LOOK: Duration = Duration::from_millis(250);
/// So many flows that nobody wants are told by name.
const NAMED: usize = 3;

/// What the switch was told past its database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) flows: FlowsObserved,
    /// Ports with settings that keep frames away.
    pub(super) ports: BTreeMap<InterfaceName, PortSettings>,
    /// What somebody put into the table of addresses.
    by_hand: Vec<ByHand>,
}

/// The room's end of the session.
#[derive(Debug, Clone)]
pub(super) struct Flows {
    told: watch::Receiver<Reading<Told>>,
    audits: mpsc::UnboundedSender<oneshot::Sender<u64>>,
}

/// The session's end.
struct Keeper {
    door: Door,
    publish: watch::Sender<Reading<Told>>,
    asked: mpsc::UnboundedReceiver<oneshot::Sender<u64>>,
    waker: Waker,
}

/// A flow table while it is read, and as it was read last.
#[derive(Debug, Default)]
struct Table {
    normal: bool,
    others: usize,
    named: Vec<String>,
}

/// What one session has heard.
#[derive(Debug, Default)]
struct Heard {
    told: Told,
    table: Table,
    flows_known: bool,
    ports_known: bool,
    drops_fragments: bool,
    /// A flow table was read, and with it the table of addresses is to be.
    is_to_look: bool,
    /// The switch tells its changes.
    tells: bool,
}

// === impl Told ===

impl Told {
    /// The addresses by hand that lead frames astray on a bridge which learns in these tags.
    pub(super) fn astray(&self, learning: &BTreeSet<u16>) -> Vec<ByHand> {
        self.by_hand.iter().filter(|one| learning.contains(&one.tag)).cloned().collect()
    }

    /// What such a bridge does with frames beside what its database says.
    pub(super) fn with(self, learning: &BTreeSet<u16>) -> FlowsObserved {
        let astray = self.astray(learning);
        let named: Vec<String> = astray.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if astray.len() > named.len() { ", …" } else { "" };
        let told = format!("has addresses in its table that it has not learned ({}{more})", named.join(", "));
        let mut flows = self.flows;
        flows.wrong.extend((!named.is_empty()).then_some(told));
        flows
    }
}

// === impl Flows ===

impl Flows {
    /// Begins to keep a session. A switch on another machine (no door) has no such socket here; it
    /// is taken to do what its database says.
    pub(super) fn open(door: Option<Door>, database: watch::Receiver<Session>, waker: Waker) -> Self {
        let (audits, asked) = mpsc::unbounded_channel();
        let nothing_wrong = Reading::Known(Told::default());
        let first = door.as_ref().map_or(nothing_wrong, |_| Reading::Unreadable("not read yet".into()));
        let (publish, told) = watch::channel(first);
        if let Some(door) = door {
            tokio::spawn(Keeper { door, publish, asked, waker }.keep(database));
        }
        Self { told, audits }
    }

    /// What was heard last.
    pub(super) fn show(&self) -> Reading<Told> {
        self.told.borrow().clone()
    }

    /// Waits until what was heard is so; false when it does not become so in time.
    pub(super) async fn until(&self, is_so: impl Fn(&Reading<Told>) -> bool) -> bool {
        let mut told = self.told.clone();
        tokio::time::timeout(DEADLINE, told.wait_for(|told| is_so(told))).await.is_ok_and(|found| found.is_ok())
    }

    /// Reads everything from the switch; answers how much of it had not been heard.
    pub(super) async fn audit(&self) -> u64 {
        let (answer, answered) = oneshot::channel();
        drop(self.audits.send(answer));
        tokio::time::timeout(DEADLINE, answered).await.ok().and_then(Result::ok).unwrap_or(0)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Connects, follows, and connects again, for as long as somebody listens. A bridge that comes
    /// shows in the database when the switch has made it.
    async fn keep(mut self, mut database: watch::Receiver<Session>) {
        while !self.publish.is_closed() {
            let Err(error) = self.follow().await else { return };
            self.publish(&Reading::Unreadable(error.to_string()));
            // Nobody knows: who asked is told so by what is published.
            while self.asked.try_recv().is_ok() {}
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                changed = database.changed() => if changed.is_err() { return },
            }
        }
    }

    fn publish(&self, told: &Reading<Told>) {
        let is_new = self.publish.send_if_modified(|last| {
            let is_new = last != told;
            last.clone_from(told);
            is_new
        });
        if is_new {
            self.waker.ring(Event::Changed(Part::Datapath));
        }
    }

    /// Follows one session until it breaks; ends well when nobody listens any more.
    async fn follow(&mut self) -> io::Result<()> {
        let mut socket = UnixStream::connect(self.door.management()).await?;
        let mut heard = Heard::default();
        let mut bytes = Vec::new();
        let mut waiting = Vec::new();
        let begin = [openflow::message(openflow::HELLO, &[])?, openflow::message(openflow::CONFIG_REQUEST, &[])?];
        socket.write_all(&begin.concat()).await?;
        loop {
            // Cancel safe: what has been read is in `bytes`, the others only wait.
            tokio::select! {
                count = socket.read_buf(&mut bytes) => if count? == 0 { return Err(io::ErrorKind::UnexpectedEof.into()) },
                Some(answer) = self.asked.recv() => {
                    waiting.push((heard.told.clone(), answer));
                    socket.write_all(&everything()?).await?;
                }
                () = self.publish.closed() => return Ok(()),
            }
            while let Some(message) = Message::take(&mut bytes) {
                socket.write_all(&heard.take(&message)?).await?;
                // Who asked for everything wants that, too; else it is looked whether what was there is gone.
                let is_wanted = !waiting.is_empty() || !heard.told.by_hand.is_empty();
                if std::mem::take(&mut heard.is_to_look) && is_wanted {
                    heard.look(&self.door).await;
                }
                if message.kind == openflow::BARRIER_REPLY && !waiting.is_empty() {
                    let (before, answer) = waiting.remove(0);
                    answer.send(u64::from(before != heard.told)).unwrap_or_default();
                }
            }
            if heard.flows_known && heard.ports_known {
                self.publish(&Reading::Known(heard.told.clone()));
            }
        }
    }
}

/// Asks for everything once more; the barrier's reply comes last.
fn everything() -> io::Result<Vec<u8>> {
    let config = openflow::message(openflow::CONFIG_REQUEST, &[])?;
    let barrier = openflow::message(openflow::BARRIER_REQUEST, &[])?;
    Ok([config, openflow::ask_for_ports()?, openflow::ask_for_flows()?, barrier].concat())
}

/// What the switch has against a question, in words: the type and code of an `ofp_error_msg` (OpenFlow 1.0, 5.4.4) and what
/// follows them, which is text where the versions do not meet.
fn refused(body: &[u8]) -> String {
    const HELLO_FAILED: [u8; 2] = [0, 0];
    match (body.get(..2), body.get(4..)) {
        (Some(kind), Some(text)) if kind == HELLO_FAILED => format!(
            "the switch does not speak OpenFlow 1.0, see the bridge's column `protocols` ({})",
            String::from_utf8_lossy(text).trim_end_matches('\0')
        ),
        _ => format!("the switch refused a question: {body:02x?}"),
    }
}

// === impl Heard ===

impl Heard {
    /// Takes a message; answers what is to be said to it.
    fn take(&mut self, message: &Message) -> io::Result<Vec<u8>> {
        match message.kind {
            openflow::ECHO_REQUEST => return openflow::message(openflow::ECHO_REPLY, &message.body),
            openflow::ERROR => return Err(io::Error::other(refused(&message.body))),
            openflow::CONFIG_REPLY => return self.take_config(message),
            openflow::PORT_STATUS => {
                if let Some((name, settings)) = message.port_status() {
                    self.note_port(name, settings);
                }
            }
            openflow::STATS_REPLY => return self.take_stats(message),
            // The switch has paused to tell changes, or goes on.
            openflow::EXTENSION => return openflow::ask_for_flows(),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// The first answer of a session; changes are told from here on, so the ports are read after it.
    fn take_config(&mut self, message: &Message) -> io::Result<Vec<u8>> {
        let Some((drops, flags)) = message.fragments() else { return Ok(Vec::new()) };
        self.drops_fragments = drops;
        if std::mem::replace(&mut self.tells, true) {
            return Ok(Vec::new());
        }
        let hear = [openflow::hear_of_ports(flags)?, openflow::hear_of_flows()?];
        Ok([hear.concat(), openflow::ask_for_ports()?].concat())
    }

    fn take_stats(&mut self, message: &Message) -> io::Result<Vec<u8>> {
        match message.stats() {
            Some(Stats::FlowsChanged) => {
                self.told.flows.changes += 1;
                // What becomes of fragments no event tells: who set the flows right has set this right before.
                let config = openflow::message(openflow::CONFIG_REQUEST, &[])?;
                return Ok([config, openflow::ask_for_flows()?].concat());
            }
            Some(Stats::Flows(flows, more)) => {
                flows.into_iter().for_each(|flow| self.table.note(flow));
                if !more {
                    self.told.flows.wrong = std::mem::take(&mut self.table).wrong(self.drops_fragments);
                    (self.flows_known, self.is_to_look) = (true, true);
                }
            }
            Some(Stats::Ports(ports, more)) => {
                ports.into_iter().for_each(|(name, settings)| self.note_port(name, Some(settings)));
                self.ports_known |= !more;
            }
            None => {}
        }
        Ok(Vec::new())
    }

    /// Looks which addresses somebody put into the switch's table: no event tells. A switch that is busy is asked with the
    /// next flow table, and what was known stands until then.
    async fn look(&mut self, door: &Door) {
        let door = door.clone();
        match tokio::task::spawn_blocking(move || door.by_hand()).await.map_err(io::Error::other).flatten() {
            Ok(by_hand) => self.told.by_hand = by_hand,
            Err(error) => tracing::debug!(%error, "the switch's table of addresses could not be read"),
        }
    }

    fn note_port(&mut self, name: InterfaceName, settings: Option<PortSettings>) {
        match settings.filter(|settings| settings.harmful().next().is_some()) {
            Some(settings) => drop(self.told.ports.insert(name, settings)),
            None => drop(self.told.ports.remove(&name)),
        }
    }
}

// === impl Table ===

impl Table {
    fn note(&mut self, flow: Flow) {
        if flow.is_wanted() {
            self.normal = true;
            return;
        }
        self.others += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("table {} priority {}", flow.table, flow.priority));
        }
    }

    /// What is wrong with it, in words that follow the bridge's name.
    fn wrong(self, drops_fragments: bool) -> Vec<String> {
        let more = if self.others > self.named.len() { ", …" } else { "" };
        let others = format!("has {} flows that are not ours ({}{more})", self.others, self.named.join(", "));
        let missing = (!self.normal).then(|| "lacks the flow that switches frames normally".to_string());
        let fragments = drops_fragments.then(|| "does not switch fragments as they are".to_string());
        missing.into_iter().chain((self.others > 0).then_some(others)).chain(fragments).collect()
    }
}
