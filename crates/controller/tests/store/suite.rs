//! What every store does.

use archetype_api::JournalEntry;
use archetype_controller::store::{Draft, JOURNAL_KEPT, Memory, Note, Sqlite, Store, StoreError, Stretch, Wish};

use super::fixture::{draft, lab, note, repair, target, verified};

macro_rules! suite {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(&super::Memory::default()).await; })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                super::$name(&super::Sqlite::open(directory.path()).await.unwrap()).await;
            })*
        }
    };
}

suite! {
    a_revision_is_current_until_the_next
    the_same_wish_again_writes_nothing
    a_revision_that_may_not_be_kept_leaves_nothing
    a_destroyed_lab_stays_as_wanted_gone
    a_file_is_kept_by_its_hash
    a_target_moves_only_from_its_parent
    a_target_reads_back_as_written
    a_repair_told_twice_is_noted_once
    the_latest_report_of_a_host_is_kept
    the_journal_is_read_from_where_one_left_off
    the_journal_of_a_lab_has_the_repairs_of_what_it_stands_on
    the_journal_without_a_start_gives_the_newest
    the_journal_keeps_its_newest_entries_and_their_numbers
}

async fn a_revision_is_current_until_the_next(store: &impl Store) {
    let first = store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    let second = store.append_revision(draft("a", "y").written(), note(Some("a"), "two")).await.unwrap();
    let other = store.append_revision(draft("b", "x").written(), note(Some("b"), "three")).await.unwrap();
    assert!(first.new && second.new && other.new);
    assert!(first.revision.number < second.revision.number && second.revision.number < other.revision.number);
    assert_eq!(store.current().await.unwrap(), [second.revision, other.revision]);
    assert_eq!(store.revision(first.revision.number).await.unwrap(), Some(first.revision));
    assert_eq!(store.revision(999).await.unwrap(), None);
    assert_eq!(store.newest_entry().await.unwrap(), 3);
}

async fn a_revision_that_may_not_be_kept_leaves_nothing(store: &impl Store) {
    let kept = store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    let no = || Box::pin(std::future::ready(false));
    for text in ["y", "x"] {
        let mut refused = draft("a", text);
        refused.files.insert("abc".into(), b"content".to_vec());
        let refused = store.append_revision_if(refused.written(), note(Some("a"), "two"), no()).await;
        assert_eq!(refused.unwrap(), None);
    }
    assert_eq!(store.file("abc").await.unwrap(), None);
    assert_eq!(store.current().await.unwrap(), [kept.revision]);
    assert_eq!(store.newest_entry().await.unwrap(), 1);
    let next = store.append_revision(draft("a", "y").written(), note(Some("a"), "three")).await.unwrap();
    assert!(next.new, "the way is free for the next");
}

async fn the_same_wish_again_writes_nothing(store: &impl Store) {
    let first = store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    let again = store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    assert!(!again.new);
    assert_eq!(again.revision, first.revision);
    assert_eq!(store.newest_entry().await.unwrap(), 1);
    let mut moved = draft("a", "x");
    if let Wish::Present(present) = std::sync::Arc::make_mut(&mut moved.wish) {
        present.topology.source.shown = "../x.clab.yml".into();
    }
    let moved = Draft::new(moved.lab, moved.wish, moved.files);
    let again = store.append_revision(moved.written(), note(Some("a"), "one")).await.unwrap();
    assert!(!again.new, "how the file was named is no change");
    store.append_revision(draft("a", "y").written(), note(Some("a"), "two")).await.unwrap();
    assert!(
        store.append_revision(draft("a", "x").written(), note(Some("a"), "three")).await.unwrap().new,
        "back is a change"
    );
}

async fn a_destroyed_lab_stays_as_wanted_gone(store: &impl Store) {
    store.append_revision(draft("a", "x").written(), note(Some("a"), "one")).await.unwrap();
    let gone = Draft::new(lab("a"), Wish::Gone, Default::default());
    let gone = store.append_revision(gone.written(), note(Some("a"), "gone")).await.unwrap();
    let current = store.current().await.unwrap();
    assert_eq!(current, [gone.revision]);
    assert_eq!(*current[0].wish, Wish::Gone);
}

async fn a_file_is_kept_by_its_hash(store: &impl Store) {
    let mut with_file = draft("a", "x");
    with_file.files.insert("abc".into(), b"content".to_vec());
    store.append_revision(with_file.written(), note(Some("a"), "one")).await.unwrap();
    assert_eq!(store.file("abc").await.unwrap().as_deref(), Some(b"content".as_slice()));
    assert_eq!(store.file("abd").await.unwrap(), None);
}

