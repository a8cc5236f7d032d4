//! The operations of a transaction, and what the server answers to each. Knows no schema: the server checks
//! names and types.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{Error, Row, Value};

/// Which rows an operation is about. There is no default: a forgotten condition would mean every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    clauses: Vec<(String, &'static str, Value)>,
}

impl Where {
    /// Every row of the table.
    pub fn all() -> Self {
        Self { clauses: Vec::new() }
    }

    /// The row with this identity; the quickest condition for the server.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::equals("_uuid", uuid)
    }

    /// Rows whose `column` equals `value`.
    pub fn equals(column: &str, value: impl Into<Value>) -> Self {
        Self::all().and(column, "==", value)
    }

    /// Rows whose set or map in `column` holds all of `value`.
    pub fn includes(column: &str, value: impl Into<Value>) -> Self {
        Self::all().and(column, "includes", value)
    }

    /// Narrows to rows for which `function` (`==`, `!=`, `<`, `<=`, `>`, `>=`, `includes`, `excludes`) holds too.
    pub fn and(mut self, column: &str, function: &'static str, value: impl Into<Value>) -> Self {
        self.clauses.push((column.to_owned(), function, value.into()));
        self
    }

    fn to_json(&self) -> Json {
        self.clauses.iter().map(|(column, function, value)| json!([column, function, value.to_json()])).collect()
    }
}

/// One operation, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    json: Map<String, Json>,
}

impl Operation {
    fn new(op: &str) -> Self {
        Self { json: Map::from_iter([("op".to_owned(), json!(op))]) }
    }

    fn on(op: &str, table: &str) -> Self {
        Self::new(op).with("table", json!(table))
    }

    fn with(mut self, key: &str, value: Json) -> Self {
        self.json.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn into_json(self) -> Json {
        Json::Object(self.json)
    }

    /// The operation and its table, such as `insert Port`.
    pub(crate) fn describe(&self) -> String {
        let word = |key| self.json.get(key).and_then(Json::as_str).unwrap_or_default();
        format!("{} {}", word("op"), word("table")).trim_end().to_owned()
    }
}

/// Begins an `insert` of one row; columns that are not set get their defaults.
pub fn insert(table: &str) -> Insert {
    Insert { table: table.to_owned(), name: None, row: Row::default() }
}

/// Begins a `select` of all columns.
pub fn select(table: &str, rows: Where) -> Select {
    Select(Operation::on("select", table).with("where", rows.to_json()))
}

/// Begins an `update` of the columns that are then set.
pub fn update(table: &str, rows: Where) -> Update {
    Update { operation: Operation::on("update", table).with("where", rows.to_json()), row: Row::default() }
}

/// Begins a `mutate`; mutations apply in the order in which they are named.
pub fn mutate(table: &str, rows: Where) -> Mutate {
    Mutate { operation: Operation::on("mutate", table).with("where", rows.to_json()), mutations: Vec::new() }
}

/// A `delete` of these rows.
pub fn delete(table: &str, rows: Where) -> Delete {
    Delete(Operation::on("delete", table).with("where", rows.to_json()))
}

/// Begins a `wait`: the transaction fails unless the rows' `columns` become as stated in time.
pub fn wait(table: &str, rows: Where, columns: &[&str]) -> Wait {
    let operation = Operation::on("wait", table).with("where", rows.to_json()).with("columns", json!(columns));
    Wait(operation.with("until", json!("==")).with("rows", json!([])).with("timeout", json!(0)))
}

/// A `comment` that the server keeps in the database's log.
pub fn comment(text: &str) -> Operation {
    Operation::new("comment").with("comment", json!(text))
}

/// An `insert` under way.
#[derive(Clone, Debug)]
pub struct Insert {
    table: String,
    name: Option<String>,
    row: Row,
}

impl Insert {
    /// Gives the row a name by which other operations of the transaction refer to it, see [`Value::named`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets `column`.
    pub fn set(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.row.insert(column, value);
        self
    }
}

impl From<Insert> for Operation {
    fn from(insert: Insert) -> Self {
        let operation = Self::on("insert", &insert.table).with("row", insert.row.to_json());
        match insert.name {
            Some(name) => operation.with("uuid-name", json!(name)),
            None => operation,
        }
    }
}

/// A `select` under way.
#[derive(Clone, Debug)]
pub struct Select(Operation);

impl Select {
    /// Asks for these columns only; `_uuid` is a column like any other.
    pub fn columns<'a>(self, columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(self.0.with("columns", columns.into_iter().collect()))
    }
}

impl From<Select> for Operation {
    fn from(select: Select) -> Self {
        select.0
    }
}

/// An `update` under way.
#[derive(Clone, Debug)]
pub struct Update {
    operation: Operation,
    row: Row,
}

impl Update {
    /// Replaces the whole value of `column`. To add to a set or map, [`mutate`] it.
    pub fn set(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.row.insert(column, value);
        self
    }
}

impl From<Update> for Operation {
    fn from(update: Update) -> Self {
        update.operation.with("row", update.row.to_json())
    }
}

/// A `mutate` under way.
#[derive(Clone, Debug)]
pub struct Mutate {
    operation: Operation,
    mutations: Vec<Json>,
}

impl Mutate {
    /// Adds the elements of a set, or those pairs of a map whose keys are not there yet.
    pub fn insert(self, column: &str, value: impl Into<Value>) -> Self {
        self.apply(column, "insert", value)
    }

