//! The nouns of Archetype, each constructible only if valid: names, numbers, topologies, specs,
//! observations, steps, findings, reports and statuses.
//!
//! This crate knows no I/O, no async, no clock and no randomness; it decides nothing. Decisions
//! over these nouns live in `archetype-plan`, effects in `archetype-host`.

pub mod blueprint;
pub mod capability;
pub mod digest;
pub mod facts;
pub mod name;
pub mod network;
pub mod nodes;
pub mod number;
pub mod observed;
pub mod others;
pub mod outward;
pub mod report;
pub mod restart;
pub mod spec;
pub mod stages;
pub mod status;
pub mod step;
pub mod topology;

pub use digest::digest;
pub use name::{
    BridgeName, ContainerName, HostName, InstallationId, InterfaceName, Invalid, LabName, NetworkName, NodeName,
};
pub use nodes::Nodes;
pub use number::{Generation, Mac, Mtu, VlanTag};
pub use restart::RestartRule;
