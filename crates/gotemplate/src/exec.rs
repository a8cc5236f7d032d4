//! Runs a template: what is printed, repeated and left out, and where each part of the output came
//! from. What pipelines amount to is found by `eval`.

mod eval;

use std::collections::BTreeMap;

use crate::syntax::{At, Body, Branch, BranchKind, Node, Pipeline};
use crate::value::{Functions, Value};
use crate::{Error, Limits, Rendered};

/// How deep templates, branches and pipelines may be nested while running.
const DEEPEST: usize = 200;

/// A part of the output that came from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where the part begins in the output, in bytes.
    pub begins: usize,
    /// Where it came from in the first source, in bytes.
    pub origin: usize,
    /// Whether each byte came from the next one there; otherwise all came from `origin`, as a
    /// value or another source's text does.
    pub copied: bool,
}

/// Renders `body`.
///
/// # Errors
/// The first action that fails.
pub fn render(
    bodies: &BTreeMap<String, Body>,
    functions: &Functions,
    body: &Body,
    data: &Value,
    limits: Limits,
) -> Result<Rendered, Error> {
    let mut run = Run {
        bodies,
        functions,
        out: String::new(),
        pieces: Vec::new(),
        variables: vec![("$".to_owned(), data.clone())],
        steps: limits.steps,
        room: limits.bytes,
        depth: 0,
        called_at: None,
    };
    run.body(data, body)?;
    Ok(Rendered { text: run.out, pieces: run.pieces })
}

/// What a body asks of the loop around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'t> {
    bodies: &'t BTreeMap<String, Body>,
    functions: &'t Functions,
    out: String,
    pieces: Vec<Piece>,
    variables: Vec<(String, Value)>,
    steps: u64,
    room: usize,
    depth: usize,
    /// Where the first source called a template of another one, while that is running.
    called_at: Option<usize>,
}

fn error(at: At, message: impl Into<String>) -> Error {
    Error { source_index: at.source, at: at.byte, message: message.into() }
}

