//! Our runtime in the engine's settings, `daemon.json`: put in and taken out, with every other
//! byte of the file left as it is. Knows no files.

use std::ops::Range;

use serde_json::Value;

use super::RUNTIME;

/// Why settings cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The line, from 1.
    pub line: usize,
    /// The character, from 1.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

/// The settings with the runtime at `path`; none when they have it already.
pub fn registered(text: &str, path: &str) -> Result<Option<String>, Refused> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    let wanted = serde_json::json!({ "path": path });
    let top = understood(text)?;
    let Some(runtimes) = top.member("runtimes") else {
        let entry = format!("\n  \"runtimes\": {{\n    \"{RUNTIME}\": {wanted}\n  }}");
        return Ok(Some(top.with_first(text, &entry)));
    };
    let inner = Object::at(text, runtimes.value.start).ok_or_else(|| no_object(text, runtimes.value.start))?;
    let Some(ours) = inner.member(RUNTIME) else {
        return Ok(Some(inner.with_first(text, &format!("\n    \"{RUNTIME}\": {wanted}"))));
    };
    let is_so = serde_json::from_str::<Value>(&text[ours.value.clone()]).is_ok_and(|value| value == wanted);
    Ok((!is_so).then(|| [&text[..ours.value.start], &wanted.to_string(), &text[ours.value.end..]].concat()))
}

/// The settings without the runtime; none when they do not have it.
pub fn unregistered(text: &str) -> Result<Option<String>, Refused> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let top = understood(text)?;
    let Some(runtimes) = top.member("runtimes") else { return Ok(None) };
    let Some(inner) = Object::at(text, runtimes.value.start) else { return Ok(None) };
    if inner.member(RUNTIME).is_none() {
        return Ok(None);
    }
    let (object, name) = if inner.members.len() == 1 { (&top, "runtimes") } else { (&inner, RUNTIME) };
    Ok(object.without(text, name))
}

/// Whether these settings make our runtime the default one.
pub fn is_default(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|settings| settings["default-runtime"] == RUNTIME)
}

/// The whole text as a JSON object.
fn understood(text: &str) -> Result<Object, Refused> {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let (line, column) = (error.line(), error.column().max(1));
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or(&why).to_owned();
        return Err(Refused { line, column, why: format!("this is not JSON: {why}") });
    }
    let start = text.find(|c: char| !c.is_whitespace()).unwrap_or(0);
    Object::at(text, start).ok_or_else(|| no_object(text, start))
}

fn no_object(text: &str, at: usize) -> Refused {
    let (line, column) = crate::args::place(text, at);
    Refused { line: line as usize, column: column as usize, why: "an object {…} is expected here".to_owned() }
}

/// An object in a text that is known to be JSON: where its parts stand, in bytes.
#[derive(Debug)]
struct Object {
    open: usize,
    close: usize,
    members: Vec<Member>,
}

/// A member of an object.
#[derive(Debug)]
struct Member {
    name: String,
    value: Range<usize>,
}

impl Object {
    /// The object that begins at this byte; none when something else begins there.
    fn at(text: &str, open: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.get(open) != Some(&b'{') {
            return None;
        }
        let mut members = Vec::new();
        let mut at = skip_blank(bytes, open + 1);
        while bytes.get(at) == Some(&b'"') {
            let key_end = end_of_value(bytes, at);
            let name = serde_json::from_str(&text[at..key_end]).ok()?;
            let colon = skip_blank(bytes, key_end);
            let start = skip_blank(bytes, colon + 1);
            let end = end_of_value(bytes, start);
            members.push(Member { name, value: start..end });
            at = skip_blank(bytes, end);
            if bytes.get(at) == Some(&b',') {
                at = skip_blank(bytes, at + 1);
            }
        }
        Some(Self { open, close: at, members })
    }

    /// A member by its name; of several the last, which is the one that counts.
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().rfind(|member| member.name == name)
    }

    /// The text with one more member before the others.
    fn with_first(&self, text: &str, entry: &str) -> String {
        let (before, after) = text.split_at(self.open + 1);
        match self.members.is_empty() {
            false => format!("{before}{entry},{after}"),
            true => format!("{before}{entry}\n{}", &text[self.close..]),
        }
    }

    /// The text without one member.
    fn without(&self, text: &str, name: &str) -> Option<String> {
        let index = self.members.iter().rposition(|member| member.name == name)?;
        let end = self.members[index].value.end;
        let cut = match (index, self.members.len()) {
            (0, 1) => self.open + 1..self.close,
            (0, _) => self.open + 1..skip_blank(text.as_bytes(), end) + 1,
            _ => self.members[index - 1].value.end..end,
        };
        Some([&text[..cut.start], &text[cut.end..]].concat())
    }
}

fn skip_blank(bytes: &[u8], from: usize) -> usize {
    let blank = bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    from + blank
}

/// Where the value that begins at this byte ends.
fn end_of_value(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut in_text, mut at) = (0_usize, false, from);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => {
                in_text = !in_text;
                if !in_text && depth == 0 {
                    return at + 1;
                }
            }
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/usr/local/libexec/archetype/archetype-oci";

    fn path_in(text: &str) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["runtimes"][RUNTIME]["path"].clone()
    }

    #[test]
    fn everything_else_stays_byte_for_byte_and_comes_back_so() {
        for before in [
            "{}\n",
            "{\n  \"mtu\": 1400\n}\n",
            "{\"a\":[1,2,{\"runtimes\":{}}],\"b\":\"}\\\"{\"}",
            "{\n\t\"runtimes\": {\n\t\t\"nvidia\": {\"path\": \"n\", \"runtimeArgs\": []}\n\t},\n\t\"z\": null\n}\n",
            "{ \"log-opts\": {\"max-size\": \"1m\"} , \"live-restore\" : true }",
        ] {
            let after = registered(before, PATH).unwrap().unwrap();
            assert_eq!(path_in(&after), PATH, "{after}");
            assert_eq!(registered(&after, PATH).unwrap(), None, "a second time changes nothing");
            let back = unregistered(&after).unwrap().unwrap();
            assert_eq!(back, before);
            assert_eq!(unregistered(before).unwrap(), None);
        }
    }

    #[test]
    fn a_runtime_at_another_path_gets_ours() {
        let before = "{\"runtimes\": {\"archetype\": {\"path\": \"/old\"}, \"x\": {}}}";
        let after = registered(before, PATH).unwrap().unwrap();
        assert_eq!(after, before.replace("\"path\": \"/old\"", &format!("\"path\":\"{PATH}\"")));
    }

    #[test]
    fn an_empty_file_is_an_empty_object() {
        assert_eq!(path_in(&registered("", PATH).unwrap().unwrap()), PATH);
        assert_eq!(unregistered(" \n").unwrap(), None);
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let refused = registered("{\n  \"mtu\": 1400,\n}\n", PATH).unwrap_err();
        assert_eq!((refused.line, refused.column), (3, 1), "{}", refused.why);
        let refused = registered("[]", PATH).unwrap_err();
        assert_eq!((refused.line, refused.column), (1, 1));
        let refused = registered("{\n \"runtimes\": 3}", PATH).unwrap_err();
        assert_eq!((refused.line, refused.column), (2, 14));
    }

    #[test]
    fn a_default_runtime_is_recognised() {
        assert!(is_default("{\"default-runtime\": \"archetype\"}"));
        assert!(!is_default("{\"default-runtime\": \"runc\"}"));
    }
}
