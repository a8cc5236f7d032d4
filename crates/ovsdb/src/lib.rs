//! A client for OVSDB (RFC 7047): transactions, monitors and a replica that a monitor keeps true.
//! Knows nothing of labs, and of Open vSwitch only what [`vswitch`] says.
//!
//! ```no_run
//! use archetype_ovsdb::{Client, Endpoint, Value, Where, insert, mutate};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint: Endpoint = "unix:/run/openvswitch/db.sock".parse()?;
//! let client = Client::connect(&endpoint).await?;
//! let operations = vec![
//!     insert("Interface").named("i").set("name", "p1").into(),
//!     insert("Port").named("p").set("name", "p1").set("interfaces", Value::named("i")).into(),
//!     mutate("Bridge", Where::equals("name", "br0")).insert("ports", Value::set([Value::named("p")])).into(),
//! ];
//! let committed = archetype_ovsdb::vswitch::commit_and_settle(&client, operations).await?;
//! println!("wait for cur_cfg {}", committed.next_cfg);
//! # Ok(()) }
//! ```

mod client;
mod endpoint;
mod error;
mod framing;
mod monitor;
mod operation;
mod replica;
mod row;
mod schema;
mod session;
pub mod unixctl;
mod value;
pub mod vswitch;

pub use client::Client;
pub use endpoint::{Endpoint, EndpointError};
pub use error::Error;
pub use framing::{Framer, FramingError};
pub use monitor::{Audit, Monitor};
pub use operation::{
    Delete, Insert, Mutate, OpResult, Operation, Select, Update, Wait, Where, comment, delete, insert, mutate, select,
    update, wait,
};
pub use replica::{Change, ChangeKind, Columns, Replica};
pub use row::Row;
pub use schema::{AtomType, ColumnType, Schema, TableSchema};
pub use uuid::Uuid;
pub use value::{Atom, Value};
