//! Values as Go's `fmt` prints them. What is printed is bounded.

mod float;
mod form;
mod verb;

use crate::value::Value;

pub use form::printf;
use verb::Flags;

/// A text that may not become longer than `room` bytes.
struct Sink {
    out: String,
    room: usize,
}

impl Sink {
    fn new(room: usize) -> Self {
        Self { out: String::new(), room }
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        match self.out.len() + text.len() > self.room {
            true => Err("the text becomes too long".to_owned()),
            false => {
                self.out.push_str(text);
                Ok(())
            }
        }
    }

    fn repeat(&mut self, c: char, count: usize) -> Result<(), String> {
        (0..count).try_for_each(|_| self.push(c.encode_utf8(&mut [0; 4])))
    }
}

/// A value as an action prints it.
///
/// # Errors
/// When it is longer than `room` bytes.
pub fn printed(value: &Value, room: usize) -> Result<String, String> {
    match value {
        Value::Missing | Value::Nil => Ok("<no value>".to_owned()),
        Value::Namespace(_) => Ok("{}".to_owned()),
        value => print(std::slice::from_ref(value), room),
    }
}

/// Go's `fmt.Sprint`: a blank between two values of which neither is a text.
///
/// # Errors
/// When it is longer than `room` bytes.
pub fn print(values: &[Value], room: usize) -> Result<String, String> {
    let mut sink = Sink::new(room);
    let mut after_text = true;
    for (index, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if index > 0 && !is_text && !after_text {
            sink.push(" ")?;
        }
        after_text = is_text;
        verb::value(&mut sink, value, 'v', &Flags::default())?;
    }
    Ok(sink.out)
}

/// As `print`, with `<no value>` where there is nothing.
///
/// # Errors
/// When it is longer than `room` bytes.
pub fn print_or_no_value(values: &[Value], room: usize) -> Result<String, String> {
    let shown: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::Missing | Value::Nil => Value::text("<no value>"),
            value => value.clone(),
        })
        .collect();
    print(&shown, room)
}

/// Go's `fmt.Sprintln`: blanks between all values, and a new line.
///
/// # Errors
/// When it is longer than `room` bytes.
pub fn println(values: &[Value], room: usize) -> Result<String, String> {
    let mut sink = Sink::new(room);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            sink.push(" ")?;
        }
        verb::value(&mut sink, value, 'v', &Flags::default())?;
    }
    sink.push("\n")?;
    Ok(sink.out)
}

/// Whether Go takes a character for printable: a letter, a mark, a number, a sign, or a blank.
pub fn is_printable(c: char) -> bool {
    let hidden = matches!(u32::from(c), 0xad | 0x200b..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0xfeff
        | 0xfff0..=0xfffb | 0xe000..=0xf8ff | 0xf0000.. );
    c == ' ' || !(c.is_control() || c.is_whitespace() || hidden)
}

/// A text as Go writes it in its sources.
pub fn quoted(text: &str, quote: char, ascii_only: bool) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_ascii() && is_printable(c) => out.push(c),
            c if !c.is_ascii() && !ascii_only && is_printable(c) => out.push(c),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) > 0xffff => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// A floating point number in its shortest form, as Go's `%v` has it.
pub fn shortest(number: f64) -> String {
    float::text(number, 'g', None)
}
