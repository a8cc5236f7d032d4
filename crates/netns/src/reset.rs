//! A namespace made as it was when it was new: whatever a run left is taken away, and all
//! interfaces are down.
//!
//! Runs inside the namespace. Not covered, mostly since no interface of the kernel takes it back or it goes with its owner
//! in any case: datapaths of Open vSwitch inside a node, IPVS, L2TP and segment routing settings, namespaces and schemas of
//! IOAM, shared traffic actions, BPF programs pinned to the namespace or attached by tcx, TCP metrics, secrets for stable
//! IPv6 addresses of `all`, `default` and `lo` (they cannot be unset), receive and transmit steering and interrupts put off
//! under `/sys/class/net`, endpoints of MPTCP, groups joined on a device by hand (`ip maddr`), numbers of other namespaces
//! (`ip netns set`), ebtables and arptables of the old kind. The rule that the first VRF device adds (`l3mdev`) is kept: the
//! kernel adds it once per namespace and never again.

mod rules;

use archetype_model::facts::InterfaceFacts;

use crate::error::Result;
use crate::firewall;
use crate::interior::{name, present};
use crate::recorded::{AddressLabel, Arrays, NeighbourArrays, Recorded};
use crate::room::Room;
use crate::rtnl::link::{IFLA_GRO_MAX_SIZE, IFLA_PROTO_DOWN, IFLA_XDP, altname_request, delete_request};
use crate::rtnl::network::Table;
use crate::rtnl::{Link, LinkChange, LinkKey, Message, Request};
use crate::sysctl;

/// The group in which foreign devices are gathered to be deleted within one wait of the kernel.
const DOOMED: u32 = 0x6172_6368;
const TX_QUEUE_LENGTH: u32 = 1000;
const GSO_MAX: (u32, u32) = (65536, 65535);
const GRO_MAX: u32 = 65536;
const BROADCAST: [u8; 6] = [0xff; 6];

/// Takes away everything that a run left, and sets every interface down.
pub(crate) fn reset(room: &mut Room<'_>, recorded: &Recorded) -> Result<()> {
    let links = room.node.links()?;
    let mut ours = present(room, &links)?;
    calm(room, &links, &ours)?;
    remove_foreign(room, &links, &ours)?;
    remove_qdiscs(room)?;
    empty_tables(room)?;
    restore_labels(room, &recorded.labels)?;
    firewall::flush()?;
    name(room, &mut ours)?;
    restore_settings(room, recorded, &ours)?;
    for (_, link) in &ours {
        if let Some(features) = &recorded.features {
            room.switch.set_features(&link.name, features)?;
        }
    }
    Ok(())
}

/// Sets every device down, which flushes its neighbours and most of its routes at once.
pub(crate) fn silence(room: &mut Room<'_>) -> Result<()> {
    let links = room.node.links()?;
    let up = links.iter().filter(|link| link.is_up());
    let set = |link: &Link| LinkChange::new(LinkKey::Index(link.index), Some(false)).request().clone();
    room.all(up.map(|link| (format!("set {} down", link.name), set(link))).collect())
}

/// Sets our interfaces and `lo` down and back to what a new device is, off every bridge, without
/// programs.
fn calm(room: &mut Room<'_>, links: &[Link], ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    let mut requests = Vec::new();
    let mut may_fail = Vec::new();
    let kept = ours.iter().map(|(_, link)| link).chain(links.iter().filter(|link| link.is_loopback()));
    for link in kept {
        requests.push((format!("set {} down", link.name), plain(link)));
        if link.xdp_program.is_some() {
            may_fail.extend([2u32, 4].map(|mode| detach(link.index, mode)));
        }
        if link.is_proto_down {
            let change = LinkChange::new(LinkKey::Index(link.index), None).raw(|r| r.put_u8(IFLA_PROTO_DOWN, 0));
            may_fail.push(change.request().clone());
        }
        may_fail.extend(forget_token(link));
        // Those of ours are named by what they are to be called.
        if link.is_loopback() && !link.altnames.is_empty() {
            let names: Vec<&str> = link.altnames.iter().map(String::as_str).collect();
            may_fail.push(altname_request(link.index, &names, false));
        }
    }
    room.all(requests)?;
    room.node.batch(&may_fail)?;
    Ok(())
}

