//! The OpenAPI document: what the handlers bring, and what holds for all of them: the token, and how a refusal looks.
//! Knows no request.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr};

/// The media type of problems (RFC 9457, section 3).
const PROBLEM: &str = "application/problem+json";
/// What the token is called in the document.
const TOKEN: &str = "token";

/// Adds to what the handlers say what they need not say themselves.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    document.info.version = env!("CARGO_PKG_VERSION").to_string();
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let token =
        token.description(Some("The content of the file `token` in the data directory; not asked for on the socket."));
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token.build()));
    document.security = Some(vec![SecurityRequirement::new(TOKEN, [] as [&str; 0]), SecurityRequirement::default()]);
    document.paths.paths.values_mut().flat_map(operations).for_each(refuse);
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch].into_iter().flatten()
}

/// Gives an operation the refusals that any may end with, and all of them the media type they have.
fn refuse(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for response in responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get("application/json").cloned()
            && content.schema.as_ref() == Some(&problem())
        {
            response.content.shift_remove("application/json");
            response.content.insert(PROBLEM.into(), RefOr::T(content));
        }
    }
    let any = [
        ("401", "No token, or a wrong one; by TCP alone."),
        ("403", "Called by a name, or from a page, that is not this machine's own; by TCP alone."),
        (
            "default",
            "Refused or failed, as `status` and `code` say: 400 for what cannot be read, 404, 405, 409, 413, 422, 5xx.",
        ),
    ];
    for (status, description) in any {
        responses.entry(status.into()).or_insert_with(|| RefOr::T(refusal(description)));
    }
}

fn refusal(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(problem())).build();
    ResponseBuilder::new().description(description).content(PROBLEM, content).build()
}

fn problem() -> RefOr<utoipa::openapi::Schema> {
    Ref::from_schema_name("Problem").into()
}
