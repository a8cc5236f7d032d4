//! Values of a node's definition that have a form of their own.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::OF_CONTAINER;
use crate::name::Invalid;

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    /// At each deployment.
    Always,
    /// Never: it must be there.
    Never,
    /// When it is not there.
    #[default]
    IfNotPresent,
}

/// What happens when a node ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RestartPolicy {
    /// It stays ended.
    No,
    /// It is started again unless it ended with status 0.
    OnFailure,
    /// It is started again.
    Always,
    /// It is started again unless somebody stopped it.
    UnlessStopped,
    /// Another word. containerlab gives its engine no policy then, so that the node stays ended.
    Other(String),
}

impl From<String> for RestartPolicy {
    fn from(text: String) -> Self {
        match text.as_str() {
            "no" => Self::No,
            "on-failure" => Self::OnFailure,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            _ => Self::Other(text),
        }
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> String {
        match policy {
            RestartPolicy::No => "no".to_owned(),
            RestartPolicy::OnFailure => "on-failure".to_owned(),
            RestartPolicy::Always => "always".to_owned(),
            RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
            RestartPolicy::Other(text) => text,
        }
    }
}

/// The cgroup namespace of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupNamespace {
    /// The host's.
    Host,
    /// One of its own.
    Private,
}

/// How a running node takes a change of its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkApplyMode {
    /// In place.
    Live,
    /// By a restart of the same container.
    Restart,
    /// By a new container.
    Recreate,
}

/// Which network namespace a node has, and what is in it besides its links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NetworkMode {
    /// One of its own with eth0 on the management network (`bridge`, and what is not stated).
    Bridge,
    /// The host's.
    Host,
    /// One of its own, without a management network: `eth0` is free for links.
    None,
    /// That of another node or container.
    Container(String),
    /// Another word; see `NodeDecl::network_mode`.
    Other(String),
}

impl From<String> for NetworkMode {
    fn from(text: String) -> Self {
        match text.as_str() {
            "bridge" => Self::Bridge,
            "host" => Self::Host,
            "none" => Self::None,
            other => match other.strip_prefix(OF_CONTAINER) {
                Some(name) => Self::Container(name.to_owned()),
                None => Self::Other(text),
            },
        }
    }
}

impl From<NetworkMode> for String {
    fn from(mode: NetworkMode) -> String {
        mode.to_string()
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::Host => f.write_str("host"),
            Self::None => f.write_str("none"),
            Self::Container(name) => write!(f, "{OF_CONTAINER}{name}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// An amount of memory as the file writes it (`1G`, `512MB`, `2GiB`, `100`), and in bytes.
/// A unit with an `i` counts in steps of 1024, any other in steps of 1000, as containerlab has
/// them: `1G` is 1000000000 bytes, `1GiB` 1073741824.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize {
    written: String,
    bytes: u64,
}

impl ByteSize {
    /// Reads a number, a fraction allowed, and a unit: b, k, kb, ki, kib, m, …, e in any case.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let written = text.into();
        let trimmed = written.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let refuse = |why: &str| Invalid::new("size", written.clone(), why);
        let number: f64 = number.replace(',', "").parse().map_err(|_| refuse("does not begin with a number"))?;
        let factor = unit_bytes(&unit.trim().to_ascii_lowercase())
            .ok_or_else(|| refuse("has an unknown unit: b, k, m, g, t, p and e are known, also as kb and kib"))?;
        let bytes = number * factor as f64;
        match bytes <= i64::MAX as f64 {
            true => Ok(Self { bytes: bytes as u64, written }),
            false => Err(refuse("is too large")),
        }
    }

    /// The amount in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The amount as the file writes it.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl TryFrom<String> for ByteSize {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> String {
        size.written
    }
}

fn unit_bytes(unit: &str) -> Option<u64> {
    let power = match unit.chars().next() {
        None => return Some(1),
        Some('b') if unit == "b" => return Some(1),
        Some(letter) => "kmgtpe".find(letter)? as u32 + 1,
    };
    match &unit[1..] {
        "" | "b" => Some(1000u64.pow(power)),
        "i" | "ib" => Some(1024u64.pow(power)),
        _ => None,
    }
}

/// The stages a node goes through; others can wait for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its container is started.
    Create,
    /// Its links are attached.
    CreateLinks,
    /// Its configuration is done.
    Configure,
    /// Its health test succeeded.
    Healthy,
    /// It has ended.
    Exit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::CreateLinks => "create-links",
            Self::Configure => "configure",
            Self::Healthy => "healthy",
            Self::Exit => "exit",
        })
    }
}

/// `stages`, by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stages(pub BTreeMap<Stage, StageDecl>);

/// What is declared of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct StageDecl {
    /// What must have happened before the node enters the stage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wait_for: Vec<WaitFor>,
    /// Commands at entry and exit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<StageExec>,
}

/// Another node's stage that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitFor {
    /// The other node.
    pub node: String,
    /// Its stage.
    pub stage: Stage,
}

/// A command of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageExec {
    /// The command line.
    pub command: String,
    /// Where it runs.
    pub target: ExecTarget,
    /// When it runs.
    pub phase: ExecPhase,
}

/// Where a command of a stage runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecTarget {
    /// Inside the node.
    #[default]
    Container,
    /// On the host.
    Host,
}

/// When a command of a stage runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecPhase {
    /// As the node enters the stage.
    #[default]
    OnEnter,
    /// As the node leaves the stage.
    OnExit,
}

/// A card of a modular device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    /// The slot: a letter or a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The card.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The switch fabric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sfm: Option<String>,
    /// Expansion modules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xiom: Vec<Module>,
    /// Adapters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mda: Vec<Module>,
    /// Environment of this card alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A module in a card, or an adapter in a module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Module {
    /// Its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
    /// What it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Adapters in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mda: Vec<Module>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_with_an_i_counts_in_steps_of_1024() {
        let bytes = |text| ByteSize::new(text).unwrap().bytes();
        assert_eq!(bytes("1G"), 1_000_000_000);
        assert_eq!(bytes("512MB"), 512_000_000);
        assert_eq!(bytes("2GiB"), 2 << 30);
        assert_eq!(bytes("100"), 100);
        assert_eq!(bytes("1.5 kib"), 1536);
        assert_eq!(bytes("1EiB"), 1 << 60);
        assert!(ByteSize::new("much").is_err());
        assert!(ByteSize::new("1 parsec").is_err());
    }
}
