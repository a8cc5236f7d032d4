//! One network namespace made as declared. Synchronous netlink, no daemon, no async.
//!
//! | room | what it holds |
//! |---|---|
//! | [`rtnl`] | the netlink socket: devices, addresses, routes, read and written, one by one or in batches |
//! | [`namespace`] | a namespace held by a descriptor, told apart from the host's own |
//! | [`pin`] | namespaces made, pinned at a path, unpinned |
//! | [`veth`] | pairs of devices, made in place and many at once |
//! | [`error`] | what can go wrong |

pub mod error;
pub mod namespace;
pub mod pin;
pub mod rtnl;
pub mod veth;

pub use error::{Error, Result};
pub use namespace::{Identity, Namespace};
pub use veth::{VethOrder, VethPair};
