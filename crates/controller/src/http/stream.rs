//! Streams of events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use archetype_api::journal::JournalEntry;
use archetype_api::progress::Progress;
use archetype_model::LabName;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream::unfold;
use tokio::sync::watch;

use crate::desk::Desk;
use crate::now::Now;
use crate::waiting::Waiting;

/// A comment so often, so that both sides notice when the other is gone.
const ALIVE: Duration = Duration::from_secs(15);
/// Entries of the journal read at once.
const READ: u32 = 500;

/// A stream with comments in its silence.
pub(super) fn alive<S>(events: S) -> Sse<impl Stream<Item = Result<Event, axum::Error>>>
where
    S: Stream<Item = Result<Event, axum::Error>> + Send + 'static,
{
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}

/// How far a lab is, at each change, until it is settled.
pub(super) fn progress(
    watch: watch::Receiver<Arc<Now>>,
    waiting: Waiting,
) -> impl Stream<Item = Result<Event, axum::Error>> {
    struct State {
        watch: watch::Receiver<Arc<Now>>,
        waiting: Waiting,
        told: Option<Progress>,
    }
    unfold(State { watch, waiting, told: None }, |mut state| async move {
        if state.told.as_ref().is_some_and(|told| told.settled.is_some()) {
            return None;
        }
        loop {
            let now = state.watch.borrow_and_update().clone();
            let progress = state.waiting.look(&now);
            if state.told.as_ref() != Some(&progress) {
                let event = Event::default().json_data(&progress);
                state.told = Some(progress);
                return Some((event, state));
            }
            let changed = tokio::time::timeout(state.waiting.patience(), state.watch.changed()).await;
            if matches!(changed, Ok(Err(_))) {
                return None;
            }
        }
    })
}

/// The journal from after the entry `since` on, and then as it grows.
pub(super) fn journal(desk: Desk, lab: Option<LabName>, since: u64) -> impl Stream<Item = Result<Event, axum::Error>> {
    struct State {
        bell: watch::Receiver<u64>,
        desk: Desk,
        lab: Option<LabName>,
        since: u64,
        read: VecDeque<JournalEntry>,
    }
    let state = State { bell: desk.bell.listen(), desk, lab, since, read: VecDeque::new() };
    unfold(state, |mut state| async move {
        loop {
            if let Some(entry) = state.read.pop_front() {
                state.since = entry.id;
                let event = Event::default().id(entry.id.to_string()).json_data(&entry);
                return Some((event, state));
            }
            // Heard before it is read: what comes in between rings again.
            state.bell.mark_unchanged();
            let stretch = super::journal::stretch(&state.desk, state.lab.clone(), Some(state.since), READ);
            match state.desk.store.journal(&stretch).await {
                Ok(read) if read.is_empty() => state.bell.changed().await.ok()?,
                Ok(read) => state.read = read.into(),
                Err(error) => {
                    tracing::error!(%error, "the journal could not be read");
                    return None;
                }
            }
        }
    })
}
