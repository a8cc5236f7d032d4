//! Labs for tests: a small description that is easy to draw at random and to edit, the topology it
//! declares, and, told independently of the planner, which ends it joins.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use archetype_model::blueprint::Blueprint;
use archetype_model::topology::{
    EndpointDecl, LinkDecl, LinkKind, MgmtDecl, NetworkMode, NodeDecl, NodeDefinition, Place, Settings, Source,
    Topology,
};
use archetype_plan::blueprint::{
    HostFacts, LabInput, Overrides, PlanInput, PlanSettings, Planned, PortKey, Wanted, plan,
};

/// What a node of a described lab is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Container,
    Namespace,
    /// Without a management network.
    Unmanaged,
    /// A bridge node.
    Bridge,
}

/// A described node.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: u32,
    pub sort: Sort,
    pub ipv4: Option<Ipv4Addr>,
}

/// Where the far end of a described link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Far {
    Node(u32),
    Host,
    Network,
}

/// A described link: its number names its interfaces.
#[derive(Debug, Clone)]
pub struct Link {
    pub id: u32,
    pub near: u32,
    pub far: Far,
    pub mac: Option<&'static str>,
    pub mtu: Option<u32>,
    /// Whether the near end, and the far one, has its port's other name.
    pub respelled: [bool; 2],
}

impl Link {
    /// What an end is called: 0 is the near one.
    pub fn interface(&self, end: usize) -> String {
        format!("{}{}", if self.respelled[end] { "Ethernet" } else { "eth" }, self.id)
    }
}

/// As a kind of device may have it: `eth1` and `Ethernet1` are one port.
pub fn port_key(_kind: &str, name: &str) -> String {
    name.replace("Ethernet", "eth")
}

/// A described lab.
#[derive(Debug, Clone)]
pub struct Lab {
    pub name: String,
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub mgmt: MgmtDecl,
    pub overrides: Overrides,
    /// Wanted gone.
    pub gone: bool,
    /// Counts nodes and links, so that a new one is never an old one.
    pub next: u32,
}

impl Lab {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            nodes: Vec::new(),
            links: Vec::new(),
            mgmt: MgmtDecl::default(),
            overrides: Overrides::default(),
            gone: false,
            next: 1,
        }
    }

    pub fn node(&mut self, sort: Sort) -> u32 {
        let id = self.number();
        self.nodes.push(Node { id, sort, ipv4: None });
        id
    }

    /// Joins two nodes; two bridges or two ends of one node are left alone.
    pub fn link(&mut self, near: u32, far: Far) -> Option<u32> {
        let sort = |id: u32| self.nodes.iter().find(|node| node.id == id).map(|node| node.sort);
        let far_is_bridge = matches!(far, Far::Node(far) if sort(far)? == Sort::Bridge);
        let (near, far) = match (sort(near)?, far) {
            (_, Far::Node(far)) if far == near => return None,
            (Sort::Bridge, Far::Node(other)) if !far_is_bridge => (other, Far::Node(near)),
            (Sort::Bridge, _) => return None,
            _ => (near, far),
        };
        let id = self.number();
        self.links.push(Link { id, near, far, mac: None, mtu: None, respelled: [false; 2] });
        Some(id)
    }

    pub fn remove_node(&mut self, id: u32) {
        self.nodes.retain(|node| node.id != id);
        self.links.retain(|link| link.near != id && link.far != Far::Node(id));
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// The topology it declares.
    pub fn topology(&self) -> Topology {
        Topology {
            name: self.name.parse().unwrap(),
            prefix: None,
            mgmt: self.mgmt.clone(),
            settings: Settings::default(),
            nodes: self.nodes.iter().map(node).collect::<Vec<_>>().into(),
            links: self.links.iter().map(|link| self.declared(link)).collect(),
            source: Source {
                directory: "/labs".into(),
                file: format!("{}.clab.yml", self.name),
                shown: format!("{}.clab.yml", self.name),
                lab_directory: format!("/labs/clab-{}", self.name),
                owner: String::new(),
            },
            positions: BTreeMap::new(),
        }
    }

    fn declared(&self, link: &Link) -> LinkDecl {
        let near = end(Place::Node, &name(link.near), &link.interface(0), link.mac);
        let (kind, far) = match link.far {
            Far::Node(far) => (LinkKind::Veth, end(Place::Node, &name(far), &link.interface(1), None)),
            Far::Host => (LinkKind::Host, end(Place::Host, "host", &format!("h{}-{}", self.name, link.id), None)),
            Far::Network => {
                (LinkKind::MgmtNet, end(Place::MgmtNet, "mgmt-net", &format!("m{}-{}", self.name, link.id), None))
            }
        };
        LinkDecl {
            kind,
            endpoints: vec![near, far],
            mtu: link.mtu.map(|mtu| mtu.try_into().unwrap()),
            labels: BTreeMap::new(),
            vars: BTreeMap::new(),
            position: Default::default(),
        }
    }

    /// Which ends are joined, as `lab/node:interface`: two for a cable, any number for a LAN.
    pub fn joined(&self) -> BTreeSet<BTreeSet<String>> {
        let mut joined = BTreeSet::new();
        let mut lans: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for link in &self.links {
            let shown = |node: u32, end: usize| format!("{}/{}:{}", self.name, name(node), link.interface(end));
            let Far::Node(far) = link.far else { continue };
            match self.nodes.iter().find(|node| node.id == far).unwrap().sort {
                Sort::Bridge => drop(lans.entry(far).or_default().insert(shown(link.near, 0))),
                _ => drop(joined.insert([shown(link.near, 0), shown(far, 1)].into())),
            }
        }
        joined.extend(lans.into_values());
        joined
    }
}

