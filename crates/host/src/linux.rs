//! The real host: the rooms together, behind the contract that agents use.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archetype_model::facts::NamespaceFacts;
use archetype_model::observed::{Mark, NodeObserved, Observed, Part, Reading, RunObserved};
use archetype_model::others::NameHolder;
use archetype_model::report::{Finding, ProbeResult};
use archetype_model::spec::{Bind, HostSpec, NodeBody};
use archetype_model::step::{NodeAction, Outcome, Step, StepError};
use archetype_model::{ContainerName, InterfaceName};
use archetype_netns::folder;
use archetype_netns::rtnl::Watch;
use async_trait::async_trait;
use tokio::io::unix::AsyncFd;

use crate::binds;
use crate::command::HostCommands;
use crate::containers::{self, Containers};
use crate::contract::{Across, Host, ProbeOrder};
use crate::datapath::{Datapath, DatapathSettings, Door};
use crate::event::{Event, Waker};
use crate::links::Links;
use crate::networks::{self, Networks};
use crate::place::Place;
use crate::probe::Reach;
use crate::processes::Processes;

/// Finds the engine's id of a command that was made in an earlier life of the agent: by node,
/// start and place in the list.
pub type KnownExec = Arc<dyn Fn(&ContainerName, &str, usize) -> Option<String> + Send + Sync>;

/// Addresses by the ifindex of the host's device whose peer has them.
pub type Addresses = BTreeMap<u32, Vec<ipnet::IpNet>>;

/// What a host is opened with.
#[derive(Clone)]
pub struct LinuxSettings {
    /// Whose, and where its files are.
    pub place: Place,
    /// Open vSwitch.
    pub datapath: DatapathSettings,
    /// The engine's socket; none for a host without one.
    pub docker_socket: Option<PathBuf>,
    /// The name that the OCI runtime has in the engine.
    pub docker_runtime: String,
    /// Keeps an exec's id before it is started.
    pub keep_exec: containers::KeepExec,
    /// Finds one that was kept.
    pub known_exec: KnownExec,
    /// The host's hosts file; none leaves it alone.
    pub hosts_path: Option<PathBuf>,
    /// The program that supervises commands of namespace nodes.
    pub supervisor: PathBuf,
    /// Which commands of nodes run on the host itself.
    pub host_commands: HostCommands,
}

/// What is on a host that is not ours.
#[derive(Debug)]
pub struct Others {
    /// Networks, and ports that somebody listens on.
    pub survey: networks::Survey,
    /// Names of devices, bridges included.
    pub devices: BTreeSet<String>,
    /// Names of those that are bridges.
    pub bridges: BTreeSet<String>,
    /// Names under `/run/netns`, with who holds each.
    pub namespaces: BTreeMap<String, NameHolder>,
}

/// One Linux host.
#[derive(Clone)]
pub struct LinuxHost {
    settings: Arc<LinuxSettings>,
    links: Arc<Mutex<Links>>,
    datapath: Datapath,
    containers: Option<Containers>,
    processes: Processes,
    networks: Arc<Networks>,
}

impl LinuxHost {
    /// Opens every room, each with its watch.
    ///
    /// # Errors
    /// When the kernel gives no netlink sockets.
    pub fn open(settings: LinuxSettings, waker: &Waker) -> Result<Self, archetype_netns::Error> {
        let place = settings.place.clone();
        let links = Links::open(place.clone())?;
        let heard = links.changes().map_err(|error| archetype_netns::Error::system("watch devices", error))?;
        for heard in heard {
            tokio::spawn(ring_when_readable(heard, links.times_heard(), waker.clone()));
        }
        tokio::spawn(count_filters(links.filters(), waker.clone()));
        let datapath = Datapath::open(settings.datapath.clone(), waker.clone());
        let containers = settings.docker_socket.clone().map(|socket| open_containers(&settings, socket, waker));
        if let Some(containers) = &containers {
            tokio::spawn(sweep_facts(containers.clone(), place.clone()));
        }
        let processes =
            Processes::open(place.clone(), settings.supervisor.clone(), settings.host_commands, waker.clone());
        let mut network_settings = networks::Settings::new(place);
        network_settings.docker_socket.clone_from(&settings.docker_socket);
        network_settings.write_host_hosts = settings.hosts_path.is_some();
        if let Some(path) = &settings.hosts_path {
            network_settings.hosts_path.clone_from(path);
        }
        let networks = Arc::new(Networks::open(network_settings, waker.clone()));
        let links = Arc::new(Mutex::new(links));
        Ok(Self { settings: Arc::new(settings), links, datapath, containers, processes, networks })
    }

