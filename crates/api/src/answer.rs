//! Short answers: of `plan`, `deploy`, `reconcile`, `version`, `health`.

use archetype_model::status::LinkState;
use archetype_model::{InstallationId, LabName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lab::LeftOut;
use crate::problem::FileProblem;
use crate::schema;

/// What a deployment of the file would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanAnswer {
    /// The lab; null when the file has no readable name.
    pub lab: Option<String>,
    /// What would be added, removed, changed or made again.
    pub changes: Vec<Change>,
    /// How many nodes would not be touched.
    pub nodes_untouched: usize,
    /// How many links would not be touched.
    pub links_untouched: usize,
    /// What `--partial` would leave out.
    pub left_out: Vec<LeftOut>,
    /// Everything that keeps it from being deployed.
    pub problems: Vec<FileProblem>,
    /// What the file states and nothing comes of, in file order: nothing is wrong with that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FileProblem>,
}

/// One difference between what runs and what the file wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What would be done.
    pub change: ChangeKind,
    /// `node`, `link` or `network`.
    pub what: String,
    /// Its name or id.
    pub name: String,
    /// What differs, in words.
    pub why: Option<String>,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is not there yet.
    Add,
    /// It is no longer wanted.
    Remove,
    /// It is changed in place; a node keeps running.
    Change,
    /// A node is made again: what runs in it ends.
    Recreate,
}

/// A wish was taken, and is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The lab.
    #[schema(value_type = String)]
    pub lab: LabName,
    /// The number of the revision that says so.
    pub revision: u64,
    /// Whether it differs from what was wanted before.
    pub changed: bool,
    /// What was left out at the user's wish.
    pub left_out: Vec<LeftOut>,
    /// What the file states and nothing comes of, in file order: nothing is wrong with that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FileProblem>,
}

/// What a look at every link found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reconciled {
    /// How many links were looked at.
    pub checked: usize,
    /// How many were as wanted at the first look.
    pub valid: usize,
    /// How many were not and are now.
    pub repaired: usize,
    /// How many still are not.
    pub errors: usize,
    /// How many wait for a node that does not run.
    #[serde(default)]
    pub pending: usize,
    /// Each link.
    pub links: Vec<ReconciledLink>,
}

/// One link after a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReconciledLink {
    /// Its id.
    pub id: String,
    /// Its state now.
    #[schema(schema_with = schema::link_state)]
    pub state: LinkState,
    /// Why, where the state does not say it all.
    pub reason: Option<String>,
}

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// The version of the program.
    pub version: String,
    /// The version of this contract.
    pub api: String,
    /// Which installation this is; part of every name made on a host.
    #[schema(value_type = String)]
    pub installation: InstallationId,
    /// Which life of its store this is.
    pub incarnation: String,
}

/// Whether the controller hears its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether every host was heard lately.
    pub ok: bool,
    /// What is not well, in words.
    pub complaints: Vec<String>,
}
