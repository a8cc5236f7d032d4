//! `exec`: a command in a node, with this terminal's input and size where that is wished.

mod terminal;

use std::io::IsTerminal;

use archetype_api::ClientError;
use archetype_api::client::{ExecReceiver, ExecSender};
use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::write_out;
use crate::args::{ExecArgs, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;
use terminal::RawTerminal;

/// As a shell tells of a program whose reader has gone: 128 and SIGPIPE.
const OF_A_BROKEN_PIPE: i64 = 141;

/// Runs the command and ends as it ends.
pub async fn run(connection: &Connection, args: ExecArgs) -> Result<Exit, Failure> {
    if args.tty && args.interactive && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("the input is not a terminal", "leave out -t"));
    }
    let lab = lab_file::lab(Some(&args.lab), &TopologyArgs::default())?;
    let start = ExecStart {
        argv: args.command,
        tty: args.tty,
        stdin: args.interactive,
        size: args.tty.then(terminal::size).flatten(),
        env: environment(args.env, args.tty),
        user: args.user,
    };
    let asked = connection.client().exec(&lab, &args.node, &start);
    let (sender, receiver) = connection.ask(Some(&lab), args.node.as_str(), asked).await?;
    let raw = if args.tty && args.interactive { RawTerminal::enter() } else { None };
    let end = talk(sender, receiver, args.interactive, args.tty).await;
    drop(raw);
    match end? {
        Some(ExecEnd::Exit(code)) => Ok(Exit::Of(code)),
        Some(ExecEnd::Failed(problem)) => Err(ClientError::Refused(problem).into()),
        None => {
            Err(Failure::hinted("the connection ended before the command did", "the command may still run in the node"))
        }
    }
}

/// The wished variables; a terminal's command learns what sort of terminal it is.
fn environment(wished: Vec<(String, String)>, tty: bool) -> std::collections::BTreeMap<String, String> {
    let term = std::env::var("TERM").ok().filter(|_| tty).map(|term| ("TERM".to_owned(), term));
    term.into_iter().chain(wished).collect()
}

/// Carries bytes both ways until the command ends; none when the connection ended before it. Both ways beside each other:
/// a command that waits for its output to be taken takes no input.
async fn talk(
    sender: ExecSender,
    receiver: ExecReceiver,
    interactive: bool,
    tty: bool,
) -> Result<Option<ExecEnd>, Failure> {
    tokio::select! {
        end = hear(receiver) => end,
        () = speak(sender, interactive, tty) => Ok(None),
    }
}

/// Prints what the command prints until it ends, or nobody reads it any more: then it hangs up, and so ends the command.
async fn hear(mut receiver: ExecReceiver) -> Result<Option<ExecEnd>, Failure> {
    while let Some(output) = receiver.next().await {
        let is_read = match output? {
            ExecOutput::End(end) => return Ok(Some(end)),
            ExecOutput::Stdout(bytes) => write_out(std::io::stdout(), &bytes)?,
            ExecOutput::Stderr(bytes) => write_out(std::io::stderr(), &bytes)?,
        };
        if !is_read {
            return Ok(Some(ExecEnd::Exit(OF_A_BROKEN_PIPE)));
        }
    }
    Ok(None)
}

/// Sends the input and the terminal's size. Never ends: a connection that is gone is told by who hears, with what came
/// before.
async fn speak(mut sender: ExecSender, interactive: bool, tty: bool) {
    let mut input = interactive.then(tokio::io::stdin);
    let mut resized = if tty { signal(SignalKind::window_change()).ok() } else { None };
    let mut buffer = vec![0; 8192];
    loop {
        tokio::select! {
            read = read(&mut input, &mut buffer) => {
                let wish = match read {
                    0 => { input = None; ExecInput::Wish(ExecWish::CloseStdin) }
                    count => ExecInput::Stdin(buffer[..count].to_vec()),
                };
                let _ = sender.send(wish).await;
            }
            () = next(&mut resized) => {
                if let Some(size) = terminal::size() {
                    let _ = sender.send(ExecInput::Wish(ExecWish::Resize(size))).await;
                }
            }
        }
    }
}

/// How many bytes came; an input that fails has ended.
async fn read(input: &mut Option<tokio::io::Stdin>, buffer: &mut [u8]) -> usize {
    match input {
        Some(input) => input.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn next(resized: &mut Option<Signal>) {
    match resized {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
