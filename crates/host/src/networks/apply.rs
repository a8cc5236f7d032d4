//! Making a network as wanted, and removing it.

use std::sync::Arc;

use archetype_model::network::NetworkWanted;
use archetype_model::{BridgeName, NetworkName};
use archetype_netns::rtnl::Socket;

use super::bridge::{self, Bridge};
use super::guests::Engine;
use super::hosts::{self, Fence};
use super::record::{self, Record, TableRecord};
use super::{Error, Room, conflict, reading, resolvers, rules, user_chain};

/// Makes or mends a network. Goes on after a failure with what does not depend on it, and answers
/// the first.
pub(super) fn set(room: &mut Room, wanted: NetworkWanted) -> Result<(), Error> {
    let mut socket = Socket::open()?;
    let name = wanted.network.name.clone();
    let old = room.state.records.get(&name).map(|meant| meant.record.clone());
    may_make(room, &mut socket, &wanted, old.as_ref())?;
    let mut record = Record::new(wanted);
    if let Some(old) = &old {
        (record.table, record.laid) = (old.table.clone(), old.laid);
        record.resolvers = old.resolvers.clone();
        moved(&mut socket, old, &record)?;
    }
    // What is meant is written before anything is made, so that whatever comes is found again.
    keep(room, &record)?;
    bridge::set(&mut socket, &reading::mark(room, &name), &record.wanted.network)?;
    let ports = room.state.ports();
    let held = room.state.held.set(&ports);
    let ruled = set_rules(room, &mut record);
    let named = set_names(room, old.as_ref(), &mut record);
    keep(room, &record)?;
    held.and(ruled).and(named)
}

/// Whether nothing of somebody else's is in the way. Asked of the whole host only before the bridge
/// is made: later its own routes are there.
fn may_make(room: &Room, socket: &mut Socket, wanted: &NetworkWanted, old: Option<&Record>) -> Result<(), Error> {
    let network = &wanted.network;
    let fallback = Record::new(wanted.clone());
    match Bridge::read(socket, &network.bridge)? {
        Some(there) => {
            let mark = reading::mark(room, &network.name);
            let ours = reading::is_ours(&there, &mark, &room.guests.engine(), old.unwrap_or(&fallback));
            if ours { Ok(()) } else { Err(conflict::bridge_taken(network, &there)) }
        }
        None => conflict::find(room, network)?.into_iter().next().map_or(Ok(()), Err),
    }
}

/// A network that gets another bridge leaves the old one.
fn moved(socket: &mut Socket, old: &Record, new: &Record) -> Result<(), Error> {
    let (old, new) = (&old.wanted.network.bridge, &new.wanted.network.bridge);
    if old == new { Ok(()) } else { bridge::remove(socket, old) }
}

fn keep(room: &mut Room, record: &Record) -> Result<(), Error> {
    let name = &record.wanted.network.name;
    if room.state.records.get(name).is_some_and(|there| &there.record == record) {
        return Ok(());
    }
    record.save(&room.settings.place)?;
    room.state.records.insert(name.clone(), Arc::new(record.clone().into()));
    Ok(())
}

/// The table as wanted, but for ports that are somebody else's; and our rules in Docker's chain.
fn set_rules(room: &mut Room, record: &mut Record) -> Result<(), Error> {
    let installation = room.settings.place.installation().clone();
    let name = record.wanted.network.name.clone();
    let mut served = record.wanted.clone();
    served.ports.retain(|wanted| room.state.held.has(&wanted.port));
    let text = rules::text(&installation, &served);
    let table = rules::table(&installation, &name);
    let made_from = archetype_model::digest(&text);
    let there = rules::read(&table)?;
    let is_right =
        record.table.as_ref().is_some_and(|r| r.made_from == made_from && Some(&r.read_back) == there.as_ref());
    if !is_right {
        rules::apply(&text)?;
        let read_back = rules::read(&table)?.unwrap_or_default();
        record.table = Some(TableRecord { made_from, read_back });
    }
    room.state.chains = None;
    user_chain::set(&installation, &record.wanted)?;
    room.state.checked.remove(&name);
    room.note_generation().map(drop)
}

/// Hosts files, resolver files, the host's own blocks; and what the last spec had of them and this
/// one has not.
fn set_names(room: &Room, old: Option<&Record>, record: &mut Record) -> Result<(), Error> {
    let place = &room.settings.place;
    let fence = |lab| Fence::new(place.installation(), lab);
    let host = resolvers::of_host();
    if let Some(old) = old {
        leave(room, old, &record.wanted)?;
    }
    record.resolvers.retain(|container, _| record.wanted.nodes.contains_key(container));
    let blocks = record::node_blocks(&record.wanted);
    for (container, names) in &record.wanted.nodes {
        let block = blocks.get(container).map_or("", |block| block.text());
        hosts::set_node(&place.hosts_file(container), &fence(&names.lab), block)?;
        let text = resolvers::text_of(&names.dns, &host);
        let path = place.resolver_file(container);
        if record.resolvers.get(container) != Some(&text) || !path.is_file() {
            resolvers::set_node(&path, &text)?;
            record.resolvers.insert(container.clone(), text);
        }
    }
    if room.settings.write_host_hosts {
        for (lab, block) in &record::host_blocks(&record.wanted) {
            hosts::set_host(&room.settings.hosts_path, &fence(lab), Some(block.text()))?;
        }
    }
    Ok(())
}

