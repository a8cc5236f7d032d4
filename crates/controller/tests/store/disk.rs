//! What only a store on disk can be asked.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use archetype_controller::store::{Draft, Sqlite, Store, StoreError};

use super::fixture::{draft, note, target, verified};

/// The database itself, for what no store of this version does.
async fn beside(directory: &Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("archetype.db"));
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

fn length(directory: &Path, name: &str) -> u64 {
    std::fs::metadata(directory.join(name)).unwrap().len()
}

#[tokio::test]
async fn every_commit_is_synced() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    assert_eq!(store.durability().await.unwrap(), ("wal".to_string(), 2));
}

/// Beyond a length of the log of some 4 MB, SQLite by itself moves it in the middle of the commit.
#[tokio::test]
async fn a_long_log_is_moved_into_the_database_after_the_writes_and_not_amid_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    let size = || length(directory.path(), "archetype.db");
    let long = Draft { files: BTreeMap::from([("hash".to_owned(), vec![7; 6 << 20])]), ..draft("a", "x") };
    let begun = Instant::now();
    store.append_revision(long.written(), note(Some("a"), "one")).await.unwrap();
    let right_after = size();
    assert!(right_after < 1 << 20 || begun.elapsed() > Duration::from_secs(1), "{right_after} bytes");
    while size() < 6 << 20 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the log is never moved");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while length(directory.path(), "archetype.db-wal") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(40), "the log is never emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The first commit in a log that begins anew syncs the disk twice, so it is not to be each one.
#[tokio::test]
async fn a_short_log_is_left_for_the_next_commit() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    let log = || length(directory.path(), "archetype.db-wal");
    store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    let after_one = log();
    // Longer than a log is left alone for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.append_revision(draft("a", "y").written(), note(Some("a"), "two")).await.unwrap();
    assert!(log() > after_one, "{} bytes, {after_one} before", log());
}

#[tokio::test]
async fn a_second_controller_is_refused_with_words() {
    let directory = tempfile::tempdir().unwrap();
    let first = Sqlite::open(directory.path()).await.unwrap();
    let error = Sqlite::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }));
    let holder = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    first.close().await;
    drop(first);
    Sqlite::open(directory.path()).await.unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    let identity = store.identity().clone();
    let revision = store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap().revision;
    let wanted = target(&identity, None, "a");
    store.set_target(&wanted).await.unwrap();
    store.take_report(&verified(&identity, 5), &[], vec![]).await.unwrap();
    drop(store);
    let store = Sqlite::open(directory.path()).await.unwrap();
    assert_eq!(store.identity(), &identity);
    assert_eq!(store.current().await.unwrap(), [revision]);
    assert_eq!(store.target().await.unwrap(), Some(wanted));
    assert_eq!(store.reports().await.unwrap(), [verified(&identity, 5)]);
}

#[tokio::test]
async fn a_target_that_another_version_wrote_is_followed_under_the_name_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    let identity = store.identity().clone();
    let wanted = target(&identity, None, "a");
    store.set_target(&wanted).await.unwrap();
    store.close().await;
    drop(store);
    let pool = beside(directory.path()).await;
    let more = "UPDATE specs SET body = replace(body, '{\"format\":', '{\"said_once\":1,\"format\":')";
    assert_eq!(sqlx::query(more).execute(&pool).await.unwrap().rows_affected(), 1);
    pool.close().await;
    let store = Sqlite::open(directory.path()).await.unwrap();
    assert_eq!(store.target().await.unwrap(), Some(wanted.clone()));
    store.set_target(&target(&identity, Some(&wanted), "b")).await.unwrap();
}

#[tokio::test]
async fn a_data_directory_that_is_made_is_nobody_elses() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("a/b");
    Sqlite::open(&data).await.unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    Sqlite::open(directory.path()).await.unwrap().close().await;
    let pool = beside(directory.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let error = Sqlite::open(directory.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}
