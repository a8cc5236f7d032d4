//! Short answers: of `check`, `plan`, `deploy`, `reconcile`, `version`, `health`.

use archetype_model::status::LinkState;
use archetype_model::topology::{self, Topology};
use archetype_model::{InstallationId, LabName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lab::LeftOut;
use crate::problem::FileProblem;
use crate::schema;

/// What a topology file says and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The lab's name; null when even that could not be read.
    pub name: Option<String>,
    /// The nodes, in file order.
    pub nodes: Vec<CheckedNode>,
    /// The links, in file order.
    pub links: Vec<CheckedLink>,
    /// Everything that is wrong, in file order.
    pub problems: Vec<FileProblem>,
    /// What does nothing although the file states it, in file order: nothing is wrong with that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FileProblem>,
}

/// A node as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedNode {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// By what it would be run: `container`, `namespace` or `bridge`.
    pub runtime: String,
    /// Its image.
    pub image: Option<String>,
    /// The merged definition under the file's own keys, where it was asked for: only keys with a value, the kind in
    /// lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<serde_json::Value>,
}

/// A link as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedLink {
    /// Its ends, in file order, names as written.
    pub endpoints: Vec<CheckedEndpoint>,
    /// `veth`, `host`, `mgmt-net`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// One end of a link as the file writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckedEndpoint {
    /// The node.
    pub node: String,
    /// The interface.
    pub interface: String,
    /// What the interface is called in Linux, where it was asked for; null where it has no valid name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub linux_interface: Option<Option<String>>,
}

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

impl Checked {
    /// The answer for a file of which this much could be read, with what is wrong in it and what is to be noted.
    pub fn new(
        topology: Option<&Topology>,
        problems: impl IntoIterator<Item = topology::Problem>,
        notes: impl IntoIterator<Item = topology::Problem>,
    ) -> Self {
        let node = |node: &topology::NodeDecl| CheckedNode {
            name: node.name.to_string(),
            kind: node.kind.clone(),
            runtime: runtime_word(node.runtime()).to_string(),
            image: node.definition.image.clone(),
            definition: None,
        };
        let link = |link: &topology::LinkDecl| CheckedLink {
            endpoints: link
                .endpoints
                .iter()
                .map(|end| CheckedEndpoint {
                    node: end.node.clone(),
                    interface: end.interface.clone(),
                    linux_interface: None,
                })
                .collect(),
            kind: link.kind.as_str().to_string(),
        };
        Self {
            name: topology.map(|t| t.name.to_string()),
            nodes: topology.iter().flat_map(|t| t.nodes.iter().map(node)).collect(),
            links: topology.iter().flat_map(|t| t.links.iter().map(link)).collect(),
            problems: problems.into_iter().map(FileProblem::from).collect(),
            notes: notes.into_iter().map(FileProblem::from).collect(),
        }
    }
}

impl Checked {
    /// Adds what `topology`, of which this is the answer, says of each node and link end once everything is merged.
    pub fn expand(&mut self, topology: &Topology) {
        for (checked, node) in self.nodes.iter_mut().zip(&topology.nodes) {
            checked.definition = Some(definition(node));
        }
        for (checked, link) in self.links.iter_mut().zip(&topology.links) {
            for (checked, end) in checked.endpoints.iter_mut().zip(&link.endpoints) {
                checked.linux_interface = Some(end.linux_interface.as_ref().map(ToString::to_string));
            }
        }
    }
}

/// The merged definition, each value as written. A truth that is false is no value, except where true is
/// what stands for nothing.
fn definition(node: &topology::NodeDecl) -> serde_json::Value {
    let mut keys = node.definition.to_file_keys();
    if let Some(keys) = keys.as_object_mut() {
        keys.extend(node.written.iter().map(|(key, text)| (key.clone(), text.clone().into())));
        keys.retain(|key, value| *value != serde_json::Value::Bool(false) || key == "privileged");
    }
    keys
}

/// The word for what runs a node.
pub fn runtime_word(runtime: topology::RuntimeKind) -> &'static str {
    match runtime {
        topology::RuntimeKind::Namespace => "namespace",
        topology::RuntimeKind::Container => "container",
        topology::RuntimeKind::Bridge => "bridge",
        topology::RuntimeKind::Host => "host",
    }
}
