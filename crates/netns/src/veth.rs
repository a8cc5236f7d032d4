//! Pairs of veth devices, made where they belong: one end in the host's namespace, the other in
//! the node's. Nothing is ever moved, since a move holds up every network change of the machine
//! for some 16 ms.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::{AsRawFd, BorrowedFd};

use archetype_model::facts::InterfaceFacts;
use archetype_model::{InterfaceName, Mac, Mtu};

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::rtnl::link::{IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES, ifinfo};
use crate::rtnl::{Link, LinkChange, LinkKey, Request, Socket};

const VETH_INFO_PEER: u16 = 1;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const NO_ADDRESS: u8 = 1;

/// A pair to be made.
#[derive(Debug, Clone)]
pub struct VethOrder<'a> {
    /// The name of the host's end.
    pub host_name: InterfaceName,
    /// The MTU of the host's end.
    pub host_mtu: Mtu,
    /// The mark of the host's end: text of up to 255 bytes.
    pub host_alias: String,
    /// The group of the host's end, by which it can be deleted together with others; 0 for none.
    pub host_group: u32,
    /// Whether the host's end is up at once.
    pub host_up: bool,
    /// The index of the Linux bridge that the host's end becomes a port of.
    pub master: Option<u32>,
    /// The namespace of the node.
    pub node: BorrowedFd<'a>,
    /// The name of the node's end.
    pub node_name: InterfaceName,
    /// The hardware address of the node's end.
    pub node_mac: Mac,
    /// The MTU of the node's end.
    pub node_mtu: Mtu,
}

impl<'a> VethOrder<'a> {
    /// The pair that facts declare for an interface of the namespace `node`, the host's end up and, with a `master`, a port
    /// of the bridge of that index.
    pub fn of(interface: &InterfaceFacts, node: BorrowedFd<'a>, master: Option<u32>) -> Self {
        Self {
            host_name: interface.peer.name.clone(),
            host_mtu: interface.peer.mtu,
            host_alias: interface.peer.alias.clone(),
            host_group: interface.peer.group,
            host_up: true,
            master,
            node,
            node_name: interface.name.clone(),
            node_mac: interface.mac,
            node_mtu: interface.mtu,
        }
    }
}

/// A pair that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VethPair {
    /// The index of the host's end, in the host's namespace.
    pub host_index: u32,
    /// The index of the node's end, in the node's namespace.
    pub node_index: u32,
}

/// Makes pairs, all in as few system calls as the kernel takes; `host` is a socket in the host's
/// namespace, and the caller's thread is in that namespace too. The host's end has
/// our mark and no IPv6; the node's end is down. One answer for each order, in their order: a
/// refused one does not stop the others, and leaves nothing.
///
/// Who dies in between leaves pairs whose host's end has no mark: only what is inside the node tells whose they are.
///
/// # Errors
/// When the socket itself fails. In an answer: [`Error::Refused`], `EEXIST` when a name is taken.
pub fn create(host: &mut Socket, orders: &[VethOrder<'_>]) -> Result<Vec<Result<VethPair>>> {
    let requests: Vec<Request> = orders.iter().map(pair_request).collect();
    let answers = host.batch(&requests)?;
    let made = orders.iter().zip(answers).map(|(order, answer)| match answer {
        Err(refusal) => Err(refusal.about(format!("make the pair {} - {}", order.host_name, order.node_name))),
        Ok(()) => find(host, order),
    });
    let made: Vec<Result<VethPair>> = made.collect();
    // By its number: under the name may be somebody else's device by now, which a mark would make ours.
    let pairs = orders.iter().zip(&made).filter_map(|(order, pair)| Some((order, pair.as_ref().ok()?)));
    let marks: Vec<Request> = pairs.map(|(order, pair)| mark_request(order, pair.host_index)).collect();
    let mut marked = host.batch(&marks)?.into_iter();
    let mut mark = |order: &VethOrder<'_>, pair: VethPair| match marked.next() {
        Some(Err(refusal)) => {
            // Without our mark nobody would ever remove the device, so it must not stay.
            host.delete(&LinkKey::Index(pair.host_index))?;
            Err(refusal.about(format!("mark device {}", order.host_name)))
        }
        Some(Ok(())) | None => {
            silence_ipv6(&order.host_name, pair.host_index);
            Ok(pair)
        }
    };
    Ok(orders.iter().zip(made).map(|(order, pair)| mark(order, pair?)).collect())
}

