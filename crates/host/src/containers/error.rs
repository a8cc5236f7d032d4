//! What can go wrong with the engine, in words for people, and the findings that come of it.

use bollard::errors::Error;

use crate::event::TaskError;

/// A call to the engine that did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine does not answer. Hint: is it running, is the socket the right one?
    #[error("the Docker Engine does not answer: {why}")]
    Unreachable {
        /// What was tried and what came of it.
        why: String,
    },
    /// The engine answered with a refusal.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The room has no such container of its own.
    #[error("there is no container {container} of this installation")]
    NoSuchContainer {
        /// The name that was asked for.
        container: String,
    },
}

impl EngineError {
    pub(super) fn unreachable(why: impl Into<String>) -> Self {
        Self::Unreachable { why: why.into() }
    }

    /// Whether the engine said that the thing is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine said that the thing collides with another.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// What the person at the keyboard can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { .. } => "start the Docker Engine, or name its socket with `--docker`".into(),
            Self::Refused { .. } => "the engine's own words say why; its log says more".into(),
            Self::NoSuchContainer { .. } => "`archetype inspect` lists the nodes".into(),
        }
    }

    /// The finding this makes of a task, under `code` unless the engine is not there at all.
    pub(super) fn finding(self, code: &'static str) -> TaskError {
        let hint = self.hint();
        match self {
            Self::Unreachable { .. } => TaskError { code: "engine-unreachable", message: self.to_string(), hint },
            Self::NoSuchContainer { .. } => TaskError { code: "node-not-made", message: self.to_string(), hint },
            Self::Refused { message, .. } => TaskError { code, message: one_line(&message), hint },
        }
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Refused { status: status_code, message: message.trim().to_owned() }
            }
            Error::DockerStreamError { error } => Self::Refused { status: 500, message: error },
            // It did answer: to ask again would bring the same.
            answer @ (Error::JsonDataError { .. } | Error::JsonSerdeError { .. }) => {
                Self::Refused { status: 500, message: causes(&answer) }
            }
            Error::RequestTimeoutError => Self::unreachable("no answer in time"),
            other => Self::unreachable(causes(&other)),
        }
    }
}

/// An error with what caused it, which an HTTP client's errors keep to themselves.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    // What the library is called says nothing to who runs the engine.
    if let Some(rest) = text.strip_prefix("Error in the hyper legacy client: ") {
        text = rest.to_owned();
    }
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
