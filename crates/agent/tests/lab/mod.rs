//! Small random specs for the laws.

#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, none of which needs all")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archetype_agent::{Agent, AgentSettings, Clock, Envelope, Handle, Ledger};
use archetype_host::Event;
use archetype_host::fake::FakeHost;
use archetype_model::observed::Part;
use archetype_model::spec::{
    Attachment, Carrier, ContainerBody, DesiredLink, DesiredRun, EndRef, FORMAT, HostSpec, InterfaceSpec, LabSpec,
    LinkId, NamespaceBody, NetworkSpec, NodeBody, NodeSpec, Presence, Subnet, WireShape, WireSpec,
};
use archetype_model::step::Step;
use archetype_model::{Generation, Mac, Mtu, VlanTag};
use archetype_plan::diff::DatapathSettings;
use proptest::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

/// An agent that runs on a host in memory, with its ledger in `folder`.
pub fn agent_on(
    host: Arc<FakeHost>,
    events: UnboundedReceiver<Event>,
    folder: &Path,
) -> (Handle, UnboundedReceiver<Envelope>) {
    let settings =
        AgentSettings { datapath: datapath(), full_read_interval: Duration::from_secs(60), probe_interval: None };
    let ledger = Ledger::open(folder).unwrap();
    let (agent, handle, reports) = Agent::new(host, settings, ledger, Clock::starting_at(1_000_000), events);
    tokio::spawn(async move { agent.run().await });
    (handle, reports)
}

/// The report after everything that is under way has been seen through.
pub async fn settled(reports: &mut UnboundedReceiver<Envelope>) -> Envelope {
    let mut last = None;
    while let Ok(Some(envelope)) = tokio::time::timeout(Duration::from_secs(200), reports.recv()).await {
        let quiet = envelope.report.converged && envelope.writes == 0;
        last = Some(envelope);
        if quiet {
            break;
        }
    }
    last.expect("the agent reports")
}

/// How a spec looks: per lab, its nodes (container or not) and its cables as pairs of node numbers.
#[derive(Debug, Clone)]
pub struct Shape(Vec<LabShape>);

/// Per node whether it is a container, and the cables as pairs of node numbers.
type LabShape = (Vec<bool>, Vec<(usize, usize)>);

impl Shape {
    /// Two namespace nodes and a cable.
    pub fn pair() -> Self {
        Self(vec![(vec![false, false], vec![(0, 1)])])
    }
}

impl Shape {
    /// Two containers without a cable.
    pub fn containers() -> Self {
        Self(vec![(vec![true, true], Vec::new())])
    }

    /// Two labs: two containers with a cable, and a ring of ten containers.
    pub fn crowd() -> Self {
        let ring = (0..10).map(|at| (at, (at + 1) % 10)).collect();
        Self(vec![(vec![true; 2], vec![(0, 1)]), (vec![true; 10], ring)])
    }

    /// Three namespace nodes in a ring: every node has two wires.
    pub fn ring() -> Self {
        Self(vec![(vec![false, false, false], vec![(0, 1), (1, 2), (2, 0)])])
    }
}

/// Up to three labs of up to five nodes and six cables.
pub fn arbitrary_shape() -> impl Strategy<Value = Shape> {
    let lab = prop::collection::vec(any::<bool>(), 1..5).prop_flat_map(|nodes| {
        let count = nodes.len();
        (Just(nodes), prop::collection::vec((0..count, 0..count), 0..6))
    });
    prop::collection::vec(lab, 1..4).prop_map(Shape)
}

pub fn datapath() -> DatapathSettings {
    let tag = |value| VlanTag::new(value).unwrap();
    DatapathSettings { bridge: "arch-ovs".parse().unwrap(), tags: (tag(1), tag(4094)), dead_tag: tag(4094) }
}

pub fn generation(number: u64) -> Generation {
    Generation { incarnation: "one".into(), number }
}

