//! Pure decisions over the nouns: check, plan, diff, order, judge. No I/O, no async.

pub mod blueprint;
pub mod carrier;
pub mod changes;
pub mod check;
pub mod codes;
pub mod diff;
mod holding;
pub mod invariants;
pub mod joining;
pub mod judge;
pub mod resources;
pub mod stages;
