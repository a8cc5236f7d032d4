//! Starting, stopping and running things in a namespace node. Synchronous.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use archetype_model::ContainerName;
use archetype_model::observed::Mark;
use archetype_model::report::ExecState;
use archetype_model::spec::{NamespaceBody, NodeBody, NodeSpec};
use archetype_netns::enter::{Credentials, Entry, ordinary_start, take_terminal};
use archetype_netns::supervised::{Process, Started as Running};
use archetype_netns::{Lock, Namespace, cold_boot, folder, mounts, quiesce};
use tokio_util::sync::CancellationToken;

use super::state::{self, Started};
use crate::begun::Note;
use crate::command::once;
use crate::place::Place;

/// How long a command has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

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
    // One of a start that was never noted: an agent died over it, and it would go on beside the new one.
    end_command(place, &node.container)?;
    for stale in ["pid.json", "exit.json"] {
        // One that is not there is as stale as one that was removed.
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
        checked: body.healthcheck.as_ref().map(|_| Box::new(node.clone())),
    };
    state::write(place, &node.container, &started)
}

/// Where the node sees anything else than the host does: its hosts file, its resolvers, its binds.
/// Every command in it gets a mount namespace with these.
fn binds(place: &Place, node: &NodeSpec) -> Vec<mounts::Bind> {
    let own = |source: std::path::PathBuf, target: &str| {
        let there = source.exists() && Path::new(target).exists();
        there.then(|| mounts::Bind { source, target: target.into(), read_only: false })
    };
    let hosts = own(place.hosts_file(&node.container), "/etc/hosts");
    let resolver = own(place.resolver_file(&node.container), "/etc/resolv.conf");
    let stated: &[_] = match &node.body {
        NodeBody::Namespace(body) => &body.binds,
        NodeBody::Container(_) => &[],
    };
    let stated = stated.iter().map(|bind| mounts::Bind {
        source: bind.source.clone(),
        target: bind.target.clone(),
        read_only: bind.read_only(),
    });
    hosts.into_iter().chain(resolver).chain(stated).collect()
}

/// Cold boots a node's namespace, under the lock of its facts.
fn boot(place: &Place, container: &ContainerName) -> io::Result<()> {
    let path = place.facts_file(container);
    let lock = Lock::take(&path, folder::LOCK_PATIENCE).map_err(io::Error::other)?;
    let facts = folder::read(&path).map_err(io::Error::other)?;
    let facts = facts.ok_or_else(|| io::Error::other(format!("{container} has no facts")))?;
    cold_boot(&facts).map_err(io::Error::other)?;
    drop(lock);
    Ok(())
}

/// Starts the command behind a supervisor of its own, which answers when it runs.
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
    shim.arg("--log-file").arg(place.output_file(&node.container)).arg("--hostname").arg(node.name.as_str());
    for bind in binds(place, node) {
        let options = if bind.read_only { ":ro" } else { "" };
        shim.arg("--bind").arg(format!("{}:{}{options}", bind.source.display(), bind.target.display()));
    }
    shim.arg("--").args(command).envs(&body.env).stdin(Stdio::null()).stdout(Stdio::null());
    let output = shim.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("archetype: ").to_string()))
}

/// Stops a node: its command, then everything on its wire.
pub(super) fn stop(place: &Place, container: &ContainerName) -> io::Result<()> {
    let Some(mut started) = state::started(place, container) else { return Ok(()) };
    end_command(place, container)?;
    let path = place.facts_file(container);
    if let Some(facts) = folder::read(&path).map_err(io::Error::other)?
        && Namespace::open_node(&facts.namespace).is_ok()
    {
        let _lock = Lock::take(&path, folder::LOCK_PATIENCE).map_err(io::Error::other)?;
        quiesce(&facts).map_err(io::Error::other)?;
    }
    started.stopped = true;
    state::write(place, container, &started)
}

