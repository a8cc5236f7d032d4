//! Reading networks back: kernel and files against the record, the engine's part as last told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use archetype_model::observed::{NetworkObserved, PassagesObserved, Reading};
use archetype_model::{BridgeName, NetworkName};
use archetype_netns::rtnl::Socket;

use super::bridge::Bridge;
use super::guests::Engine;
use super::hosts::Fence;
use super::mark::BridgeMark;
use super::record::{Meant, Record};
use super::user_chain::Chains;
use super::{Checked, Error, Read, Room, nftables, resolvers, rules};

/// How often what no event tells is read in full: legacy iptables, bridges without a record.
const FULL_READ: Duration = Duration::from_secs(30);

/// Every network of ours: those with a record, and those that only their marks tell of.
pub(super) fn show(room: &mut Room) -> Result<BTreeMap<NetworkName, NetworkObserved>, Error> {
    let mut socket = Socket::open()?;
    let engine = room.guests.engine();
    search(room, &mut socket)?;
    let all: Vec<_> = room.state.records.values().cloned().collect();
    let mut shown = BTreeMap::new();
    for meant in &all {
        let observed = observe(room, &mut socket, &engine, meant)?;
        shown.insert(meant.record.wanted.network.name.clone(), observed);
    }
    for (network, bridge) in strays(room, &engine) {
        let there = Bridge::read(&mut socket, &bridge)?;
        let foreign = foreign(&mut socket, &engine, &network, there.as_ref())?;
        shown.insert(
            network,
            NetworkObserved {
                ours: true,
                guests: Reading::Known(false),
                rules: None,
                hosts: None,
                foreign,
                ..bare(there.as_ref())
            },
        );
    }
    Ok(shown)
}

/// What lets bridges of the host through Docker's filter.
pub(super) fn passages(room: &mut Room) -> Result<PassagesObserved, Error> {
    let chains = chains(room)?;
    Ok(chains.passages(room.settings.place.installation()))
}

/// Docker's chains, read again only when the ruleset changed or a while has passed.
fn chains(room: &mut Room) -> Result<Arc<Chains>, Error> {
    // A kernel without nftables has no generation; there only time tells.
    let generation = nftables::generation().ok();
    let fresh = |read: &&Read| read.generation == generation && read.at.elapsed() < FULL_READ;
    if let Some(read) = room.state.chains.as_ref().filter(fresh) {
        return Ok(read.chains.clone());
    }
    let chains = Arc::new(Chains::read()?);
    room.state.chains = Some(Read { generation, at: Instant::now(), chains: chains.clone() });
    Ok(chains)
}

/// Reads everything from its source, and says how many networks' rules were believed wrongly.
pub(super) fn full(room: &mut Room) -> Result<u64, Error> {
    let believed = std::mem::take(&mut room.state.checked);
    (room.state.searched, room.state.chains) = (None, None);
    show(room)?;
    let now = &room.state.checked;
    let differs = |(network, was): &(&NetworkName, &Checked)| {
        now.get(*network).is_some_and(|is| is.generation == was.generation && is.right != was.right)
    };
    Ok(believed.iter().filter(differs).count() as u64)
}

fn bare(there: Option<&Bridge>) -> NetworkObserved {
    NetworkObserved {
        bridge: there.map(|bridge| bridge.link.index),
        ours: false,
        addresses: there.iter().flat_map(|bridge| &bridge.addresses).map(ipnet::IpNet::addr).collect(),
        guests: Reading::Known(true),
        rules: None,
        hosts: None,
        foreign: Vec::new(),
        leaving: false,
        busy: false,
    }
}

fn observe(room: &mut Room, socket: &mut Socket, engine: &Engine, meant: &Meant) -> Result<NetworkObserved, Error> {
    let record = &meant.record;
    let network = &record.wanted.network;
    let mark = mark(room, &network.name);
    let there = Bridge::read(socket, &network.bridge)?;
    note_laid(room, engine, &network.name)?;
    let is_right = there.as_ref().is_some_and(|bridge| bridge.is_right(&mark, network));
    let rules = !record.stripped && is_right && rules_are_right(room, record)?;
    let hosts = !record.stripped && hosts_are_right(room, meant);
    Ok(NetworkObserved {
        ours: there.as_ref().is_none_or(|bridge| is_ours(bridge, &mark, engine, record)),
        guests: if record.stripped { Reading::Known(false) } else { room.guests.reading(network) },
        rules: rules.then(|| meant.rules_digest.clone()),
        hosts: hosts.then(|| meant.hosts_digest.clone()),
        foreign: foreign(socket, engine, &network.name, there.as_ref())?,
        leaving: record.stripped,
        busy: room.guests.is_busy(&network.name),
        // An engine that removes its network takes the bridge away first, and lets go of the addresses after that.
        addresses: match &there {
            None if record.stripped => network.gateways().collect(),
            there => bare(there.as_ref()).addresses,
        },
        ..bare(there.as_ref())
    })
}

pub(super) fn mark(room: &Room, network: &NetworkName) -> BridgeMark {
    BridgeMark { installation: room.settings.place.installation().clone(), network: network.clone() }
}

