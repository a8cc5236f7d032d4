//! Management addresses: each once, and each within its subnet.

use std::collections::HashMap;
use std::net::IpAddr;

use archetype_model::topology::{NodeDecl, Position, Subject, Subnet, Topology};
use ipnet::IpNet;

use super::Check;

impl Check {
    /// The addresses that nodes and the network itself state.
    pub(super) fn addresses(&mut self, topology: &Topology) {
        self.network(topology);
        if topology.nodes.iter().any(NodeDecl::is_managed) {
            self.usable(topology);
        }
        let mut seen: HashMap<IpAddr, &NodeDecl> = HashMap::new();
        for node in &topology.nodes {
            let stated = [
                ("mgmt-ipv4", node.definition.mgmt_ipv4.map(IpAddr::from)),
                ("mgmt-ipv6", node.definition.mgmt_ipv6.map(IpAddr::from)),
            ];
            for (key, address) in stated {
                let Some(address) = address else { continue };
                let at = topology.position_of_key(node, key);
                if let Some(first) = seen.insert(address, node) {
                    let line = topology.position_of_key(first, key);
                    let message = format!(
                        "management address {address} is given to {} here and to {} at {line}",
                        node.name, first.name
                    );
                    self.add("management-address-twice", at, message).subject = Some(Subject::Node(node.name.clone()));
                }
                if node.is_managed() {
                    self.in_subnet(topology, node, address, at);
                }
            }
        }
    }

    fn in_subnet(&mut self, topology: &Topology, node: &NodeDecl, address: IpAddr, at: Position) {
        let mgmt = &topology.mgmt;
        let (subnet, gateway) = match address {
            IpAddr::V4(_) => (net(mgmt.ipv4()), mgmt.ipv4_gw.map(IpAddr::from)),
            IpAddr::V6(_) => (net(mgmt.ipv6()), mgmt.ipv6_gw.map(IpAddr::from)),
        };
        let name = &node.name;
        let message = match subnet {
            Declared::Auto => return,
            Declared::None => format!("node {name}: {address} is given, but the management network has no such subnet"),
            Declared::Net(net) if !net.contains(&address) => {
                format!("node {name}: {address} is outside of the management subnet {net}")
            }
            Declared::Net(net) if is_end(&net, address) => {
                format!("node {name}: {address} is no host's address in {net}")
            }
            Declared::Net(_) if gateway == Some(address) => {
                format!("node {name}: {address} is the management network's gateway")
            }
            Declared::Net(_) => return,
        };
        // A code of its own where the subnet is only the usual one: an installation may have
        // another.
        let (code, hint) = match mgmt.states_subnet() {
            true => ("management-address-outside", "give the node an address of the subnet, or leave it out"),
            false => ("management-address-outside-default", "state the network's subnets under \"mgmt:\""),
        };
        let problem = self.add(code, at, message);
        problem.hint = Some(hint.into());
        problem.subject = Some(Subject::Node(name.clone()));
    }

    /// Whether nodes can have addresses of the subnets at all.
    fn usable(&mut self, topology: &Topology) {
        let mgmt = &topology.mgmt;
        for (key, subnet) in [("ipv4-subnet", net(mgmt.ipv4())), ("ipv6-subnet", net(mgmt.ipv6()))] {
            let Declared::Net(subnet) = subnet else { continue };
            let overlaps = |other: &IpNet| other.contains(&subnet) || subnet.contains(other);
            let taken = SPECIAL.into_iter().map(|(net, whose)| (net.parse::<IpNet>(), whose));
            let Some((_, whose)) = taken.into_iter().find(|(net, _)| net.as_ref().is_ok_and(overlaps)) else {
                continue;
            };
            let at = topology.positions.get(&format!("mgmt.{key}")).copied().unwrap_or_default();
            let message = format!("no node can have an address of the management subnet {subnet}: {whose}");
            let problem = self.add("not-runnable-value", at, message);
            problem.hint = Some("state a subnet that is free, for instance 172.20.20.0/24, or auto".into());
        }
        let narrow = mgmt.mtu.filter(|mtu| mtu.get() < IPV6_LEAST);
        if let (Some(mtu), Some(_)) = (narrow, mgmt.ipv6_subnet) {
            let at = topology.positions.get("mgmt.mtu").copied().unwrap_or_default();
            let message = format!("mgmt.mtu {mtu} is less than IPv6 needs");
            let problem = self.add("not-runnable-value", at, message);
            problem.hint = Some(format!("state at least {IPV6_LEAST}, or no IPv6 subnet"));
        }
    }

    /// The gateway and the range of the network lie in its subnet.
    fn network(&mut self, topology: &Topology) {
        let mgmt = &topology.mgmt;
        let stated = [
            ("ipv4-gw", net(mgmt.ipv4()), mgmt.ipv4_gw.map(|address| IpNet::from(IpAddr::from(address)))),
            ("ipv6-gw", net(mgmt.ipv6()), mgmt.ipv6_gw.map(|address| IpNet::from(IpAddr::from(address)))),
            ("ipv4-range", net(mgmt.ipv4()), mgmt.ipv4_range.map(IpNet::from)),
            ("ipv6-range", net(mgmt.ipv6()), mgmt.ipv6_range.map(IpNet::from)),
        ];
        for (key, subnet, inner) in stated {
            if let (Declared::Net(subnet), Some(inner)) = (subnet, inner)
                && !subnet.contains(&inner)
            {
                let at = topology.positions.get(&format!("mgmt.{key}")).copied().unwrap_or_default();
                let inner = inner.to_string();
                let shown = inner.trim_end_matches("/32").trim_end_matches("/128");
                let message = format!("mgmt.{key} {shown} is outside of the management subnet {subnet}");
                self.add("management-address-outside", at, message);
            }
        }
    }
}

/// No link that carries IPv6 is smaller (RFC 8200, 5).
const IPV6_LEAST: u32 = 1280;

/// Addresses with a meaning of their own (RFC 6890), and which.
const SPECIAL: [(&str, &str); 7] = [
    ("0.0.0.0/8", "0.0.0.0/8 stands for this network"),
    ("127.0.0.0/8", "127.0.0.0/8 is each machine's own"),
    ("224.0.0.0/4", "224.0.0.0/4 is multicast"),
    ("240.0.0.0/4", "240.0.0.0/4 is reserved"),
    ("::/127", "::1 is each machine's own"),
    ("fe80::/10", "fe80::/10 is each link's own"),
    ("ff00::/8", "ff00::/8 is multicast"),
];

/// A subnet of the management network.
enum Declared {
    None,
    Auto,
    Net(IpNet),
}

fn net<T: Into<IpNet>>(subnet: Option<Subnet<T>>) -> Declared {
    match subnet {
        None => Declared::None,
        Some(Subnet::Auto) => Declared::Auto,
        Some(Subnet::Net(net)) => Declared::Net(net.into()),
    }
}

/// Whether an IPv4 address is its subnet's own or its broadcast address, an IPv6 one its own.
fn is_end(subnet: &IpNet, address: IpAddr) -> bool {
    let wide = subnet.prefix_len() + 1 < subnet.max_prefix_len();
    wide && (subnet.network() == address || (address.is_ipv4() && subnet.broadcast() == address))
}
