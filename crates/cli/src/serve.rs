//! `serve`: the controller with the host's agent inside. Puts the parts together and takes them
//! apart; what each does is its own.
//!
//! Stopping it, in whatever way, leaves every lab as it is.

mod access;
mod end_of_input;
mod exec_book;
mod exec_refusal;
mod terminal;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use archetype_agent::{Agent, AgentSettings, Clock, Envelope, Ledger};
use archetype_controller::{AgentPort, Controller, FileReader, FileReading, FileText, ReportEnvelope, Settings, Tools};
use archetype_host::datapath::DatapathSettings;
use archetype_host::processes::default_supervisor;
use archetype_host::{LinuxHost, LinuxSettings, Place, Waker};
use archetype_model::topology::{Position, Problem, Topology};
use archetype_ovsdb::Endpoint;
use archetype_plan::blueprint::PlanSettings;
use futures::StreamExt as _;
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{ENGINE, OVSDB, ServeArgs};
use access::Access;
use exec_book::ExecBook;

/// Where `host setup` puts the container runtime, which also supervises namespace nodes.
const INSTALLED_RUNTIME: &str = "/usr/local/libexec/archetype/archetype-oci";

/// Serves until it is told to stop.
pub fn run(args: ServeArgs) -> anyhow::Result<()> {
    // Before the runtime has its threads: all of them are to have their turn soon, on a host that is busy with its nodes.
    if let Err(error) = archetype_host::time_slice::be_short() {
        tracing::debug!(%error, "no short time slices");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let done = runtime.block_on(serve(args));
    // Tasks that wait for an engine must not hold up the end; they change nothing any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "it changes this host's network, for which it needs root's rights: run it as root"
    );
    // From the first moment: who asks it to end while it starts is obeyed as well.
    let stop = Stop::listen()?;
    raise_open_files();
    let plan = plan_settings(&args);
    let datapath = archetype_plan::diff::DatapathSettings {
        bridge: args.bridge.clone(),
        tags: args.tags,
        dead_tag: plan.dead_tag(),
    };
    let controller = Controller::open(Settings {
        data: args.data.clone(),
        socket: args.socket.clone(),
        listen: args.listen,
        reader: FileReader::new(read_file).preparing(archetype_certificates::are_wanted, certificates),
        plan,
        // An agent speaks at least at every full read.
        silent_after: args.full_read_interval * 2 + Duration::from_secs(15),
    })
    .await?;
    // Specs hold the nodes' environment: an existing folder is closed too.
    std::fs::set_permissions(&args.data, std::fs::Permissions::from_mode(0o700)).context("close the data directory")?;
    let place = Place::new(controller.identity().installation.clone());
    let ledger = Ledger::open(&args.data.join("agent"))?;
    let book = Arc::new(ExecBook::of(ledger.done()));
    let (waker, events) = Waker::channel();
    let host = LinuxHost::open(host_settings(&args, place, &book), &waker).context("open this host")?;
    let settings =
        AgentSettings { datapath, full_read_interval: args.full_read_interval, probe_interval: args.probe_interval };
    let (agent, handle, reports) = Agent::new(Arc::new(host.clone()), settings, ledger, Clock::system(), events);
    book.tell(handle.clone());
    let agent = tokio::spawn(agent.run());
    let reports = tokio_stream::wrappers::UnboundedReceiverStream::new(reports).map(envelope).boxed();
    let access = Arc::new(Access::new(handle, host, tools(&args)));
    let running = controller.start(AgentPort { host: args.host.clone(), reports, access }).await?;
    let listening = running.listening().map_or("nowhere".to_string(), |address| format!("http://{address}"));
    tracing::info!(socket = %args.socket.display(), http = listening, data = %args.data.display(), "serving");
    let ended = tokio::select! {
        () = stop.told() => Ok(()),
        ended = agent => match ended {
            Ok(()) => Err(anyhow::anyhow!("the agent has ended")),
            Err(error) => Err(anyhow::Error::new(error).context("the agent broke")),
        },
    };
    tracing::info!("stopping; labs stay as they are");
    running.stop().await;
    ended
}

