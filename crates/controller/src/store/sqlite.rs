//! The store on disk: SQLite in the data directory, write-ahead log, every commit synced.
//!
//! One connection writes, others read. A lock file keeps a second controller out.

mod blueprints;
mod checkpoints;
mod lock;
mod rows;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use archetype_api::JournalEntry;
use archetype_model::report::Repair;
use async_trait::async_trait;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Row, Sqlite as Engine, SqlitePool, Transaction};

use super::{
    Appended, Draft, Identity, Leave, Note, Revision, Store, StoreError, Stretch, Target, Verified, Written, entry_of,
    note_of,
};
use crate::{chance, clock};
use checkpoints::Checkpoints;
use lock::Lock;

const FILE: &str = "archetype.db";
const LOG: &str = "archetype.db-wal";
/// How long a statement waits for another connection's.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps everything in a data directory.
#[derive(Debug)]
pub struct Sqlite {
    identity: Identity,
    /// One connection: SQLite has one writer, and a queue here is fairer than its busy timeout. A revision holds it while
    /// its lab is planned.
    writer: SqlitePool,
    readers: SqlitePool,
    checkpoints: Checkpoints,
    _lock: Lock,
}

impl Sqlite {
    /// Opens the store in `directory`, and makes both when they are missing.
    pub async fn open(directory: &Path) -> Result<Self, StoreError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed("make its directory"))?;
        let lock = Lock::take(directory)?;
        let path = directory.join(FILE);
        let writer = pool(&path, 1, PATIENCE).await?;
        let migrator = sqlx::migrate!("migrations/sqlite");
        migrator.run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                StoreError::Newer { path: path.display().to_string() }
            }
            error => StoreError::Failed { what: "bring its tables up to date", why: error.to_string() },
        })?;
        let identity = identity(&writer).await?;
        let readers = pool(&path, 2, PATIENCE).await?;
        let checkpoints = Checkpoints::begin(directory.join(LOG), pool(&path, 1, Duration::ZERO).await?);
        Ok(Self { identity, writer, readers, checkpoints, _lock: lock })
    }

    /// What the database itself says about how it syncs: `(journal_mode, synchronous)`, as read
    /// back from the connection that writes. 2 is FULL.
    pub async fn durability(&self) -> Result<(String, i64), StoreError> {
        let read = "read its settings";
        let mode = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&self.writer).await.map_err(failed(read))?;
        let sync = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&self.writer).await.map_err(failed(read))?;
        Ok((mode, sync))
    }

    /// Ends all connections; what was accepted is on disk already.
    pub async fn close(&self) {
        self.checkpoints.end().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Engine>, StoreError> {
        self.checkpoints.written();
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed("begin a transaction"))
    }

    async fn commit(&self, transaction: Transaction<'static, Engine>, what: &'static str) -> Result<(), StoreError> {
        transaction.commit().await.map_err(failed(what))?;
        self.checkpoints.written();
        Ok(())
    }
}

async fn pool(path: &PathBuf, connections: u32, patience: Duration) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::from_str("sqlite:")
        .map_err(failed("be opened"))?
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Of 64 MB: only where there was no moment without a write.
        .pragma("wal_autocheckpoint", "16384")
        // In KiB when below zero: rows are large, few, and each is read or written as a whole.
        .pragma("cache_size", "-512")
        .foreign_keys(true)
        .busy_timeout(patience);
    // What a connection of ours came to is seen when it is given back. None is closed for its age: the last one would move
    // the log on its way, and the next commit would wait for that.
    let options_of_pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
    let options_of_pool = options_of_pool.idle_timeout(None).max_lifetime(None);
    let pool = options_of_pool.after_release(|connection, _| {
        Box::pin(async move {
            // What the transaction left to do is done before the answer; and one that the library does not know of, for it
            // was begun by a script, is taken back. Mostly there is none, which is an error.
            drop(sqlx::query("ROLLBACK").execute(&mut *connection).await);
            // A full disk ends a transaction without the library: it counts it as open for ever, and begins no other.
            Ok(!connection.is_in_transaction())
        })
    });
    pool.connect_with(options).await.map_err(failed("be opened"))
}

async fn identity(writer: &SqlitePool) -> Result<Identity, StoreError> {
    let drawn = chance::identity();
    sqlx::query(
        "INSERT INTO identity (one, installation, incarnation, created_at_ms) VALUES (1, $1, $2, $3)
         ON CONFLICT (one) DO NOTHING",
    )
    .bind(drawn.installation.as_str())
    .bind(&drawn.incarnation)
    .bind(clock::now_ms() as i64)
    .execute(writer)
    .await
    .map_err(failed("write its identity"))?;
    let row = sqlx::query("SELECT installation, incarnation FROM identity")
        .fetch_one(writer)
        .await
        .map_err(failed("read its identity"))?;
    Ok(Identity {
        installation: rows::name(&row, "installation")?,
        incarnation: row.try_get("incarnation").map_err(failed("read its identity"))?,
    })
}

