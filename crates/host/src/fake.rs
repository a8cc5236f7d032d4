//! A host in memory, under the same suite as the real one, so that it cannot lie.
//!
//! It carries out steps at once, gives every new thing a new number as the kernel does, and can be
//! disturbed: parts made unreadable, things changed behind its back, steps made to fail.

mod frames;
mod nodes;
mod switch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archetype_model::observed::{
    Busy, DaemonStart, DatapathObserved, DeviceObserved, InsideObserved, Mark, NamespaceObserved, NetworkObserved,
    NodeObserved, Observed, Part, PassagesObserved, Reading, RunObserved,
};
use archetype_model::report::ProbeResult;
use archetype_model::spec::{Attachment, HostSpec, InterfaceSpec};
use archetype_model::step::{NodeAction, Outcome, Resource, Step};
use archetype_model::{BridgeName, ContainerName, InterfaceName, NetworkName};
use async_trait::async_trait;

use crate::contract::{Host, ProbeOrder};
use crate::event::{Event, TaskEnded, Waker};

/// A host in memory.
#[derive(Debug)]
pub struct FakeHost {
    state: Mutex<State>,
    waker: Waker,
    bridge: BridgeName,
}

/// Everything the fake host is. Tests change it at will: that is drift.
#[derive(Debug, Clone)]
pub struct State {
    /// Its datapath.
    pub datapath: DatapathObserved,
    /// Its devices.
    pub devices: BTreeMap<InterfaceName, DeviceObserved>,
    /// Its namespaces.
    pub namespaces: BTreeMap<ContainerName, NamespaceObserved>,
    /// Its containers.
    pub containers: BTreeMap<ContainerName, NodeObserved>,
    /// Its namespace nodes.
    pub processes: BTreeMap<ContainerName, NodeObserved>,
    /// Its networks.
    pub networks: BTreeMap<NetworkName, NetworkObserved>,
    /// What is seen of the Docker network over a network that was made.
    pub guests: Reading<bool>,
    /// What its packet filter lets through of bridges of others.
    pub passages: PassagesObserved,
    /// Parts that cannot be read now.
    pub unreadable: BTreeSet<Part>,
    /// Resources whose steps fail.
    pub failing: BTreeSet<Resource>,
    /// Resources whose steps are undone by somebody as soon as they are carried out.
    pub undone: BTreeSet<Resource>,
    /// Ends (host device names) that swallow frames although all reads back right.
    pub swallowing: BTreeSet<InterfaceName>,
    /// Ends of tasks that are still to be told, oldest first, whose nodes stay busy where a command runs in them; none
    /// where every task is over, and told, at once.
    pub untold: Option<VecDeque<TaskEnded>>,
    /// Whether the switch is still to take over what is plugged into it from now on.
    pub slow_switch: bool,
    /// Every step carried out, oldest first.
    pub writes: Vec<Step>,
    next: u32,
}

impl FakeHost {
    /// A host with nothing on it but a running switch.
    pub fn new(bridge: BridgeName, waker: Waker) -> Self {
        let datapath = DatapathObserved {
            switch: Some(DaemonStart { pid: 100, ticks: 1 }),
            settled: true,
            bridge: None,
            ports: BTreeMap::new(),
        };
        let state = State {
            datapath,
            devices: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            containers: BTreeMap::new(),
            processes: BTreeMap::new(),
            networks: BTreeMap::new(),
            guests: Reading::Known(true),
            passages: PassagesObserved { filtered: true, bridges: BTreeMap::new() },
            unreadable: BTreeSet::new(),
            failing: BTreeSet::new(),
            undone: BTreeSet::new(),
            swallowing: BTreeSet::new(),
            untold: None,
            slow_switch: false,
            writes: Vec::new(),
            next: 10,
        };
        Self { state: Mutex::new(state), waker, bridge }
    }

    /// Looks at, or changes, what the host is.
    pub fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    /// Changes what the host is and wakes the agent as the real thing would.
    pub fn disturb(&self, part: Part, change: impl FnOnce(&mut State)) {
        self.with(change);
        self.waker.ring(Event::Changed(part));
    }

    /// Tells the oldest end of a task that is still to be told; says whether there was one.
    pub fn tell_end(&self) -> bool {
        let end = self.with(|state| state.untold.as_mut().and_then(VecDeque::pop_front));
        end.map(|end| self.waker.ring(Event::TaskEnded(end))).is_some()
    }

