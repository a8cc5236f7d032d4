//! Values as JSON. Maps whose keys are not texts by their type have none, and what holds one of
//! them has none: that is every mapping below the top of a file of variables.

use archetype_gotemplate::value::Call;
use archetype_gotemplate::{Key, Value};

/// `ToJSON`: in one line; empty when there is no JSON for it.
pub fn line(call: &Call<'_>) -> Result<Value, String> {
    written(call, None)
}

/// `ToJSONPretty VALUE PREFIX INDENT`.
pub fn pretty(call: &Call<'_>) -> Result<Value, String> {
    match &call.arguments[1..] {
        [Value::Text(prefix), Value::Text(indent)] => written(call, Some((prefix, indent))),
        _ => Err("prefix and indent must be texts".to_owned()),
    }
}

fn written(call: &Call<'_>, layout: Option<(&str, &str)>) -> Result<Value, String> {
    let mut json = Json { out: String::new(), room: call.room, layout };
    match json.value(&call.arguments[0], 0) {
        Ok(()) => Ok(Value::text(json.out)),
        Err(Stop::NoJson) => Ok(Value::text("")),
        Err(Stop::TooLong) => Err("the text becomes too long".to_owned()),
    }
}

enum Stop {
    NoJson,
    TooLong,
}

struct Json<'a> {
    out: String,
    room: usize,
    layout: Option<(&'a str, &'a str)>,
}

impl Json<'_> {
    fn push(&mut self, text: &str) -> Result<(), Stop> {
        if self.out.len() + text.len() > self.room {
            return Err(Stop::TooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn line(&mut self, depth: usize) -> Result<(), Stop> {
        let Some((prefix, indent)) = self.layout else { return Ok(()) };
        self.push("\n")?;
        self.push(prefix)?;
        (0..depth).try_for_each(|_| self.push(indent))
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Stop> {
        match value {
            Value::Missing | Value::Nil => self.push("null"),
            Value::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.push(&number.to_string()),
            Value::Uint(number) => self.push(&number.to_string()),
            Value::Float(number) if number.is_finite() => self.push(&float(*number)),
            Value::Float(_) => Err(Stop::NoJson),
            Value::Text(text) => self.text(text),
            Value::Namespace(_) => self.push("{}"),
            Value::List(list) if list.items().is_empty() => self.push("[]"),
            Value::List(list) => {
                self.push("[")?;
                for (index, item) in list.items().iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" })?;
                    self.line(depth + 1)?;
                    self.value(item, depth + 1)?;
                }
                self.line(depth)?;
                self.push("]")
            }
            Value::Map(map) if !map.has_text_keys => Err(Stop::NoJson),
            Value::Map(map) if map.entries().is_empty() => self.push("{}"),
            Value::Map(map) => {
                self.push("{")?;
                for (index, (key, item)) in map.entries().iter().enumerate() {
                    self.push(if index > 0 { "," } else { "" })?;
                    self.line(depth + 1)?;
                    let Key::Text(key) = key else { return Err(Stop::NoJson) };
                    self.text(key)?;
                    self.push(if self.layout.is_some() { ": " } else { ":" })?;
                    self.value(item, depth + 1)?;
                }
                self.line(depth)?;
                self.push("}")
            }
        }
    }

    /// A text in quotes, fit to stand in HTML.
    fn text(&mut self, text: &str) -> Result<(), Stop> {
        self.push("\"")?;
        for c in text.chars() {
            match c {
                '"' => self.push("\\\"")?,
                '\\' => self.push("\\\\")?,
                '\n' => self.push("\\n")?,
                '\r' => self.push("\\r")?,
                '\t' => self.push("\\t")?,
                '\u{8}' => self.push("\\b")?,
                '\u{c}' => self.push("\\f")?,
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => self.push(&format!("\\u{:04x}", u32::from(c)))?,
                c if c < ' ' => self.push(&format!("\\u{:04x}", u32::from(c)))?,
                c => self.push(c.encode_utf8(&mut [0; 4]))?,
            }
        }
        self.push("\"")
    }
}

/// A number as JSON has it: written out between 1e-6 and 1e21.
fn float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((mantissa, power)) if !power.starts_with('-') => format!("{mantissa}e+{power}"),
            _ => text,
        };
    }
    format!("{number}")
}
