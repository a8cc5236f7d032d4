//! Status: a pure function of what is wanted and what was observed.
//!
//! The agent turns an observation into end and wire reports; the controller turns reports into the
//! states that users see. Both by these functions.

mod ends;
mod outward;
mod seen;
mod states;
mod still;

pub use ends::wire_report;
pub use outward::{management_end, outward_report};
pub use seen::Seen;
pub use states::{JudgedNode, has_finished, lab_state, link_status, member_status, node_state, outward_status, unread};
pub use still::{ToCome, execs_are_over, to_come};
