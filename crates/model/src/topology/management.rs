//! The management network as declared.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::definition::TextMap;
use crate::name::{BridgeName, NetworkName};
use crate::number::Mtu;

/// A subnet as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subnet<T> {
    /// One is chosen.
    Auto,
    /// This one.
    #[serde(untagged)]
    Net(T),
}

impl<T: fmt::Display> fmt::Display for Subnet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Net(net) => net.fmt(f),
        }
    }
}

/// `mgmt`: what the file states; `None` is not stated, so that an installation's own defaults can
/// take its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct MgmtDecl {
    /// The network's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The Linux bridge's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeName>,
    /// The IPv4 subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_subnet: Option<Subnet<Ipv4Net>>,
    /// The IPv6 subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_subnet: Option<Subnet<Ipv6Net>>,
    /// The host's address in the IPv4 subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_gw: Option<Ipv4Addr>,
    /// The host's address in the IPv6 subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_gw: Option<Ipv6Addr>,
    /// Where dynamic IPv4 addresses come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_range: Option<Ipv4Net>,
    /// Where dynamic IPv6 addresses come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_range: Option<Ipv6Net>,
    /// The MTU of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// Whether the network is reached from outside; true when not stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_access: Option<bool>,
    /// Whether no network is made when no node is on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_when_unused: Option<bool>,
    /// Options of the engine's network driver.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: TextMap,
}

impl MgmtDecl {
    /// The network's name where the file states none.
    pub const NETWORK: &str = "clab";
    /// The IPv4 subnet where the file states neither subnet.
    pub const IPV4_SUBNET: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 20, 20, 0), 24);
    /// The IPv6 subnet where the file states neither subnet.
    pub const IPV6_SUBNET: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0x172, 0x20, 0x20, 0, 0, 0, 0), 64);

    /// The network's name, containerlab's default where none is stated.
    pub fn network_name(&self) -> NetworkName {
        self.network.clone().unwrap_or_else(|| NetworkName::new(Self::NETWORK).expect("a valid constant"))
    }

    /// Whether the file states a subnet; only when it states neither do defaults apply.
    pub fn states_subnet(&self) -> bool {
        self.ipv4_subnet.is_some() || self.ipv6_subnet.is_some()
    }

    /// The IPv4 subnet with containerlab's default; `None` when only IPv6 is stated.
    pub fn ipv4(&self) -> Option<Subnet<Ipv4Net>> {
        self.ipv4_subnet.or_else(|| (!self.states_subnet()).then_some(Subnet::Net(Self::IPV4_SUBNET)))
    }

    /// The IPv6 subnet with containerlab's default; `None` when only IPv4 is stated.
    pub fn ipv6(&self) -> Option<Subnet<Ipv6Net>> {
        self.ipv6_subnet.or_else(|| (!self.states_subnet()).then_some(Subnet::Net(Self::IPV6_SUBNET)))
    }
}
