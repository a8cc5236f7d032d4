//! One network namespace made as declared. Synchronous netlink, no daemon, no async.
//!
//! | room | what it holds |
//! |---|---|
//! | [`boot`] | the start of a node (a cold boot) and its end (dead on the wire), as one call each |
//! | [`interior`] | the inside of a namespace written as its facts declare it |
//! | [`folder`] | facts files: read, replaced, locked |
//! | [`pin`] | namespaces made, pinned at a path, unpinned |
//! | [`veth`] | pairs of devices, made in place and many at once |
//! | [`mounts`] | a mount namespace of a process's own |
//! | [`supervised`] | what the supervisor of a namespace node tells of a run |
//! | [`enter`] | commands run inside a running node |
//! | [`namespace`] | a namespace held by a descriptor, told apart from the host's own |
//! | [`other_root`] | paths as who has another root sees them |
//! | [`rtnl`] | the netlink socket: devices, addresses, routes, read and written, one by one or in batches |
//! | [`sysctl`], [`ethtool`], [`firewall`] | settings, features, filters of the calling thread's namespace |
//! | [`time_slice`] | how long a thread runs in one go |
//! | [`error`] | what can go wrong |
//!
//! A namespace is entered on a thread made for that, never on the caller's. The host's own
//! namespace is refused wherever something would be taken away.

pub mod boot;
pub mod enter;
pub mod error;
pub mod ethtool;
pub mod firewall;
pub mod folder;
pub mod interior;
pub mod mounts;
pub mod namespace;
pub mod other_root;
pub mod pin;
mod recorded;
mod reset;
mod room;
pub mod rtnl;
pub mod supervised;
pub mod sysctl;
pub mod time_slice;
pub mod veth;

pub use boot::{Boot, cold_boot, quiesce};
pub use error::{Error, Result};
pub use folder::Lock;
pub use interior::{apply, plug};
pub use namespace::{Identity, Namespace};
pub use veth::{VethOrder, VethPair};
