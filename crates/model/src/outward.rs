//! Links of a lab that lead to something of its host: a device of the host, a bridge of the host,
//! the bridge of a management network. What they are follows from a lab's part of a spec alone, so
//! agent and controller mean the same by their ids.

use std::collections::BTreeSet;

use crate::name::{BridgeName, InterfaceName, LabName, NetworkName, NodeName};
use crate::spec::{Attachment, EndRef, HostSpec, InterfaceSpec, LabSpec, LinkId, WireShape};
use crate::topology::HOST;

/// The name by which topologies call the management network as the end of a link.
const MANAGEMENT: &str = "mgmt-net";

/// A link that leads out of its lab; for a bridge of the host, all links of the lab to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outward<'a> {
    /// Its id, unique within the lab. For a bridge of the host, that of a LAN of its name.
    pub id: LinkId,
    /// Its ends in the lab; more than one only at a bridge of the host.
    pub ends: Vec<EndRef>,
    /// What it leads to.
    pub to: OutwardTo<'a>,
}

/// What a link out of a lab leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutwardTo<'a> {
    /// The host: its own end of the pair is for it to use.
    Host,
    /// A bridge of the host that is not ours.
    Bridge(&'a BridgeName),
    /// A management network, beside the node's `eth0`.
    Network(&'a NetworkName),
}

impl Outward<'_> {
    /// Whether it has the shape of a cable, or of a LAN with several members.
    pub fn shape(&self) -> WireShape {
        match self.to {
            OutwardTo::Bridge(_) => WireShape::Lan,
            OutwardTo::Host | OutwardTo::Network(_) => WireShape::Cable,
        }
    }

    /// The Linux bridge that its host's ends are ports of.
    pub fn bridge<'s>(&'s self, spec: &'s HostSpec) -> Option<&'s BridgeName> {
        match &self.to {
            OutwardTo::Host => None,
            OutwardTo::Bridge(bridge) => Some(bridge),
            OutwardTo::Network(name) => spec.network_bridge(name),
        }
    }
}

impl LabSpec {
    /// The links that lead out of the lab, in spec order. The `eth0` of the management network is
    /// not one: no file declares it.
    pub fn outward(&self) -> Vec<Outward<'_>> {
        let mut all: Vec<Outward<'_>> = Vec::new();
        for node in &self.nodes {
            for interface in &node.interfaces {
                if !leads_out(interface) {
                    continue;
                }
                let end = EndRef { node: node.name.clone(), interface: interface.name.clone() };
                let Some((id, to)) = leads_to(&end, interface) else { continue };
                let is_shared = matches!(to, OutwardTo::Bridge(_));
                match all.iter_mut().find(|known| is_shared && known.id == id) {
                    Some(known) => known.ends.push(end),
                    None => all.push(Outward { id, ends: vec![end], to }),
                }
            }
        }
        all
    }
}

impl HostSpec {
    /// Every link that leads out of a lab that is wanted, with its lab.
    pub fn outward(&self) -> impl Iterator<Item = (&LabName, &LabSpec, Outward<'_>)> {
        self.present().flat_map(|lab| lab.outward().into_iter().map(move |outward| (&lab.name, lab, outward)))
    }

    /// The bridges of the host, none of them ours, that ports of wanted labs are on.
    pub fn foreign_bridges(&self) -> BTreeSet<&BridgeName> {
        let interfaces = self.nodes().flat_map(|(_, node)| &node.interfaces);
        let bridges = interfaces.filter_map(|interface| match &interface.attachment {
            Attachment::ForeignBridge { bridge } => Some(bridge),
            _ => None,
        });
        bridges.collect()
    }

    /// The bridge of a management network.
    pub fn network_bridge(&self, name: &NetworkName) -> Option<&BridgeName> {
        self.network(name).map(|network| &network.bridge)
    }
}

fn leads_out(interface: &InterfaceSpec) -> bool {
    !matches!(interface.attachment, Attachment::Wire { .. } | Attachment::Network { primary: true, .. })
}

fn leads_to<'a>(end: &EndRef, interface: &'a InterfaceSpec) -> Option<(LinkId, OutwardTo<'a>)> {
    let far = |name: &str, device: &InterfaceName| {
        let node = NodeName::new(name).ok()?;
        Some(LinkId::between(end, &EndRef { node, interface: device.clone() }))
    };
    match &interface.attachment {
        Attachment::Wire { .. } | Attachment::Network { primary: true, .. } => None,
        Attachment::Host => Some((far(HOST, &interface.host_device)?, OutwardTo::Host)),
        Attachment::Network { network, .. } => {
            Some((far(MANAGEMENT, &interface.host_device)?, OutwardTo::Network(network)))
        }
        Attachment::ForeignBridge { bridge } => {
            Some((LinkId::lan(&NodeName::new(bridge.as_str()).ok()?), OutwardTo::Bridge(bridge)))
        }
    }
}
