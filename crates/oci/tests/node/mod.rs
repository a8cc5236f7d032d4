//! A node's namespace with its pairs, as an agent makes them before a start.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use archetype_model::facts::{FACTS_FORMAT, InterfaceFacts, NamespaceFacts, PeerFacts};
use archetype_model::{Mac, Mtu};
use archetype_netns::rtnl::Socket;
use archetype_netns::{Namespace, VethOrder, pin, veth};
use archetype_testbed::run;

/// Facts of a node with `interfaces` interfaces.
pub fn facts(name: &str, interfaces: u8) -> NamespaceFacts {
    let interface = |number: u8| InterfaceFacts {
        name: format!("eth{number}").parse().unwrap(),
        altnames: vec![],
        mac: Mac::new([0xaa, 0xc1, 0xab, 0, 0, number]).unwrap(),
        mtu: Mtu::new(9500).unwrap(),
        peer: PeerFacts {
            name: format!("h{name}{number}").parse().unwrap(),
            index: None,
            mtu: Mtu::LARGEST,
            alias: format!("archetype:test:{name}:{number}"),
            group: 77,
            master: None,
        },
        addresses: vec![format!("100.64.{number}.1/24").parse().unwrap()],
        tx_checksum_offload: true,
        up: true,
    };
    NamespaceFacts {
        format: FACTS_FORMAT,
        installation: "ab1c2".parse().unwrap(),
        node: name.parse().unwrap(),
        lab: "x".parse().unwrap(),
        namespace: format!("/run/archetype/ns/{name}").into(),
        host_namespace: None,
        interfaces: (1..=interfaces).map(interface).collect(),
        routes: vec![],
        sysctls: BTreeMap::new(),
    }
}

/// Makes the namespace and the pairs of the facts.
pub fn made(facts: &NamespaceFacts) -> Namespace {
    let node = pin::make(&facts.namespace).unwrap();
    let orders: Vec<_> = facts.interfaces.iter().map(|one| VethOrder::of(one, node.as_fd(), None)).collect();
    for pair in veth::create(&mut Socket::open().unwrap(), &orders).unwrap() {
        pair.unwrap();
    }
    node
}

/// Runs a script in the node's network namespace.
pub fn inside(name: &str, script: &str) -> String {
    run("nsenter", [&*format!("--net=/run/archetype/ns/{name}"), "sh", "-ec", script])
}

/// The node's interfaces that are up, sorted.
pub fn up(name: &str) -> Vec<String> {
    let links = Namespace::open(format!("/run/archetype/ns/{name}")).unwrap().rtnl().unwrap().links().unwrap();
    let mut up: Vec<_> = links.into_iter().filter(|link| link.is_up()).map(|link| link.name).collect();
    up.sort();
    up
}
