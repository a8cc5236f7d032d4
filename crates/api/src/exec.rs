//! The frames of an exec over a WebSocket.
//!
//! The client's first frame is a text frame, [`ExecStart`] as JSON. After it, binary frames carry
//! bytes behind one byte that names the channel, and text frames carry [`ExecWish`] (from the
//! client) and [`ExecEnd`] (from the server, its last frame).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// The channel of what the command reads.
pub const STDIN: u8 = 0;
/// The channel of what the command prints; with a terminal, of everything.
pub const STDOUT: u8 = 1;
/// The channel of the command's error output.
pub const STDERR: u8 = 2;

/// What is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecStart {
    /// The command's words.
    pub argv: Vec<String>,
    /// Whether it gets a terminal.
    #[serde(default)]
    pub tty: bool,
    /// Whether it reads what the client sends.
    #[serde(default)]
    pub stdin: bool,
    /// The terminal's size at the start.
    #[serde(default)]
    pub size: Option<TerminalSize>,
    /// Environment variables added to the node's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The user to run as; root when absent.
    #[serde(default)]
    pub user: Option<String>,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// A text frame of the client after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecWish {
    /// The terminal has another size now.
    Resize(TerminalSize),
    /// Nothing more comes on the input. A terminal has ctrl-d for it: who reads a line has read the last one.
    CloseStdin,
}

/// The last frame of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecEnd {
    /// The command ended with this status.
    Exit(i64),
    /// It could not be run, or what it did could no longer be followed.
    Failed(Box<Problem>),
}

/// What the client sends to a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecInput {
    /// Bytes for it to read.
    Stdin(Vec<u8>),
    /// Another terminal size, or the end of the input.
    Wish(ExecWish),
}

/// What comes from a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecOutput {
    /// What it printed.
    Stdout(Vec<u8>),
    /// What it printed as error.
    Stderr(Vec<u8>),
    /// It ended; nothing follows.
    End(ExecEnd),
}
