//! Clients that go away while their wish is taken.

use std::sync::Arc;
use std::time::Duration;

use archetype_api::{JournalEntry, Settled};
use archetype_controller::store::{
    Appended, Identity, Leave, Memory, Note, Revision, Store, StoreError, Stretch, Target, Verified, Written,
};
use archetype_model::report::Repair;
use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};

use super::stand::{Stand, TWO, lab};

/// A store that stops in the middle of writing a revision until it is let go on.
struct Gate {
    inner: Memory,
    /// Whether it stops when the revision is in the store, or before that.
    is_after: bool,
    reached: Notify,
    open: Semaphore,
}

impl Gate {
    fn new(is_after: bool) -> Arc<Self> {
        Arc::new(Self { inner: Memory::default(), is_after, reached: Notify::new(), open: Semaphore::new(0) })
    }

    async fn stop(&self) {
        self.reached.notify_one();
        drop(self.open.acquire().await);
    }
}

#[async_trait]
impl Store for Gate {
    async fn append_revision_if(
        &self,
        written: Written,
        note: Note,
        leave: Leave,
    ) -> Result<Option<Appended>, StoreError> {
        if !self.is_after {
            self.stop().await;
        }
        let appended = self.inner.append_revision_if(written, note, leave).await;
        if self.is_after {
            self.stop().await;
        }
        appended
    }

    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    async fn revision(&self, number: u64) -> Result<Option<Arc<Revision>>, StoreError> {
        self.inner.revision(number).await
    }

    async fn current(&self) -> Result<Vec<Arc<Revision>>, StoreError> {
        self.inner.current().await
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.file(hash).await
    }

    async fn target(&self) -> Result<Option<Target>, StoreError> {
        self.inner.target().await
    }

    async fn set_target(&self, target: &Target) -> Result<(), StoreError> {
        self.inner.set_target(target).await
    }

    async fn take_report(
        &self,
        verified: &Verified,
        repairs: &[Repair],
        notes: Vec<Note>,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.inner.take_report(verified, repairs, notes).await
    }

    async fn reports(&self) -> Result<Vec<Verified>, StoreError> {
        self.inner.reports().await
    }

    async fn append_journal(&self, notes: Vec<Note>) -> Result<Vec<JournalEntry>, StoreError> {
        self.inner.append_journal(notes).await
    }

    async fn journal(&self, stretch: &Stretch) -> Result<Vec<JournalEntry>, StoreError> {
        self.inner.journal(stretch).await
    }

    async fn newest_entry(&self) -> Result<u64, StoreError> {
        self.inner.newest_entry().await
    }
}

#[tokio::test]
async fn a_wish_whose_turn_has_come_is_carried_out_although_its_client_went_away() {
    for is_after in [false, true] {
        let store = Gate::new(is_after);
        let stand = Stand::with_store(store.clone()).await;
        let request = stand.request(TWO);
        tokio::select! {
            answer = stand.client.deploy(&request) => panic!("it answered although nothing was let go on: {answer:?}"),
            // The request is dropped with its connection.
            () = store.reached.notified() => {}
        }
        // Until the server has seen that; a server that has not yet is no worse off.
        tokio::time::sleep(Duration::from_millis(200)).await;
        store.open.add_permits(100);
        stand.until("two", |two| two.links.len() == 1).await;
        let waited = stand.client.wait(&lab("two"), 1, Duration::from_secs(10)).await.unwrap();
        assert_eq!(waited.progress.settled, Some(Settled::AsWanted), "stopped after the write: {is_after}");
    }
}

#[tokio::test]
async fn a_wish_whose_client_went_away_before_its_turn_came_is_not_carried_out() {
    let store = Gate::new(false);
    let stand = Stand::with_store(store.clone()).await;
    let (first, second) = (stand.request(TWO), stand.request(&TWO.replace("two", "other")));
    let first = stand.client.deploy(&first);
    tokio::pin!(first);
    tokio::select! {
        answer = &mut first => panic!("it answered although nothing was let go on: {answer:?}"),
        () = store.reached.notified() => {}
    }
    let waited = tokio::time::timeout(Duration::from_millis(300), stand.client.deploy(&second)).await;
    waited.expect_err("its turn has not come");
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.open.add_permits(100);
    first.await.unwrap();
    // By the time of the next one the turn of the second has been.
    stand.client.deploy(&stand.request(TWO)).await.unwrap();
    let labs = stand.client.labs().await.unwrap().labs;
    assert_eq!(labs.iter().map(|lab| lab.name.as_str()).collect::<Vec<_>>(), ["two"]);
}
