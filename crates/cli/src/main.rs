//! The `archetype` binary: reads the command line, runs one command, turns its end into an exit
//! code. Knows no command's work.

mod args;
mod artefacts;
mod commands;
mod completing;
mod connection;
mod duration;
mod excerpt;
mod exit;
mod failure;
mod lab_file;
mod paint;
mod progress;
mod public_keys;
mod serve;
mod table;

use std::io::Write;

use clap::{CommandFactory, FromArgMatches};

use crate::args::Cli;
use crate::paint::Paint;

/// Passes make and drop some MiB each, on several threads: this allocator does it without asking the
/// kernel, and gives back what stays unused.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How it is to work: few arenas, threads keep only what is small, what is unused goes back within some seconds. What one
/// request gave back serves the next: on a virtual machine the kernel takes up to 2 us for each fresh page, and a change of
/// a lab of 200 links takes a thousand of them.
// SAFETY: jemalloc reads the symbol's first word as a pointer to text that ends with a zero.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8] =
    b"background_thread:true,narenas:2,tcache_max:2048,dirty_decay_ms:3000,muzzy_decay_ms:0\0";

/// SQLite, which is C, allocates with the C library: by itself that has eight arenas for each processor, of which each
/// keeps what the largest row once took. What a revision of some hundred links takes is kept for the next one.
#[cfg(target_env = "gnu")]
fn settle_c_allocator() {
    // SAFETY: it only sets numbers, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 10);
    }
}

#[cfg(not(target_env = "gnu"))]
fn settle_c_allocator() {}

fn main() {
    settle_c_allocator();
    clap_complete::CompleteEnv::with_factory(Cli::command).var(commands::COMPLETION).complete();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let code = match args::begin_logging(cli.log.as_deref()).and_then(|()| commands::run(cli, &matches)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            if commands::are_for_programs(&matches) {
                failure.print_for_programs();
            }
            failure.print(Paint::stderr());
            failure.exit().code()
        }
    };
    // A thread may still wait for the terminal's input: it must not hold up the end.
    let _ = std::io::stdout().flush();
    std::process::exit(code)
}
