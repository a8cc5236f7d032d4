//! The invariants of a blueprint as functions over it: T1, T2, A1, and against its parent A2 and
//! B1. They share no code with the planner, so that they can find its mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use archetype_model::blueprint::Blueprint;
use archetype_model::name::{InterfaceName, LabName};
use archetype_model::number::{Mac, VlanTag};
use archetype_model::spec::{Attachment, EndRef, HostSpec, InterfaceSpec, LabSpec, LinkId, WireShape};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the design: `A1`.
    pub law: &'static str,
    /// What breaks it, in words.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}

fn violation(law: &'static str, what: impl Into<String>) -> Violation {
    Violation { law, what: what.into() }
}

/// Everything in a blueprint that breaks an invariant; empty for a sound one.
pub fn check_blueprint(blueprint: &Blueprint) -> Vec<Violation> {
    const LAWS: [fn(&HostSpec, &mut Vec<Violation>); 5] =
        [ends_meet, names_are_unique, tags_differ, macs_differ, addresses_differ];
    let mut found = Vec::new();
    for spec in blueprint.specs.values() {
        LAWS.iter().for_each(|law| law(spec, &mut found));
        dead_tag_is_dead(spec, blueprint.dead_tag, &mut found);
        leaving_keeps_its_own(spec, blueprint, &mut found);
    }
    found
}

/// Everything that a blueprint changes against its parent and must not (A2, B1).
pub fn check_succession(parent: &Blueprint, next: &Blueprint) -> Vec<Violation> {
    let mut found = Vec::new();
    if parent == next {
        return found;
    }
    if next.parent.as_deref() != Some(parent.digest().as_str()) || next.number != parent.number + 1 {
        found.push(violation("B1", "the blueprint does not follow its parent"));
    }
    if next.allocations.next_device < parent.allocations.next_device {
        found.push(violation("T2", "the counter of devices fell"));
    }
    for (host, former) in &parent.specs {
        let Some(spec) = next.specs.get(host) else {
            found.push(violation("B1", format!("host {host} lost its spec")));
            continue;
        };
        generations_follow(former, spec, &mut found);
        for lab in spec.present() {
            if let Some(former) = former.lab(&lab.name) {
                untouched_wires_stay(former, lab, parent.dead_tag != next.dead_tag, &mut found);
            }
        }
    }
    devices_are_not_given_again(parent, next, &mut found);
    found
}

/// T1: every end of a wire is an interface that leads to it, every interface that leads to a wire
/// is an end of it, and a cable has two ends.
fn ends_meet(spec: &HostSpec, found: &mut Vec<Violation>) {
    for lab in spec.present() {
        let mut from_nodes: BTreeSet<(LinkId, EndRef)> = BTreeSet::new();
        for node in &lab.nodes {
            let mut names = BTreeSet::new();
            for interface in &node.interfaces {
                if !names.insert(&interface.name) {
                    found.push(violation("T1", format!("{}/{}:{} twice", lab.name, node.name, interface.name)));
                }
                if let Attachment::Wire { wire } = &interface.attachment {
                    let end = EndRef { node: node.name.clone(), interface: interface.name.clone() };
                    from_nodes.insert((wire.clone(), end));
                }
            }
        }
        let mut from_wires = BTreeSet::new();
        for wire in &lab.wires {
            if wire.shape == WireShape::Cable && wire.ends.len() != 2 {
                found.push(violation("T1", format!("cable {}/{} has {} ends", lab.name, wire.id, wire.ends.len())));
            }
            for end in &wire.ends {
                if !from_wires.insert((wire.id.clone(), end.clone())) {
                    found.push(violation("T1", format!("{}/{}: end {end} twice", lab.name, wire.id)));
                }
            }
        }
        for (wire, end) in from_nodes.symmetric_difference(&from_wires) {
            found.push(violation("T1", format!("{}/{wire}: end {end} is known to one side only", lab.name)));
        }
    }
}

