//! The other end of an agent's channel: it takes specs and tells what the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use archetype_api::Problem;
use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish};
use archetype_controller::{Addresses, AgentAccess, AgentPort, Attached, MetByWires, Output, ReportEnvelope};
use archetype_model::observed::{DeviceObserved, InsideObserved, Part, PortObserved, RunObserved};
use archetype_model::report::{
    EndReport, ExecReport, ExecState, Fault, Finding, NodeReport, ProbeResult, Proof, Repair, Report, WireReport,
    Wiring,
};
use archetype_model::spec::{
    DesiredLink, DesiredRun, EndRef, FORMAT, HostSpec, LabSpec, NodeSpec, Presence, WireShape, WireSpec,
};
use archetype_model::{ContainerName, LabName};
use archetype_plan::blueprint::HostFacts;
use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What the host is like.
#[derive(Debug, Default)]
pub struct Host {
    pub spec: Option<Arc<HostSpec>>,
    pub refuses: Option<String>,
    pub away: bool,
    pub faults: BTreeMap<String, Fault>,
    pub findings: Vec<Finding>,
    pub leaving: BTreeSet<LabName>,
    pub repairs: Vec<Repair>,
    pub acknowledged: u64,
    pub verified: Vec<Option<LabName>>,
    pub accepted: usize,
    pub quiet: bool,
    pub unreadable: Vec<(Part, String)>,
    /// When the first node was last ended by hand.
    pub ended_by_hand_ms: Option<u64>,
}

pub struct Agent {
    host: Mutex<Host>,
    reports: mpsc::UnboundedSender<ReportEnvelope>,
}

impl Agent {
    pub fn new() -> (Arc<Self>, AgentPort) {
        let (reports, told) = mpsc::unbounded_channel();
        let agent = Arc::new(Self { host: Mutex::default(), reports });
        let port = AgentPort {
            host: "here".parse().unwrap(),
            reports: UnboundedReceiverStream::new(told).boxed(),
            access: agent.clone(),
        };
        (agent, port)
    }

    /// Changes what the host is like, and tells it.
    pub fn set(&self, change: impl FnOnce(&mut Host)) {
        change(&mut self.host.lock().unwrap());
        self.tell();
    }

    /// Looks at the host.
    pub fn look<T>(&self, look: impl FnOnce(&Host) -> T) -> T {
        look(&self.host.lock().unwrap())
    }

    fn tell(&self) {
        let host = self.host.lock().unwrap();
        let (Some(spec), false) = (&host.spec, host.quiet) else { return };
        let report = Arc::new(report(spec, &host));
        let verified_at_ms = jiff::Timestamp::now().as_millisecond() as u64;
        drop(self.reports.send(ReportEnvelope { report, verified_at_ms, repairs: host.repairs.clone() }));
    }
}

#[async_trait]
impl AgentAccess for Agent {
    async fn accept(&self, spec: Arc<HostSpec>) -> Result<(), String> {
        if let Some(why) = self.look(|host| host.refuses.clone()) {
            return Err(why);
        }
        self.set(|host| {
            host.spec = Some(spec);
            host.accepted += 1;
        });
        Ok(())
    }

    async fn verify(&self, lab: Option<LabName>) -> Result<(), String> {
        if self.look(|host| host.away) {
            return Err("it has ended".into());
        }
        self.set(|host| {
            host.verified.push(lab);
            // A real agent mends what it finds.
            host.faults.retain(|_, fault| !matches!(fault, Fault::NotMade(_)));
        });
        Ok(())
    }

    fn acknowledge(&self, number: u64) {
        self.host.lock().unwrap().acknowledged = number;
    }

    async fn facts(&self) -> Result<HostFacts, String> {
        Ok(HostFacts::default())
    }

    async fn met_by_wires(&self) -> MetByWires {
        MetByWires::default()
    }

    async fn addresses(&self, _node: &NodeSpec) -> Result<Addresses, String> {
        Ok(Addresses::from([(9, vec!["10.0.0.1/24".parse().unwrap()])]))
    }

    async fn exec(&self, node: &NodeSpec, start: ExecStart) -> Result<Attached, Box<Problem>> {
        if start.argv == ["missing"] {
            return Err(Box::new(Problem::new(409, "exec-failed", "there is no program `missing`")));
        }
        let (input, mut asked) = mpsc::channel(4);
        let (said, output) = mpsc::channel(4);
        let hello = format!("{}: {}\n", node.container, start.argv.join(" "));
        tokio::spawn(async move {
            said.send(ExecOutput::Stdout(hello.into_bytes())).await.unwrap();
            while let Some(input) = asked.recv().await {
                match input {
                    ExecInput::Stdin(bytes) => said.send(ExecOutput::Stderr(bytes)).await.unwrap(),
                    ExecInput::Wish(ExecWish::CloseStdin) => break,
                    ExecInput::Wish(ExecWish::Resize(_)) => {}
                }
            }
            drop(said.send(ExecOutput::End(ExecEnd::Exit(7))).await);
        });
        Ok(Attached { input, output })
    }

    async fn logs(&self, node: &NodeSpec, follow: bool, _tail: Option<u32>) -> Result<Output, Box<Problem>> {
        let lines = [format!("{} started\n", node.name), format!("follow {follow}\n")];
        Ok(futures::stream::iter(lines.map(|line| Ok(line.into_bytes()))).boxed())
    }
}

