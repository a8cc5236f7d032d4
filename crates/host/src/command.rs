//! A command of a node's stages that runs on the host itself, as root and as it is: what a node may
//! do there is for who deploys to decide, and whether any may for who serves.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use archetype_model::report::ExecState;
use archetype_model::spec::NodeSpec;
use archetype_model::topology::value::ExecTarget;
use archetype_netns::enter::ordinary_start;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::begun::Note;
use crate::event::TaskError;
use crate::processes::status;

/// How much of a command's output is kept: its end.
const KEPT: usize = 4096;
/// Time for the rest of the output once the command has ended: what it left behind may hold it open.
const REST: Duration = Duration::from_secs(1);
/// How often it is asked whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pieces of output that wait to be gathered; who prints faster waits.
const WAITING: usize = 16;

/// Whether nodes may have commands on the host, and for how long one may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCommands {
    /// Whether they run at all.
    pub allowed: bool,
    /// After so long one is killed, with everything that it started and that stayed in its group.
    pub limit: Duration,
}

impl HostCommands {
    /// The time that a command has unless something else is said.
    pub const LIMIT: Duration = Duration::from_secs(600);
}

impl Default for HostCommands {
    fn default() -> Self {
        Self { allowed: true, limit: Self::LIMIT }
    }
}

/// Runs the node's command at `index` if it is one for the host, in the topology's folder, and
/// waits for it, until it is given up; `note` is that it has begun.
///
/// # Errors
/// When the thread that followed it broke down.
pub(crate) async fn run_on_host(
    node: &NodeSpec,
    index: usize,
    rule: HostCommands,
    note: Note,
    given_up: CancellationToken,
) -> Result<Option<ExecState>, TaskError> {
    let Some(work) = for_host(node, index, rule, note, given_up) else { return Ok(None) };
    on_a_thread(work).await.map(Some)
}

fn for_host(
    node: &NodeSpec,
    index: usize,
    rule: HostCommands,
    note: Note,
    given_up: CancellationToken,
) -> Option<impl FnOnce() -> ExecState + Send + 'static> {
    let command = node.commands().get(index).copied().filter(|command| command.target == ExecTarget::Host)?;
    let (words, folder) = (command.words.to_vec(), node.stages.folder.clone());
    Some(move || {
        if !rule.allowed {
            let output = "commands of labs are not run on this host: --host-commands refuse".to_owned();
            return ExecState::Ended { code: 126, output };
        }
        run(&words, &folder, rule.limit, Some(&note), &given_up)
    })
}

/// Follows a command on a thread of its own: it may take any time, and the runtime's threads for what waits are few.
///
/// # Errors
/// When the work broke down.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TaskError> {
    let (tell, told) = oneshot::channel();
    let begun = thread::Builder::new().spawn(move || drop(tell.send(work())));
    begun.map_err(|error| TaskError::crashed(&format!("no thread for a command: {error}")))?;
    told.await.map_err(|_| TaskError::crashed("the thread that followed a command broke down"))
}

fn run(
    words: &[String],
    folder: &Path,
    limit: Duration,
    note: Option<&Note>,
    given_up: &CancellationToken,
) -> ExecState {
    let failed = |why: String| ExecState::Ended { code: 127, output: why };
    let Some((program, words)) = words.split_first() else { return failed("no command".into()) };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // SAFETY: it makes plain system calls only.
    unsafe { command.pre_exec(ordinary_start) };
    if folder.is_dir() {
        command.current_dir(folder);
    }
    once(note, command, Some(limit), given_up, |mut command| command.spawn())
}

/// Spawns a command and follows it, unless a former agent did: then it follows that one.
pub(crate) fn once(
    note: Option<&Note>,
    command: Command,
    limit: Option<Duration>,
    given_up: &CancellationToken,
    spawn: impl FnOnce(Command) -> io::Result<Child>,
) -> ExecState {
    let state = match note.and_then(Note::left) {
        Some(left) => left.followed(limit, given_up),
        None => begun(note, command, limit, given_up, spawn),
    };
    note.inspect(|note| note.has_ended(&state));
    state
}

fn begun(
    note: Option<&Note>,
    mut command: Command,
    limit: Option<Duration>,
    given_up: &CancellationToken,
    spawn: impl FnOnce(Command) -> io::Result<Child>,
) -> ExecState {
    let program = command.get_program().to_string_lossy().into_owned();
    if let Some(Err(error)) = note.map(|note| note.taken_by(&mut command)) {
        // It runs all the same: nothing but the death of this agent over it would make it run again.
        tracing::warn!(%error, program, "a command could not be noted");
    }
    match spawn(command) {
        Ok(child) => {
            note.inspect(|note| note.is_of(&child));
            followed(child, limit, given_up)
        }
        Err(error) => ExecState::Ended { code: 127, output: format!("{program}: {error}") },
    }
}

/// Waits for a command that leads a group of its own, and kills it when its time is over, or it is given up.
fn followed(mut child: Child, limit: Option<Duration>, given_up: &CancellationToken) -> ExecState {
    let output = output_of(&mut child);
    let until = limit.map(|limit| Instant::now() + limit);
    let may_run = || !given_up.is_cancelled() && until.is_none_or(|until| Instant::now() < until);
    let (mut text, mut pause) = (Vec::new(), Duration::from_millis(1));
    let ended = loop {
        let is_closed = take(&output, LOOK_EVERY, &mut text);
        match child.try_wait() {
            // It closed its output, and may take its time to end; mostly it is ending just now.
            Ok(None) if is_closed && may_run() => pause = nap(pause),
            Ok(None) if may_run() => {}
            Ok(None) => break end(&mut child).map(|()| None),
            other => break other,
        }
    };
    take(&output, REST, &mut text);
    let output = end_of(&String::from_utf8_lossy(&text));
    match ended {
        Ok(Some(ended)) => ExecState::Ended { code: status(ended), output },
        Ok(None) if given_up.is_cancelled() => ExecState::GivenUp { output },
        Ok(None) => ExecState::OutOfTime { seconds: limit.unwrap_or_default().as_secs(), output },
        Err(error) => ExecState::Ended { code: -1, output: format!("it could not be waited for: {error}") },
    }
}

