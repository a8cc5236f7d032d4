//! Expansion of environment variables over the text of a file: `$v`, `${v}`, `${v-d}`, `${v:-d}`,
//! `${v=d}`, `${v:=d}`, `${v+o}`, `${v:+o}` and the escape `$$`, all as containerlab does it, with
//! its oddities: a variable that is not set, or empty, and has no default becomes `$v`; a default
//! is text as written, or one variable alone; the first `}` ends it. Knows nothing of YAML.

use std::collections::BTreeMap;

use crate::source::{OtherText, Text};

/// Environment variables by name, as handed in.
pub type Environment = BTreeMap<String, String>;

/// A `${` whose `}` is missing on its line: where it stands in the text, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed(pub usize);

/// Expands `text`. What comes out keeps its places; every `${` without an end is named.
pub fn expand(text: &Text, environment: &Environment) -> (Text, Vec<Unclosed>) {
    let from = OtherText::new(text);
    let mut expansion =
        Expansion { chars: &from.chars, from: &from, environment, out: text.emptied(), unclosed: Vec::new() };
    expansion.run();
    (expansion.out, expansion.unclosed)
}

struct Expansion<'a> {
    chars: &'a [char],
    from: &'a OtherText<'a>,
    environment: &'a Environment,
    out: Text,
    unclosed: Vec<Unclosed>,
}

/// What stands behind a variable's name in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `-` and `=`: for a variable that is not set.
    Unset,
    /// `:-` and `:=`: for one that is not set or empty.
    Empty,
    /// `+` and `:+`: for one that is set.
    Set,
}

/// What is taken instead of a variable's value.
enum Instead {
    Text(String),
    Variable(String),
}

impl Expansion<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.chars.len() {
            let next = self.chars[at..].iter().position(|c| *c == '$').map_or(self.chars.len(), |found| at + found);
            self.copy(at, next);
            at = if next < self.chars.len() { self.dollar(next) } else { next };
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.out.copy_of(self.from, from, to);
    }

    fn replace(&mut self, with: &str, at: usize) {
        self.out.replace_of(self.from, with, at);
    }

    /// The `$` at `at` and what belongs to it; where that ends.
    fn dollar(&mut self, at: usize) -> usize {
        match self.chars.get(at + 1) {
            Some('$') => {
                self.copy(at + 1, at + 2);
                at + 2
            }
            Some('{') => self.braced(at),
            Some(c) if begins_name(*c) => {
                let end = self.name_end(at + 1);
                self.variable(at, end);
                end
            }
            _ => {
                self.copy(at, at + 1);
                at + 1
            }
        }
    }

    /// `$name`, which stays when it is not set or empty.
    fn variable(&mut self, at: usize, end: usize) {
        match self.environment.get(&string(&self.chars[at + 1..end])).filter(|value| !value.is_empty()) {
            Some(value) => self.replace(&value.clone(), at),
            None => self.copy(at, end),
        }
    }

    /// A `${…}` at `at`.
    fn braced(&mut self, at: usize) -> usize {
        let name_end = self.name_end(at + 2);
        let begins = self.chars.get(at + 2).is_some_and(|c| begins_name(*c));
        if !begins || string(&self.chars[at + 2..name_end]) == "_" {
            self.copy(at, at + 2);
            return at + 2;
        }
        let name = string(&self.chars[at + 2..name_end]);
        match self.rest(name_end) {
            Some((operator, instead, end)) => {
                let value = self.chosen(&name, operator, instead);
                self.replace(&value, at);
                end
            }
            None => {
                self.unclosed.push(Unclosed(at));
                self.copy(at, at + 2);
                at + 2
            }
        }
    }

    /// What stands between the name and the `}`, and where the whole ends; `None` when the line
    /// ends first.
    fn rest(&self, from: usize) -> Option<(Option<Operator>, Option<Instead>, usize)> {
        let (mut operator, mut instead) = (None, None);
        let mut at = from;
        loop {
            let c = *self.chars.get(at).filter(|c| !matches!(c, '\n' | '\r'))?;
            let second = self.chars.get(at + 1);
            let (found, length) = match (c, second) {
                ('}', _) => return Some((operator, instead, at + 1)),
                ('-' | '=', _) => (Some(Operator::Unset), 1),
                ('+', _) => (Some(Operator::Set), 1),
                (':', Some('-' | '=')) => (Some(Operator::Empty), 2),
                (':', Some('+')) => (Some(Operator::Set), 2),
                _ => (None, 0),
            };
            if found.is_some() {
                operator = found;
                at += length;
            } else if c == '$' {
                let end = self.name_end(at + 1);
                instead = Some(Instead::Variable(string(&self.chars[at + 1..end])));
                at = end;
            } else {
                let end = self.text_end(at)?;
                instead = Some(Instead::Text(string(&self.chars[at..end])));
                at = end;
            }
        }
    }

    /// Where a default's text ends: at the next `}`, but a `:` takes what follows it along.
    fn text_end(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            match self.chars.get(at)? {
                '}' => return Some(at),
                '\n' | '\r' => return None,
                ':' => at += 2,
                _ => at += 1,
            }
        }
    }

    fn chosen(&self, name: &str, operator: Option<Operator>, instead: Option<Instead>) -> String {
        let (Some(operator), Some(instead)) = (operator, instead) else { return self.value(name) };
        let value = self.environment.get(name);
        let taken = match operator {
            Operator::Empty => value.is_none_or(String::is_empty),
            Operator::Unset => value.is_none(),
            Operator::Set if value.is_none() => return String::new(),
            Operator::Set => true,
        };
        match (taken, instead) {
            (false, _) => self.value(name),
            (true, Instead::Text(text)) => text,
            (true, Instead::Variable(name)) => self.value(&name),
        }
    }

    /// The value of a variable without a default: its `$name` when it is not set or empty.
    fn value(&self, name: &str) -> String {
        let value = self.environment.get(name).filter(|value| !value.is_empty());
        value.cloned().unwrap_or_else(|| format!("${name}"))
    }

    fn name_end(&self, from: usize) -> usize {
        let rest = self.chars.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count()
    }
}

