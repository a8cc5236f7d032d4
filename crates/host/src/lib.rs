//! Reads, changes and watches one Linux host: one room per outside thing, each with the same
//! furniture: *show* what is, *apply* a step, *watch* for change.
//!
//! Nothing here decides: what is wanted comes as a spec, what to do comes as steps. Nothing here
//! knows `archetype-plan`.

mod begun;
mod binds;
mod command;
pub mod containers;
pub mod contract;
pub mod datapath;
pub mod event;
pub mod fake;
pub mod links;
pub mod linux;
pub mod networks;
pub mod place;
mod probe;
mod process_end;
pub mod processes;

pub use archetype_netns::time_slice;
pub use command::HostCommands;
pub use contract::{Across, Host, ProbeEnd, ProbeOrder};
pub use event::{Event, TaskEnded, Waker};
pub use linux::{LinuxHost, LinuxSettings, Others};
pub use place::Place;
