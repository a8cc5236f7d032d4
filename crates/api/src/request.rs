//! What a client sends.

use std::collections::BTreeMap;

use archetype_model::NodeName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A topology file as the client read it on the controller's host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyText {
    /// The absolute directory of the file; relative paths in it begin here.
    pub directory: String,
    /// The file's name within `directory`.
    pub file: String,
    /// How the user named the file, for messages; `file` when absent.
    #[serde(default)]
    pub shown: Option<String>,
    /// The file's text.
    pub text: String,
    /// The environment that `${NAME}` in the file stands for, and whose lab it is (`CLAB_OWNER`, `SUDO_USER`, `USER`). Only
    /// these and names the text mentions are needed.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files of template variables, absolute, later ones winning; those beside the file when there are none.
    #[serde(default)]
    pub variables: Vec<String>,
}

/// A wish for a lab to be as a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The file.
    pub topology: TopologyText,
    /// Leave out what this version or this host cannot run, instead of refusing.
    #[serde(default)]
    pub partial: bool,
    /// Nodes to make again, so that they take over changed files.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub reload: Vec<NodeName>,
}

/// What is wished of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeAction {
    /// It is to run.
    Start,
    /// It is to be stopped.
    Stop,
    /// It is to be started again from cold.
    Restart,
}

impl std::fmt::Display for NodeAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        })
    }
}

/// What is wished of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkAction {
    /// It is to carry frames.
    Up,
    /// It is to have carrier at neither end.
    Down,
}

impl std::fmt::Display for LinkAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// A link that is to be added to a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Its two ends, each as `node:interface` in any spelling that the node's kind takes; `host:…` and
    /// `mgmt-net:…` stand for what they stand for in a file.
    pub endpoints: [String; 2],
}
