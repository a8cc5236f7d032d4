//! The `archetype` binary: reads the command line, runs one command, turns its end into an exit
//! code. Knows no command's work.

mod args;
mod commands;
mod connection;
mod duration;
mod excerpt;
mod exit;
mod failure;
mod lab_file;
mod paint;
mod progress;
mod serve;
mod table;

use std::io::Write;

use clap::{CommandFactory, FromArgMatches};

use crate::args::Cli;
use crate::paint::Paint;

fn main() {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let code = match args::begin_logging(cli.log.as_deref()).and_then(|()| commands::run(cli, &matches)) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.print(Paint::stderr());
            failure.exit().code()
        }
    };
    // A thread may still wait for the terminal's input: it must not hold up the end.
    let _ = std::io::stdout().flush();
    std::process::exit(code)
}
