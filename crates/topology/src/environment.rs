//! Expansion of environment variables over the text of a file: `$v`, `${v}`, `${v-d}`, `${v:-d}`,
//! `${v=d}`, `${v:=d}`, `${v+o}`, `${v:+o}` and the escape `$$`. A variable that is not set and
//! has no default stays as it is written. Knows nothing of YAML.

use std::collections::BTreeMap;

use crate::source::Text;

/// Environment variables by name, as handed in.
pub type Environment = BTreeMap<String, String>;

/// A `${` whose `}` is missing on its line: where it stands in the file, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed(pub usize);

/// Expands `file`. The text keeps its places; every `${` without an end is named.
pub fn expand(file: &str, environment: &Environment) -> (Text, Vec<Unclosed>) {
    let chars: Vec<char> = file.chars().collect();
    let mut expansion = Expansion { chars: &chars, environment, unclosed: Vec::new() };
    let mut text = Text::of(file);
    let mut at = 0;
    while at < chars.len() {
        let begins = at;
        while at < chars.len() && chars[at] != '$' {
            at += 1;
        }
        text.copy(&string(&chars[begins..at]), begins);
        if at < chars.len() {
            let (value, next) = expansion.dollar(at);
            match value {
                Some(value) => text.replace(&value, at),
                None => text.copy(&string(&chars[at..next]), at),
            }
            at = next;
        }
    }
    (text, expansion.unclosed)
}

struct Expansion<'a> {
    chars: &'a [char],
    environment: &'a Environment,
    unclosed: Vec<Unclosed>,
}

impl Expansion<'_> {
    /// What the `$` at `at` and its followers become (`None`: they stay), and where they end.
    fn dollar(&mut self, at: usize) -> (Option<String>, usize) {
        match self.chars.get(at + 1) {
            Some('$') => (Some("$".into()), at + 2),
            Some('{') => self.braced(at),
            Some(c) if begins_name(*c) => {
                let end = self.name_end(at + 1);
                (self.value(&string(&self.chars[at + 1..end])), end)
            }
            _ => (None, at + 1),
        }
    }

    /// A `${…}` at `at`.
    fn braced(&mut self, at: usize) -> (Option<String>, usize) {
        let Some(close) = self.closing(at + 2) else {
            self.unclosed.push(Unclosed(at));
            return (None, at + 2);
        };
        let name_end = self.name_end(at + 2);
        if name_end == at + 2 || !begins_name(self.chars[at + 2]) {
            return (None, at + 2);
        }
        let name = string(&self.chars[at + 2..name_end]);
        let set = self.environment.get(&name).cloned();
        let colon = self.chars[name_end] == ':';
        let operator = name_end + usize::from(colon);
        let rest = (operator + 1).min(close);
        let usable = set.clone().filter(|value| !(colon && value.is_empty()));
        let value = match self.chars[operator] {
            '-' | '=' => Some(usable.unwrap_or_else(|| self.operand(rest, close))),
            '+' => Some(usable.map_or_else(String::new, |_| self.operand(rest, close))),
            '}' if !colon => self.value(&name),
            _ => None,
        };
        (value, close + 1)
    }

    /// The text from `from` to `to` with its own variables expanded.
    fn operand(&mut self, from: usize, to: usize) -> String {
        let mut out = String::new();
        let mut at = from;
        while at < to {
            if self.chars[at] != '$' {
                out.push(self.chars[at]);
                at += 1;
                continue;
            }
            let (value, next) = self.dollar(at);
            out.push_str(&value.unwrap_or_else(|| string(&self.chars[at..next])));
            at = next;
        }
        out
    }

    /// The place of the `}` that closes what was opened before `from`, on the same line.
    fn closing(&self, from: usize) -> Option<usize> {
        let mut depth = 1;
        for (at, c) in self.chars.iter().enumerate().skip(from) {
            match c {
                '\n' | '\r' => return None,
                '{' if self.chars[at - 1] == '$' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    fn name_end(&self, from: usize) -> usize {
        let length = self.chars[from..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        from + length
    }

    /// The value of a variable that has no default: one that is not set, or empty, stays.
    fn value(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).cloned()
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
        expand(text, &environment).0.as_str().to_owned()
    }

    #[test]
    fn every_form_of_a_variable_is_expanded() {
        assert_eq!(expanded("a $V ${V} b"), "a value value b");
        assert_eq!(expanded("${V:-d} ${V-d} ${V:=d} ${V=d}"), "value value value value");
        assert_eq!(expanded("${N:-d} ${N-d} ${N:=d} ${N=d e}"), "d d d d e");
        assert_eq!(expanded("${E:-d}/${E-d}/${N:-}"), "d//");
        assert_eq!(expanded("${V+o}${V:+o}${N+o}${E:+o}${E+o}"), "ooo");
        assert_eq!(expanded("${N:-$V} ${N:-${V}s} ${N:-a}}"), "value values a}");
    }

    #[test]
    fn what_is_no_variable_stays() {
        for text in ["$", "$1", "${1}", "$(date)", "$N", "${N}", "a$", "$E", "$_", "${V.x}", "${}", "${.}"] {
            assert_eq!(expanded(text), text, "{text}");
        }
        assert_eq!(expanded("$$V $${V} $$$$"), "$V ${V} $$");
    }

    #[test]
    fn a_missing_brace_is_named_where_it_opens() {
        let (_, unclosed) = expand("a\nb: ${V\nc: }", &Environment::new());
        assert_eq!(unclosed, [Unclosed(5)]);
    }

    #[test]
    fn places_after_a_long_value_are_the_files_own() {
        let environment = [("V".to_owned(), "1\n2\n3 long".to_owned())].into();
        let (text, _) = expand("a: $V x\nb: y\n", &environment);
        let at = text.as_str().find('y').unwrap();
        assert_eq!(text.position(at).to_string(), "2:4");
        let at = text.as_str().find('x').unwrap();
        assert_eq!(text.position(at).to_string(), "1:7");
    }
}
