//! Every frame that a wire is measured with, by name and byte for byte. Knows no socket and no lab.
//!
//! Two lists, as labs have been measured before: twenty frames on which switches differ most, and
//! 58 kinds from the protocols that networkers run.

#![allow(dead_code, reason = "shared by several tests, none of which needs all")]

pub mod build;
pub mod fifty_eight;
pub mod tap;
pub mod twenty;

/// A hardware address.
pub type Address = [u8; 6];

/// One frame, without its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is, as the lists of expected failures name it.
    pub name: &'static str,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// Between whom frames go.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// The sender's address.
    pub source: Address,
    /// The receiver's address.
    pub target: Address,
    /// The tag by which Open vSwitch knows the wire: no business of the frames, yet one of them
    /// carries it to see whether it is.
    pub tag: u16,
}
