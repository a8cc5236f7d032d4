//! Files about a lab for other programs: those that containerlab leaves beside one.

use std::collections::BTreeMap;

use archetype_model::LabName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The files of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artefacts {
    /// The lab.
    #[schema(value_type = String)]
    pub lab: LabName,
    /// Each file's text by its path: `clab-LAB/ansible-inventory.yml`, below whichever folder they
    /// are written to. Inventories hold the logins that the topology file states.
    pub files: BTreeMap<String, String>,
}
