//! The calls of OVSDB over one connection. Knows no particular database.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use tokio::net::{TcpStream, UnixStream};

use crate::operation::read_results;
use crate::session::{Reply, Session};
use crate::{Columns, Endpoint, Error, Monitor, OpResult, Operation, Replica, Schema, Where, select};

/// A connection to an OVSDB server. Cloning is cheap and shares the connection, which closes when the last clone
/// and the last [`Monitor`] are gone. It does not connect again by itself: what was known is then out of date,
/// so its owner must read anew.
///
/// No call has a time limit of its own. Dropping a call's future is safe, but a transaction that was sent is
/// still carried out.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
}

struct Connection {
    session: Arc<Session>,
    schemas: Mutex<HashMap<String, Arc<Schema>>>,
    monitors: AtomicU64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.end(Error::lost("it was closed on this side"));
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Client").field("ended", &*self.connection.session.ended().borrow()).finish()
    }
}

impl Client {
    /// Opens a connection; must be called within a tokio runtime, on which its two tasks then run.
    ///
    /// # Errors
    /// [`Error::Connect`] if the socket cannot be opened.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let refuse = |source: io::Error| Error::Connect { endpoint: endpoint.to_string(), source: Arc::new(source) };
        let session = match endpoint {
            Endpoint::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await.map_err(refuse)?.into_split();
                Session::start(reader, writer)
            }
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(refuse)?;
                stream.set_nodelay(true).map_err(refuse)?;
                let (reader, writer) = stream.into_split();
                Session::start(reader, writer)
            }
        };
        let connection = Connection { session, schemas: Mutex::default(), monitors: AtomicU64::new(0) };
        Ok(Self { connection: Arc::new(connection) })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.connection.session
    }

    /// Completes when the connection has ended, with the reason.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + 'static {
        let mut ended = self.session().ended();
        async move {
            let error = ended.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
            error.unwrap_or_else(|| Error::lost("it was closed on this side"))
        }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// [`Error::Lost`] if the connection has ended. A server that hangs does not answer: set a time limit.
    pub async fn echo(&self) -> Result<(), Error> {
        self.session().call("echo", json!([])).await.map(drop)
    }

    /// The names of the server's databases.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Protocol`].
    pub async fn databases(&self) -> Result<Vec<String>, Error> {
        let reply = self.session().call("list_dbs", json!([])).await?;
        let Json::Array(names) = reply.result else { return Err(Error::protocol("list_dbs answers no array")) };
        Ok(names.iter().filter_map(Json::as_str).map(str::to_owned).collect())
    }

    /// The schema of `database`; asked for once per connection.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such database; [`Error::Lost`], [`Error::Protocol`].
    pub async fn schema(&self, database: &str) -> Result<Arc<Schema>, Error> {
        let known = || self.connection.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known().get(database) {
            return Ok(Arc::clone(schema));
        }
        let reply = self.session().call("get_schema", json!([database])).await?;
        let schema = Arc::new(Schema::from_json(&reply.result)?);
        known().insert(database.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    /// Carries out all operations or none. Transactions of one client are carried out in the order in which
    /// these futures were first polled; up to 32 are under way at once.
    ///
    /// # Errors
    /// [`Error::Transaction`] if an operation or the commit failed: nothing was changed. [`Error::Refused`] if
    /// there is no such database. [`Error::Lost`]: nobody knows whether it was committed.
    pub async fn transact(&self, database: &str, operations: Vec<Operation>) -> Result<Vec<OpResult>, Error> {
        self.transact_at(database, operations).await.map(|(_, results)| results)
    }

    /// [`Self::transact`], with the answer's place among the monitors' updates.
    async fn transact_at(&self, database: &str, operations: Vec<Operation>) -> Result<(u64, Vec<OpResult>), Error> {
        let names: Vec<String> = operations.iter().map(Operation::describe).collect();
        let params = std::iter::once(json!(database)).chain(operations.into_iter().map(Operation::into_json));
        let Reply { arrival, result } = self.session().call("transact", params.collect()).await?;
        Ok((arrival, read_results(result, &names)?))
    }

    /// Opens a monitor of these columns. When this returns, its replica holds the present state.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a table or column that the schema lacks; as for [`Self::schema`].
    pub async fn monitor(&self, database: &str, tables: BTreeMap<String, Columns>) -> Result<Monitor, Error> {
        let replica = Replica::new(self.schema(database).await?, &tables)?;
        let id = format!("m{}", self.connection.monitors.fetch_add(1, Ordering::Relaxed));
        Monitor::open(self.clone(), database, id, replica).await
    }

    /// Reads these columns of all rows in one transaction, so at one moment, in the shape of a monitor's replica.
    ///
    /// # Errors
    /// As for [`Self::monitor`].
    pub async fn read_tables(&self, database: &str, tables: &BTreeMap<String, Columns>) -> Result<Replica, Error> {
        let empty = Replica::new(self.schema(database).await?, tables)?;
        self.read_into(database, empty).await.map(|(_, replica)| replica)
    }

    /// Fills an empty replica; with the answer's place among the monitors' updates.
    pub(crate) async fn read_into(&self, database: &str, mut replica: Replica) -> Result<(u64, Replica), Error> {
        let (names, operations): (Vec<String>, Vec<Operation>) = replica
            .columns()
            .iter()
            .map(|(table, columns)| {
                let columns = columns.iter().map(|column| column.as_str()).chain(["_uuid"]);
                (table.clone(), select(table, Where::all()).columns(columns).into())
            })
            .unzip();
        let (arrival, results) = self.transact_at(database, operations).await?;
        for (table, result) in names.iter().zip(&results) {
            replica.fill(table, result.rows())?;
        }
        Ok((arrival, replica))
    }
}
