//! Management networks: which there are, with which subnets, gateway, MTU and bridge.
//!
//! Labs that name the same network share it, so what they state must agree. What nobody states is
//! kept for as long as the network is, then the settings' default. Knows nothing of addresses.

mod family;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use archetype_model::name::{BridgeName, NetworkName};
use archetype_model::number::Mtu;
use archetype_model::spec::{Attachment, LabSpec, NetworkSpec};
use archetype_model::topology::MgmtDecl;

use super::attempt::{Attempt, Lab, Names};
pub(super) use family::Family;

/// The MTU of a management network where the file states none, as in containerlab.
const MTU: u32 = 1500;

/// A network's users among the labs planned anew, and what is known of it.
pub(super) struct Users<'a> {
    name: &'a NetworkName,
    /// Places in `Attempt::labs`.
    labs: Vec<usize>,
    /// As it was laid out before.
    former: Option<&'a NetworkSpec>,
    /// Whether a lab that keeps its part is on it, so that it must stay as it is.
    pinned: bool,
    /// Whether its subnets are to stay although a lab states others.
    keeps_subnets: bool,
    /// Whether a lab states a subnet.
    states_subnet: bool,
}

/// Lays out every network that a lab uses; the guests' blocks follow once addresses are given.
pub(super) fn lay_out(attempt: &mut Attempt<'_>, names: &mut Names<'_>) -> BTreeMap<NetworkName, NetworkSpec> {
    let wanted: Vec<NetworkName> = names_in_use(attempt).into_iter().collect();
    let mut choices = Vec::new();
    for name in &wanted {
        let users = users(attempt, name);
        let ipv4 = family::choose::<Ipv4Addr>(attempt, &users);
        let ipv6 = family::choose::<Ipv6Addr>(attempt, &users);
        check_name(attempt, &users);
        choices.push((users, ipv4, ipv6));
    }
    let mut nets = family::Nets::default();
    // Stated and kept subnets first, those of networks that stay as they are before all others:
    // what is chosen must avoid them all.
    for settled in [true, false] {
        for (users, ipv4, ipv6) in &mut choices {
            family::settle::<Ipv4Addr>(attempt, users, ipv4, &mut nets, settled);
            family::settle::<Ipv6Addr>(attempt, users, ipv6, &mut nets, settled);
        }
    }
    let mut networks = BTreeMap::new();
    for (users, ipv4, ipv6) in choices {
        let ipv4 = family::pick::<Ipv4Addr>(attempt, &users, ipv4, &mut nets);
        let ipv6 = family::pick::<Ipv6Addr>(attempt, &users, ipv6, &mut nets);
        let spec = NetworkSpec {
            name: users.name.clone(),
            bridge: bridge(attempt, &users, &networks, names),
            mtu: mtu(attempt, &users),
            ipv4,
            ipv6,
            external_access: external_access(attempt, &users),
        };
        networks.insert(users.name.clone(), spec);
    }
    networks
}

/// Names of networks that a present lab's part is on.
pub(super) fn in_use(labs: &[LabSpec]) -> BTreeSet<NetworkName> {
    let interfaces = labs.iter().flat_map(|lab| &lab.nodes).flat_map(|node| &node.interfaces);
    let networks = interfaces.filter_map(|interface| match &interface.attachment {
        Attachment::Network { network, .. } => Some(network.clone()),
        _ => None,
    });
    networks.collect()
}

/// Networks that any lab uses, or holds addresses of while it is leaving.
fn names_in_use(attempt: &Attempt<'_>) -> BTreeSet<NetworkName> {
    let anew = attempt.labs.iter().filter(|lab| lab.shape.uses_network()).map(|lab| attempt.network_of(lab));
    let held = attempt.kept.iter().flat_map(|kept| kept.held.addresses.values()).map(|held| held.network.clone());
    let kept: Vec<LabSpec> = attempt.kept.iter().map(|kept| kept.spec.clone()).collect();
    anew.chain(held).chain(in_use(&kept)).collect()
}

fn users<'a>(attempt: &Attempt<'a>, name: &'a NetworkName) -> Users<'a> {
    let is_on = |lab: &Lab<'_>| lab.shape.uses_network() && &attempt.network_of(lab) == name;
    let labs: Vec<usize> = (0..attempt.labs.len()).filter(|index| is_on(&attempt.labs[*index])).collect();
    let pinned = attempt
        .kept
        .iter()
        .filter(|kept| kept.is_present())
        .any(|kept| in_use(std::slice::from_ref(&kept.spec)).contains(name));
    let former = attempt.input.parent.and_then(|parent| parent.allocations.networks.get(name));
    let states = |index: &&usize| attempt.labs[**index].topology.mgmt.states_subnet();
    let silent = |index: &&usize| {
        let lab = &attempt.labs[**index];
        let was_on = lab.held.is_some_and(|held| held.addresses.values().any(|held| &held.network == name));
        was_on && !lab.topology.mgmt.states_subnet()
    };
    let states_subnet = labs.iter().any(|index| states(&index));
    let keeps_subnets = pinned || !states_subnet || labs.iter().any(|index| silent(&index));
    Users { name, former, pinned, keeps_subnets, states_subnet, labs }
}

