//! Starting, stopping and running things in a namespace node. Synchronous.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use archetype_model::ContainerName;
use archetype_model::facts::NamespaceFacts;
use archetype_model::observed::Mark;
use archetype_model::report::ExecState;
use archetype_model::spec::{NamespaceBody, NodeBody, NodeSpec};
use archetype_netns::{Lock, Namespace, cold_boot, folder, quiesce};

use super::state::{self, Started};
use crate::place::Place;

/// How long a command has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How much of a command's output is kept.
const KEPT: usize = 4096;

/// What a command that was run inside a node left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status; 128 plus the signal when one ended it.
    pub code: i64,
    /// What it printed, both streams, one after the other.
    pub text: String,
}

/// Starts a node from cold.
pub(super) fn start(
    place: &Place,
    supervisor: &Path,
    mark: &Mark,
    node: &NodeSpec,
    body: &NamespaceBody,
) -> io::Result<()> {
    let folder = place.run_folder(&node.container);
    fs::create_dir_all(&folder)?;
    for stale in ["pid.json", "exit.json"] {
        drop(fs::remove_file(folder.join(stale)));
    }
    match &body.cmd {
        None => boot(place, &node.container)?,
        Some(command) => supervise(place, supervisor, node, body, command)?,
    }
    let started = Started {
        mark: mark.clone(),
        made_from: node.body_digest(),
        start: start_id(),
        supervised: body.cmd.is_some(),
        stopped: false,
    };
    state::write(place, &node.container, &started)
}

/// Cold boots a node's namespace, under the lock of its facts.
fn boot(place: &Place, container: &ContainerName) -> io::Result<()> {
    let path = place.facts_file(container);
    let lock = Lock::take(&path, folder::LOCK_PATIENCE).map_err(io::Error::other)?;
    let facts = folder::read(&path).map_err(io::Error::other)?;
    let facts = facts.ok_or_else(|| io::Error::other(format!("{container} has no facts")))?;
    cold_boot(&facts, &NamespaceFacts::recorded_path(&path)).map_err(io::Error::other)?;
    drop(lock);
    Ok(())
}

/// Starts the supervisor and waits until the command runs or has failed.
fn supervise(
    place: &Place,
    supervisor: &Path,
    node: &NodeSpec,
    body: &NamespaceBody,
    command: &[String],
) -> io::Result<()> {
    let state = place.run_folder(&node.container);
    let mut shim = Command::new(supervisor);
    shim.arg("supervise").arg("--facts").arg(place.facts_file(&node.container)).arg("--state").arg(&state);
    shim.arg("--log-file").arg(state.join("output.log")).arg("--hostname").arg(node.name.as_str());
    for bind in &body.binds {
        shim.arg("--bind").arg(format!("{}:{}", bind.source.display(), bind.target.display()));
    }
    shim.arg("--").args(command).envs(&body.env).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = shim.spawn()?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if state.join("pid.json").exists() || state.join("exit.json").exists() {
            // The supervisor detaches; whoever waits for its first process is a thread of ours.
            std::thread::spawn(move || drop(child.wait()));
            return Ok(());
        }
        if let Some(status) = child.try_wait()?
            && !status.success()
        {
            let mut words = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                drop(io::Read::read_to_string(&mut stderr, &mut words));
            }
            return Err(io::Error::other(words.trim().to_string()));
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its supervisor did not start it within 10 s"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Stops a node: its command, then everything on its wire.
pub(super) fn stop(place: &Place, container: &ContainerName) -> io::Result<()> {
    let Some(mut started) = state::started(place, container) else { return Ok(()) };
    if let Some(running) = state::running(&place.run_folder(container)) {
        end(&running)?;
    }
    let path = place.facts_file(container);
    if let Some(facts) = folder::read(&path).map_err(io::Error::other)?
        && Namespace::open_node(&facts.namespace).is_ok()
    {
        let _lock = Lock::take(&path, folder::LOCK_PATIENCE).map_err(io::Error::other)?;
        quiesce(&facts, &NamespaceFacts::recorded_path(&path)).map_err(io::Error::other)?;
    }
    started.stopped = true;
    state::write(place, container, &started)
}

/// Ends a command through its supervisor, which passes the signal on; kills it when it does not go.
fn end(running: &state::Running) -> io::Result<()> {
    use nix::sys::signal::{Signal, kill};
    let pid = |number: u32| i32::try_from(number).map(nix::unistd::Pid::from_raw).map_err(io::Error::other);
    let is_running = || crate::datapath::start_ticks(running.pid) == Some(running.start_time);
    // One that is gone has nothing to pass on; the command is looked at next.
    let _ = kill(pid(running.supervisor)?, Signal::SIGTERM);
    let until = Instant::now() + GRACE;
    while is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    if is_running() {
        kill(pid(running.pid)?, Signal::SIGKILL)?;
    }
    Ok(())
}

/// Runs one command of a node's exec list.
pub(super) fn exec(place: &Place, node: &NodeSpec, command: &[String]) -> ExecState {
    let env = match &node.body {
        NodeBody::Namespace(body) => body.env.clone(),
        NodeBody::Container(_) => Default::default(),
    };
    let vars = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    match run_inside(place, &node.container, command, vars) {
        Ok(Output { code, text }) => {
            let from = text.len().saturating_sub(KEPT);
            let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            ExecState::Ended { code, output: text[from..].to_string() }
        }
        Err(error) => ExecState::Ended { code: 127, output: error.to_string() },
    }
}

/// Runs a command inside a node's namespaces and waits for it.
///
/// # Errors
/// When the node has no namespace, or the program cannot be started.
pub fn run_inside<'a>(
    place: &Place,
    container: &ContainerName,
    command: &[String],
    env: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> io::Result<Output> {
    let mut command = inside(place, container, command)?;
    let output = command.envs(env).stdin(Stdio::null()).output()?;
    let code = output.status.code().map_or_else(
        || 128 + i64::from(std::os::unix::process::ExitStatusExt::signal(&output.status).unwrap_or(0)),
        i64::from,
    );
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Output { code, text })
}

/// A command that will run inside a node's namespaces: of its process if it has one, else its
/// network namespace alone.
pub(crate) fn inside(place: &Place, container: &ContainerName, words: &[String]) -> io::Result<Command> {
    let (program, args) = words.split_first().ok_or_else(|| io::Error::other("no command"))?;
    let mut spaces = vec![fs::File::open(place.pin(container))?];
    if let Some(running) = state::running(&place.run_folder(container)) {
        for space in ["mnt", "uts", "pid"] {
            spaces.push(fs::File::open(format!("/proc/{}/ns/{space}", running.pid))?);
        }
    }
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: setns is async-signal-safe, and the descriptors live as long as the command.
    unsafe {
        command.pre_exec(move || {
            for space in &spaces {
                nix::sched::setns(space, nix::sched::CloneFlags::empty())?;
            }
            Ok(())
        });
    }
    Ok(command)
}

/// A name that no other start has: the time, to the nanosecond.
fn start_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", now.as_nanos())
}
