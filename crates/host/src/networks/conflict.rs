//! What stands in the way of a network: somebody else's bridge, name or subnet.

use std::net::IpAddr;

use archetype_model::spec::NetworkSpec;
use archetype_netns::rtnl::{LinkKey, Route, Socket};
use ipnet::IpNet;

use super::bridge::Bridge;
use super::guests::{Engine, GuestNetwork};
use super::mark::BridgeMark;
use super::{Error, Room};

/// Everything in the way, the weightiest first.
pub(super) fn find(room: &Room, network: &NetworkSpec) -> Result<Vec<Error>, Error> {
    let mut socket = Socket::open()?;
    let installation = room.settings.place.installation();
    let own = BridgeMark { installation: installation.clone(), network: network.name.clone() };
    let mut found = Vec::new();
    let there = Bridge::read(&mut socket, &network.bridge)?;
    if let Some(there) = &there
        && there.mark().is_none_or(|mark| mark != own)
        && !room.state.records.get(&network.name).is_some_and(|meant| meant.record.laid)
    {
        found.push(bridge_taken(network, there));
    }
    if let Engine::Known(networks) = room.guests.engine() {
        let others: Vec<_> = networks.into_values().filter(|guest| !guest.is_of(installation)).collect();
        found.extend(others.iter().find_map(|guest| name_taken(network, guest)));
        found.extend(others.iter().find_map(|guest| subnet_taken(network, &guest.subnets, || guest.holder())));
    }
    let own_index = there.map(|bridge| bridge.link.index);
    found.extend(routed_elsewhere(&mut socket, network, own_index)?);
    Ok(found)
}

/// The device of that name is not ours.
pub(super) fn bridge_taken(network: &NetworkSpec, there: &Bridge) -> Error {
    let holder = match there.mark() {
        Some(mark) => mark.holder(),
        None if there.link.kind == "bridge" => "a bridge of somebody else".to_owned(),
        None => format!("no bridge but a {} device", there.link.kind),
    };
    Error::BridgeTaken { network: network.name.clone(), device: network.bridge.to_string(), holder }
}

fn name_taken(network: &NetworkSpec, guest: &GuestNetwork) -> Option<Error> {
    let same = guest.name == network.name.as_str();
    same.then(|| Error::NameTaken { network: network.name.clone(), holder: guest.holder() })
}

fn subnet_taken(network: &NetworkSpec, subnets: &[IpNet], holder: impl Fn() -> String) -> Option<Error> {
    let taken = nets(network).find(|net| subnets.iter().any(|other| overlap(net, other)))?;
    Some(Error::SubnetTaken { network: network.name.clone(), subnet: taken.to_string(), holder: holder() })
}

/// A route to some of our addresses that leads elsewhere. A wider one by way of a router is no
/// holder: ours is the more exact one, as it is meant to be.
fn routed_elsewhere(socket: &mut Socket, network: &NetworkSpec, own: Option<u32>) -> Result<Option<Error>, Error> {
    const UNICAST: u8 = 1;
    const MAIN: u32 = 254;
    let holds = |route: &Route, net: &IpNet| {
        let Some(to) = route.to else { return false };
        overlap(&to, net) && (route.via.is_none() || net.contains(&to))
    };
    let routes = socket.routes()?;
    let ours: Vec<IpNet> = nets(network).collect();
    let elsewhere = routes.iter().filter(|r| r.kind == UNICAST && r.table == MAIN && (own.is_none() || r.index != own));
    let Some((route, net)) = elsewhere.filter_map(|r| Some((r, ours.iter().find(|net| holds(r, net))?))).next() else {
        return Ok(None);
    };
    let device = match route.index {
        Some(index) => socket.link(&LinkKey::Index(index))?,
        None => None,
    };
    let holder = match device {
        Some(link) => match BridgeMark::parse(&link.alias) {
            Some(mark) => mark.holder(),
            None => format!("the network behind device {}", link.name),
        },
        None => "a route of this host".to_owned(),
    };
    Ok(Some(Error::SubnetTaken { network: network.name.clone(), subnet: net.to_string(), holder }))
}

fn nets(network: &NetworkSpec) -> impl Iterator<Item = IpNet> + use<> {
    let v4 = network.ipv4.as_ref().map(|subnet| IpNet::V4(subnet.net.trunc()));
    let v6 = network.ipv6.as_ref().map(|subnet| IpNet::V6(subnet.net.trunc()));
    v4.into_iter().chain(v6)
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    let link_local = |net: &IpNet| matches!(net.addr(), IpAddr::V6(address) if address.is_unicast_link_local());
    !link_local(b) && (a.contains(b) || b.contains(a))
}