fn begins_name(c: char) -> bool {
    (c.is_alphabetic() || c == '_') && !c.is_numeric()
}

fn string(chars: &[char]) -> String {
    chars.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let environment = [("V", "value"), ("E", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        expand(&Text::whole(text), &environment).0.as_str().to_owned()
    }

    #[test]
    fn every_form_of_a_variable_is_expanded() {
        assert_eq!(expanded("a $V ${V} b"), "a value value b");
        assert_eq!(expanded("${V:-d} ${V-d} ${V:=d} ${V=d}"), "value value value value");
        assert_eq!(expanded("${N:-d} ${N-d} ${N:=d} ${N=d e} ${N:-a:b}"), "d d d d e a:b");
        assert_eq!(expanded("${E:-d}/${E-d}/${N:-}"), "d/$E/$N");
        assert_eq!(expanded("${V+o}${V:+o}${N+o}${E:+o}${E+o}"), "oooo");
        assert_eq!(expanded("${N:-$V} ${N:-a}} ${V.x} ${N} $N ${E}"), "value a} value $N $N $E");
    }

    #[test]
    fn a_default_is_text_as_written_or_one_variable() {
        assert_eq!(expanded("${N:-a$V} ${N:-$V/x} ${N:-${V}s}"), "a$V /x {Vs}");
    }

    #[test]
    fn what_is_no_variable_stays() {
        for text in ["$", "$1", "${1}", "$(date)", "$N", "a$", "$E", "$_", "${_}", "${}", "${.}", "${ V}"] {
            assert_eq!(expanded(text), text, "{text}");
        }
        assert_eq!(expanded("$$V $${V} $$$$"), "$V ${V} $$");
    }

    #[test]
    fn a_missing_brace_is_named_where_it_opens() {
        let (_, unclosed) = expand(&Text::whole("a\nb: ${V\nc: }"), &Environment::new());
        assert_eq!(unclosed, [Unclosed(5)]);
    }

    #[test]
    fn places_after_a_long_value_are_the_files_own() {
        let environment = [("V".to_owned(), "1\n2\n3 long".to_owned())].into();
        let (text, _) = expand(&Text::whole("a: $V x\nb: y\n"), &environment);
        let at = text.as_str().find('y').unwrap();
        assert_eq!(text.position(at).to_string(), "2:4");
        let at = text.as_str().find('x').unwrap();
        assert_eq!(text.position(at).to_string(), "1:7");
    }
}
