//! The sandbox: the current test, run again as a child in namespaces that take everything with them.
//!
//! Four processes take part. The *owner* is the ordinary test. It starts a *keeper*, which owns the namespaces and dies
//! with the owner; the keeper's child is the sandbox's PID 1, which only reaps; and PID 1's child is the test binary
//! again, told to run this one test, whose body runs there. Beside them a *janitor* outlives all of these and removes
//! what namespaces cannot take along: the scratch folder and control groups. Knows nothing of the daemons inside.

mod init;
mod janitor;

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::command::slowly;
use janitor::Janitor;

/// Names the scratch folder to the child; its presence says "inside".
const MARKER: &str = "ARCHETYPE_SANDBOX";
/// Overrides every time limit, in seconds (for slow machines and debuggers).
const LIMIT: &str = "ARCHETYPE_SANDBOX_LIMIT";
/// Written when the body came to its end: tells a test that ran from a name that matched no test.
const COMPLETED: &str = ".completed";

/// Runs `body` on a host of its own; see the [crate documentation](crate).
///
/// # Panics
/// When the process is not root, when the body panics, and after 120 s.
#[track_caller]
pub fn sandbox<F: FnOnce()>(body: F) {
    Sandbox::new().run(body);
}

/// Says whether this process runs inside a sandbox.
pub fn in_sandbox() -> bool {
    std::env::var_os(MARKER).is_some()
}

/// The sandbox's folder on disk. It disappears with the sandbox.
///
/// # Panics
/// Outside of a sandbox.
pub fn scratch() -> PathBuf {
    PathBuf::from(std::env::var_os(MARKER).expect("scratch() is only there inside a sandbox"))
}

/// A folder of that name in the sandbox's folder, made if it is not there.
///
/// # Panics
/// Outside of a sandbox, and when it cannot be made.
pub fn scratch_dir(name: &str) -> PathBuf {
    let path = scratch().join(name);
    std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    path
}

/// A name that no other sandbox uses at the same time, fit for control groups.
///
/// # Panics
/// Outside of a sandbox.
pub fn identity() -> String {
    name_of(&scratch())
}

/// A sandbox with settings of its own.
#[derive(Debug, Clone)]
pub struct Sandbox {
    limit: Duration,
    name: Option<String>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// The usual settings: 120 s.
    pub fn new() -> Self {
        Self { limit: Duration::from_secs(120), name: None }
    }

    /// Ends the sandbox with a panic of the test after `limit`, more on slow machines ([`slowly`];
    /// `ARCHETYPE_SANDBOX_LIMIT`, in seconds, wins).
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Names the test to run again (`module::test`), where it cannot be told from the thread or from the closure: a
    /// closure made in a function other than the test, under `--test-threads 1`.
    pub fn test_name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Runs `body` in the sandbox, as part of a `#[test]`.
    ///
    /// # Panics
    /// When the process is not root, when the body panics, and when the limit is over.
    #[track_caller]
    pub fn run<F: FnOnce()>(self, body: F) {
        if in_sandbox() {
            return complete(body);
        }
        let name = self.name.clone().unwrap_or_else(test_name::<F>);
        let mut command = this_program();
        command.args(["--exact", &name, "--nocapture", "--include-ignored", "--test-threads", "1"]);
        command.stdin(Stdio::null());
        self.own(command, &name);
    }

    /// Runs `body` in the sandbox, as the whole work of a program that is no test: it is started again with its own
    /// arguments, and its output is passed on. Whatever happens before this call happens in both processes.
    ///
    /// # Panics
    /// When the process is not root, when the body panics, and when the limit is over.
    #[track_caller]
    pub fn run_program<F: FnOnce()>(self, body: F) {
        if in_sandbox() {
            return complete(body);
        }
        let mut command = this_program();
        command.args(std::env::args_os().skip(1));
        self.own(command, "this program");
    }

    /// The owner's part: start, pass the output on, keep the time, clean up, judge.
    #[track_caller]
    fn own(&self, mut command: Command, name: &str) {
        assert!(nix::unistd::geteuid().is_root(), "{name} makes namespaces and devices: run the tests as root");
        let scratch = make_scratch();
        let janitor = Janitor::hire(&scratch);
        command.env(MARKER, &scratch).env("TMPDIR", scratch.join("tmp"));
        let ending = watch(&mut command, self.time());
        let completed = scratch.join(COMPLETED).exists();
        let mess = janitor.dismiss();
        match ending {
            None => panic!("{name} was ended after its limit of {:?} ({LIMIT} sets another)", self.time()),
            Some(status) if !status.success() => panic!("{name} failed in its sandbox: {}", in_words(status)),
            Some(_) => assert!(completed, "{name}: no test of that name ran in the sandbox; give it by test_name()"),
        }
        assert!(mess.is_empty(), "{name} left behind what could not be removed: {mess}");
    }

