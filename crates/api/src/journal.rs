//! What happened, in order.

use archetype_model::LabName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stretch of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Journal {
    /// In the order of their ids.
    pub entries: Vec<JournalEntry>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalEntry {
    /// Rises with every entry; ask for what came after it by `since`.
    pub id: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The lab, if it concerns one.
    #[schema(value_type = Option<String>)]
    pub lab: Option<LabName>,
    /// `deploy`, `destroy`, `node`, `link`, `lab`, `repair`, `exec`, `wish`, `finding` or `controller`.
    pub kind: String,
    /// The node, link or other thing it is about.
    pub subject: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
    /// More, for programs.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}