/// Ours by its alias, or by our Docker network that names it: at its start an engine makes a
/// missing bridge again, without our mark.
pub(super) fn is_ours(bridge: &Bridge, mark: &BridgeMark, engine: &Engine, record: &Record) -> bool {
    let named = match engine {
        Engine::Known(networks) => networks.get(mark.network.as_str()).is_some_and(|guest| {
            guest.is_of(&mark.installation) && guest.bridge.as_ref() == Some(&record.wanted.network.bridge)
        }),
        Engine::Unreadable(_) => record.laid,
        Engine::Absent => false,
    };
    // One with somebody's mark is theirs, whatever an engine says.
    bridge.link.kind == "bridge" && bridge.mark().map_or(named, |there| &there == mark)
}

/// Keeps in the record whether the engine has our network: asked for when the engine is silent.
fn note_laid(room: &mut Room, engine: &Engine, network: &NetworkName) -> Result<(), Error> {
    let Engine::Known(networks) = engine else { return Ok(()) };
    let installation = room.settings.place.installation().clone();
    let laid = networks.get(network.as_str()).is_some_and(|guest| guest.is_of(&installation));
    let Some(there) = room.state.records.get(network).filter(|there| there.record.laid != laid) else { return Ok(()) };
    let mut record = there.record.clone();
    record.laid = laid;
    record.save(&room.settings.place)?;
    room.state.records.insert(network.clone(), Arc::new(record.into()));
    Ok(())
}

/// Who else is on a network: containers by the engine's word; where there is none, devices.
pub(super) fn foreign(
    socket: &mut Socket,
    engine: &Engine,
    network: &NetworkName,
    there: Option<&Bridge>,
) -> Result<Vec<String>, Error> {
    let guest = match engine {
        Engine::Known(networks) => networks.get(network.as_str()),
        _ => None,
    };
    match (guest, there) {
        (Some(guest), _) => Ok(guest.containers.clone()),
        (None, Some(bridge)) => bridge.foreign_ports(socket),
        (None, None) => Ok(Vec::new()),
    }
}

/// Whether the published ports are bound, the table is as it was made, and Docker's chain has our
/// rules. Read again only when the ruleset changed, or a while has passed.
pub(super) fn rules_are_right(room: &mut Room, record: &Record) -> Result<bool, Error> {
    if !room.state.held.is(&room.state.ports()) {
        return Ok(false);
    }
    let network = &record.wanted.network.name;
    let generation = nftables::generation()?;
    let fresh = |checked: &&Checked| checked.generation == generation && checked.at.elapsed() < FULL_READ;
    if let Some(checked) = room.state.checked.get(network).filter(fresh) {
        return Ok(checked.right);
    }
    let chains = chains(room)?;
    let installation = room.settings.place.installation();
    let made_from = archetype_model::digest(&rules::text(installation, &record.wanted));
    let right = match &record.table {
        Some(table) if table.made_from == made_from => {
            rules::read(&rules::table(installation, network))?.as_ref() == Some(&table.read_back)
                && chains.hold(installation, &record.wanted)
        }
        _ => false,
    };
    room.state.checked.insert(network.clone(), Checked { generation, at: Instant::now(), right });
    Ok(right)
}

/// Whether every file holds what the record says, and nodes were told the host's resolvers of now.
fn hosts_are_right(room: &mut Room, meant: &Meant) -> bool {
    let Room { settings, state, .. } = room;
    let place = &settings.place;
    let fence = |lab| Fence::new(place.installation(), lab);
    let host = resolvers::of_host();
    let nodes = meant.record.wanted.nodes.iter().all(|(container, names)| {
        let file = place.hosts_file(container);
        let block = meant.nodes.get(container);
        block.is_some_and(|block| state.known.holds(&file, &fence(&names.lab), block))
            && meant.record.resolvers.get(container) == Some(&resolvers::text_of(&names.dns, &host))
            && place.resolver_file(container).is_file()
    });
    let path = &settings.hosts_path;
    let writes = settings.write_host_hosts && path.exists();
    nodes && (!writes || meant.labs.iter().all(|(lab, block)| state.known.holds(path, &fence(lab), block)))
}

/// Looks for bridges of ours that no record tells of, now and then.
fn search(room: &mut Room, socket: &mut Socket) -> Result<(), Error> {
    if room.state.searched.is_some_and(|at| at.elapsed() < FULL_READ) {
        return Ok(());
    }
    let installation = room.settings.place.installation().clone();
    let marked = socket.links()?.into_iter().filter(|link| link.kind == "bridge").filter_map(|link| {
        let mark = BridgeMark::parse(&link.alias).filter(|mark| mark.installation == installation)?;
        Some((mark.network, link.name.parse().ok()?))
    });
    room.state.stray = marked.collect();
    room.state.known.forget();
    room.state.searched = Some(Instant::now());
    Ok(())
}

/// The networks of ours without a record: bridges found by the search, Docker networks by label.
pub(super) fn strays(room: &Room, engine: &Engine) -> BTreeMap<NetworkName, BridgeName> {
    let mut strays = room.state.stray.clone();
    if let Engine::Known(networks) = engine {
        let ours = networks.values().filter(|guest| guest.is_of(room.settings.place.installation()));
        strays.extend(ours.filter_map(|guest| Some((guest.name.parse().ok()?, guest.bridge.clone()?))));
    }
    let known: BTreeSet<_> = room.state.records.keys().collect();
    strays.retain(|network, _| !known.contains(network));
    strays
}
