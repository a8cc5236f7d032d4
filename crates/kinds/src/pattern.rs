//! Patterns of interface names: read a name to the port's numbers, and write the name of a port.
//! Knows no kind of device.
//!
//! Text stands for itself. `{n}` is a number; `{n+1}` and `{4n-4}` are that number counted
//! otherwise; `{n/4}` with `{n%4}` is a number told as slot and place. `[ ]` is a space that may
//! be left out. `*` is any run of letters, digits, `_` and `.`, `**` any text: a name that fits a
//! pattern with such a part tells no more than its numbers, and cannot be written from them.

use std::collections::BTreeMap;

/// The numbers of a port, by the letters of its patterns.
pub type Numbers = BTreeMap<char, u32>;

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number(char, Form),
    Space,
    Word,
    Any,
}

/// How a number is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Linear { times: i64, plus: i64 },
    Quotient(i64),
    Remainder(i64),
}

/// How strictly a name is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As the kernel compares names: numbers without leading zeros.
    Exact,
    /// Numbers may have leading zeros.
    Padded,
    /// As devices read names: upper and lower case are the same.
    Folded,
}

impl Pattern {
    /// The numbers that `text` tells; `None` when it does not fit.
    pub fn read(&self, text: &str, reading: Reading) -> Option<Numbers> {
        let mut told = Vec::new();
        fit(&self.parts, text, reading, &mut told).then(|| solved(&told))?
    }

    /// The name of the port with these numbers; `None` when the pattern has no such.
    pub fn write(&self, numbers: &Numbers) -> Option<String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Space => {}
                Part::Number(letter, form) => {
                    let number = i64::from(*numbers.get(letter)?);
                    let told = match form {
                        Form::Linear { times, plus } => number * times + plus,
                        Form::Quotient(by) => number / by,
                        Form::Remainder(by) => number % by,
                    };
                    name.push_str(&u32::try_from(told).ok()?.to_string());
                }
                Part::Word | Part::Any => return None,
            }
        }
        Some(name)
    }

    /// The letters of its numbers.
    pub fn letters(&self) -> impl Iterator<Item = char> {
        self.parts.iter().filter_map(|part| match part {
            Part::Number(letter, _) => Some(*letter),
            _ => None,
        })
    }

    /// The pattern for people: `X`, `Y`, `Z` where its numbers stand.
    pub fn shown(&self) -> String {
        let mut letters = ["X", "Y", "Z", "V", "W"].into_iter().cycle();
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Number(..) => letters.next().unwrap_or_default(),
            Part::Space => "",
            Part::Word | Part::Any => "…",
        });
        parts.collect()
    }
}

/// Whether the text is made as the parts say; `told` gets its numbers.
fn fit<'p>(parts: &'p [Part], text: &str, reading: Reading, told: &mut Vec<(&'p Part, i64)>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return text.is_empty() };
    match first {
        Part::Text(wanted) => {
            let found = text.get(..wanted.len()).filter(|found| match reading {
                Reading::Folded => found.eq_ignore_ascii_case(wanted),
                Reading::Exact | Reading::Padded => found == wanted,
            });
            found.is_some() && fit(rest, &text[wanted.len()..], reading, told)
        }
        Part::Number(..) => {
            let (digits, after) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
            let padded = digits.len() > 1 && digits.starts_with('0');
            let Ok(number) = digits.parse::<u32>() else { return false };
            told.push((first, number.into()));
            let fits = !(padded && reading == Reading::Exact) && fit(rest, after, reading, told);
            if !fits {
                told.pop();
            }
            fits
        }
        Part::Space => fit(rest, text.strip_prefix(' ').unwrap_or(text), reading, told),
        Part::Word | Part::Any => {
            let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let mut ends = ends.take_while(|end| *first == Part::Any || text[..*end].chars().all(of_word));
            ends.any(|end| fit(rest, &text[end..], reading, told))
        }
    }
}

