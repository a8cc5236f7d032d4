//! Work on this repository that is more than a shell line: `cargo xtask COMMAND`. No part of the product.
//!
//! The rules that the sources keep are tests of this crate, in `tests/tidy.rs`.

mod bench;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Work on this repository that is more than a shell line")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure against the floor program (root, release build)
    Bench(bench::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
    }
}