async fn a_target_moves_only_from_its_parent(store: &impl Store) {
    assert_eq!(store.target().await.unwrap(), None);
    let first = target(store.identity(), None, "a");
    store.set_target(&first).await.unwrap();
    let second = target(store.identity(), Some(&first), "b");
    store.set_target(&second).await.unwrap();
    let late = target(store.identity(), Some(&first), "c");
    assert!(matches!(store.set_target(&late).await, Err(StoreError::Overtaken)));
    let orphan = target(store.identity(), None, "c");
    assert!(matches!(store.set_target(&orphan).await, Err(StoreError::Overtaken)));
    assert_eq!(store.target().await.unwrap(), Some(second));
}

async fn a_target_reads_back_as_written(store: &impl Store) {
    let mut last = target(store.identity(), None, "a");
    store.set_target(&last).await.unwrap();
    for _ in 0..30 {
        last = target(store.identity(), Some(&last), "a");
        store.set_target(&last).await.unwrap();
    }
    assert_eq!(store.target().await.unwrap(), Some(last));
}

async fn a_repair_told_twice_is_noted_once(store: &impl Store) {
    let verified = verified(store.identity(), 1);
    let entries = store.take_report(&verified, &[repair(1), repair(2)], vec![]).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].message, "port x has tag 7; set port x tag 3");
    let entries = store.take_report(&verified, &[repair(2), repair(3)], vec![note(None, "more")]).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>(), ["repair", "deploy"]);
    assert_eq!(store.newest_entry().await.unwrap(), 4);
}

async fn the_latest_report_of_a_host_is_kept(store: &impl Store) {
    assert_eq!(store.reports().await.unwrap(), []);
    store.take_report(&verified(store.identity(), 1), &[], vec![]).await.unwrap();
    store.take_report(&verified(store.identity(), 2), &[], vec![]).await.unwrap();
    assert_eq!(store.reports().await.unwrap(), [verified(store.identity(), 2)]);
}

async fn the_journal_is_read_from_where_one_left_off(store: &impl Store) {
    let written =
        store.append_journal(vec![note(Some("a"), "1"), note(None, "2"), note(Some("a"), "3")]).await.unwrap();
    let stretch =
        |lab_name: Option<&str>, since, limit| Stretch { lab: lab_name.map(lab), with_host: false, since, limit };
    assert_eq!(store.journal(&stretch(None, Some(0), 100)).await.unwrap(), written);
    assert_eq!(store.journal(&stretch(None, Some(written[0].id), 1)).await.unwrap(), written[1..2]);
    let of_a = store.journal(&stretch(Some("a"), Some(0), 100)).await.unwrap();
    assert_eq!(of_a.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(store.append_journal(vec![]).await.unwrap(), []);
}

async fn the_journal_of_a_lab_has_the_repairs_of_what_it_stands_on(store: &impl Store) {
    let repair = |of: Option<&str>, message: &str| Note { kind: "repair", ..note(of, message) };
    let notes = [
        note(Some("a"), "1"),
        repair(None, "the bridge"),
        note(None, "of the host"),
        repair(Some("b"), "of another"),
        repair(Some("a"), "2"),
    ];
    store.append_journal(notes.to_vec()).await.unwrap();
    for since in [None, Some(0)] {
        let of_a = Stretch { lab: Some(lab("a")), with_host: true, since, limit: 100 };
        let found = store.journal(&of_a).await.unwrap();
        assert_eq!(found.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["1", "the bridge", "2"]);
    }
}

async fn the_journal_keeps_its_newest_entries_and_their_numbers(store: &impl Store) {
    let many = |count: u64| (0..count).map(|n| note(None, &n.to_string())).collect::<Vec<_>>();
    store.append_journal(many(JOURNAL_KEPT + 5)).await.unwrap();
    let first = || Stretch { lab: None, with_host: false, since: Some(0), limit: 1 };
    let oldest = |entries: Vec<JournalEntry>| entries.first().map(|entry| entry.id);
    assert_eq!(oldest(store.journal(&first()).await.unwrap()), Some(6));
    assert_eq!(store.append_journal(many(1)).await.unwrap()[0].id, JOURNAL_KEPT + 6);
    assert_eq!(oldest(store.journal(&first()).await.unwrap()), Some(7));
    assert_eq!(store.newest_entry().await.unwrap(), JOURNAL_KEPT + 6);
}

async fn the_journal_without_a_start_gives_the_newest(store: &impl Store) {
    store.append_journal((1..=5).map(|n| note(None, &n.to_string())).collect()).await.unwrap();
    let newest = store.journal(&Stretch { lab: None, with_host: false, since: None, limit: 2 }).await.unwrap();
    assert_eq!(newest.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["4", "5"]);
}
