//! Steps on devices and namespaces, in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archetype_model::ContainerName;
use archetype_model::facts::{InterfaceFacts, NamespaceFacts};
use archetype_model::observed::{DatapathKind, Mark, NodeObserved, RunObserved};
use archetype_model::spec::{Attachment, HostSpec, InterfaceSpec, LabSpec, NodeSpec};
use archetype_model::step::Step;
use archetype_netns::rtnl::{Link, LinkChange, LinkKey, Socket};
use archetype_netns::{Error, Lock, Namespace, VethOrder, folder, pin, veth};

use super::Links;
use super::facts::{self, controller};
use super::finishing::{Unfinished, is_finished_as_made};
use super::inside::Space;
use super::readdress::{readdress, ways};
use crate::place::Place;

/// Single removals at once: each waits for the same kernel barriers, so many cost what one does.
const REMOVALS: usize = 32;

/// A namespace that nothing holds takes its devices along within this: 60 ms for a hundred nodes.
const GOING: Duration = Duration::from_millis(500);
/// A start makes a namespace as declared in less, as a rule; else the facts are written at the next try.
const START_WITHIN: Duration = Duration::from_millis(50);
/// And several, each of which may have found a lot left by the last run.
const STARTS_WITHIN: Duration = Duration::from_millis(200);

pub(super) type Done = Result<(), Error>;
/// Nodes that run, or may be about to.
pub(super) type Nodes = BTreeMap<ContainerName, NodeObserved>;

impl Links {
    /// Takes the steps of one phase, alike ones together. One answer per step, in order.
    /// `nodes` are those that run, or may be about to.
    pub fn apply(
        &mut self,
        spec: &HostSpec,
        steps: &[Step],
        datapath: DatapathKind,
        nodes: &Nodes,
    ) -> Vec<Result<(), String>> {
        let mut answers: Vec<Option<Done>> = steps.iter().map(|_| None).collect();
        let mut batch = |of: fn(&Step) -> bool, take: &mut dyn FnMut(&[&Step]) -> Vec<Done>| {
            let chosen: Vec<usize> = (0..steps.len()).filter(|at| of(&steps[*at])).collect();
            if chosen.is_empty() {
                return;
            }
            let these: Vec<&Step> = chosen.iter().map(|at| &steps[*at]).collect();
            for (at, answer) in chosen.into_iter().zip(take(&these)) {
                answers[at] = Some(answer);
            }
        };
        batch(|step| matches!(step, Step::MakeNamespace { .. }), &mut |these| self.make_namespaces(spec, these, nodes));
        batch(|step| matches!(step, Step::MakePair { .. }), &mut |these| {
            let made = self.make_pairs(spec, these, nodes);
            let (mut answers, mut due) = (Vec::with_capacity(made.len()), Vec::with_capacity(made.len()));
            for (step, made) in these.iter().zip(made) {
                let index = made.as_ref().ok().copied().filter(|_| !is_finished_as_made(step, nodes));
                due.push(index.map(Unfinished::inside));
                answers.push(made.map(drop));
            }
            self.finish(spec, these, answers, due, nodes)
        });
        batch(|step| matches!(step, Step::SetDevice { .. }), &mut |these| {
            let set = self.set_devices(spec, these);
            let due = self.unfinished(spec, these);
            self.finish(spec, these, set, due, nodes)
        });
        batch(|step| matches!(step, Step::RemoveDevice { .. }), &mut |these| {
            let _locks = self.lock_starts(spec, these);
            remove_devices(these)
        });
        batch(|step| matches!(step, Step::RemoveNamespace { .. }), &mut |these| self.remove_namespaces(these));
        batch(single, &mut |these| these.iter().map(|step| self.one(spec, step, datapath)).collect());
        let missing = || Err("no room takes this step".to_string());
        answers.into_iter().map(|answer| answer.map_or_else(missing, |done| done.map_err(|e| e.to_string()))).collect()
    }

    fn one(&mut self, spec: &HostSpec, step: &Step, datapath: DatapathKind) -> Done {
        match step {
            Step::NameNamespace { container } => {
                pin::publish(&Namespace::open_node(self.place.pin(container))?, container.as_str())
            }
            Step::WriteFacts { container } => self.write_facts(spec, container, datapath),
            _ => Ok(()),
        }
    }

