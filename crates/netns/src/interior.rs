//! The inside of a namespace, written as the facts declare it. Only what differs is written.

use std::collections::BTreeSet;

use archetype_model::InterfaceName;
use archetype_model::facts::{InterfaceFacts, NamespaceFacts};

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::room::{Place, Room};
use crate::rtnl::link::altname_request;
use crate::rtnl::network::{address_request, route_request};
use crate::rtnl::{Link, LinkChange, LinkKey, Request};
use crate::sysctl;

type Requests = Vec<(String, Request)>;

/// Writes the inside of the facts' namespace as they declare it: pairs of which both ends are
/// gone, names, other names, addresses of every sort, MTUs, offloads, sysctls, up, routes, `lo`.
/// Nothing that is there besides is taken away; that is a cold boot's.
///
/// To be called in the namespace where the host's ends are, unless the facts name it, and with the
/// facts' lock held.
///
/// # Errors
/// With the first thing that could not be written.
pub fn apply(facts: &NamespaceFacts) -> Result<()> {
    let (namespace, mut room) = Room::open(facts)?;
    complete(&namespace, &mut room, false)?;
    namespace.inside(|| write(&mut room, true))
}

/// As [`apply`], for one interface alone: one that was added while the node runs. Routes that
/// leave by it are added too; sysctls and `lo` are left as the node has them.
///
/// # Errors
/// As [`apply`]; also when the facts have no such interface.
pub fn plug(facts: &NamespaceFacts, name: &InterfaceName) -> Result<()> {
    if facts.interfaces.iter().all(|interface| interface.name != *name) {
        return Err(Error::Missing { what: format!("the facts of {} have no interface {name}", facts.node) });
    }
    let mut only = facts.clone();
    only.interfaces.retain(|interface| interface.name == *name);
    only.routes.retain(|route| route.dev == *name);
    only.sysctls.clear();
    let (namespace, mut room) = Room::open(&only)?;
    complete(&namespace, &mut room, false)?;
    namespace.inside(|| write(&mut room, false))
}

/// Makes the interfaces that are missing, and gives their names. `at_start` also takes back those
/// of which the node has moved its end into a namespace of its own: a node that does not run has
/// none any more, while in a running one that is its right.
pub(crate) fn complete(namespace: &Namespace, room: &mut Room<'_>, at_start: bool) -> Result<Vec<InterfaceName>> {
    let links = room.node.links()?;
    let places = room.places(&links)?;
    let facts = room.facts;
    let is_absent = |place: &Place| match place {
        Place::Here(_) => false,
        Place::Astray(_) => at_start,
        Place::Missing => true,
    };
    let absent: Vec<_> = facts.interfaces.iter().zip(places).filter(|(_, place)| is_absent(place)).collect();
    if !absent.is_empty() {
        room.make_again(namespace, &absent)?;
    }
    Ok(absent.into_iter().map(|(interface, _)| interface.name.clone()).collect())
}

/// Pairs each interface of the facts with its device; those that are not there are left out.
pub(crate) fn present<'f>(room: &mut Room<'f>, links: &[Link]) -> Result<Vec<(&'f InterfaceFacts, Link)>> {
    let facts = room.facts;
    let mut present = Vec::new();
    for interface in &facts.interfaces {
        if let Place::Here(link) = room.place(interface, links)? {
            present.push((interface, *link));
        }
    }
    Ok(present)
}