/// T2: devices, bridges and node names are unique on the host. That they fit is their type's.
fn names_are_unique(spec: &HostSpec, found: &mut Vec<Violation>) {
    let mut devices: BTreeSet<&str> = BTreeSet::new();
    let interfaces = spec.nodes().flat_map(|(_, node)| &node.interfaces);
    let names = interfaces.map(|interface| interface.host_device.as_str());
    for name in names.chain(spec.networks.iter().map(|network| network.bridge.as_str())) {
        if !devices.insert(name) {
            found.push(violation("T2", format!("device {name} twice on {}", spec.host)));
        }
    }
    let mut containers = BTreeSet::new();
    for (_, node) in spec.nodes() {
        if !containers.insert(&node.container) {
            found.push(violation("T2", format!("node name {} twice on {}", node.container, spec.host)));
        }
    }
}

/// A1: no two wires of a bridge share a tag.
fn tags_differ(spec: &HostSpec, found: &mut Vec<Violation>) {
    let mut tags: BTreeMap<VlanTag, String> = BTreeMap::new();
    for (lab, wire) in spec.wires() {
        let name = format!("{}/{}", lab.name, wire.id);
        if let Some(other) = tags.insert(wire.tag, name.clone()) {
            found.push(violation("A1", format!("tag {} on {name} and {other}", wire.tag)));
        }
    }
}

/// A1: no wire has the tag of ports without a wire.
fn dead_tag_is_dead(spec: &HostSpec, dead: VlanTag, found: &mut Vec<Violation>) {
    for (lab, wire) in spec.wires().filter(|(_, wire)| wire.tag == dead) {
        found.push(violation("A1", format!("{}/{} has the dead tag {dead}", lab.name, wire.id)));
    }
}

/// A1: no two interfaces of one segment share an address.
fn macs_differ(spec: &HostSpec, found: &mut Vec<Violation>) {
    let mut seen: BTreeMap<(String, Mac), String> = BTreeMap::new();
    for (lab, node) in spec.nodes() {
        for interface in &node.interfaces {
            let segment = match &interface.attachment {
                Attachment::Wire { wire } => format!("wire {}/{wire}", lab.name),
                Attachment::Network { network, .. } => format!("network {network}"),
                Attachment::ForeignBridge { bridge } => format!("bridge {bridge}"),
                Attachment::Host => continue,
            };
            let name = format!("{}/{}:{}", lab.name, node.name, interface.name);
            if let Some(other) = seen.insert((segment.clone(), interface.mac), name.clone()) {
                found.push(violation("A1", format!("{} on {segment} is {name}'s and {other}'s", interface.mac)));
            }
        }
    }
}

/// A1: no two nodes of one network share an address; none has the gateway's or one of the guests'.
fn addresses_differ(spec: &HostSpec, found: &mut Vec<Violation>) {
    for network in &spec.networks {
        let mut seen: BTreeMap<IpAddr, String> = BTreeMap::new();
        seen.extend(network.ipv4.as_ref().map(|laid| (laid.gateway.into(), "the gateway".to_owned())));
        seen.extend(network.ipv6.as_ref().map(|laid| (laid.gateway.into(), "the gateway".to_owned())));
        for (lab, node) in spec.nodes() {
            for interface in &node.interfaces {
                let Attachment::Network { network: on, ipv4, ipv6, .. } = &interface.attachment else { continue };
                if on != &network.name {
                    continue;
                }
                let name = format!("{}/{}", lab.name, node.name);
                for address in ipv4.map(IpAddr::V4).into_iter().chain(ipv6.map(IpAddr::V6)) {
                    if let Some(other) = seen.insert(address, name.clone()) {
                        found.push(violation("A1", format!("{address} is {name}'s and {other}'s")));
                    }
                }
                let of_guests = ipv4
                    .zip(network.ipv4.as_ref().and_then(|laid| laid.guests))
                    .is_some_and(|(a, net)| net.contains(&a))
                    || ipv6
                        .zip(network.ipv6.as_ref().and_then(|laid| laid.guests))
                        .is_some_and(|(a, net)| net.contains(&a));
                let outside = ipv4.is_some_and(|a| !network.ipv4.as_ref().is_some_and(|laid| laid.net.contains(&a)))
                    || ipv6.is_some_and(|a| !network.ipv6.as_ref().is_some_and(|laid| laid.net.contains(&a)));
                if of_guests || outside {
                    found.push(violation("A1", format!("{name} has an address that is not network {on}'s to give")));
                }
            }
        }
    }
}

