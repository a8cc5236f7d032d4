//! What happened.

use archetype_api::Problem;
use archetype_api::journal::{Journal, JournalEntry};
use archetype_model::LabName;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use serde::Deserialize;

use super::extract::Asked;
use super::failure::Failure;
use super::stream;
use crate::desk::Desk;
use crate::store::Stretch;
use crate::wishing;

/// Entries in one answer, when it is not said.
const MANY: u32 = 1000;
/// And at most.
const MOST: u32 = 10_000;

/// Which part of the journal is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Only entries of this lab, and while it is there repairs of what it shares with others.
    lab: Option<LabName>,
    /// Only entries after this id.
    since: Option<u64>,
    /// At most so many.
    limit: Option<u32>,
}

/// What happened
///
/// With `since` the oldest entries after it, without it the newest; in the order of ids. With `lab` those of that lab and, while
/// it is there, repairs that are of no lab alone (of the bridge, above all), in which `lab` is null. A lab that was destroyed
/// has its entries still; one of which nothing was ever told is not known.
#[utoipa::path(get, path = "/journal", operation_id = "read_journal", tag = "journal",
    params(("lab" = Option<String>, Query), ("since" = Option<u64>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = Journal), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn read(State(desk): State<Desk>, Asked(part): Asked<Part>) -> Result<Json<Journal>, Failure> {
    if let Some(lab) = part.lab.clone() {
        known(&desk, lab).await?;
    }
    let limit = part.limit.unwrap_or(MANY).min(MOST);
    let stretch = stretch(&desk, part.lab, part.since, limit);
    let entries = desk.store.journal(&stretch).await?;
    Ok(Json(Journal { entries }))
}

/// What is read of the journal for whoever asks about this lab.
pub(super) fn stretch(desk: &Desk, lab: Option<LabName>, since: Option<u64>, limit: u32) -> Stretch {
    let with_host = lab.as_ref().is_some_and(|lab| desk.board.look().revision(lab).is_some());
    Stretch { lab, with_host, since, limit }
}

/// Refuses a lab that there is not and never was.
async fn known(desk: &Desk, lab: LabName) -> Result<(), Failure> {
    if desk.board.look().revisions.contains_key(&lab) {
        return Ok(());
    }
    let newest = Stretch { lab: Some(lab.clone()), with_host: false, since: None, limit: 1 };
    match desk.store.journal(&newest).await?.is_empty() {
        true => Err(wishing::lab_unknown(&lab).into()),
        false => Ok(()),
    }
}

/// What happened after an entry, and what happens from now on
///
/// Of a lab as `read_journal` has it; it may be one that is still to come. Each event has the entry's id, so that a browser goes on where it left off (`Last-Event-ID`).
/// Without a start it begins with what happens next.
#[utoipa::path(get, path = "/journal/stream", operation_id = "follow_journal", tag = "journal",
    params(("lab" = Option<String>, Query), ("since" = Option<u64>, Query), ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, body = JournalEntry, content_type = "text/event-stream")))]
pub(super) async fn follow(
    State(desk): State<Desk>,
    Asked(part): Asked<Part>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Failure> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let since = match last.or(part.since) {
        Some(since) => since,
        None => desk.store.newest_entry().await?,
    };
    Ok(stream::alive(stream::journal(desk, part.lab, since)))
}