fn check_name(attempt: &mut Attempt<'_>, users: &Users<'_>) {
    if users.former.is_some() {
        return;
    }
    let held = attempt.input.facts.held.iter().find(|held| held.name.as_deref() == Some(users.name.as_str()));
    let Some(holder) = held.map(|held| &held.holder) else { return };
    for index in &users.labs {
        let lab = &attempt.labs[*index];
        let message = format!("the network name {} is held by {holder}", users.name);
        let hint = "name another network under mgmt, or start with --mgmt-network";
        let (name, problem) = (lab.name, lab.problem("network-taken", "mgmt.network", message).hint(hint));
        attempt.fail(name, problem);
    }
}

/// What the labs state of a setting: they must agree with each other, and with what is where it stays.
fn agreed<T: PartialEq + Clone + std::fmt::Display>(
    attempt: &mut Attempt<'_>,
    users: &Users<'_>,
    key: &str,
    stated: impl Fn(&MgmtDecl) -> Option<T>,
    stays: Option<T>,
) -> Option<T> {
    let mut agreed = stays.map(|value| (value, "labs that are on it".to_owned()));
    for index in &users.labs {
        let lab = &attempt.labs[*index];
        let Some(value) = stated(&lab.topology.mgmt) else { continue };
        match &agreed {
            None => agreed = Some((value, format!("lab {}", lab.name))),
            Some((other, _)) if *other == value => {}
            Some((other, whose)) => {
                let message = format!("network {}: {key} {value}, but {whose} made it {other}", users.name);
                let hint = "state the same, or name another network under mgmt";
                let path = format!("mgmt.{key}");
                let (name, problem) = (lab.name, lab.problem("network-conflict", &path, message).hint(hint));
                attempt.fail(name, problem);
            }
        }
    }
    agreed.map(|(value, _)| value)
}

fn mtu(attempt: &mut Attempt<'_>, users: &Users<'_>) -> Mtu {
    let default = || Mtu::new(MTU).expect("a valid constant");
    let former = users.former.map(|former| former.mtu);
    match users.labs.is_empty() {
        true => former.unwrap_or_else(default),
        // A lab that keeps its part is on the network as it is.
        false => {
            agreed(attempt, users, "mtu", |mgmt| mgmt.mtu, former.filter(|_| users.pinned)).unwrap_or_else(default)
        }
    }
}

fn external_access(attempt: &mut Attempt<'_>, users: &Users<'_>) -> bool {
    let former = users.former.map(|former| former.external_access);
    match users.labs.is_empty() {
        true => former.unwrap_or(true),
        false => {
            let stays = former.filter(|_| users.pinned);
            agreed(attempt, users, "external-access", |mgmt| mgmt.external_access, stays).unwrap_or(true)
        }
    }
}

fn bridge(
    attempt: &mut Attempt<'_>,
    users: &Users<'_>,
    others: &BTreeMap<NetworkName, NetworkSpec>,
    names: &mut Names<'_>,
) -> BridgeName {
    let former = users.former.map(|former| former.bridge.clone());
    // A bridge that stands is not renamed: ports of every lab on the network, and of others, are in it.
    let stated = agreed(attempt, users, "bridge", |mgmt| mgmt.bridge.clone(), former.clone());
    let Some(bridge) = stated else { return former.unwrap_or_else(|| names.bridge()) };
    if Some(&bridge) == former.as_ref() {
        return bridge;
    }
    let other = others.values().find(|network| network.bridge == bridge).map(|network| network.name.to_string());
    let holder = match other {
        Some(network) => Some(format!("network {network}")),
        None => attempt.input.facts.devices.contains(bridge.as_str()).then(|| "the host".into()),
    };
    if let Some(holder) = holder {
        for index in &users.labs {
            let lab = &attempt.labs[*index];
            let message = format!("the bridge name {bridge} is held by {holder}");
            let problem = lab.problem("bridge-taken", "mgmt.bridge", message).hint("name another bridge under mgmt");
            let name = lab.name;
            attempt.fail(name, problem);
        }
    }
    bridge
}
