//! One suite for every store, and what only the one on disk can be asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod store {
    pub mod crash;
    pub mod disk;
    pub mod fixture;
    pub mod suite;
}
