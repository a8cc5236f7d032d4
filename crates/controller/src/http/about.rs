//! The controller itself.

use archetype_api::{BASE, Health, OPENAPI, Version};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::desk::Desk;

/// Who answers
#[utoipa::path(get, path = "/version", tag = "about", responses((status = 200, body = Version)))]
pub(super) async fn version(State(desk): State<Desk>) -> Json<Version> {
    let identity = desk.store.identity();
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_string(),
        api: BASE.rsplit('/').next().unwrap_or_default().to_string(),
        installation: identity.installation.clone(),
        incarnation: identity.incarnation.clone(),
    })
}

/// Whether the controller hears its hosts
///
/// 503 when it does not; `complaints` says what is not well.
#[utoipa::path(get, path = "/health", tag = "about",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(desk): State<Desk>) -> (StatusCode, Json<Health>) {
    let now = desk.board.look();
    let mut complaints = Vec::new();
    match &now.heard {
        Some(heard) if heard.received.is_some() => {
            complaints.extend(heard.report.unreadable.iter().map(|(part, why)| format!("{part}: {why}")));
            let unwritten = heard.report.findings.iter().filter(|finding| finding.code == "ledger-not-written");
            complaints.extend(unwritten.map(|finding| format!("host {}: {}", now.host, finding.message)));
        }
        _ => complaints.push(format!("host {} has not reported yet", now.host)),
    }
    if now.is_silent(desk.silent_after) {
        complaints.push(format!("host {} is silent", now.host));
    }
    complaints.extend(now.refusal.iter().map(|why| format!("host {}: {why}", now.host)));
    let status = if complaints.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { ok: complaints.is_empty(), complaints }))
}

/// The OpenAPI document.
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
