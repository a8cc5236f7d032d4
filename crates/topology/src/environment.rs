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

/// What a piece of the text is to the expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    /// A name with its `$`, or, right behind `${`, without.
    Variable,
    /// `${`.
    Open,
    /// `}`.
    Close,
    Operator(Operator),
    /// The line, or the text, ends where a `}` is missing.
    Unclosed,
}

/// A piece of the text, in characters.
#[derive(Debug, Clone, Copy)]
struct Piece {
    sort: Sort,
    from: usize,
    to: usize,
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

/// What the next characters are read as.
enum State {
    Text,
    Variable,
    Braces,
}

/// Cuts a text into pieces.
struct Cutter<'a> {
    chars: &'a [char],
    pieces: Vec<Piece>,
    at: usize,
    from: usize,
    /// How many `${` are open; what follows a name is read as inside of them.
    open: usize,
}

impl Cutter<'_> {
    fn cut(chars: &[char]) -> Vec<Piece> {
        let mut cutter = Cutter { chars, pieces: Vec::new(), at: 0, from: 0, open: 0 };
        let mut state = Some(State::Text);
        while let Some(now) = state {
            state = match now {
                State::Text => cutter.text(),
                State::Variable => Some(cutter.variable()),
                State::Braces => Some(cutter.braces()),
            };
        }
        cutter.pieces
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn put(&mut self, sort: Sort) {
        self.pieces.push(Piece { sort, from: self.from, to: self.at });
        self.from = self.at;
    }

    /// Text up to a `$` that begins something; `None` at the end of it all.
    fn text(&mut self) -> Option<State> {
        while let Some(c) = self.next() {
            if c != '$' {
                continue;
            }
            self.at -= 1;
            if self.at > self.from {
                self.put(Sort::Text);
            }
            self.at += 1;
            match self.peek() {
                Some('$') => {
                    self.from = self.at;
                    self.at += 1;
                    self.put(Sort::Text);
                }
                Some('{') => {
                    self.at += 1;
                    if !self.peek().is_some_and(char::is_numeric) {
                        self.open += 1;
                        self.put(Sort::Open);
                        return Some(State::Braces);
                    }
                }
                Some(c) if c.is_numeric() => self.at += 1,
                Some(c) if in_name(c) => return Some(State::Variable),
                _ => {}
            }
        }
        if self.at > self.from {
            self.put(Sort::Text);
        }
        None
    }

    /// The rest of a name. A lone `_` is none, and what follows it is text again, also in braces.
    fn variable(&mut self) -> State {
        while self.peek().is_some_and(in_name) {
            self.at += 1;
        }
        if matches!(self.chars[self.from..self.at], ['_'] | ['$', '_']) {
            return State::Text;
        }
        self.put(Sort::Variable);
        if self.open > 0 { State::Braces } else { State::Text }
    }

    /// One piece between `${` and `}`.
    fn braces(&mut self) -> State {
        let right_behind = self.pieces.last().is_some_and(|last| last.sort == Sort::Open);
        let sort = match self.next() {
            Some('}') => {
                self.open -= 1;
                self.put(Sort::Close);
                return State::Text;
            }
            None | Some('\n' | '\r') => {
                self.put(Sort::Unclosed);
                self.open = 0;
                return State::Text;
            }
            Some('$') => return State::Variable,
            Some(c) if right_behind && in_name(c) => return State::Variable,
            Some('+') => Sort::Operator(Operator::Set),
            Some('-' | '=') => Sort::Operator(Operator::Unset),
            Some(':') => match self.next() {
                Some('-' | '=') => Sort::Operator(Operator::Empty),
                Some('+') => Sort::Operator(Operator::Set),
                _ => Sort::Text,
            },
            Some(_) => Sort::Text,
        };
        self.put(sort);
        State::Braces
    }
}

struct Expansion<'a> {
    chars: &'a [char],
    from: &'a OtherText<'a>,
    environment: &'a Environment,
    out: Text,
    unclosed: Vec<Unclosed>,
}

impl Expansion<'_> {
    fn run(&mut self) {
        let pieces = Cutter::cut(self.chars);
        let (mut at, mut opened) = (0, 0);
        while let Some(piece) = pieces.get(at) {
            at += 1;
            match piece.sort {
                Sort::Open => {
                    opened = piece.from;
                    match pieces.get(at).filter(|next| next.sort == Sort::Variable) {
                        Some(name) => at = self.braced(&pieces, at + 1, (piece.from, name)),
                        None => self.copy(piece.from, piece.to),
                    }
                }
                Sort::Variable => self.variable(piece),
                Sort::Unclosed => {
                    self.unclosed.push(Unclosed(opened));
                    self.copy(piece.from, piece.to);
                }
                _ => self.copy(piece.from, piece.to),
            }
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.out.copy_of(self.from, from, to);
    }

    fn written(&self, piece: &Piece) -> String {
        self.chars[piece.from..piece.to].iter().collect()
    }

    /// `$name`, which stays when it is not set or empty.
    fn variable(&mut self, piece: &Piece) {
        let written = self.written(piece);
        let value = self.environment.get(written.trim_start_matches('$')).filter(|value| !value.is_empty());
        match value {
            Some(value) => self.out.replace_of(self.from, value, piece.from),
            None => self.copy(piece.from, piece.to),
        }
    }

    /// A `${name…}` whose `${` is at `opened`, from the piece behind its name on; the piece behind its end.
    fn braced(&mut self, pieces: &[Piece], mut at: usize, (opened, name): (usize, &Piece)) -> usize {
        let (mut operator, mut instead) = (None, None);
        loop {
            let sort = pieces.get(at).map_or(Sort::Unclosed, |piece| piece.sort);
            match sort {
                Sort::Close => break,
                Sort::Unclosed => {
                    self.unclosed.push(Unclosed(opened));
                    self.copy(opened, pieces.get(at).map_or(self.chars.len(), |piece| piece.to));
                    return at + 1;
                }
                Sort::Variable => {
                    let written = self.written(&pieces[at]);
                    instead = Some(Instead::Variable(written.trim_start_matches('$').to_owned()));
                }
                Sort::Text => {
                    let ends = |piece: &Piece| matches!(piece.sort, Sort::Close | Sort::Unclosed);
                    let rest = pieces[at..].iter().take_while(|piece| !ends(piece));
                    let text: Vec<String> = rest.map(|piece| self.written(piece)).collect();
                    at += text.len() - 1;
                    instead = Some(Instead::Text(text.concat()));
                }
                Sort::Operator(found) => operator = Some(found),
                Sort::Open => {}
            }
            at += 1;
        }
        let value = self.chosen(&self.written(name), operator, instead);
        self.out.replace_of(self.from, &value, opened);
        at + 1
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
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
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
    fn braces_that_hold_no_variable_still_end_on_their_line() {
        assert_eq!(expanded("${ $V}/${}$V ${}"), "${ value}/${}value ${}");
        assert_eq!(expanded("${_}$V}"), "${_}value}");
        for text in ["a${\n$V }", "${ V\n", "${", "${_ $V\n"] {
            let environment = [("V".to_owned(), "value".to_owned())].into();
            assert_eq!(expand(&Text::whole(text), &environment).1.len(), 1, "{text:?}");
        }
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
