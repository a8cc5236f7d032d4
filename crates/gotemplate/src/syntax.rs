//! What a template says, as a tree. Knows nothing of texts or of values.

use crate::value::Value;

/// Where something stands: its source and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Which source.
    pub source: usize,
    /// Which byte of it.
    pub byte: usize,
}

/// A template, or the part of one between two actions that belong together.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// What is done, in order.
    pub nodes: Vec<Node>,
}

impl Body {
    /// Whether it prints nothing but white space.
    pub fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text { text, .. } if text.trim().is_empty()))
    }
}

/// One thing that is done.
#[derive(Debug, Clone)]
pub enum Node {
    /// Text that is copied.
    Text {
        /// The text.
        text: String,
        /// Where it begins.
        at: At,
    },
    /// A pipeline whose value is printed, unless it goes to a variable.
    Print(Pipeline),
    /// `if`, `with` or `range`.
    Branch(Box<Branch>),
    /// `template`.
    Call {
        /// The template's name.
        name: String,
        /// What it is given.
        with: Option<Pipeline>,
        /// Where it stands.
        at: At,
    },
    /// `break`.
    Break,
    /// `continue`.
    Continue,
}

/// Which branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchKind {
    /// `if`.
    If,
    /// `with`.
    With,
    /// `range`.
    Range,
}

/// `if`, `with` or `range` with what belongs to it.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Which of the three.
    pub kind: BranchKind,
    /// What decides.
    pub on: Pipeline,
    /// What is done then.
    pub then: Body,
    /// What is done otherwise.
    pub otherwise: Option<Body>,
}

/// Commands, each given the value of the one before it.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The variables that the value goes to, with their `$`.
    pub variables: Vec<String>,
    /// Whether the variables exist already.
    pub assigns: bool,
    /// The commands.
    pub commands: Vec<Command>,
    /// Where it begins.
    pub at: At,
}

/// An operand, and further ones that it is given.
#[derive(Debug, Clone)]
pub struct Command {
    /// The operand that leads, then its arguments.
    pub operands: Vec<Operand>,
}

/// One operand and where it stands.
#[derive(Debug, Clone)]
pub struct Operand {
    /// What it is.
    pub term: Term,
    /// Where it begins.
    pub at: At,
}

/// What an operand is.
#[derive(Debug, Clone)]
pub enum Term {
    /// `.`.
    Dot,
    /// `nil`.
    Nil,
    /// A number, a text or a truth.
    Constant(Value),
    /// A number that is none of Go's `int`.
    TooLarge(String),
    /// `.a.b`.
    Field(Vec<String>),
    /// `$a.b`, the name with its `$`.
    Variable(String, Vec<String>),
    /// A function.
    Function(String),
    /// `(pipeline)`.
    Pipeline(Box<Pipeline>),
    /// Fields of a function's value or of a pipeline's.
    Chain(Box<Operand>, Vec<String>),
}

impl Term {
    /// Whether it has no value of its own to be called with arguments.
    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Dot | Self::Nil | Self::Constant(_) | Self::TooLarge(_))
    }
}
