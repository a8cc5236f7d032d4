//! Schemas of the status words, whose types live in a crate that knows no OpenAPI.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn words(list: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(list.iter().copied())).build()
}

/// The words for the state of a lab.
pub(crate) fn lab_state() -> Object {
    words(&["pending", "converging", "up", "degraded", "down", "unknown", "destroying"])
}

/// The words for the state of a node.
pub(crate) fn node_state() -> Object {
    words(&["pending", "starting", "running", "stopped", "exited", "error", "unknown"])
}

/// The words for the state of a link.
pub(crate) fn link_state() -> Object {
    words(&["pending", "creating", "up", "down", "unknown", "error"])
}
