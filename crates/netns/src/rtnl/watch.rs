//! What the kernel says about devices by itself.
//!
//! The socket does not block: whoever waits for its descriptor to become readable reads all there
//! is. A lost message shows as [`LinkEvent::Lost`]; then everything is to be read again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::link::Link;
use super::network::RTMSG;
use super::socket::{open_raw, set_option};
use super::wire::{Message, read_u32};
use crate::error::{Error, Result};

const RTNLGRP_LINK: libc::c_int = 1;
const RTNLGRP_TC: libc::c_int = 4;
const RTNLGRP_IPV4_IFADDR: libc::c_int = 5;
const RTNLGRP_IPV4_ROUTE: libc::c_int = 7;
const RTNLGRP_IPV6_IFADDR: libc::c_int = 9;
const RTNLGRP_IPV6_ROUTE: libc::c_int = 11;
const RTNLGRP_NSID: libc::c_int = 28;
const NETLINK_LISTEN_ALL_NSID: libc::c_int = 8;
const NFNLGRP_NFTABLES: libc::c_int = 7;
/// `NFNL_SUBSYS_NFTABLES`, where messages of netfilter have their subsystem.
const NFTABLES: u16 = 10 << 8;
const NFT_MSG_NEWCHAIN: u16 = NFTABLES | 3;
const NFT_MSG_DELCHAIN: u16 = NFTABLES | 5;
const NFT_MSG_NEWRULE: u16 = NFTABLES | 6;
const NFT_MSG_DELRULE: u16 = NFTABLES | 8;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_HOOK_HOOKNUM: u16 = 1;
/// `NF_INET_INGRESS`: of the hooks of family inet the one at a device.
const INGRESS: u32 = 5;
/// What the tables of management networks are called by, of every installation: they have no chain at a device.
const OF_NETWORKS: &str = "archetype_";
/// `struct nfgenmsg`: family, version, resource.
const NFGENMSG: usize = 4;

/// In place of a device's number: a block of filters that several devices share (`TCM_IFINDEX_MAGIC_BLOCK`), or a table of
/// the packet filter, which is no device's.
pub const SEVERAL: u32 = u32::MAX;

/// One thing that happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A device came or changed; it now is like this.
    Changed {
        /// In which namespace, as the watching one numbers others; nothing when it is its own.
        nsid: Option<i32>,
        /// The device.
        link: Box<Link>,
    },
    /// A device went: it was deleted, or moved to another namespace.
    Gone {
        /// In which namespace, as the watching one numbers others; nothing when it is its own.
        nsid: Option<i32>,
        /// The device as it was.
        link: Box<Link>,
    },
    /// What is done with a device's frames became another: its queueing disciplines, classes or filters, the packet
    /// filter's chains at devices, or what it may do as a port of a bridge.
    Handling {
        /// In which namespace, as the watching one numbers others; nothing when it is its own.
        nsid: Option<i32>,
        /// The device's number, or [`SEVERAL`].
        index: u32,
    },
    /// A device got or lost an address, or a route that led out of it is gone.
    Addressed {
        /// In which namespace, as the watching one numbers others; nothing when it is its own.
        nsid: Option<i32>,
        /// The device's number.
        index: u32,
    },
    /// Messages were lost: read everything again.
    Lost,
}

impl LinkEvent {
    /// The number of the namespace in which it happened, as the watching one counts others; nothing where it tells of none.
    pub fn nsid_mut(&mut self) -> Option<&mut Option<i32>> {
        match self {
            Self::Changed { nsid, .. }
            | Self::Gone { nsid, .. }
            | Self::Handling { nsid, .. }
            | Self::Addressed { nsid, .. } => Some(nsid),
            Self::Lost => None,
        }
    }
}

