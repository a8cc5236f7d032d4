//! One command of a node's exec list: made, its id kept, and only then started; after a crash of
//! ours the engine is asked what became of it.
//!
//! No time says that a command ended, or did not run: an engine that does not answer is asked again for as long as the
//! node is wanted. That it is asked to start a command twice does no harm, for it starts each only once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use archetype_model::observed::RunObserved;
use archetype_model::report::ExecState;
use archetype_model::spec::NodeSpec;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use super::ExecMade;
use super::error::EngineError;
use super::task::{Task, blocking};
use crate::begun::Note;
use crate::command::{not_running, run_on_host};
use crate::event::TaskError;

/// Whom commands run as that name nobody.
pub(super) const ROOT: &str = "0";
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
    let note = Note::of(&task.room.settings.place, &node.container, start, index);
    if let Some(done) = run_on_host(node, index, rule, note, task.given_up.clone()).await? {
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
    let id = match kept {
        Some(id) => id,
        None => {
            if !runs(task) {
                return Ok(not_running());
            }
            let commands = node.commands();
            let command = commands.get(index).ok_or_else(|| changed(format!("there is no command {}", index + 1)))?;
            let id = made(task, start, command.words).await?;
            keep(task, ExecMade { container: task.container.clone(), start: start.to_owned(), index, id: id.clone() })
                .await?;
            id
        }
    };
    loop {
        match carried_on(task, &id).await {
            Err(EngineError::Unreachable { .. }) => tokio::time::sleep(ASK_EVERY).await,
            over => return over.map_err(|error| error.finding("exec-failed")),
        }
    }
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

/// Makes the command, which does not run yet; its id. One that was made and of which we were not told never runs.
async fn made(task: &Task, start: &str, command: &[String]) -> Result<String, TaskError> {
    loop {
        let container = started(task, start)?;
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            // As with containerlab: such a list sets up interfaces and routes, whoever its node's software runs as.
            user: Some(ROOT.to_owned()),
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        match task.client().create_exec(&container, options).await.map_err(EngineError::from) {
            Err(EngineError::Unreachable { .. }) => tokio::time::sleep(ASK_EVERY).await,
            made => return made.map(|made| made.id).map_err(|error| error.finding("exec-failed")),
        }
    }
}

async fn keep(task: &Task, made: ExecMade) -> Result<(), TaskError> {
    let keep = Arc::clone(&task.room.settings.keep_exec);
    blocking(move || keep(&made)).await.map_err(|error| TaskError {
        code: "exec-failed",
        message: format!("the command was not run, for its id could not be kept: {error}"),
        hint: "look at the space and the rights of the data directory".into(),
    })
}

/// What a command writes.
type Written = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// What the engine knows of a command.
enum Found {
    /// It forgets commands with their container's run.
    Unknown,
    NeverStarted,
    Runs,
    Ended(i64),
}

async fn found(task: &Task, id: &str) -> Result<Found, EngineError> {
    match task.client().inspect_exec(id).await.map_err(EngineError::from) {
        Err(error) if error.is_missing() || error.is_conflict() => Ok(Found::Unknown),
        Err(error) => Err(error),
        Ok(exec) if exec.running.unwrap_or_default() => Ok(Found::Runs),
        Ok(exec) => Ok(exec.exit_code.map_or(Found::NeverStarted, Found::Ended)),
    }
}

/// Carries a command that was made on to its end, from wherever it is.
async fn carried_on(task: &Task, id: &str) -> Result<ExecState, EngineError> {
    if !matches!(found(task, id).await?, Found::NeverStarted) {
        return wait(task, id, String::new()).await;
    }
    match task.client().start_exec(id, None::<StartExecOptions>).await.map_err(EngineError::from) {
        Ok(StartExecResults::Attached { output, input }) => {
            let tail = follow(task, id, output).await;
            drop(input);
            wait(task, id, tail).await
        }
        Ok(StartExecResults::Detached) => wait(task, id, String::new()).await,
        // What was asked before, and not answered, may have started it since.
        Err(refused @ EngineError::Refused { .. }) => match found(task, id).await? {
            Found::NeverStarted => Err(refused),
            _ => wait(task, id, String::new()).await,
        },
        Err(error) => Err(error),
    }
}

/// The end of a command's output, until that ends, or the command has, or it cannot be heard any more.
async fn follow(task: &Task, id: &str, mut output: Written) -> String {
    let mut tail = Tail::default();
    loop {
        match timeout(ASK_EVERY, output.next()).await {
            Ok(Some(Ok(piece))) => tail.add(&piece),
            Ok(Some(Err(_)) | None) => break,
            Err(_) if matches!(found(task, id).await, Ok(Found::Ended(_) | Found::Unknown)) => {
                while let Ok(Some(Ok(piece))) = timeout(REST, output.next()).await {
                    tail.add(&piece);
                }
                break;
            }
            Err(_) => {}
        }
    }
    tail.text()
}

/// The status with which a shell would end for what the engine prints where it could not start a command: 127 when it is
/// not there, else 126. None for any other text.
pub fn status_of_refusal(text: &str) -> Option<i64> {
    const BEGINNINGS: [&str; 3] = ["OCI runtime exec failed: ", "unable to find user ", "unable to find group "];
    const MISSING: [&str; 2] = ["executable file not found", "no such file or directory"];
    let is_refusal = BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
    is_refusal.then(|| if MISSING.iter().any(|words| text.contains(words)) { 127 } else { 126 })
}

/// Waits for a started command to end.
async fn wait(task: &Task, id: &str, output: String) -> Result<ExecState, EngineError> {
    let mut pause = Duration::from_millis(5);
    loop {
        match found(task, id).await {
            Ok(Found::Ended(code @ (126 | 127))) => {
                let code = status_of_refusal(&output).unwrap_or(code);
                return Ok(ExecState::Ended { code, output });
            }
            Ok(Found::Ended(code)) => return Ok(ExecState::Ended { code, output }),
            Ok(Found::Unknown) => return Ok(ExecState::Unknown),
            // To ask for its start once more does no harm.
            Ok(Found::NeverStarted) if pause == ASK_EVERY => {
                return Err(EngineError::unreachable("it was asked to start a command and did not"));
            }
            Ok(Found::Runs | Found::NeverStarted) | Err(EngineError::Unreachable { .. }) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY);
    }
}

fn changed(what: String) -> TaskError {
    TaskError {
        code: TaskError::START_OVER,
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
