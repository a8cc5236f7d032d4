//! One attempt at a plan: some labs are planned anew, the others keep their part. If a lab turns
//! out not to fit, the attempt is void and the next one has it among those that keep their part.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::blueprint::{Allocations, InterfaceAllocation, LabAllocations};
use archetype_model::name::{InstallationId, InterfaceName, LabName, NetworkName, NodeName};
use archetype_model::spec::{EndRef, LabSpec, LinkId, NetworkSpec, Presence, WireShape};
use archetype_model::topology::{Problem, RuntimeKind, Topology};
use archetype_model::{BridgeName, NodeName as Node, Nodes};

use super::input::{Overrides, PlanInput, Wanted};
use super::shape::{Shape, Wire};
use super::spelling::Spelling;
use super::{addresses, devices, macs, networks, nodes, ports, tags};

/// A lab that is planned anew.
#[derive(Debug)]
pub(super) struct Lab<'a> {
    pub name: &'a LabName,
    pub topology: &'a Topology,
    pub overrides: &'a Overrides,
    pub shape: Shape<'a>,
    /// What it holds already.
    pub held: Option<&'a LabAllocations>,
    /// Under which names its interfaces hold it.
    pub spelling: Spelling,
    /// Its bridge nodes that are bridges of the host.
    pub host_bridges: BTreeSet<Node>,
}

impl<'a> Lab<'a> {
    /// What an interface holds.
    pub fn holding(&self, node: &NodeName, interface: &InterfaceName) -> Option<&'a InterfaceAllocation> {
        self.held?.interfaces.get(node)?.get(self.spelling.former(node, interface)?)
    }

    /// The name under which an interface's port came to be, where it is another one than it has now.
    pub fn port<'s>(&'s self, node: &NodeName, interface: &'s InterfaceName) -> Option<&'s InterfaceName> {
        let held = self.holding(node, interface)?;
        let port = held.port.as_ref().or_else(|| self.spelling.former(node, interface));
        port.filter(|port| *port != interface)
    }

    /// The id under which a wire holds its tag; none where an end of it begins anew.
    pub fn held_as(&self, wire: &Wire) -> Option<LinkId> {
        if self.spelling.is_as_before() {
            return Some(wire.id.clone());
        }
        let former = |end: &EndRef| {
            let interface = self.spelling.former(&end.node, &end.interface)?.clone();
            Some(EndRef { node: end.node.clone(), interface })
        };
        match (wire.shape, wire.ends.as_slice()) {
            (WireShape::Cable, [a, b]) => Some(LinkId::between(&former(a)?, &former(b)?)),
            _ => Some(wire.id.clone()),
        }
    }

    /// A problem of the lab, at the place in its file where `path` is stated.
    pub fn problem(&self, code: &'static str, path: &str, message: String) -> Problem {
        let position = self.topology.positions.get(path).copied().unwrap_or_default();
        crate::check::problem(self.topology, code, position, message)
    }
}

/// A lab that keeps its part, or is leaving.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub spec: LabSpec,
    pub held: &'a LabAllocations,
}

impl Kept<'_> {
    /// Whether it is wanted, so that what it is on must stay as it is.
    pub fn is_present(&self) -> bool {
        self.spec.presence == Presence::Present
    }
}

/// Labs that do not fit, and why.
pub(super) type Failures = BTreeMap<LabName, Vec<Problem>>;

/// What an attempt begins with.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub input: &'a PlanInput<'a>,
    /// Labs planned anew: those that hold something first, then by name, so that a newcomer
    /// never takes what another lab could have kept.
    pub labs: Vec<Lab<'a>>,
    pub kept: Vec<Kept<'a>>,
    /// Labs of the parent that are gone for good.
    pub dropped: BTreeSet<LabName>,
    pub failures: Failures,
}

/// Gives names to things on hosts: each number is used once.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub installation: &'a InstallationId,
    pub next: u64,
}