    /// The Docker Engine's room.
    pub fn containers(&self) -> Option<&Containers> {
        self.containers.as_ref()
    }

    /// The room of namespace nodes.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The room of management networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The room of Open vSwitch.
    pub fn datapath(&self) -> &Datapath {
        &self.datapath
    }

    /// Which commands of nodes run on the host itself.
    pub fn host_commands(&self) -> HostCommands {
        self.settings.host_commands
    }

    /// Where things of this installation are.
    pub fn place(&self) -> &Place {
        &self.settings.place
    }

    /// Names of the host's devices that are not ours; the second set has those of them that are bridges.
    pub async fn devices_of_others(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (networks, devices) = tokio::join!(self.networks.show(), self.with_links(Links::devices_of_others));
        let ours = networks.known().into_iter().flatten().filter(|(_, one)| one.ours);
        named(devices.unwrap_or_default(), &ours.filter_map(|(_, one)| one.bridge).collect())
    }

    /// What is on this host that is not ours. On one thread: each more that has to be woken is one more to wait for.
    ///
    /// # Errors
    /// When networks and ports cannot be read.
    pub async fn others(&self) -> Result<Others, networks::Error> {
        let links = self.links.clone();
        let looked = self.networks.survey_and(move || {
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            (links.devices_of_others(), links.names_of_others())
        });
        let (survey, own, (devices, namespaces)) = looked.await?;
        let (devices, bridges) = named(devices, &own);
        Ok(Others { survey, devices, bridges, namespaces })
    }

