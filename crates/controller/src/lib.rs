//! Keeps what is wanted, plans it, hands it out, tells what is so.
//!
//! The only SQL of the project is in [`store`]. A host is reached through [`port::AgentPort`]; how
//! an agent works is not known here.
//!
//! A wish comes in at the HTTP door, becomes a durable revision and a target (planning), which is
//! handed to the agent (dispatch). What the agent tells (intake) is judged whenever somebody asks,
//! and what changed is noted in the journal.

mod bell;
mod chance;
mod clock;
mod desk;
mod dispatch;
mod explaining;
mod http;
mod intake;
mod journaling;
mod judging;
mod linking;
mod now;
mod planning;
pub mod port;
mod reader;
mod running;
pub mod store;
mod view;
mod waiting;
mod wishing;

pub use http::document as openapi;
pub use port::{Addresses, AgentAccess, AgentPort, Attached, MetByWires, Output, ReportEnvelope, Tools};
pub use reader::{FileReader, FileReading, FileText};
pub use running::{Controller, Running, Settings, StartError};