/// Turns what the database says into an error that says what was tried.
fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Failed { what, why: error.to_string() }
}

#[async_trait]
impl Store for Sqlite {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn append_revision_if(
        &self,
        written: Written,
        note: Note,
        leave: Leave,
    ) -> Result<Option<Appended>, StoreError> {
        let Written { draft: Draft { lab, wish, files }, digest, text } = written;
        self.checkpoints.written();
        let mut connection = self.writer.acquire().await.map_err(failed("begin a transaction"))?;
        // What goes wrong in it, or is never ended, is taken back when the connection is given back.
        let appended = match rows::begin_revision(&mut connection, &lab, (&text, &digest), &note).await? {
            Some(number) => {
                for (hash, content) in &files {
                    sqlx::query("INSERT INTO files (hash, content) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING")
                        .bind(hash)
                        .bind(content)
                        .execute(&mut *connection)
                        .await
                        .map_err(failed("write a file"))?;
                }
                let revision = Revision { number, lab, wish, digest, created_at_ms: note.at_ms };
                Appended { revision: Arc::new(revision), new: true }
            }
            None => {
                let same = rows::current_if(&mut connection, &lab, &digest).await?;
                let lost = || failed("read the current revision")("it is not there");
                Appended { revision: Arc::new(same.ok_or_else(lost)?), new: false }
            }
        };
        if !leave.await {
            return Ok(None);
        }
        sqlx::query("COMMIT").execute(&mut *connection).await.map_err(failed("write a revision"))?;
        self.checkpoints.written();
        Ok(Some(appended))
    }

    async fn revision(&self, number: u64) -> Result<Option<Arc<Revision>>, StoreError> {
        let row = sqlx::query("SELECT number, lab, wish, digest, created_at_ms FROM revisions WHERE number = $1")
            .bind(number as i64)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read a revision"))?;
        row.map(|row| rows::revision(&row).map(Arc::new)).transpose()
    }

    async fn current(&self) -> Result<Vec<Arc<Revision>>, StoreError> {
        let found = sqlx::query(
            "SELECT number, lab, wish, digest, created_at_ms FROM revisions
             WHERE number IN (SELECT max(number) FROM revisions GROUP BY lab) ORDER BY lab",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed("read the revisions"))?;
        found.iter().map(|row| rows::revision(row).map(Arc::new)).collect()
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT content FROM files WHERE hash = $1")
            .bind(hash)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read a file"))
    }

    async fn target(&self) -> Result<Option<Target>, StoreError> {
        blueprints::target(&self.readers).await
    }

    async fn set_target(&self, target: &Target) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        blueprints::set_target(&mut transaction, target).await?;
        self.commit(transaction, "write the target").await
    }

    async fn take_report(
        &self,
        verified: &Verified,
        repairs: &[Repair],
        notes: Vec<Note>,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let host = &verified.report.host;
        let mut transaction = self.begin().await?;
        let mut fresh = Vec::with_capacity(repairs.len() + notes.len());
        for repair in repairs {
            if rows::is_new_repair(&mut transaction, host, repair.number).await? {
                fresh.push(note_of(host, repair));
            }
        }
        rows::put_report(&mut transaction, verified).await?;
        fresh.extend(notes);
        let entries = rows::append(&mut transaction, fresh).await?;
        self.commit(transaction, "write a report").await?;
        Ok(entries)
    }

    async fn reports(&self) -> Result<Vec<Verified>, StoreError> {
        let found = sqlx::query("SELECT body FROM reports ORDER BY host")
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read the reports"))?;
        // A report is what a host said last; one that another version wrote is said anew in a moment.
        Ok(found.iter().filter_map(|row| rows::document(row, "body", "a report").ok()).collect())
    }

    async fn append_journal(&self, notes: Vec<Note>) -> Result<Vec<JournalEntry>, StoreError> {
        if notes.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let entries = rows::append(&mut transaction, notes).await?;
        self.commit(transaction, "write the journal").await?;
        Ok(entries)
    }

    async fn journal(&self, stretch: &Stretch) -> Result<Vec<JournalEntry>, StoreError> {
        rows::journal(&self.readers, stretch).await
    }

    async fn newest_entry(&self) -> Result<u64, StoreError> {
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM journal")
            .fetch_one(&self.readers)
            .await
            .map_err(failed("read the journal"))?;
        Ok(newest as u64)
    }
}
