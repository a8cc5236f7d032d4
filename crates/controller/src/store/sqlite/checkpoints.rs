//! Moves what the write-ahead log has gathered into the database, beside the writes and not amid one.
//!
//! Left to itself, SQLite does this at the end of whichever commit makes the log long, and that one waits for two more
//! syncs of the disk. See <https://www.sqlite.org/wal.html>, "Avoiding Excessively Large WAL Files".
//!
//! A log that was moved is emptied, and not written over: frames are no whole blocks, so that to write over a block that
//! is in memory no more it is first read, one after the other. And it is moved only when it is long: the first commit in
//! a log that begins anew syncs the disk twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// How long nothing is written before the log is moved.
const QUIET: Duration = Duration::from_secs(2);
/// And after how long it is moved although there is always something written.
const LONGEST: Duration = Duration::from_secs(20);
/// From how many bytes on the log is moved, as SQLite has it by itself.
const LONG: u64 = 4 << 20;

/// The task that does it; ends with this value. A long log that it has not moved then is moved a while after the store is
/// opened again.
#[derive(Debug)]
pub(super) struct Checkpoints {
    written: Arc<Notify>,
    pool: SqlitePool,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins with the log at that path, by connections of `pool`, which are to wait for nobody.
    pub fn begin(log: PathBuf, pool: SqlitePool) -> Self {
        let written = Arc::new(Notify::new());
        written.notify_one();
        let task = tokio::spawn(run(log, pool.clone(), written.clone()));
        Self { written, pool, task }
    }

    /// To be told of every write, when it begins and when it is committed.
    pub fn written(&self) {
        self.written.notify_one();
    }

    /// Ends the task, in the middle of a move if need be, which harms nothing.
    pub async fn end(&self) {
        self.task.abort();
        self.pool.close().await;
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(log: PathBuf, pool: SqlitePool, written: Arc<Notify>) {
    loop {
        written.notified().await;
        let latest = Instant::now() + LONGEST;
        // Until a while has passed without another write.
        while let Ok(Ok(())) = timeout_at(latest, timeout(QUIET, written.notified())).await {}
        if std::fs::metadata(&log).is_ok_and(|log| log.len() < LONG) {
            continue;
        }
        match emptied(&pool).await {
            Ok(true) => {}
            Ok(false) => written.notify_one(),
            Err(error) => {
                tracing::warn!(%error, "the store's log could not be moved into its database; it is tried again");
                written.notify_one();
            }
        }
    }
}

/// Moves the log and empties it. Says whether it did: not while somebody reads or writes.
async fn emptied(pool: &SqlitePool) -> sqlx::Result<bool> {
    // The long part keeps nobody waiting: what readers and a writer still need stays in the log.
    let (_, all, moved): (bool, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(pool).await?;
    if all != moved {
        return Ok(false);
    }
    let is_kept: bool = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
    Ok(!is_kept)
}
