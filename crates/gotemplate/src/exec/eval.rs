//! What a pipeline amounts to: operands, fields, function calls.

use super::{Run, error};
use crate::Error;
use crate::syntax::{At, Command, Operand, Pipeline, Term};
use crate::value::{Call, Function, Key, Named, Namespace, Param, Value};

impl<'t> Run<'t> {
    /// The value of a pipeline, which also goes to the variables that it names.
    pub(super) fn pipeline(&mut self, dot: &Value, pipeline: &'t Pipeline) -> Result<Value, Error> {
        self.deeper(pipeline.at)?;
        let mut value: Option<Value> = None;
        for command in &pipeline.commands {
            value = Some(self.command(dot, command, value)?.dug());
        }
        self.depth -= 1;
        let value = value.unwrap_or(Value::Missing);
        for name in &pipeline.variables {
            match pipeline.assigns {
                true => self.assign(name, value.clone(), pipeline.at)?,
                false => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    /// The value of a command that is given the value of the one before it, if there is one.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Result<Value, Error> {
        let Some((first, arguments)) = command.operands.split_first() else { return Ok(Value::Missing) };
        self.step(first.at)?;
        if let Term::Function(name) = &first.term {
            return self.function(dot, name, first.at, arguments, last);
        }
        if let Term::Chain(inner, fields) = &first.term {
            let value = self.operand(dot, inner)?;
            return self.chain(dot, value, fields, first.at, arguments, last);
        }
        if !arguments.is_empty() || last.is_some() {
            return Err(error(first.at, "only a function can be given arguments"));
        }
        if matches!(first.term, Term::Nil) {
            return Err(error(first.at, "nil is not a command"));
        }
        self.operand(dot, first)
    }

    /// The value of an operand without arguments.
    fn operand(&mut self, dot: &Value, operand: &'t Operand) -> Result<Value, Error> {
        let at = operand.at;
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Constant(value) => Ok(value.clone()),
            Term::TooLarge(text) => Err(error(at, format!("the number {text} is too large"))),
            Term::Field(fields) => self.chain(dot, dot.clone(), fields, at, &[], None),
            Term::Variable(name, fields) => {
                let value = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = value.map_or(Value::Missing, |(_, value)| value.clone());
                self.chain(dot, value, fields, at, &[], None)
            }
            Term::Function(name) => self.function(dot, name, at, &[], None),
            Term::Pipeline(pipeline) => self.pipeline(dot, pipeline),
            Term::Chain(inner, fields) => {
                if matches!(inner.term, Term::Nil) {
                    return Err(error(at, "nil has no fields"));
                }
                let value = self.operand(dot, inner)?;
                self.chain(dot, value, fields, at, &[], None)
            }
        }
    }

    /// A field of a field of `value`; the last may be a function, which is given the arguments.
    fn chain(
        &mut self,
        dot: &Value,
        value: Value,
        fields: &'t [String],
        at: At,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        let mut value = value;
        for (index, field) in fields.iter().enumerate() {
            if let Value::Namespace(namespace) = value {
                let is_last = index + 1 == fields.len();
                let given = if is_last { (arguments, last.clone()) } else { (&[][..], None) };
                value = self.named(dot, namespace, field, at, given)?;
                if is_last {
                    return Ok(value);
                }
                continue;
            }
            value = field_of(&value, field, at)?;
        }
        match arguments.is_empty() && last.is_none() {
            true => Ok(value),
            false => Err(error(at, "only a function can be given arguments")),
        }
    }

    /// A function of a namespace.
    fn named(
        &mut self,
        dot: &Value,
        namespace: &'static Namespace,
        name: &str,
        at: At,
        (arguments, last): (&'t [Operand], Option<Value>),
    ) -> Result<Value, Error> {
        match namespace.functions.iter().find(|(known, _)| *known == name) {
            Some((_, function)) => {
                let full = format!("{}.{name}", namespace.name);
                self.run(dot, &full, *function, at, arguments, last)
            }
            None => {
                let known: Vec<&str> = namespace.functions.iter().map(|(name, _)| *name).collect();
                let message = format!("there is no function {}.{name}; there are {}", namespace.name, known.join(", "));
                Err(error(at, message))
            }
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        at: At,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        match self.functions.get(name) {
            Some(Named::Namespace(namespace)) if arguments.is_empty() && last.is_none() => {
                Ok(Value::Namespace(namespace))
            }
            Some(Named::Namespace(_)) => Err(error(at, format!("{name} is no function: write {name}.…"))),
            Some(Named::Function(function)) => match name {
                "and" | "or" => self.short(dot, name, at, arguments, last),
                _ => self.run(dot, name, function, at, arguments, last),
            },
            None => Err(error(at, format!("there is no function {name:?}"))),
        }
    }

    /// `and` and `or`, which evaluate no more than they need.
    fn short(
        &mut self,
        dot: &Value,
        name: &str,
        at: At,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        if arguments.is_empty() && last.is_none() {
            return Err(error(at, format!("{name} needs an argument")));
        }
        let mut value = Value::Missing;
        for argument in arguments {
            value = self.argument(dot, argument, Param::Raw)?;
            if value.is_true() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Calls a function, with the value of the command before it as its last argument.
    fn run(
        &mut self,
        dot: &Value,
        name: &str,
        function: Function,
        at: At,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        let given = arguments.len() + usize::from(last.is_some());
        let wanted = function.fixed.len();
        if given < wanted || (given > wanted && function.rest.is_none()) {
            let least = if function.rest.is_some() { "at least " } else { "" };
            let s = if wanted == 1 { "" } else { "s" };
            return Err(error(at, format!("{name} takes {least}{wanted} argument{s}, not {given}")));
        }
        let param = |index: usize| function.fixed.get(index).copied().or(function.rest).unwrap_or(Param::Any);
        let mut values = Vec::with_capacity(given);
        for (index, argument) in arguments.iter().enumerate() {
            values.push(self.argument(dot, argument, param(index))?);
        }
        if let Some(last) = last {
            values.push(fitted(last, param(values.len()), at)?);
        }
        let call = Call { arguments: &values, room: self.room };
        let value = (function.run)(&call).map_err(|why| error(at, format!("{name}: {why}")))?;
        self.spend(at, size(&value))?;
        Ok(value)
    }

    fn argument(&mut self, dot: &Value, operand: &'t Operand, param: Param) -> Result<Value, Error> {
        if param == Param::Text && matches!(operand.term, Term::Nil) {
            return Err(error(operand.at, "a text was expected, not nil"));
        }
        self.step(operand.at)?;
        let value = self.operand(dot, operand)?;
        fitted(value, param, operand.at)
    }
}

/// How much room a new value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len().saturating_mul(16),
        _ => 0,
    }
}

/// The value as the parameter takes it.
fn fitted(value: Value, param: Param, at: At) -> Result<Value, Error> {
    match (param, value) {
        (Param::Any, Value::Missing) => Ok(Value::Nil),
        (Param::Any, value) => Ok(value),
        (Param::Raw, value) => Ok(value.dug()),
        (Param::Text, value @ Value::Text(_)) => Ok(value),
        (Param::Text, value) => Err(error(at, format!("a text was expected, not {}", value.sort()))),
    }
}

fn field_of(value: &Value, field: &str, at: At) -> Result<Value, Error> {
    match value {
        Value::Missing => Ok(Value::Missing),
        Value::Map(map) => Ok(map.entries().get(&Key::Text(field.into())).cloned().unwrap_or(Value::Missing)),
        other => Err(error(at, format!("{} has no field {field:?}", other.sort()))),
    }
}
