//! From the tree to typed values, gathering every problem on the way. Knows YAML's values, not
//! what a topology means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use archetype_model::topology::codes::CODES;
use archetype_model::topology::{Position, Problem, TextMap};

use crate::scalar;
use crate::suggest::nearest;
use crate::tree::{Key, Tree, Value};

/// What a reading gathers: problems, and the place of every value by its path.
pub struct Walker {
    file: String,
    /// Everything that is wrong, in the order found.
    pub problems: Vec<Problem>,
    /// The place of each value by its path.
    pub positions: BTreeMap<String, Position>,
    /// What is to be known of the file although nothing is wrong with it.
    pub notes: Vec<Problem>,
    /// By the path of a value what is wrong with it, or to be known of it, once a node uses it.
    pub once_used: BTreeMap<String, Vec<Problem>>,
    /// By the path of a value its text, where what is made of it does not say it.
    pub written: BTreeMap<String, String>,
    /// Paths at which something else stands than belongs there.
    misplaced: BTreeSet<String>,
}

/// Codes of what matters only where a node uses the value: a level that applies to none may state
/// what it likes, as in containerlab.
const ONCE_USED: [&str; 5] = ["bad-address", "bad-size", "bad-value", "missing-value", IGNORED];
/// The code of what is to be known, and wrong with nothing.
const IGNORED: &str = "ignored-value";

impl Walker {
    /// A walker over `file`, as the user named it.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            problems: Vec::new(),
            positions: BTreeMap::new(),
            notes: Vec::new(),
            once_used: BTreeMap::new(),
            written: BTreeMap::new(),
            misplaced: BTreeSet::new(),
        }
    }

    /// A node uses the value at `path`: what was kept for then is told, to the first node that does.
    /// Whether there was something.
    pub fn used(&mut self, path: &str) -> bool {
        let Some(found) = self.once_used.get_mut(path) else { return false };
        let (notes, problems): (Vec<_>, Vec<_>) = std::mem::take(found).into_iter().partition(|p| p.code == IGNORED);
        self.notes.extend(notes);
        self.problems.extend(problems);
        true
    }

    /// Notes that a value does nothing; it is to be told once a node uses it.
    pub fn ignored(&mut self, at: Position, message: impl Into<String>, hint: &str) {
        self.problem(IGNORED, at, message).hint = Some(hint.to_owned());
    }

    /// Notes a problem; the returned one can still be given a hint.
    pub fn problem(&mut self, code: &'static str, at: Position, message: impl Into<String>) -> &mut Problem {
        debug_assert!(CODES.iter().any(|known| known.code == code), "{code} is not in the list");
        self.problems.push(Problem::new(code, &self.file, at, message));
        self.problems.last_mut().expect("one was just pushed")
    }

    /// Whether it was told that something else stands at `path` than belongs there.
    pub fn has_told(&self, path: &str) -> bool {
        self.misplaced.contains(path)
    }

    /// Notes that something else stands where `expected` was.
    pub fn wrong_type(&mut self, path: &str, tree: &Tree, expected: &str) {
        self.misplaced.insert(path.to_owned());
        // Values of variables and credentials may be secrets, also where they stand wrongly.
        let secret = ["env", "credentials", "password"].iter().any(|key| path.split('.').any(|part| part == *key));
        let found = match &tree.value {
            Value::Scalar { text, .. } if !secret && text.chars().count() <= 40 => format!("{text:?}"),
            Value::Scalar { .. } => "a text".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        };
        let path = if path.is_empty() { "the file" } else { path };
        self.problem("wrong-type", tree.at, format!("{path} must be {expected}, not {found}"));
    }

    /// The fields of a mapping; `None` when nothing is there, or, as a problem, something else.
    pub fn fields<'t>(&mut self, path: &str, tree: &'t Tree) -> Option<Fields<'t>> {
        match &tree.value {
            Value::Mapping(entries) => Some(Fields::new(path, tree.at, entries)),
            _ if tree.is_null() => None,
            _ => {
                self.wrong_type(path, tree, "a mapping");
                None
            }
        }
    }

    /// The items of a list; empty when nothing is there.
    pub fn items<'t>(&mut self, path: &str, tree: &'t Tree) -> &'t [Tree] {
        match &tree.value {
            Value::Sequence(items) => items,
            _ if tree.is_null() => &[],
            _ => {
                self.wrong_type(path, tree, "a list");
                &[]
            }
        }
    }

    /// A text, verbatim; nothing is the empty text.
    pub fn text(&mut self, path: impl fmt::Display, tree: &Tree) -> Option<String> {
        match &tree.value {
            Value::Scalar { .. } if tree.is_null() => Some(String::new()),
            Value::Scalar { text, .. } => Some(text.clone()),
            _ => {
                self.wrong_type(&path.to_string(), tree, "a text");
                None
            }
        }
    }

    fn plain<T>(&mut self, path: &str, tree: &Tree, expected: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        match &tree.value {
            _ if tree.is_null() => None,
            Value::Scalar { text, plain: true } if read(text).is_some() => read(text),
            _ => {
                self.wrong_type(path, tree, expected);
                None
            }
        }
    }

    /// A truth: `true`, `false`, and YAML 1.1's `yes`, `off`, …, without quotes.
    pub fn truth(&mut self, path: &str, tree: &Tree) -> Option<bool> {
        self.plain(path, tree, "true or false", scalar::truth)
    }

    /// A whole number of 0 or more.
    pub fn whole(&mut self, path: &str, tree: &Tree) -> Option<u64> {
        let number = self.plain(path, tree, "a whole number", scalar::whole)?;
        match u64::try_from(number) {
            Ok(number) => Some(number),
            Err(_) => {
                self.wrong_type(path, tree, "0 or more");
                None
            }
        }
    }

    /// A whole number, whatever its sign.
    pub fn integer(&mut self, path: &str, tree: &Tree) -> Option<i64> {
        self.plain(path, tree, "a whole number", scalar::whole)
    }

    /// A number.
    pub fn number(&mut self, path: &str, tree: &Tree) -> Option<f64> {
        self.plain(path, tree, "a number", scalar::number)
    }

    /// A list of texts; each item's place is noted.
    pub fn texts(&mut self, path: &str, tree: &Tree) -> Vec<String> {
        let items = self.items(path, tree);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.positions.insert(path.clone(), item.at);
            texts.extend(self.text(&path, item));
        }
        texts
    }

    /// A mapping of text to text; each entry's place is noted.
    pub fn text_map(&mut self, path: &str, tree: &Tree) -> TextMap {
        let Some(fields) = self.fields(path, tree) else { return TextMap::new() };
        self.clashes(fields.entries);
        let mut map = TextMap::new();
        for (key, value) in fields.entries {
            let path = format!("{path}.{}", key.text);
            self.positions.insert(path.clone(), key.at);
            if let Some(text) = self.text(&path, value) {
                map.insert(key.text.clone(), text);
            }
        }
        map
    }

    /// Names keys of a mapping with free keys that a merge key brings in although they are there.
    pub fn clashes(&mut self, entries: &[(Key, Tree)]) {
        for (key, before) in entries.iter().filter_map(|(key, _)| Some((key, key.clash?))) {
            let message = format!("key {:?} stands twice: here and, by a merge key, at {before}", key.text);
            self.problem("duplicate-key", key.at, message).hint = Some("leave one of the two".into());
        }
    }
}

