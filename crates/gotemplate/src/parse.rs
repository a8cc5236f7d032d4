//! Tokens to a tree: actions that hold others, and the end of each. What stands inside an action is
//! read by `pipeline`.

mod literal;
mod pipeline;

use crate::Error;
use crate::lex::{self, Fault, Kind, Token};
use crate::syntax::{At, Body, Branch, BranchKind, Node};
use crate::value::Functions;

/// How deep actions, and parentheses in them, may be nested.
const DEEPEST: usize = 60;

/// The templates that `text` defines, its own first.
///
/// # Errors
/// The first place where it is no template.
pub fn source(index: usize, name: &str, text: &str, functions: &Functions) -> Result<Vec<(String, Body)>, Error> {
    let (tokens, fault) = lex::tokens(text);
    let mut parser = Parser {
        source: index,
        tokens: &tokens,
        next: 0,
        fault,
        functions,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        defined: Vec::new(),
    };
    let (body, end) = parser.body(true)?;
    if let Stop::Else(at) | Stop::End(at) = end {
        return Err(parser.error(at, format!("\"{}\" belongs to no action", end.word())));
    }
    let mut all = vec![(name.to_owned(), body)];
    for (name, body, at) in std::mem::take(&mut parser.defined) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            None => all.push((name, body)),
            Some((_, known)) if known.is_empty() => *known = body,
            Some(_) if body.is_empty() => {}
            Some(_) => return Err(parser.error(at, format!("the template {name:?} is defined twice"))),
        }
    }
    Ok(all)
}

/// What ended a body.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// The end of the source.
    Source,
    /// `else`, whose word stands here; what follows it is not read yet.
    Else(usize),
    /// `end`.
    End(usize),
}

impl Stop {
    fn word(self) -> &'static str {
        match self {
            Self::Source => "the end of the file",
            Self::Else(_) => "else",
            Self::End(_) => "end",
        }
    }
}

struct Parser<'t> {
    source: usize,
    tokens: &'t [Token<'t>],
    next: usize,
    fault: Option<Fault>,
    functions: &'t Functions,
    /// The variables that can be used here.
    variables: Vec<String>,
    /// How many `range` actions are open.
    ranges: usize,
    depth: usize,
    defined: Vec<(String, Body, usize)>,
}

impl<'t> Parser<'t> {
    fn error(&self, at: usize, message: impl Into<String>) -> Error {
        Error { source_index: self.source, at, message: message.into() }
    }

    fn at(&self, byte: usize) -> At {
        At { source: self.source, byte }
    }

