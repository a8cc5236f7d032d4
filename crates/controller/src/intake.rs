//! Takes what the agent tells: puts it on the board, judges what changed, and writes it down.
//!
//! Repairs are written before they are acknowledged. Everything else is gathered for a moment, so
//! that a deployment is a handful of transactions and not one per pass.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bell::Bell;
use crate::journaling::Memory;
use crate::now::{Board, Heard};
use crate::planning::Planner;
use crate::port::{AgentAccess, ReportEnvelope};
use crate::store::{Note, Store, StoreError, Verified};

/// How long notes are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// A heartbeat alone is written so rarely: it only says when things were verified last.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How long after a start the host may be read in part, or not be as wanted yet, without that being
/// told: it is taken for the start itself, in which daemons are reached one by one.
const BEGINNING: Duration = Duration::from_secs(10);

/// The task that listens to an agent.
pub(crate) struct Intake {
    pub store: Arc<dyn Store>,
    pub board: Board,
    pub planner: Arc<Planner>,
    pub access: Arc<dyn AgentAccess>,
    pub bell: Bell,
    /// After so long without a word the host counts as silent.
    pub silent_after: Duration,
}

/// What is to be written.
#[derive(Default)]
struct Unwritten {
    report: Option<ReportEnvelope>,
    notes: Vec<Note>,
    due: Option<Instant>,
}

impl Intake {
    /// Listens until `stop` says so, and writes down what is left.
    pub async fn run(self, mut reports: BoxStream<'static, ReportEnvelope>, mut stop: watch::Receiver<bool>) {
        let mut watch = self.board.watch();
        let mut memory = Memory::of(&self.board.look(), self.silent_after);
        let mut unwritten = Unwritten::default();
        let mut acknowledged = 0;
        let (begun, mut beginning) = (Instant::now() + BEGINNING, true);
        loop {
            let due = unwritten.due;
            let flush = async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // Cancel safe: each arm takes one message, or waits.
            tokio::select! {
                Some(envelope) = reports.next() => {
                    self.take(&envelope);
                    let repaired = envelope.repairs.iter().any(|repair| repair.number > acknowledged);
                    unwritten.take_report(envelope, repaired);
                }
                changed = watch.changed() => if changed.is_err() { break },
                () = flush => {}
                () = tokio::time::sleep_until(begun), if beginning => beginning = false,
                _ = stop.wait_for(|stop| *stop) => break,
            }
            watch.mark_unchanged();
            beginning = beginning && !self.has_come_to_rest();
            if !beginning {
                unwritten.take_notes(memory.learn(&self.board.look(), self.silent_after));
            }
            if unwritten.due.is_some_and(|due| due <= Instant::now()) {
                acknowledged = self.write(&mut unwritten, acknowledged).await;
            }
        }
        self.write(&mut unwritten, acknowledged).await;
    }

    /// Whether the host has told, in this life, of everything as wanted.
    fn has_come_to_rest(&self) -> bool {
        let now = self.board.look();
        let heard = now.heard.as_ref().filter(|heard| heard.received.is_some());
        heard.is_some_and(|heard| heard.report.unreadable.is_empty() && heard.report.converged)
    }

    fn take(&self, envelope: &ReportEnvelope) {
        let all_read = envelope.report.unreadable.is_empty();
        self.board.change(|now| {
            let before = now.heard.as_ref().and_then(|heard| heard.all_read_at_ms);
            now.heard = Some(Heard {
                report: envelope.report.clone(),
                repairs: envelope.repairs.clone(),
                verified_at_ms: envelope.verified_at_ms,
                received: Some(Instant::now()),
                all_read_at_ms: if all_read { Some(envelope.verified_at_ms) } else { before },
            });
        });
        if !self.board.look().gone().is_empty() {
            self.planner.wake();
        }
    }

    /// Writes, and answers with the number of the last repair that the agent may forget.
    async fn write(&self, unwritten: &mut Unwritten, acknowledged: u64) -> u64 {
        match self.try_write(unwritten).await {
            Ok(last) => {
                *unwritten = Unwritten::default();
                if let Some(last) = last.filter(|last| *last > acknowledged) {
                    self.access.acknowledge(last);
                    return last;
                }
            }
            Err(error) => {
                tracing::error!(%error, "a report could not be written; it is tried again");
                unwritten.due = Some(Instant::now() + Duration::from_secs(2));
            }
        }
        acknowledged
    }

    async fn try_write(&self, unwritten: &Unwritten) -> Result<Option<u64>, StoreError> {
        let notes = unwritten.notes.clone();
        let Some(envelope) = &unwritten.report else {
            let written = self.store.append_journal(notes).await?;
            if !written.is_empty() {
                self.bell.ring();
            }
            return Ok(None);
        };
        let verified = Verified { report: (*envelope.report).clone(), verified_at_ms: envelope.verified_at_ms };
        let written = self.store.take_report(&verified, &envelope.repairs, notes).await?;
        if !written.is_empty() {
            self.bell.ring();
        }
        Ok(envelope.repairs.iter().map(|repair| repair.number).max())
    }
}

impl Unwritten {
    fn take_report(&mut self, envelope: ReportEnvelope, repaired: bool) {
        self.report = Some(envelope);
        match repaired {
            true => self.due = Some(Instant::now()),
            false => self.be_due_in(HEARTBEAT),
        }
    }

    fn take_notes(&mut self, notes: Vec<Note>) {
        if !notes.is_empty() {
            self.notes.extend(notes);
            self.be_due_in(GATHER);
        }
    }

    fn be_due_in(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}
