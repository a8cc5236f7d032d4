//! What a person does at a keyboard: a command inside a node with input, output and a terminal,
//! and a node's log.

use std::pin::Pin;

use archetype_model::ContainerName;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptions;
use futures::{Stream, StreamExt};
use tokio::io::AsyncWrite;

use super::Containers;
use super::error::EngineError;
use super::exec::ROOT;
use super::replica::Link;
use super::watch::within;

/// A command to run inside a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Its words.
    pub command: Vec<String>,
    /// Whether it gets a terminal; error output then comes as output.
    pub tty: bool,
    /// Whether it gets input.
    pub stdin: bool,
    /// Its environment beyond the node's, as `NAME=VALUE`.
    pub env: Vec<String>,
    /// Whom it runs as, as the engine reads it; root when absent, as with `containerlab exec`.
    pub user: Option<String>,
    /// The terminal's size at the beginning, as (rows, columns).
    pub size: Option<(u16, u16)>,
}

/// A piece of what a command or a node wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To its output, or to its terminal.
    Out(Vec<u8>),
    /// To its error output.
    Error(Vec<u8>),
}

/// Pieces of output as they come. It ends when the command or the node has ended.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Output, EngineError>> + Send>>;

/// A command that runs inside a node, without its streams.
#[derive(Clone)]
pub struct ExecControl {
    id: String,
    link: Link,
    limit: std::time::Duration,
}

/// A command that runs inside a node.
pub struct ExecSession {
    /// The command itself, apart from its streams.
    pub control: ExecControl,
    /// What it writes.
    pub output: Pieces,
    /// What it reads. Shutting it down is the end of its input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl ExecControl {
    /// Tells the command's terminal its size.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), EngineError> {
        let size = ResizeExecOptions { height: rows, width: columns };
        within(self.limit, self.link.client.resize_exec(&self.id, size)).await
    }

    /// The exit status; none while it runs. To be asked when the output has ended.
    pub async fn exit_code(&self) -> Result<Option<i64>, EngineError> {
        let exec = within(self.limit, self.link.client.inspect_exec(&self.id)).await?;
        Ok(if exec.running.unwrap_or_default() { None } else { exec.exit_code })
    }
}

impl Containers {
    /// Runs a command inside a running node, with its streams at hand.
    pub async fn exec(&self, container: &ContainerName, request: ExecRequest) -> Result<ExecSession, EngineError> {
        let (room, link) = (&self.room, self.room.link()?);
        // What is told as failed here might run all the same, and is told so only where the engine is late indeed.
        let limit = room.settings.deadline * super::watch::PATIENCE;
        let node = room.id_of(container)?;
        let made = within(limit, link.client.create_exec(&node, options(&request))).await?;
        let start = StartExecOptions { detach: false, tty: request.tty, output_capacity: None };
        let StartExecResults::Attached { output, input } =
            within(limit, link.client.start_exec(&made.id, Some(start))).await?
        else {
            return Err(EngineError::unreachable("it ran the command without its streams"));
        };
        let output: Pieces = Box::pin(output.map(|piece| piece.map(into_output).map_err(EngineError::from)));
        let session = ExecSession { control: ExecControl { id: made.id, link, limit }, output, input };
        if let Some((rows, columns)) = request.size {
            // A command that ended at once has no terminal to tell.
            drop(session.control.resize(rows, columns).await);
        }
        Ok(session)
    }

    /// What a node wrote: its last `tail` lines (none: all), and with `follow` what it writes on.
    pub fn logs(&self, container: &ContainerName, follow: bool, tail: Option<u64>) -> Result<Pieces, EngineError> {
        let (link, id) = (self.room.link()?, self.room.id_of(container)?);
        let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptions { follow, stdout: true, stderr: true, tail, ..Default::default() };
        let pieces = link.client.logs(&id, Some(options));
        Ok(Box::pin(pieces.map(|piece| piece.map(into_output).map_err(EngineError::from))))
    }
}

fn options(request: &ExecRequest) -> CreateExecOptions<String> {
    CreateExecOptions {
        attach_stdin: Some(request.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(request.tty),
        env: Some(request.env.clone()),
        user: Some(request.user.clone().unwrap_or_else(|| ROOT.to_owned())),
        cmd: Some(request.command.clone()),
        ..Default::default()
    }
}

fn into_output(piece: LogOutput) -> Output {
    match piece {
        LogOutput::StdErr { message } => Output::Error(message.to_vec()),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            Output::Out(message.to_vec())
        }
    }
}