    /// Sets devices of the host, all in one batch.
    fn set_devices(&mut self, spec: &HostSpec, steps: &[&Step]) -> Vec<Done> {
        let indexes = self.ifindexes();
        let held = self.held_by_others();
        let interfaces = spec.nodes().flat_map(|(_, node)| &node.interfaces);
        let interfaces: BTreeMap<_, _> = interfaces.map(|one| (&one.host_device, one)).collect();
        let change = |step: &Step| {
            let Step::SetDevice { device, ifindex, up, controller } = step else {
                return Err(Error::Missing { what: format!("no device is set by: {step}") });
            };
            let mut change = LinkChange::new(LinkKey::Index(*ifindex), Some(*up));
            if let Some(one) = interfaces.get(device) {
                change = change.mtu(spec.host_mtu(one));
            }
            if let Some(bridge) = controller {
                let missing = || Error::Missing { what: format!("bridge {bridge} is missing") };
                change = change.master(*indexes.get(bridge.as_str()).ok_or_else(missing)?);
            } else if interfaces.get(device).is_some_and(|one| matches!(one.attachment, Attachment::Wire { .. }))
                && held.contains(ifindex)
            {
                change = change.master(0);
            }
            Ok(change)
        };
        let (mut answers, mut changes) = (Vec::with_capacity(steps.len()), Vec::new());
        for (at, step) in steps.iter().enumerate() {
            answers.push(change(step).map(|change| changes.push((at, change))));
        }
        let requests: Vec<_> = changes.iter().map(|(_, change)| change.request().clone()).collect();
        match self.host.batch(&requests) {
            Ok(done) => changes.iter().zip(done).for_each(|((at, _), done)| {
                // One that went meanwhile is made again in the next round.
                answers[*at] = match done.map_err(|refusal| refusal.about(format!("{}", steps[*at]))) {
                    Err(error) if error.is_absent() => Ok(()),
                    done => done,
                };
            }),
            Err(error) => changes.iter().for_each(|(at, _)| {
                answers[*at] = Err(Error::Missing { what: error.to_string() });
            }),
        }
        answers
    }

    /// Devices that are ports of anything but the switch.
    fn held_by_others(&mut self) -> BTreeSet<u32> {
        let devices = || self.devices.iter().flat_map(BTreeMap::values);
        let switch: BTreeSet<u32> =
            devices().filter(|link| link.kind == "openvswitch").map(|link| link.index).collect();
        let is_held = |link: &&Link| link.master.is_some_and(|master| !switch.contains(&master));
        devices().filter(is_held).map(|link| link.index).collect()
    }

    fn make_namespaces(&mut self, spec: &HostSpec, steps: &[&Step], nodes: &Nodes) -> Vec<Done> {
        let containers: Vec<&ContainerName> = steps.iter().filter_map(|step| container_of(step)).collect();
        let claimed: Vec<Done> = containers.iter().map(|container| self.claim(spec, container)).collect();
        let living: Vec<Option<Namespace>> = containers
            .iter()
            .map(|container| self.living(spec, container, nodes.get(*container).and_then(first_process)))
            .collect();
        let is_new = |living: &Option<Namespace>, claimed: &Done| living.is_none() && claimed.is_ok();
        let new: Vec<PathBuf> = containers
            .iter()
            .zip(living.iter().zip(&claimed))
            .filter(|(_, (living, claimed))| is_new(living, claimed))
            .map(|(container, _)| self.place.pin(container))
            .collect();
        let mut made = pin::many(&new).into_iter();
        let mut finish = |((container, living), claimed): ((&&ContainerName, Option<Namespace>), Done)| {
            claimed?;
            let missing = || Err(Error::Missing { what: format!("no namespace was made for {container}") });
            let namespace = match living {
                Some(living) => pin::pin_again(&living, &self.place.pin(container)),
                None => made.next().unwrap_or_else(missing),
            }?;
            let published = pin::publish(&namespace, container.as_str());
            self.spaces.insert((*container).clone(), Space::new(namespace));
            // A name that leads to somebody else's namespace is told by the next look.
            if super::public_inode(container).is_ok() { Ok(()) } else { published }
        };
        containers.iter().zip(living).zip(claimed).map(&mut finish).collect()
    }

    /// Writes down whose a namespace will be, before it is there: a pin without a mark is nobody's, and nobody would take
    /// it away. So goes one that an agent left which died between the two.
    fn claim(&self, spec: &HostSpec, container: &ContainerName) -> Done {
        let (lab, node) = node_of(spec, container)?;
        let file = self.place.mark_file(container);
        let is_marked =
            file.try_exists().map_err(|error| Error::system(format!("look for {}", file.display()), error))?;
        if !is_marked {
            pin::detach(&self.place.pin(container))?;
        }
        write(&file, &Mark::of_node(spec, lab, node).to_string())?;
        drop(fs::remove_file(self.place.facts_digest(container)));
        Ok(())
    }

