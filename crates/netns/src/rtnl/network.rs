//! What hangs on devices: addresses, routes, rules, neighbours, nexthops.
//!
//! A table is read as raw messages, and an entry is deleted by sending back the very message that
//! described it. So entries with attributes that this code has never heard of are deleted too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::socket::Socket;
use super::vxlan::ip;
use super::wire::{Attributes, Message, Request, read_u32};
use crate::error::Result;

const RTM_NEWNEXTHOP: u16 = 104;
const IFADDR: usize = 8;
pub(super) const RTMSG: usize = 12;
const NDMSG: usize = 12;
const IFA_F_NODAD: u32 = 0x02;

/// A table of the network stack that can be listed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// IP addresses of all families.
    Addresses,
    /// Routes of every routing table and family.
    Routes,
    /// Policy rules of IPv4.
    Rules4,
    /// Policy rules of IPv6.
    Rules6,
    /// Neighbours (ARP, ND) of all families.
    Neighbours,
    /// Forwarding entries of devices and bridges.
    Forwarding,
    /// Nexthop objects.
    Nexthops,
    /// Rules of multicast routing, IPv4.
    RulesMulticast4,
    /// Rules of multicast routing, IPv6.
    RulesMulticast6,
    /// Address labels (RFC 6724) of IPv6.
    AddressLabels,
}

impl Table {
    /// The type that announces an entry of it; the next one up deletes, the one after that lists.
    fn kind(self) -> u16 {
        match self {
            Self::Addresses => libc::RTM_NEWADDR,
            Self::Routes => libc::RTM_NEWROUTE,
            Self::Rules4 | Self::Rules6 | Self::RulesMulticast4 | Self::RulesMulticast6 => libc::RTM_NEWRULE,
            Self::Neighbours | Self::Forwarding => libc::RTM_NEWNEIGH,
            Self::Nexthops => RTM_NEWNEXTHOP,
            Self::AddressLabels => 72,
        }
    }

    fn family(self) -> u8 {
        let family = match self {
            Self::Rules4 => libc::AF_INET,
            Self::Rules6 | Self::AddressLabels => libc::AF_INET6,
            Self::RulesMulticast4 => 128,
            Self::RulesMulticast6 => 129,
            Self::Forwarding => libc::AF_BRIDGE,
            Self::Addresses | Self::Routes | Self::Neighbours | Self::Nexthops => libc::AF_UNSPEC,
        };
        family as u8
    }

    /// Bytes of the fixed part of its messages.
    pub fn fixed(self) -> usize {
        match self {
            Self::Addresses | Self::Nexthops => IFADDR,
            Self::AddressLabels => 12,
            _ => RTMSG,
        }
    }

    /// The request that deletes the entry that a message of this body described.
    pub fn delete_request(self, body: &[u8]) -> Request {
        let mut request = Request::new(self.kind() + 1, 0, body);
        if self == Self::Nexthops {
            // Only the number may stand there, and the header's other fields must be zero.
            request = Request::new(self.kind() + 1, 0, &[0; IFADDR]);
            Attributes(&body[IFADDR..]).filter(|a| a.kind == 1).for_each(|a| {
                request.put(1, a.value);
            });
        }
        request
    }

    /// The request that adds the entry that a message of this body described.
    pub fn add_request(self, body: &[u8]) -> Request {
        Request::new(self.kind(), (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, body)
    }
}

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The index of its device.
    pub index: u32,
    /// The address with its prefix length.
    pub net: IpNet,
    /// How far it reaches: 0 everywhere, 253 this link, 254 this host.
    pub scope: u8,
    /// Its flags (`IFA_F_…`).
    pub flags: u32,
}

impl Address {
    fn parse(message: &Message) -> Option<Self> {
        if message.kind != libc::RTM_NEWADDR {
            return None;
        }
        let (mut local, mut other, mut flags) = (None, None, u32::from(*message.body.get(2)?));
        for attribute in message.attributes(IFADDR) {
            match attribute.kind {
                libc::IFA_LOCAL => local = ip(attribute.value),
                libc::IFA_ADDRESS => other = ip(attribute.value),
                libc::IFA_FLAGS => flags = attribute.u32(),
                _ => {}
            }
        }
        Some(Self {
            index: read_u32(&message.body, 4)?,
            net: IpNet::new(local.or(other)?, *message.body.get(1)?).ok()?,
            scope: *message.body.get(3)?,
            flags,
        })
    }
}