    /// Takes away elements of a set; of a map the given pairs, or the given keys if a set is given.
    pub fn delete(self, column: &str, value: impl Into<Value>) -> Self {
        self.apply(column, "delete", value)
    }

    /// Adds `by` to a number.
    pub fn add(self, column: &str, by: impl Into<Value>) -> Self {
        self.apply(column, "+=", by)
    }

    /// Any mutation of RFC 7047 section 5.1 by its sign.
    pub fn apply(mut self, column: &str, mutator: &'static str, value: impl Into<Value>) -> Self {
        self.mutations.push(json!([column, mutator, value.into().to_json()]));
        self
    }
}

impl From<Mutate> for Operation {
    fn from(mutate: Mutate) -> Self {
        mutate.operation.with("mutations", Json::Array(mutate.mutations))
    }
}

/// A `delete`.
#[derive(Clone, Debug)]
pub struct Delete(Operation);

impl From<Delete> for Operation {
    fn from(delete: Delete) -> Self {
        delete.0
    }
}

/// A `wait` under way. Without more said it demands, at once, that there are no such rows.
#[derive(Clone, Debug)]
pub struct Wait(Operation);

impl Wait {
    /// Demands that the rows equal these.
    pub fn until_equal(self, rows: &[Row]) -> Self {
        self.until("==", rows)
    }

    /// Demands that the rows differ from these; of no rows: that there is any.
    pub fn until_not_equal(self, rows: &[Row]) -> Self {
        self.until("!=", rows)
    }

    /// How long the server may hold the transaction back; zero (the default) judges at once.
    pub fn within(self, timeout: Duration) -> Self {
        Self(self.0.with("timeout", json!(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX >> 1))))
    }

    fn until(self, sign: &str, rows: &[Row]) -> Self {
        Self(self.0.with("until", json!(sign)).with("rows", rows.iter().map(Row::to_json).collect()))
    }
}

impl From<Wait> for Operation {
    fn from(wait: Wait) -> Self {
        wait.0
    }
}

/// What the server answered to one operation that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// `insert`: the identity of the new row.
    Inserted(Uuid),
    /// `select`: the rows, in no order. A set of exactly one element may read as an atom: the server writes it so.
    Rows(Vec<Row>),
    /// `update`, `mutate`, `delete`: how many rows matched the condition.
    Count(u64),
    /// Everything else.
    Done,
}

impl OpResult {
    /// The new row's identity, of an `insert`.
    pub fn uuid(&self) -> Option<Uuid> {
        if let Self::Inserted(uuid) = self { Some(*uuid) } else { None }
    }

    /// The rows of a `select`; none of anything else.
    pub fn rows(&self) -> &[Row] {
        if let Self::Rows(rows) = self { rows } else { &[] }
    }

    /// How many rows an `update`, `mutate` or `delete` matched.
    pub fn count(&self) -> Option<u64> {
        if let Self::Count(count) = self { Some(*count) } else { None }
    }

    fn from_json(mut json: Json) -> Result<Self, Error> {
        if let Some(rows) = json.get_mut("rows").map(Json::take) {
            let Json::Array(rows) = rows else { return Err(Error::protocol("a select's rows are no array")) };
            return rows.into_iter().map(Row::from_json).collect::<Result<_, _>>().map(Self::Rows);
        }
        if let Some(uuid) = json.get_mut("uuid").map(Json::take) {
            let uuid = Value::from_json(uuid)?.as_uuid();
            return uuid.map(Self::Inserted).ok_or_else(|| Error::protocol("an insert's uuid is none"));
        }
        Ok(json.get("count").and_then(Json::as_u64).map_or(Self::Done, Self::Count))
    }
}

/// Reads the `result` of a transact call. An error stands inside: an element instead of a result, the elements
/// after it null; a failed commit is one element more than there were operations.
pub(crate) fn read_results(json: Json, operations: &[String]) -> Result<Vec<OpResult>, Error> {
    let Json::Array(elements) = json else { return Err(Error::protocol("a transaction's result is no array")) };
    for (index, element) in elements.iter().enumerate() {
        if let Some(error) = element.get("error").filter(|error| !error.is_null()) {
            let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            return Err(Error::Transaction {
                index,
                operation: operations.get(index).cloned().unwrap_or_else(|| "commit".to_owned()),
                error: text(error),
                details: element.get("details").map(text).unwrap_or_default(),
            });
        }
    }
    if elements.len() != operations.len() {
        let reason = format!("{} results came for {} operations", elements.len(), operations.len());
        return Err(Error::protocol(reason));
    }
    elements.into_iter().map(OpResult::from_json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_the_result_names_its_operation() {
        let operations = ["insert Port".to_owned(), "delete Port".to_owned()];
        let result = json!([{"uuid": ["uuid", Uuid::nil().to_string()]}, {"error": "timed out", "details": "d"}]);
        let error = read_results(result, &operations).unwrap_err();
        assert_eq!(error.to_string(), "operation 1 (delete Port) failed and nothing was changed: timed out: d");
    }

    #[test]
    fn an_element_more_than_operations_is_a_failed_commit() {
        let error = read_results(json!([{}, {"error": "constraint violation"}]), &["comment".to_owned()]).unwrap_err();
        assert!(matches!(error, Error::Transaction { index: 1, operation, .. } if operation == "commit"));
    }

    #[test]
    fn a_missing_result_is_not_taken_for_success() {
        assert!(matches!(read_results(json!([]), &["comment".to_owned()]), Err(Error::Protocol { .. })));
    }
}
