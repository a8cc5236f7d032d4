//! Colour, only for people: on a terminal, and not where `NO_COLOR` is set.

use std::io::IsTerminal;

/// Whether and how one output stream is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As wished.
    Good,
    /// On its way.
    Waiting,
    /// Wrong.
    Bad,
    /// Less important than what stands beside it.
    Quiet,
    /// A heading.
    Strong,
}

impl Paint {
    /// For the standard output.
    pub fn stdout() -> Self {
        Self { on: std::io::stdout().is_terminal() && is_wanted() }
    }

    /// For the error output.
    pub fn stderr() -> Self {
        Self { on: std::io::stderr().is_terminal() && is_wanted() }
    }

    /// Whether anything is coloured.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// No colour at all.
    #[cfg(test)]
    pub fn off() -> Self {
        Self { on: false }
    }

    /// The text in the colour of its meaning.
    pub fn tone(self, tone: Tone, text: impl std::fmt::Display) -> String {
        if !self.on {
            return text.to_string();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Waiting => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A set and not empty `NO_COLOR` switches colour off, as <https://no-color.org> asks.
fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
