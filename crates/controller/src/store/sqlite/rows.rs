//! Rows and what they mean.

use std::sync::Arc;

use archetype_api::JournalEntry;
use archetype_model::name::Invalid;
use archetype_model::{HostName, LabName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::query::QueryScalar;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool};

use super::{Note, Revision, StoreError, Stretch, Verified, entry_of, failed};
use crate::store::{JOURNAL_KEPT, timestamp};

/// A document as it is kept.
pub(super) fn json<T: Serialize>(document: &T) -> String {
    // Documents of ours have no map whose keys are not strings.
    serde_json::to_string(document).unwrap_or_default()
}

/// A document as it was kept.
pub(super) fn document<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
    what: &str,
) -> Result<T, StoreError> {
    let text: String = row.try_get(column).map_err(failed("read a document"))?;
    serde_json::from_str(&text).map_err(|error| StoreError::Damaged { what: what.to_string(), why: error.to_string() })
}

/// A name as it was kept.
pub(super) fn name<T>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: TryFrom<String, Error = Invalid>,
{
    let text: String = row.try_get(column).map_err(failed("read a name"))?;
    T::try_from(text).map_err(|error| StoreError::Damaged { what: format!("a {column}"), why: error.to_string() })
}

/// A revision as it was kept.
pub(super) fn revision(row: &SqliteRow) -> Result<Revision, StoreError> {
    Ok(Revision {
        number: number(row, "number")?,
        lab: name(row, "lab")?,
        wish: Arc::new(document(row, "wish", "a revision")?),
        digest: row.try_get("digest").map_err(failed("read a revision"))?,
        created_at_ms: number(row, "created_at_ms")?,
    })
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column).map_err(failed("read a number"))?;
    Ok(number as u64)
}

/// Begins a transaction that makes a wish the current revision of its lab, with its note in the journal as [`append`] has
/// it, and answers its number; none where the current one says the same. One script, the beginning included: each statement
/// by itself is a way to the database's thread and back, and a busy machine takes its time to wake either end.
pub(super) async fn begin_revision(
    connection: &mut SqliteConnection,
    lab: &LabName,
    (wish, digest): (&str, &str),
    note: &Note,
) -> Result<Option<u64>, StoreError> {
    let script = sqlx::query_scalar(
        "BEGIN IMMEDIATE;
         INSERT INTO revisions (lab, wish, digest, created_at_ms)
         SELECT $7, $8, $9, $1
         WHERE $9 IS NOT (SELECT digest FROM revisions WHERE lab = $7 ORDER BY number DESC LIMIT 1)
         RETURNING number;
         INSERT INTO journal (at_ms, lab, kind, subject, message, detail)
         SELECT $1, $2, $3, $4, $5, $6 WHERE changes() > 0;
         DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - $10",
    );
    let numbers: Vec<i64> = with_note(script, note)
        .bind(lab.as_str())
        .bind(wish)
        .bind(digest)
        .bind(JOURNAL_KEPT as i64)
        .fetch_all(connection)
        .await
        .map_err(failed("write a revision"))?;
    Ok(numbers.first().map(|number| *number as u64))
}

/// The current revision of a lab, if it has this digest.
pub(super) async fn current_if(
    connection: &mut SqliteConnection,
    lab: &LabName,
    digest: &str,
) -> Result<Option<Revision>, StoreError> {
    let row = sqlx::query(
        "SELECT number, lab, wish, digest, created_at_ms FROM revisions
         WHERE number = (SELECT number FROM (SELECT number, digest FROM revisions WHERE lab = $1
                                             ORDER BY number DESC LIMIT 1) WHERE digest = $2)",
    )
    .bind(lab.as_str())
    .bind(digest)
    .fetch_optional(connection)
    .await
    .map_err(failed("read the current revision"))?;
    row.map(|row| revision(&row)).transpose()
}

/// Whether a repair was not told before; afterwards it was.
pub(super) async fn is_new_repair(
    connection: &mut SqliteConnection,
    host: &HostName,
    number: u64,
) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO repairs (host, number) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(host.as_str())
        .bind(number as i64)
        .execute(connection)
        .await
        .map_err(failed("write a repair"))?;
    Ok(done.rows_affected() == 1)
}

