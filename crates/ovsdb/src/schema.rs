//! What a database's columns hold, and what follows from it: the one form of a value in its column, the value
//! that an omitted column has, and what a difference does to a value.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Atom, Error, Value};

/// The tables of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The database's name.
    pub name: String,
    /// The schema's version, such as `8.4.0`; empty if the server states none.
    pub version: String,
    /// Tables by name.
    pub tables: BTreeMap<String, TableSchema>,
}

/// The columns of a table, without `_uuid` and `_version`, which every table has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSchema {
    /// Columns by name.
    pub columns: BTreeMap<String, ColumnType>,
}

/// The sort of an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are those of RFC 7047.
pub enum AtomType {
    Integer,
    Real,
    Boolean,
    String,
    Uuid,
}

/// What a column holds: `min` to `max` atoms, or pairs if there is a `value` sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// Sort of the atoms, or of a map's keys.
    pub key: AtomType,
    /// Sort of a map's values.
    pub value: Option<AtomType>,
    /// 0 or 1.
    pub min: u64,
    /// At least 1; `None` is unlimited.
    pub max: Option<u64>,
}

impl Schema {
    /// Reads the answer to `get_schema`.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it is no schema.
    pub fn from_json(json: &Json) -> Result<Self, Error> {
        let text = |key| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let tables = json.get("tables").and_then(Json::as_object).ok_or_else(|| Error::protocol("no tables"))?;
        let read = |(name, table): (&String, &Json)| Ok((name.clone(), TableSchema::from_json(table)?));
        let tables = tables.iter().map(read).collect::<Result<_, Error>>()?;
        Ok(Self { name: text("name"), version: text("version"), tables })
    }

    /// The table of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none.
    pub fn table(&self, name: &str) -> Result<&TableSchema, Error> {
        let unknown = || Error::Unknown { database: self.name.clone(), what: format!("table {name}") };
        self.tables.get(name).ok_or_else(unknown)
    }

    /// What `column` of `table` holds.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such table or column.
    pub fn column(&self, table: &str, column: &str) -> Result<ColumnType, Error> {
        let unknown = || Error::Unknown { database: self.name.clone(), what: format!("column {table}.{column}") };
        self.table(table)?.columns.get(column).copied().ok_or_else(unknown)
    }
}

impl TableSchema {
    fn from_json(json: &Json) -> Result<Self, Error> {
        let columns = json.get("columns").and_then(Json::as_object).ok_or_else(|| Error::protocol("no columns"))?;
        let read = |(name, column): (&String, &Json)| {
            let column = column.get("type").and_then(ColumnType::from_json);
            let column = column.ok_or_else(|| Error::protocol(format!("column {name} has no known type")))?;
            Ok((name.clone(), column))
        };
        Ok(Self { columns: columns.iter().map(read).collect::<Result<_, Error>>()? })
    }
}

impl AtomType {
    /// A sort stands as its name, or as an object with its name and constraints.
    fn from_json(json: &Json) -> Option<Self> {
        match json.as_str().or_else(|| json.get("type")?.as_str())? {
            "integer" => Some(Self::Integer),
            "real" => Some(Self::Real),
            "boolean" => Some(Self::Boolean),
            "string" => Some(Self::String),
            "uuid" => Some(Self::Uuid),
            _ => None,
        }
    }

    fn default_atom(self) -> Atom {
        match self {
            Self::Integer => Atom::Integer(0),
            Self::Real => Atom::Real(0.0),
            Self::Boolean => Atom::Boolean(false),
            Self::String => Atom::from(""),
            Self::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }

    /// `atom` as this sort; a whole number in a real column comes without a point.
    fn normal(self, atom: Atom) -> Result<Atom, Error> {
        match (self, atom) {
            (Self::Real, Atom::Integer(number)) => Ok(Atom::from(number as f64)),
            (Self::Real, Atom::Real(number)) => Ok(Atom::from(number)),
            (Self::Integer, atom @ Atom::Integer(_))
            | (Self::Boolean, atom @ Atom::Boolean(_))
            | (Self::String, atom @ Atom::String(_))
            | (Self::Uuid, atom @ Atom::Uuid(_)) => Ok(atom),
            (sort, atom) => Err(Error::protocol(format!("{atom:?} stands where {sort:?} belongs"))),
        }
    }
}

impl ColumnType {
    fn from_json(json: &Json) -> Option<Self> {
        if let Some(key) = AtomType::from_json(json).filter(|_| json.is_string()) {
            return Some(Self { key, value: None, min: 1, max: Some(1) });
        }
        let value = match json.get("value") {
            Some(value) => Some(AtomType::from_json(value)?),
            None => None,
        };
        let max = match json.get("max") {
            Some(Json::String(unlimited)) if unlimited == "unlimited" => None,
            Some(max) => Some(max.as_u64()?),
            None => Some(1),
        };
        let min = json.get("min").map_or(Some(1), Json::as_u64)?;
        Some(Self { key: AtomType::from_json(json.get("key")?)?, value, min, max })
    }

    /// Whether it holds exactly one atom, never a set or map.
    pub fn is_scalar(self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == Some(1)
    }

    /// Whether a monitor sends differences of it rather than new values.
    fn is_composite(self) -> bool {
        self.max != Some(1)
    }

