//! Management networks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use archetype_model::NetworkName;
use archetype_model::observed::{NetworkObserved, Reading};
use archetype_model::report::Finding;
use archetype_model::spec::NetworkSpec;
use archetype_model::step::{Resource, Step};

use super::{Look, Room};

pub(super) fn diff(look: &Look<'_>) -> Room {
    let mut room = Room::default();
    let Reading::Known(networks) = &look.observed.networks else { return room };
    for wanted in &look.spec.networks {
        match networks.get(&wanted.name) {
            Some(seen) if seen.bridge.is_some() && !seen.ours => room.findings.push(taken(wanted)),
            Some(seen) if as_wanted(look, wanted, seen) => {}
            seen => {
                let set = Step::SetNetwork { network: wanted.name.clone() };
                let is_there = seen.is_some_and(|seen| seen.bridge.is_some());
                match !is_there && going(look).any(|(_, going)| has_its_addresses(wanted, going)) {
                    true => room.waiting.push(set),
                    false => room.steps.push(set),
                }
            }
        }
    }
    let wanted: BTreeSet<_> = look.spec.networks.iter().map(|network| &network.name).collect();
    for (name, seen) in networks {
        // An empty spec deletes nothing; a network goes with the last lab that was on it, and what
        // once began to go so goes on.
        if (look.spec.labs.is_empty() && !seen.leaving) || wanted.contains(name) || !seen.ours {
            continue;
        }
        // What serves only nodes goes at once; the bridge stays for as long as others are on it.
        if seen.foreign.is_empty() || seen.rules.is_some() || seen.hosts.is_some() {
            let remove = Step::RemoveNetwork { network: name.clone() };
            // An engine that is at its network says when it is done; nothing else of this one is left to be taken away.
            let waits = seen.busy && seen.leaving && seen.rules.is_none() && seen.hosts.is_none();
            if waits { room.waiting.push(remove) } else { room.steps.push(remove) }
        }
        if !seen.foreign.is_empty() {
            room.findings.push(in_use(name, &seen.foreign));
        }
    }
    room
}

/// Networks that go with the last lab that was on them. They go in several steps, and an empty spec
/// takes none: so that lab is not gone before they are. One that others are on stays, is named, and
/// goes on leaving by itself.
pub(super) fn going<'a>(look: &Look<'a>) -> impl Iterator<Item = (&'a NetworkName, &'a NetworkObserved)> {
    let wanted: BTreeSet<_> = look.spec.networks.iter().map(|network| &network.name).collect();
    let all = look.observed.networks.known().into_iter().flatten();
    all.filter(move |(name, seen)| seen.ours && seen.foreign.is_empty() && !wanted.contains(name))
}

/// Whether a network that goes has addresses which another is to have: it goes first.
fn has_its_addresses(wanted: &NetworkSpec, going: &NetworkObserved) -> bool {
    going.addresses.iter().any(|address| match address {
        IpAddr::V4(address) => wanted.ipv4.as_ref().is_some_and(|subnet| subnet.net.contains(address)),
        IpAddr::V6(address) => wanted.ipv6.as_ref().is_some_and(|subnet| subnet.net.contains(address)),
    })
}

fn as_wanted(look: &Look<'_>, wanted: &NetworkSpec, seen: &NetworkObserved) -> bool {
    let addressed = wanted.gateways().all(|address| seen.addresses.contains(&address));
    // An engine that cannot be read is no reason to write.
    let guests = seen.guests.known().is_none_or(|right| *right);
    seen.bridge.is_some()
        && addressed
        && guests
        && seen.rules.as_ref() == Some(&look.spec.network_rules_digest(&wanted.name))
        && seen.hosts.as_ref() == Some(&look.spec.network_hosts_digest(&wanted.name))
}

fn taken(wanted: &NetworkSpec) -> Finding {
    Finding {
        code: "network-name-taken".into(),
        lab: None,
        resource: Some(Resource::Network(wanted.name.clone())),
        message: format!("bridge {} of management network {} exists and is not ours", wanted.bridge, wanted.name),
        hint: "remove it, or choose another network with mgmt.network or --mgmt-network".into(),
    }
}

fn in_use(name: &NetworkName, foreign: &[String]) -> Finding {
    Finding {
        code: "network-in-use".into(),
        lab: None,
        resource: Some(Resource::Network(name.clone())),
        message: format!("management network {name} stays: {} still on it", foreign.join(", ")),
        hint: "it goes when these have left it".into(),
    }
}