    /// The next token, not taken.
    fn peek(&self) -> Result<Token<'t>, Error> {
        match (self.tokens.get(self.next), &self.fault) {
            (Some(token), _) => Ok(*token),
            (None, Some(fault)) => Err(self.error(fault.at, fault.message.clone())),
            (None, None) => Ok(self.tokens.last().copied().unwrap_or(Token { kind: Kind::End, text: "", at: 0 })),
        }
    }

    fn take(&mut self) -> Result<Token<'t>, Error> {
        let token = self.peek()?;
        self.next += 1;
        Ok(token)
    }

    /// The next token that is no white space, not taken.
    fn peek_solid(&mut self) -> Result<Token<'t>, Error> {
        while self.peek()?.kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take_solid(&mut self) -> Result<Token<'t>, Error> {
        self.peek_solid()?;
        self.take()
    }

    fn expect(&mut self, kind: Kind, what: &str) -> Result<Token<'t>, Error> {
        let token = self.take_solid()?;
        match token.kind == kind {
            true => Ok(token),
            false => Err(self.error(token.at, format!("{what} was expected, not {}", shown(token)))),
        }
    }

    fn deeper(&mut self, at: usize) -> Result<(), Error> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self.error(at, "this is nested too deeply")),
            false => Ok(()),
        }
    }

    /// Everything up to an `else` or `end` that belongs to somebody else, or to the end.
    fn body(&mut self, is_top: bool) -> Result<(Body, Stop), Error> {
        let mut body = Body::default();
        loop {
            let token = self.take()?;
            match token.kind {
                Kind::Text => body.nodes.push(Node::Text { text: token.text.to_owned(), at: self.at(token.at) }),
                Kind::Open => {
                    let word = self.peek_solid()?;
                    match (word.kind, word.text) {
                        (Kind::Word, "end") => {
                            self.take()?;
                            self.expect(Kind::Close, "\"}}\"")?;
                            return Ok((body, Stop::End(word.at)));
                        }
                        (Kind::Word, "else") => {
                            self.take()?;
                            return Ok((body, Stop::Else(word.at)));
                        }
                        (Kind::Word, "define") if is_top => self.define()?,
                        _ => body.nodes.push(self.action(word)?),
                    }
                }
                Kind::End => return Ok((body, Stop::Source)),
                _ => return Err(self.error(token.at, format!("{} cannot stand here", shown(token)))),
            }
        }
    }

    /// One action, of which `word` is the first token.
    fn action(&mut self, word: Token<'t>) -> Result<Node, Error> {
        let keyword = if word.kind == Kind::Word { word.text } else { "" };
        match keyword {
            "if" => self.branch(BranchKind::If),
            "with" => self.branch(BranchKind::With),
            "range" => self.branch(BranchKind::Range),
            "template" => self.call(),
            "block" => self.block(),
            "break" | "continue" => {
                self.take()?;
                self.expect(Kind::Close, "\"}}\"")?;
                match (self.ranges, keyword) {
                    (0, _) => Err(self.error(word.at, format!("\"{keyword}\" is in no \"range\""))),
                    (_, "break") => Ok(Node::Break),
                    _ => Ok(Node::Continue),
                }
            }
            "define" => Err(self.error(word.at, "\"define\" cannot stand inside another action")),
            _ => self.pipeline("the action", Kind::Close).map(Node::Print),
        }
    }

    fn branch(&mut self, kind: BranchKind) -> Result<Node, Error> {
        let word = self.take()?;
        self.branch_after(kind, word.at)
    }

    /// `if`, `with` or `range` behind its word.
    fn branch_after(&mut self, kind: BranchKind, at: usize) -> Result<Node, Error> {
        self.deeper(at)?;
        let known = self.variables.len();
        let context = match kind {
            BranchKind::If => "if",
            BranchKind::With => "with",
            BranchKind::Range => "range",
        };
        let on = self.pipeline(context, Kind::Close)?;
        self.ranges += usize::from(kind == BranchKind::Range);
        let (then, mut end) = self.body(false)?;
        self.ranges -= usize::from(kind == BranchKind::Range);
        let mut otherwise = None;
        if let Stop::Else(_) = end {
            let next = self.peek_solid()?;
            let again = matches!(
                (kind, next.kind, next.text),
                (BranchKind::If, Kind::Word, "if") | (BranchKind::With, Kind::Word, "with")
            );
            if again {
                let inner = self.branch(kind)?;
                otherwise = Some(Body { nodes: vec![inner] });
                end = Stop::End(next.at);
            } else {
                self.expect(Kind::Close, "\"}}\"")?;
                let (body, ends) = self.body(false)?;
                otherwise = Some(body);
                end = ends;
                if let Stop::Else(at) = end {
                    return Err(self.error(at, format!("\"{context}\" has a second \"else\"")));
                }
            }
        }
        self.depth -= 1;
        self.variables.truncate(known);
        match end {
            Stop::Source => Err(self.error(at, format!("\"{context}\" has no \"{{{{end}}}}\""))),
            _ => Ok(Node::Branch(Box::new(Branch { kind, on, then, otherwise }))),
        }
    }

    /// A template's name, as a quoted text.
    fn template_name(&mut self) -> Result<(String, usize), Error> {
        let token = self.take_solid()?;
        let name = match token.kind {
            Kind::Quoted | Kind::Raw => literal::text(token.text),
            _ => None,
        };
        match name {
            Some(name) => Ok((name, token.at)),
            None => {
                Err(self.error(token.at, format!("a template's name in quotes was expected, not {}", shown(token))))
            }
        }
    }

    fn call(&mut self) -> Result<Node, Error> {
        let at = self.take()?.at;
        let (name, _) = self.template_name()?;
        let with = match self.peek_solid()?.kind {
            Kind::Close => {
                self.take()?;
                None
            }
            _ => Some(self.pipeline("template", Kind::Close)?),
        };
        Ok(Node::Call { name, with, at: self.at(at) })
    }

    /// A definition and a call of it at once.
    fn block(&mut self) -> Result<Node, Error> {
        let at = self.take()?.at;
        let (name, _) = self.template_name()?;
        let with = self.pipeline("block", Kind::Close)?;
        self.definition(name.clone(), at, "block")?;
        Ok(Node::Call { name, with: Some(with), at: self.at(at) })
    }

    fn define(&mut self) -> Result<(), Error> {
        let at = self.take()?.at;
        let (name, _) = self.template_name()?;
        self.expect(Kind::Close, "\"}}\"")?;
        self.definition(name, at, "define")
    }

    /// The body of a template of its own, which knows no variables from outside.
    fn definition(&mut self, name: String, at: usize, word: &str) -> Result<(), Error> {
        self.deeper(at)?;
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, end) = self.body(false)?;
        self.variables = outside;
        self.ranges = ranges;
        self.depth -= 1;
        match end {
            Stop::End(_) => {}
            Stop::Source => return Err(self.error(at, format!("\"{word}\" has no \"{{{{end}}}}\""))),
            Stop::Else(at) => return Err(self.error(at, format!("\"else\" cannot stand in \"{word}\""))),
        }
        match self.defined.iter_mut().find(|(known, ..)| *known == name) {
            None => self.defined.push((name, body, at)),
            Some((_, known, _)) if known.is_empty() => *known = body,
            Some(_) if body.is_empty() => {}
            Some(_) => return Err(self.error(at, format!("the template {name:?} is defined twice"))),
        }
        Ok(())
    }
}

/// A token as a message shows it.
fn shown(token: Token<'_>) -> String {
    match token.kind {
        Kind::End => "the end of the file".to_owned(),
        Kind::Space => "white space".to_owned(),
        _ => format!("{:?}", token.text),
    }
}
