//! Labs: what is wanted of them, and how they are.

use std::time::Duration;

use archetype_api::lab::{Lab, Labs};
use archetype_api::progress::{Progress, Waited};
use archetype_api::{Accepted, DeployRequest, Problem};
use archetype_model::LabName;
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use serde::Deserialize;
use tokio::time::Instant;

use super::extract::{Asked, Document, Segments};
use super::failure::Failure;
use super::stream;
use crate::desk::{Desk, revision};
use crate::store::Appended;
use crate::view::{LabView, host_findings, left_out};
use crate::waiting::Waiting;
use crate::wishing;

/// How long `wait` waits when it is not said.
const PATIENCE: f64 = 60.0;
/// And at most: a client that wants more asks again.
const LONGEST: f64 = 3600.0;

/// Every lab
#[utoipa::path(get, path = "/labs", operation_id = "list_labs", tag = "labs", responses((status = 200, body = Labs)))]
pub(super) async fn list(State(desk): State<Desk>) -> Json<Labs> {
    let now = desk.board.look();
    let labs = now.labs().map(|revision| LabView::of(&now, revision, desk.silent_after).lab());
    Json(Labs { labs: labs.collect(), findings: host_findings(&now) })
}

/// One lab
#[utoipa::path(get, path = "/labs/{lab}", operation_id = "get_lab", tag = "labs", params(("lab" = String, Path)),
    responses((status = 200, body = Lab), (status = 404, body = Problem)))]
pub(super) async fn one(State(desk): State<Desk>, Segments(lab): Segments<LabName>) -> Result<Json<Lab>, Failure> {
    let now = desk.board.look();
    let revision = revision(&now, &lab)?;
    Ok(Json(LabView::of(&now, revision, desk.silent_after).lab()))
}

/// Wish for a lab to be as a file says
///
/// On a lab that runs, only the difference is changed; the same file again changes nothing. The
/// answer comes once the wish is durable; `wait` or `progress` tell when it is so.
#[utoipa::path(post, path = "/labs", operation_id = "deploy_lab", tag = "labs", request_body = DeployRequest,
    responses((status = 200, body = Accepted), (status = 422, body = Problem)))]
pub(super) async fn deploy(
    State(desk): State<Desk>,
    Document(request): Document<DeployRequest>,
) -> Result<Json<Accepted>, Failure> {
    let read = desk.read(request.topology.clone(), request.partial).await.map_err(Failure::unreadable)?;
    let Some(topology) = read.topology.filter(|_| read.problems.is_empty()) else {
        return Err(Failure::from(read.problems));
    };
    if let Some(problem) = wishing::unknown_reloads(&topology, &request) {
        return Err(problem.into());
    }
    // Before the lab is planned: its nodes may start as soon as it is.
    let (topology, refused) = desk.prepare(topology, &read.left_out).await.map_err(Failure::unreadable)?;
    if !refused.is_empty() {
        return Err(Failure::from(refused));
    }
    let appended = desk
        .planner
        .take(Some(read.beside), |now| Ok(wishing::deployment(now, topology, read.left_out, &request, read.files)))
        .await?;
    let notes = read.notes.into_iter().map(Into::into).collect();
    Ok(Json(Accepted { notes, ..accepted(&appended) }))
}

/// Wish for nothing of a lab to be left
#[utoipa::path(delete, path = "/labs/{lab}", operation_id = "destroy_lab", tag = "labs", params(("lab" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn destroy(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
) -> Result<Json<Accepted>, Failure> {
    let appended = desk.planner.take(None, |now| wishing::destruction(now, &lab)).await?;
    Ok(Json(accepted(&appended)))
}

/// What became of a wish.
pub(super) fn accepted(appended: &Appended) -> Accepted {
    let present = appended.revision.wish.present();
    Accepted {
        lab: appended.revision.lab.clone(),
        revision: appended.revision.number,
        changed: appended.new,
        left_out: present.map(|p| left_out(&p.topology, &p.wishes.left_out)).unwrap_or_default(),
        notes: Vec::new(),
    }
}

/// What is waited for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Awaited {
    /// The revision; the current one when absent.
    revision: Option<u64>,
    /// Seconds.
    timeout: Option<f64>,
}

impl Awaited {
    fn waiting(&self, desk: &Desk, lab: LabName) -> Result<Waiting, Failure> {
        let now = desk.board.look();
        // A lab that has just left is still known by its revision.
        let known = now.revisions.get(&lab).ok_or_else(|| wishing::lab_unknown(&lab))?;
        Ok(Waiting::new(lab, self.revision.unwrap_or(known.number), desk.silent_after))
    }
}

/// Wait until a revision is judged
///
/// Answers as soon as the lab is as wanted, or a finding says why not, or nothing more comes of it by itself, or the
/// time is over: then `settled` is null.
#[utoipa::path(get, path = "/labs/{lab}/wait", operation_id = "wait_for_lab", tag = "labs",
    params(("lab" = String, Path), ("revision" = Option<u64>, Query), ("timeout" = Option<f64>, Query,
        description = "Seconds; 60 when absent.")),
    responses((status = 200, body = Waited), (status = 404, body = Problem)))]
pub(super) async fn wait(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
    Asked(awaited): Asked<Awaited>,
) -> Result<Json<Waited>, Failure> {
    let seconds = awaited.timeout.filter(|seconds| *seconds >= 0.0).unwrap_or(PATIENCE).min(LONGEST);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut waiting = awaited.waiting(&desk, lab.clone())?;
    let mut watch = desk.board.watch();
    loop {
        let now = watch.borrow_and_update().clone();
        let progress = waiting.look(&now);
        if progress.settled.is_some() || Instant::now() >= end {
            let view = now.revision(&lab).map(|revision| LabView::of(&now, revision, desk.silent_after));
            let findings = view.map(|view| view.findings()).unwrap_or_default();
            return Ok(Json(Waited { progress, findings }));
        }
        let look_again = end.min(Instant::now() + waiting.patience());
        drop(tokio::time::timeout_at(look_again, watch.changed()).await);
    }
}

/// How far a lab is, at each change, until it is settled
#[utoipa::path(get, path = "/labs/{lab}/progress", operation_id = "follow_progress", tag = "labs",
    params(("lab" = String, Path), ("revision" = Option<u64>, Query)),
    responses((status = 200, body = Progress, content_type = "text/event-stream"), (status = 404, body = Problem)))]
pub(super) async fn progress(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
    Asked(awaited): Asked<Awaited>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, Failure> {
    let waiting = awaited.waiting(&desk, lab)?;
    Ok(stream::alive(stream::progress(desk.board.watch(), waiting)))
}
