//! Keeps what is wanted, plans it, hands it out, tells what is so.
//!
//! The only SQL of the project is in [`store`]. Hosts are reached through an [`port::AgentPort`]
//! and [`port::AgentAccess`]; how an agent works is not known here.

mod chance;
mod clock;
pub mod store;
