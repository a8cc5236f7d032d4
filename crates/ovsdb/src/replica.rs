//! A copy of tables, kept equal to the server's by the updates of a monitor. Does no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ecow::EcoString;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Error, Row, Schema};

/// Which columns of a table are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All that the schema names.
    All,
    /// These.
    Only(BTreeSet<EcoString>),
}

impl Columns {
    /// Only these columns.
    pub fn only<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Only(columns.into_iter().map(EcoString::from).collect())
    }
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Inserted,
    /// Some of its watched columns changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One changed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The row's table.
    pub table: String,
    /// The row's identity.
    pub uuid: Uuid,
    /// What happened.
    pub kind: ChangeKind,
    /// The watched columns before; `None` of an inserted row.
    pub old: Option<Row>,
    /// The watched columns after; `None` of a deleted row.
    pub new: Option<Row>,
}

type Tables = BTreeMap<String, BTreeMap<Uuid, Row>>;

/// A copy of the wanted columns of some tables. Each value has the form that its column's type gives it: an atom
/// for exactly one, a set for all others, so that equal contents are equal.
#[derive(Clone, Debug)]
pub struct Replica {
    schema: Arc<Schema>,
    columns: BTreeMap<String, BTreeSet<EcoString>>,
    tables: Tables,
}

static NO_ROWS: BTreeMap<Uuid, Row> = BTreeMap::new();

/// Equal when they hold the same rows of the same tables.
impl PartialEq for Replica {
    fn eq(&self, other: &Self) -> bool {
        self.tables == other.tables
    }
}

impl Replica {
    /// An empty copy of these tables.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the schema lacks a table or column.
    pub fn new(schema: Arc<Schema>, wanted: &BTreeMap<String, Columns>) -> Result<Self, Error> {
        let mut columns = BTreeMap::new();
        for (table, wanted) in wanted {
            let known = &schema.table(table)?.columns;
            let names = match wanted {
                Columns::All => known.keys().map(EcoString::from).collect(),
                Columns::Only(names) => names.clone(),
            };
            names.iter().try_for_each(|name| schema.column(table, name).map(drop))?;
            columns.insert(table.clone(), names);
        }
        let tables = columns.keys().map(|table| (table.clone(), BTreeMap::new())).collect();
        Ok(Self { schema, columns, tables })
    }

    /// All rows of a table by identity; none for a table that is not copied.
    pub fn table(&self, name: &str) -> &BTreeMap<Uuid, Row> {
        self.tables.get(name).unwrap_or(&NO_ROWS)
    }

    /// The row of this table and identity.
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Row> {
        self.table(table).get(&uuid)
    }

    /// The first row of `table` whose `column` is the single text `text`. Looks at every row.
    pub fn find(&self, table: &str, column: &str, text: &str) -> Option<(Uuid, &Row)> {
        self.table(table).iter().find(|(_, row)| row.text(column) == Some(text)).map(|(uuid, row)| (*uuid, row))
    }

    /// The copied tables and their columns.
    pub fn columns(&self) -> &BTreeMap<String, BTreeSet<EcoString>> {
        &self.columns
    }

    /// What makes this copy into `other`, in the order of tables and identities.
    pub fn difference(&self, other: &Self) -> Vec<Change> {
        let names: BTreeSet<&String> = self.tables.keys().chain(other.tables.keys()).collect();
        let mut changes = Vec::new();
        for name in names {
            let (old, new) = (self.table(name), other.table(name));
            let uuids: BTreeSet<&Uuid> = old.keys().chain(new.keys()).collect();
            changes.extend(uuids.into_iter().filter_map(|uuid| change(name, *uuid, old.get(uuid), new.get(uuid))));
        }
        changes
    }

    /// Applies `table-updates2`, as `monitor_cond` answers and `update2` notifies.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the updates do not fit this copy, which then is worth nothing any more.
    pub fn apply(&mut self, updates: Json) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        for (table, rows) in object(updates, "updates")? {
            for (uuid, update) in object(rows, "a table's updates")? {
                let uuid = uuid.parse().map_err(|_| Error::protocol(format!("`{uuid}` is no uuid")))?;
                for (kind, row) in object(update, "a row's update")? {
                    changes.extend(self.apply_row(&table, uuid, &kind, row)?);
                }
            }
        }
        Ok(changes)
    }

    fn apply_row(&mut self, table: &str, uuid: Uuid, kind: &str, json: Json) -> Result<Option<Change>, Error> {
        let old = self.row(table, uuid).cloned();
        let new = match (kind, &old) {
            ("initial" | "insert", None) => Some(self.complete(table, Row::from_json(json)?)?),
            ("modify", Some(old)) => Some(self.modified(table, old.clone(), Row::from_json(json)?)?),
            ("delete", Some(_)) => None,
            _ => return Err(Error::protocol(format!("`{kind}` of row {uuid} does not fit what table {table} holds"))),
        };
        let rows =
            self.tables.get_mut(table).ok_or_else(|| Error::protocol(format!("table {table} was not asked for")))?;
        match &new {
            Some(row) => rows.insert(uuid, row.clone()),
            None => rows.remove(&uuid),
        };
        Ok(change(table, uuid, old.as_ref(), new.as_ref()))
    }

    /// The normal form of a whole row: the server leaves out columns that hold their default.
    fn complete(&self, table: &str, mut row: Row) -> Result<Row, Error> {
        let columns =
            self.columns.get(table).ok_or_else(|| Error::protocol(format!("table {table} was not asked for")))?;
        let complete = |name: &EcoString| {
            let column = self.schema.column(table, name)?;
            let value = row.remove(name).map_or_else(|| Ok(column.default_value()), |value| column.normal(value))?;
            // One name for all rows.
            Ok((name.clone(), value))
        };
        columns.iter().map(complete).collect()
    }

    fn modified(&self, table: &str, mut row: Row, difference: Row) -> Result<Row, Error> {
        for (name, difference) in difference {
            let column = self.schema.column(table, &name)?;
            let value =
                row.get_mut(&name).ok_or_else(|| Error::protocol(format!("column {name} was not asked for")))?;
            column.modify(value, column.normal(difference)?);
        }
        Ok(row)
    }

    /// Puts the rows of a `select` of this copy's columns and `_uuid` into `table`.
    pub(crate) fn fill(&mut self, table: &str, rows: &[Row]) -> Result<(), Error> {
        for row in rows {
            let uuid = row.uuid("_uuid").ok_or_else(|| Error::protocol("a selected row has no _uuid"))?;
            let complete = self.complete(table, row.clone())?;
            self.tables.entry(table.to_owned()).or_default().insert(uuid, complete);
        }
        Ok(())
    }

    /// An empty copy of the same columns.
    pub(crate) fn emptied(&self) -> Self {
        let tables = self.columns.keys().map(|table| (table.clone(), BTreeMap::new())).collect();
        Self { schema: Arc::clone(&self.schema), columns: self.columns.clone(), tables }
    }
}

