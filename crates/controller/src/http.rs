//! The API over HTTP: routes, and who may use them.
//!
//! Handlers turn requests into wishes and pictures into answers; they decide nothing.

mod about;
mod artefacts;
mod contract;
mod door;
mod exec;
mod extract;
mod failure;
mod files;
mod journal;
mod labs;
mod links;
mod nodes;
mod page;
mod stream;

use archetype_api::{BASE, Problem};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::desk::Desk;

pub(crate) use door::Token;

/// The largest request: a topology file of thousands of nodes is far below it.
const LARGEST_BODY: usize = 32 << 20;

/// The parts of the document that no handler brings.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Archetype",
        description = "Network labs: topologies in, links that are proven out.\n\nRefusals are problems \
                       (RFC 9457) with a stable `code`; every code has a page under `/docs/problems/`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem, archetype_api::exec::ExecStart, archetype_api::exec::ExecWish,
        archetype_api::exec::ExecEnd)),
    tags(
        (name = "labs", description = "Labs: what is wanted of them, and how they are."),
        (name = "nodes", description = "Nodes of a lab."),
        (name = "links", description = "Links of a lab, and what their state rests on."),
        (name = "journal", description = "What happened."),
        (name = "about", description = "The controller itself.")
    )
)]
struct Document;

fn api() -> OpenApiRouter<Desk> {
    let routes = OpenApiRouter::new()
        .routes(routes!(labs::list, labs::deploy))
        .routes(routes!(labs::one, labs::destroy))
        .routes(routes!(labs::wait))
        .routes(routes!(labs::progress))
        .routes(routes!(artefacts::read))
        .routes(routes!(files::plan))
        .routes(routes!(files::check))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::start))
        .routes(routes!(nodes::stop))
        .routes(routes!(nodes::restart))
        .routes(routes!(nodes::interfaces))
        .routes(routes!(nodes::logs))
        .routes(routes!(exec::exec))
        .routes(routes!(links::list, links::add))
        .routes(routes!(links::remove))
        .routes(routes!(links::up))
        .routes(routes!(links::down))
        .routes(routes!(links::reconcile))
        .routes(routes!(links::explain))
        .routes(routes!(links::mappings))
        .routes(routes!(links::sync))
        .routes(routes!(journal::read))
        .routes(routes!(journal::follow))
        .routes(routes!(about::version))
        .routes(routes!(about::health));
    OpenApiRouter::with_openapi(Document::openapi()).nest(BASE, routes)
}

/// The OpenAPI document, as made from the code.
pub fn document() -> String {
    let (_, document) = api().split_for_parts();
    let mut text = contract::complete(document).to_pretty_json().expect("a document of plain words");
    text.push('\n');
    text
}

/// Everything that is served; with a token, only to those who bring it, and only by this
/// machine's own names.
pub(crate) fn router(desk: Desk, token: Option<Token>) -> Router {
    let (api, _) = api().split_for_parts();
    let api = match &token {
        None => api,
        Some(token) => api.route_layer(from_fn_with_state(token.clone(), door::with_token)),
    };
    let pages = Router::new()
        .route(&format!("{BASE}/openapi.json"), get(about::openapi))
        .route(&format!("{BASE}/docs"), get(page::contract))
        .route("/docs", get(page::contract))
        .route("/docs/problems", get(page::problems))
        .route("/docs/problems/{code}", get(page::problem));
    let all = api
        .merge(pages)
        .fallback(failure::no_such_path)
        .method_not_allowed_fallback(failure::no_such_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    let all = if token.is_some() { all.layer(from_fn(door::by_own_name)) } else { all };
    all.layer(from_fn(failure::written_out)).with_state(desk)
}
