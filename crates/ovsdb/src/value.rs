//! The values of OVSDB: atoms, sets and maps, and their JSON. Knows no schema: what a bare atom means in a
//! set column is for `schema` to say.
//!
//! A switch of a thousand wires has some forty thousand values, most of them a set of none or one and a short
//! text: sets and maps lie in as much memory as they need, and short texts in their atom.

use std::cmp::Ordering;

use ecow::EcoString;
use litemap::LiteMap;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::Error;

/// One indivisible value.
#[derive(Clone, Debug)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// A truth value.
    Boolean(bool),
    /// A text.
    String(EcoString),
    /// The identity of a row, or a reference to it.
    Uuid(Uuid),
    /// A reference to a row that the same transaction inserts under this name; never comes back from a server.
    Named(EcoString),
}

/// What a column of a row holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Exactly one atom.
    Atom(Atom),
    /// Any number of distinct atoms; an optional column holds a set of none or one.
    Set(LiteMap<Atom, ()>),
    /// Atoms by key.
    Map(LiteMap<Atom, Atom>),
}

impl Atom {
    /// A place among the sorts, so that atoms of different sorts have an order too.
    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
            Self::Named(_) => 5,
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The integer, if this is one.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(truth) = self { Some(*truth) } else { None }
    }

    /// The row's identity, if this is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Self::Uuid(uuid) = self { Some(*uuid) } else { None }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Integer(number) => json!(number),
            Self::Real(number) => json!(number),
            Self::Boolean(truth) => json!(truth),
            Self::String(text) => json!(text.as_str()),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
            Self::Named(name) => json!(["named-uuid", name.as_str()]),
        }
    }

    fn from_json(json: Json) -> Result<Self, Error> {
        let atom = match json {
            Json::Bool(truth) => Some(Self::Boolean(truth)),
            Json::String(text) => Some(Self::String(text.into())),
            Json::Number(ref number) => number.as_i64().map(Self::Integer).or_else(|| number.as_f64().map(Self::Real)),
            Json::Array(ref pair) => match pair.as_slice() {
                [Json::String(tag), Json::String(text)] if tag == "uuid" => text.parse().ok().map(Self::Uuid),
                [Json::String(tag), Json::String(name)] if tag == "named-uuid" => Some(Self::Named(name.into())),
                _ => return Err(Error::protocol(format!("{json} is no atom"))),
            },
            Json::Null | Json::Object(_) => None,
        };
        atom.ok_or_else(|| Error::protocol("a value is no atom of OVSDB"))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) | (Self::Named(a), Self::Named(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Atom {}

impl Value {
    /// A set of these atoms. An item may be anything that becomes an atom, such as [`Value::named`]'s result.
    pub fn set<I>(items: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Atom>,
    {
        Self::Set(fitting(items.into_iter().map(|item| (item.into(), ())).collect()))
    }

    /// A map of these pairs; of two pairs with one key the last stays.
    pub fn map<I, K, V>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<Atom>,
        V: Into<Atom>,
    {
        Self::Map(fitting(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()))
    }

    /// The empty set: what an optional column without a value holds.
    pub fn none() -> Self {
        Self::Set(LiteMap::new())
    }

    /// A reference to the row with this identity.
    pub fn uuid(uuid: Uuid) -> Atom {
        Atom::Uuid(uuid)
    }

    /// A reference to the row that the same transaction inserts under `name`.
    pub fn named(name: impl Into<EcoString>) -> Atom {
        Atom::Named(name.into())
    }

    /// The one atom: of an atom itself, or of a set of exactly one.
    pub fn single(&self) -> Option<&Atom> {
        match self {
            Self::Atom(atom) => Some(atom),
            Self::Set(set) if set.len() == 1 => set.keys().next(),
            Self::Set(_) | Self::Map(_) => None,
        }
    }

    /// The text of a single atom.
    pub fn as_str(&self) -> Option<&str> {
        self.single().and_then(Atom::as_str)
    }

    /// The integer of a single atom.
    pub fn as_integer(&self) -> Option<i64> {
        self.single().and_then(Atom::as_integer)
    }

    /// The truth value of a single atom.
    pub fn as_bool(&self) -> Option<bool> {
        self.single().and_then(Atom::as_bool)
    }

    /// The row identity of a single atom.
    pub fn as_uuid(&self) -> Option<Uuid> {
        self.single().and_then(Atom::as_uuid)
    }

    /// All atoms of an atom or set, in order; none of a map.
    pub fn atoms(&self) -> impl Iterator<Item = &Atom> {
        let (one, many) = match self {
            Self::Atom(atom) => (Some(atom), None),
            Self::Set(set) => (None, Some(set)),
            Self::Map(_) => (None, None),
        };
        one.into_iter().chain(many.into_iter().flat_map(LiteMap::keys))
    }

    /// The text that a map of texts holds under `key`.
    pub fn entry(&self, key: &str) -> Option<&str> {
        let Self::Map(map) = self else { return None };
        map.get(&Atom::from(key)).and_then(Atom::as_str)
    }

    /// All pairs of a map, in the keys' order; none of an atom or set.
    pub fn pairs(&self) -> impl Iterator<Item = (&Atom, &Atom)> {
        let map = if let Self::Map(map) = self { Some(map) } else { None };
        map.into_iter().flat_map(LiteMap::iter)
    }

    /// The value as RFC 7047 writes it.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Atom(atom) => atom.to_json(),
            Self::Set(set) => json!(["set", set.keys().map(Atom::to_json).collect::<Vec<_>>()]),
            Self::Map(map) => {
                json!([
                    "map",
                    map.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect::<Vec<_>>()
                ])
            }
        }
    }

    /// Reads what RFC 7047 writes.
    ///
    /// # Errors
    /// [`Error::Protocol`] for JSON that is no value of OVSDB.
    pub fn from_json(mut json: Json) -> Result<Self, Error> {
        if let Some([Json::String(tag), Json::Array(items)]) = json.as_array_mut().map(Vec::as_mut_slice) {
            let items = std::mem::take(items);
            match tag.as_str() {
                "set" => return items.into_iter().map(Atom::from_json).collect(),
                "map" => {
                    let pairs: Vec<(Atom, Atom)> = items.into_iter().map(pair_from_json).collect::<Result<_, _>>()?;
                    return Ok(Self::map(pairs));
                }
                _ => return Err(Error::protocol(format!("a value is tagged `{tag}`"))),
            }
        }
        Atom::from_json(json).map(Self::Atom)
    }
}

fn pair_from_json(json: Json) -> Result<(Atom, Atom), Error> {
    let Json::Array(pair) = json else { return Err(Error::protocol("a map's entry is no pair")) };
    let [key, value]: [Json; 2] = pair.try_into().map_err(|_| Error::protocol("a map's entry is no pair"))?;
    Ok((Atom::from_json(key)?, Atom::from_json(value)?))
}

/// The same pairs in memory of their size: what grows one by one has room for four at least.
pub(crate) fn fitting<K, V>(pairs: LiteMap<K, V>) -> LiteMap<K, V> {
    let mut pairs = pairs.into_tuple_vec();
    pairs.shrink_to_fit();
    LiteMap::from_sorted_store_unchecked(pairs)
}

impl<T: Into<Atom>> From<T> for Value {
    fn from(atom: T) -> Self {
        Self::Atom(atom.into())
    }
}

/// Collects a set; an `Option` collects into an optional column's value.
impl<T: Into<Atom>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::set(items)
    }
}

