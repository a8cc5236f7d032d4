//! What a topology comes to on one host, before anything is given away: its nodes, what each of
//! their interfaces leads to, and its wires. Follows from file, overrides and which bridge nodes
//! are bridges of the host; knows nothing of tags, addresses and devices of ours.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::name::{BridgeName, InterfaceName, NodeName};
use archetype_model::number::{Mac, Mtu};
use archetype_model::spec::{Carrier, EndRef, LinkId, WireShape};
use archetype_model::topology::{
    CARRIER_LABEL, EndpointDecl, LinkDecl, LinkKind, NetworkMode, NodeDecl, Place, RuntimeKind, Subject, Topology,
};

/// What a topology comes to.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    /// The nodes that something runs for, in file order.
    pub nodes: Vec<&'a NodeDecl>,
    /// The ends at each node, in file order.
    pub ends: BTreeMap<NodeName, Vec<End>>,
    /// The wires, in file order of their first end.
    pub wires: Vec<Wire>,
}

/// An interface that a link of the file makes.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub interface: InterfaceName,
    /// What the file states.
    pub mac: Option<Mac>,
    /// What the file states.
    pub mtu: Option<Mtu>,
    /// The declared link it is an end of.
    pub link: LinkId,
    pub to: To,
}

/// What an interface leads to. Devices are named by the file here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    Wire(LinkId),
    Network { device: InterfaceName },
    Host { device: InterfaceName },
    HostBridge { bridge: BridgeName, device: InterfaceName },
}

impl To {
    /// The device's name where the file gives it.
    pub fn device(&self) -> Option<&InterfaceName> {
        match self {
            Self::Wire(_) => None,
            Self::Network { device } | Self::Host { device } | Self::HostBridge { device, .. } => Some(device),
        }
    }
}

/// A wire and its ends.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub id: LinkId,
    pub shape: WireShape,
    pub ends: Vec<EndRef>,
    pub carrier: Carrier,
}

/// Whether a link is there: neither it nor a node at an end of it is left out.
pub(crate) fn is_in(left_out: &BTreeSet<Subject>, index: usize, link: &LinkDecl) -> bool {
    let node_is_out = |end: &EndpointDecl| {
        end.place == Place::Node
            && NodeName::new(end.node.as_str()).is_ok_and(|node| left_out.contains(&Subject::Node(node)))
    };
    !left_out.contains(&Subject::Link(index)) && !link.endpoints.iter().any(node_is_out)
}

impl<'a> Shape<'a> {
    /// The shape of a topology without what is left out. Links that `check` refuses are not in it.
    pub fn of(topology: &'a Topology, left_out: &BTreeSet<Subject>, host_bridges: &BTreeSet<NodeName>) -> Self {
        let is_left = |node: &&NodeDecl| !left_out.contains(&Subject::Node(node.name.clone()));
        let runs = |node: &&NodeDecl| node.runtime().runs();
        let mut shape = Self {
            nodes: topology.nodes.iter().filter(is_left).filter(runs).collect(),
            ends: BTreeMap::new(),
            wires: Vec::new(),
        };
        for (index, link) in topology.links.iter().enumerate() {
            if is_in(left_out, index, link) {
                shape.take(topology, link, host_bridges);
            }
        }
        shape
    }

    fn take(&mut self, topology: &Topology, link: &LinkDecl, host_bridges: &BTreeSet<NodeName>) {
        let [a, b] = link.endpoints.as_slice() else { return };
        match link.kind {
            LinkKind::Veth | LinkKind::Host | LinkKind::MgmtNet => {}
            _ => return,
        }
        let (Some(near), Some(far)) = (Side::of(topology, a), Side::of(topology, b)) else { return };
        let id = LinkId::between(&near.end_ref(), &far.end_ref());
        match (&near.what, &far.what) {
            (What::Node, What::Node) => self.cable(topology, link, id, [&near, &far]),
            (What::Node, What::Bridge) => self.bridged(link, &id, (&near, &far), host_bridges),
            (What::Bridge, What::Node) => self.bridged(link, &id, (&far, &near), host_bridges),
            (What::Node, What::Host) => self.end(link, &near, &id, To::Host { device: far.interface.clone() }),
            (What::Host, What::Node) => self.end(link, &far, &id, To::Host { device: near.interface.clone() }),
            (What::Node, What::Network) => self.end(link, &near, &id, To::Network { device: far.interface.clone() }),
            (What::Network, What::Node) => self.end(link, &far, &id, To::Network { device: near.interface.clone() }),
            _ => {}
        }
    }

