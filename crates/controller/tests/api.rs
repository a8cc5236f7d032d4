//! The API, asked of a real server over its unix socket and its port, with the other end of an
//! agent's channel in the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod api {
    pub mod agent;
    pub mod attach;
    pub mod door;
    pub mod gone;
    pub mod journal;
    pub mod labs;
    pub mod links;
    pub mod live;
    pub mod size;
    pub mod stand;
}