macro_rules! atom_from {
    ($($from:ty => |$it:ident| $atom:expr;)*) => {$(
        impl From<$from> for Atom {
            fn from($it: $from) -> Self { $atom }
        }
    )*};
}

atom_from! {
    i64 => |n| Self::Integer(n);
    i32 => |n| Self::Integer(n.into());
    u32 => |n| Self::Integer(n.into());
    u16 => |n| Self::Integer(n.into());
    u8 => |n| Self::Integer(n.into());
    // Adding zero turns the negative zero, which orders before zero, into zero.
    f64 => |n| Self::Real(n + 0.0);
    bool => |truth| Self::Boolean(truth);
    &str => |text| Self::String(text.into());
    String => |text| Self::String(text.into());
    &String => |text| Self::String(text.into());
    Uuid => |uuid| Self::Uuid(uuid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_of_value_survives_json() {
        let uuid = Uuid::from_u128(7);
        for value in [
            Value::from("text"),
            Value::from(5),
            Value::from(1.5),
            Value::from(true),
            Value::from(uuid),
            Value::none(),
            Value::set([Value::uuid(uuid), Value::named("row")]),
            Value::map([("key", "value"), ("other", "")]),
        ] {
            assert_eq!(Value::from_json(value.to_json()).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["null", "{}", "[]", "[\"set\"]", "[\"map\",[1]]", "[\"uuid\",\"x\"]", "[\"bag\",[]]"] {
            assert!(Value::from_json(serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }
}
