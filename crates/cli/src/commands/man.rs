//! `man`: the man pages, one for each command.

use std::path::Path;

use clap::CommandFactory;

use super::print;
use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// Writes `archetype.1`, `archetype-deploy.1`, … into a directory, which is made where it is missing.
pub fn run(directory: &Path) -> Result<Exit, Failure> {
    let failed = |source| Failure::Io { what: "the man pages cannot be written", source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory).map_err(failed)?;
    print(&format!("wrote the man pages to {}; see one by `man -l {0}/archetype.1`", directory.display()))?;
    Ok(Exit::Fine)
}