/// The parts that a step changes, or must have seen to be taken.
pub fn parts_of(spec: &HostSpec, step: &Step) -> BTreeSet<Part> {
    let parts: &[Part] = match step {
        Step::SetNetwork { .. } | Step::RemoveNetwork { .. } => &[Part::Networks],
        Step::OpenPassage { .. } | Step::ClosePassage { .. } => &[Part::Networks],
        Step::MakeNamespace { .. } | Step::NameNamespace { .. } | Step::WriteFacts { .. } => &[Part::Namespaces],
        Step::RemoveNamespace { .. } => &[Part::Namespaces, Part::Engine, Part::Processes],
        Step::MakePair { .. } => &[Part::Namespaces, Part::Devices],
        Step::RemoveDevice { .. } | Step::SetDevice { .. } => &[Part::Devices],
        Step::SetBridge { .. } | Step::AddPort { .. } | Step::SetPort { .. } | Step::RemovePort { .. } => {
            &[Part::Datapath]
        }
        Step::Node { container, .. } => match spec.node(container).map(|(_, node)| &node.body) {
            Some(NodeBody::Namespace(_)) => &[Part::Processes],
            Some(NodeBody::Container(_)) => &[Part::Engine],
            None => &[],
        },
    };
    parts.iter().copied().collect()
}

pub fn spec_of(shape: &Shape, number: u64) -> HostSpec {
    let mut counter = 0;
    let labs = shape.0.iter().enumerate().map(|(index, (nodes, cables))| lab(index, nodes, cables, &mut counter));
    let net = Subnet { net: "172.20.20.0/24".parse().unwrap(), gateway: "172.20.20.1".parse().unwrap(), guests: None };
    HostSpec {
        format: FORMAT,
        installation: "ab1c2".parse().unwrap(),
        host: "host1".parse().unwrap(),
        generation: generation(number),
        labs: labs.collect(),
        networks: vec![NetworkSpec {
            name: "clab".parse().unwrap(),
            bridge: "aab1c2-m0".parse().unwrap(),
            mtu: Mtu::new(1500).unwrap(),
            ipv4: Some(net),
            ipv6: None,
            external_access: true,
        }],
    }
}

fn lab(index: usize, nodes: &[bool], cables: &[(usize, usize)], counter: &mut u32) -> LabSpec {
    let mut specs: Vec<NodeSpec> = nodes.iter().enumerate().map(|(n, container)| node(index, n, *container)).collect();
    let mut wires = Vec::new();
    for spec in &mut specs {
        let attachment =
            Attachment::Network { network: "clab".parse().unwrap(), ipv4: None, ipv6: None, primary: true };
        spec.interfaces.push(interface("eth0", attachment, counter));
    }
    for (a, b) in cables {
        let end = |specs: &[NodeSpec], n: usize, more: usize| EndRef {
            node: specs[n].name.clone(),
            interface: format!("eth{}", specs[n].interfaces.len() + more).parse().unwrap(),
        };
        let ends = [end(&specs, *a, 0), end(&specs, *b, usize::from(a == b))];
        let id = LinkId::between(&ends[0], &ends[1]);
        for (n, end) in [*a, *b].into_iter().zip(&ends) {
            let attachment = Attachment::Wire { wire: id.clone() };
            specs[n].interfaces.push(interface(end.interface.as_str(), attachment, counter));
        }
        let tag = VlanTag::new(u16::try_from(*counter).unwrap()).unwrap();
        wires.push(WireSpec {
            id,
            shape: WireShape::Cable,
            ends: ends.to_vec(),
            desired: DesiredLink::Up,
            carrier: Carrier::Follow,
            tag,
        });
    }
    let name = format!("lab{index}").parse().unwrap();
    LabSpec { name, presence: Presence::Present, nodes: specs.into(), wires, hosts: Vec::new() }
}

fn node(lab: usize, number: usize, container: bool) -> NodeSpec {
    let body = if container {
        NodeBody::Container(Box::new(ContainerBody { image: "alpine".into(), ..ContainerBody::default() }))
    } else {
        NodeBody::Namespace(NamespaceBody::default())
    };
    NodeSpec {
        name: format!("n{number}").parse().unwrap(),
        container: format!("clab-lab{lab}-n{number}").parse().unwrap(),
        kind: "linux".into(),
        body,
        desired: DesiredRun::Running,
        restarts: 0,
        restart: Default::default(),
        stages: Default::default(),
        interfaces: Vec::new(),
        execs: if number == 0 { vec![vec!["true".into()]] } else { Vec::new() },
    }
}

fn interface(name: &str, attachment: Attachment, counter: &mut u32) -> InterfaceSpec {
    *counter += 1;
    let [.., c, d] = counter.to_be_bytes();
    InterfaceSpec {
        name: name.parse().unwrap(),
        port: None,
        mac: Mac::new([0xaa, 0xc1, 0xab, 0, c, d]).unwrap(),
        mtu: Mtu::LAB_DEFAULT,
        host_device: format!("aab1c2-{counter}").parse().unwrap(),
        attachment,
        desired: DesiredLink::Up,
    }
}
