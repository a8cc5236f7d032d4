//! Texts made fit for HTML, JavaScript and URLs.

use crate::print;
use crate::value::{Call, Value};

/// The arguments as one text, each character as `escape` has it.
pub fn escaped(call: &Call<'_>, escape: fn(char, &mut String)) -> Result<Value, String> {
    let text = match call.arguments {
        [Value::Text(text)] => text.to_string(),
        all => print::print_or_no_value(all, call.room)?,
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        escape(c, &mut out);
        if out.len() > call.room {
            return Err("the text becomes too long".to_owned());
        }
    }
    Ok(Value::text(out))
}

/// For HTML.
pub fn html(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("&#34;"),
        '\'' => out.push_str("&#39;"),
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '\0' => out.push('\u{fffd}'),
        c => out.push(c),
    }
}

/// For a text in JavaScript.
pub fn js(c: char, out: &mut String) {
    match c {
        '\\' | '\'' | '"' => out.extend(['\\', c]),
        '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c if !c.is_ascii() && !print::is_printable(c) => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        c => out.push(c),
    }
}

/// For a value in a URL's query.
pub fn url(c: char, out: &mut String) {
    match c {
        ' ' => out.push('+'),
        c if c.is_ascii_alphanumeric() || "-_.~".contains(c) => out.push(c),
        c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
    }
}
