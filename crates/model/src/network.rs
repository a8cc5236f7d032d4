//! What one host is to make of a management network: the network itself, the ports published from
//! it and the names of its nodes, gathered from a spec.
//!
//! Plan and host both gather it from here, so both mean the same by its digests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::name::{ContainerName, LabName, NetworkName};
use crate::spec::{Attachment, DnsSpec, HostSpec, HostsLine, NetworkSpec, NodeBody, NodeSpec, PublishedPort};

/// Everything wanted of one management network on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkWanted {
    /// The network.
    pub network: NetworkSpec,
    /// Every port published from it, in order of port.
    pub ports: Vec<PortWanted>,
    /// The different marked blocks of its nodes' hosts files; mostly one for all nodes of a lab.
    pub blocks: Vec<Vec<HostsLine>>,
    /// What the nodes on it see of names.
    pub nodes: BTreeMap<ContainerName, NamesWanted>,
    /// The lines of each lab in the host's own hosts file.
    pub labs: BTreeMap<LabName, Vec<HostsLine>>,
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

/// What a node sees of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesWanted {
    /// Its lab.
    pub lab: LabName,
    /// Which of the [`NetworkWanted::blocks`] stands in its hosts file.
    pub block: usize,
    /// Its resolver settings; empty lists mean the host's own.
    pub dns: DnsSpec,
}

impl HostSpec {
    /// What is wanted of the management network `name`; none when the spec does not have it.
    pub fn network_wanted(&self, name: &NetworkName) -> Option<NetworkWanted> {
        let network = self.networks.iter().find(|network| &network.name == name)?.clone();
        let mut wanted = NetworkWanted {
            network,
            ports: Vec::new(),
            blocks: Vec::new(),
            nodes: BTreeMap::new(),
            labs: BTreeMap::new(),
        };
        for (lab, node) in self.nodes() {
            if wanted.take(&lab.name, node) {
                wanted.labs.entry(lab.name.clone()).or_default();
            }
        }
        for lab in self.present() {
            if let Some(lines) = wanted.labs.get_mut(&lab.name) {
                *lines = host_lines(&lab.nodes);
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
        crate::digest(&(&self.blocks, &self.nodes, &self.labs))
    }

    /// Adds a node whose `eth0` is on this network; says whether it was one.
    fn take(&mut self, lab: &LabName, node: &NodeSpec) -> bool {
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
        let block = self.block_of(node);
        let names = NamesWanted { lab: lab.clone(), block, dns: dns_of(node) };
        self.nodes.insert(container.clone(), names);
        true
    }

    /// The place of the node's block among all, put there if it is a new one. The nodes of a lab stand
    /// in a row, so that a known block is mostly the last.
    fn block_of(&mut self, node: &NodeSpec) -> usize {
        let last = self.blocks.last().filter(|last| extra_hosts(node).is_empty() && **last == node.hosts);
        if last.is_some() {
            return self.blocks.len() - 1;
        }
        let lines = self.lines_of(node);
        self.blocks.iter().position(|block| *block == lines).unwrap_or_else(|| {
            self.blocks.push(lines);
            self.blocks.len() - 1
        })
    }

    /// The lab's lines, then those the file adds for this node alone (`name:address`, where the
    /// address `host-gateway` is the host's own on this network).
    fn lines_of(&self, node: &NodeSpec) -> Vec<HostsLine> {
        let mut lines = node.hosts.clone();
        for extra in extra_hosts(node) {
            let Some((name, address)) = extra.split_once([':', '=']) else { continue };
            let address = address.trim_matches(['[', ']']);
            let address = match address {
                "host-gateway" => self.gateway(),
                _ => address.parse().ok(),
            };
            let line = address.map(|address| HostsLine { address, names: vec![name.to_owned()] });
            lines.extend(line.filter(|line| !node.hosts.contains(line)));
        }
        lines
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
        NodeBody::Namespace(_) => DnsSpec::default(),
    }
}

/// A lab's lines for the host: each address once, under the node's name on the host alone. Short
/// names and aliases stay inside the lab: on the host they would hide names of the real world, and
/// two labs may use the same ones.
fn host_lines(nodes: &[NodeSpec]) -> Vec<HostsLine> {
    let containers: BTreeSet<&str> = nodes.iter().map(|node| node.container.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    // Mostly every node has the same lines: those of its predecessor are not looked at again.
    let news = nodes.iter().enumerate().filter(|(at, node)| *at == 0 || nodes[at - 1].hosts != node.hosts);
    for line in news.flat_map(|(_, node)| &node.hosts) {
        let own = line.names.iter().find(|name| containers.contains(name.as_str()));
        let Some(name) = own.or(line.names.first()) else { continue };
        if seen.insert((line.address, name)) {
            lines.push(HostsLine { address: line.address, names: vec![name.clone()] });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, lines: &[(&str, &[&str])]) -> NodeSpec {
        let hosts = lines
            .iter()
            .map(|(address, names)| HostsLine {
                address: address.parse().unwrap(),
                names: names.iter().map(ToString::to_string).collect(),
            })
            .collect();
        NodeSpec {
            name: name.parse().unwrap(),
            container: format!("clab-x-{name}").parse().unwrap(),
            kind: "linux".to_owned(),
            body: NodeBody::Namespace(crate::spec::NamespaceBody::default()),
            desired: crate::spec::DesiredRun::Running,
            restarts: 0,
            interfaces: Vec::new(),
            execs: Vec::new(),
            hosts,
        }
    }

    #[test]
    fn the_host_knows_a_node_by_its_name_on_the_host_alone() {
        let lines: &[(&str, &[&str])] =
            &[("172.20.20.2", &["a", "clab-x-a", "www"]), ("172.20.20.3", &["b", "clab-x-b"])];
        let told = host_lines(&[node("a", lines), node("b", lines)]);
        let told: Vec<_> = told.iter().map(|line| format!("{} {}", line.address, line.names.join(" "))).collect();
        assert_eq!(told, ["172.20.20.2 clab-x-a", "172.20.20.3 clab-x-b"]);
    }
}
