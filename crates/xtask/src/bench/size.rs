//! How large a measured lab is, and the spec of such a lab. Knows nothing of how it is built.

use archetype_model::spec::{
    Attachment, Carrier, DesiredLink, DesiredRun, EndRef, FORMAT, HostSpec, InterfaceSpec, LabSpec, LinkId,
    NamespaceBody, NodeBody, NodeSpec, Presence, WireShape, WireSpec,
};
use archetype_model::{Generation, InterfaceName, Mac, Mtu, VlanTag};
use archetype_plan::diff::DatapathSettings;

/// The bridge of every measurement.
pub const BRIDGE: &str = "arch-ovs";
/// Whose the devices are.
pub const INSTALLATION: &str = "ab1c2";

/// Nodes and links. Link `i` leads from node `i % nodes` a little further round the ring each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub nodes: usize,
    pub links: usize,
}

impl Size {
    /// The nodes at the ends of a link.
    pub fn ends(self, link: usize) -> (usize, usize) {
        let from = link % self.nodes;
        (from, (from + 1 + (link / self.nodes) % (self.nodes - 1).max(1)) % self.nodes)
    }
}

/// The datapath that all measurements use.
pub fn datapath() -> DatapathSettings {
    DatapathSettings {
        bridge: BRIDGE.parse().expect("a bridge's name"),
        tags: (tag(1), tag(4094)),
        dead_tag: tag(4094),
    }
}

/// A tag in range.
pub fn tag(value: usize) -> VlanTag {
    u16::try_from(value).ok().and_then(|value| VlanTag::new(value).ok()).expect("a tag in range")
}

/// The spec of one lab of that size: namespace nodes, cables, no management network.
pub fn spec(size: Size, generation: u64) -> HostSpec {
    let mut nodes: Vec<NodeSpec> = (0..size.nodes).map(node).collect();
    let wires = (0..size.links).map(|link| wire(&mut nodes, size, link)).collect();
    let name = "bench".parse().expect("a lab's name");
    HostSpec {
        format: FORMAT,
        installation: INSTALLATION.parse().expect("an installation's id"),
        host: "host1".parse().expect("a host's name"),
        generation: Generation { incarnation: "bench".into(), number: generation },
        networks: Vec::new(),
        labs: vec![LabSpec { name, presence: Presence::Present, nodes: nodes.into(), wires, hosts: Vec::new() }],
    }
}

/// The spec in which that lab is to be gone.
pub fn gone(spec: &HostSpec, generation: u64) -> HostSpec {
    let mut spec = spec.clone();
    spec.generation.number = generation;
    for lab in &mut spec.labs {
        lab.presence = Presence::Gone;
        lab.nodes.clear();
        lab.wires.clear();
        lab.hosts.clear();
    }
    spec
}

fn node(number: usize) -> NodeSpec {
    NodeSpec {
        name: format!("n{number}").parse().expect("a node's name"),
        container: format!("clab-bench-n{number}").parse().expect("a container's name"),
        kind: "linux".into(),
        body: NodeBody::Namespace(NamespaceBody::default()),
        desired: DesiredRun::Running,
        restarts: 0,
        restart: Default::default(),
        stages: Default::default(),
        interfaces: Vec::new(),
        execs: Vec::new(),
    }
}

fn wire(nodes: &mut [NodeSpec], size: Size, link: usize) -> WireSpec {
    let (a, b) = size.ends(link);
    let end = |at: usize| {
        let name = format!("eth{}", nodes[at].interfaces.len() + 1);
        EndRef { node: nodes[at].name.clone(), interface: name.parse().expect("an interface's name") }
    };
    let ends = [end(a), end(b)];
    let id = LinkId::between(&ends[0], &ends[1]);
    for (side, (at, end)) in [a, b].into_iter().zip(&ends).enumerate() {
        let attachment = Attachment::Wire { wire: id.clone() };
        nodes[at].interfaces.push(interface(end.interface.clone(), attachment, 2 * link + side));
    }
    WireSpec {
        id,
        shape: WireShape::Cable,
        ends: ends.to_vec(),
        desired: DesiredLink::Up,
        carrier: Carrier::Follow,
        tag: tag(link + 1),
    }
}

fn interface(name: InterfaceName, attachment: Attachment, number: usize) -> InterfaceSpec {
    InterfaceSpec {
        name,
        port: None,
        mac: mac(0, number),
        mtu: Mtu::LAB_DEFAULT,
        host_device: format!("a{INSTALLATION}-{number}").parse().expect("a device's name"),
        attachment,
        desired: DesiredLink::Up,
    }
}

/// A hardware address of our own, by a series and a number.
pub fn mac(series: u8, number: usize) -> Mac {
    let [.., b, c, d] = u32::try_from(number).unwrap_or(0).to_be_bytes();
    Mac::new([0xaa, 0xc1, 0xab, series.wrapping_add(b), c, d]).expect("a unicast address")
}
