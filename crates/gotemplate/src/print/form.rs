//! Formats: `printf`.

use super::Sink;
use super::verb::{self, Flags};
use crate::value::Value;

/// The largest width or precision.
const LARGEST: usize = 1_000_000;

/// Go's `fmt.Sprintf`. What does not fit is told in the text, as Go does.
///
/// # Errors
/// When it is longer than `room` bytes.
pub fn printf(form: &str, values: &[Value], room: usize) -> Result<String, String> {
    let mut format = Format { rest: form, values, next: 0, reordered: false, index_is_good: true };
    let mut sink = Sink::new(room);
    while let Some(at) = format.rest.find('%') {
        sink.push(&format.rest[..at])?;
        format.rest = &format.rest[at + 1..];
        format.directive(&mut sink)?;
    }
    sink.push(format.rest)?;
    if !format.reordered && format.next < values.len() {
        sink.push("%!(EXTRA ")?;
        for (index, value) in values[format.next..].iter().enumerate() {
            if index > 0 {
                sink.push(", ")?;
            }
            if !matches!(value, Value::Missing | Value::Nil) {
                sink.push(verb::type_name(value))?;
                sink.push("=")?;
            }
            verb::value(&mut sink, value, 'v', &Flags::default())?;
        }
        sink.push(")")?;
    }
    Ok(sink.out)
}

struct Format<'f> {
    rest: &'f str,
    values: &'f [Value],
    next: usize,
    reordered: bool,
    index_is_good: bool,
}

impl Format<'_> {
    /// What stands behind a `%`.
    fn directive(&mut self, sink: &mut Sink) -> Result<(), String> {
        let mut flags = self.flags();
        self.index_is_good = true;
        let mut after_index = self.index();
        match self.star() {
            Some(width) => {
                match width {
                    Some(width) => {
                        flags.minus |= width < 0;
                        flags.zero &= width >= 0;
                        flags.width = usize::try_from(width.unsigned_abs()).ok();
                    }
                    None => sink.push("%!(BADWIDTH)")?,
                }
                after_index = false;
            }
            None => {
                flags.width = self.number();
                if after_index && flags.width.is_some() {
                    self.index_is_good = false;
                }
            }
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            if after_index {
                self.index_is_good = false;
            }
            after_index = self.index();
            match self.star() {
                Some(precision) => {
                    match precision {
                        Some(precision) => flags.precision = usize::try_from(precision).ok(),
                        None => sink.push("%!(BADPREC)")?,
                    }
                    after_index = false;
                }
                None => flags.precision = Some(self.number().unwrap_or(0)),
            }
        }
        if !after_index {
            self.index();
        }
        self.verb(sink, &flags)
    }

    fn verb(&mut self, sink: &mut Sink, flags: &Flags) -> Result<(), String> {
        let Some(verb) = self.rest.chars().next() else { return sink.push("%!(NOVERB)") };
        self.rest = &self.rest[verb.len_utf8()..];
        let refused = |why: &str| format!("%!{verb}({why})");
        match self.values.get(self.next) {
            _ if verb == '%' => sink.push("%"),
            _ if !self.index_is_good => sink.push(&refused("BADINDEX")),
            None => sink.push(&refused("MISSING")),
            Some(value) => {
                self.next += 1;
                verb::value(sink, value, verb, flags)
            }
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            match self.rest.chars().next() {
                Some('#') => flags.sharp = true,
                Some('0') => flags.zero = true,
                Some('+') => flags.plus = true,
                Some('-') => flags.minus = true,
                Some(' ') => flags.space = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        flags.zero &= !flags.minus;
        flags
    }

    fn number(&mut self) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return None;
        }
        self.rest = rest;
        digits.parse().ok().filter(|number| *number <= LARGEST)
    }

    /// `[n]`, which names the value that comes next; whether there was one.
    fn index(&mut self) -> bool {
        let Some(inner) = self.rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some(end) = inner.find(']') else {
            self.index_is_good = false;
            self.rest = inner;
            return false;
        };
        match inner[..end].parse::<usize>() {
            Ok(number) if number >= 1 && number <= self.values.len() => self.next = number - 1,
            _ => self.index_is_good = false,
        }
        self.rest = &inner[end + 1..];
        true
    }

    /// `*`, which takes a number from the values; the inner `None` when that is none.
    fn star(&mut self) -> Option<Option<i64>> {
        self.rest = self.rest.strip_prefix('*')?;
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        Some(match value {
            Some(Value::Int(number)) if number.unsigned_abs() <= LARGEST as u64 => Some(*number),
            Some(Value::Uint(number)) if *number <= LARGEST as u64 => i64::try_from(*number).ok(),
            _ => None,
        })
    }
}
