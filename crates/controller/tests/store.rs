//! One suite for every store, and what only the one on disk can be asked.

mod store {
    pub mod crash;
    pub mod disk;
    pub mod fixture;
    pub mod suite;
}