    /// The addresses inside a node right now, by the ifindex of the host's device whose peer has them.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub async fn addresses_inside(&self, container: &ContainerName) -> archetype_netns::Result<Addresses> {
        let container = container.clone();
        let read = self.with_links(move |links| links.addresses_inside(&container)).await;
        read.unwrap_or_else(|| Ok(Addresses::new()))
    }

    /// Of nodes that run, the sources of binds at which something else is now than what the node sees there.
    pub async fn replaced_binds(
        &self,
        nodes: Vec<(ContainerName, Vec<Bind>)>,
    ) -> BTreeMap<ContainerName, Vec<PathBuf>> {
        let containers = self.containers.as_ref().map(Containers::show).and_then(|read| read.known().cloned());
        let running = containers.into_iter().chain(self.processes.show().known().cloned()).flatten();
        let process = |node: NodeObserved| match node.run {
            RunObserved::Running { pid, .. } => pid,
            _ => None,
        };
        let running: BTreeMap<_, _> = running.filter_map(|(name, node)| Some((name, process(node)?))).collect();
        let look = move || {
            let nodes = nodes.into_iter().filter_map(|(name, binds)| Some((*running.get(&name)?, name, binds)));
            let looked = nodes.map(|(pid, name, binds)| (name, binds::replaced(pid, &binds)));
            looked.filter(|(_, replaced)| !replaced.is_empty()).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// Works on devices and namespaces on a thread that may wait.
    async fn with_links<R: Send + 'static>(&self, work: impl FnOnce(&mut Links) -> R + Send + 'static) -> Option<R> {
        let links = self.links.clone();
        let run = move || work(&mut links.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(run).await.ok()
    }

    async fn apply_links(&self, spec: &Arc<HostSpec>, steps: Vec<Step>) -> Vec<Outcome> {
        if steps.is_empty() {
            return Vec::new();
        }
        let (spec, kind, nodes) = (spec.clone(), self.datapath.kind(), self.nodes(spec));
        let these = steps.clone();
        let done = self.with_links(move |links| links.apply(&spec, &these, kind, &nodes));
        let done = done.await.unwrap_or_else(|| steps.iter().map(|_| Err("ended early".to_string())).collect());
        steps.into_iter().zip(done).map(|(step, done)| Outcome { step, error: done.err().map(Into::into) }).collect()
    }

    async fn apply_datapath(&self, spec: &HostSpec, steps: Vec<Step>) -> Vec<Outcome> {
        if steps.is_empty() {
            return Vec::new();
        }
        let indexes = self.with_links(Links::ifindexes).await.unwrap_or_default();
        let find = |device: &InterfaceName| indexes.get(device.as_str()).copied();
        self.datapath.apply(spec, &steps, find).await
    }

    async fn apply_networks(&self, spec: &HostSpec, steps: Vec<Step>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            let done = match &step {
                Step::SetNetwork { network } => self.networks.apply_set(spec, network).await,
                Step::RemoveNetwork { network } => self.networks.apply_remove(network).await,
                Step::OpenPassage { bridge } => self.networks.apply_passage(bridge, true).await,
                Step::ClosePassage { bridge } => self.networks.apply_passage(bridge, false).await,
                _ => Ok(()),
            };
            outcomes.push(Outcome { step, error: done.err().map(Into::into) });
        }
        outcomes
    }

    fn begin(&self, spec: &HostSpec, step: Step) -> Outcome {
        let Step::Node { container, action } = &step else { return Outcome { step, error: None } };
        if *action == NodeAction::GiveUp {
            self.containers.iter().for_each(|containers| containers.give_up(container));
            self.processes.give_up(container);
            return Outcome { step, error: None };
        }
        let in_spec = spec.node(container);
        let of_engine = match in_spec {
            Some((_, node)) if *action != NodeAction::Remove => matches!(node.body, NodeBody::Container(_)),
            _ => !self.processes.knows(container),
        };
        let error = if of_engine {
            self.begin_container(spec, container, action)
        } else {
            self.processes.begin(spec, container, action.clone()).err().map(Into::into)
        };
        Outcome { step, error }
    }

    fn begin_container(&self, spec: &HostSpec, container: &ContainerName, action: &NodeAction) -> Option<StepError> {
        let Some(containers) = &self.containers else { return Some(no_engine(container)) };
        let order = match (spec.node(container), action) {
            (None, _) => containers::Order::remove(container.clone()),
            (Some((lab, node)), action) => {
                let known = match action {
                    NodeAction::Exec { index, start } => (self.settings.known_exec)(container, start, *index),
                    _ => None,
                };
                let node = Arc::new(node.clone());
                containers::Order::new(lab.name.clone(), node, action.clone()).adopting(known)
            }
        };
        containers.begin(order);
        None
    }

    /// The nodes that run, or may be about to, of every sort. A container is made before its start is begun; of one that
    /// cannot be read nothing is known, and it may run.
    fn nodes(&self, spec: &HostSpec) -> BTreeMap<ContainerName, NodeObserved> {
        let mut nodes = match self.containers.as_ref().map(Containers::show) {
            Some(Reading::Known(nodes)) => nodes,
            Some(Reading::Unreadable(_)) => {
                let containers = spec.nodes().filter(|(_, node)| matches!(node.body, NodeBody::Container(_)));
                containers.map(|(lab, node)| (node.container.clone(), unread(Mark::of_node(spec, lab, node)))).collect()
            }
            None => BTreeMap::new(),
        };
        nodes.retain(|_, node| node.run != RunObserved::Absent);
        if let Reading::Known(processes) = self.processes.show() {
            nodes.extend(processes);
        }
        nodes
    }
}

#[async_trait]
impl Host for LinuxHost {
    async fn observe(&self) -> Observed {
        let why = "the thread that reads devices ended";
        let unread = || (Reading::Unreadable(why.into()), Reading::Unreadable(why.into()));
        // Nodes before their interfaces: one that was seen running has set them up by the time they
        // are read, and is not taken for one that has shut them.
        let containers = match &self.containers {
            Some(containers) => containers.show(),
            None => Reading::Known(BTreeMap::new()),
        };
        let processes = self.processes.show();
        // Ports before devices: what Open vSwitch does to a device that it takes over is done by the time its port is
        // told to be there.
        let datapath = self.datapath.show();
        let of_networks = async { (self.networks.show().await, self.networks.passages().await) };
        let (links, (networks, passages)) = tokio::join!(self.with_links(Links::show), of_networks);
        let (devices, namespaces) = links.unwrap_or_else(unread);
        Observed { datapath, devices, namespaces, containers, processes, networks, passages }
    }

    fn findings(&self) -> Vec<Finding> {
        self.containers.iter().filter_map(Containers::lacks_runtime).collect()
    }