/// The port's numbers from the numbers that its name tells.
fn solved(told: &[(&Part, i64)]) -> Option<Numbers> {
    let mut numbers: BTreeMap<char, i64> = BTreeMap::new();
    for (part, told) in told {
        let Part::Number(letter, form) = part else { continue };
        let before = numbers.get(letter).copied();
        let number = match *form {
            Form::Linear { times, plus } if (told - plus) % times == 0 => {
                let number = (told - plus) / times;
                before.is_none_or(|before| before == number).then_some(number)?
            }
            Form::Linear { .. } => return None,
            Form::Quotient(by) => before.unwrap_or(0) + told * by,
            Form::Remainder(by) if *told < by => before.unwrap_or(0) + told,
            Form::Remainder(_) => return None,
        };
        numbers.insert(*letter, number);
    }
    numbers.into_iter().map(|(letter, number)| Some((letter, u32::try_from(number).ok()?))).collect()
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pattern of names: numbers are written {{n}}, {{n+1}}, {{4n-4}}, {{n/4}} or {{n%4}}")]
pub struct BadPattern(String);

impl TryFrom<String> for Pattern {
    type Error = BadPattern;

    fn try_from(written: String) -> Result<Self, BadPattern> {
        let mut parts = Vec::new();
        let mut rest = written.as_str();
        while let Some(first) = rest.chars().next() {
            let (part, after) = match first {
                '{' => {
                    let (inside, after) = rest[1..].split_once('}').ok_or_else(|| BadPattern(written.clone()))?;
                    (number(inside).ok_or_else(|| BadPattern(written.clone()))?, after)
                }
                '[' if rest.starts_with("[ ]") => (Part::Space, &rest[3..]),
                '*' if rest.starts_with("**") => (Part::Any, &rest[2..]),
                '*' => (Part::Word, &rest[1..]),
                _ => {
                    let end = rest.find(['{', '[', '*']).unwrap_or(rest.len()).max(1);
                    (Part::Text(rest[..end].to_owned()), &rest[end..])
                }
            };
            parts.push(part);
            rest = after;
        }
        Ok(Self { parts })
    }
}

/// What stands between the braces.
fn number(inside: &str) -> Option<Part> {
    let (times, rest) = inside.split_at(inside.find(|c: char| !c.is_ascii_digit())?);
    let letter = rest.chars().next().filter(char::is_ascii_lowercase)?;
    let times: i64 = if times.is_empty() { 1 } else { times.parse().ok().filter(|times| *times > 0)? };
    let (sign, by) = rest[1..].split_at(rest[1..].len().min(1));
    let by: i64 = if sign.is_empty() { 0 } else { by.parse().ok().filter(|by| *by > 0)? };
    let form = match (sign, times) {
        ("" | "+", _) => Form::Linear { times, plus: by },
        ("-", _) => Form::Linear { times, plus: -by },
        ("/", 1) => Form::Quotient(by),
        ("%", 1) => Form::Remainder(by),
        _ => return None,
    };
    Some(Part::Number(letter, form))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends by panic")]

    use super::*;

    fn pattern(written: &str) -> Pattern {
        Pattern::try_from(written.to_owned()).unwrap()
    }

    #[test]
    fn a_name_tells_its_numbers_and_the_numbers_their_name() {
        for (written, name, numbers) in [
            ("eth{n}", "eth12", vec![('n', 12)]),
            ("GigabitEthernet{n+1}", "GigabitEthernet2", vec![('n', 1)]),
            ("Ethernet{4n-4}", "Ethernet8", vec![('n', 3)]),
            ("Ethernet{n/4}/{n%4}", "Ethernet2/3", vec![('n', 11)]),
            ("e{l}-{p}-{c}", "e1-2-3", vec![('l', 1), ('p', 2), ('c', 3)]),
        ] {
            let numbers: Numbers = numbers.into_iter().collect();
            assert_eq!(pattern(written).read(name, Reading::Exact).as_ref(), Some(&numbers), "{written}");
            assert_eq!(pattern(written).write(&numbers).as_deref(), Some(name), "{written}");
        }
    }

    #[test]
    fn a_name_that_does_not_fit_tells_nothing() {
        for (written, name) in [
            ("eth{n}", "eth"),
            ("eth{n}", "eth1x"),
            ("eth{n}", "eth01"),
            ("eth{n}", "eth99999999999"),
            ("Gi{n+1}", "Gi0"),
            ("Ethernet{4n-4}", "Ethernet3"),
            ("Ethernet{n/4}/{n%4}", "Ethernet2/4"),
            ("*eth{n}", "a-eth1"),
        ] {
            assert_eq!(pattern(written).read(name, Reading::Exact), None, "{written} {name}");
        }
    }

    #[test]
    fn spaces_zeros_and_case_are_forgiven_where_that_is_asked() {
        let gigabit = pattern("Gi[ ]{n}");
        assert!(gigabit.read("Gi 01", Reading::Padded).is_some() && gigabit.read("Gi1", Reading::Exact).is_some());
        assert!(gigabit.read("gI1", Reading::Padded).is_none() && gigabit.read("gI1", Reading::Folded).is_some());
        assert_eq!(pattern("**et{n}*").read("vtnet12.x", Reading::Exact), Some([('n', 12)].into()));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for written in ["eth{", "eth{}", "eth{N}", "eth{0n}", "{n+}", "{n*2}", "{2n/4}", "{n-0}"] {
            assert!(Pattern::try_from(written.to_owned()).is_err(), "{written}");
        }
    }
}