/// Reads a file that a user sent, by containerlab's rules.
fn read_file(file: FileText<'_>) -> FileReading {
    let reading = archetype_topology::read_with(file.shown, file.directory, file.text, file.env, file.variables);
    FileReading { topology: reading.topology, stated: reading.stated, problems: reading.problems, notes: reading.notes }
}

/// Makes what is missing of a lab's certificates.
fn certificates(topology: &Topology) -> Vec<Problem> {
    let Err(refused) = archetype_certificates::keep(topology, OffsetDateTime::now_utc()) else { return Vec::new() };
    let keys = ["settings.certificate-authority", "topology.defaults.certificate"];
    let at = keys.iter().find_map(|key| topology.positions.get(*key)).copied().unwrap_or(Position::START);
    vec![Problem::new("certificate-refused", &topology.source.shown, at, refused.to_string())]
}

fn plan_settings(args: &ServeArgs) -> PlanSettings {
    PlanSettings {
        tags: args.tags,
        reserved_tags: args.reserve_tags.clone(),
        mgmt_network: args.mgmt_network.clone(),
        mgmt_ipv4: args.mgmt_ipv4,
        mgmt_ipv6: args.mgmt_ipv6,
    }
}

fn host_settings(args: &ServeArgs, place: Place, book: &Arc<ExecBook>) -> LinuxSettings {
    let (keep, know) = (book.clone(), book.clone());
    LinuxSettings {
        place,
        datapath: DatapathSettings {
            endpoint: args.ovsdb.clone(),
            bridge: args.bridge.clone(),
            kind: None,
            rundir: switch_rundir(&args.ovsdb),
        },
        docker_socket: args.docker.clone(),
        docker_runtime: args.docker_runtime.clone(),
        keep_exec: Arc::new(move |made| keep.keep(made)),
        known_exec: Arc::new(move |container, start, index| know.known(container, start, index)),
        hosts_path: args.hosts_file.clone(),
        supervisor: default_supervisor(Path::new(INSTALLED_RUNTIME)),
        host_commands: args.host_commands,
    }
}

/// Where programs have to be told to look: elsewhere than where they do by themselves.
fn tools(args: &ServeArgs) -> Tools {
    let database = args.ovsdb.to_string();
    let is_usual = database == OVSDB;
    let docker = args.docker.as_ref().map(|socket| format!("unix://{}", socket.display()));
    Tools {
        switch: switch_rundir(&args.ovsdb).filter(|_| !is_usual),
        ovsdb: Some(database).filter(|_| !is_usual),
        docker: docker.filter(|engine| engine != ENGINE),
    }
}

/// Daemons of one Open vSwitch keep their sockets and pid files in one folder.
fn switch_rundir(endpoint: &Endpoint) -> Option<PathBuf> {
    match endpoint {
        Endpoint::Unix(path) => path.parent().map(Path::to_path_buf),
        Endpoint::Tcp(..) => None,
    }
}

fn envelope(told: Envelope) -> ReportEnvelope {
    ReportEnvelope { report: told.report, verified_at_ms: told.verified_at_ms, repairs: told.repairs }
}

/// The wish of a person or of the machine that we end.
struct Stop {
    term: Signal,
    interrupt: Signal,
    /// The terminal in which it was started has gone; none where that is to be of no matter (`nohup`).
    hang_up: Option<Signal>,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("listen for signals");
        let hang_up = if is_ignored(libc::SIGHUP) { None } else { Some(on(SignalKind::hangup())?) };
        Ok(Self { term: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())?, hang_up })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
            Some(_) = async { self.hang_up.as_mut()?.recv().await } => {}
        }
    }
}

/// Whether whoever started this process has it take no notice of a signal.
fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all-zero is a valid sigaction; the call only writes into it.
    let (asked, disposition) = unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(signal, std::ptr::null(), &raw mut now), now.sa_sigaction)
    };
    asked == 0 && disposition == libc::SIG_IGN
}

/// A namespace costs two descriptors; the usual limit of 1024 ends at some 400 nodes.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err()
    {
        tracing::warn!("the limit of open files could not be raised");
    }
}