/// Removes the files of nodes and the blocks of labs that `old` had and `new` has not.
fn leave(room: &Room, old: &Record, new: &NetworkWanted) -> Result<(), Error> {
    let place = &room.settings.place;
    for container in old.wanted.nodes.keys().filter(|container| !new.nodes.contains_key(*container)) {
        for file in [place.hosts_file(container), place.resolver_file(container)] {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&file, error)),
                _ => {}
            }
        }
        // The folder stays while another room has something in it.
        let _ = std::fs::remove_dir(place.node(container));
    }
    let name = &new.network.name;
    for lab in old.wanted.labs.keys().filter(|lab| !new.labs.contains_key(*lab)) {
        let mut others = room.state.records.iter().filter(|(other, _)| *other != name).map(|(_, meant)| &meant.record);
        if room.settings.write_host_hosts && !others.any(|record| record.wanted.labs.contains_key(lab)) {
            hosts::set_host(&room.settings.hosts_path, &Fence::new(place.installation(), lab), None)?;
        }
    }
    Ok(())
}

/// Removes a network, or as much of it as others do not use.
pub(super) fn remove(room: &mut Room, network: &NetworkName) -> Result<(), Error> {
    let mut socket = Socket::open()?;
    let engine = room.guests.engine();
    let record = room.state.records.get(network).map(|meant| meant.record.clone());
    let found = record.as_ref().map(|record| record.wanted.network.bridge.clone());
    let Some(bridge) = found.or_else(|| reading::strays(room, &engine).remove(network)) else { return Ok(()) };
    strip(room, network, &bridge, record.as_ref())?;
    let there = Bridge::read(&mut socket, &bridge)?;
    let foreign = reading::foreign(&mut socket, &engine, network, there.as_ref())?;
    if !foreign.is_empty() {
        return Err(Error::InUse { network: network.clone(), foreign });
    }
    match &engine {
        Engine::Known(networks) => {
            let installation = room.settings.place.installation();
            if let Some(guest) = networks.get(network.as_str()).filter(|guest| guest.is_of(installation)) {
                return room.guests.remove(network, guest.id.clone());
            }
        }
        Engine::Unreadable(why) if record.as_ref().is_some_and(|record| record.laid) => {
            return Err(Error::Engine { what: format!("see who is on network {network}"), said: why.clone() });
        }
        Engine::Unreadable(_) | Engine::Absent => {}
    }
    let mark = reading::mark(room, network);
    // After our Docker network is gone, a bridge that its engine once made anew has no mark.
    if there.is_some_and(|there| there.link.kind == "bridge" && there.mark().is_none_or(|is| is == mark)) {
        bridge::remove(&mut socket, &bridge)?;
    }
    room.state.stray.remove(network);
    room.state.records.remove(network);
    Record::forget(&room.settings.place, network)
}

/// Lets what a bridge of the host carries through Docker's filter, or no longer.
pub(super) fn pass(room: &mut Room, bridge: &BridgeName, open: bool) -> Result<(), Error> {
    let installation = room.settings.place.installation();
    room.state.chains = None;
    if open {
        user_chain::open(installation, bridge)?
    } else {
        user_chain::close(installation, bridge)?
    }
    // A kernel without nftables has no generation, and wakes nobody.
    let _ = room.note_generation();
    Ok(())
}

/// Takes away everything that serves only our nodes. Done once: the record says so afterwards.
fn strip(room: &mut Room, network: &NetworkName, bridge: &BridgeName, record: Option<&Record>) -> Result<(), Error> {
    if record.is_some_and(|record| record.stripped) {
        return Ok(());
    }
    let installation = room.settings.place.installation().clone();
    rules::remove(&rules::table(&installation, network))?;
    room.state.chains = None;
    user_chain::remove(&installation, network, bridge)?;
    room.state.checked.remove(network);
    room.note_generation()?;
    let Some(old) = record else { return Ok(()) };
    let mut bare = old.clone();
    bare.wanted.ports.clear();
    bare.wanted.nodes.clear();
    bare.wanted.labs.clear();
    leave(room, old, &bare.wanted)?;
    (bare.table, bare.stripped) = (None, true);
    bare.resolvers.clear();
    keep(room, &bare)?;
    let ports = room.state.ports();
    room.state.held.set(&ports)
}
