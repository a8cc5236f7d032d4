//! Files about a lab for other programs.

use std::time::Duration;

use archetype_api::Problem;
use archetype_api::artefacts::Artefacts;
use archetype_model::LabName;
use axum::Json;
use axum::extract::State;

use super::extract::Segments;
use super::failure::Failure;
use crate::desk::{Desk, revision};
use crate::view::artefacts;

/// How long the answer waits for the lab's plan, which follows a wish within a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files that containerlab leaves beside a lab
///
/// Inventories for Ansible and Nornir, `topology-data.json`, lines for a hosts file and an ssh
/// client's configuration. Addresses are there as soon as the lab is accepted, ids of containers
/// once they are made.
#[utoipa::path(get, path = "/labs/{lab}/artefacts", operation_id = "get_artefacts", tag = "labs",
    params(("lab" = String, Path)),
    responses((status = 200, body = Artefacts), (status = 404, body = Problem)))]
pub(super) async fn read(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
) -> Result<Json<Artefacts>, Failure> {
    let mut watch = desk.board.watch();
    let wanted = |now: &std::sync::Arc<crate::now::Now>| now.revision(&lab).is_none_or(|of| now.is_planned(of));
    // What is not planned in time is told without its addresses.
    drop(tokio::time::timeout(PATIENCE, watch.wait_for(wanted)).await);
    let now = desk.board.look();
    Ok(Json(artefacts::read(&now, revision(&now, &lab)?)))
}
