//! Moves what the write-ahead log has gathered into the database, beside the writes and not amid one.
//!
//! Left to itself, SQLite does this at the end of whichever commit makes the log long, and that one waits for two more
//! syncs of the disk. See <https://www.sqlite.org/wal.html>, "Avoiding Excessively Large WAL Files".

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

/// The task that does it; ends with this value. What it has not moved then is moved a while after the store is opened again.
#[derive(Debug)]
pub(super) struct Checkpoints {
    written: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins, by connections of `pool`.
    pub fn begin(pool: SqlitePool) -> Self {
        let written = Arc::new(Notify::new());
        written.notify_one();
        let task = tokio::spawn(run(pool, written.clone()));
        Self { written, task }
    }

    /// To be told of every write, when it begins: where it takes longer than [`QUIET`], the next one, or SQLite itself once
    /// the log is very long, moves it.
    pub fn written(&self) {
        self.written.notify_one();
    }

    /// Ends the task, in the middle of a move if need be, which harms nothing.
    pub fn end(&self) {
        self.task.abort();
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(pool: SqlitePool, written: Arc<Notify>) {
    loop {
        written.notified().await;
        let latest = Instant::now() + LONGEST;
        // Until a while has passed without another write.
        while let Ok(Ok(())) = timeout_at(latest, timeout(QUIET, written.notified())).await {}
        // Passive: waits for no reader and no writer; what they still need stays in the log.
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&pool).await {
            tracing::warn!(%error, "the store's log could not be moved into its database; it is tried again");
            written.notify_one();
        }
    }
}
