//! One value by one verb of a format.

use super::{Sink, float, is_printable, quoted};
use crate::value::Value;

/// What stands between `%` and the verb.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Writes a value.
pub(super) fn value(sink: &mut Sink, value: &Value, verb: char, flags: &Flags) -> Result<(), String> {
    if verb == 'T' {
        return pad(sink, type_name(value), flags);
    }
    if verb == 'v' && flags.plus {
        // It asks for the names of fields, which no value here has; not for a sign.
        return self::value(sink, value, verb, &Flags { plus: false, ..flags.clone() });
    }
    match value {
        Value::Missing | Value::Nil if verb == 'v' => pad(sink, "<nil>", flags),
        Value::Missing | Value::Nil => bad(sink, value, verb, flags),
        Value::Bool(truth) if matches!(verb, 't' | 'v') => pad(sink, if *truth { "true" } else { "false" }, flags),
        Value::Bool(_) => bad(sink, value, verb, flags),
        Value::Int(number) => whole(sink, value, number.unsigned_abs(), *number < 0, verb, flags),
        Value::Uint(number) => whole(sink, value, *number, false, verb, flags),
        Value::Float(number) => fraction(sink, value, *number, verb, flags),
        Value::Text(text) => characters(sink, value, text, verb, flags),
        Value::List(list) => {
            let [opens, between, closes] = around(value, verb, flags);
            sink.push(&opens)?;
            for (index, item) in list.items().iter().enumerate() {
                if index > 0 {
                    sink.push(&between)?;
                }
                inner(sink, item, verb, flags)?;
            }
            sink.push(&closes)
        }
        Value::Map(map) => {
            let [opens, between, closes] = around(value, verb, flags);
            sink.push(&opens)?;
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    sink.push(&between)?;
                }
                inner(sink, &key.value(), verb, flags)?;
                sink.push(":")?;
                inner(sink, item, verb, flags)?;
            }
            sink.push(&closes)
        }
        Value::Namespace(_) => sink.push("&{}"),
    }
}

/// What stands before, between and behind the items of a list or a map; `%#v` writes them as Go's
/// own source does.
fn around(value: &Value, verb: char, flags: &Flags) -> [String; 3] {
    match (verb, value) {
        ('v', value) if flags.sharp => [format!("{}{{", type_name(value)), ", ".into(), "}".into()],
        (_, Value::Map(_)) => ["map[".into(), " ".into(), "]".into()],
        _ => ["[".into(), " ".into(), "]".into()],
    }
}

/// A value inside a list or a map.
fn inner(sink: &mut Sink, item: &Value, verb: char, flags: &Flags) -> Result<(), String> {
    match item {
        Value::Missing | Value::Nil if verb == 'v' && flags.sharp => sink.push("interface {}(nil)"),
        Value::Missing | Value::Nil => sink.push("<nil>"),
        item => value(sink, item, verb, flags),
    }
}

/// Go's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Missing | Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint64",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(map) if map.has_text_keys => "map[string]interface {}",
        Value::Map(_) => "map[interface {}]interface {}",
        Value::Namespace(_) => "func",
    }
}

/// The verb does not fit the value.
fn bad(sink: &mut Sink, item: &Value, verb: char, flags: &Flags) -> Result<(), String> {
    sink.push("%!")?;
    sink.push(verb.encode_utf8(&mut [0; 4]))?;
    sink.push("(")?;
    match item {
        Value::Missing | Value::Nil => sink.push("<nil>")?,
        item => {
            sink.push(type_name(item))?;
            sink.push("=")?;
            value(sink, item, 'v', flags)?;
        }
    }
    sink.push(")")
}

/// A text with blanks, or zeros before it, up to the width.
fn pad(sink: &mut Sink, text: &str, flags: &Flags) -> Result<(), String> {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if flags.minus {
        sink.push(text)?;
        return sink.repeat(' ', missing);
    }
    sink.repeat(if flags.zero { '0' } else { ' ' }, missing)?;
    sink.push(text)
}

