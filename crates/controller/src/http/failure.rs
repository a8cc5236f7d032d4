//! Refusals: every one leaves as a problem of RFC 9457, with the path that was asked.

use archetype_api::problem::MEDIA_TYPE;
use archetype_api::{Problem, codes};
use archetype_model::topology;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::planning::NotTaken;
use crate::store::StoreError;
use crate::wishing;

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub Box<Problem>);

impl Failure {
    /// A request that could not be understood.
    pub fn unreadable(why: impl std::fmt::Display) -> Self {
        let hint = "the API is described under /docs";
        Problem::new(400, codes::REQUEST_UNREADABLE, format!("the request could not be understood: {why}"))
            .hint(hint)
            .into()
    }

    /// The agent does not answer.
    pub fn agent_away(why: impl std::fmt::Display) -> Self {
        Problem::new(503, codes::AGENT_AWAY, format!("the host's agent does not answer: {why}"))
            .hint("see the output of `archetype serve`")
            .into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        let detail = match &error {
            StoreError::Failed { what, why } => format!("the store failed to {what}: {why}"),
            other => other.to_string(),
        };
        Problem::new(503, codes::STORE_FAILED, detail)
            .hint("look at free space and permissions of the data directory")
            .into()
    }
}

impl From<NotTaken<Box<Problem>>> for Failure {
    fn from(not_taken: NotTaken<Box<Problem>>) -> Self {
        match not_taken {
            NotTaken::Refused(problem) => Self(problem),
            NotTaken::Unplannable(problems) => Self::from(problems),
            NotTaken::Store(error) => error.into(),
        }
    }
}

impl From<Vec<topology::Problem>> for Failure {
    fn from(problems: Vec<topology::Problem>) -> Self {
        wishing::refused(problems).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes problems out, each with the path that was asked.
pub(crate) async fn written_out(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_string();
    let mut response = next.run(request).await;
    if let Some(Failure(problem)) = response.extensions_mut().remove::<Failure>() {
        write(&mut response, &problem.at(path));
    }
    response
}

fn write(response: &mut Response, problem: &Problem) {
    let text = serde_json::to_string(problem).unwrap_or_default();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    *response.body_mut() = Body::from(text);
}

/// Nothing is served there.
pub(crate) async fn no_such_path(request: Request) -> Failure {
    let detail = format!("nothing is served under {}", request.uri().path());
    Problem::new(404, codes::PATH_UNKNOWN, detail).hint("the API is described under /docs").into()
}

/// Another method is served there.
pub(crate) async fn no_such_method(request: Request) -> Failure {
    let detail = format!("{} is not served for {}", request.uri().path(), request.method());
    Problem::new(405, codes::METHOD_REFUSED, detail).hint("the API is described under /docs").into()
}
