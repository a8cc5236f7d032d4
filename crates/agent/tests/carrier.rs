//! Carrier follows the cable: the laws of it, on a host in memory.

#![allow(clippy::unwrap_used, reason = "a test says so by ending")]

mod lab;

use std::collections::BTreeSet;
use std::sync::Arc;

use archetype_agent::{Envelope, Handle};
use archetype_host::Waker;
use archetype_host::fake::{FakeHost, State};
use archetype_model::observed::{Part, Reading};
use archetype_model::spec::{Carrier, DesiredLink, DesiredRun, HostSpec, WireSpec};
use archetype_model::status::{LinkState, Status};
use archetype_model::{ContainerName, InterfaceName};
use archetype_plan::judge;
use lab::{Shape, agent_on, arbitrary_shape, datapath, generation, spec_of};
use proptest::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

struct Bench {
    host: Arc<FakeHost>,
    handle: Handle,
    reports: UnboundedReceiver<Envelope>,
    spec: Arc<HostSpec>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn deploy(spec: HostSpec) -> Self {
        let (waker, events) = Waker::channel();
        let host = Arc::new(FakeHost::new(datapath().bridge, waker));
        let folder = tempfile::tempdir().unwrap();
        let (handle, reports) = agent_on(host.clone(), events, folder.path());
        let mut bench = Self { host, handle, reports, spec: Arc::new(spec), _folder: folder };
        bench.accept().await;
        bench
    }

    async fn accept(&mut self) -> Envelope {
        self.handle.accept(self.spec.clone()).await.unwrap();
        self.settled().await
    }

    /// Changes what is wanted.
    async fn want(&mut self, change: impl FnOnce(&mut HostSpec)) -> Envelope {
        let mut spec = (*self.spec).clone();
        spec.generation = generation(spec.generation.number + 1);
        change(&mut spec);
        self.spec = Arc::new(spec);
        self.accept().await
    }

    async fn settled(&mut self) -> Envelope {
        lab::settled(&mut self.reports).await
    }

    /// What the node's own software does to an interface.
    async fn set_inside(&mut self, node: usize, interface: usize, up: bool) -> Envelope {
        let node = &self.spec.labs[0].nodes[node];
        let (container, device) = (node.container.clone(), node.interfaces[interface].host_device.clone());
        self.host.disturb(Part::Namespaces, |state| set_inside(state, &container, &device, up));
        self.settled().await
    }

    fn is_up(&self, node: usize, interface: usize) -> bool {
        let device = &self.spec.labs[0].nodes[node].interfaces[interface].host_device;
        self.host.with(|state| state.devices[device].up)
    }

    fn link(&self, envelope: &Envelope) -> Status<LinkState> {
        let (lab, wire) = self.spec.wires().next().unwrap();
        judge::link_status(wire, envelope.report.wires[&lab.name].get(&wire.id))
    }
}