impl Names<'_> {
    /// The next device: `a`, the installation, `-`, the number to base 36.
    pub fn device(&mut self) -> InterfaceName {
        let number = self.number();
        let name = format!("a{}-{number}", self.installation);
        InterfaceName::new(name).expect("seven bytes and fewer than nine digits")
    }

    /// The next bridge of a management network.
    pub fn bridge(&mut self) -> BridgeName {
        let number = self.number();
        let name = format!("br-{}-{number}", self.installation);
        BridgeName::new(name).expect("nine bytes and fewer than seven digits")
    }

    fn number(&mut self) -> String {
        let text = base36(self.next);
        self.next += 1;
        text
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// What an attempt comes to.
#[derive(Debug)]
pub(super) struct Drawn {
    pub labs: Vec<LabSpec>,
    pub networks: Vec<NetworkSpec>,
    pub allocations: Allocations,
}

impl<'a> Attempt<'a> {
    /// Sorts the labs of the input into those planned anew and those that keep their part, which
    /// `frozen` do because they were found not to fit.
    pub fn begin(input: &'a PlanInput<'a>, frozen: &BTreeSet<LabName>) -> Self {
        let mut attempt =
            Self { input, labs: Vec::new(), kept: Vec::new(), dropped: BTreeSet::new(), failures: Failures::new() };
        let mut labs: Vec<_> = input.labs.iter().collect();
        labs.sort_by_key(|lab| (!is_established(input, &lab.name), &lab.name));
        for lab in labs {
            match &lab.wanted {
                Wanted::Present { topology, overrides } if !frozen.contains(&lab.name) => {
                    attempt.labs.push(anew(input, &lab.name, topology, overrides));
                }
                Wanted::Present { .. } => attempt.keep(&lab.name),
                Wanted::Gone => attempt.leave(&lab.name),
            }
        }
        let unnamed = |lab: &&LabName| !input.labs.iter().any(|named| &&named.name == lab);
        let parent = input.parent.and_then(|parent| parent.specs.get(&input.host));
        let lost: Vec<_> = parent.iter().flat_map(|spec| &spec.labs).map(|lab| &lab.name).filter(unnamed).collect();
        lost.into_iter().for_each(|lab| attempt.keep(lab));
        attempt
    }

    fn keep(&mut self, lab: &LabName) {
        if let Some((spec, held)) = former(self.input, lab) {
            self.kept.push(Kept { spec: spec.clone(), held });
        }
    }

    /// A lab wanted gone stays an entry until its host reports nothing of it left; a report that
    /// came before the lab was wanted gone does not count.
    fn leave(&mut self, lab: &LabName) {
        let Some((spec, held)) = former(self.input, lab) else { return };
        if spec.presence == Presence::Gone && self.input.reported_gone.contains(lab) {
            self.dropped.insert(lab.clone());
            return;
        }
        let spec = LabSpec {
            name: lab.clone(),
            presence: Presence::Gone,
            nodes: Nodes::default(),
            wires: Vec::new(),
            hosts: Vec::new(),
        };
        self.kept.push(Kept { spec, held });
    }

    /// Notes that a lab does not fit.
    pub fn fail(&mut self, lab: &LabName, problem: Problem) {
        self.failures.entry(lab.clone()).or_default().push(problem);
    }

    /// Gives everything away and writes the labs' parts, or tells which labs do not fit.
    pub fn draw(mut self) -> Result<Drawn, Failures> {
        let next = self.input.parent.map_or(0, |parent| parent.allocations.next_device);
        let mut names = Names { installation: &self.input.installation, next };
        let mut networks = networks::lay_out(&mut self, &mut names);
        self.stop_if_failed()?;
        let addresses = addresses::give(&mut self, &mut networks);
        let tags = tags::give(&mut self);
        let devices = devices::give(&mut self, &mut names, &networks);
        let macs = macs::give(&mut self);
        let ports = ports::give(&mut self);
        self.stop_if_failed()?;

        let mut allocations = Allocations { next_device: names.next, ..Allocations::default() };
        let mut labs = Vec::new();
        for (index, lab) in self.labs.iter().enumerate() {
            let given = Given {
                tags: &tags[index],
                devices: &devices[index],
                macs: &macs[index],
                addresses: &addresses.labs[index],
                ports: &ports[index],
            };
            labs.push(nodes::write(lab, &self, &networks, &given));
            allocations.labs.insert(lab.name.clone(), given.allocations(lab));
        }
        for kept in &self.kept {
            labs.push(kept.spec.clone());
            allocations.labs.insert(kept.spec.name.clone(), kept.held.clone());
        }
        labs.sort_by(|a, b| a.name.cmp(&b.name));
        allocations.former = addresses.former;
        let used = networks::in_use(&labs);
        let specs = networks.values().filter(|network| used.contains(&network.name)).cloned().collect();
        allocations.networks = networks;
        Ok(Drawn { labs, networks: specs, allocations })
    }

    fn stop_if_failed(&mut self) -> Result<(), Failures> {
        match self.failures.is_empty() {
            true => Ok(()),
            false => Err(std::mem::take(&mut self.failures)),
        }
    }

    /// The management network of a lab.
    pub fn network_of(&self, lab: &Lab<'_>) -> NetworkName {
        lab.topology.mgmt.network.clone().unwrap_or_else(|| self.input.settings.mgmt_network.clone())
    }
}

/// What one lab was given.
pub(super) struct Given<'a> {
    pub tags: &'a BTreeMap<LinkId, archetype_model::VlanTag>,
    pub devices: &'a devices::Devices,
    pub macs: &'a macs::Macs,
    pub addresses: &'a BTreeMap<NodeName, archetype_model::blueprint::AddressAllocation>,
    pub ports: &'a BTreeMap<NodeName, BTreeMap<String, u16>>,
}

