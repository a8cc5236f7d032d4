//! One command of a node's exec list: made, its id kept, and only then started; after a crash of
//! ours the engine is asked what became of it.

use std::sync::Arc;
use std::time::Duration;

use archetype_model::observed::RunObserved;
use archetype_model::report::ExecState;
use archetype_model::spec::NodeSpec;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::StreamExt;
use tokio::time::timeout;

use super::ExecMade;
use super::error::EngineError;
use super::task::{Task, blocking};
use super::watch::within;
use crate::command::{not_running, run_on_host};
use crate::event::TaskError;

/// What is kept of a command's output: its end.
const OUTPUT: usize = 4096;
/// How often a command whose output is not ours to read, or stays open, is asked about.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Time for the rest of the output when the command has ended and something it left behind holds
/// the output open.
const REST: Duration = Duration::from_millis(300);

/// Runs the command at `index` of the node's list for its start `start`, or finds out what became
/// of the one that was made for it in an earlier life.
pub(super) async fn run(
    task: &Task,
    node: &Arc<NodeSpec>,
    index: usize,
    start: &str,
    kept: Option<String>,
) -> Result<ExecState, TaskError> {
    let rule = task.room.settings.host_commands;
    if let Some(done) = run_on_host(node, index, rule, task.given_up.clone()).await? {
        return Ok(done);
    }
    // Its end comes with the node's.
    tokio::select! {
        done = run_inside(task, node, index, start, kept) => done,
        () = task.given_up.cancelled() => Ok(ExecState::GivenUp { output: String::new() }),
    }
}

async fn run_inside(
    task: &Task,
    node: &NodeSpec,
    index: usize,
    start: &str,
    kept: Option<String>,
) -> Result<ExecState, TaskError> {
    let engine = |error: EngineError| error.finding("exec-failed");
    if let Some(id) = kept {
        return match found(task, &id).await.map_err(engine)? {
            Found::Unknown => Ok(ExecState::Unknown),
            Found::NeverStarted => start_and_wait(task, &id).await.map_err(engine),
            Found::Started => wait(task, &id, String::new()).await.map_err(engine),
        };
    }
    let commands = node.commands();
    let command = commands.get(index).ok_or_else(|| changed(format!("there is no command {}", index + 1)))?.words;
    if !runs(task) {
        return Ok(not_running());
    }
    let container = started(task, start)?;
    let id = make(task, &container, command).await.map_err(engine)?;
    keep(task, ExecMade { container: task.container.clone(), start: start.to_owned(), index, id: id.clone() }).await?;
    start_and_wait(task, &id).await.map_err(engine)
}

fn runs(task: &Task) -> bool {
    let replica = task.room.replica();
    replica.find(&task.container).is_some_and(|node| matches!(node.run, RunObserved::Running { .. }))
}

/// The container's id, if it is still in the start that the command belongs to.
fn started(task: &Task, start: &str) -> Result<String, TaskError> {
    let replica = task.room.replica();
    let node = replica.find(&task.container).ok_or_else(|| changed("its container is gone".into()))?;
    match &node.run {
        RunObserved::Running { start: now, .. } if now == start => Ok(node.id.clone()),
        _ => Err(changed("that start of the node is over".into())),
    }
}

async fn make(task: &Task, container: &str, command: &[String]) -> Result<String, EngineError> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        ..Default::default()
    };
    let made = within(task.room.settings.deadline, task.link.client.create_exec(container, options)).await?;
    Ok(made.id)
}

async fn keep(task: &Task, made: ExecMade) -> Result<(), TaskError> {
    let keep = Arc::clone(&task.room.settings.keep_exec);
    blocking(move || keep(&made)).await.map_err(|error| TaskError {
        code: "exec-failed",
        message: format!("the command was not run, for its id could not be kept: {error}"),
        hint: "look at the space and the rights of the data directory".into(),
    })
}

/// What the engine knows of an exec of an earlier life.
enum Found {
    Unknown,
    NeverStarted,
    Started,
}

async fn found(task: &Task, id: &str) -> Result<Found, EngineError> {
    let asked = within(task.room.settings.deadline, task.link.client.inspect_exec(id)).await;
    match asked {
        Err(error) if error.is_missing() || error.is_conflict() => Ok(Found::Unknown),
        Err(error) => Err(error),
        Ok(exec) if exec.running.unwrap_or_default() || exec.exit_code.is_some() => Ok(Found::Started),
        Ok(_) => Ok(Found::NeverStarted),
    }
}

async fn start_and_wait(task: &Task, id: &str) -> Result<ExecState, EngineError> {
    let attached = task.link.client.start_exec(id, None::<StartExecOptions>);
    let StartExecResults::Attached { mut output, input } = within(task.room.settings.deadline, attached).await? else {
        return wait(task, id, String::new()).await;
    };
    let mut tail = Tail::default();
    loop {
        match timeout(ASK_EVERY, output.next()).await {
            Ok(Some(Ok(piece))) => tail.add(&piece),
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => break,
            Err(_) if ended(task, id).await?.is_some() => {
                while let Ok(Some(Ok(piece))) = timeout(REST, output.next()).await {
                    tail.add(&piece);
                }
                break;
            }
            Err(_) => {}
        }
    }
    drop(input);
    wait(task, id, tail.text()).await
}

/// Waits for a started command to end.
async fn wait(task: &Task, id: &str, output: String) -> Result<ExecState, EngineError> {
    let mut pause = Duration::from_millis(5);
    loop {
        match ended(task, id).await {
            Ok(Some(code)) => return Ok(ExecState::Ended { code, output }),
            Ok(None) => {}
            // The engine forgets execs with their container's run.
            Err(error) if error.is_missing() => return Ok(ExecState::Unknown),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY);
    }
}

/// The exit status of a command that has ended.
async fn ended(task: &Task, id: &str) -> Result<Option<i64>, EngineError> {
    let exec = within(task.room.settings.deadline, task.link.client.inspect_exec(id)).await?;
    Ok(if exec.running.unwrap_or_default() { None } else { exec.exit_code })
}

fn changed(what: String) -> TaskError {
    TaskError {
        code: "exec-start-over",
        message: format!("the command was not run: {what}"),
        hint: "the node's next start runs its commands anew".into(),
    }
}

/// The end of a command's output.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn add(&mut self, piece: &LogOutput) {
        self.0.extend_from_slice(piece.as_ref());
        if self.0.len() > 2 * OUTPUT {
            self.0.drain(..self.0.len() - OUTPUT);
        }
    }

    fn text(&self) -> String {
        let from = self.0.len().saturating_sub(OUTPUT);
        String::from_utf8_lossy(&self.0[from..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_output_the_end_is_kept() {
        let mut tail = Tail::default();
        for number in 0..5000 {
            tail.add(&LogOutput::StdOut { message: format!("{number}\n").into() });
        }
        assert!(tail.text().ends_with("4998\n4999\n"));
        assert_eq!(tail.text().len(), OUTPUT);
    }
}
