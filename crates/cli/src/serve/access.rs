//! The controller's way to the agent of its own host: a channel instead of a wire.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use archetype_agent::Handle;
use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish};
use archetype_api::problem::Problem;
use archetype_controller::{Addresses, AgentAccess, Attached, MetByWires, Output, Tools};
use archetype_host::containers::{self, Containers, EngineError, ExecControl, ExecRequest, ExecSession, Pieces};
use archetype_host::{LinuxHost, Others};
use archetype_model::spec::{HostSpec, NodeBody, NodeSpec};
use archetype_model::{ContainerName, LabName};
use archetype_plan::blueprint::{HeldNetwork, HostFacts, Listener, NoContainers};
use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::end_of_input::TerminalInput;
use super::exec_refusal::Refusal;
use super::terminal;

/// Pieces on their way between a command and its client.
const PIECES: usize = 64;

/// The way to this host's agent and rooms.
pub(super) struct Access {
    agent: Handle,
    host: LinuxHost,
    tools: Tools,
}

impl Access {
    pub(super) fn new(agent: Handle, host: LinuxHost, tools: Tools) -> Self {
        Self { agent, host, tools }
    }

    fn engine(&self) -> Result<&Containers, Box<Problem>> {
        let hint = "name its socket with `--docker` of `archetype serve`";
        let missing = || Box::new(problem("engine-missing", "this host has no Docker Engine").hint(hint));
        self.host.containers().ok_or_else(missing)
    }

    fn met(&self, devices: BTreeSet<String>, bridges: BTreeSet<String>) -> MetByWires {
        let tags = self.host.datapath().tags_of_others(self.host.place().installation());
        MetByWires { devices, bridges, tags: tags.held, hear_all: tags.hear_all, sharing: tags.installations }
    }

    async fn no_containers(&self) -> Option<NoContainers> {
        match self.host.containers() {
            None => Some(NoContainers::NoEngine),
            Some(engine) => engine.missing_runtime().await.map(|name| NoContainers::NoRuntime { name }),
        }
    }
}

#[async_trait]
impl AgentAccess for Access {
    async fn accept(&self, spec: Arc<HostSpec>) -> Result<(), String> {
        self.agent.accept(spec).await.map_err(|refusal| refusal.to_string())
    }

    async fn verify(&self, lab: Option<LabName>) -> Result<(), String> {
        if self.agent.verify(lab).await { Ok(()) } else { Err("it has ended".into()) }
    }

    fn acknowledge(&self, number: u64) {
        self.agent.acknowledge(number);
    }

    async fn facts(&self) -> Result<HostFacts, String> {
        let Others { survey, devices, bridges, namespaces } =
            self.host.others().await.map_err(|error| error.to_string())?;
        // Of an engine that cannot be read no name is known; it shows when the node is to be made.
        let containers = match self.host.containers().filter(|engine| engine.engine().known().is_some()) {
            Some(engine) => engine.names_of_others().await.unwrap_or_default(),
            None => Default::default(),
        };
        let network = |held: archetype_host::networks::HeldNetwork| HeldNetwork {
            name: held.name,
            subnets: held.subnets,
            holder: held.holder,
        };
        let port = |held: archetype_host::networks::HeldPort| Listener {
            address: held.address,
            port: held.port,
            protocol: held.protocol,
            holder: held.holder,
        };
        let others = HostFacts {
            held: survey.networks.into_iter().map(network).collect(),
            visited: survey.visited,
            listeners: survey.listeners.into_iter().map(port).collect(),
            containers,
            namespaces,
            refuses_commands: !self.host.host_commands().allowed,
            no_containers: self.no_containers().await,
            ..HostFacts::default()
        };
        Ok(self.met(devices, bridges).with(others))
    }

    async fn met_by_wires(&self) -> MetByWires {
        let (devices, bridges) = self.host.devices_of_others().await;
        self.met(devices, bridges)
    }

    async fn addresses(&self, node: &NodeSpec) -> Result<Addresses, String> {
        self.host.addresses_inside(&node.container).await.map_err(|error| error.to_string())
    }

    async fn replaced_binds(&self, nodes: &[&NodeSpec]) -> BTreeMap<ContainerName, Vec<PathBuf>> {
        let binds = |node: &NodeSpec| match &node.body {
            NodeBody::Namespace(body) => body.binds.clone(),
            NodeBody::Container(body) => body.binds.clone(),
        };
        let nodes = nodes.iter().map(|node| (node.container.clone(), binds(node)));
        self.host.replaced_binds(nodes.collect()).await
    }

    async fn exec(&self, node: &NodeSpec, start: ExecStart) -> Result<Attached, Box<Problem>> {
        match &node.body {
            NodeBody::Namespace(body) => terminal::run(self.host.place(), node, &body.env, start),
            NodeBody::Container(_) => {
                let terminal = start.tty.then(TerminalInput::default);
                let request = ExecRequest {
                    command: start.argv,
                    tty: start.tty,
                    stdin: start.stdin,
                    env: start.env.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
                    user: start.user,
                    size: start.size.map(|size| (size.rows, size.columns)),
                };
                match self.engine()?.exec(&node.container, request).await {
                    Ok(session) => Ok(attach(session, terminal)),
                    Err(EngineError::Refused { status: 409, message }) if message.ends_with("is not running") => {
                        Err(not_running(node))
                    }
                    Err(error) => Err(of_engine("exec-failed", &error)),
                }
            }
        }
    }

    fn tools(&self) -> Tools {
        self.tools.clone()
    }

