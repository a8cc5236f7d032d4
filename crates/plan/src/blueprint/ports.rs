//! Ports published on the host: each led to one node. Where the file names no port of the host,
//! the lowest free one of the range for such is given and kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use archetype_model::name::NodeName;
use archetype_model::spec::{Protocol, PublishedPort};
use archetype_model::topology::{NodeDecl, PortDecl, Protocol as Declared, Subject};

use super::attempt::{Attempt, Lab};

/// Where ports come from that no file names: the range that IANA leaves for it.
const CHOSEN: std::ops::RangeInclusive<u16> = 49152..=65535;

/// Chosen ports, by node and node's port.
pub(super) type Ports = BTreeMap<NodeName, BTreeMap<String, u16>>;

#[derive(Debug, Clone)]
struct Taken {
    port: u16,
    protocol: Protocol,
    address: Option<IpAddr>,
    holder: String,
}

/// The chosen ports of each lab planned anew, in the order of `Attempt::labs`.
pub(super) fn give(attempt: &mut Attempt<'_>) -> Vec<Ports> {
    let mut taken = foreign(attempt);
    taken.extend(kept(attempt));
    let mut refused = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        for (node, declared) in published(lab) {
            let Some(port) = declared.host_port else { continue };
            let want = wanted(lab, node, declared, port);
            match taken.iter().find(|other| collide(other, &want)) {
                Some(other) => refused.push((index, node.name.clone(), want.clone(), other.holder.clone())),
                None => taken.push(want),
            }
        }
    }
    for (index, node, want, holder) in refused {
        refuse(attempt, index, &node, &want, &holder);
    }
    choose(attempt, &mut taken)
}

/// Ports as the spec has them.
pub(super) fn write(node: &NodeDecl, chosen: Option<&BTreeMap<String, u16>>) -> Vec<PublishedPort> {
    if !node.is_managed() {
        return Vec::new();
    }
    let mut ports: Vec<PublishedPort> = Vec::new();
    for declared in &node.ports {
        let given = || chosen.and_then(|chosen| chosen.get(&key(declared)).copied());
        let Some(host_port) = declared.host_port.or_else(given) else { continue };
        let protocol = protocol(declared.protocol);
        let port = PublishedPort { address: declared.host_address, host_port, node_port: declared.node_port, protocol };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

fn protocol(declared: Declared) -> Protocol {
    match declared {
        Declared::Tcp => Protocol::Tcp,
        Declared::Udp => Protocol::Udp,
        Declared::Sctp => Protocol::Sctp,
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// What a chosen port belongs to.
fn key(declared: &PortDecl) -> String {
    let port = format!("{}/{}", declared.node_port, word(protocol(declared.protocol)));
    match declared.host_address {
        Some(address) => format!("{address} {port}"),
        None => port,
    }
}

fn collide(a: &Taken, b: &Taken) -> bool {
    let same_address = match (a.address, b.address) {
        (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
        _ => true,
    };
    a.port == b.port && a.protocol == b.protocol && same_address
}

fn foreign(attempt: &Attempt<'_>) -> Vec<Taken> {
    let taken = |listener: &super::input::Listener| Taken {
        port: listener.port,
        protocol: listener.protocol,
        address: listener.address,
        holder: listener.holder.clone(),
    };
    attempt.input.facts.listeners.iter().map(taken).collect()
}

fn kept(attempt: &Attempt<'_>) -> Vec<Taken> {
    let nodes = attempt.kept.iter().flat_map(|kept| kept.spec.nodes.iter().map(move |node| (&kept.spec.name, node)));
    let taken = nodes.flat_map(|(lab, node)| {
        node.ports().iter().map(move |port| Taken {
            port: port.host_port,
            protocol: port.protocol,
            address: port.address,
            holder: format!("{lab}/{}", node.name),
        })
    });
    taken.collect()
}

fn published<'a>(lab: &'a Lab<'_>) -> impl Iterator<Item = (&'a NodeDecl, &'a PortDecl)> {
    lab.shape.managed().flat_map(|node| node.ports.iter().map(move |port| (node, port)))
}

fn wanted(lab: &Lab<'_>, node: &NodeDecl, declared: &PortDecl, port: u16) -> Taken {
    let holder = format!("{}/{}", lab.name, node.name);
    Taken { port, protocol: protocol(declared.protocol), address: declared.host_address, holder }
}

/// Ports that no file names: kept where they still are free, else the lowest that is.
fn choose(attempt: &mut Attempt<'_>, taken: &mut Vec<Taken>) -> Vec<Ports> {
    let mut labs = vec![Ports::new(); attempt.labs.len()];
    let mut without = Vec::new();
    for keeping in [true, false] {
        for (index, lab) in attempt.labs.iter().enumerate() {
            for (node, declared) in published(lab).filter(|(_, declared)| declared.host_port.is_none()) {
                let ports = labs[index].entry(node.name.clone()).or_default();
                if ports.contains_key(&key(declared)) {
                    continue;
                }
                let held = lab.held.and_then(|held| held.ports.get(&node.name)?.get(&key(declared)).copied());
                let is_free = |port: &u16| {
                    let want = wanted(lab, node, declared, *port);
                    !taken.iter().any(|other| collide(other, &want))
                };
                let port = match keeping {
                    true => held.filter(is_free),
                    false => CHOSEN.into_iter().find(is_free),
                };
                match port {
                    Some(port) => {
                        taken.push(wanted(lab, node, declared, port));
                        ports.insert(key(declared), port);
                    }
                    None if keeping => {}
                    None => without.push((index, node.name.clone(), declared.node_port)),
                }
            }
        }
    }
    for (index, node, port) in without {
        let lab = &attempt.labs[index];
        let message = format!("node {node}: no port of the host is left for {port}");
        let problem = lab.problem("port-taken", "topology.nodes", message).hint("state the host's port");
        let name = lab.name;
        attempt.fail(name, problem);
    }
    labs.iter_mut().for_each(|ports| ports.retain(|_, chosen| !chosen.is_empty()));
    labs
}

fn refuse(attempt: &mut Attempt<'_>, index: usize, node: &NodeName, want: &Taken, holder: &str) {
    let lab = &attempt.labs[index];
    let message = format!("node {node}: port {}/{} of the host is used by {holder}", want.port, word(want.protocol));
    let declared = lab.topology.node(node.as_str());
    let position = declared.map(|node| lab.topology.position_of_key(node, "ports")).unwrap_or_default();
    let problem = crate::check::problem(lab.topology, "port-taken", position, message)
        .hint("publish another port of the host")
        .about(Subject::Node(node.clone()));
    let name = lab.name;
    attempt.fail(name, problem);
}
