//! The tunnel of a VXLAN device, as the kernel writes it down. The device itself is [`super::link`]'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::{Attribute, Request};

const VXLAN_REMOTE6: u16 = 16;
const VXLAN_LOCAL6: u16 = 17;

/// The tunnel of a VXLAN device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vxlan {
    /// The VXLAN network identifier, 0 to 2^24-1.
    pub vni: u32,
    /// The address it sends from.
    pub local: Option<IpAddr>,
    /// The one address it sends to; nothing when its forwarding entries say where.
    pub remote: Option<IpAddr>,
    /// The UDP port it sends to and listens on.
    pub port: u16,
    /// Whether it learns which address is behind which remote.
    pub learning: bool,
    /// The don't-fragment bit outside: 0 never, 1 always, 2 as inside.
    pub df: u8,
}

impl Vxlan {
    pub(super) fn parse(data: Attribute<'_>) -> Self {
        let mut vxlan = Self { vni: 0, local: None, remote: None, port: 0, learning: false, df: 0 };
        for attribute in data.inner() {
            match attribute.kind {
                1 => vxlan.vni = attribute.u32(),
                2 | VXLAN_REMOTE6 => vxlan.remote = ip(attribute.value).filter(|ip| !ip.is_unspecified()),
                4 | VXLAN_LOCAL6 => vxlan.local = ip(attribute.value).filter(|ip| !ip.is_unspecified()),
                7 => vxlan.learning = attribute.u8() != 0,
                15 => vxlan.port = u16::from_be(attribute.u16()),
                29 => vxlan.df = attribute.u8(),
                _ => {}
            }
        }
        vxlan
    }

    pub(super) fn write(&self, request: &mut Request) {
        request.put_u32(1, self.vni);
        match self.remote {
            Some(IpAddr::V4(ip)) => {
                request.put(2, &ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                request.put(VXLAN_REMOTE6, &ip.octets());
            }
            None => {}
        }
        match self.local {
            Some(IpAddr::V4(ip)) => {
                request.put(4, &ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                request.put(VXLAN_LOCAL6, &ip.octets());
            }
            None => {}
        }
        request.put_u8(7, u8::from(self.learning));
        request.put(15, &self.port.to_be_bytes());
        if self.df != 0 {
            // Kernels before 4.20 lack the attribute, and 0 is what they do.
            request.put_u8(29, self.df);
        }
    }
}

/// The address in four or sixteen bytes.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|b| IpAddr::V4(Ipv4Addr::from(b)));
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|b| IpAddr::V6(Ipv6Addr::from(b)))).ok()
}
