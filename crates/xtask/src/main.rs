//! Work on this repository that is more than a shell line: `cargo xtask COMMAND`. No part of the product.
//!
//! The rules that the sources keep are tests of this crate, in `tests/tidy.rs`.

mod bench;
mod kernel;

use clap::{Parser, Subcommand};

/// As the product has it: memory and time are to be its own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As the product has it.
// SAFETY: jemalloc reads the symbol's first word as a pointer to text that ends with a zero.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8] =
    b"background_thread:true,narenas:2,tcache_max:2048,dirty_decay_ms:3000,muzzy_decay_ms:0\0";

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
    /// Run tests on the kernel's Open vSwitch, in an emulated machine (root)
    Kernel(kernel::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Kernel(options) => kernel::run(&options),
    }
}