    fn cable(&mut self, topology: &Topology, link: &LinkDecl, id: LinkId, sides: [&Side<'_>; 2]) {
        for side in sides {
            self.end(link, side, &id, To::Wire(id.clone()));
        }
        let (ends, carrier) = (sides.map(Side::end_ref).into(), carrier(topology, link));
        self.wires.push(Wire { id, shape: WireShape::Cable, ends, carrier });
    }

    fn bridged(
        &mut self,
        link: &LinkDecl,
        link_id: &LinkId,
        (node, bridge): (&Side<'_>, &Side<'_>),
        host_bridges: &BTreeSet<NodeName>,
    ) {
        match BridgeName::new(bridge.node.as_str()) {
            Ok(name) if host_bridges.contains(&bridge.node) => {
                self.end(link, node, link_id, To::HostBridge { bridge: name, device: bridge.interface.clone() });
            }
            _ => {
                let id = LinkId::lan(&bridge.node);
                self.end(link, node, link_id, To::Wire(id.clone()));
                match self.wires.iter_mut().find(|wire| wire.id == id) {
                    Some(wire) => wire.ends.push(node.end_ref()),
                    None => self.wires.push(Wire {
                        id,
                        shape: WireShape::Lan,
                        ends: vec![node.end_ref()],
                        carrier: Carrier::Follow,
                    }),
                }
            }
        }
    }

    fn end(&mut self, link: &LinkDecl, side: &Side<'_>, id: &LinkId, to: To) {
        self.ends.entry(side.node.clone()).or_default().push(End {
            interface: side.interface.clone(),
            mac: side.declared.mac,
            mtu: link.mtu,
            link: id.clone(),
            to,
        });
    }

    /// The ends at a node, in file order.
    pub fn ends_of(&self, node: &NodeName) -> &[End] {
        self.ends.get(node).map_or(&[], Vec::as_slice)
    }

    /// The nodes with an `eth0` on the management network, in file order.
    pub fn managed(&self) -> impl Iterator<Item = &'a NodeDecl> + '_ {
        self.nodes.iter().copied().filter(|node| node.is_managed())
    }

    /// Whether anything of it is on a management network.
    pub fn uses_network(&self) -> bool {
        self.managed().next().is_some() || self.all_ends().any(|(_, end)| matches!(end.to, To::Network { .. }))
    }

    /// Every end with its node, nodes in file order.
    pub fn all_ends(&self) -> impl Iterator<Item = (&'a NodeDecl, &End)> {
        self.nodes.iter().flat_map(|node| self.ends_of(&node.name).iter().map(move |end| (*node, end)))
    }
}

/// What becomes of a cable's carrier when one end is shut: as the link's label says, else as that of
/// a node at one of its ends does.
fn carrier(topology: &Topology, link: &LinkDecl) -> Carrier {
    let of_nodes = || {
        let nodes = link.endpoints.iter().filter_map(|end| topology.node(&end.node));
        let mut said = nodes.filter_map(|node| node.definition.labels.get(CARRIER_LABEL));
        said.find(|value| *value == "keep")
    };
    match link.labels.get(CARRIER_LABEL).or_else(of_nodes).map(String::as_str) {
        Some("keep") => Carrier::Keep,
        _ => Carrier::Follow,
    }
}

/// One end of a declared link, resolved: that of a node which uses another's network is the other's.
pub(crate) struct Side<'a> {
    pub node: NodeName,
    pub interface: InterfaceName,
    pub what: What,
    declared: &'a EndpointDecl,
}

/// What stands at the end of a declared link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A node with a namespace of its own.
    Node,
    /// A node in the host's network namespace.
    HostNode,
    /// A bridge node.
    Bridge,
    /// The host, by its name or as a node.
    Host,
    /// The management network.
    Network,
}

impl What {
    /// What a node is to its links.
    fn of(topology: &Topology, node: &NodeDecl) -> Self {
        match node.runtime() {
            RuntimeKind::Bridge => Self::Bridge,
            RuntimeKind::Host => Self::Host,
            _ => match topology.network_owner(node).unwrap_or(node).network_mode() {
                NetworkMode::Host => Self::HostNode,
                _ => Self::Node,
            },
        }
    }
}

impl<'a> Side<'a> {
    /// What stands at an end; none when it is not known or its interface has no name.
    pub fn of(topology: &Topology, declared: &'a EndpointDecl) -> Option<Self> {
        let (what, at) = match declared.place {
            Place::Host => (What::Host, None),
            Place::MgmtNet => (What::Network, None),
            Place::MacvlanParent => return None,
            Place::Node => {
                let node = topology.node(&declared.node)?;
                (What::of(topology, node), Some(node))
            }
        };
        let EndRef { node, interface } = topology.end_ref_at(at, declared)?;
        Some(Self { node, interface, what, declared })
    }

    /// The end as wires name it.
    pub fn end_ref(&self) -> EndRef {
        EndRef { node: self.node.clone(), interface: self.interface.clone() }
    }
}
