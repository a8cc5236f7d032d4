//! What runs a node, as it was read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Mark;

/// A node's process or container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeObserved {
    /// The full id: of the container, or of the run's state folder.
    pub id: String,
    /// Whose it is.
    pub mark: Mark,
    /// Hash of the body it was created from; another one asks for re-creation.
    pub made_from: String,
    /// What it does.
    pub run: RunObserved,
    /// What works on it right now: a task of ours, as a rule.
    pub busy: Option<Busy>,
    /// What privileges were granted (`privileged`, `confined`, …) for people.
    pub privileges: Option<String>,
    /// The image that it was created from, by the name it had then; none where there is none.
    #[serde(default)]
    pub image: Option<String>,
    /// Whether the image is a stand-in built from packages.
    pub stand_in: bool,
    /// The containers, by id or name, whose network or processes it was made to share; another container in the place
    /// of one of these is not the one it shares with.
    #[serde(default)]
    pub shares_with: BTreeSet<String>,
    /// When a run of it last ended because somebody had the engine end it, in milliseconds of the Unix epoch; none where
    /// nobody was seen to.
    #[serde(default)]
    pub ended_by_hand_ms: Option<u64>,
}

/// What a node's process does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RunObserved {
    /// Not created yet; only a task works on it.
    Absent,
    /// Created, never started.
    Created,
    /// It runs.
    Running {
        /// The first process, in the host's numbering; none for a namespace node without a process.
        pid: Option<u32>,
        /// Which start this is: differs between any two starts.
        start: String,
        /// The engine's word on health (`healthy`, `starting`, …), if it has one.
        health: Option<String>,
    },
    /// It ended.
    Ended {
        /// Which start ended.
        start: String,
        /// How.
        exit: Exit,
    },
}

impl RunObserved {
    /// Which start it is in, or was in last; none before the first.
    pub fn start(&self) -> Option<&str> {
        match self {
            Self::Running { start, .. } | Self::Ended { start, .. } => Some(start),
            Self::Absent | Self::Created => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Exit {
    /// By itself.
    Status {
        /// The exit status, 0 to 255.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// The kernel ended it for want of memory.
    OutOfMemory,
    /// The engine ended it on its own way out, or when it came back: that is none of the node's doing.
    WithEngine,
    /// The engine lost it (reboot, engine crash), or nobody saw it end.
    Lost,
}

/// A task that works on a node, seen by a pass as in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// What it does, for people: `pulling IMAGE`, `starting`, …
    pub doing: String,
    /// Since when, in milliseconds of the Unix epoch.
    pub since_ms: u64,
    /// What it waits for outside of ours, while it does and was not told to give up.
    #[serde(default)]
    pub outside: Option<Outside>,
}

/// What is not ours, may take any time, and can be given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// A command of the node's lists, in it or on the host.
    Command,
    /// This image, which is looked for or pulled. What runs of the node is not touched meanwhile.
    Image(String),
}

impl NodeObserved {
    /// What works on the node's run. A task that still waits for an image has not touched it.
    pub fn at_work(&self) -> Option<&Busy> {
        self.busy.as_ref().filter(|busy| !matches!(busy.outside, Some(Outside::Image(_))))
    }

    /// The image that a task on the node waits for.
    pub fn awaited_image(&self) -> Option<&str> {
        match self.busy.as_ref()?.outside.as_ref()? {
            Outside::Image(image) => Some(image),
            Outside::Command => None,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { code } => write!(f, "exit status {code}"),
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::WithEngine => f.write_str("ended with its engine"),
            Self::Lost => f.write_str("end not seen"),
        }
    }
}
