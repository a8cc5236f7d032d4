//! What one host is to make of a management network: the network itself, the ports published from
//! it and the names of its nodes, gathered from a spec.
//!
//! Plan and host both gather it from here, so both mean the same by its digests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::name::{ContainerName, LabName, NetworkName};
use crate::spec::{Attachment, DnsSpec, HostSpec, HostsLine, LabSpec, NetworkSpec, NodeBody, NodeSpec, PublishedPort};

/// Everything wanted of one management network on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkWanted {
    /// The network.
    pub network: NetworkSpec,
    /// Every port published from it, in order of port.
    pub ports: Vec<PortWanted>,
    /// What the nodes on it see of names.
    pub nodes: BTreeMap<ContainerName, NamesWanted>,
    /// The names of each lab that has a node on it.
    pub labs: BTreeMap<LabName, LabNames>,
}

/// A published port and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortWanted {
    /// The port of the host and of the node.
    pub port: PublishedPort,
    /// The node.
    pub container: ContainerName,
    /// Its IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
}

/// The names of one lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabNames {
    /// Its lines in its nodes' hosts files.
    pub inside: Vec<HostsLine>,
    /// Its lines in the host's own hosts file.
    pub host: Vec<HostsLine>,
}

/// What a node sees of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesWanted {
    /// Its lab.
    pub lab: LabName,
    /// What its hosts file has after the lines of its lab: those the topology adds for it alone.
    pub extra: Vec<HostsLine>,
    /// Its resolver settings; empty lists mean the host's own.
    pub dns: DnsSpec,
}

impl HostSpec {
    /// What is wanted of the management network `name`; none when the spec does not have it.
    pub fn network_wanted(&self, name: &NetworkName) -> Option<NetworkWanted> {
        let network = self.network(name)?.clone();
        let mut wanted = NetworkWanted { network, ports: Vec::new(), nodes: BTreeMap::new(), labs: BTreeMap::new() };
        for lab in self.present() {
            let members = lab.nodes.iter().filter(|node| wanted.take(lab, node)).count();
            if members > 0 {
                let names = LabNames { inside: lab.hosts.clone(), host: host_lines(lab) };
                wanted.labs.insert(lab.name.clone(), names);
            }
        }
        wanted.ports.sort();
        Some(wanted)
    }

    /// The digest of a network's rules, as an observation reports it when the host has them.
    /// Empty when the spec does not have the network.
    pub fn network_rules_digest(&self, name: &NetworkName) -> String {
        self.network_wanted(name).map(|wanted| wanted.rules_digest()).unwrap_or_default()
    }

    /// The digest of a network's names, as an observation reports it when the host has them.
    /// Empty when the spec does not have the network.
    pub fn network_hosts_digest(&self, name: &NetworkName) -> String {
        self.network_wanted(name).map(|wanted| wanted.hosts_digest()).unwrap_or_default()
    }
}

impl NetworkWanted {
    /// The digest of the network, its way out and its published ports.
    pub fn rules_digest(&self) -> String {
        crate::digest(&(&self.network, &self.ports))
    }

    /// The digest of the names that nodes and host see.
    pub fn hosts_digest(&self) -> String {
        crate::digest(&(&self.nodes, &self.labs))
    }

    /// Adds a node whose `eth0` is on this network; says whether it was one.
    fn take(&mut self, lab: &LabSpec, node: &NodeSpec) -> bool {
        let found = node.interfaces.iter().find_map(|interface| match &interface.attachment {
            Attachment::Network { network, ipv4, ipv6, primary: true } if network == &self.network.name => {
                Some((*ipv4, *ipv6))
            }
            _ => None,
        });
        let Some((ipv4, ipv6)) = found else { return false };
        let container = &node.container;
        let ports = node.ports().iter().cloned();
        self.ports.extend(ports.map(|port| PortWanted { port, container: container.clone(), ipv4, ipv6 }));
        let names = NamesWanted { lab: lab.name.clone(), extra: self.extra_lines(lab, node), dns: dns_of(node) };
        self.nodes.insert(container.clone(), names);
        true
    }

    /// The lines that the file adds for a node alone (`name:address`, where the address
    /// `host-gateway` is the host's own on this network), but for those its lab has anyway.
    fn extra_lines(&self, lab: &LabSpec, node: &NodeSpec) -> Vec<HostsLine> {
        let lines = extra_hosts(node).iter().filter_map(|extra| {
            let (name, address) = extra.split_once([':', '='])?;
            let address = match address.trim_matches(['[', ']']) {
                "host-gateway" => self.gateway()?,
                address => address.parse().ok()?,
            };
            Some(HostsLine { address, names: vec![name.to_owned()] })
        });
        lines.filter(|line| !lab.hosts.contains(line)).collect()
    }

    fn gateway(&self) -> Option<IpAddr> {
        let ipv4 = self.network.ipv4.as_ref().map(|subnet| IpAddr::V4(subnet.gateway));
        ipv4.or_else(|| self.network.ipv6.as_ref().map(|subnet| IpAddr::V6(subnet.gateway)))
    }
}

fn extra_hosts(node: &NodeSpec) -> &[String] {
    match &node.body {
        NodeBody::Container(body) => &body.extra_hosts,
        NodeBody::Namespace(_) => &[],
    }
}

fn dns_of(node: &NodeSpec) -> DnsSpec {
    match &node.body {
        NodeBody::Container(body) => body.dns.clone(),
        NodeBody::Namespace(body) => body.dns.as_deref().cloned().unwrap_or_default(),
    }
}