/// A subscription to the changes of devices.
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Watch {
    /// Watches the devices of the caller's namespace, and with `all` also of every namespace that
    /// it has a number for (it has one for each that shares a veth pair with it).
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open(all: bool) -> Result<Self> {
        let watch = Self::of(libc::NETLINK_ROUTE, &[RTNLGRP_LINK, RTNLGRP_NSID])?;
        if all {
            watch.subscribe(NETLINK_LISTEN_ALL_NSID, 1)?;
        }
        Ok(watch)
    }

    /// Watches what is done with the frames of devices of the caller's namespace, by queueing disciplines, classes and
    /// filters. (What a port of a bridge may do [`Watch::open`] hears.)
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn of_handling() -> Result<Self> {
        Self::of(libc::NETLINK_ROUTE, &[RTNLGRP_TC])
    }

    /// Watches what nftables does with the frames of devices and bridges of the caller's namespace.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn of_filters() -> Result<Self> {
        Self::of(libc::NETLINK_NETFILTER, &[NFNLGRP_NFTABLES])
    }

    /// Watches the addresses of devices of the caller's namespace, and the routes that go.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn of_addresses() -> Result<Self> {
        let groups = [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE];
        Self::of(libc::NETLINK_ROUTE, &groups)
    }

    fn of(protocol: libc::c_int, groups: &[libc::c_int]) -> Result<Self> {
        let fd = open_raw(protocol, libc::SOCK_NONBLOCK)?;
        bind(&fd)?;
        let watch = Self { fd, buffer: vec![0; 64 * 1024] };
        groups.iter().try_for_each(|group| watch.subscribe(libc::NETLINK_ADD_MEMBERSHIP, *group))?;
        Ok(watch)
    }

    fn subscribe(&self, option: libc::c_int, value: libc::c_int) -> Result<()> {
        set_option(&self.fd, libc::SOL_NETLINK, option, value)
            .map_err(|error| Error::system("subscribe to changes of devices", error))
    }

    /// Everything that has happened since the last call; empty when nothing has.
    ///
    /// # Errors
    /// When reading fails for another reason than lost messages.
    pub fn read(&mut self) -> Result<Vec<LinkEvent>> {
        let mut events = Vec::new();
        loop {
            match self.receive() {
                Ok((nsid, messages)) => events.extend(messages.iter().filter_map(|m| event(nsid, m))),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(events),
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => events.push(LinkEvent::Lost),
                    _ => return Err(Error::system("read the changes of devices", error)),
                },
            }
        }
    }

    /// One read: from which namespace it came, and what.
    fn receive(&mut self) -> io::Result<(Option<i32>, Vec<Message>)> {
        let mut part = libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        let mut control = [0u64; 8];
        // SAFETY: all-zero is a valid msghdr; its pointers are set to live buffers below.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = std::mem::size_of_val(&control) as _;
        // SAFETY: `header` points at buffers that outlive the call, with their true sizes.
        let got = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, 0) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has filled the header and its control buffer, which is still alive.
        let nsid = unsafe { nsid_in(&header) };
        Ok((nsid, Message::parse_all(&self.buffer[..got as usize])))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Gives the socket a number of its own: one without (0, as the kernel's) is skipped when the
/// kernel itself speaks.
fn bind(fd: &OwnedFd) -> Result<()> {
    // SAFETY: all-zero is a valid sockaddr_nl.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    let size = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `address`, which outlives the call.
    let done = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) };
    if done < 0 { Err(Error::last("bind a netlink socket")) } else { Ok(()) }
}

/// The namespace number that came with a message.
///
/// # Safety
/// `header` must have been filled by `recvmsg`, its control buffer alive.
unsafe fn nsid_in(header: &libc::msghdr) -> Option<i32> {
    // SAFETY: as the caller promises.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    if first.is_null() {
        return None;
    }
    // SAFETY: CMSG_FIRSTHDR gave a whole control header within the buffer.
    let (level, kind) = unsafe { ((*first).cmsg_level, (*first).cmsg_type) };
    if level != libc::SOL_NETLINK || kind != NETLINK_LISTEN_ALL_NSID {
        return None;
    }
    // SAFETY: this kind of control message carries one i32, possibly unaligned.
    Some(unsafe { libc::CMSG_DATA(first).cast::<i32>().read_unaligned() })
}

fn event(nsid: Option<i32>, message: &Message) -> Option<LinkEvent> {
    // Of `ifinfomsg`, `tcmsg` and `ifaddrmsg` alike: the family in the first byte, the device's number in the second word.
    let of_bridge = || i32::from(message.body.first().copied().unwrap_or_default()) == libc::AF_BRIDGE;
    match message.kind {
        libc::RTM_NEWLINK if of_bridge() => Some(LinkEvent::Handling { nsid, index: read_u32(&message.body, 4)? }),
        libc::RTM_NEWLINK => Some(LinkEvent::Changed { nsid, link: Box::new(Link::parse(message)?) }),
        libc::RTM_DELLINK => Some(LinkEvent::Gone { nsid, link: Box::new(Link::parse(message)?) }),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => {
            Some(LinkEvent::Addressed { nsid, index: read_u32(&message.body, 4)? })
        }
        libc::RTM_DELROUTE => {
            let out = message.attributes(RTMSG).find(|attribute| attribute.kind == libc::RTA_OIF)?;
            Some(LinkEvent::Addressed { nsid, index: out.u32() })
        }
        libc::RTM_NEWQDISC..=libc::RTM_GETTFILTER => {
            Some(LinkEvent::Handling { nsid, index: read_u32(&message.body, 4)? })
        }
        kind if kind & 0xff00 == NFTABLES => {
            is_at_devices(message).then_some(LinkEvent::Handling { nsid, index: SEVERAL })
        }
        _ => None,
    }
}

/// Whether news of nftables are of what stands at devices or bridges, and not of packets on their way through the host:
/// of a table for these, or of a chain at a device. Of a rule in a table of family inet only its chain could tell; so it
/// counts as one, but where the table is that of a management network of ours.
fn is_at_devices(message: &Message) -> bool {
    match message.body.first().copied().map(i32::from) {
        Some(libc::NFPROTO_NETDEV | libc::NFPROTO_BRIDGE) => true,
        Some(libc::NFPROTO_INET) => match message.kind {
            NFT_MSG_NEWRULE | NFT_MSG_DELRULE => {
                let table = message.attributes(NFGENMSG).find(|attribute| attribute.kind == NFTA_RULE_TABLE);
                table.is_some_and(|table| !table.text().starts_with(OF_NETWORKS))
            }
            NFT_MSG_NEWCHAIN | NFT_MSG_DELCHAIN => {
                let hook = message.attributes(NFGENMSG).find(|attribute| attribute.kind == NFTA_CHAIN_HOOK);
                let number = hook.and_then(|hook| hook.inner().find(|one| one.kind == NFTA_HOOK_HOOKNUM));
                number.is_some_and(|number| u32::from_be_bytes(number.u32().to_ne_bytes()) == INGRESS)
            }
            _ => false,
        },
        _ => false,
    }
}