    /// The namespace of a node that runs although its pin is gone, taken away by somebody: that of
    /// its process, or the one that its name still leads to. Only one that has the other ends of
    /// this node's own devices.
    fn living(&mut self, spec: &HostSpec, container: &ContainerName, pid: Option<u32>) -> Option<Namespace> {
        let named = super::public_inode(container).is_ok().then(|| Place::name(container));
        let of_process = pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
        if of_process.is_none() && named.is_none() {
            return None;
        }
        let (lab, node) = spec.node(container)?;
        let is_of =
            |mark: &Mark| mark.installation == spec.installation && mark.lab == lab.name && mark.node == node.name;
        let devices = self.devices().ok()?.values();
        let own: BTreeSet<u32> = devices
            .filter(|link| link.alias.parse().is_ok_and(|mark: Mark| is_of(&mark)))
            .map(|link| link.index)
            .collect();
        of_process.into_iter().chain(named).find_map(|path| {
            let namespace = Namespace::open(&path).ok()?;
            let inside = Space::new(Namespace::open(&path).ok()?).inside(&mut self.host).ok()?;
            inside.keys().any(|peer| own.contains(peer)).then_some(namespace)
        })
    }

    /// Keeps nodes from starting and ending while devices of theirs are removed: a start makes each interface of which it
    /// has read as the facts have it, and fails on one that goes meanwhile. A start that takes too long is not waited for.
    fn lock_starts(&mut self, spec: &HostSpec, steps: &[&Step]) -> Vec<Lock> {
        let until = Instant::now() + STARTS_WITHIN;
        let Ok(devices) = self.devices() else { return Vec::new() };
        let aliases = steps.iter().filter_map(|step| match step {
            Step::RemoveDevice { ifindex, .. } => devices.get(ifindex)?.alias.parse::<Mark>().ok(),
            _ => None,
        });
        let owners: BTreeSet<_> = aliases.map(|mark| (mark.lab, mark.node)).collect();
        let nodes = spec.nodes().filter(|(lab, node)| owners.contains(&(lab.name.clone(), node.name.clone())));
        let paths: Vec<PathBuf> = nodes.map(|(_, node)| self.facts_path(&node.container)).collect();
        let take = |path: PathBuf| {
            let patience = until.saturating_duration_since(Instant::now());
            path.exists().then(|| Lock::take(&path, patience).ok()).flatten()
        };
        paths.into_iter().filter_map(take).collect()
    }

