//! What can go wrong between a client and an OVSDB server.

use std::io;
use std::sync::Arc;

/// A failed call or monitor. Cloneable, since one lost connection fails many calls.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be opened.
    #[error("cannot reach {endpoint}: {source}; is the server running, and may this user open its socket?")]
    Connect {
        /// The address that was tried.
        endpoint: String,
        /// What the kernel answered.
        source: Arc<io::Error>,
    },
    /// The connection ended. A transaction that was under way may or may not have been committed.
    #[error("the connection to the database was lost: {reason}; connect again and read everything anew")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// The server refused a whole call, such as one that names an unknown database.
    #[error("`{method}` was refused: {error}{}", after_colon(.details))]
    Refused {
        /// The JSON-RPC method or the appctl command.
        method: String,
        /// The server's error.
        error: String,
        /// The server's explanation; may be empty.
        details: String,
    },
    /// One operation failed, and with it the whole transaction was rolled back.
    #[error("operation {index} ({operation}) failed and nothing was changed: {error}{}", after_colon(.details))]
    Transaction {
        /// Position of the failed operation, from 0; the number of operations if the commit itself failed.
        index: usize,
        /// The operation and its table, such as `insert Port`; `commit` if the commit itself failed.
        operation: String,
        /// The error's name in RFC 7047, such as `constraint violation`.
        error: String,
        /// The server's explanation; may be empty.
        details: String,
    },
    /// The peer said something that OVSDB does not allow.
    #[error("the server's answer cannot be understood: {reason}; is this an OVSDB server?")]
    Protocol {
        /// What was wrong.
        reason: String,
    },
    /// A table or a column that the database's schema does not have.
    #[error("database {database} has no {what}; does this version of the server know it?")]
    Unknown {
        /// The database.
        database: String,
        /// The missing thing, such as `column Port.colour`.
        what: String,
    },
    /// The monitor's owner did not take its updates, and too many had gathered.
    #[error("the monitor fell {waiting} updates behind and was closed; open it again")]
    Lagged {
        /// How many updates were waiting.
        waiting: usize,
    },
    /// The server ended the monitor, since the database went away or got another schema.
    #[error("the server ended the monitor: the database was removed or converted; open it again")]
    Cancelled,
    /// The Open_vSwitch database has no root row, so nobody could confirm a change.
    #[error("the Open_vSwitch table is empty and nothing was changed; has `ovs-vsctl init` been run?")]
    NoSwitch,
}

impl Error {
    /// A [`Error::Protocol`] with this reason.
    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol { reason: reason.into() }
    }

    /// A [`Error::Lost`] with this reason.
    /// A session that counts as lost, and why: for callers that set time limits of their own.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into() }
    }

    /// Whether only a new connection helps.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. })
    }
}

/// `: text`, or nothing for an empty text.
fn after_colon(details: &str) -> String {
    if details.is_empty() { String::new() } else { format!(": {details}") }
}
