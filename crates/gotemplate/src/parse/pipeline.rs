//! What stands inside an action: pipelines, commands, operands.

use super::{Parser, literal, shown};
use crate::Error;
use crate::lex::{Kind, Token};
use crate::syntax::{Command, Operand, Pipeline, Term};
use crate::value::Value;

impl<'t> Parser<'t> {
    /// A pipeline up to the token `end`, which is taken. `context` is what it belongs to.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipeline, Error> {
        let first = self.peek_solid()?;
        let (variables, assigns) = self.declarations(context)?;
        let mut pipeline = Pipeline { variables, assigns, commands: Vec::new(), at: self.at(first.at) };
        loop {
            let token = self.peek_solid()?;
            if token.kind == end {
                self.take()?;
                self.complete(&pipeline, context, token)?;
                return Ok(pipeline);
            }
            match token.kind {
                Kind::Word
                | Kind::Field
                | Kind::Dot
                | Kind::Variable
                | Kind::Number
                | Kind::Character
                | Kind::Quoted
                | Kind::Raw
                | Kind::OpenParen => pipeline.commands.push(self.command()?),
                _ => return Err(self.error(token.at, format!("{} cannot stand in {context}", shown(token)))),
            }
        }
    }

    /// `$a :=`, `$a =`, and for `range` two variables.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool), Error> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let token = self.peek_solid()?;
            if token.kind != Kind::Variable {
                break;
            }
            let before = self.next;
            self.take()?;
            let sign = self.peek_solid()?;
            match sign.kind {
                Kind::Declare | Kind::Assign => {
                    self.take()?;
                    names.push(token.text.to_owned());
                    self.variables.push(token.text.to_owned());
                    return Ok((names, sign.kind == Kind::Assign));
                }
                Kind::Other if sign.text == "," => {
                    self.take()?;
                    names.push(token.text.to_owned());
                    self.variables.push(token.text.to_owned());
                    if context != "range" || names.len() >= 2 {
                        return Err(self.error(sign.at, format!("too many variables in {context}")));
                    }
                    let next = self.peek_solid()?;
                    if !matches!(next.kind, Kind::Variable | Kind::Close | Kind::CloseParen) {
                        return Err(self.error(next.at, "\"range\" can only set variables here"));
                    }
                }
                _ => {
                    self.next = before;
                    break;
                }
            }
        }
        Ok((names, false))
    }

    /// The pipeline has commands, and values lead only its first.
    fn complete(&self, pipeline: &Pipeline, context: &str, end: Token<'_>) -> Result<(), Error> {
        if pipeline.commands.is_empty() {
            return Err(self.error(end.at, format!("{context} has no value")));
        }
        for command in &pipeline.commands[1..] {
            if let Some(operand) = command.operands.first().filter(|operand| operand.term.is_constant()) {
                return Err(self.error(operand.at.byte, "a value cannot be given another one by \"|\""));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut operands = Vec::new();
        loop {
            let before = self.peek_solid()?;
            match self.operand()? {
                Some(operand) => operands.push(operand),
                None if operands.is_empty() => return Err(self.error(before.at, "a command is empty")),
                None => {}
            }
            let token = self.peek()?;
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen => break,
                Kind::Pipe => {
                    self.take()?;
                    break;
                }
                _ => return Err(self.error(token.at, format!("{} cannot stand behind an operand", shown(token)))),
            }
        }
        Ok(Command { operands })
    }

    /// A term and the fields of it.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(operand) = self.term()? else { return Ok(None) };
        let mut fields = Vec::new();
        let first = self.peek()?;
        while self.peek()?.kind == Kind::Field {
            fields.push(self.take()?.text[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        let Operand { term, at } = operand;
        let term = match term {
            Term::Field(mut all) => {
                all.extend(fields);
                Term::Field(all)
            }
            Term::Variable(name, mut all) => {
                all.extend(fields);
                Term::Variable(name, all)
            }
            term if term.is_constant() => {
                return Err(self.error(first.at, format!("{} cannot follow a value", shown(first))));
            }
            term => Term::Chain(Box::new(Operand { term, at }), fields),
        };
        Ok(Some(Operand { term, at }))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let token = self.peek_solid()?;
        let unreadable = || format!("{} cannot be read", shown(token));
        let term = match token.kind {
            Kind::Word => match token.text {
                "true" => Term::Constant(Value::Bool(true)),
                "false" => Term::Constant(Value::Bool(false)),
                "nil" => Term::Nil,
                name if self.functions.get(name).is_some() => Term::Function(name.to_owned()),
                name => return Err(self.error(token.at, self.unknown(name))),
            },
            Kind::Dot => Term::Dot,
            Kind::Field => Term::Field(vec![token.text[1..].to_owned()]),
            Kind::Variable => {
                if !self.variables.iter().any(|known| known == token.text) {
                    return Err(self.error(token.at, format!("the variable {} is not declared", token.text)));
                }
                Term::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Number => literal::number(token.text).ok_or_else(|| self.error(token.at, unreadable()))?,
            Kind::Character => literal::character(token.text)
                .map(|c| Term::Constant(Value::Int(i64::from(u32::from(c)))))
                .ok_or_else(|| self.error(token.at, unreadable()))?,
            Kind::Quoted | Kind::Raw => literal::text(token.text)
                .map(|text| Term::Constant(Value::text(text)))
                .ok_or_else(|| self.error(token.at, unreadable()))?,
            Kind::OpenParen => {
                self.take()?;
                self.deeper(token.at)?;
                let inner = self.pipeline("the parentheses", Kind::CloseParen)?;
                self.depth -= 1;
                return Ok(Some(Operand { term: Term::Pipeline(Box::new(inner)), at: self.at(token.at) }));
            }
            _ => return Ok(None),
        };
        self.take()?;
        Ok(Some(Operand { term, at: self.at(token.at) }))
    }

    fn unknown(&self, name: &str) -> String {
        match name {
            "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" | "break" | "continue" => {
                format!("{name:?} must begin an action")
            }
            _ => format!("there is no function {name:?}"),
        }
    }
}