    async fn logs(&self, node: &NodeSpec, follow: bool, tail: Option<u32>) -> Result<Output, Box<Problem>> {
        match &node.body {
            NodeBody::Namespace(_) => Ok(terminal::log(self.host.place().output_file(&node.container), follow, tail)),
            NodeBody::Container(_) => {
                let pieces = self.engine()?.logs(&node.container, follow, tail.map(u64::from));
                let pieces = pieces.map_err(|error| of_engine("logs-failed", &error))?;
                let bytes = |piece: Result<containers::Output, _>| match piece {
                    Ok(containers::Output::Out(bytes) | containers::Output::Error(bytes)) => Ok(bytes),
                    Err(error) => Err(std::io::Error::other(format!("{error}"))),
                };
                Ok(pieces.map(bytes).boxed())
            }
        }
    }
}

/// A problem of this host with a request.
pub(super) fn problem(code: &str, detail: &str) -> Box<Problem> {
    Box::new(Problem::new(409, code, detail))
}

/// A node in which nothing can be run now.
pub(super) fn not_running(node: &NodeSpec) -> Box<Problem> {
    let hint =
        format!("`archetype inspect` says why, `archetype node LAB {} start` starts one that was stopped", node.name);
    Box::new(problem("exec-failed", &format!("node {} does not run", node.name)).hint(hint))
}

/// What the engine has against a request.
fn of_engine(code: &str, error: &EngineError) -> Box<Problem> {
    Box::new(problem(code, &error.to_string()).hint(error.hint()))
}

/// Joins a command of the engine to its client.
fn attach(session: ExecSession, terminal: Option<TerminalInput>) -> Attached {
    let (input, wishes) = mpsc::channel(PIECES);
    let (answers, output) = mpsc::channel(PIECES);
    tokio::spawn(follow(session, terminal, wishes, answers));
    Attached { input, output }
}

/// Both ways beside each other: a command that waits for its output to be taken takes no input.
async fn follow(
    session: ExecSession,
    terminal: Option<TerminalInput>,
    wishes: mpsc::Receiver<ExecInput>,
    answers: mpsc::Sender<ExecOutput>,
) {
    let ExecSession { input, output, control } = session;
    // A client that is gone has dropped the way of its answers, too: the engine lets the command go on, as for every
    // client of its own.
    tokio::select! {
        () = answer(output, &control, &answers) => {}
        () = hand_on(wishes, &control, input, terminal) => {}
        () = answers.closed() => {}
    }
}

/// Hands the command's output to the client, and then how it ended.
async fn answer(mut output: Pieces, control: &ExecControl, answers: &mpsc::Sender<ExecOutput>) {
    let mut refusal = Refusal::default();
    let end = loop {
        match output.next().await {
            None => break exit(control).await,
            Some(Ok(piece)) => {
                let piece = match piece {
                    containers::Output::Out(bytes) => ExecOutput::Stdout(bytes),
                    containers::Output::Error(bytes) => ExecOutput::Stderr(bytes),
                };
                for piece in refusal.sift(piece) {
                    if answers.send(piece).await.is_err() {
                        return;
                    }
                }
            }
            Some(Err(error)) => break ExecEnd::Failed(problem("exec-failed", &error.to_string())),
        }
    };
    for piece in refusal.end(end) {
        // A client that is gone wants no answer.
        drop(answers.send(piece).await);
    }
}

/// Hands on what the client sends, for as long as the command takes it; what comes later is lost. Never ends.
async fn hand_on(
    mut wishes: mpsc::Receiver<ExecInput>,
    control: &ExecControl,
    mut input: Pin<Box<dyn AsyncWrite + Send>>,
    mut terminal: Option<TerminalInput>,
) {
    let mut taken = true;
    while let Some(wish) = wishes.recv().await {
        taken = taken && grant(control, &mut input, &mut terminal, wish).await;
    }
    std::future::pending().await
}

/// Hands on what the client sent; false when nothing more can be handed on.
async fn grant(
    command: &ExecControl,
    input: &mut Pin<Box<dyn AsyncWrite + Send>>,
    terminal: &mut Option<TerminalInput>,
    wish: ExecInput,
) -> bool {
    match wish {
        ExecInput::Stdin(bytes) => {
            if let Some(terminal) = terminal {
                terminal.sent(&bytes);
            }
            write(input, &bytes).await
        }
        // The engine takes a terminal's stream that is closed at one side for one that is closed, and ends the output.
        ExecInput::Wish(ExecWish::CloseStdin) => match terminal {
            Some(terminal) => write(input, terminal.end()).await,
            None => {
                drop(input.shutdown().await);
                true
            }
        },
        ExecInput::Wish(ExecWish::Resize(size)) => {
            // A command that has just ended has no terminal.
            drop(command.resize(size.rows, size.columns).await);
            true
        }
    }
}

async fn write(input: &mut Pin<Box<dyn AsyncWrite + Send>>, bytes: &[u8]) -> bool {
    input.write_all(bytes).await.is_ok() && input.flush().await.is_ok()
}

async fn exit(command: &ExecControl) -> ExecEnd {
    let mut pause = std::time::Duration::from_millis(20);
    loop {
        match command.exit_code().await {
            Ok(Some(code)) => return ExecEnd::Exit(code),
            // The streams end a moment before the engine has the status; and a command may close them and go on.
            Ok(None) => tokio::time::sleep(pause).await,
            Err(error) => return ExecEnd::Failed(problem("exec-failed", &error.to_string())),
        }
        pause = (pause * 2).min(std::time::Duration::from_millis(500));
    }
}
