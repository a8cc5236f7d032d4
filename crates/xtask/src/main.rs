//! Work on this repository that is more than a shell line: `cargo xtask COMMAND`. No part of the product.
//!
//! The rules that the sources keep are tests of this crate, in `tests/tidy.rs`.

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask bench\n\n  bench   measure against the floor program\n";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("bench") => bench(),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Has nothing to measure yet, and says so rather than succeeding in silence.
fn bench() -> ExitCode {
    eprintln!("xtask: bench has no measurements yet");
    ExitCode::FAILURE
}