fn change(table: &str, uuid: Uuid, old: Option<&Row>, new: Option<&Row>) -> Option<Change> {
    let kind = match (old, new) {
        (None, Some(_)) => ChangeKind::Inserted,
        (Some(_), None) => ChangeKind::Deleted,
        (old, new) if old == new => return None,
        _ => ChangeKind::Modified,
    };
    Some(Change { table: table.to_owned(), uuid, kind, old: old.cloned(), new: new.cloned() })
}

fn object(json: Json, what: &str) -> Result<serde_json::Map<String, Json>, Error> {
    if let Json::Object(map) = json { Ok(map) } else { Err(Error::protocol(format!("{what} are no object"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use serde_json::json;

    const ROW: &str = "00000000-0000-0000-0000-000000000001";

    fn replica() -> Replica {
        let schema = json!({"name": "D", "tables": {"T": {"columns": {
            "name": {"type": "string"},
            "tag": {"type": {"key": "integer", "min": 0, "max": 1}},
            "vlans": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
            "ids": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}});
        let schema = Arc::new(Schema::from_json(&schema).unwrap());
        Replica::new(schema, &BTreeMap::from([("T".to_owned(), Columns::All)])).unwrap()
    }

    #[test]
    fn a_row_lives_from_insert_to_delete() {
        let mut replica = replica();
        let uuid: Uuid = ROW.parse().unwrap();
        let inserted = replica.apply(json!({"T": {ROW: {"insert": {"name": "a", "vlans": 4}}}})).unwrap();
        assert_eq!(inserted[0].kind, ChangeKind::Inserted);
        let row = replica.row("T", uuid).unwrap();
        assert_eq!((row.get("tag"), row.get("vlans")), (Some(&Value::none()), Some(&Value::set([4]))));

        let difference = json!({"vlans": ["set", [4, 5, 6]], "ids": ["map", [["k", "v"]]], "tag": 7});
        let modified = replica.apply(json!({"T": {ROW: {"modify": difference}}})).unwrap();
        assert_eq!(modified[0].old.as_ref().unwrap().get("vlans"), Some(&Value::set([4])));
        let row = replica.row("T", uuid).unwrap();
        assert_eq!(row.get("vlans"), Some(&Value::set([5, 6])));
        assert_eq!((row.entry("ids", "k"), row.integer("tag")), (Some("v"), Some(7)));

        let deleted = replica.apply(json!({"T": {ROW: {"delete": null}}})).unwrap();
        assert_eq!((deleted[0].kind, replica.table("T").len()), (ChangeKind::Deleted, 0));
    }

    #[test]
    fn an_update_that_does_not_fit_is_an_error() {
        for update in [
            json!({"T": {ROW: {"modify": {"tag": 1}}}}),
            json!({"T": {ROW: {"delete": null}}}),
            json!({"U": {ROW: {"insert": {}}}}),
            json!({"T": {"x": {"insert": {}}}}),
            json!({"T": {ROW: {"insert": {"tag": "x"}}}}),
        ] {
            assert!(replica().apply(update.clone()).is_err(), "{update}");
        }
    }

    #[test]
    fn an_unknown_column_cannot_be_copied() {
        let schema = Arc::clone(&replica().schema);
        let wanted = BTreeMap::from([("T".to_owned(), Columns::only(["colour"]))]);
        assert!(matches!(Replica::new(schema, &wanted), Err(Error::Unknown { .. })));
    }

    #[test]
    fn the_difference_of_two_copies_names_every_row() {
        let (empty, mut full) = (replica(), replica());
        full.apply(json!({"T": {ROW: {"initial": {}}}})).unwrap();
        assert_eq!(empty.difference(&full)[0].kind, ChangeKind::Inserted);
        assert_eq!(full.difference(&empty)[0].kind, ChangeKind::Deleted);
        assert_eq!(full.difference(&full.clone()), []);
    }
}