fn whole(sink: &mut Sink, item: &Value, number: u64, negative: bool, verb: char, flags: &Flags) -> Result<(), String> {
    let digits = match verb {
        'v' | 'd' => number.to_string(),
        'b' => format!("{number:b}"),
        'o' | 'O' => format!("{number:o}"),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        'c' | 'q' | 'U' => return code_point(sink, number, negative, verb, flags),
        _ => return bad(sink, item, verb, flags),
    };
    if flags.precision == Some(0) && number == 0 {
        return pad(sink, "", &Flags { zero: false, ..flags.clone() });
    }
    let signed = negative || flags.plus || flags.space;
    let filled = flags.zero && !flags.minus && flags.precision.is_none();
    let least = flags.precision.or(flags.width.filter(|_| filled).map(|width| width.saturating_sub(signed.into())));
    let least = least.unwrap_or(0).min(sink.room);
    let mut text = match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (.., true) => " ",
        _ => "",
    }
    .to_owned();
    // Not by the width of a format: Rust ends the program at one above 65535.
    let digits = "0".repeat(least.saturating_sub(digits.len())) + &digits;
    text.push_str(match (verb, flags.sharp) {
        ('O', _) => "0o",
        ('b', true) => "0b",
        ('o', true) if !digits.starts_with('0') => "0",
        ('x', true) => "0x",
        ('X', true) => "0X",
        _ => "",
    });
    text.push_str(&digits);
    pad(sink, &text, &Flags { zero: false, ..flags.clone() })
}

/// A number as the character that it is.
fn code_point(sink: &mut Sink, number: u64, negative: bool, verb: char, flags: &Flags) -> Result<(), String> {
    let known = u32::try_from(number).ok().filter(|_| !negative).and_then(char::from_u32);
    let c = known.unwrap_or('\u{fffd}');
    let text = match verb {
        'c' => c.to_string(),
        'q' => quoted(c.encode_utf8(&mut [0; 4]), '\'', flags.plus),
        _ => {
            let number = if negative { number.wrapping_neg() } else { number };
            let shown = if flags.sharp && known.is_some_and(is_printable) { format!(" '{c}'") } else { String::new() };
            format!("U+{number:04X}{shown}")
        }
    };
    pad(sink, &text, &Flags { zero: flags.zero && verb != 'U', ..flags.clone() })
}

fn fraction(sink: &mut Sink, item: &Value, number: f64, verb: char, flags: &Flags) -> Result<(), String> {
    let precision = match verb {
        'v' | 'g' | 'G' => flags.precision,
        'e' | 'E' | 'f' | 'F' => Some(flags.precision.unwrap_or(6)),
        _ => return bad(sink, item, verb, flags),
    };
    if precision.is_some_and(|precision| precision > 1000) {
        return Err("the precision is too large".to_owned());
    }
    let style = match verb {
        'v' => 'g',
        'F' => 'f',
        verb => verb,
    };
    let text = float::text(number, style, precision);
    let unsigned = text.trim_start_matches(['-', '+']);
    let sign = match (text.starts_with('-'), flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (.., true) => " ",
        _ if text.starts_with('+') => "+",
        _ => "",
    };
    let is_number = number.is_finite();
    let length = sign.len() + unsigned.len();
    if is_number && flags.zero && !flags.minus && !sign.is_empty() {
        sink.push(sign)?;
        sink.repeat('0', flags.width.unwrap_or(0).saturating_sub(length))?;
        return sink.push(unsigned);
    }
    pad(sink, &format!("{sign}{unsigned}"), &Flags { zero: flags.zero && is_number, ..flags.clone() })
}

fn characters(sink: &mut Sink, item: &Value, text: &str, verb: char, flags: &Flags) -> Result<(), String> {
    let cut = |text: &str| match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    match verb {
        'v' if flags.sharp => pad(sink, &quoted(text, '"', false), flags),
        'v' | 's' => pad(sink, &cut(text), flags),
        'q' => {
            let text = cut(text);
            let raw = flags.sharp && !text.chars().any(|c| c == '`' || c == '\u{7f}' || (c.is_control() && c != '\t'));
            let shown = if raw { format!("`{text}`") } else { quoted(&text, '"', flags.plus) };
            pad(sink, &shown, flags)
        }
        'x' | 'X' => pad(sink, &hexadecimal(text, verb == 'X', flags), flags),
        _ => bad(sink, item, verb, flags),
    }
}

/// The bytes of a text.
fn hexadecimal(text: &str, capital: bool, flags: &Flags) -> String {
    let bytes = &text.as_bytes()[..text.len().min(flags.precision.unwrap_or(usize::MAX))];
    let prefix = match (flags.sharp, capital) {
        (true, true) => "0X",
        (true, false) => "0x",
        _ => "",
    };
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if flags.space && index > 0 {
            out.push(' ');
        }
        if index == 0 || flags.space {
            out.push_str(prefix);
        }
        out.push_str(&if capital { format!("{byte:02X}") } else { format!("{byte:02x}") });
    }
    out
}