impl<'t> Run<'t> {
    /// Counts one step.
    fn step(&mut self, at: At) -> Result<(), Error> {
        match self.steps.checked_sub(1) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(error(at, "the template does not come to an end: it took too many steps")),
        }
    }

    /// Counts bytes that are made.
    fn spend(&mut self, at: At, bytes: usize) -> Result<(), Error> {
        match self.room.checked_sub(bytes) {
            Some(left) => {
                self.room = left;
                Ok(())
            }
            None => Err(error(at, "the template makes too much text")),
        }
    }

    fn deeper(&mut self, at: At) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(error(at, "templates or actions are nested too deeply: does one call itself without end?")),
            false => Ok(()),
        }
    }

    fn print(&mut self, text: &str, at: At, copied: bool) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.spend(at, text.len())?;
        let (origin, copied) = match self.called_at {
            None => (at.byte, copied),
            Some(_) if at.source == 0 => (at.byte, copied),
            Some(call) => (call, false),
        };
        self.pieces.push(Piece { begins: self.out.len(), origin, copied });
        self.out.push_str(text);
        Ok(())
    }

    fn body(&mut self, dot: &Value, body: &'t Body) -> Result<Flow, Error> {
        for node in &body.nodes {
            match node {
                Node::Text { text, at } => {
                    self.step(*at)?;
                    self.print(text, *at, true)?;
                }
                Node::Print(pipeline) => self.value(dot, pipeline)?,
                Node::Branch(branch) => match self.branch(dot, branch)? {
                    Flow::Next => {}
                    flow => return Ok(flow),
                },
                Node::Call { name, with, at } => self.call(dot, name, with.as_ref(), *at)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::Next)
    }

    fn value(&mut self, dot: &Value, pipeline: &'t Pipeline) -> Result<(), Error> {
        let value = self.pipeline(dot, pipeline)?;
        if !pipeline.variables.is_empty() {
            return Ok(());
        }
        let at = pipeline.at;
        if let Value::Text(text) = &value {
            return self.print(text, at, false);
        }
        let text = crate::print::printed(&value, self.room).map_err(|why| error(at, why))?;
        self.print(&text, at, false)
    }

    fn branch(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow, Error> {
        self.deeper(branch.on.at)?;
        let known = self.variables.len();
        let flow = match branch.kind {
            BranchKind::Range => self.range(dot, branch),
            BranchKind::If | BranchKind::With => self.choice(dot, branch),
        };
        self.variables.truncate(known);
        self.depth -= 1;
        flow
    }

    fn choice(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow, Error> {
        let value = self.pipeline(dot, &branch.on)?;
        match (value.is_true(), branch.kind, &branch.otherwise) {
            (true, BranchKind::With, _) => self.body(&value, &branch.then),
            (true, ..) => self.body(dot, &branch.then),
            (false, _, Some(otherwise)) => self.body(dot, otherwise),
            (false, _, None) => Ok(Flow::Next),
        }
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow, Error> {
        let at = branch.on.at;
        let over = self.pipeline(dot, &branch.on)?;
        let turned = match &over {
            Value::Int(_) | Value::Uint(_) if branch.on.variables.len() > 1 => {
                return Err(error(at, "a number gives one variable only, not two"));
            }
            Value::Int(count) => self.count(branch, u64::try_from(*count).unwrap_or(0))?,
            Value::Uint(count) => self.count(branch, *count)?,
            Value::List(list) => {
                for (index, item) in list.items().iter().enumerate() {
                    let index = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
                    if self.turn(branch, index, item.clone())? == Flow::Break {
                        break;
                    }
                }
                !list.items().is_empty()
            }
            Value::Map(map) => {
                for (key, value) in map.entries() {
                    if self.turn(branch, key.value(), value.clone())? == Flow::Break {
                        break;
                    }
                }
                !map.entries().is_empty()
            }
            Value::Missing | Value::Nil => false,
            other => return Err(error(at, format!("\"range\" cannot go over {}", other.sort()))),
        };
        match (turned, &branch.otherwise) {
            // A "break" in it ends this "range", a "continue" goes on with the one around it.
            (false, Some(otherwise)) => self.body(dot, otherwise).map(|flow| match flow {
                Flow::Break => Flow::Next,
                flow => flow,
            }),
            _ => Ok(Flow::Next),
        }
    }

    /// As many turns as `count` says; whether there was one.
    fn count(&mut self, branch: &'t Branch, count: u64) -> Result<bool, Error> {
        for number in 0..count {
            let number = Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
            if self.turn(branch, Value::Missing, number)? == Flow::Break {
                break;
            }
        }
        Ok(count > 0)
    }

    /// One turn of a loop.
    fn turn(&mut self, branch: &'t Branch, index: Value, item: Value) -> Result<Flow, Error> {
        self.step(branch.on.at)?;
        let known = self.variables.len();
        let named = &branch.on.variables;
        let values: &[&Value] = match named.len() {
            0 => &[],
            1 => &[&item],
            _ => &[&index, &item],
        };
        for (name, value) in named.iter().zip(values) {
            match branch.on.assigns {
                true => self.assign(name, (*value).clone(), branch.on.at)?,
                false => self.variables.push((name.clone(), (*value).clone())),
            }
        }
        let flow = self.body(&item, &branch.then);
        self.variables.truncate(known);
        flow
    }

    fn assign(&mut self, name: &str, value: Value, at: At) -> Result<(), Error> {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, known)) => {
                *known = value;
                Ok(())
            }
            None => Err(error(at, format!("the variable {name} is not declared: write {name} := …"))),
        }
    }

    fn call(&mut self, dot: &Value, name: &str, with: Option<&'t Pipeline>, at: At) -> Result<(), Error> {
        self.step(at)?;
        let Some(body) = self.bodies.get(name) else {
            return Err(error(at, format!("there is no template {name:?}")));
        };
        let value = match with {
            Some(pipeline) => self.pipeline(dot, pipeline)?,
            None => Value::Missing,
        };
        self.deeper(at)?;
        let outside = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
        let called_at = self.called_at;
        if at.source == 0 {
            self.called_at = Some(at.byte);
        }
        self.body(&value, body)?;
        self.called_at = called_at;
        self.variables = outside;
        self.depth -= 1;
        Ok(())
    }
}