/// Makes a report the latest of its host.
pub(super) async fn put_report(connection: &mut SqliteConnection, verified: &Verified) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reports (host, body, verified_at_ms) VALUES ($1, $2, $3)
         ON CONFLICT (host) DO UPDATE SET body = excluded.body, verified_at_ms = excluded.verified_at_ms",
    )
    .bind(verified.report.host.as_str())
    .bind(json(verified))
    .bind(verified.verified_at_ms as i64)
    .execute(connection)
    .await
    .map_err(failed("write a report"))?;
    Ok(())
}

/// Appends to the journal.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    notes: Vec<Note>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = Vec::with_capacity(notes.len());
    for note in notes {
        let insert = sqlx::query_scalar(
            "INSERT INTO journal (at_ms, lab, kind, subject, message, detail) VALUES ($1, $2, $3, $4, $5, $6)
             RETURNING id",
        );
        let id: i64 =
            with_note(insert, &note).fetch_one(&mut *connection).await.map_err(failed("write the journal"))?;
        entries.push(entry_of(id as u64, note));
    }
    if let Some(newest) = entries.last() {
        sqlx::query("DELETE FROM journal WHERE id <= $1")
            .bind(newest.id.saturating_sub(JOURNAL_KEPT) as i64)
            .execute(&mut *connection)
            .await
            .map_err(failed("bound the journal"))?;
    }
    Ok(entries)
}

/// A query whose first six values are the columns of a note, in their order in the table.
fn with_note<'q>(
    query: QueryScalar<'q, Sqlite, i64, SqliteArguments>,
    note: &Note,
) -> QueryScalar<'q, Sqlite, i64, SqliteArguments> {
    query
        .bind(note.at_ms as i64)
        .bind(note.lab.as_ref().map(|lab| lab.as_str().to_owned()))
        .bind(note.kind)
        .bind(note.subject.clone())
        .bind(note.message.clone())
        .bind(note.detail.to_string())
}

/// A stretch of the journal.
pub(super) async fn journal(readers: &SqlitePool, stretch: &Stretch) -> Result<Vec<JournalEntry>, StoreError> {
    const OLDEST: &str = "SELECT id, at_ms, lab, kind, subject, message, detail FROM journal
         WHERE id > $1 AND ($2 IS NULL OR lab = $2 OR ($4 AND lab IS NULL AND kind = 'repair')) ORDER BY id LIMIT $3";
    const NEWEST: &str = "SELECT id, at_ms, lab, kind, subject, message, detail FROM journal
         WHERE id > $1 AND ($2 IS NULL OR lab = $2 OR ($4 AND lab IS NULL AND kind = 'repair')) ORDER BY id DESC LIMIT $3";
    let query = if stretch.since.is_some() { OLDEST } else { NEWEST };
    let found = sqlx::query(query)
        // No entry has a larger one.
        .bind(i64::try_from(stretch.since.unwrap_or(0)).unwrap_or(i64::MAX))
        .bind(stretch.lab.as_ref().map(LabName::as_str))
        .bind(i64::from(stretch.limit))
        .bind(stretch.with_host)
        .fetch_all(readers)
        .await
        .map_err(failed("read the journal"))?;
    let mut entries = found.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    if stretch.since.is_none() {
        entries.reverse();
    }
    Ok(entries)
}

fn entry(row: &SqliteRow) -> Result<JournalEntry, StoreError> {
    let read = "read the journal";
    let lab: Option<String> = row.try_get("lab").map_err(failed(read))?;
    let lab = lab.map(LabName::new).transpose();
    Ok(JournalEntry {
        id: number(row, "id")?,
        at: timestamp(number(row, "at_ms")?),
        lab: lab.map_err(|error| StoreError::Damaged { what: "a lab name".into(), why: error.to_string() })?,
        kind: row.try_get("kind").map_err(failed(read))?,
        subject: row.try_get("subject").map_err(failed(read))?,
        message: row.try_get("message").map_err(failed(read))?,
        detail: document(row, "detail", "a journal entry")?,
    })
}