/// Sleeps, and says for how long the next time.
fn nap(pause: Duration) -> Duration {
    thread::sleep(pause);
    (pause * 2).min(LOOK_EVERY)
}

/// Kills a command that runs, and its process group.
fn end(child: &mut Child) -> io::Result<()> {
    let group = i32::try_from(child.id()).unwrap_or_default();
    if group == 0 || killpg(Pid::from_raw(group), Signal::SIGKILL).is_err() {
        // It went to a group of somebody else.
        child.kill()?;
    }
    child.wait().map(drop)
}

/// What a command prints, on both its outputs, as it comes.
fn output_of(child: &mut Child) -> Receiver<Vec<u8>> {
    let (pieces, output) = sync_channel(WAITING);
    let said = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let complained = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    for mut pipe in said.into_iter().chain(complained) {
        let pieces = pieces.clone();
        thread::spawn(move || {
            let mut piece = [0; KEPT];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                if pieces.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    output
}

/// Gathers what comes within a time, as much as is kept of it; whether all of it has come.
fn take(output: &Receiver<Vec<u8>>, time: Duration, text: &mut Vec<u8>) -> bool {
    let until = Instant::now() + time;
    loop {
        match output.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(piece) => text.extend(piece),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
        text.drain(..text.len().saturating_sub(2 * KEPT));
        // What waits is given even when the time is over, and who prints without end always has some waiting.
        if Instant::now() >= until {
            return false;
        }
    }
}

/// The end of a text, as much as is kept of it.
fn end_of(text: &str) -> String {
    let from = text.len().saturating_sub(KEPT);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].to_string()
}

/// What becomes of a command for the inside of a node that does not run.
pub(crate) fn not_running() -> ExecState {
    ExecState::Ended { code: 126, output: "the node does not run at this point".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(line: &str, limit: Duration) -> ExecState {
        let words = ["sh".to_owned(), "-c".to_owned(), line.to_owned()];
        run(&words, Path::new("/"), limit, None, &CancellationToken::new())
    }

    fn ended(code: i64, output: &str) -> ExecState {
        ExecState::Ended { code, output: output.to_owned() }
    }

    #[test]
    fn a_command_says_how_it_ended_and_what_it_printed() {
        assert_eq!(shell("echo out; exit 3", LONG), ended(3, "out\n"));
        assert_eq!(shell("pwd; kill -9 $$", LONG), ended(137, "/\n"));
        assert_eq!(shell("echo bad >&2", LONG), ended(0, "bad\n"));
        assert_eq!(shell("exec >&- 2>&-; sleep 0.2", LONG), ended(0, ""));
        let ExecState::Ended { code: 0, output } = shell("seq 100000", LONG) else { panic!() };
        assert!(output.ends_with("99999\n100000\n") && output.len() <= KEPT, "{}", output.len());
        let none = run(&["/no/such".into()], Path::new("/"), LONG, None, &CancellationToken::new());
        assert!(matches!(none, ExecState::Ended { code: 127, .. }));
    }

    #[test]
    fn what_a_command_leaves_behind_does_not_hold_it_up() {
        let ExecState::Ended { code: 0, output } = shell("setsid sleep 1000 & echo $!", LONG) else { panic!() };
        nix::sys::signal::kill(Pid::from_raw(output.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_command_that_prints_without_end_has_no_more_time_than_others() {
        let state = shell("yes & yes >&2", Duration::from_secs(1));
        assert!(
            matches!(&state, ExecState::OutOfTime { seconds: 1, output } if output.contains("y\ny\n")),
            "{state:?}"
        );
    }

    #[test]
    fn a_command_that_is_given_up_is_killed_at_once() {
        let given_up = CancellationToken::new();
        let words = ["sh".to_owned(), "-c".to_owned(), "echo begun; sleep 1000".to_owned()];
        let follow = || run(&words, Path::new("/"), LONG * 2, None, &given_up);
        thread::scope(|scope| {
            let followed = scope.spawn(follow);
            thread::sleep(LOOK_EVERY);
            given_up.cancel();
            let begun = std::time::Instant::now();
            assert!(matches!(followed.join().unwrap(), ExecState::GivenUp { .. }));
            assert!(begun.elapsed() < LONG, "it took its whole time");
        });
    }

    #[test]
    fn a_command_whose_time_is_over_is_killed_with_what_it_started() {
        let marker = format!("{}.7", 1_000_000 + std::process::id());
        let state = shell(&format!("sleep {marker} & sleep {marker}"), Duration::from_secs(1));
        assert_eq!(state, ExecState::OutOfTime { seconds: 1, output: String::new() });
        let runs = || {
            std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|process| {
                let words = std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
                words.starts_with("sleep\0") && words.contains(&marker)
            })
        };
        let until = Instant::now() + LONG;
        while runs() {
            assert!(Instant::now() < until, "something of it runs on");
            thread::sleep(LOOK_EVERY);
        }
    }
}
