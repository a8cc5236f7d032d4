//! What is wrong with a declared topology, and where. Knows nothing of how it was found.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::codes;
use crate::name::NodeName;

/// A place in a topology file; both numbers count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line, the first one is 1.
    pub line: u32,
    /// The character within the line, the first one is 1.
    pub column: u32,
}

impl Position {
    /// The first character of a file: where a problem of the file as a whole is shown.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The part of a topology that a problem concerns, so that it can be left out alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// This node.
    Node(NodeName),
    /// The link at this place of `Topology::links`, the first one is 0.
    Link(usize),
}

/// One thing that keeps a topology from being deployed, for a person to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, for programs: `unknown-key`, `bind-missing`, …
    pub code: Cow<'static, str>,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// The topology file, as the user named it.
    pub file: String,
    /// The line in `file`, from 1.
    pub line: u32,
    /// The column in `file` in characters, from 1.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
    /// The node or link that has to be left out if this cannot be mended; absent when the
    /// problem is of the file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The other place in `file` that it is about, where two do not go together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Position>,
}

impl Problem {
    /// A problem at `position` of `file`; until a closer one is given its hint is what helps with its
    /// code in general.
    pub fn new(code: &'static str, file: impl Into<String>, position: Position, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            file: file.into(),
            line: position.line,
            column: position.column,
            hint: codes::remedy(code).map(as_hint),
            subject: None,
            also: None,
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, about one node or link.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The same problem, which is about another place as well; its own is none.
    #[must_use]
    pub fn and_at(mut self, other: Position) -> Self {
        self.also = (other != self.position()).then_some(other);
        self
    }

    /// Where it is.
    pub fn position(&self) -> Position {
        Position { line: self.line, column: self.column }
    }
}

/// A hint is one sentence, or some, without the last full stop, and goes on behind its mark in lower case.
fn as_hint(remedy: &str) -> String {
    let remedy = remedy.strip_suffix('.').unwrap_or(remedy);
    let mut letters = remedy.chars();
    match letters.next() {
        Some(first) if !NAMES.iter().any(|name| remedy.starts_with(name)) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => remedy.to_owned(),
    }
}

/// Words that keep their capital.
const NAMES: [&str; 2] = ["Linux", "Docker"];

/// `file:line:column: message [code]`, and the hint on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
