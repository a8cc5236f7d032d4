//! Migrations are compiled in: a new one must make the crate be built again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