    fn end_task(&self, ended: TaskEnded) {
        let mut state = self.lock();
        let Some(untold) = &mut state.untold else { return self.waker.ring(Event::TaskEnded(ended)) };
        untold.push_back(ended.clone());
        if let NodeAction::Exec { .. } = ended.action
            && let Some(seen) = state.node_mut(&ended.container)
        {
            seen.busy = Some(Busy { doing: "command".into(), since_ms: 0, outside: None });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Host for FakeHost {
    async fn observe(&self) -> Observed {
        self.lock().observed()
    }

    async fn full_read(&self) -> u64 {
        0
    }

    async fn apply(&self, spec: &Arc<HostSpec>, steps: &[Step]) -> Vec<Outcome> {
        steps
            .iter()
            .map(|step| {
                let error = self.lock().carry_out(spec, step, &self.bridge).err();
                if let (None, Step::Node { container, action }) = (&error, step) {
                    self.end_task(nodes::ended(container, action));
                }
                Outcome { step: step.clone(), error: error.map(Into::into) }
            })
            .collect()
    }

    async fn probe(&self, orders: &[ProbeOrder]) -> Vec<ProbeResult> {
        let state = self.lock();
        orders.iter().map(|order| state.probe(order)).collect()
    }
}

// === impl State ===

impl State {
    /// A node, of whichever sort.
    pub fn node_mut(&mut self, container: &ContainerName) -> Option<&mut NodeObserved> {
        self.processes.get_mut(container).or(self.containers.get_mut(container))
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn observed(&self) -> Observed {
        fn part<T: Clone>(state: &State, part: Part, value: &T) -> Reading<T> {
            if state.unreadable.contains(&part) {
                Reading::Unreadable("made unreadable".into())
            } else {
                Reading::Known(value.clone())
            }
        }
        let (devices, namespaces) = self.with_carrier();
        Observed {
            datapath: part(self, Part::Datapath, &self.datapath),
            devices: part(self, Part::Devices, &devices),
            namespaces: part(self, Part::Namespaces, &namespaces),
            containers: part(self, Part::Engine, &self.containers),
            processes: part(self, Part::Processes, &self.processes),
            networks: part(self, Part::Networks, &self.networks),
            passages: part(self, Part::Networks, &self.passages),
        }
    }

    fn carry_out(&mut self, spec: &HostSpec, step: &Step, bridge: &BridgeName) -> Result<(), String> {
        if self.failing.contains(&step.resource()) {
            return Err("made to fail".into());
        }
        if self.undone.contains(&step.resource()) {
            self.writes.push(step.clone());
            return Ok(());
        }
        match step {
            Step::SetNetwork { network } => self.set_network(spec, network),
            Step::RemoveNetwork { network } => {
                if let Some(used) = self.networks.get_mut(network).filter(|network| !network.foreign.is_empty()) {
                    (used.leaving, used.rules, used.hosts) = (true, None, None);
                    return Err("others are on it".into());
                }
                if let Some(gone) = self.networks.remove(network).and_then(|network| network.bridge) {
                    self.devices.retain(|_, device| device.ifindex != gone);
                }
            }
            Step::OpenPassage { bridge } => drop(self.passages.bridges.insert(bridge.clone(), true)),
            Step::ClosePassage { bridge } => drop(self.passages.bridges.remove(bridge)),
            Step::MakeNamespace { .. }
            | Step::NameNamespace { .. }
            | Step::RemoveNamespace { .. }
            | Step::WriteFacts { .. } => self.namespace_step(spec, step)?,
            Step::MakePair { container, interface, up, .. } => self.make_pair(spec, container, interface, *up)?,
            Step::RemoveDevice { device, ifindex } => {
                self.devices.retain(|name, seen| name != device || seen.ifindex != *ifindex);
                self.forget_inside(*ifindex);
            }
            Step::SetDevice { device, up, controller, .. } => {
                self.set_device(device, *up, controller.as_ref())?;
                self.set_size(spec, device);
                self.finish(spec, device);
            }
            Step::SetBridge { .. } | Step::AddPort { .. } | Step::SetPort { .. } | Step::RemovePort { .. } => {
                self.datapath_step(spec, step, bridge)?;
            }
            Step::Node { container, action } => self.node_step(spec, container, action)?,
        }
        self.writes.push(step.clone());
        Ok(())
    }

    fn set_network(&mut self, spec: &HostSpec, name: &NetworkName) {
        let Some(wanted) = spec.network(name) else { return };
        let ifindex = match self.networks.get(name).and_then(|network| network.bridge) {
            Some(ifindex) => ifindex,
            None => self.number(),
        };
        let ipv4 = wanted.ipv4.iter().map(|subnet| subnet.gateway.into());
        let ipv6 = wanted.ipv6.iter().map(|subnet| subnet.gateway.into());
        let network = NetworkObserved {
            bridge: Some(ifindex),
            ours: true,
            addresses: ipv4.chain(ipv6).collect(),
            guests: self.guests.clone(),
            rules: Some(spec.network_rules_digest(name)),
            hosts: Some(spec.network_hosts_digest(name)),
            foreign: Vec::new(),
            leaving: false,
            busy: false,
        };
        self.networks.insert(name.clone(), network);
        if let Ok(device) = InterfaceName::new(wanted.bridge.as_str()) {
            self.devices.insert(device, plain_device(ifindex, "bridge"));
        }
    }

    fn namespace_step(&mut self, spec: &HostSpec, step: &Step) -> Result<(), String> {
        match step {
            Step::MakeNamespace { container } => {
                let (lab, node) = spec.node(container).ok_or("no such node")?;
                let mark = Mark::of_node(spec, lab, node);
                let identity = u64::from(self.number());
                let inside = Reading::Known(BTreeMap::new());
                let (named, name_taken, facts, awake) = (true, None, None, false);
                let made = NamespaceObserved { identity, mark, named, name_taken, facts, inside, awake };
                self.namespaces.insert(container.clone(), made);
            }
            Step::NameNamespace { container } => {
                self.namespaces.get_mut(container).ok_or("no such namespace")?.named = true;
            }
            Step::WriteFacts { container } => {
                let (_, node) = spec.node(container).ok_or("no such node")?;
                self.namespaces.get_mut(container).ok_or("no such namespace")?.facts = Some(spec.facts_digest(node));
            }
            Step::RemoveNamespace { container } => {
                let gone = self.namespaces.remove(container).ok_or("no such namespace")?;
                if let Reading::Known(inside) = gone.inside {
                    self.devices.retain(|_, device| !inside.contains_key(&device.ifindex));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn make_pair(
        &mut self,
        spec: &HostSpec,
        container: &ContainerName,
        interface: &InterfaceName,
        host_up: bool,
    ) -> Result<(), String> {
        let (lab, node) = spec.node(container).ok_or("no such node")?;
        let wanted = node.interface(interface).ok_or("no such interface")?;
        if self.devices.contains_key(&wanted.host_device) {
            return Err("file exists".into());
        }
        let (host, inner) = (self.number(), self.number());
        let up = self.processes.contains_key(container) || self.containers.contains_key(container);
        let controller = self.controller_of(spec, wanted);
        let space = self.namespaces.get_mut(container).ok_or("no such namespace")?;
        if let Reading::Known(inside) = &mut space.inside {
            inside.insert(host, inside_of(wanted, inner, up));
        }
        let mark = Mark::of_port(spec, lab, node, wanted);
        let mut device = plain_device(host, "veth");
        device.up = host_up;
        device.peer = Some(inner);
        device.mark = Some(mark);
        device.controller = controller;
        device.mtu = spec.host_mtu(wanted).get();
        self.devices.insert(wanted.host_device.clone(), device);
        Ok(())
    }

    fn controller_of(&self, spec: &HostSpec, interface: &InterfaceSpec) -> Option<u32> {
        let bridge = match &interface.attachment {
            Attachment::Network { network, .. } => spec.network_bridge(network)?.clone(),
            Attachment::ForeignBridge { bridge } => bridge.clone(),
            Attachment::Wire { .. } | Attachment::Host => return None,
        };
        Some(self.devices.get(bridge.as_str())?.ifindex)
    }

    fn set_device(&mut self, name: &InterfaceName, up: bool, controller: Option<&BridgeName>) -> Result<(), String> {
        let bridge = controller.and_then(|bridge| self.devices.get(bridge.as_str())).map(|device| device.ifindex);
        let device = self.devices.get_mut(name).ok_or("no such device")?;
        device.up = up;
        device.controller = bridge.or(device.controller);
        Ok(())
    }

    /// Sets up inside what a maker left that died over it.
    fn finish(&mut self, spec: &HostSpec, name: &InterfaceName) {
        let all = spec.nodes().flat_map(|(lab, node)| node.interfaces.iter().map(move |one| (lab, node, one)));
        let Some((lab, node, one)) = all.into_iter().find(|(.., one)| one.host_device == *name) else { return };
        let Some(device) = self.devices.get_mut(name) else { return };
        if !device.mark.as_ref().is_some_and(Mark::is_of_unfinished) {
            return;
        }
        device.mark = Some(Mark::of_port(spec, lab, node, one));
        let index = device.ifindex;
        let runs = self.node_mut(&node.container).is_some_and(|seen| matches!(seen.run, RunObserved::Running { .. }));
        let inside = self.namespaces.get_mut(&node.container).map(|space| &mut space.inside);
        if let Some(Reading::Known(inside)) = inside
            && let Some(end) = inside.get_mut(&index)
        {
            (end.up, end.carrier) = (runs, runs);
        }
    }

    fn set_size(&mut self, spec: &HostSpec, name: &InterfaceName) {
        let mut interfaces = spec.nodes().flat_map(|(_, node)| &node.interfaces);
        let wanted = interfaces.find(|interface| &interface.host_device == name).map(|one| spec.host_mtu(one).get());
        if let (Some(device), Some(mtu)) = (self.devices.get_mut(name), wanted) {
            device.mtu = mtu;
        }
    }

    fn forget_inside(&mut self, ifindex: u32) {
        for space in self.namespaces.values_mut() {
            if let Reading::Known(inside) = &mut space.inside {
                inside.remove(&ifindex);
            }
        }
    }
}

fn plain_device(ifindex: u32, kind: &str) -> DeviceObserved {
    DeviceObserved {
        ifindex,
        kind: kind.into(),
        up: true,
        carrier: true,
        mtu: 65535,
        mac: None,
        controller: None,
        peer: None,
        peer_is_here: false,
        mark: None,
        handlings: 0,
    }
}

fn inside_of(interface: &InterfaceSpec, ifindex: u32, up: bool) -> InsideObserved {
    InsideObserved {
        namespace: 0,
        name: interface.name.to_string(),
        ifindex,
        up,
        carrier: up,
        mtu: interface.mtu.get(),
        mac: Some(interface.mac),
    }
}