/// Gives our interfaces the names and other names that they are to have. Those that have a wrong
/// name step aside first, so that two can exchange names.
pub(crate) fn name(room: &mut Room<'_>, ours: &mut [(&InterfaceFacts, Link)]) -> Result<()> {
    let wanted: BTreeSet<&str> = ours.iter().map(|(interface, _)| interface.name.as_str()).collect();
    let (mut aside, mut rename, mut add) = (Requests::new(), Requests::new(), Requests::new());
    for (interface, link) in ours.iter() {
        let surplus: Vec<&str> = link
            .altnames
            .iter()
            .map(String::as_str)
            .filter(|name| !interface.altnames.iter().any(|a| a == name))
            .collect();
        if !surplus.is_empty() {
            aside.push((format!("take other names from {}", link.name), altname_request(link.index, &surplus, false)));
        }
        if link.name != interface.name.as_str() {
            let down = LinkChange::new(LinkKey::Index(link.index), Some(false));
            aside.push((format!("set {} down", link.name), down.request().clone()));
            if wanted.contains(link.name.as_str()) {
                let free = format!("archetype{}", link.index);
                let step = LinkChange::new(LinkKey::Index(link.index), None);
                let step = step.raw(|r| r.put_text(libc::IFLA_IFNAME, &free));
                aside.push((format!("rename {}", link.name), step.request().clone()));
            }
            let change = LinkChange::new(LinkKey::Index(link.index), None).name(&interface.name);
            rename.push((format!("rename {} to {}", link.name, interface.name), change.request().clone()));
        }
        let missing: Vec<&str> = interface
            .altnames
            .iter()
            .map(String::as_str)
            .filter(|name| !link.altnames.iter().any(|a| a == name))
            .collect();
        if !missing.is_empty() {
            add.push((format!("give other names to {}", interface.name), altname_request(link.index, &missing, true)));
        }
    }
    aside.append(&mut rename);
    aside.append(&mut add);
    room.all(aside)?;
    for (interface, link) in ours.iter_mut().filter(|(interface, link)| link.name != interface.name.as_str()) {
        link.name = interface.name.to_string();
        link.flags &= !(libc::IFF_UP as u32);
    }
    Ok(())
}

/// Writes everything but the pairs themselves. Runs inside the namespace. `whole` also writes what
/// belongs to no interface.
pub(crate) fn write(room: &mut Room<'_>, whole: bool) -> Result<()> {
    let links = room.node.links()?;
    let mut ours = present(room, &links)?;
    name(room, &mut ours)?;
    shape(room, &ours)?;
    sysctl::declare(&room.facts.sysctls)?;
    for (interface, link) in ours.iter().filter(|(interface, _)| !interface.tx_checksum_offload) {
        room.switch.set_checksum_offload(&link.name, interface.tx_checksum_offload)?;
    }
    raise(room, &ours, whole.then(|| links.iter().find(|link| link.is_loopback())).flatten())?;
    address(room, &ours)
}

/// Hardware addresses and MTUs. The kernel takes both on a device that is up.
fn shape(room: &mut Room<'_>, ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    let mut requests = Requests::new();
    for (interface, link) in ours {
        let change = LinkChange::new(LinkKey::Index(link.index), None);
        if link.mac() != Some(interface.mac) {
            let what = format!("give {} the address {}", interface.name, interface.mac);
            requests.push((what, change.clone().mac(interface.mac).request().clone()));
        }
        if link.mtu != interface.mtu.get() {
            let what = format!("give {} the MTU {}", interface.name, interface.mtu);
            requests.push((what, change.mtu(interface.mtu).request().clone()));
        }
    }
    room.all(requests)
}

/// Sets up what is to be up: `lo` first, since addresses of others are also routes by it.
fn raise(room: &mut Room<'_>, ours: &[(&InterfaceFacts, Link)], loopback: Option<&Link>) -> Result<()> {
    let set = |name: &str, index: u32, up: bool| {
        let change = LinkChange::new(LinkKey::Index(index), Some(up));
        (format!("set {name} {}", if up { "up" } else { "down" }), change.request().clone())
    };
    let mut requests: Requests = loopback.iter().map(|link| set(&link.name, link.index, true)).collect();
    let changed = ours.iter().filter(|(interface, link)| interface.up != link.is_up());
    requests.extend(changed.map(|(interface, link)| set(&link.name, link.index, interface.up)));
    room.all(requests)
}

/// Addresses, and the routes that need them. A route by an interface that is declared down is left
/// out: the kernel takes none.
fn address(room: &mut Room<'_>, ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    let mut requests = Requests::new();
    for (interface, link) in ours {
        for net in &interface.addresses {
            requests.push((format!("give {} the address {net}", interface.name), address_request(link.index, *net)));
        }
    }
    for route in &room.facts.routes {
        let Some((interface, link)) = ours.iter().find(|(interface, _)| interface.name == route.dev) else { continue };
        if interface.up {
            let to = route.dst.map_or_else(|| "default".to_owned(), |net| net.to_string());
            let what = format!("add the route {to} via {} dev {}", route.via, route.dev);
            requests.push((what, route_request(route.dst, Some(route.via), link.index)));
        }
    }
    room.all(requests)
}
