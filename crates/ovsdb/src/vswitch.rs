//! What is particular to the Open_vSwitch database: a commit is not yet an effect. ovs-vswitchd copies `next_cfg`
//! to `cur_cfg` once it has carried out all that was committed with it.

use tokio::sync::watch;

use crate::{Client, Error, OpResult, Operation, Replica, Where, mutate, select, wait};

/// The database's name.
pub const DATABASE: &str = "Open_vSwitch";

/// The table with the one root row, which has the columns `next_cfg` and `cur_cfg`.
pub const ROOT: &str = "Open_vSwitch";

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The results of the operations, in their order.
    pub results: Vec<OpResult>,
    /// Once `cur_cfg` is at or past this number, ovs-vswitchd has carried the operations out.
    pub next_cfg: i64,
}

/// Carries out `operations` and raises `next_cfg` in one transaction. It waits for the commit only; for the
/// effect use [`CurrentConfig::reached`].
///
/// # Errors
/// [`Error::NoSwitch`] if there is no root row; as for [`Client::transact`].
pub async fn commit_and_settle(client: &Client, mut operations: Vec<Operation>) -> Result<Committed, Error> {
    let own = operations.len();
    operations.extend([
        // Without it a missing root row would be found out only after the commit.
        wait(ROOT, Where::all(), &["next_cfg"]).until_not_equal(&[]).into(),
        mutate(ROOT, Where::all()).add("next_cfg", 1).into(),
        select(ROOT, Where::all()).columns(["next_cfg"]).into(),
    ]);
    let mut results = client.transact(DATABASE, operations).await.map_err(|error| match error {
        Error::Transaction { index, .. } if index == own => Error::NoSwitch,
        error => error,
    })?;
    let next_cfg = results.last().and_then(|result| result.rows().first()?.integer("next_cfg"));
    let next_cfg = next_cfg.ok_or_else(|| Error::protocol("next_cfg did not come back"))?;
    results.truncate(own);
    Ok(Committed { results, next_cfg })
}

/// `cur_cfg` in a replica that holds that column of the root row.
pub fn current_config(replica: &Replica) -> Option<i64> {
    replica.table(ROOT).values().next()?.integer("cur_cfg")
}

/// `cur_cfg` as a monitor sees it. Cloneable, so that many can wait.
#[derive(Clone, Debug)]
pub struct CurrentConfig {
    current: watch::Receiver<Option<i64>>,
    ended: watch::Receiver<Option<Error>>,
}

impl CurrentConfig {
    pub(crate) fn new(current: watch::Receiver<Option<i64>>, ended: watch::Receiver<Option<Error>>) -> Self {
        Self { current, ended }
    }

    /// The number now; `None` if the monitor does not watch it.
    pub fn now(&self) -> Option<i64> {
        *self.current.borrow()
    }

    /// Completes when `cur_cfg` is at or past `next_cfg`. It has no time limit, and ovs-vswitchd may not be
    /// running: set one.
    ///
    /// # Errors
    /// [`Error::Lost`] if the connection or the monitor ends first.
    pub async fn reached(&self, next_cfg: i64) -> Result<(), Error> {
        let (mut current, mut ended) = (self.current.clone(), self.ended.clone());
        tokio::select! {
            biased;
            reached = current.wait_for(|now| now.is_some_and(|now| now >= next_cfg)) => {
                reached.map(drop).map_err(|_| Error::lost("the monitor of cur_cfg is over"))
            }
            error = ended.wait_for(Option::is_some) => {
                let error = error.ok().and_then(|error| error.clone());
                Err(error.unwrap_or_else(|| Error::lost("the monitor of cur_cfg is over")))
            }
        }
    }
}