/// Takes away the node's end of a pair like the ordered one whose host's end is not where it belongs any more: moved to
/// another namespace it lives on, and so does the node's end, under the name that the new pair is to have. Says whether
/// there was one. `node` is the namespace that the order names.
///
/// # Errors
/// When the kernel cannot be asked, or refuses.
pub fn remove_orphan(node: &Namespace, order: &VethOrder<'_>) -> Result<bool> {
    if is_taken(&order.host_name) {
        return Ok(false);
    }
    let mut socket = node.rtnl()?;
    let found = socket.link(&LinkKey::Name(order.node_name.clone()))?;
    // By its kind and address it is ours; whatever else the node's software made under that name is its own.
    let Some(orphan) = found.filter(|link| link.kind == "veth" && link.mac() == Some(order.node_mac)) else {
        return Ok(false);
    };
    socket.delete(&LinkKey::Index(orphan.index)).map(|()| true)
}

/// Whether a device of the calling thread's namespace has the name.
fn is_taken(name: &InterfaceName) -> bool {
    nix::net::if_::if_nametoindex(name.as_str()).is_ok()
}

/// Finds the pair that was just made, and not what has come under its name since.
fn find(host: &mut Socket, order: &VethOrder<'_>) -> Result<VethPair> {
    let found = host.link(&LinkKey::Name(order.host_name.clone()))?;
    let pair = found.filter(|link| link.mac().map(Mac::octets) == Some(host_address(order))).and_then(|link| {
        let Link { index, peer_index, .. } = link;
        Some(VethPair { host_index: index, node_index: peer_index? })
    });
    pair.ok_or_else(|| Error::Missing { what: format!("device {} vanished as soon as it was made", order.host_name) })
}

/// The hardware address of the host's end: 46 bits that follow from what is ordered, by which it is known again.
fn host_address(order: &VethOrder<'_>) -> [u8; 6] {
    let mut hasher = DefaultHasher::new();
    (order.host_name.as_str(), &order.host_alias, order.node_mac.octets()).hash(&mut hasher);
    let [mut first, rest @ ..] = hasher.finish().to_be_bytes();
    // Administered locally, and of one station.
    first = first & 0xfc | 0x02;
    [first, rest[0], rest[1], rest[2], rest[3], rest[4]]
}

/// Turns IPv6 off on a device of the calling thread's namespace: a host's end is a port, and its
/// own neighbour discovery would leak into the wire.
fn silence_ipv6(name: &InterfaceName, index: u32) {
    if nix::net::if_::if_nametoindex(name.as_str()) != Ok(index) {
        return;
    }
    // A kernel without IPv6 has no such file, and then there is nothing to silence.
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
}

/// The one message that makes both ends.
///
/// One queue each: more would cost the kernel a wait at creation and serve nobody here.
fn pair_request(order: &VethOrder<'_>) -> Request {
    let up = if order.host_up { libc::IFF_UP as u32 } else { 0 };
    let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let mut request = Request::new(libc::RTM_NEWLINK, flags, &ifinfo(0, up, libc::IFF_UP as u32));
    request
        .put_text(libc::IFLA_IFNAME, order.host_name.as_str())
        .put(libc::IFLA_ADDRESS, &host_address(order))
        .put_u32(libc::IFLA_MTU, order.host_mtu.get())
        .put_u32(IFLA_NUM_TX_QUEUES, 1)
        .put_u32(IFLA_NUM_RX_QUEUES, 1);
    if order.host_group != 0 {
        request.put_u32(libc::IFLA_GROUP, order.host_group);
    }
    order.master.iter().for_each(|master| {
        request.put_u32(libc::IFLA_MASTER, *master);
    });
    request.nest(libc::IFLA_LINKINFO, |r| {
        r.put_text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |r| {
            r.nest_after(VETH_INFO_PEER, &ifinfo(0, 0, 0), |r| {
                r.put_text(libc::IFLA_IFNAME, order.node_name.as_str())
                    .put(libc::IFLA_ADDRESS, &order.node_mac.octets())
                    .put_u32(libc::IFLA_MTU, order.node_mtu.get())
                    .put_u32(IFLA_NUM_TX_QUEUES, 1)
                    .put_u32(IFLA_NUM_RX_QUEUES, 1)
                    .put_u32(libc::IFLA_NET_NS_FD, order.node.as_raw_fd() as u32);
            });
        });
    });
    request
}

/// The message that marks the host's end, which the kernel does not take in the first one. The
/// end has no carrier yet, so no IPv6 address exists that would have to be taken away again.
fn mark_request(order: &VethOrder<'_>, index: u32) -> Request {
    let change = LinkChange::new(LinkKey::Index(index), None).alias(&order.host_alias);
    change.address_mode(NO_ADDRESS).request().clone()
}
