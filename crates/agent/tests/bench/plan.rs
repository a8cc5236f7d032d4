//! Small specs of namespace nodes: which node is on which wire is all they say.

use std::collections::BTreeMap;

use archetype_model::spec::{
    Attachment, Carrier, DesiredLink, DesiredRun, EndRef, FORMAT, HostSpec, InterfaceSpec, LabSpec, LinkId,
    NamespaceBody, NodeBody, NodeSpec, Presence, WireShape, WireSpec,
};
use archetype_model::{Generation, Mac, Mtu, VlanTag};
use archetype_plan::diff::DatapathSettings;

/// How many nodes there are, and for each wire the nodes at its ends.
#[derive(Debug, Clone)]
pub struct Plan {
    pub nodes: usize,
    pub wires: Vec<(WireShape, Vec<usize>)>,
}

impl Plan {
    /// Cables between pairs of nodes.
    pub fn cables(nodes: usize, pairs: &[(usize, usize)]) -> Self {
        let wires = pairs.iter().map(|(a, b)| (WireShape::Cable, vec![*a, *b])).collect();
        Self { nodes, wires }
    }

    /// One LAN of so many nodes, each with one interface on it.
    pub fn lan(nodes: usize) -> Self {
        Self { nodes, wires: vec![(WireShape::Lan, (0..nodes).collect())] }
    }

    /// The spec, as version `number`. Host's names are counted on from `number * 100`, so that no
    /// two versions share one.
    pub fn spec(&self, number: u64) -> HostSpec {
        let mut nodes: Vec<NodeSpec> = (0..self.nodes).map(node).collect();
        let mut device = u32::try_from(number * 100).unwrap();
        let wires = self.wires.iter().enumerate().map(|(at, (shape, members))| {
            let id = id(&nodes, at, *shape, members);
            let ends = members.iter().map(|member| {
                device += 1;
                plug(&mut nodes[*member], &id, device)
            });
            let ends = ends.collect();
            let tag = VlanTag::new(u16::try_from(100 + 7 * at).unwrap()).unwrap();
            WireSpec { id, shape: *shape, ends, desired: DesiredLink::Up, carrier: Carrier::Follow, tag }
        });
        let wires = wires.collect();
        let lab = LabSpec {
            name: "lab0".parse().unwrap(),
            presence: Presence::Present,
            nodes: nodes.into(),
            wires,
            hosts: Vec::new(),
        };
        HostSpec {
            format: FORMAT,
            installation: "ab1c2".parse().unwrap(),
            host: "host1".parse().unwrap(),
            generation: Generation { incarnation: "one".into(), number },
            labs: vec![lab],
            networks: Vec::new(),
        }
    }
}

/// The datapath that all of these specs are for.
pub fn datapath() -> DatapathSettings {
    let tag = |value| VlanTag::new(value).unwrap();
    DatapathSettings { bridge: "arch-ovs".parse().unwrap(), tags: (tag(1), tag(4094)), dead_tag: tag(4094) }
}

/// A wire's id: a cable's by its ends as they will be, a LAN's by a name.
fn id(nodes: &[NodeSpec], at: usize, shape: WireShape, members: &[usize]) -> LinkId {
    if shape == WireShape::Lan {
        return LinkId::lan(&format!("lan{at}").parse().unwrap());
    }
    let (a, b) = (members[0], members[1]);
    LinkId::between(&next_end(&nodes[a], 0), &next_end(&nodes[b], usize::from(a == b)))
}

fn next_end(node: &NodeSpec, more: usize) -> EndRef {
    let interface = format!("eth{}", node.interfaces.len() + 1 + more).parse().unwrap();
    EndRef { node: node.name.clone(), interface }
}

/// Gives a node its next interface, on a wire.
fn plug(node: &mut NodeSpec, wire: &LinkId, device: u32) -> EndRef {
    let end = next_end(node, 0);
    let [.., c, d] = device.to_be_bytes();
    node.interfaces.push(InterfaceSpec {
        name: end.interface.clone(),
        port: None,
        mac: Mac::new([0xaa, 0xc1, 0xab, 0, c, d]).unwrap(),
        mtu: Mtu::LAB_DEFAULT,
        host_device: format!("aab1c2-{device}").parse().unwrap(),
        attachment: Attachment::Wire { wire: wire.clone() },
        desired: DesiredLink::Up,
    });
    end
}

/// A node that says nothing by itself: no process, no IPv6.
fn node(number: usize) -> NodeSpec {
    let quiet = ["all", "default"].map(|of| (format!("net.ipv6.conf.{of}.disable_ipv6"), "1".to_string()));
    let body = NamespaceBody { sysctls: BTreeMap::from(quiet), ..NamespaceBody::default() };
    NodeSpec {
        name: format!("n{number}").parse().unwrap(),
        container: format!("clab-lab0-n{number}").parse().unwrap(),
        kind: "linux".into(),
        body: NodeBody::Namespace(body),
        desired: DesiredRun::Running,
        restarts: 0,
        restart: Default::default(),
        stages: Default::default(),
        interfaces: Vec::new(),
        execs: Vec::new(),
    }
}