fn report(spec: &HostSpec, host: &Host) -> Report {
    let gone = spec.labs.iter().filter(|lab| lab.presence == Presence::Gone && host.leaving.contains(&lab.name));
    Report {
        format: FORMAT,
        installation: spec.installation.clone(),
        host: spec.host.clone(),
        generation: spec.generation.clone(),
        converged: host.faults.is_empty(),
        datapath: None,
        unreadable: host.unreadable.clone(),
        nodes: nodes(spec, host),
        wires: spec.present().map(|lab| (lab.name.clone(), wires(lab, host))).collect(),
        management: spec
            .nodes()
            .filter_map(|(lab, node)| Some((node.container.clone(), eth0(lab, node, host)?)))
            .collect(),
        leaving: gone.map(|lab| (lab.name.clone(), vec!["container x".to_string()])).collect(),
        findings: host.findings.clone(),
    }
}

fn nodes(spec: &HostSpec, host: &Host) -> BTreeMap<ContainerName, NodeReport> {
    let told = spec.nodes().map(|(_, node)| (node.container.clone(), node_report(node)));
    let first = spec.nodes().next().map(|(_, node)| &node.container);
    let by_hand = |container: &ContainerName| host.ended_by_hand_ms.filter(|_| first == Some(container));
    told.map(|(name, report)| (name.clone(), NodeReport { ended_by_hand_ms: by_hand(&name), ..report })).collect()
}

fn node_report(node: &NodeSpec) -> NodeReport {
    let start = format!("start {}", node.restarts);
    let running = RunObserved::Running { pid: Some(7), start: start.clone(), health: None };
    let ended = RunObserved::Ended { start, exit: archetype_model::observed::Exit::Status { code: 0 } };
    let exec = |command: &Vec<String>| ExecReport {
        stage: None,
        command: command.clone(),
        state: ExecState::Ended { code: 0, output: "out".into() },
    };
    NodeReport {
        run: Some(if node.desired == DesiredRun::Running { running } else { ended }),
        id: Some("f".repeat(64)),
        busy: None,
        outdated: false,
        ended_by_hand_ms: None,
        started_unseen_ms: None,
        restarts: node.restarts,
        at_rest: false,
        waits: None,
        waits_for: BTreeSet::new(),
        ended: None,
        execs: node.execs.iter().map(exec).collect(),
        namespace: Some(1),
        privileges: Some("confined".into()),
        image: None,
        stand_in: false,
    }
}

fn wires(lab: &LabSpec, host: &Host) -> BTreeMap<archetype_model::spec::LinkId, WireReport> {
    let inner = lab.wires.iter().map(|wire| (wire.id.clone(), wire_report(lab, wire, host)));
    let outer = lab.outward().into_iter().map(|outward| {
        let report = report_of(lab, &outward.ends, outward.shape(), None, host);
        (outward.id, report)
    });
    inner.chain(outer).collect()
}

fn eth0(lab: &LabSpec, node: &NodeSpec, host: &Host) -> Option<EndReport> {
    let (interface, _) = node.management()?;
    let end = EndRef { node: node.name.clone(), interface: interface.name.clone() };
    Some(end_report(lab, None, &end, host))
}

fn wire_report(lab: &LabSpec, wire: &WireSpec, host: &Host) -> WireReport {
    report_of(lab, &wire.ends, wire.shape, Some(wire.tag.get()), host)
}

fn report_of(lab: &LabSpec, ends: &[EndRef], shape: WireShape, tag: Option<u16>, host: &Host) -> WireReport {
    let ends: Vec<_> = ends.iter().map(|end| end_report(lab, tag, end, host)).collect();
    let whole = match shape {
        WireShape::Cable => ends.iter().all(|end| end.faults.is_empty()),
        WireShape::Lan => ends.iter().any(|end| end.faults.is_empty()),
    };
    let wiring = Wiring(format!("{tag:?}"));
    WireReport {
        ends,
        wiring: whole.then(|| wiring.clone()),
        proof: Some(Proof { wiring, result: ProbeResult::Crossed }),
    }
}

fn end_report(lab: &LabSpec, tag: Option<u16>, end: &EndRef, host: &Host) -> EndReport {
    let (node, interface) = lab.interface(end).unwrap();
    let running = node.desired == DesiredRun::Running;
    let mut faults: Vec<Fault> = host.faults.get(&end.to_string()).cloned().into_iter().collect();
    if interface.desired == DesiredLink::Down {
        faults.push(Fault::WantedDown(format!("`archetype link {} up {end}` takes it back", lab.name)));
    }
    if !running {
        faults.push(Fault::NodeNotRunning(format!("{} is stopped", node.name)));
    }
    EndReport {
        end: end.clone(),
        device_name: interface.host_device.to_string(),
        bridge: None,
        port: tag.map(|tag| PortObserved {
            settled: true,
            bridge: "arch-ovs".parse().unwrap(),
            row: "row".into(),
            tag: Some(tag),
            vlan_mode: "dot1q-tunnel".into(),
            protected: false,
            interfaces: vec!["aaaaaa-1".into()],
            harmful: Vec::new(),
            mark: None,
            plugged_ifindex: Some(9),
            ofport: Some(3),
            error: String::new(),
            ifindex: Some(9),
        }),
        device: Some(DeviceObserved {
            ifindex: 9,
            kind: "veth".into(),
            up: true,
            carrier: true,
            mtu: 65535,
            mac: None,
            controller: None,
            peer: Some(2),
            peer_is_here: false,
            mark: None,
            handlings: 0,
        }),
        inside: Some(InsideObserved {
            namespace: 1,
            name: interface.name.to_string(),
            ifindex: 2,
            up: true,
            carrier: true,
            mtu: 9500,
            mac: Some(interface.mac),
        }),
        running: Some(running),
        faults,
    }
}