    fn time(&self) -> Duration {
        let set = std::env::var(LIMIT).ok().and_then(|text| text.parse().ok());
        set.map_or(slowly(self.limit), Duration::from_secs)
    }
}

/// The body's part, inside.
fn complete<F: FnOnce()>(body: F) {
    body();
    let mark = scratch().join(COMPLETED);
    std::fs::write(&mark, "").unwrap_or_else(|error| panic!("cannot write {}: {error}", mark.display()));
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("a running program has a path"))
}

/// The path of the test that calls: libtest names its threads so, except when it runs tests on its main thread; then
/// the closure's type tells in which function it was written.
fn test_name<F>() -> String {
    let thread = std::thread::current();
    match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => function_path(std::any::type_name::<F>()),
    }
}

/// `crate::module::test::{{closure}}` without the crate and the closures.
fn function_path(type_name: &str) -> String {
    let path = type_name.replace("::{{closure}}", "");
    path.split_once("::").map_or(path.clone(), |(_, rest)| rest.to_owned())
}

/// On disk rather than in memory (`/tmp` is memory on newer systems), and short: sockets lie in there.
fn make_scratch() -> PathBuf {
    let base = std::env::var_os("ARCHETYPE_SANDBOX_BASE").map_or(PathBuf::from("/var/tmp"), PathBuf::from);
    let made = tempfile::Builder::new().prefix("archetype-test-").tempdir_in(&base);
    let path = made.unwrap_or_else(|error| panic!("cannot make a folder in {}: {error}", base.display())).keep();
    std::fs::create_dir(path.join("tmp")).expect("an empty folder takes a new one");
    path
}

fn name_of(scratch: &Path) -> String {
    scratch.file_name().expect("a scratch folder has a name").to_string_lossy().into_owned()
}

/// Runs the command inside fresh namespaces until all of them are empty; `None` when the limit came first.
fn watch(command: &mut Command, limit: Duration) -> Option<ExitStatus> {
    let (mut output, inner) = std::io::pipe().expect("a pipe can be made");
    let errors = inner.try_clone().expect("a pipe's end can be doubled");
    command.stdout(inner).stderr(errors);
    let owner = nix::unistd::getpid();
    // SAFETY: between fork and exec `enter` makes system calls only; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || init::enter(owner.as_raw())) };
    let mut keeper = command.spawn().unwrap_or_else(|error| panic!("cannot start a sandbox: {error}"));
    // Close our copies of the pipe's writing end: its end of file is the news that nobody inside lives any more.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let in_time = pass_on(&mut output, Instant::now() + limit);
    if !in_time {
        end(&mut keeper);
        pass_on(&mut output, Instant::now() + Duration::from_secs(10));
    }
    let status = keeper.wait().expect("our own child can be waited for");
    in_time.then_some(status)
}

/// Copies output to ours (through `print!`, so that the test harness keeps it) until its end; false at the deadline.
fn pass_on(output: &mut std::io::PipeReader, deadline: Instant) -> bool {
    let mut buffer = [0u8; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let timeout = PollTimeout::try_from(left.min(Duration::from_secs(1))).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], timeout);
        if !matches!(ready, Ok(1)) {
            continue;
        }
        match output.read(&mut buffer) {
            Ok(0) | Err(_) => return true,
            Ok(count) => print!("{}", String::from_utf8_lossy(&buffer[..count])),
        }
    }
}

/// Killing the keeper kills PID 1, and the kernel then kills everybody inside.
fn end(keeper: &mut Child) {
    keeper.kill().expect("our own child can be killed");
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(101), _) => "a panic, told above".to_owned(),
        (Some(init::BROKEN), _) => "its namespaces could not be made, told above".to_owned(),
        (Some(code), _) => format!("exit status {code} (above 128: killed by that signal)"),
        (None, signal) => format!("killed by signal {signal:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_the_function_its_closure_stands_in() {
        let closure = || ();
        fn named<F>(_: &F) -> String {
            function_path(std::any::type_name::<F>())
        }
        assert_eq!(named(&closure), "sandbox::tests::a_test_is_found_by_the_function_its_closure_stands_in");
    }
}
