//! An agent on a real host of its own: namespace nodes, its own Open vSwitch, its reports.

#![allow(dead_code, reason = "shared by several tests, none of which needs all")]

pub mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use archetype_agent::{Agent, AgentSettings, Clock, Envelope, Handle, Ledger};
use archetype_host::datapath::DatapathSettings;
use archetype_host::{LinuxHost, LinuxSettings, Place, Waker};
use archetype_model::LabName;
use archetype_model::spec::{EndRef, HostSpec, Presence, WireShape};
use archetype_model::status::{LinkState, Status};
use archetype_plan::judge;
use archetype_testbed::{Ovs, scratch_dir, slowly};
use tokio::sync::mpsc::UnboundedReceiver;

/// Longer than anything here takes, even beside many other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The agent, its switch, and what it was last told.
pub struct Bench {
    pub ovs: Ovs,
    pub handle: Handle,
    reports: UnboundedReceiver<Envelope>,
    pub spec: Arc<HostSpec>,
}

impl Bench {
    /// An agent that has accepted a spec.
    pub async fn accept(spec: HostSpec) -> Self {
        let ovs = Ovs::start(scratch_dir("ovs"));
        let (handle, reports) = agent(&ovs);
        let mut bench = Self { ovs, handle, reports, spec: Arc::new(spec.clone()) };
        bench.tell(spec).await;
        bench
    }

    /// An agent all of whose links are up.
    pub async fn deploy(spec: HostSpec) -> Self {
        let mut bench = Self::accept(spec).await;
        bench.all_up().await;
        bench
    }

    /// Whether the kernel moves the frames, and not the switch itself.
    pub fn in_kernel(&self) -> bool {
        self.ovs.kernel_moves_frames_of("arch-ovs")
    }

    /// Hands the agent another spec.
    pub async fn tell(&mut self, spec: HostSpec) {
        self.spec = Arc::new(spec);
        self.handle.accept(self.spec.clone()).await.unwrap();
    }

    /// Waits for a report on the last spec that `holds`.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&HostSpec, &Envelope) -> bool) -> Envelope {
        let until = Instant::now() + slowly(PATIENCE);
        let mut last = None;
        while let Ok(Some(envelope)) =
            tokio::time::timeout(until.saturating_duration_since(Instant::now()), self.reports.recv()).await
        {
            if envelope.report.generation == self.spec.generation && holds(&self.spec, &envelope) {
                return envelope;
            }
            last = Some(envelope);
        }
        panic!("{what}: {:#?}", last.map(|last| last.report))
    }

    /// Waits until every link of the spec is up.
    pub async fn all_up(&mut self) -> Envelope {
        self.until("every link is up", |spec, envelope| {
            links(spec, envelope).iter().all(|(_, status)| status.state == LinkState::Up)
        })
        .await
    }

    /// Waits until the links of some ends have the given states at once.
    pub async fn links_are(&mut self, wanted: &[(&EndRef, LinkState)]) -> Envelope {
        self.until(&format!("links are {wanted:?}"), |spec, envelope| {
            let now = links(spec, envelope);
            let is = |end: &EndRef, state| now.iter().any(|(of, status)| of == end && status.state == state);
            wanted.iter().all(|(end, state)| is(end, *state))
        })
        .await
    }

    /// Takes every lab down and waits until nothing of it is left.
    pub async fn destroy(&mut self) {
        let spec = gone(&self.spec);
        self.tell(spec).await;
        self.until("nothing is left", |_, envelope| envelope.report.converged && envelope.report.leaving.is_empty())
            .await;
    }
}

/// A spec with the same labs, all of them wanted gone.
pub fn gone(spec: &HostSpec) -> HostSpec {
    let mut spec = spec.clone();
    spec.generation.number += 1;
    for lab in &mut spec.labs {
        lab.presence = Presence::Gone;
        lab.nodes.clear();
        lab.wires.clear();
    }
    spec
}

/// Every link as a user sees it: a cable by either end, a LAN by each of its members.
pub fn links(spec: &HostSpec, envelope: &Envelope) -> Vec<(EndRef, Status<LinkState>)> {
    let mut links = Vec::new();
    for (lab, wire) in spec.wires() {
        let report = envelope.report.wires.get(&lab.name).and_then(|wires| wires.get(&wire.id));
        links.extend(wire.ends.iter().map(|end| {
            let status = match wire.shape {
                WireShape::Cable => judge::link_status(wire, report),
                WireShape::Lan => judge::member_status(wire, report, end),
            };
            (end.clone(), status)
        }));
    }
    links
}

/// A node's name on its host.
pub fn container(lab: &LabName, end: &EndRef) -> String {
    format!("clab-{lab}-{}", end.node)
}

fn agent(ovs: &Ovs) -> (Handle, UnboundedReceiver<Envelope>) {
    let (waker, events) = Waker::channel();
    let settings = LinuxSettings {
        place: Place::new("ab1c2".parse().unwrap()),
        datapath: DatapathSettings {
            endpoint: ovs.target().parse().unwrap(),
            bridge: plan::datapath().bridge,
            kind: None,
            rundir: Some(ovs.socket().parent().unwrap().to_path_buf()),
        },
        docker_socket: None,
        docker_runtime: "archetype".into(),
        keep_exec: Arc::new(|_| Ok(())),
        known_exec: Arc::new(|_, _, _| None),
        hosts_path: None,
        supervisor: "/nonexistent".into(),
        host_commands: Default::default(),
    };
    let host = Arc::new(LinuxHost::open(settings, &waker).unwrap());
    let settings =
        AgentSettings { datapath: plan::datapath(), full_read_interval: Duration::from_secs(60), probe_interval: None };
    let ledger = Ledger::open(&scratch_dir("ledger")).unwrap();
    let (agent, handle, reports) = Agent::new(host, settings, ledger, Clock::system(), events);
    tokio::spawn(async move { agent.run().await });
    (handle, reports)
}

/// Runs `work` with a runtime as the agent has it.
pub fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
