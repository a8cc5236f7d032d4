//! The facts behind a link's status.

use archetype_model::status::LinkState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lab::Endpoint;
use crate::schema;

/// Everything a link's status rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The lab.
    pub lab: String,
    /// The link's id.
    pub link: String,
    /// Its ends, in file order.
    pub endpoints: Vec<Endpoint>,
    /// The state.
    #[schema(schema_with = schema::link_state)]
    pub state: LinkState,
    /// Why, where the state does not say it all.
    pub reason: Option<String>,
    /// When it was last read back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified_at: Option<Timestamp>,
    /// The facts, from one end to the other.
    pub facts: Vec<Fact>,
}

/// One fact, with the command that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// What it is about: an end (`r1:eth1`) or `both`.
    pub about: String,
    /// What is so.
    pub fact: String,
    /// Whether it is as an `up` link needs it; null where it could not be read.
    pub good: Option<bool>,
    /// The command that shows it on the host; null for what only we know.
    pub command: Option<String>,
}
