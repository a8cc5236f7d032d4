//! Pure decisions over the nouns: check, plan, diff, order, judge. No I/O, no async.

pub mod diff;
pub mod judge;
pub mod resources;
