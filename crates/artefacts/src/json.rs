//! JSON as containerlab lays it out: two spaces a level, an empty list on two lines.

use serde_json::Value;

/// A text as JSON.
pub fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// A value over several lines, those after the first indented by so many spaces.
pub fn pretty(value: &Value, indent: usize) -> String {
    // Texts hold no line breaks of their own once they are JSON.
    let margin = format!("\n{}", " ".repeat(indent));
    format!("{value:#}").replace('\n', &margin)
}

/// Members, one a line, between brackets that stand `indent` spaces in.
pub fn members(brackets: [char; 2], members: impl IntoIterator<Item = String>, indent: usize) -> String {
    let (outer, inner) = (" ".repeat(indent), " ".repeat(indent + 2));
    let lines: Vec<String> = members.into_iter().map(|member| format!("{inner}{member}")).collect();
    let body = if lines.is_empty() { String::new() } else { lines.join(",\n") + "\n" };
    format!("{}\n{body}{outer}{}", brackets[0], brackets[1])
}

/// A member of an object.
pub fn member(key: &str, value: impl std::fmt::Display) -> String {
    format!("{}: {value}", text(key))
}