/// A unicast route with one way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to; the default route when not set.
    pub to: Option<IpNet>,
    /// By which router.
    pub via: Option<IpAddr>,
    /// Out of which device, by index.
    pub index: Option<u32>,
    /// In which routing table; 254 is the main one.
    pub table: u32,
    /// Who put it there (`RTPROT_…`): 2 the kernel, 3 boot, 4 static.
    pub protocol: u8,
    /// What it does (`RTN_…`): 1 unicast, 6 blackhole, …
    pub kind: u8,
    /// Its priority; smaller wins.
    pub metric: u32,
}

impl Route {
    fn parse(message: &Message) -> Option<Self> {
        let family = i32::from(*message.body.first()?);
        if message.kind != libc::RTM_NEWROUTE || !matches!(family, libc::AF_INET | libc::AF_INET6) {
            return None;
        }
        let mut route = Self {
            to: None,
            via: None,
            index: None,
            table: u32::from(*message.body.get(4)?),
            protocol: *message.body.get(5)?,
            kind: *message.body.get(7)?,
            metric: 0,
        };
        for attribute in message.attributes(RTMSG) {
            match attribute.kind {
                libc::RTA_DST => route.to = IpNet::new(ip(attribute.value)?, *message.body.get(1)?).ok(),
                libc::RTA_GATEWAY => route.via = ip(attribute.value),
                libc::RTA_OIF => route.index = Some(attribute.u32()),
                libc::RTA_TABLE => route.table = attribute.u32(),
                libc::RTA_PRIORITY => route.metric = attribute.u32(),
                _ => {}
            }
        }
        Some(route)
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn family_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

/// The request that gives the device `index` an address. IPv6 addresses are usable at once: no
/// duplicate detection is waited for, since addresses of a lab are planned.
pub fn address_request(index: u32, net: IpNet) -> Request {
    address(libc::RTM_NEWADDR, (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, index, net)
}

/// The request that takes an address from a device.
pub fn address_removal(index: u32, net: IpNet) -> Request {
    address(libc::RTM_DELADDR, 0, index, net)
}

fn address(kind: u16, flags: u16, index: u32, net: IpNet) -> Request {
    let family = family_of(net.addr());
    let mut fixed = [family, net.prefix_len(), 0, 0, 0, 0, 0, 0];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut request = Request::new(kind, flags, &fixed);
    request.put(libc::IFA_LOCAL, &octets(net.addr())).put(libc::IFA_ADDRESS, &octets(net.addr()));
    match net {
        // The kernel sets no broadcast address by itself; ip(8) leaves it out too unless asked.
        IpNet::V4(_) => {}
        IpNet::V6(_) => {
            request.put_u32(libc::IFA_FLAGS, IFA_F_NODAD);
        }
    }
    request
}

/// The request that adds a static route in the main table.
pub fn route_request(to: Option<IpNet>, via: Option<IpAddr>, index: u32) -> Request {
    route(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16, (to, via, index))
}

/// As [`route_request`], where there is none to the same place.
pub fn route_addition(to: Option<IpNet>, via: Option<IpAddr>, index: u32) -> Request {
    route(libc::RTM_NEWROUTE, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16, (to, via, index))
}

/// The request that takes such a route away.
pub fn route_removal(to: Option<IpNet>, via: Option<IpAddr>, index: u32) -> Request {
    route(libc::RTM_DELROUTE, 0, (to, via, index))
}

fn route(kind: u16, flags: u16, (to, via, index): (Option<IpNet>, Option<IpAddr>, u32)) -> Request {
    let any = match via {
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let (address, prefix) = to.map_or((any, 0), |net| (net.network(), net.prefix_len()));
    let scope = if via.is_none() && address.is_ipv4() { libc::RT_SCOPE_LINK } else { libc::RT_SCOPE_UNIVERSE };
    let fixed = [
        family_of(address),
        prefix,
        0,
        0,
        libc::RT_TABLE_MAIN,
        libc::RTPROT_STATIC,
        scope,
        libc::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    let mut request = Request::new(kind, flags, &fixed);
    if prefix > 0 {
        request.put(libc::RTA_DST, &octets(address));
    }
    via.iter().for_each(|via| {
        request.put(libc::RTA_GATEWAY, &octets(*via));
    });
    request.put_u32(libc::RTA_OIF, index);
    request
}

/// The request that adds (or removes) the forwarding entry of a VXLAN device that sends what has
/// no known place, all-zero, to `remote`.
pub fn flood_request(index: u32, remote: IpAddr, add: bool) -> Request {
    const NUD_PERMANENT: u16 = 0x80;
    const NTF_SELF: u8 = 0x02;
    let mut fixed = [0u8; NDMSG];
    fixed[0] = libc::AF_BRIDGE as u8;
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..10].copy_from_slice(&(NUD_PERMANENT | 0x40).to_ne_bytes());
    fixed[10] = NTF_SELF;
    let (kind, flags) =
        if add { (libc::RTM_NEWNEIGH, libc::NLM_F_CREATE | libc::NLM_F_APPEND) } else { (libc::RTM_DELNEIGH, 0) };
    let mut request = Request::new(kind, flags as u16, &fixed);
    request.put(libc::NDA_LLADDR, &[0; 6]).put(libc::NDA_DST, &octets(remote));
    request
}

impl Socket {
    /// Every entry of a table as it came. A family that the kernel lacks has no entries.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn table(&mut self, table: Table) -> Result<Vec<Message>> {
        // Neighbours of bridges are asked for by a device's message (the older form, which every
        // kernel takes when the strict form's fields are zero).
        let mut fixed = vec![0; table.fixed()];
        fixed[0] = table.family();
        match self.dump(&format!("list {table:?}"), &Request::new(table.kind() + 2, 0, &fixed)) {
            Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT)) => Ok(Vec::new()),
            answer => answer.map(|all| all.into_iter().filter(|m| m.kind == table.kind()).collect()),
        }
    }

    /// Every address of the namespace.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        Ok(self.table(Table::Addresses)?.iter().filter_map(Address::parse).collect())
    }

