//! Management networks, and the host's packet filter as far as it judges our frames.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::name::BridgeName;

/// A management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkObserved {
    /// The bridge device's ifindex; none when it is missing.
    pub bridge: Option<u32>,
    /// Whether the bridge is ours: by its alias, or by our labelled Docker network that names it.
    pub ours: bool,
    /// Addresses on the bridge.
    pub addresses: BTreeSet<IpAddr>,
    /// Whether the Docker network laid over it is as wanted; unreadable when the engine is.
    pub guests: Reading<bool>,
    /// Whether the rules (way out, published ports) are as wanted, as the hash of what they were made from.
    pub rules: Option<String>,
    /// The nodes' hosts entries as written, as a hash.
    pub hosts: Option<String>,
    /// Containers of other people that are on it.
    pub foreign: Vec<String>,
    /// Whether it began to go by an earlier spec: everything that serves only nodes was taken away,
    /// and it stays for those who are on it.
    #[serde(default)]
    pub leaving: bool,
    /// Whether something is being done to the Docker network over it right now.
    #[serde(default)]
    pub busy: bool,
}

/// The rules of ours for bridges of the host that are not ours: where a packet filter judges what
/// bridges carry, and Docker has it drop what nobody accepts, members reach each other only by them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassagesObserved {
    /// Whether there is a filter that asks for rules.
    pub filtered: bool,
    /// The bridges that rules of ours name, and whether each one's rules are as wanted.
    pub bridges: BTreeMap<BridgeName, bool>,
}

impl PassagesObserved {
    /// Whether the filter may drop what this bridge carries: it asks for rules, and there are none
    /// of ours for it, or not as wanted.
    pub fn is_shut(&self, bridge: &BridgeName) -> bool {
        self.filtered && self.bridges.get(bridge) != Some(&true)
    }
}
