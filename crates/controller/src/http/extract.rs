//! Parts of requests; what is wrong with one is a problem like every other.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// The named segments of the path.
pub(crate) struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(segments)| Self(segments)).map_err(|error| Failure::unreadable(error.body_text()))
    }
}

/// What is asked behind the `?`.
pub(crate) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        found.map(|Query(asked)| Self(asked)).map_err(|error| Failure::unreadable(error.body_text()))
    }
}

/// A JSON body, whatever its content type says.
pub(crate) struct Document<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Document<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|error| Failure::unreadable(error.body_text()))?;
        // A list would be taken for an object whose members stand in their order.
        match bytes.trim_ascii_start().first() {
            Some(b'{') | None => serde_json::from_slice(&bytes).map(Self).map_err(Failure::unreadable),
            Some(_) => Err(Failure::unreadable("the body must be a JSON object")),
        }
    }
}
