//! `completions`: a script that lets a shell complete our commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::print;
use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// Prints the script.
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "archetype", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
