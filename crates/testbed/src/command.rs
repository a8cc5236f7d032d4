//! Running programs and waiting for facts, with the panics of a test. Knows no daemon and no namespace.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How many times as long as usual things may take here: a number from 1 on, for machines that are emulated.
const SLOWNESS: &str = "ARCHETYPE_TEST_SLOWNESS";

/// A time within which something is to happen, made as much longer as this machine is slower than an ordinary one
/// (`ARCHETYPE_TEST_SLOWNESS`). [`eventually`] and sandboxes do so by themselves.
pub fn slowly(time: Duration) -> Duration {
    let told = std::env::var(SLOWNESS).ok().and_then(|text| text.parse::<f64>().ok());
    time.mul_f64(told.unwrap_or(1.0).clamp(1.0, 1000.0))
}

/// Whether this machine is told to be slower than an ordinary one.
pub fn is_slowed() -> bool {
    slowly(Duration::from_secs(1)) > Duration::from_secs(1)
}

/// Whether a process still runs, by its entry in `/proc`: there is one, and not that of a zombie.
pub fn process_runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Runs `program` to its end and answers what it printed on stdout.
///
/// # Panics
/// When the program is missing or its exit status is not 0, with its whole output.
#[track_caller]
pub fn run<I, S>(program: &str, args: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(args);
    run_command(&mut command)
}

/// Runs a prepared command to its end and answers what it printed on stdout.
///
/// # Panics
/// When the program is missing or its exit status is not 0, with its whole output.
#[track_caller]
pub fn run_command(command: &mut Command) -> String {
    let output = output_of(command);
    assert!(output.status.success(), "{}", told(command, &output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `program` to its end and answers stdout where it succeeded, stdout and stderr together where it did not.
///
/// # Errors
/// Everything the program printed, when its exit status is not 0.
///
/// # Panics
/// When the program cannot be started at all.
#[track_caller]
pub fn attempt<I, S>(program: &str, args: I) -> Result<String, String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(args);
    attempt_command(&mut command)
}

/// [`attempt`] for a prepared command.
///
/// # Errors
/// Everything the program printed, when its exit status is not 0.
///
/// # Panics
/// When the program cannot be started at all.
#[track_caller]
pub fn attempt_command(command: &mut Command) -> Result<String, String> {
    let output = output_of(command);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(stdout) } else { Err(stdout + &String::from_utf8_lossy(&output.stderr)) }
}

/// Asks `fact` again and again until it answers, and panics with `what` when `limit` is over.
///
/// The first wait is a millisecond, later ones grow to 50 ms: quick facts cost nothing, slow ones no processor. Both
/// are meant for an ordinary machine ([`slowly`]).
///
/// # Panics
/// When the limit is over.
#[track_caller]
pub fn eventually<T>(limit: Duration, what: &str, mut fact: impl FnMut() -> Option<T>) -> T {
    let (start, limit, longest) = (Instant::now(), slowly(limit), slowly(Duration::from_millis(50)));
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = fact() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

#[track_caller]
fn output_of(command: &mut Command) -> Output {
    command.stdin(Stdio::null());
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot start {command:?}: {error} (is its package installed? `make setup` does that)"),
    }
}

fn told(command: &Command, output: &Output) -> String {
    format!(
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
