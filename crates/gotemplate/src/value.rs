//! Values of templates, and functions over them. A value knows how deep it is, so that walking it is
//! bounded.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How deep lists and maps may be nested.
const DEEPEST: usize = 100;

/// A value.
#[derive(Debug, Clone)]
pub enum Value {
    /// There is none: a key that a map lacks, for instance.
    Missing,
    /// One that is nothing: `null` in a map or list.
    Nil,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number without a sign.
    Uint(u64),
    /// A floating point number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A list.
    List(List),
    /// A map.
    Map(Map),
    /// A set of functions that is reached by a name: `strings` of `strings.Split`.
    Namespace(&'static Namespace),
}

/// A list.
#[derive(Debug, Clone)]
pub struct List {
    items: Rc<[Value]>,
    depth: usize,
}

/// A map, in the order of its keys.
#[derive(Debug, Clone)]
pub struct Map {
    entries: Rc<BTreeMap<Key, Value>>,
    depth: usize,
    /// Whether Go would have it with texts as its only keys.
    pub has_text_keys: bool,
}

/// A key of a map.
#[derive(Debug, Clone)]
pub enum Key {
    /// Nothing.
    Nil,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
}

impl Key {
    /// The order of keys of different sorts, as Go's own program has it by chance of its layout.
    fn rank(&self) -> u8 {
        match self {
            Self::Nil => 0,
            Self::Text(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Bool(_) => 4,
        }
    }

    /// The key as a value.
    pub fn value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Text(text.clone()),
        }
    }

    /// The key that a value is; `None` for what cannot be one.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Missing | Value::Nil => Some(Self::Nil),
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Uint(number) => i64::try_from(*number).ok().map(Self::Int),
            Value::Float(number) => Some(Self::Float(*number)),
            Value::Text(text) => Some(Self::Text(text.clone())),
            Value::List(_) | Value::Map(_) | Value::Namespace(_) => None,
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl List {
    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Map {
    /// The entries, in the order of their keys.
    pub fn entries(&self) -> &BTreeMap<Key, Value> {
        &self.entries
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Rc::from(text.as_ref()))
    }

    /// A list; an item that is missing is nothing.
    ///
    /// # Errors
    /// When it is nested too deeply.
    pub fn list(items: Vec<Value>) -> Result<Self, String> {
        let depth = nested(items.iter())?;
        Ok(Self::List(List { items: items.into_iter().map(Value::stored).collect(), depth }))
    }

    /// A map; `has_text_keys` as in `Map`.
    ///
    /// # Errors
    /// When it is nested too deeply.
    pub fn map(entries: BTreeMap<Key, Value>, has_text_keys: bool) -> Result<Self, String> {
        let depth = nested(entries.values())?;
        Ok(Self::Map(Map { entries: Rc::new(entries), depth, has_text_keys }))
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    fn stored(self) -> Self {
        match self {
            Self::Missing => Self::Nil,
            value => value,
        }
    }

    /// The value behind an interface: nothing is then no value at all.
    pub fn dug(self) -> Self {
        match self {
            Self::Nil => Self::Missing,
            value => value,
        }
    }

    /// Whether `if` takes it for true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Uint(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Namespace(_) => true,
        }
    }

    /// What sort of value it is, for messages.
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Missing => "no value",
            Self::Nil => "nil",
            Self::Bool(_) => "a truth",
            Self::Int(_) | Self::Uint(_) => "a whole number",
            Self::Float(_) => "a floating point number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Namespace(_) => "a set of functions",
        }
    }
}

fn nested<'v>(values: impl Iterator<Item = &'v Value>) -> Result<usize, String> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    match depth > DEEPEST {
        true => Err("lists and maps are nested too deeply".to_owned()),
        false => Ok(depth),
    }
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// Anything; no value becomes nil.
    Any,
    /// Anything, and also no value.
    Raw,
    /// A text.
    Text,
}

/// What a function is run with.
pub struct Call<'a> {
    /// The arguments, as many as the parameters ask for.
    pub arguments: &'a [Value],
    /// How many bytes a text that it makes may still have.
    pub room: usize,
}

/// A function.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The parameters that must be given.
    pub fixed: &'static [Param],
    /// What further arguments may be given.
    pub rest: Option<Param>,
    /// Makes the value, or says why not.
    pub run: fn(&Call<'_>) -> Result<Value, String>,
}

/// Functions behind one name.
#[derive(Debug)]
pub struct Namespace {
    /// The name.
    pub name: &'static str,
    /// The functions by name.
    pub functions: &'static [(&'static str, Function)],
}

/// All functions that a template may call, by name.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    table: BTreeMap<&'static str, Function>,
    namespaces: BTreeMap<&'static str, &'static Namespace>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
pub enum Named {
    /// A function.
    Function(Function),
    /// Functions behind it.
    Namespace(&'static Namespace),
}

impl Functions {
    /// Adds a function; one of the same name is replaced.
    pub fn add(&mut self, name: &'static str, function: Function) {
        self.table.insert(name, function);
    }

    /// Adds a set of functions.
    pub fn add_namespace(&mut self, namespace: &'static Namespace) {
        self.namespaces.insert(namespace.name, namespace);
    }

    /// What `name` stands for.
    pub fn get(&self, name: &str) -> Option<Named> {
        let function = self.table.get(name).map(|function| Named::Function(*function));
        function.or_else(|| self.namespaces.get(name).map(|namespace| Named::Namespace(namespace)))
    }
}
