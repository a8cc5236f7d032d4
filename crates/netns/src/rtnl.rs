//! Synchronous rtnetlink: what is read from and written to one network namespace.
//!
//! | room | what it holds |
//! |---|---|
//! | [`wire`] | the bytes of a netlink message and of its attributes |
//! | [`socket`] | [`Socket`]: requests, batches of requests, dumps; stays in the namespace it was opened in |
//! | [`link`] | network devices: [`Link`], [`LinkChange`], creating, finding, deleting |
//! | [`vxlan`] | the tunnel of a VXLAN device |
//! | [`network`] | addresses, routes, rules, neighbours and nexthops, read raw and deleted as they were read |
//! | [`qdisc`] | queueing disciplines |
//! | [`watch`] | [`Watch`]: what the kernel says about devices by itself |
//!
//! It knows nothing of labs, nodes or facts.

pub mod link;
pub mod network;
pub mod qdisc;
pub mod socket;
pub mod vxlan;
pub mod watch;
pub mod wire;

pub use link::{Link, LinkChange, LinkKey, NewLink};
pub use network::{Address, Route};
pub use socket::{Refusal, Socket};
pub use watch::{LinkEvent, SEVERAL, Watch};
pub use wire::{Attribute, Message, Request};