    /// The value that a row has when nothing was said about the column.
    pub fn default_value(self) -> Value {
        if self.is_scalar() {
            return Value::Atom(self.key.default_atom());
        }
        let least = usize::from(self.min > 0);
        match self.value {
            Some(value) => Value::map(std::iter::repeat_n((self.key.default_atom(), value.default_atom()), least)),
            None => Value::set(std::iter::repeat_n(self.key.default_atom(), least)),
        }
    }

    /// The one form that `value` has in this column: an atom in a scalar column, a set (also of one) in a set
    /// column, a map in a map column.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it does not belong into this column.
    pub fn normal(self, value: Value) -> Result<Value, Error> {
        let key = |atom| self.key.normal(atom);
        match (self.value, value) {
            (Some(sort), Value::Map(map)) => {
                let pair = |(k, v)| Ok((key(k)?, sort.normal(v)?));
                let pairs: Vec<(Atom, Atom)> = map.into_iter().map(pair).collect::<Result<_, Error>>()?;
                Ok(Value::map(pairs))
            }
            (None, Value::Atom(atom)) if self.is_scalar() => key(atom).map(Value::Atom),
            (None, Value::Atom(atom)) => Ok(Value::set([key(atom)?])),
            (None, Value::Set(set)) if !self.is_scalar() => set.into_iter().map(|(atom, ())| key(atom)).collect(),
            (_, value) => Err(Error::protocol(format!("{value:?} stands in a column of {self:?}"))),
        }
    }

    /// Applies what a monitor's `modify` says to `value`; both in their normal form. Of columns that may hold
    /// several atoms it is a difference: an element of either set but not of both; a pair to be removed if it is
    /// there as it is, to be set otherwise.
    pub(crate) fn modify(self, value: &mut Value, difference: Value) {
        match (value, difference) {
            (Value::Set(set), Value::Set(difference)) if self.is_composite() => {
                for (atom, ()) in difference {
                    if set.remove(&atom).is_none() {
                        set.insert(atom, ());
                    }
                }
            }
            (Value::Map(map), Value::Map(difference)) if self.is_composite() => {
                for (key, new) in difference {
                    if map.get(&key) == Some(&new) {
                        map.remove(&key);
                    } else {
                        map.insert(key, new);
                    }
                }
            }
            (value, new) => *value = new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    const SET: ColumnType = ColumnType { key: AtomType::Integer, value: None, min: 0, max: None };
    const MAP: ColumnType = ColumnType { value: Some(AtomType::Integer), ..SET };
    const OPTIONAL: ColumnType = ColumnType { max: Some(1), ..SET };

    proptest! {
        #[test]
        fn the_difference_of_two_sets_leads_from_one_to_the_other(
            old in prop::collection::btree_set(0..12_i64, 0..9),
            new in prop::collection::btree_set(0..12_i64, 0..9),
        ) {
            let difference: BTreeSet<i64> = old.symmetric_difference(&new).copied().collect();
            let mut value = Value::set(old);
            SET.modify(&mut value, Value::set(difference));
            prop_assert_eq!(value, Value::set(new));
        }

        #[test]
        fn the_difference_of_two_maps_leads_from_one_to_the_other(
            old in prop::collection::btree_map(0..9_i64, 0..3_i64, 0..9),
            new in prop::collection::btree_map(0..9_i64, 0..3_i64, 0..9),
        ) {
            let removed = old.iter().filter(|(k, _)| !new.contains_key(k));
            let changed = new.iter().filter(|(k, v)| old.get(k) != Some(v));
            let difference: BTreeMap<i64, i64> = removed.chain(changed).map(|(k, v)| (*k, *v)).collect();
            let mut value = Value::map(old.clone());
            MAP.modify(&mut value, Value::map(difference));
            prop_assert_eq!(value, Value::map(new));
        }
    }

    #[test]
    fn an_optional_column_is_replaced_and_not_toggled() {
        let mut value = Value::set([5]);
        OPTIONAL.modify(&mut value, Value::set([6]));
        assert_eq!(value, Value::set([6]));
        OPTIONAL.modify(&mut value, Value::none());
        assert_eq!(value, Value::none());
    }

    #[test]
    fn a_bare_atom_in_a_set_column_is_a_set_of_one() {
        assert_eq!(SET.normal(Value::from(5)).unwrap(), Value::set([5]));
        assert!(SET.normal(Value::from("five")).is_err());
    }

    #[test]
    fn a_whole_number_in_a_real_column_is_real() {
        let real = ColumnType::from_json(&json!("real")).unwrap();
        assert_eq!(real.normal(Value::from(1)).unwrap(), Value::from(1.0));
    }

    #[test]
    fn types_are_read_in_all_their_spellings() {
        let read = |json| ColumnType::from_json(&json);
        let tag = json!({"key": {"type": "integer", "maxInteger": 4095}, "min": 0, "max": 1});
        assert_eq!(read(tag), Some(OPTIONAL));
        assert_eq!(read(json!({"key": "integer", "min": 0, "max": "unlimited"})), Some(SET));
        assert_eq!(read(json!({"key": "integer", "value": "integer", "min": 0, "max": "unlimited"})), Some(MAP));
        assert_eq!(read(json!({"key": {"type": "string"}})).map(ColumnType::is_scalar), Some(true));
        assert_eq!(read(json!("text")), None);
    }
}