pub fn name(node: u32) -> String {
    format!("n{node}")
}

fn node(node: &Node) -> NodeDecl {
    let mut definition = NodeDefinition { mgmt_ipv4: node.ipv4, ..NodeDefinition::default() };
    let kind = if node.sort == Sort::Bridge { "bridge" } else { "linux" };
    match node.sort {
        Sort::Container => definition.image = Some("alpine:3".into()),
        Sort::Namespace => drop(definition.labels.insert("archetype.runtime".into(), "namespace".into())),
        Sort::Unmanaged => {
            definition.image = Some("alpine:3".into());
            definition.network_mode = Some(NetworkMode::None);
        }
        Sort::Bridge => {}
    }
    NodeDecl::new(name(node.id).parse().unwrap(), kind.into(), definition, Default::default())
}

fn end(place: Place, node: &str, interface: &str, mac: Option<&str>) -> EndpointDecl {
    EndpointDecl {
        place,
        node: node.into(),
        interface: interface.into(),
        linux_interface: Some(interface.parse().unwrap()),
        mac: mac.map(|mac| mac.parse().unwrap()),
        ipv4: None,
        ipv6: None,
        vars: BTreeMap::new(),
        position: Default::default(),
    }
}

/// Everything else that a plan is made from.
#[derive(Debug, Clone)]
pub struct World {
    pub settings: PlanSettings,
    pub facts: HostFacts,
    pub reported_gone: BTreeSet<String>,
    pub port_key: PortKey,
}

impl Default for World {
    fn default() -> Self {
        Self {
            settings: PlanSettings::default(),
            facts: HostFacts::default(),
            reported_gone: BTreeSet::new(),
            port_key,
        }
    }
}

impl World {
    /// Plans the labs on top of a parent.
    pub fn plan(&self, labs: &[Lab], parent: Option<&Blueprint>) -> Planned {
        let topologies: Vec<Topology> = labs.iter().map(Lab::topology).collect();
        let inputs = labs.iter().zip(&topologies).map(|(lab, topology)| LabInput {
            name: lab.name.parse().unwrap(),
            wanted: match lab.gone {
                true => Wanted::Gone,
                false => Wanted::Present { topology, overrides: lab.overrides.clone() },
            },
        });
        plan(&PlanInput {
            installation: "tests".parse().unwrap(),
            incarnation: "one".into(),
            host: "here".parse().unwrap(),
            settings: self.settings.clone(),
            labs: inputs.collect(),
            reported_gone: self.reported_gone.iter().map(|lab| lab.parse().unwrap()).collect(),
            facts: self.facts.clone(),
            parent,
            port_key: self.port_key,
        })
    }
}
