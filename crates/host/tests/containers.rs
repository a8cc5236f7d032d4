//! The Docker Engine's room against a real engine in a sandbox. The runtime is plain runc: what
//! happens to namespaces is another room's to prove.

#![expect(clippy::unwrap_used, reason = "a test has nobody to hand an error to")]

#[path = "containers/bed.rs"]
mod bed;
#[path = "containers/commands.rs"]
mod commands;
#[path = "containers/engine.rs"]
mod engine;
#[path = "containers/findings.rs"]
mod findings;
#[path = "containers/life.rs"]
mod life;
