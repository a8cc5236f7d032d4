//! The user's commands, one file each, and the choice between them.

mod check;
mod completions;
mod deploy;
mod destroy;
mod exec;
mod explain;
pub mod host;
mod inspect;
mod journal;
mod kinds;
mod link;
mod logs;
mod man;
mod node;
mod openapi;
mod plan;
mod reconcile;
mod version;
mod wait;

use std::future::Future;
use std::io::Write;

use archetype_api::Target;
use clap::ArgMatches;
use serde::Serialize;

pub use completions::ASKED_BY as COMPLETION;

use crate::args::{Cli, Command, Format, Settings};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs the command that the line names.
pub fn run(cli: Cli, matches: &ArgMatches) -> Result<Exit, Failure> {
    let settings = Settings::gather(innermost(matches), cli.config.as_deref());
    // No command speaks to a controller, or changes a machine, by settings that are half understood.
    let stated = || settings.clone().stated().map_err(Failure::Settings);
    let connection = || Connection::new(Target::Socket(stated()?.socket()));
    match cli.command {
        Command::Serve(_) => {
            let args = settings.serve().map_err(Failure::Settings)?;
            crate::serve::run(args).map_err(Failure::Serve)?;
            Ok(Exit::Fine)
        }
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => block_on(plan::run(&connection()?, args)),
        Command::Deploy(args) => block_on(deploy::run(&connection()?, args, settings.artefacts())),
        Command::Destroy(args) => block_on(destroy::run(&connection()?, args, settings.artefacts())),
        Command::Inspect(args) => block_on(inspect::run(&connection()?, args)),
        Command::Exec(args) => block_on(exec::run(&connection()?, args)),
        Command::Logs(args) => block_on(logs::run(&connection()?, args)),
        Command::Node(args) => block_on(node::run(&connection()?, args)),
        Command::Link(args) => block_on(link::run(&connection()?, args)),
        Command::Journal(args) => block_on(journal::run(&connection()?, args)),
        Command::Explain(args) => block_on(explain::run(&connection()?, args)),
        Command::Reconcile(args) => block_on(reconcile::run(&connection()?, args)),
        Command::Kinds(args) => kinds::run(&args),
        Command::Host(command) => host::run(command, stated()?.engine().map_err(Failure::Settings)?),
        Command::Version(args) => block_on(version::run(connection(), args)),
        Command::Completions { shell } => completions::run(shell),
        Command::Man { directory } => man::run(&directory),
        Command::Openapi => openapi::run(),
    }
}

/// What the command itself was given.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

/// Whether programs read what the command prints.
pub fn are_for_programs(matches: &ArgMatches) -> bool {
    // Not every command has a form to choose.
    matches!(innermost(matches).try_get_one("format"), Ok(Some(Format::Json)))
}

/// Runs a conversation with the controller to its end; one thread is enough for it.
fn block_on(conversation: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::Io { what: "the program's threads cannot be made", source })?;
    let end = runtime.block_on(conversation);
    // A thread may wait for the terminal's input without end.
    runtime.shutdown_background();
    end
}

/// Prints text to the standard output. A reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    write_out(std::io::stdout().lock(), format!("{text}{ended}").as_bytes()).map(drop)
}

/// Writes what came, and says whether somebody is still there to read more.
fn write_out(mut out: impl Write, bytes: &[u8]) -> Result<bool, Failure> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(source) => Err(Failure::Io { what: "the answer cannot be printed", source }),
    }
}

/// Prints an answer for programs.
pub(crate) fn print_json(answer: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer);
    print(&text.map_err(|error| Failure::plain(format!("the answer cannot be written as JSON: {error}")))?)
}
