//! The `archetype` binary.
fn main() {}
