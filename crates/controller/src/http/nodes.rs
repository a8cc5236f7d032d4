//! Nodes of a lab.

use archetype_api::lab::Nodes;
use archetype_api::mapping::NodeInterfaces;
use archetype_api::{Accepted, NodeAction, Problem};
use archetype_model::{LabName, NodeName};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::extract::{Asked, Segments};
use super::failure::Failure;
use super::labs::accepted;
use crate::desk::{Desk, node, revision};
use crate::view::LabView;
use crate::wishing;

/// The nodes of a lab
#[utoipa::path(get, path = "/labs/{lab}/nodes", operation_id = "list_nodes", tag = "nodes", params(("lab" = String, Path)),
    responses((status = 200, body = Nodes), (status = 404, body = Problem)))]
pub(super) async fn list(State(desk): State<Desk>, Segments(lab): Segments<LabName>) -> Result<Json<Nodes>, Failure> {
    let now = desk.board.look();
    let revision = revision(&now, &lab)?;
    Ok(Json(Nodes { nodes: LabView::of(&now, revision, desk.silent_after).nodes() }))
}

/// Wish for a node to run
#[utoipa::path(post, path = "/labs/{lab}/nodes/{node}/start", operation_id = "start_node", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn start(desk: State<Desk>, at: Segments<(LabName, NodeName)>) -> Result<Json<Accepted>, Failure> {
    wish(desk, at, NodeAction::Start).await
}

/// Wish for a node to be stopped
#[utoipa::path(post, path = "/labs/{lab}/nodes/{node}/stop", operation_id = "stop_node", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn stop(desk: State<Desk>, at: Segments<(LabName, NodeName)>) -> Result<Json<Accepted>, Failure> {
    wish(desk, at, NodeAction::Stop).await
}

/// Wish for a node to be started again from cold
#[utoipa::path(post, path = "/labs/{lab}/nodes/{node}/restart", operation_id = "restart_node", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn restart(desk: State<Desk>, at: Segments<(LabName, NodeName)>) -> Result<Json<Accepted>, Failure> {
    wish(desk, at, NodeAction::Restart).await
}

async fn wish(
    State(desk): State<Desk>,
    Segments((lab, node)): Segments<(LabName, NodeName)>,
    action: NodeAction,
) -> Result<Json<Accepted>, Failure> {
    let appended = desk.planner.take(None, |now| wishing::node_wish(now, &lab, &node, action)).await?;
    Ok(Json(accepted(&appended)))
}

/// The interfaces of a node
///
/// Addresses are read inside the node at once; everything else is as it was last read back.
#[utoipa::path(get, path = "/labs/{lab}/nodes/{node}/interfaces", operation_id = "list_interfaces", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path)),
    responses((status = 200, body = NodeInterfaces), (status = 404, body = Problem)))]
pub(super) async fn interfaces(
    State(desk): State<Desk>,
    Segments((lab, name)): Segments<(LabName, NodeName)>,
) -> Result<Json<NodeInterfaces>, Failure> {
    let spec = node(&desk.board.look(), &lab, &name)?.clone();
    let addresses = desk.access.addresses(&spec).await.unwrap_or_else(|why| {
        tracing::warn!(why, node = %spec.container, "addresses could not be read");
        Default::default()
    });
    let now = desk.board.look();
    let view = LabView::of(&now, revision(&now, &lab)?, desk.silent_after);
    Ok(Json(NodeInterfaces { interfaces: view.interfaces(&name, &addresses) }))
}

/// Which part of what was printed is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Whether what is printed from now on is wanted as well.
    #[serde(default)]
    follow: bool,
    /// At most so many lines of the past.
    tail: Option<u32>,
}

/// What a node printed
///
/// The bytes as they were printed, both outputs in one stream.
#[utoipa::path(get, path = "/labs/{lab}/nodes/{node}/logs", operation_id = "read_logs", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path), ("follow" = Option<bool>, Query),
        ("tail" = Option<u32>, Query, description = "At most so many lines of the past.")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = Problem)))]
pub(super) async fn logs(
    State(desk): State<Desk>,
    Segments((lab, name)): Segments<(LabName, NodeName)>,
    Asked(part): Asked<Part>,
) -> Result<Response, Failure> {
    let spec = node(&desk.board.look(), &lab, &name)?.clone();
    let output = desk.access.logs(&spec, part.follow, part.tail).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(output)).into_response())
}