/// The one message that makes a device down, without master, mark, group, and with the flags and
/// lengths of a new one. What is so already is left out: some of it costs the kernel a wait.
fn plain(link: &Link) -> Request {
    let mask = libc::IFF_UP
        | libc::IFF_PROMISC
        | libc::IFF_ALLMULTI
        | libc::IFF_NOARP
        | libc::IFF_DYNAMIC
        | libc::IFF_DEBUG
        | libc::IFF_NOTRAILERS
        | libc::IFF_MULTICAST;
    let flags = if link.is_loopback() { 0 } else { libc::IFF_MULTICAST };
    let mut change = LinkChange::flags(link.index, flags as u32, mask as u32);
    if link.master.is_some() {
        change = change.master(0);
    }
    if !link.alias.is_empty() {
        change = change.alias("");
    }
    if link.group != 0 {
        change = change.group(0);
    }
    if link.tx_queue_length != TX_QUEUE_LENGTH {
        change = change.raw(|r| r.put_u32(libc::IFLA_TXQLEN, TX_QUEUE_LENGTH));
    }
    if link.link_mode != 0 {
        change = change.raw(|r| r.put_u8(libc::IFLA_LINKMODE, 0));
    }
    if link.gro_max_size.is_some_and(|size| size != GRO_MAX) {
        change = change.raw(|r| r.put_u32(IFLA_GRO_MAX_SIZE, GRO_MAX));
    }
    if !link.is_loopback() && link.broadcast != BROADCAST {
        change = change.raw(|r| r.put(libc::IFLA_BROADCAST, &BROADCAST));
    }
    if link.is_loopback() {
        if link.mtu != 65536 {
            change = change.raw(|r| r.put_u32(libc::IFLA_MTU, 65536));
        }
    } else if link.gso_max != GSO_MAX {
        change = change.raw(|r| r.put_u32(41, GSO_MAX.0).put_u32(40, GSO_MAX.1));
    }
    change.request().clone()
}

/// The request that takes an XDP program of one sort (2 generic, 4 the driver's) off a device.
fn detach(index: u32, mode: u32) -> Request {
    let change = LinkChange::new(LinkKey::Index(index), None);
    let change = change.raw(|r| {
        r.nest(IFLA_XDP, |r| {
            r.put_u32(1, u32::MAX).put_u32(3, mode);
        })
    });
    change.request().clone()
}

/// The request that takes away the fixed lower half of a device's IPv6 addresses, if it has one.
fn forget_token(link: &Link) -> Option<Request> {
    const TOKEN: u16 = 7;
    let family = crate::rtnl::wire::Attributes(&link.settings).find(|a| i32::from(a.kind) == libc::AF_INET6)?;
    family.inner().find(|a| a.kind == TOKEN && a.value.iter().any(|byte| *byte != 0))?;
    let change = LinkChange::new(LinkKey::Index(link.index), None).raw(|r| {
        r.nest(libc::IFLA_AF_SPEC, |r| {
            r.nest(libc::AF_INET6 as u16, |r| {
                r.put(TOKEN, &[0; 16]);
            });
        })
    });
    Some(change.request().clone())
}

