//! A monitor session (`monitor_cond`): a replica of tables and the stream of what changed in them.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;

use crate::session::{Feed, Update};
use crate::vswitch::{self, CurrentConfig};
use crate::{Change, Client, Error, Replica};

/// A replica that the server keeps true, as long as its owner calls [`Monitor::next`]. Dropping it ends the
/// monitor at the server.
pub struct Monitor {
    client: Client,
    database: String,
    id: String,
    replica: Replica,
    feed: Feed,
    /// Taken from the feed, but younger than what was asked for.
    set_aside: Option<Update>,
    /// Once set, the replica is out of date for ever.
    failed: Option<Error>,
    /// Closed with the first failure, by which those who wait for `cur_cfg` learn of it.
    current: Option<watch::Sender<Option<i64>>>,
}

/// The outcome of [`Monitor::audit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What the monitor's own updates changed before the moment of the full read.
    pub changes: Vec<Change>,
    /// What then was different in the full read. Never anything, unless client or server has a fault.
    pub differences: Vec<Change>,
}

impl Monitor {
    pub(crate) async fn open(client: Client, database: &str, id: String, replica: Replica) -> Result<Self, Error> {
        let request = |columns| json!([{ "columns": columns }]);
        let requests: Map<String, Json> =
            replica.columns().iter().map(|(table, columns)| (table.clone(), request(columns))).collect();
        let feed = client.session().watch(&id);
        let mut monitor = Self {
            client,
            database: database.to_owned(),
            id,
            replica,
            feed,
            set_aside: None,
            failed: None,
            current: Some(watch::Sender::new(None)),
        };
        // From here on a dropped future drops the monitor too, which takes it back.
        let params = json!([database, monitor.id, requests]);
        let reply = monitor.client.session().call("monitor_cond", params).await?;
        monitor.replica.apply(reply.result)?;
        monitor.publish();
        Ok(monitor)
    }

    /// The present state, as far as [`Self::next`] has taken it.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The connection that this monitor runs on.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for the next update, applies it to the replica and says what changed, which may be nothing. One
    /// update holds the changes of one or more whole transactions. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Cancelled`], [`Error::Lagged`], [`Error::Protocol`]: the replica is out of date
    /// from now on, and every further call says so again.
    pub async fn next(&mut self) -> Result<Vec<Change>, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let update = match self.set_aside.take() {
            Some(update) => Some(update),
            None => self.feed.updates.recv().await,
        };
        match update {
            Some(update) => self.apply(update),
            None => Err(self.fail(self.why_ended())),
        }
    }

    /// Reads all rows anew and compares. Exact also while others write: the answer is compared with the replica
    /// as it is after just those updates that the server sent before it. If they differ, the full read replaces
    /// the replica.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn audit(&mut self) -> Result<Audit, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let (arrival, full) = self.client.read_into(&self.database, self.replica.emptied()).await?;
        let mut changes = Vec::new();
        while let Some(update) = self.next_before(arrival) {
            changes.extend(self.apply(update)?);
        }
        let differences = self.replica.difference(&full);
        if !differences.is_empty() {
            self.replica = full;
            self.publish();
        }
        Ok(Audit { changes, differences })
    }

    /// The next update that is here already and came before `arrival`. The reading task queues updates before it
    /// hands out a later answer, so none of them can still be on its way.
    fn next_before(&mut self, arrival: u64) -> Option<Update> {
        let update = self.set_aside.take().or_else(|| self.feed.updates.try_recv().ok())?;
        if update.arrival < arrival {
            return Some(update);
        }
        self.set_aside = Some(update);
        None
    }

    /// Tells Open vSwitch's `cur_cfg` as this monitor sees it. It must watch that column of table Open_vSwitch,
    /// and [`Self::next`] must be called for it to move.
    pub fn current_config(&self) -> CurrentConfig {
        let closed = || watch::channel(None).1;
        let current = self.current.as_ref().map_or_else(closed, watch::Sender::subscribe);
        CurrentConfig::new(current, self.client.session().ended())
    }

    fn apply(&mut self, update: Update) -> Result<Vec<Change>, Error> {
        match self.replica.apply(update.updates) {
            Ok(changes) => {
                self.publish();
                Ok(changes)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn publish(&self) {
        let now = vswitch::current_config(&self.replica);
        if let Some(current) = &self.current {
            current.send_if_modified(|current| std::mem::replace(current, now) != now);
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        self.current = None;
        error
    }

    fn why_ended(&self) -> Error {
        let end = Arc::clone(&self.feed.end);
        end.get().cloned().unwrap_or_else(|| Error::lost("the monitor is over"))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.client.session().unwatch(&self.id);
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Monitor").field("database", &self.database).field("failed", &self.failed).finish()
    }
}
