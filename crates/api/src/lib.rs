//! The HTTP contract of the controller: requests, answers, problems, codes, frames of an exec, and
//! a typed client.
//!
//! It knows the nouns of `archetype-model` and the wire's forms; it decides nothing, and it does
//! not know the server.

pub mod answer;
pub mod artefacts;
pub mod checked;
pub mod client;
pub mod codes;
pub mod exec;
pub mod explain;
pub mod journal;
pub mod lab;
pub mod mapping;
pub mod problem;
pub mod progress;
pub mod request;
mod schema;
pub mod words;

pub use answer::{Accepted, Change, ChangeKind, Health, PlanAnswer, Reconciled, Version};
pub use artefacts::Artefacts;
pub use checked::Checked;
pub use client::{Client, ClientError, Target};
pub use explain::{Explanation, Fact};
pub use journal::{Journal, JournalEntry};
pub use lab::{Endpoint, Lab, Labs, Link, Management, Node};
pub use mapping::{InterfaceMapping, InterfaceMappings, NodeInterface, NodeInterfaces};
pub use problem::{FileProblem, OtherPlace, Problem};
pub use progress::{Progress, Settled};
pub use request::{DeployRequest, LinkAction, NewLink, NodeAction, TopologyText};

/// The path under which this version of the contract is served.
pub const BASE: &str = "/api/v1";

/// The OpenAPI 3.1 document of this version, as generated from the code and checked in.
pub const OPENAPI: &str = include_str!("../openapi.json");