    /// Makes pairs in place, all in one batch; answers the numbers of the host's ends.
    fn make_pairs(&mut self, spec: &HostSpec, steps: &[&Step], nodes: &Nodes) -> Vec<Result<u32, Error>> {
        let indexes = self.ifindexes();
        let mut answers: Vec<Result<u32, Error>> = Vec::with_capacity(steps.len());
        let mut orders = Vec::new();
        let mut ordered = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            answers.push(
                match find(spec, step).and_then(|(lab, node, one)| {
                    let space = self.spaces.get(&node.container);
                    let missing = || Error::Missing { what: format!("the namespace of {} is missing", node.container) };
                    Ok((lab, node, one, space.ok_or_else(missing)?))
                }) {
                    Err(error) => Err(error),
                    Ok((lab, node, one, space)) => {
                        let bridge = controller(spec, one).and_then(|bridge| indexes.get(bridge.as_str()).copied());
                        let host_up = matches!(step, Step::MakePair { up: true, .. });
                        let order = VethOrder { host_up, ..order(spec, lab, node, one, space.namespace(), bridge) };
                        let unfinished = || Mark::of_node(spec, lab, node).to_string();
                        let host_alias = if is_finished_as_made(step, nodes) { order.host_alias } else { unfinished() };
                        orders.push(VethOrder { host_alias, ..order });
                        ordered.push((at, space));
                        Err(Error::Missing { what: format!("the pair {} was not made", one.host_device) })
                    }
                },
            );
        }
        match veth::create(&mut self.host, &orders) {
            Ok(made) => {
                for (((at, space), pair), order) in ordered.into_iter().zip(made).zip(&orders) {
                    answers[at] = match pair {
                        Err(error) if error.is_taken() => make_in_place_of_orphan(&mut self.host, space, order, error),
                        pair => pair.map(|pair| pair.host_index),
                    };
                }
            }
            Err(error) => {
                let words = error.to_string();
                ordered.into_iter().for_each(|(at, _)| answers[at] = Err(Error::Missing { what: words.clone() }));
            }
        }
        self.spaces.values_mut().for_each(Space::forget_if_new);
        self.read_again(&answers.iter().filter_map(|made| made.as_ref().ok().copied()).collect::<Vec<_>>());
        answers
    }

    /// Removes namespaces: the pins and our handles; the kernel takes the pairs along.
    fn remove_namespaces(&mut self, steps: &[&Step]) -> Vec<Done> {
        let containers: Vec<&ContainerName> = steps.iter().filter_map(|step| container_of(step)).collect();
        let devices = self.devices_into(&containers);
        let remove = |container: &ContainerName| {
            self.spaces.remove(container);
            let path = self.place.pin(container);
            if let Ok(namespace) = Namespace::open(&path) {
                pin::unpublish(&namespace, container.as_str())?;
            }
            super::remove_node(&self.place, container)
        };
        let answers = containers.into_iter().map(remove).collect();
        self.wait_until_gone(&devices);
        answers
    }

    /// The host's ends of pairs that lead into these nodes' namespaces.
    fn devices_into(&mut self, containers: &[&ContainerName]) -> Vec<u32> {
        let mut devices = Vec::new();
        for container in containers {
            let Some(space) = self.spaces.get_mut(*container) else { continue };
            devices.extend(space.inside(&mut self.host).into_iter().flatten().map(|(device, _)| device));
        }
        devices
    }

    /// Gives the kernel a moment to take devices along with their namespaces. Were they looked at
    /// before, each would be removed by a step of its own, which costs a barrier each.
    fn wait_until_gone(&mut self, devices: &[u32]) {
        let until = Instant::now() + GOING;
        loop {
            self.hear();
            let left = self.devices().is_ok_and(|now| devices.iter().any(|device| now.contains_key(device)));
            if !left || Instant::now() >= until {
                return;
            }
            std::thread::sleep(GOING / 250);
        }
    }

    fn write_facts(&mut self, spec: &HostSpec, container: &ContainerName, datapath: DatapathKind) -> Done {
        if let Some(space) = self.spaces.get_mut(container) {
            space.forget_notes();
        }
        let (lab, node) = node_of(spec, container)?;
        let facts = facts::of(spec, lab, node, &self.place, datapath);
        // A start that is under way goes by the facts that it has read; without facts there is none.
        let path = self.facts_path(container);
        let _lock = path.exists().then(|| Lock::take(&path, START_WITHIN)).transpose()?;
        self.set_anew(container, &facts)?;
        folder::write(&self.place.facts_file(container), &facts)?;
        // A container that exists has its facts under its id, too, where the runtime looks for them.
        if path != self.place.facts_file(container) {
            folder::write(&path, &facts)?;
        }
        write(&self.place.facts_digest(container), &spec.facts_digest(node))
    }

    /// Sets what the spec says anew of an interface that is there: once, when it is said. From then on
    /// the inside is the node's own again, until its next start.
    fn set_anew(&mut self, container: &ContainerName, facts: &NamespaceFacts) -> Done {
        // What cannot be read was written by nobody who could be running by it.
        let Ok(Some(before)) = folder::read(&self.place.facts_file(container)) else { return Ok(()) };
        let former = |one: &InterfaceFacts| {
            // The mark, and not the name: a port that is spelled in another way is the same port.
            let same =
                |former: &&InterfaceFacts| (&former.peer.alias, &former.peer.name) == (&one.peer.alias, &one.peer.name);
            before.interfaces.iter().find(same)
        };
        let both = facts.interfaces.iter().filter_map(|one| Some((one, former(one)?)));
        let others: Vec<(&InterfaceFacts, &InterfaceFacts)> = both
            .filter(|(one, former)| {
                former.mtu != one.mtu || former.mac != one.mac || ways(&before, former) != ways(facts, one)
            })
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let indexes = self.ifindexes();
        let Some((namespace, inside)) = self.inside(container) else { return Ok(()) };
        let mut socket = namespace.rtnl()?;
        for (one, former) in others {
            let peer = indexes.get(one.peer.name.as_str());
            let Some(inner) = peer.and_then(|peer| inside.get(peer)) else { continue };
            let change = LinkChange::new(LinkKey::Index(inner.ifindex), None);
            if former.mtu != one.mtu {
                socket.change(&change.clone().mtu(one.mtu))?;
            }
            if former.mac != one.mac {
                socket.change(&change.mac(one.mac))?;
            }
            readdress(&mut socket, inner, &ways(&before, former), &ways(facts, one))?;
        }
        Ok(())
    }

    /// The facts by which a node starts: its container's, where it has one.
    pub(super) fn facts_path(&self, container: &ContainerName) -> PathBuf {
        let id = fs::read_to_string(self.place.container_id_file(container));
        id.map_or_else(|_| self.place.facts_file(container), |id| NamespaceFacts::container_path(id.trim()))
    }
}

