//! What the controller needs of a host's agent, whatever carries it: a channel inside one process,
//! or a network later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use archetype_api::Problem;
use archetype_api::exec::{ExecInput, ExecOutput, ExecStart};
use archetype_model::report::{Repair, Report};
use archetype_model::spec::{HostSpec, NodeSpec};
use archetype_model::{ContainerName, HostName, InstallationId, LabName};
use archetype_plan::blueprint::HostFacts;
use async_trait::async_trait;
use futures::stream::BoxStream;
use ipnet::IpNet;
use tokio::sync::mpsc;

/// One agent: how to speak to it, and what it tells.
pub struct AgentPort {
    /// The host it keeps.
    pub host: HostName,
    /// What it tells after each of its passes.
    pub reports: BoxStream<'static, ReportEnvelope>,
    /// How to speak to it.
    pub access: Arc<dyn AgentAccess>,
}

/// What an agent tells after a pass.
#[derive(Debug, Clone)]
pub struct ReportEnvelope {
    /// The report, whole. The same [`Arc`] while nothing changed, so that a heartbeat costs nothing.
    pub report: Arc<Report>,
    /// When all of it was read back, in milliseconds of the Unix epoch.
    pub verified_at_ms: u64,
    /// Repairs that were not acknowledged yet, oldest first.
    pub repairs: Vec<Repair>,
}

/// Speaking to an agent.
#[async_trait]
pub trait AgentAccess: Send + Sync + 'static {
    /// Hands it a spec; an error is its refusal, in words for people.
    async fn accept(&self, spec: Arc<HostSpec>) -> Result<(), String>;

    /// Has everything read again, and the links of one lab or of all probed again; returns once
    /// the report of that is on its way.
    async fn verify(&self, lab: Option<LabName>) -> Result<(), String>;

    /// Tells it that the repairs up to this number are in the journal.
    fn acknowledge(&self, number: u64);

    /// What is on its host that is not ours.
    async fn facts(&self) -> Result<HostFacts, String>;

    /// Of the same no more than wires may meet.
    async fn met_by_wires(&self) -> MetByWires;

    /// The addresses on the interfaces inside a node right now.
    async fn addresses(&self, node: &NodeSpec) -> Result<Addresses, String>;

    /// Of these that run, the sources of binds at which something else is now than what the node sees there.
    async fn replaced_binds(&self, _nodes: &[&NodeSpec]) -> BTreeMap<ContainerName, Vec<PathBuf>> {
        BTreeMap::new()
    }

    /// Runs a command in a node.
    async fn exec(&self, node: &NodeSpec, start: ExecStart) -> Result<Attached, Box<Problem>>;

    /// How programs on its host reach what the agent works with.
    fn tools(&self) -> Tools {
        Tools::default()
    }

    /// What a node printed, and with `follow` what it prints from now on; `tail` limits the lines
    /// of the past.
    async fn logs(&self, node: &NodeSpec, follow: bool, tail: Option<u32>) -> Result<Output, Box<Problem>>;
}

/// How programs on a host reach what its agent works with, where that is not where they look by
/// themselves.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// Open vSwitch's database, as `ovs-vsctl --db` takes it.
    pub ovsdb: Option<String>,
    /// The folder of the switch's sockets.
    pub switch: Option<PathBuf>,
    /// The Docker Engine, as `docker -H` takes it.
    pub docker: Option<String>,
}

impl Tools {
    /// A command for where these are.
    pub(crate) fn here(&self, command: &str) -> String {
        let Some((program, rest)) = command.split_once(' ') else { return command.to_owned() };
        match (program, &self.ovsdb, &self.switch, &self.docker) {
            ("ovs-vsctl", Some(database), ..) => format!("ovs-vsctl --db={database} {rest}"),
            ("docker", .., Some(engine)) => format!("docker -H {engine} {rest}"),
            // The last word is the bridge.
            ("ovs-ofctl", _, Some(folder), _) => match rest.rsplit_once(' ') {
                Some((what, bridge)) => format!("ovs-ofctl {what} unix:{}/{bridge}.mgmt", folder.display()),
                None => command.to_owned(),
            },
            _ => command.to_owned(),
        }
    }
}

/// What wires may meet on a host. See [`HostFacts`] for each.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "they are those of `HostFacts`")]
pub struct MetByWires {
    pub devices: BTreeSet<String>,
    pub bridges: BTreeSet<String>,
    pub tags: BTreeMap<u16, String>,
    pub hear_all: BTreeSet<String>,
    pub sharing: BTreeMap<InstallationId, BTreeSet<u16>>,
}

impl MetByWires {
    /// Other facts with these.
    pub fn with(self, others: HostFacts) -> HostFacts {
        let Self { devices, bridges, tags, hear_all, sharing } = self;
        HostFacts { devices, bridges, tags, hear_all, sharing, ..others }
    }
}

/// Addresses inside a node, by the ifindex of the host's device whose peer has them.
pub type Addresses = BTreeMap<u32, Vec<IpNet>>;

/// Pieces of what a node printed.
pub type Output = BoxStream<'static, Result<Vec<u8>, std::io::Error>>;

/// A running command. A client that goes away drops `input`: the command of a namespace node then hangs up, that of a
/// container goes on.
#[derive(Debug)]
pub struct Attached {
    /// To it.
    pub input: mpsc::Sender<ExecInput>,
    /// From it; the last is [`ExecOutput::End`].
    pub output: mpsc::Receiver<ExecOutput>,
}