    /// Every route of every table, those of multicast and MPLS left out.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        Ok(self.table(Table::Routes)?.iter().filter_map(Route::parse).collect())
    }

    /// Every route of the main table that leads out of one device.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn routes_of(&mut self, index: u32) -> Result<Vec<Route>> {
        let mut all = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut fixed = [0; RTMSG];
            (fixed[0], fixed[4]) = (family as u8, libc::RT_TABLE_MAIN);
            let mut request = Request::new(libc::RTM_GETROUTE, 0, &fixed);
            request.put_u32(libc::RTA_OIF, index);
            match self.dump("list the routes of a device", &request) {
                // Without the family, or as long as the table has no route at all.
                Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::ENOENT)) => {}
                answer => all.extend(answer?.iter().filter_map(Route::parse)),
            }
        }
        // Kernels before 4.20 list them all.
        all.retain(|route| route.index == Some(index) && route.table == u32::from(libc::RT_TABLE_MAIN));
        Ok(all)
    }

    /// The remotes of a VXLAN device's all-zero forwarding entries.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn floods(&mut self, index: u32) -> Result<Vec<IpAddr>> {
        let entries = self.table(Table::Forwarding)?;
        let of_device = entries.iter().filter(|m| read_u32(&m.body, 4) == Some(index));
        Ok(of_device.filter_map(flood_remote).collect())
    }
}

/// Where an all-zero forwarding entry sends to.
fn flood_remote(message: &Message) -> Option<IpAddr> {
    let (mut zero, mut remote) = (false, None);
    for attribute in message.attributes(NDMSG) {
        match attribute.kind {
            libc::NDA_LLADDR => zero = attribute.value.iter().all(|byte| *byte == 0),
            libc::NDA_DST => remote = ip(attribute.value),
            _ => {}
        }
    }
    remote.filter(|_| zero)
}