/// Whether a node runs, and nothing is about to change that.
pub(super) fn runs(node: &NodeObserved) -> bool {
    node.at_work().is_none() && matches!(node.run, RunObserved::Running { .. })
}

/// The first process of a node that runs and has one.
fn first_process(node: &NodeObserved) -> Option<u32> {
    match node.run {
        RunObserved::Running { pid, .. } => pid,
        _ => None,
    }
}

fn single(step: &Step) -> bool {
    matches!(step, Step::NameNamespace { .. } | Step::WriteFacts { .. })
}

fn order<'a>(
    spec: &HostSpec,
    lab: &LabSpec,
    node: &NodeSpec,
    one: &InterfaceSpec,
    namespace: &'a Namespace,
    bridge: Option<u32>,
) -> VethOrder<'a> {
    let mark = Mark::of_port(spec, lab, node, one);
    VethOrder {
        host_name: one.host_device.clone(),
        host_mtu: spec.host_mtu(one),
        host_alias: mark.to_string(),
        host_up: true,
        host_group: 0,
        master: bridge,
        node: namespace.as_fd(),
        node_name: one.name.clone(),
        node_mac: one.mac,
        node_mtu: one.mtu,
    }
}

/// Removes devices, many at once, each only if the name still has the number.
fn remove_devices(steps: &[&Step]) -> Vec<Done> {
    let remove = |step: &Step| {
        let Step::RemoveDevice { ifindex, .. } = step else { return Ok(()) };
        match Socket::open()?.delete(&LinkKey::Index(*ifindex)) {
            Err(error) if error.is_absent() => Ok(()),
            done => done,
        }
    };
    let mut answers = Vec::with_capacity(steps.len());
    for chunk in steps.chunks(REMOVALS) {
        std::thread::scope(|scope| {
            let threads: Vec<_> = chunk.iter().map(|step| scope.spawn(move || remove(step))).collect();
            answers.extend(threads.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(Error::Missing { what: "a removal ended early".into() }))
            }));
        });
    }
    answers
}

/// Makes a pair whose name inside is taken by what is left of a former one; else the refusal stands.
fn make_in_place_of_orphan(
    host: &mut Socket,
    space: &Space,
    order: &VethOrder<'_>,
    refusal: Error,
) -> Result<u32, Error> {
    if !veth::remove_orphan(space.namespace(), order)? {
        return Err(refusal);
    }
    let made = veth::create(host, std::slice::from_ref(order))?.pop();
    made.map_or(Err(refusal), |pair| pair.map(|pair| pair.host_index))
}

fn container_of(step: &Step) -> Option<&ContainerName> {
    match step {
        Step::MakeNamespace { container } | Step::RemoveNamespace { container } => Some(container),
        _ => None,
    }
}

fn node_of<'a>(spec: &'a HostSpec, container: &ContainerName) -> Result<(&'a LabSpec, &'a NodeSpec), Error> {
    spec.node(container).ok_or_else(|| Error::Missing { what: format!("{container} is not in the spec") })
}

fn find<'a>(spec: &'a HostSpec, step: &Step) -> Result<(&'a LabSpec, &'a NodeSpec, &'a InterfaceSpec), Error> {
    let missing = || Error::Missing { what: format!("the spec has nothing for: {step}") };
    let Step::MakePair { container, interface, .. } = step else { return Err(missing()) };
    let (lab, node) = node_of(spec, container)?;
    Ok((lab, node, node.interface(interface).ok_or_else(missing)?))
}

/// Replaces a small file whole.
fn write(path: &Path, text: &str) -> Done {
    if let Some(above) = path.parent() {
        // Others than root may look into it: the node's hosts file is there.
        fs::create_dir_all(above).map_err(|error| Error::system(format!("make {}", above.display()), error))?;
    }
    folder::replace(path, text.as_bytes())
}
