//! Holds the accepted spec of one host in a ledger and keeps it true, with or without a controller.
//!
//! One task, one loop ([`task`]): a wake-up that carries no data, then a pass (`pass`): observe,
//! diff, order, apply what is due, observe again, probe, report. The pass waits for nothing slower
//! than a kernel or Open vSwitch answer; what is slower runs as tasks of the host's rooms.
//!
//! Knows no SQL, no HTTP, no topology files, and not where its host's things are.

pub mod clock;
pub mod ledger;
mod memory;
mod ordering;
mod pass;
mod probes;
mod repairs;
mod reporting;
mod seen;
pub mod task;
mod undone;

pub use clock::Clock;
pub use ledger::{Ledger, LedgerError, Refusal};
pub use task::{Agent, AgentSettings, Command, Envelope, Handle};