/// Ends a node's command, if it has one that runs.
pub(super) fn end_command(place: &Place, container: &ContainerName) -> io::Result<()> {
    state::running(&place.run_folder(container)).map_or(Ok(()), |running| end(&running))
}

/// Ends a command through its supervisor, which passes the signal on; kills it when it does not go.
fn end(running: &Running) -> io::Result<()> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    // One that is gone has nothing to pass on; the command is looked at next.
    let _ = kill(Pid::from_raw(running.supervisor), Signal::SIGTERM);
    // One that was stopped passes nothing on.
    let _ = kill(Pid::from_raw(running.supervisor), Signal::SIGCONT);
    let until = Instant::now() + GRACE;
    while running.process.is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    if running.process.is_running() {
        kill(Pid::from_raw(running.process.pid), Signal::SIGKILL)?;
    }
    // It writes into the run folder at its end, which may be removed next.
    let supervisor = Process { pid: running.supervisor, start_time: running.supervisor_start_time };
    let until = Instant::now() + GRACE;
    while supervisor.is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Runs one command of a node's exec list and waits for it, until it is given up; `note` is that it has begun.
pub(super) fn exec(
    place: &Place,
    node: &NodeSpec,
    words: &[String],
    note: &Note,
    given_up: &CancellationToken,
) -> ExecState {
    let failed = |why: String| ExecState::Ended { code: 127, output: why };
    let Some((program, rest)) = words.split_first() else { return failed("no command".into()) };
    let env = match &node.body {
        NodeBody::Namespace(body) => body.env.clone(),
        NodeBody::Container(_) => Default::default(),
    };
    let mut command = Command::new(program);
    command.args(rest).envs(&env).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    once(Some(note), command, None, given_up, |command| spawn_inside(place, node, command, Inside::default()))
}

/// An exit status as shells tell it: 128 and the signal's number when one ended the command.
pub fn status(status: std::process::ExitStatus) -> i64 {
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
    status.code().map_or_else(|| 128 + i64::from(signal), i64::from)
}

/// How a command runs inside a node.
#[derive(Debug, Clone, Default)]
pub struct Inside {
    /// Whether its standard input, a terminal, becomes the one that controls it.
    pub terminal: bool,
    /// Whom it runs as; root when absent.
    pub user: Option<Credentials>,
}

/// Starts a command inside a node, in the folder `/`: in all namespaces of its process if it has
/// one, else in its network namespace and a mount namespace with its binds.
///
/// # Errors
/// The system's own when the program cannot be started, so that one that is not there can be told;
/// of the kind `Other` when the node has no namespace.
pub fn spawn_inside(place: &Place, node: &NodeSpec, mut command: Command, how: Inside) -> io::Result<Child> {
    if let Some(running) = state::running(&place.run_folder(&node.container)) {
        let entry = Entry::of_process(running.process.pid).map_err(io::Error::other)?;
        return entry.spawn(command, Path::new("/"), how.terminal, how.user);
    }
    let namespace = Namespace::open_node(place.pin(&node.container)).map_err(io::Error::other)?;
    let binds = binds(place, node);
    command.current_dir("/");
    // SAFETY: it makes plain system calls only.
    unsafe { command.pre_exec(ordinary_start) };
    if how.terminal {
        // SAFETY: the closure makes plain system calls only.
        unsafe { command.pre_exec(take_terminal) };
    }
    if let Some(user) = how.user {
        // SAFETY: as above, on numbers that live until the command has been started.
        unsafe { command.pre_exec(move || user.take_on()) };
    }
    // A thread takes the namespaces on, the command inherits them, and the thread ends.
    let without = [place.root().join("netns"), "/run/netns".into()];
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            namespace.enter().map_err(io::Error::other)?;
            if !binds.is_empty() {
                mounts::enter_new(&binds, &without).map_err(io::Error::other)?;
            }
            command.spawn()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A name that no other start has: the time, to the nanosecond.
fn start_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", now.as_nanos())
}
