//! Values that mean something to tools outside only, typed as YAML 1.1 readers type them. Knows
//! nothing of what they are for.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::scalar::{Resolved, resolved};
use crate::tree::{self, Key, Tree};
use crate::walk::Walker;

impl Walker {
    /// A mapping of text to anything.
    pub fn free_map(&mut self, path: &str, tree: &Tree) -> BTreeMap<String, Value> {
        let Some(fields) = self.fields(path, tree) else { return BTreeMap::new() };
        self.clashes(fields.entries);
        fields.entries.iter().map(|(key, value)| (key.text.clone(), self.free(value))).collect()
    }

    fn free(&mut self, tree: &Tree) -> Value {
        match &tree.value {
            _ if tree.is_null() => Value::Null,
            tree::Value::Sequence(items) => items.iter().map(|item| self.free(item)).collect(),
            tree::Value::Mapping(entries) => self.inner_map(entries),
            tree::Value::Scalar { text, plain: false } => text.clone().into(),
            tree::Value::Scalar { text, plain: true } => match resolved(text) {
                Resolved::Null => Value::Null,
                Resolved::Truth(truth) => truth.into(),
                Resolved::Whole(number) => number.into(),
                Resolved::Unsigned(number) => number.into(),
                Resolved::Float(number) => number.into(),
                Resolved::Text => text.clone().into(),
            },
        }
    }

    /// A mapping inside of another: its keys are typed, too, and `yes` and `true` are one.
    fn inner_map(&mut self, entries: &[(Key, Tree)]) -> Value {
        self.clashes(entries);
        let mut first: HashMap<String, &Key> = HashMap::new();
        for (key, _) in entries {
            if let Some(before) = first.insert(typed(key), key).filter(|before| before.text != key.text) {
                let message =
                    format!("key {:?} stands twice: here and, as {:?}, at {}", key.text, before.text, before.at);
                self.problem("duplicate-key", key.at, message).hint = Some("put a key that is a text in quotes".into());
            }
        }
        entries.iter().map(|(key, value)| (typed(key), self.free(value))).collect()
    }
}

/// A key as what it stands for is written.
fn typed(key: &Key) -> String {
    match resolved(&key.text) {
        Resolved::Truth(truth) if key.plain => truth.to_string(),
        Resolved::Whole(number) if key.plain => number.to_string(),
        Resolved::Unsigned(number) if key.plain => number.to_string(),
        Resolved::Float(number) if key.plain => number.to_string(),
        _ => key.text.clone(),
    }
}
