//! `completions`: a script that lets a shell complete our commands, and the names of what runs.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::env::Shells;

use super::print;
use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The variable by which a shell asks this program for completions.
pub const ASKED_BY: &str = "ARCHETYPE_COMPLETE";

/// The script of bash, which breaks the ends of links at their colons.
const BASH: &str = include_str!("completions/archetype.bash");

/// Prints the script. It has the shell ask this very program, so it never grows old.
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let name = shell.to_string();
    let failed = |source| Failure::Io { what: "the script cannot be written", source };
    if shell == Shell::Bash {
        script.extend_from_slice(BASH.as_bytes());
    } else if let Some(completer) = Shells::builtins().completer(&name) {
        let program = "archetype";
        completer.write_registration(ASKED_BY, program, program, program, &mut script).map_err(failed)?;
    }
    let command = Cli::command();
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<&str> = shown.map(clap::Command::get_name).collect();
    // A shell may look for its own word in the first line of the script: zsh does.
    print(&format!("{}\n# Completes archetype: {}", String::from_utf8_lossy(&script).trim_end(), names.join(" ")))?;
    Ok(Exit::Fine)
}