impl Given<'_> {
    fn allocations(&self, lab: &Lab<'_>) -> LabAllocations {
        let mut interfaces: BTreeMap<NodeName, BTreeMap<InterfaceName, InterfaceAllocation>> = BTreeMap::new();
        for ((node, interface), mac) in self.macs {
            let device = self.devices.get(&(node.clone(), interface.clone()));
            let allocation = InterfaceAllocation {
                device: device.filter(|device| device.made).map(|device| device.name.clone()),
                mac: mac.made.then_some(mac.mac),
                port: lab.port(node, interface).cloned(),
            };
            interfaces.entry(node.clone()).or_default().insert(interface.clone(), allocation);
        }
        LabAllocations {
            tags: self.tags.clone(),
            interfaces,
            addresses: self.addresses.clone(),
            ports: self.ports.clone(),
            host_bridges: lab.host_bridges.clone(),
        }
    }
}

fn is_established(input: &PlanInput<'_>, lab: &LabName) -> bool {
    input.parent.is_some_and(|parent| parent.allocations.labs.contains_key(lab))
}

fn former<'a>(input: &'a PlanInput<'a>, lab: &LabName) -> Option<(&'a LabSpec, &'a LabAllocations)> {
    let parent = input.parent?;
    Some((parent.lab(&input.host, lab)?, parent.allocations.labs.get(lab)?))
}

fn anew<'a>(input: &'a PlanInput<'a>, name: &'a LabName, topology: &'a Topology, overrides: &'a Overrides) -> Lab<'a> {
    let held = input.parent.and_then(|parent| parent.allocations.labs.get(name));
    let is_hosts = |node: &&archetype_model::topology::NodeDecl| {
        node.runtime() == RuntimeKind::Bridge
            && match held {
                // What a bridge node stands for is not decided anew because the host changed.
                Some(held) if held.host_bridges.contains(&node.name) => true,
                Some(held) if held.tags.contains_key(&LinkId::lan(&node.name)) => false,
                _ => input.facts.bridges.contains(node.name.as_str()),
            }
    };
    let host_bridges = topology.nodes.iter().filter(is_hosts).map(|node| node.name.clone()).collect();
    let shape = Shape::of(topology, &overrides.left_out, &host_bridges);
    let spelling = Spelling::of(&shape, held, input.port_key);
    Lab { name, topology, overrides, shape, held, spelling, host_bridges }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_count_to_base_36() {
        let installation = InstallationId::new("x7k2p").unwrap();
        let mut names = Names { installation: &installation, next: 35 };
        assert_eq!(names.device().as_str(), "ax7k2p-z");
        assert_eq!(names.bridge().as_str(), "br-x7k2p-10");
        names.next = 36u64.pow(6) - 1;
        assert_eq!(names.bridge().as_str().len(), 15);
        names.next = 36u64.pow(8) - 1;
        assert_eq!(names.device().as_str().len(), 15);
    }
}
