//! Statuses as users see them. Computed, never stored, never assigned.

use serde::{Deserialize, Serialize};

/// The state of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabState {
    /// Accepted, not planned or not handed out yet.
    Pending,
    /// Its hosts are making it so.
    Converging,
    /// Every node and link is as wanted, and every link wanted up is proven.
    Up,
    /// Some of it is not as wanted.
    Degraded,
    /// Nothing of it runs, as wanted.
    Down,
    /// Its hosts could not be read.
    Unknown,
    /// It is being taken down.
    Destroying,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Not begun.
    Pending,
    /// Being made or started.
    Starting,
    /// It runs.
    Running,
    /// Stopped as wanted.
    Stopped,
    /// It ended by itself and will be started again.
    Exited,
    /// It cannot be made or started; the reason says why.
    Error,
    /// Its host or runtime could not be read.
    Unknown,
}

/// The state of a link (design 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// An end's node is not there yet.
    Pending,
    /// Being wired, or wired and not proven yet.
    Creating,
    /// Read back right, and crossed by a frame each way.
    Up,
    /// Wanted down, or shut by a node's own software.
    Down,
    /// Part of it could not be read.
    Unknown,
    /// Wrong; the reason says what and on which side.
    Error,
}

/// A state with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status<S> {
    /// The state.
    pub state: S,
    /// Why, for people; none where the state says it all.
    pub reason: Option<String>,
}

impl<S> Status<S> {
    /// A state that needs no reason.
    pub fn plain(state: S) -> Self {
        Self { state, reason: None }
    }

    /// A state with its reason.
    pub fn because(state: S, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()) }
    }
}

macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word),* })
            }
        }
    )*};
}

words! {
    LabState { Pending = "pending", Converging = "converging", Up = "up", Degraded = "degraded", Down = "down",
        Unknown = "unknown", Destroying = "destroying" }
    NodeState { Pending = "pending", Starting = "starting", Running = "running", Stopped = "stopped",
        Exited = "exited", Error = "error", Unknown = "unknown" }
    LinkState { Pending = "pending", Creating = "creating", Up = "up", Down = "down", Unknown = "unknown",
        Error = "error" }
}
