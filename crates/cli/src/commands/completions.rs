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
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Fish {
        // The generator for fish leaves out what an argument without a flag can be.
        let kinds: Vec<&str> = archetype_kinds::names().collect();
        let using = "complete -c archetype -n \"__fish_archetype_using_subcommand kinds\"";
        script.push_str(&format!("{using} -f -a \"{}\"\n", kinds.join(" ")));
    }
    print(&script)?;
    Ok(Exit::Fine)
}