    async fn full_read(&self) -> u64 {
        self.datapath.look_whether_it_answers();
        let (links, ports, networks) =
            tokio::join!(self.with_links(Links::full_read), self.datapath.audit(), self.networks.full_read());
        if let Some(containers) = self.containers.clone() {
            // The engine may be slow; what it finds rings by itself.
            tokio::spawn(async move { containers.refresh().await });
        }
        links.unwrap_or(0) + ports + networks
    }

    async fn apply(&self, spec: &Arc<HostSpec>, steps: &[Step]) -> Vec<Outcome> {
        let of = |room: fn(&Step) -> bool| steps.iter().filter(|step| room(step)).cloned().collect::<Vec<_>>();
        // First, because they only begin: a container is created while the management network and namespaces are made.
        let nodes: Vec<_> = of(is_node).into_iter().map(|step| self.begin(spec, step)).collect();
        let (networks, links, ports) = tokio::join!(
            self.apply_networks(spec, of(is_network)),
            self.apply_links(spec, of(is_link)),
            self.apply_datapath(spec, of(is_port)),
        );
        networks.into_iter().chain(links).chain(ports).chain(nodes).collect()
    }

    async fn probe(&self, orders: &[ProbeOrder]) -> Vec<ProbeResult> {
        let orders = orders.to_vec();
        let count = orders.len();
        let (links, switch) = (self.links.clone(), self.datapath.door());
        let work = move || {
            let reach = reach(&mut links.lock().unwrap_or_else(PoisonError::into_inner), &orders, switch);
            crate::probe::probe(&orders, &reach)
        };
        let ended = || ProbeResult::NotSent { why: "the thread that probes ended".into() };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| (0..count).map(|_| ended()).collect())
    }
}

/// A container of which nothing is known.
fn unread(mark: Mark) -> NodeObserved {
    NodeObserved {
        id: String::new(),
        mark,
        made_from: String::new(),
        run: RunObserved::Created,
        busy: None,
        privileges: None,
        image: None,
        stand_in: false,
        shares_with: BTreeSet::new(),
        ended_by_hand_ms: None,
    }
}

/// The names of devices, less those of these numbers; the second set has the bridges among them.
fn named(devices: Vec<(u32, String, bool)>, own: &BTreeSet<u32>) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut others = (BTreeSet::new(), BTreeSet::new());
    for (_, name, is_bridge) in devices.into_iter().filter(|(index, ..)| !own.contains(index)) {
        if is_bridge {
            others.1.insert(name.clone());
        }
        others.0.insert(name);
    }
    others
}

/// What the probes of these orders are sent and received with.
fn reach(links: &mut Links, orders: &[ProbeOrder], switch: Option<Door>) -> Reach {
    let nodes: BTreeSet<_> = orders.iter().flat_map(|order| order.ends.iter().map(|end| &end.container)).collect();
    let insides = nodes.into_iter().filter_map(|name| Some((name.clone(), links.reached(name)?))).collect();
    let leads_out = orders.iter().any(|order| !matches!(order.across, Across::Wire));
    let addresses = if leads_out { links.addresses_of_devices() } else { BTreeMap::new() };
    Reach { insides, addresses, switch }
}

/// A container is wanted where `serve` was told to use no engine.
fn no_engine(container: &ContainerName) -> StepError {
    StepError {
        code: "engine-missing".into(),
        message: format!("{container} is a container, and this host has no Docker Engine"),
        hint: "name the engine's socket with `--docker`, or give the node the label `archetype.runtime: namespace`"
            .into(),
    }
}

fn is_network(step: &Step) -> bool {
    use Step::{ClosePassage, OpenPassage, RemoveNetwork, SetNetwork};
    matches!(step, SetNetwork { .. } | RemoveNetwork { .. } | OpenPassage { .. } | ClosePassage { .. })
}

fn is_port(step: &Step) -> bool {
    matches!(step, Step::SetBridge { .. } | Step::AddPort { .. } | Step::SetPort { .. } | Step::RemovePort { .. })
}

fn is_node(step: &Step) -> bool {
    matches!(step, Step::Node { .. })
}

fn is_link(step: &Step) -> bool {
    !is_network(step) && !is_port(step) && !is_node(step)
}

