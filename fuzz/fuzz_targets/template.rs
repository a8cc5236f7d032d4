//! Whatever the text, it is a template that comes to an end, or an error with a place in the text.
#![no_main]

use std::collections::BTreeMap;

use archetype_gotemplate::{Key, Limits, Set, Value, functions};
use libfuzzer_sys::fuzz_target;

/// Little, so that a run shows what is slow for its size.
const LIMITS: Limits = Limits { steps: 20_000, bytes: 1 << 20 };

fuzz_target!(|text: &str| {
    let place = |at: usize| assert!(at <= text.len() && text.is_char_boundary(at), "a place is one of the text");
    let set = match Set::parse(&[("main", text)], functions()) {
        Ok(set) => set,
        Err(error) => return place(error.at),
    };
    match set.render(&data(), LIMITS) {
        Ok(rendered) => assert!(rendered.text.len() <= LIMITS.bytes, "the limit holds"),
        Err(error) => place(error.at),
    }
});

/// Something of every sort.
fn data() -> Value {
    let map = |entries: Vec<(&str, Value)>| {
        let entries = entries.into_iter().map(|(key, value)| (Key::Text(key.into()), value));
        Value::map(entries.collect::<BTreeMap<Key, Value>>(), true).expect("it is not deep")
    };
    let list = Value::list(vec![Value::Int(1), Value::Text("b".into()), Value::Nil]).expect("it is not deep");
    map(vec![
        ("name", Value::Text("x".into())),
        ("count", Value::Int(3)),
        ("big", Value::Uint(u64::MAX)),
        ("half", Value::Float(0.5)),
        ("yes", Value::Bool(true)),
        ("none", Value::Nil),
        ("list", list.clone()),
        ("map", map(vec![("a", map(vec![("b", list)]))])),
    ])
}
