//! MAC addresses: the file's, else made from lab, node and interface under aa:c1:ab. No two of one
//! wire, LAN, host bridge or management network are the same: stated ones are demands, made ones
//! give way to the next free value, in file order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use archetype_model::Mac;
use archetype_model::name::{BridgeName, InterfaceName, LabName, NetworkName, NodeName};
use archetype_model::spec::{Attachment, LinkId};
use sha2::{Digest as _, Sha256};

use super::attempt::{Attempt, Lab};
use super::devices::management;
use super::shape::{End, To};

/// The first half of every made address: locally administered, as containerlab's.
const PREFIX: [u8; 3] = [0xaa, 0xc1, 0xab];

/// An interface's address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub mac: Mac,
    /// Whether it was made by us and not stated by the file.
    pub made: bool,
}

/// Addresses by node and interface. Asked for many times, and never walked along for its order.
pub(super) type Macs = HashMap<(NodeName, InterfaceName), Given>;

/// What interfaces must differ on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Wire(LabName, LinkId),
    Network(NetworkName),
    Bridge(BridgeName),
    /// Nobody else is there.
    Alone,
}

#[derive(Debug, Default)]
struct Taken(BTreeMap<Segment, BTreeSet<Mac>>);

impl Taken {
    fn take(&mut self, segment: &Segment, mac: Mac) -> bool {
        *segment == Segment::Alone || self.0.entry(segment.clone()).or_default().insert(mac)
    }
}

/// An interface that gets an address.
struct Wanted {
    lab: usize,
    node: NodeName,
    interface: InterfaceName,
    segment: Segment,
    stated: Option<Mac>,
}

/// The addresses of each lab planned anew, in the order of `Attempt::labs`.
pub(super) fn give(attempt: &mut Attempt<'_>) -> Vec<Macs> {
    let mut taken = Taken::default();
    reserve_kept(attempt, &mut taken);
    let wanted = wanted(attempt);
    let mut labs = vec![Macs::new(); attempt.labs.len()];
    for want in &wanted {
        let Some(mac) = want.stated else { continue };
        if !taken.take(&want.segment, mac) {
            refuse(attempt, want, mac);
        }
        labs[want.lab].insert((want.node.clone(), want.interface.clone()), Given { mac, made: false });
    }
    for want in wanted.iter().filter(|want| want.stated.is_none()) {
        let held = attempt.labs[want.lab].holding(&want.node, &want.interface).and_then(|held| held.mac);
        if let Some(mac) = held.filter(|mac| taken.take(&want.segment, *mac)) {
            labs[want.lab].insert((want.node.clone(), want.interface.clone()), Given { mac, made: true });
        }
    }
    for want in wanted.iter().filter(|want| want.stated.is_none()) {
        let key = (want.node.clone(), want.interface.clone());
        let lab = attempt.labs[want.lab].name;
        let mut make = || next_free(made(lab, &want.node, &want.interface), |mac| taken.take(&want.segment, mac));
        labs[want.lab].entry(key).or_insert_with(|| Given { mac: make(), made: true });
    }
    labs
}

/// The address that follows from an interface's names alone.
fn made(lab: &LabName, node: &NodeName, interface: &InterfaceName) -> Mac {
    let digest = Sha256::digest(format!("{lab}\0{node}\0{interface}"));
    of([digest[0], digest[1], digest[2]])
}

fn of(low: [u8; 3]) -> Mac {
    let ([a, b, c], [d, e, f]) = (PREFIX, low);
    Mac::new([a, b, c, d, e, f]).expect("the prefix is neither zero nor a group's")
}

/// The first address from `mac` on that is free, counting in the lower half and round its end.
fn next_free(mac: Mac, mut is_free: impl FnMut(Mac) -> bool) -> Mac {
    let [.., d, e, f] = mac.octets();
    let start = u32::from_be_bytes([0, d, e, f]);
    let values = (0..1 << 24).map(|step| (start + step) % (1 << 24));
    let macs = values.map(|value| {
        let [_, d, e, f] = value.to_be_bytes();
        of([d, e, f])
    });
    // Sixteen million interfaces on one segment are more than any host has devices.
    macs.into_iter().find(|mac| is_free(*mac)).unwrap_or(mac)
}

fn reserve_kept(attempt: &Attempt<'_>, taken: &mut Taken) {
    for kept in &attempt.kept {
        for interface in kept.spec.nodes.iter().flat_map(|node| &node.interfaces) {
            let segment = match &interface.attachment {
                Attachment::Wire { wire } => Segment::Wire(kept.spec.name.clone(), wire.clone()),
                Attachment::Network { network, .. } => Segment::Network(network.clone()),
                Attachment::ForeignBridge { bridge } => Segment::Bridge(bridge.clone()),
                Attachment::Host => Segment::Alone,
            };
            taken.take(&segment, interface.mac);
        }
    }
}

fn wanted(attempt: &Attempt<'_>) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        let network = attempt.network_of(lab);
        for node in &lab.shape.nodes {
            let want =
                |interface, segment, stated| Wanted { lab: index, node: node.name.clone(), interface, segment, stated };
            if node.is_managed() {
                wanted.push(want(management(), Segment::Network(network.clone()), None));
            }
            for end in lab.shape.ends_of(&node.name) {
                wanted.push(want(end.interface.clone(), segment(lab, end, &network), end.mac));
            }
        }
    }
    wanted
}

fn segment(lab: &Lab<'_>, end: &End, network: &NetworkName) -> Segment {
    match &end.to {
        To::Wire(id) => Segment::Wire(lab.name.clone(), id.clone()),
        To::Network { .. } => Segment::Network(network.clone()),
        To::HostBridge { bridge, .. } => Segment::Bridge(bridge.clone()),
        To::Host { .. } => Segment::Alone,
    }
}

fn refuse(attempt: &mut Attempt<'_>, want: &Wanted, mac: Mac) {
    let lab = &attempt.labs[want.lab];
    let message = format!("{}:{}: {mac} is another interface's on the same segment", want.node, want.interface);
    let problem = lab.problem("mac-twice", "topology.links", message).hint("state another address, or none");
    let name = lab.name;
    attempt.fail(name, problem);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_address_follows_from_the_names_alone() {
        let mac = |lab: &str| made(&lab.parse().unwrap(), &"r1".parse().unwrap(), &"eth1".parse().unwrap());
        assert_eq!(mac("a"), mac("a"));
        assert_ne!(mac("a"), mac("b"));
        assert!(mac("a").to_string().starts_with("aa:c1:ab:"));
    }

    #[test]
    fn a_collision_takes_the_next_free_value_and_wraps_round() {
        let taken: Vec<Mac> = ["aa:c1:ab:ff:ff:ff", "aa:c1:ab:00:00:00"].map(|mac| mac.parse().unwrap()).into();
        let next = next_free(taken[0], |mac| !taken.contains(&mac));
        assert_eq!(next.to_string(), "aa:c1:ab:00:00:01");
    }
}