/// A mapping whose keys are taken one by one; what is left over at the end is not known.
pub struct Fields<'t> {
    /// The mapping's own path.
    pub path: String,
    /// Where the mapping begins.
    pub at: Position,
    /// All entries.
    pub entries: &'t [(Key, Tree)],
    asked: Vec<&'static str>,
    /// Whether the places of its own values are noted.
    noted: bool,
}

impl<'t> Fields<'t> {
    fn new(path: &str, at: Position, entries: &'t [(Key, Tree)]) -> Self {
        Self { path: path.to_owned(), at, entries, asked: Vec::new(), noted: true }
    }

    /// The same mapping, whose own values' places are not noted: what is made of it has a place itself, and a lab has
    /// thousands. Entries of a mapping of texts, and items of a list of texts, are noted still.
    pub fn unnoted(self) -> Self {
        Self { noted: false, ..self }
    }

    /// The path of a key.
    pub fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => [path, ".", key].concat(),
        }
    }

    /// The value of `key`; its place is noted, unless nobody asks for those of this mapping.
    pub fn take(&mut self, walker: &mut Walker, key: &'static str) -> Option<&'t Tree> {
        // Of a mapping without anything nothing is left over, and most nodes are such.
        if self.entries.is_empty() {
            return None;
        }
        self.asked.push(key);
        let (_, tree) = self.entries.iter().find(|(k, _)| k.text == key)?;
        if self.noted {
            walker.positions.insert(self.path_of(key), tree.at);
        }
        Some(tree)
    }

    /// Where the value of `key` stands; the mapping itself when it has none.
    pub fn place(&self, key: &str) -> Position {
        self.entries.iter().find(|(k, _)| k.text == key).map_or(self.at, |(_, tree)| tree.at)
    }

    /// A text; nothing and the empty text are not stated.
    pub fn text(&mut self, walker: &mut Walker, key: &'static str) -> Option<String> {
        let tree = self.take(walker, key)?;
        walker.text(self.path_of(key), tree).filter(|text| !text.is_empty())
    }

    /// A truth.
    pub fn truth(&mut self, walker: &mut Walker, key: &'static str) -> Option<bool> {
        let tree = self.take(walker, key)?;
        walker.truth(&self.path_of(key), tree)
    }

    /// A whole number; 0 is not stated.
    pub fn whole(&mut self, walker: &mut Walker, key: &'static str) -> Option<u64> {
        let tree = self.take(walker, key)?;
        walker.whole(&self.path_of(key), tree).filter(|number| *number != 0)
    }

    /// A list of texts.
    pub fn texts(&mut self, walker: &mut Walker, key: &'static str) -> Vec<String> {
        self.take(walker, key).map(|tree| walker.texts(&self.path_of(key), tree)).unwrap_or_default()
    }

    /// A mapping of text to text.
    pub fn text_map(&mut self, walker: &mut Walker, key: &'static str) -> TextMap {
        self.take(walker, key).map(|tree| walker.text_map(&self.path_of(key), tree)).unwrap_or_default()
    }

    /// A mapping of text to anything.
    pub fn free_map(&mut self, walker: &mut Walker, key: &'static str) -> BTreeMap<String, serde_json::Value> {
        self.take(walker, key).map(|tree| walker.free_map(&self.path_of(key), tree)).unwrap_or_default()
    }

    /// A value that its own type parses from text; a refusal is a problem of code `code`.
    pub fn parsed<T>(
        &mut self,
        walker: &mut Walker,
        key: &'static str,
        code: &'static str,
        parse: impl FnOnce(String) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(walker, key)?;
        match parse(text.clone()) {
            Ok(value) => Some(value),
            Err(why) => {
                walker.written.insert(self.path_of(key), text);
                let message = format!("{}: {why}", self.path_of(key));
                walker.problem(code, self.place(key), message);
                None
            }
        }
    }

    /// As `parsed`, of a value with a usual form: another form of it is kept as written.
    pub fn parsed_to_usual_form<T: ToString>(
        &mut self,
        walker: &mut Walker,
        key: &'static str,
        code: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let mut written = String::new();
        let value = self.parsed(walker, key, code, |text| {
            let value = parse(&text);
            written = text;
            value
        })?;
        if value.to_string() != written {
            walker.written.insert(self.path_of(key), written);
        }
        Some(value)
    }

    /// Reads the value of `key`, and keeps what its content says for when a node uses it. What its
    /// form says, a list instead of a text for instance, is wrong at once.
    pub fn judged_once_used<T>(
        &mut self,
        walker: &mut Walker,
        key: &str,
        read: impl FnOnce(&mut Walker, &mut Self) -> T,
    ) -> T {
        let before = walker.problems.len();
        let value = read(walker, self);
        let found = walker.problems.split_off(before);
        let (later, at_once): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| ONCE_USED.contains(&&*p.code));
        walker.problems.extend(at_once);
        if !later.is_empty() {
            walker.once_used.insert(self.path_of(key), later);
        }
        value
    }

    /// One of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        walker: &mut Walker,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.parsed(walker, key, "bad-value", |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("{text:?} is not one of {}", known.join(", "))
            })
        })
    }

    /// Names every key that was not asked for.
    pub fn finish(self, walker: &mut Walker) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.asked.contains(&key.text.as_str())) {
            let place = if self.path.is_empty() { "at the top of the file" } else { self.path.as_str() };
            let message = match self.path.is_empty() {
                true => format!("unknown key {:?} {place}", key.text),
                false => format!("unknown key {:?} in {place}", key.text),
            };
            let hint = match nearest(&key.text, self.asked.iter().copied()) {
                Some(word) => format!("did you mean {word:?}?"),
                None => {
                    let mut known = self.asked.clone();
                    known.sort_unstable();
                    format!("known keys: {}", known.join(", "))
                }
            };
            walker.problem("unknown-key", key.at, message).hint = Some(hint);
        }
    }
}
