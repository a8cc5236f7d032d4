//! Numbers, characters and texts as Go writes them.

use crate::number;
use crate::syntax::Term;
use crate::value::Value;

/// The constant that a number's text stands for; `None` when it is none.
pub fn number(text: &str) -> Option<Term> {
    let is_hexadecimal = text.len() > 2 && text.starts_with('0') && text[1..].starts_with(['x', 'X']);
    let looks_like_float = text.contains(['.', 'p', 'P']) || (text.contains(['e', 'E']) && !is_hexadecimal);
    if looks_like_float {
        return number::float(text).map(|number| Term::Constant(Value::Float(number)));
    }
    match number::integer(text) {
        Some(number) => Some(Term::Constant(Value::Int(number))),
        None => number::unsigned(text).map(|_| Term::TooLarge(text.to_owned())),
    }
}

/// The character between two `'`.
pub fn character(text: &str) -> Option<char> {
    let inner = unescaped(text.get(1..text.len().checked_sub(1)?)?, '\'')?;
    let mut chars = inner.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// The text between two `"` or two backquotes.
pub fn text(text: &str) -> Option<String> {
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    match text.starts_with('`') {
        true => Some(inner.replace('\r', "")),
        false => unescaped(inner, '"'),
    }
}

fn unescaped(inner: &str, quote: char) -> Option<String> {
    let mut bytes: Vec<u8> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    let push = |bytes: &mut Vec<u8>, c: char| bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        let escape = chars.next()?;
        let mut digits = |count: usize, radix: u32, first: Option<char>| {
            let text: String = first.into_iter().chain(chars.by_ref().take(count)).collect();
            let whole = text.chars().count() == count + usize::from(first.is_some());
            u32::from_str_radix(&text, radix).ok().filter(|_| whole)
        };
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            c if c == quote => push(&mut bytes, c),
            'x' => bytes.push(u8::try_from(digits(2, 16, None)?).ok()?),
            'u' => push(&mut bytes, char::from_u32(digits(4, 16, None)?)?),
            'U' => push(&mut bytes, char::from_u32(digits(8, 16, None)?)?),
            c @ '0'..='7' => bytes.push(u8::try_from(digits(2, 8, Some(c))?).ok()?),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_those_of_go() {
        assert_eq!(text(r#""a\t\"\x41\101\u00e9\\""#).as_deref(), Some("a\t\"AAé\\"));
        assert_eq!(text("`a\\n`").as_deref(), Some("a\\n"));
        assert_eq!(text(r#""\'""#), None);
        assert_eq!(character(r"'\''"), Some('\''));
        assert_eq!(character("'é'"), Some('é'));
        assert_eq!(character("'ab'"), None);
        for (written, value) in [("0x1F", 31), ("-0b11", -3), ("017", 15), ("1_000", 1000), ("+5", 5)] {
            assert!(matches!(number(written), Some(Term::Constant(Value::Int(n))) if n == value), "{written}");
        }
        assert!(matches!(number("1e3"), Some(Term::Constant(Value::Float(n))) if n == 1000.0));
        assert!(matches!(number("9223372036854775808"), Some(Term::TooLarge(_))));
        assert!(number("08").is_none() && number("1__0").is_none());
    }
}