/// A lab's lines for the host: each address once, under the node's name on the host alone. Short
/// names and aliases stay inside the lab: on the host they would hide names of the real world, and
/// two labs may use the same ones.
fn host_lines(lab: &LabSpec) -> Vec<HostsLine> {
    let containers: BTreeSet<&str> = lab.nodes.iter().map(|node| node.container.as_str()).collect();
    let mut seen = BTreeSet::new();
    let named = lab.hosts.iter().filter_map(|line| {
        let own = line.names.iter().find(|name| containers.contains(name.as_str()));
        Some((line.address, own.or(line.names.first())?))
    });
    let lines = named.filter(|line| seen.insert(*line));
    lines.map(|(address, name)| HostsLine { address, names: vec![name.clone()] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{Generation, Mac, Mtu};
    use crate::spec::{ContainerBody, DesiredRun, InterfaceSpec, Presence, Subnet};

    fn line(address: &str, names: &[&str]) -> HostsLine {
        HostsLine { address: address.parse().unwrap(), names: names.iter().map(ToString::to_string).collect() }
    }

    fn node(number: usize) -> NodeSpec {
        let [.., high, low] = number.to_be_bytes();
        let eth0 = InterfaceSpec {
            name: "eth0".parse().unwrap(),
            port: None,
            mac: Mac::new([0xaa, 0xc1, 0xab, 0, high, low]).unwrap(),
            mtu: Mtu::new(1500).unwrap(),
            host_device: format!("aab1c2-{number}").parse().unwrap(),
            attachment: Attachment::Network {
                network: "clab".parse().unwrap(),
                ipv4: Some(Ipv4Addr::new(172, 20, high, low)),
                ipv6: None,
                primary: true,
            },
            desired: crate::spec::DesiredLink::Up,
        };
        NodeSpec {
            name: format!("n{number}").parse().unwrap(),
            container: format!("clab-x-n{number}").parse().unwrap(),
            kind: "linux".to_owned(),
            body: NodeBody::Container(Box::default()),
            desired: DesiredRun::Running,
            restarts: 0,
            restart: Default::default(),
            stages: Default::default(),
            interfaces: vec![eth0],
            execs: Vec::new(),
        }
    }

    /// A lab of nodes on one network, each known to all by its short name, its name on the host and
    /// an alias.
    fn spec(nodes: usize) -> HostSpec {
        let nodes: Vec<NodeSpec> = (2..nodes + 2).map(node).collect();
        let hosts = nodes.iter().map(|node| {
            let Attachment::Network { ipv4: Some(ipv4), .. } = node.interfaces[0].attachment else { unreachable!() };
            let names = vec![node.name.to_string(), node.container.to_string(), format!("{}-www", node.name)];
            HostsLine { address: ipv4.into(), names }
        });
        let hosts = hosts.collect();
        let subnet =
            Subnet { net: "172.20.0.0/16".parse().unwrap(), gateway: Ipv4Addr::new(172, 20, 0, 1), guests: None };
        HostSpec {
            format: crate::spec::FORMAT,
            installation: "ab1c2".parse().unwrap(),
            host: "here".parse().unwrap(),
            generation: Generation { incarnation: "i".to_owned(), number: 1 },
            networks: vec![NetworkSpec {
                name: "clab".parse().unwrap(),
                bridge: "aab1c2-m0".parse().unwrap(),
                mtu: Mtu::new(1500).unwrap(),
                ipv4: Some(subnet),
                ipv6: None,
                external_access: true,
            }],
            labs: vec![LabSpec {
                name: "x".parse().unwrap(),
                presence: Presence::Present,
                nodes: nodes.into(),
                wires: Vec::new(),
                hosts,
            }],
        }
    }

    fn wanted(spec: &HostSpec) -> NetworkWanted {
        spec.network_wanted(&"clab".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_host_knows_a_node_by_its_name_on_the_host_alone() {
        let told = &wanted(&spec(2)).labs["x"].host;
        assert_eq!(*told, [line("172.20.0.2", &["clab-x-n2"]), line("172.20.0.3", &["clab-x-n3"])]);
    }

    #[test]
    fn a_node_has_the_lines_of_its_own_after_those_of_its_lab() {
        let mut spec = spec(2);
        let extra_hosts = ["up:host-gateway", "six:[2001:db8::1]", "bad:address"].map(str::to_owned).to_vec();
        spec.labs[0].nodes[0].body = NodeBody::Container(Box::new(ContainerBody { extra_hosts, ..Default::default() }));
        let wanted = wanted(&spec);
        let extra = |name: &str| wanted.nodes[name].extra.clone();
        assert_eq!(extra("clab-x-n2"), [line("172.20.0.1", &["up"]), line("2001:db8::1", &["six"])]);
        assert_eq!(extra("clab-x-n3"), []);
    }

    #[test]
    fn a_node_without_a_management_address_gets_no_names() {
        let mut spec = spec(2);
        spec.labs[0].nodes[1].interfaces.clear();
        let wanted = wanted(&spec);
        assert_eq!(wanted.nodes.keys().map(ContainerName::as_str).collect::<Vec<_>>(), ["clab-x-n2"]);
    }

    #[test]
    fn names_grow_with_the_lab_and_not_with_its_square() {
        let length = |nodes| serde_json::to_vec(&(spec(nodes), wanted(&spec(nodes)))).unwrap().len();
        assert!(length(400) < 5 * length(100), "{} bytes, then {}", length(100), length(400));
    }
}
