//! Templates with what Go's own `text/template` made of them (`data/go.jsonl`: the templates are
//! ours, the answers Go 1.26's).

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::collections::BTreeMap;
use std::path::Path;

use archetype_gotemplate::{Key, Limits, Set, Value, functions};
use serde_json::Value as Json;

fn value(json: &Json, is_top: bool) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::list(items.iter().map(|item| value(item, false)).collect()).unwrap(),
        Json::Object(entries) => {
            let entry = |(key, item): (&String, &Json)| (Key::Text(key.as_str().into()), value(item, false));
            Value::map(entries.iter().map(entry).collect::<BTreeMap<_, _>>(), is_top).unwrap()
        }
    }
}

fn rendered(template: &str, vars: Option<&str>) -> Result<String, String> {
    let data = vars.map_or(Value::Missing, |vars| value(&serde_json::from_str(vars).unwrap(), true));
    let set = Set::parse(&[("t", template)], functions()).map_err(|error| error.message)?;
    set.render(&data, Limits::default()).map(|rendered| rendered.text).map_err(|error| error.message)
}

#[test]
fn templates_become_what_go_makes_of_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/go.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let template = case["template"].as_str().unwrap();
        let ours = rendered(template, case["vars"].as_str());
        let same = match (&ours, case["out"].as_str()) {
            (Ok(ours), Some(theirs)) => ours == theirs,
            (Err(_), None) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!("{template}\n  ours   {ours:?}\n  theirs {:?} {:?}", case["out"], case["error"]));
        }
        count += 1;
    }
    assert!(count > 200);
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
