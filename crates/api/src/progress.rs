//! How far a lab is, and how waiting for it ended.

use archetype_model::LabName;
use archetype_model::status::LabState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lab::Finding;
use crate::schema;

/// How far a lab is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The lab.
    #[schema(value_type = String)]
    pub lab: LabName,
    /// The revision that is wanted now.
    pub revision: u64,
    /// Its state.
    #[schema(schema_with = schema::lab_state)]
    pub state: LabState,
    /// Why, where the state does not say it all.
    pub reason: Option<String>,
    /// Nodes that run, or are stopped as wanted.
    pub nodes_ready: usize,
    /// Nodes in all.
    pub nodes: usize,
    /// Links that are up, or down as wanted.
    pub links_ready: usize,
    /// Links in all.
    pub links: usize,
    /// What is being done right now, `node: pulling IMAGE`.
    pub doing: Vec<String>,
    /// Whether the wanted revision is planned, and its host has told of that plan: what is told of a part is of this wish.
    #[serde(default)]
    pub told: bool,
    /// Set when there is nothing more to wait for.
    pub settled: Option<Settled>,
}

/// How waiting for a revision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// Everything is as wanted, and every link wanted up is proven.
    AsWanted,
    /// Nothing of the lab is left, as wanted.
    Gone,
    /// A finding says why it does not come to be.
    Finding,
    /// Nothing more comes by itself, and not everything is as wanted: the lab's nodes and links say what is not.
    AtRest,
    /// A newer revision took its place.
    Overtaken,
}

/// The answer to waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waited {
    /// How far the lab was in the end.
    pub progress: Progress,
    /// What stands in the way.
    pub findings: Vec<Finding>,
}
