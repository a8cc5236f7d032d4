//! From a node's spec to the facts that the runtime reads at each start.

use std::collections::BTreeMap;
use std::net::IpAddr;

use archetype_model::InterfaceName;
use archetype_model::facts::{FACTS_FORMAT, InterfaceFacts, NamespaceFacts, PeerFacts, RouteFacts};
use archetype_model::observed::{DatapathKind, Mark};
use archetype_model::spec::{Attachment, HostSpec, InterfaceSpec, LabSpec, NodeSpec};
use ipnet::IpNet;

use crate::place::Place;

/// What is to be in a node's namespace at each start.
pub fn of(spec: &HostSpec, lab: &LabSpec, node: &NodeSpec, place: &Place, datapath: DatapathKind) -> NamespaceFacts {
    NamespaceFacts {
        format: FACTS_FORMAT,
        installation: spec.installation.clone(),
        node: node.container.clone(),
        lab: lab.name.clone(),
        namespace: place.pin(&node.container),
        host_namespace: None,
        interfaces: node.interfaces.iter().map(|one| interface(spec, lab, node, one, datapath)).collect(),
        routes: node.interfaces.iter().flat_map(|one| routes(spec, one)).collect(),
        sysctls: sysctls(node),
    }
}

/// What the file states, over what a node finds on a host with Docker: a kernel gives new
/// namespaces the machine's own `ip_forward`, which Docker sets, and routers rely on it.
fn sysctls(node: &NodeSpec) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("net.ipv4.ip_forward".to_string(), "1".to_string())]);
    all.extend(node.sysctls().clone());
    all
}

fn interface(
    spec: &HostSpec,
    lab: &LabSpec,
    node: &NodeSpec,
    one: &InterfaceSpec,
    datapath: DatapathKind,
) -> InterfaceFacts {
    let mark = Mark::of_port(spec, lab, node, one);
    let on_wire = matches!(one.attachment, Attachment::Wire { .. });
    InterfaceFacts {
        name: one.name.clone(),
        altnames: Vec::new(),
        mac: one.mac,
        mtu: one.mtu,
        peer: PeerFacts {
            name: one.host_device.clone(),
            index: None,
            mtu: spec.host_mtu(one),
            alias: mark.to_string(),
            group: 0,
            master: controller(spec, one),
        },
        addresses: addresses(spec, one),
        // A userspace datapath hands on frames whose checksums the kernel has put off: TCP dies.
        tx_checksum_offload: !(on_wire && datapath == DatapathKind::Userspace),
        up: true,
    }
}

/// The Linux bridge that the host's end is a port of.
pub(super) fn controller(spec: &HostSpec, one: &InterfaceSpec) -> Option<InterfaceName> {
    let bridge = match &one.attachment {
        Attachment::Network { network, .. } => spec.network_bridge(network)?,
        Attachment::ForeignBridge { bridge } => bridge,
        Attachment::Wire { .. } | Attachment::Host => return None,
    };
    InterfaceName::new(bridge.as_str()).ok()
}

fn addresses(spec: &HostSpec, one: &InterfaceSpec) -> Vec<IpNet> {
    let Attachment::Network { network, ipv4, ipv6, .. } = &one.attachment else { return Vec::new() };
    let Some(network) = spec.network(network) else { return Vec::new() };
    let prefix4 = network.ipv4.as_ref().map(|subnet| subnet.net.prefix_len());
    let prefix6 = network.ipv6.as_ref().map(|subnet| subnet.net.prefix_len());
    let with = |address: Option<IpAddr>, prefix: Option<u8>| IpNet::new(address?, prefix?).ok();
    [with(ipv4.map(IpAddr::from), prefix4), with(ipv6.map(IpAddr::from), prefix6)].into_iter().flatten().collect()
}

fn routes(spec: &HostSpec, one: &InterfaceSpec) -> Vec<RouteFacts> {
    let Attachment::Network { network, ipv4, ipv6, primary: true } = &one.attachment else { return Vec::new() };
    let Some(network) = spec.network(network) else { return Vec::new() };
    let gateway4 = ipv4.and(network.ipv4.as_ref()).map(|subnet| IpAddr::from(subnet.gateway));
    let gateway6 = ipv6.and(network.ipv6.as_ref()).map(|subnet| IpAddr::from(subnet.gateway));
    let route = |via: IpAddr| RouteFacts { dst: None, via, dev: one.name.clone() };
    [gateway4, gateway6].into_iter().flatten().map(route).collect()
}
