//! Topology files: what is wrong with one, and what it would change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use archetype_api::{Change, ChangeKind, Checked, DeployRequest, PlanAnswer, Problem, TopologyText};
use archetype_model::spec::NodeSpec;
use archetype_model::{LabName, NodeName};
use archetype_plan::check::replaced_binds;
use axum::Json;
use axum::extract::State;

use super::extract::Document;
use super::failure::Failure;
use crate::desk::Desk;
use crate::judging::{LinkIds, ids};
use crate::now::Now;
use crate::planning::answer;
use crate::store::Present;
use crate::view::left_out;
use crate::wishing;

/// What a deployment of a file would do
#[utoipa::path(post, path = "/plan", tag = "labs", request_body = DeployRequest,
    responses((status = 200, body = PlanAnswer), (status = 400, body = Problem)))]
pub(super) async fn plan(
    State(desk): State<Desk>,
    Document(request): Document<DeployRequest>,
) -> Result<Json<PlanAnswer>, Failure> {
    let read = desk.read(request.topology.clone(), request.partial).await.map_err(Failure::unreadable)?;
    let now = desk.board.look();
    let Some(topology) = read.topology else {
        let nothing = PlanAnswer {
            lab: None,
            changes: Vec::new(),
            nodes_untouched: 0,
            links_untouched: 0,
            left_out: Vec::new(),
            problems: read.problems.into_iter().map(Into::into).collect(),
            notes: read.notes.into_iter().map(Into::into).collect(),
        };
        return Ok(Json(nothing));
    };
    let lab = topology.name.clone();
    let said = left_out(&topology, &read.left_out);
    let (draft, _) = wishing::deployment(&now, topology, read.left_out, &request, read.files);
    let checked = read.problems.is_empty().then_some(read.beside);
    let mut planned = desk.planner.try_out_on_a_thread(&lab, &draft.wish, checked).await;
    let refused = planned.problems.remove(&lab).unwrap_or_default();
    let mut problems = read.problems;
    // Of a place of which the file's own checks spoke, they say it better.
    let told: BTreeSet<_> = problems.iter().map(archetype_model::topology::Problem::position).collect();
    problems.extend(refused.into_iter().filter(|problem| !told.contains(&problem.position())));
    problems.sort_by_key(archetype_model::topology::Problem::position);
    problems.dedup();
    let former = now.revisions.get(&lab).and_then(|revision| revision.wish.present()).map(link_ids);
    let fresh = draft.wish.present().map(link_ids);
    let ids = [&former.unwrap_or_default(), &fresh.unwrap_or_default()];
    let mut answer =
        answer(now.spec().map(Arc::as_ref), planned.blueprint.specs.get(&now.host).map(Arc::as_ref), &lab, ids);
    answer.left_out = said;
    answer.problems = problems.into_iter().map(Into::into).collect();
    let mut noted = read.notes;
    if let Some(present) = draft.wish.present() {
        noted.extend(replaced_binds(&present.topology, &replaced(&desk, &now, &answer, &lab).await));
        noted.sort_by_key(archetype_model::topology::Problem::position);
    }
    answer.notes = noted.into_iter().map(Into::into).collect();
    Ok(Json(answer))
}

/// Sources of binds that were replaced since the nodes were started that see them, of those nodes that stay.
async fn replaced(desk: &Desk, now: &Now, answer: &PlanAnswer, lab: &LabName) -> BTreeMap<NodeName, Vec<PathBuf>> {
    let goes = |change: &&Change| change.what == "node" && change.change != ChangeKind::Change;
    let goes: BTreeSet<&str> = answer.changes.iter().filter(goes).map(|change| change.name.as_str()).collect();
    let nodes = now.part(lab).into_iter().flat_map(|part| &part.nodes);
    let stays: Vec<&NodeSpec> = nodes.filter(|node| !goes.contains(node.name.as_str())).collect();
    let mut replaced = desk.access.replaced_binds(&stays).await;
    stays.iter().filter_map(|node| Some((node.name.clone(), replaced.remove(&node.container)?))).collect()
}

fn link_ids(present: &Present) -> LinkIds {
    ids(&present.topology, &crate::planning::left_out(&present.wishes))
}

/// What is wrong with a file
#[utoipa::path(post, path = "/check", tag = "labs", request_body = TopologyText,
    responses((status = 200, body = Checked), (status = 400, body = Problem)))]
pub(super) async fn check(
    State(desk): State<Desk>,
    Document(text): Document<TopologyText>,
) -> Result<Json<Checked>, Failure> {
    let read = desk.read(text, false).await.map_err(Failure::unreadable)?;
    let mut checked = Checked::new(read.topology.as_ref(), read.problems, read.notes);
    checked.name_as_stated(read.topology.as_ref(), read.stated);
    Ok(Json(checked))
}
