//! Numbers with a range and a meaning.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Invalid;

/// An IEEE 802.1Q VLAN id that may mark a wire: 1 to 4094 (0 and 4095 are reserved).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanTag(u16);

impl VlanTag {
    /// The tag of the bridge's own port, which is on no wire: without one Open vSwitch would hand
    /// it a copy of every frame of every wire.
    pub const NO_WIRE: u16 = 4095;

    /// Checks that `value` is a usable VLAN id.
    pub fn new(value: u16) -> Result<Self, Invalid> {
        match value {
            1..=4094 => Ok(Self(value)),
            _ => Err(Invalid::new("VLAN tag", value.to_string(), "must be 1 to 4094")),
        }
    }

    /// The VLAN id.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// The largest IP packet an interface sends, in bytes (the Ethernet header not counted).
/// 68 is IPv4's minimum (RFC 791), 65535 the most a veth takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Mtu(u32);

impl Mtu {
    /// What a link gets when the file says nothing, as in containerlab.
    pub const LAB_DEFAULT: Self = Self(9500);
    /// The largest the kernel gives a veth device.
    pub const LARGEST: Self = Self(65535);
    /// What the host's end of every wire has. The most that Open vSwitch's userspace datapath can
    /// bear: it counts the room of a packet in 16 bits, and on a larger device it hands on pieces of
    /// its own memory in place of what follows the tags of a frame.
    pub const HOST_END: Self = Self(65_000);

    /// Checks that `value` is an MTU a veth can have.
    pub fn new(value: u32) -> Result<Self, Invalid> {
        match value {
            68..=65535 => Ok(Self(value)),
            _ => Err(Invalid::new("MTU", value.to_string(), "must be 68 to 65535")),
        }
    }

    /// The MTU in bytes.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// An Ethernet address of one interface: unicast and not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

impl Mac {
    /// Checks that `octets` can be an interface's own address.
    pub fn new(octets: [u8; 6]) -> Result<Self, Invalid> {
        let text = || Self(octets).to_string();
        if octets == [0; 6] {
            return Err(Invalid::new("MAC address", text(), "is all zero"));
        }
        if octets[0] & 1 == 1 {
            return Err(Invalid::new("MAC address", text(), "is a group address"));
        }
        Ok(Self(octets))
    }

    /// The six octets in transmission order.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl std::str::FromStr for Mac {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("MAC address", text, "is not six hexadecimal octets like aa:c1:ab:00:00:01");
        let (between, digits) = match text.contains('.') {
            true => (&['.'][..], 4),
            false => (&[':', '-'][..], 2),
        };
        let parts: Vec<&str> = text.split(between).collect();
        let fits = |part: &&str| part.len() == digits && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(&parts.concat(), 16).map_err(|_| wrong())?;
        if parts.len() * digits != 12 || !parts.iter().all(fits) {
            return Err(wrong());
        }
        let [_, _, octets @ ..] = number.to_be_bytes();
        Self::new(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The version of a spec: which incarnation of the store gave it, and its number there.
/// Generations of different incarnations are not ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// The store incarnation, drawn anew when a store is made or adopted.
    pub incarnation: String,
    /// Rises by one whenever the host's spec changes.
    pub number: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.incarnation, self.number)
    }
}

// === conversions for serde ===

impl TryFrom<u16> for VlanTag {
    type Error = Invalid;
    fn try_from(value: u16) -> Result<Self, Invalid> {
        Self::new(value)
    }
}

impl From<VlanTag> for u16 {
    fn from(tag: VlanTag) -> u16 {
        tag.0
    }
}

impl fmt::Display for VlanTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for Mtu {
    type Error = Invalid;
    fn try_from(value: u32) -> Result<Self, Invalid> {
        Self::new(value)
    }
}

impl From<Mtu> for u32 {
    fn from(mtu: Mtu) -> u32 {
        mtu.0
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Mac {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        value.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_tag_is_never_reserved() {
        assert!(VlanTag::new(0).is_err());
        assert!(VlanTag::new(4095).is_err());
        assert_eq!(VlanTag::new(4094).unwrap().get(), 4094);
    }

    #[test]
    fn a_mac_reads_back_as_written() {
        let mac: Mac = "aa:c1:ab:00:01:02".parse().unwrap();
        assert_eq!(mac.to_string(), "aa:c1:ab:00:01:02");
        for other in ["AA-C1-AB-00-01-02", "aac1.ab00.0102"] {
            assert_eq!(other.parse(), Ok(mac), "{other}");
        }
        for none in ["aac1.ab00.01", "aac1.ab0.00102", "+a:c1:ab:00:01:02", "aa.c1.ab.00.01.02", ""] {
            assert!(none.parse::<Mac>().is_err(), "{none}");
        }
    }

    #[test]
    fn a_group_or_zero_mac_is_refused() {
        assert!("01:80:c2:00:00:0e".parse::<Mac>().is_err());
        assert!("00:00:00:00:00:00".parse::<Mac>().is_err());
        assert!("aa:c1:ab:00:01".parse::<Mac>().is_err());
        assert!("aa:c1:ab:00:01:02:03".parse::<Mac>().is_err());
    }
}