/// Deletes every device that is not ours. The kernel keeps those that it gives every namespace
/// (`tunl0` and the like) and says nothing.
fn remove_foreign(room: &mut Room<'_>, links: &[Link], ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    let is_ours = |link: &Link| link.is_loopback() || ours.iter().any(|(_, own)| own.index == link.index);
    let foreign: Vec<&Link> = links.iter().filter(|link| !is_ours(link) && !is_given(link)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let gather =
        |link: &&Link| LinkChange::new(LinkKey::Index(link.index), Some(false)).group(DOOMED).request().clone();
    let requests: Vec<_> = foreign.iter().map(gather).collect();
    let gathered = room.node.batch(&requests)?;
    if gathered.iter().all(|answer| answer.is_ok()) && room.node.delete_group(DOOMED).is_ok() {
        return Ok(());
    }
    // One that cannot be deleted (a network card that somebody put here) keeps the whole group.
    let each: Vec<_> = foreign.iter().map(|link| delete_request(&LinkKey::Index(link.index))).collect();
    room.node.batch(&each)?;
    Ok(())
}

/// Whether a device is one that the kernel gives every namespace and never deletes.
fn is_given(link: &Link) -> bool {
    const GIVEN: [&str; 9] =
        ["tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"];
    GIVEN.contains(&link.name.as_str()) && link.kind != "veth"
}

fn remove_qdiscs(room: &mut Room<'_>) -> Result<()> {
    let chosen = room.node.qdiscs()?.into_iter().filter(|qdisc| qdisc.is_chosen() && qdisc.is_outermost());
    let requests: Vec<_> = chosen.map(|qdisc| qdisc.delete_request()).collect();
    // Some multi-queue devices' own ones have numbers and refuse; they are the kernel's.
    room.node.batch(&requests)?;
    Ok(())
}

/// Deletes what is left in the tables. Deleting an entry can take others along, so "it is not
/// there" is no failure.
fn empty_tables(room: &mut Room<'_>) -> Result<()> {
    for table in [Table::Addresses, Table::Routes, Table::Nexthops, Table::Neighbours, Table::Forwarding] {
        let entries = room.node.table(table)?;
        let foreign = entries.iter().filter(|entry| !is_the_kernels_own(table, entry));
        let requests: Vec<_> = foreign.map(|entry| table.delete_request(&entry.body)).collect();
        room.node.batch(&requests)?;
    }
    rules::restore(room)
}

/// Takes away the address labels that a run added, and adds those that it took away.
fn restore_labels(room: &mut Room<'_>, recorded: &[AddressLabel]) -> Result<()> {
    if recorded.is_empty() {
        return Ok(());
    }
    let now = AddressLabel::all(&mut room.node);
    let added = now.iter().filter(|label| !recorded.contains(label)).map(AddressLabel::delete);
    let missing = recorded.iter().filter(|label| !now.contains(label)).map(AddressLabel::add);
    let requests: Vec<_> = added.chain(missing).collect();
    room.node.batch(&requests)?;
    Ok(())
}

/// Whether an entry is one of the groups that the kernel itself listens to for IPv4 and IPv6. It
/// counts them, so one that is taken away behind its back is missing later.
fn is_the_kernels_own(table: Table, entry: &Message) -> bool {
    let address = entry.attributes(table.fixed()).find(|a| a.kind == libc::NDA_LLADDR).map(|a| a.value);
    let is_group = |address: &[u8]| address.starts_with(&[0x33, 0x33]) || address.starts_with(&[1, 0, 0x5e]);
    table == Table::Forwarding && address.is_some_and(is_group)
}

/// Gives those of our interfaces a new IPv6 half that hold something which cannot be taken away
/// one by one: a secret for stable addresses, or a group of a single address, which the kernel
/// miscounts when forwarding is switched while addresses are being tried. A device with an MTU
/// below IPv6's least has no such half; with its MTU it gets a fresh one.
fn renew_ipv6(room: &mut Room<'_>, ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    const BELOW_IPV6: u32 = 1279;
    let groups = std::fs::read_to_string("/proc/thread-self/net/igmp6").unwrap_or_default();
    let stale: Vec<&str> = groups.lines().filter_map(device_of_single_group).collect();
    let has_secret =
        |link: &Link| std::fs::read(format!("/proc/sys/net/ipv6/conf/{}/stable_secret", link.name)).is_ok();
    let mut requests = Vec::new();
    for (_, link) in ours.iter().filter(|(_, link)| stale.contains(&link.name.as_str()) || has_secret(link)) {
        for mtu in [BELOW_IPV6, link.mtu] {
            let change = LinkChange::new(LinkKey::Index(link.index), None).raw(|r| r.put_u32(libc::IFLA_MTU, mtu));
            requests.push((format!("renew the IPv6 half of {}", link.name), change.request().clone()));
        }
    }
    room.all(requests)
}

/// The device of a line of `/proc/net/igmp6`, if its group is that of a single address.
fn device_of_single_group(line: &str) -> Option<&str> {
    let [_, device, group, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    group.starts_with("ff0200000000000000000001ff").then_some(device)
}

/// Puts back the settings of the namespace, then those of each device that differ.
fn restore_settings(room: &mut Room<'_>, recorded: &Recorded, ours: &[(&InterfaceFacts, Link)]) -> Result<()> {
    sysctl::restore(&sysctl::shared(&recorded.settings));
    renew_ipv6(room, ours)?;
    let neighbours = NeighbourArrays::read(&mut room.node)?;
    for link in room.node.links()? {
        let (fresh, sample) = match link.is_loopback() {
            true => (&recorded.loopback, "lo"),
            false => (&recorded.arrays, recorded.sample.as_str()),
        };
        let is_kept = link.is_loopback() || ours.iter().any(|(_, own)| own.index == link.index);
        if !is_kept {
            continue;
        }
        if fresh.as_ref() != Some(&Arrays::of(&link, &neighbours)) {
            sysctl::restore(&sysctl::transfer(&recorded.settings, sample, &link.name));
        }
    }
    Ok(())
}