fn set_inside(state: &mut State, container: &ContainerName, device: &InterfaceName, up: bool) {
    let ifindex = state.devices[device].ifindex;
    if let Reading::Known(inside) = &mut state.namespaces.get_mut(container).unwrap().inside {
        inside.get_mut(&ifindex).unwrap().up = up;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shut_interface_takes_the_far_ends_carrier_and_gives_it_back() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    assert!(bench.is_up(0, 1) && bench.is_up(1, 1));
    let shut = bench.set_inside(0, 1, false).await;
    assert!(bench.is_up(0, 1) && !bench.is_up(1, 1), "the far end alone follows");
    assert_eq!(bench.link(&shut), Status::because(LinkState::Down, "eth1 is shut inside n0"));
    let back = bench.set_inside(0, 1, true).await;
    assert!(bench.is_up(0, 1) && bench.is_up(1, 1));
    assert_eq!(bench.link(&back), Status::plain(LinkState::Up));
    assert!(back.repairs.is_empty(), "what follows the far end is no drift: {:?}", back.repairs);
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_were_shut_do_not_hold_each_other_down() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    bench.set_inside(0, 1, false).await;
    bench.set_inside(1, 1, false).await;
    assert!(!bench.is_up(0, 1) && !bench.is_up(1, 1));
    bench.set_inside(0, 1, true).await;
    assert!(!bench.is_up(0, 1) && bench.is_up(1, 1), "the far one is shut still");
    let back = bench.set_inside(1, 1, true).await;
    assert!(bench.is_up(0, 1) && bench.is_up(1, 1));
    assert_eq!(bench.link(&back).state, LinkState::Up);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_node_takes_the_far_ends_carrier_until_it_starts() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    let stopped = bench.want(|spec| spec.labs[0].nodes[0].desired = DesiredRun::Stopped).await;
    assert!(!bench.is_up(1, 1));
    assert_eq!(bench.link(&stopped).state, LinkState::Pending);
    let back = bench.want(|spec| spec.labs[0].nodes[0].desired = DesiredRun::Running).await;
    assert!(bench.is_up(0, 1) && bench.is_up(1, 1));
    assert_eq!(bench.link(&back).state, LinkState::Up);
    assert!(back.repairs.is_empty(), "{:?}", back.repairs);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_keeps_its_carrier_follows_nothing() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    bench.want(|spec| spec.labs[0].wires[0].carrier = Carrier::Keep).await;
    let shut = bench.set_inside(0, 1, false).await;
    assert!(bench.is_up(0, 1) && bench.is_up(1, 1));
    assert_eq!(bench.link(&shut).state, LinkState::Down);
}

#[tokio::test(start_paused = true)]
async fn a_host_end_shut_behind_our_back_is_drift_whatever_the_far_end_does() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    bench.set_inside(0, 1, false).await;
    for (node, wrong) in [(0, false), (1, true)] {
        let device = bench.spec.labs[0].nodes[node].interfaces[1].host_device.clone();
        bench.host.disturb(Part::Devices, |state| state.devices.get_mut(&device).unwrap().up = wrong);
        let mended = bench.settled().await;
        assert_eq!(bench.is_up(node, 1), !wrong);
        assert_eq!(mended.repairs.len(), 1, "{:?}", mended.repairs);
        bench.handle.acknowledge(u64::MAX);
        bench.settled().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_wanted_down_has_carrier_at_no_end_and_is_proven_again_afterwards() {
    let mut bench = Bench::deploy(spec_of(&Shape::pair(), 1)).await;
    let set = |desired: DesiredLink| {
        move |spec: &mut HostSpec| {
            spec.labs[0].wires[0].desired = desired;
            spec.labs[0].nodes.iter_mut().for_each(|node| node.interfaces[1].desired = desired);
        }
    };
    let down = bench.want(set(DesiredLink::Down)).await;
    assert!(!bench.is_up(0, 1) && !bench.is_up(1, 1));
    let reason = "wanted down by a user; `archetype link lab0 up n0:eth1` takes it back";
    assert_eq!(bench.link(&down), Status::because(LinkState::Down, reason));
    let wire = |envelope: &Envelope| envelope.report.wires.values().next().unwrap().values().next().unwrap().clone();
    assert_eq!(wire(&down).proof, None);
    let up = bench.want(set(DesiredLink::Up)).await;
    assert_eq!(bench.link(&up), Status::plain(LinkState::Up));
    assert!(up.repairs.is_empty(), "{:?}", up.repairs);
}

/// What each host's end of a wire is to be, told without the code under test.
fn expected(spec: &HostSpec, wire: &WireSpec, end: usize, shut: &BTreeSet<InterfaceName>) -> bool {
    let (lab, _) = spec.wires().find(|(_, found)| std::ptr::eq(*found, wire)).unwrap();
    let (node, far) = lab.interface(&wire.ends[1 - end]).unwrap();
    node.desired == DesiredRun::Running && !shut.contains(&far.host_device)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever is shut inside and whichever nodes are stopped: each end has carrier if and only if
    /// its far end gives it, nothing of it is a repair, and the next pass writes nothing.
    #[test]
    fn every_end_has_the_carrier_its_far_end_gives(
        shape in arbitrary_shape(),
        shut in prop::collection::vec(any::<bool>(), 64),
        stopped in prop::collection::vec(any::<bool>(), 16),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
            let mut bench = Bench::deploy(spec_of(&shape, 1)).await;
            bench.want(|spec| {
                let nodes = spec.labs.iter_mut().flat_map(|lab| &mut lab.nodes);
                nodes.zip(&stopped).filter(|(_, stopped)| **stopped)
                    .for_each(|(node, _)| node.desired = DesiredRun::Stopped);
            }).await;
            let spec = bench.spec.clone();
            let running = spec.nodes().filter(|(_, node)| node.desired == DesiredRun::Running);
            let interfaces = running.flat_map(|(_, node)| node.interfaces.iter().skip(1).map(move |one| (node, one)));
            let shut: Vec<_> = interfaces.zip(&shut).filter(|(_, shut)| **shut).map(|(found, _)| found).collect();
            bench.host.disturb(Part::Namespaces, |state| {
                shut.iter().for_each(|(node, one)| set_inside(state, &node.container, &one.host_device, false));
            });
            let envelope = bench.settled().await;
            let devices: BTreeSet<InterfaceName> = shut.iter().map(|(_, one)| one.host_device.clone()).collect();
            for (lab, wire) in spec.wires() {
                for end in 0..2 {
                    let (_, one) = lab.interface(&wire.ends[end]).unwrap();
                    let up = bench.host.with(|state| state.devices[&one.host_device].up);
                    prop_assert_eq!(up, expected(&spec, wire, end, &devices), "{}", wire.ends[end]);
                }
            }
            prop_assert!(envelope.repairs.is_empty(), "{:?}", envelope.repairs);
            let before = bench.host.with(|state| state.writes.len());
            bench.handle.verify(None).await;
            prop_assert_eq!(bench.host.with(|state| state.writes.len()), before);
            Ok(())
        })?;
    }
}