/// A1 over time: what a lab that is leaving holds is given to nobody else.
fn leaving_keeps_its_own(spec: &HostSpec, blueprint: &Blueprint, found: &mut Vec<Violation>) {
    let mut tags: BTreeMap<VlanTag, &LabName> = BTreeMap::new();
    for (lab, held) in &blueprint.allocations.labs {
        for tag in held.tags.values() {
            if let Some(other) = tags.insert(*tag, lab).filter(|other| *other != lab) {
                found.push(violation("A1", format!("tag {tag} is held by labs {lab} and {other}")));
            }
        }
    }
    for lab in &spec.labs {
        if !blueprint.allocations.labs.contains_key(&lab.name) {
            found.push(violation("A1", format!("lab {} holds nothing", lab.name)));
        }
    }
}

/// B1: a generation rises, and only when the spec differs.
fn generations_follow(former: &HostSpec, spec: &HostSpec, found: &mut Vec<Violation>) {
    let (old, new) = (&former.generation, &spec.generation);
    let differs = HostSpec { generation: old.clone(), ..spec.clone() } != *former;
    let rises = new.number > old.number;
    if new.number < old.number || (differs && !rises) {
        found.push(violation("B1", format!("generation {new} follows {old} on {}", spec.host)));
    }
    if !differs && rises && old.incarnation == new.incarnation {
        found.push(violation("B1", format!("generation rose to {new} on {} though nothing differs", spec.host)));
    }
}

/// A2: a wire that both have keeps its tag, and its ends their devices. A port that is spelled in
/// another way is the same port.
fn untouched_wires_stay(former: &LabSpec, lab: &LabSpec, dead_tag_moved: bool, found: &mut Vec<Violation>) {
    let former = &former.clone().with_names(&former.respelled(lab));
    for wire in &lab.wires {
        let Some(old) = former.wires.iter().find(|old| old.id == wire.id && old.shape == wire.shape) else { continue };
        if old.tag != wire.tag && !dead_tag_moved {
            found.push(violation("A2", format!("{}/{} went from tag {} to {}", lab.name, wire.id, old.tag, wire.tag)));
        }
        for end in &wire.ends {
            let device = |lab: &LabSpec| lab.interface(end).map(|(_, interface)| host_end(interface));
            if let (Some(old), Some(new)) = (device(former), device(lab))
                && old != new
                && old.1 == new.1
            {
                found.push(violation("A2", format!("{}/{end} went from device {} to {}", lab.name, old.0, new.0)));
            }
        }
    }
}

fn host_end(interface: &InterfaceSpec) -> (InterfaceName, Attachment) {
    (interface.host_device.clone(), interface.attachment.clone())
}

/// T2 over time: a device made for one interface is never made for another.
fn devices_are_not_given_again(parent: &Blueprint, next: &Blueprint, found: &mut Vec<Violation>) {
    let holders = |blueprint: &Blueprint| -> BTreeMap<InterfaceName, String> {
        let labs = blueprint.allocations.labs.iter();
        let nodes = labs.flat_map(|(lab, held)| held.interfaces.iter().map(move |(node, held)| (lab, node, held)));
        let devices = nodes.flat_map(|(lab, node, held)| {
            held.iter().filter_map(move |(interface, held)| {
                let port = held.port.as_ref().unwrap_or(interface);
                Some((held.device.clone()?, format!("{lab}/{node}:{port}")))
            })
        });
        devices.collect()
    };
    let former = holders(parent);
    for (device, holder) in holders(next) {
        if let Some(other) = former.get(&device).filter(|other| **other != holder) {
            found.push(violation("T2", format!("device {device} went from {other} to {holder}")));
        }
    }
}
