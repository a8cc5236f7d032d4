//! What of networks and ports is somebody else's on this host: what a plan has to keep away from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use archetype_model::NetworkName;
use archetype_model::others::Visited;
use archetype_model::spec::Protocol;
use archetype_netns::rtnl::{LinkKey, Route, Socket};
use ipnet::IpNet;

use super::guests::Engine;
use super::mark::BridgeMark;
use super::{Error, Room, listeners};

const UNICAST: u8 = 1;
const MAIN: u32 = 254;

/// What is on this host that is not ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Networks of somebody else.
    pub networks: Vec<HeldNetwork>,
    /// Networks of ours on which containers of somebody else are, by name.
    pub visited: BTreeMap<NetworkName, Visited>,
    /// Ports on which somebody else listens.
    pub listeners: Vec<HeldPort>,
}

/// A network of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldNetwork {
    /// The name it has in the Docker Engine, or as another installation's management network.
    pub name: Option<String>,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Who holds it, in words.
    pub holder: String,
}

/// A port on which somebody else listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPort {
    /// The address; none is every address.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Who listens, in words: `sshd (pid 812)`.
    pub holder: String,
}

pub(super) fn survey(room: &mut Room) -> Result<Survey, Error> {
    let mut socket = Socket::open()?;
    let installation = room.settings.place.installation().clone();
    let mut networks = Vec::new();
    let mut visited = BTreeMap::new();
    let mut told = BTreeMap::new();
    if let Engine::Known(guests) = room.guests.engine() {
        for guest in guests.into_values() {
            let bridge = guest.bridge.as_ref().map_or_else(|| default_bridge(&guest.id), ToString::to_string);
            told.insert(bridge, guest.is_of(&installation));
            if guest.is_of(&installation) {
                if let (false, Ok(name)) = (guest.containers.is_empty(), guest.name.parse()) {
                    visited.insert(name, Visited { ranges: guest.ranges, containers: guest.containers });
                }
            } else {
                let holder = guest.holder();
                networks.push(HeldNetwork { name: Some(guest.name), subnets: guest.subnets, holder });
            }
        }
    }
    for (index, subnets) in connected(&socket.routes()?) {
        // One that went meanwhile holds nothing.
        let Some(link) = socket.link(&LinkKey::Index(index))? else { continue };
        let mark = BridgeMark::parse(&link.alias);
        let ours = mark.as_ref().is_some_and(|mark| mark.installation == installation);
        if ours || told.contains_key(&link.name) {
            continue;
        }
        let holder =
            mark.as_ref().map_or_else(|| format!("the network behind device {}", link.name), BridgeMark::holder);
        networks.push(HeldNetwork { name: mark.map(|mark| mark.network.to_string()), subnets, holder });
    }
    let held = room.state.held.sockets();
    Ok(Survey { networks, visited, listeners: listeners::all(&mut room.state.holders, &held) })
}

/// The bridge that Docker makes for a network that names none.
fn default_bridge(id: &str) -> String {
    format!("br-{}", id.get(..12).unwrap_or(id))
}

/// The subnets that devices lead to directly, by device. A route by a router holds nothing: a more
/// exact one is meant to win.
fn connected(routes: &[Route]) -> BTreeMap<u32, Vec<IpNet>> {
    let mut found: BTreeMap<u32, Vec<IpNet>> = BTreeMap::new();
    for route in routes.iter().filter(|route| route.kind == UNICAST && route.table == MAIN && route.via.is_none()) {
        let (Some(index), Some(to)) = (route.index, route.to) else { continue };
        if !is_of_link(to) {
            found.entry(index).or_default().push(to);
        }
    }
    found
}

/// Link-local and multicast ranges are on every device.
fn is_of_link(net: IpNet) -> bool {
    match net.addr() {
        IpAddr::V4(address) => address.is_link_local() || address.is_multicast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    }
}
