//! Templates of Go's `text/template`: the same syntax, values, printing and failures, for files that
//! were written for it. Every failure has its place, and work and output are bounded. Knows nothing
//! of what the templates are for; functions beyond the built-in ones are handed in.

mod builtin;
mod exec;
mod lex;
pub mod number;
mod parse;
pub mod print;
mod syntax;
pub mod value;

use std::collections::BTreeMap;

use syntax::Body;

pub use builtin::functions;
pub use exec::Piece;
pub use value::{Function, Functions, Key, List, Map, Namespace, Param, Value};

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Which source, in the order they were given.
    pub source_index: usize,
    /// Where in that source, in bytes.
    pub at: usize,
    /// What is wrong, in words.
    pub message: String,
}

/// How much a rendering may do, so that a runaway template is an error and not a hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actions, loop turns and function calls.
    pub steps: u64,
    /// Bytes of output, and of all texts that functions make.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 5_000_000, bytes: 64 << 20 }
    }
}

/// What a template became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Where each part of the text came from, in the order of the text.
    pub pieces: Vec<Piece>,
}

/// Templates that know each other: the first source is the one that is rendered.
#[derive(Debug)]
pub struct Set {
    bodies: BTreeMap<String, Body>,
    main: String,
    functions: Functions,
}

impl Set {
    /// Reads the sources, each a name and a text. Every source is a template of its name; a later
    /// definition of a name replaces an earlier one unless it is empty.
    ///
    /// # Errors
    /// The first place where a source is no template.
    pub fn parse(sources: &[(&str, &str)], functions: Functions) -> Result<Self, Error> {
        let mut bodies: BTreeMap<String, Body> = BTreeMap::new();
        for (index, (name, text)) in sources.iter().enumerate() {
            for (name, body) in parse::source(index, name, text, &functions)? {
                if !(body.is_empty() && bodies.contains_key(&name)) {
                    bodies.insert(name, body);
                }
            }
        }
        let main = sources.first().map(|(name, _)| (*name).to_owned()).unwrap_or_default();
        Ok(Self { bodies, main, functions })
    }

    /// Renders the first source with `data`.
    ///
    /// # Errors
    /// The first action that fails, or the one at which a limit is reached.
    pub fn render(&self, data: &Value, limits: Limits) -> Result<Rendered, Error> {
        match self.bodies.get(&self.main) {
            Some(body) => exec::render(&self.bodies, &self.functions, body, data, limits),
            None => Ok(Rendered { text: String::new(), pieces: Vec::new() }),
        }
    }
}