/// Rings whenever the devices' watch has something to say. The room itself reads it; until it has,
/// one ring is enough. What came after it has read wants another one.
async fn ring_when_readable(heard: OwnedFd, times_heard: Arc<AtomicU64>, waker: Waker) {
    // SAFETY: the descriptor is owned by the value that is registered, and is never exchanged in it.
    let registered = unsafe { AsyncFd::register_with_interest(heard, tokio::io::Interest::READABLE) };
    let Ok(heard) = registered else {
        tracing::error!("changes of devices cannot be watched; only the timed full read sees them");
        return;
    };
    while let Ok(mut ready) = heard.readable().await {
        // What comes between the last look and the clearing is told by no other readiness.
        while is_readable(heard.get_ref()) {
            ring_until_heard(&times_heard, &waker).await;
            ready.clear_ready();
        }
        ready.clear_ready();
    }
}

/// Counts changes of filters at devices or bridges, and rings at each. What else the packet filter tells begins no pass:
/// on some hosts it tells something all the time.
async fn count_filters(filters: Arc<AtomicU64>, waker: Waker) {
    let watched = Watch::of_filters().map_err(io::Error::other).and_then(|watch| {
        // SAFETY: the descriptor is owned by the value that is registered, and is never exchanged in it.
        unsafe { AsyncFd::register_with_interest(watch, tokio::io::Interest::READABLE) }.map_err(io::Error::from)
    });
    let mut watch = match watched {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(%error, "filters at devices cannot be watched; only `archetype reconcile` sees them");
            return;
        }
    };
    while let Ok(mut ready) = watch.readable_mut().await {
        let heard = ready.get_inner_mut().read();
        ready.clear_ready();
        // What was lost may have been of any.
        if heard.is_ok_and(|heard| heard.is_empty()) {
            continue;
        }
        filters.fetch_add(1, Ordering::Release);
        waker.ring(Event::Changed(Part::Devices));
    }
}

/// Rings, and waits until the room has read; an agent that has not after a second has missed it.
async fn ring_until_heard(times_heard: &AtomicU64, waker: &Waker) {
    let before = times_heard.load(Ordering::Acquire);
    waker.ring(Event::Changed(Part::Devices));
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if times_heard.load(Ordering::Acquire) != before {
            return;
        }
    }
}

fn is_readable(fd: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd, no waiting.
    unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
}

/// Removes facts of containers of ours that went while no agent was there.
async fn sweep_facts(containers: Containers, place: Place) {
    let known = loop {
        match containers.show() {
            Reading::Known(nodes) => break nodes.into_values().map(|node| node.id).collect::<BTreeSet<_>>(),
            Reading::Unreadable(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    let sweep = move || {
        let entries = std::fs::read_dir(archetype_model::facts::FACTS_FOLDER).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")) {
            let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let ours =
                folder::read(&path).ok().flatten().is_some_and(|facts| &facts.installation == place.installation());
            // What another hand removed meanwhile is removed.
            if ours && !known.contains(id) && folder::remove(&path).is_err() {
                tracing::warn!(path = %path.display(), "facts of a container that is gone could not be removed");
            }
        }
    };
    drop(tokio::task::spawn_blocking(sweep).await);
}

fn open_containers(settings: &LinuxSettings, socket: PathBuf, waker: &Waker) -> Containers {
    let place = settings.place.clone();
    let container_settings = containers::Settings {
        socket,
        runtime: settings.docker_runtime.clone(),
        place: settings.place.clone(),
        deadline: Duration::from_secs(3),
        write_facts: Arc::new(move |node, id| write_container_facts(&place, &node.container, id)),
        remove_facts: Arc::new(remove_container_facts),
        keep_exec: settings.keep_exec.clone(),
        host_commands: settings.host_commands,
    };
    Containers::open(container_settings, waker.clone())
}

/// Puts the facts of a node where the runtime finds them by the container's id.
fn write_container_facts(place: &Place, container: &ContainerName, id: &str) -> std::io::Result<()> {
    let facts = folder::read(&place.facts_file(container)).map_err(std::io::Error::other)?;
    let facts = facts.ok_or_else(|| std::io::Error::other(format!("{container} has no facts yet")))?;
    std::fs::write(place.container_id_file(container), id)?;
    folder::write(&NamespaceFacts::container_path(id), &facts).map_err(std::io::Error::other)
}

fn remove_container_facts(id: &str) -> std::io::Result<()> {
    folder::remove(&NamespaceFacts::container_path(id)).map_err(std::io::Error::other)
}
