//! The `archetype-oci` binary.
fn main() {}
