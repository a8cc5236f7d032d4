//! One row: values by column.

use ecow::EcoString;
use litemap::LiteMap;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::value::fitting;
use crate::{Error, Value};

/// The columns of one row that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    columns: LiteMap<EcoString, Value>,
}

impl Row {
    /// The value in `column`, if the row has that column.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.columns.get(column)
    }

    /// The single text in `column`; `None` also for an empty optional column.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.get(column)?.as_str()
    }

    /// The single integer in `column`; `None` also for an empty optional column.
    pub fn integer(&self, column: &str) -> Option<i64> {
        self.get(column)?.as_integer()
    }

    /// The single truth value in `column`; `None` also for an empty optional column.
    pub fn truth(&self, column: &str) -> Option<bool> {
        self.get(column)?.as_bool()
    }

    /// The single row identity in `column`; `None` also for an empty optional column.
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        self.get(column)?.as_uuid()
    }

    /// All row identities in `column`, in order.
    pub fn uuids(&self, column: &str) -> impl Iterator<Item = Uuid> {
        self.get(column).into_iter().flat_map(Value::atoms).filter_map(crate::Atom::as_uuid)
    }

    /// The text that the map in `column` holds under `key`.
    pub fn entry(&self, column: &str, key: &str) -> Option<&str> {
        self.get(column)?.entry(key)
    }

    /// All columns, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.columns.iter().map(|(column, value)| (column.as_str(), value))
    }

    /// Puts `value` into `column`.
    pub fn insert(&mut self, column: impl Into<EcoString>, value: impl Into<Value>) {
        self.columns.insert(column.into(), value.into());
    }

    /// Takes `column` out of the row.
    pub(crate) fn remove(&mut self, column: &str) -> Option<Value> {
        self.columns.remove(column)
    }

    pub(crate) fn get_mut(&mut self, column: &str) -> Option<&mut Value> {
        self.columns.get_mut(column)
    }

    pub(crate) fn from_json(json: Json) -> Result<Self, Error> {
        let Json::Object(columns) = json else { return Err(Error::protocol("a row is no object")) };
        let read = |(column, value): (String, Json)| Ok((column.into(), Value::from_json(value)?));
        Ok(Self { columns: columns.into_iter().map(read).collect::<Result<_, Error>>()? })
    }

    pub(crate) fn to_json(&self) -> Json {
        self.iter().map(|(column, value)| (column.to_owned(), value.to_json())).collect()
    }
}

impl IntoIterator for Row {
    type Item = (EcoString, Value);
    type IntoIter = std::vec::IntoIter<(EcoString, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.columns.into_tuple_vec().into_iter()
    }
}

impl<C: Into<EcoString>, V: Into<Value>> FromIterator<(C, V)> for Row {
    fn from_iter<I: IntoIterator<Item = (C, V)>>(columns: I) -> Self {
        Self { columns: fitting(columns.into_iter().map(|(column, value)| (column.into(), value.into())).collect()) }
    }
}
