//! What an agent asks of a host. [`crate::fake::FakeHost`] and the real one keep the same promises;
//! one suite runs against both.

use std::sync::Arc;

use archetype_model::observed::Observed;
use archetype_model::report::{Finding, ProbeResult};
use archetype_model::spec::{EndRef, HostSpec, LinkId};
use archetype_model::step::{Outcome, Step};
use archetype_model::{BridgeName, ContainerName, LabName, VlanTag};
use async_trait::async_trait;

/// One Linux host as its agent uses it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Reads back what is. What did not change since the last reading may come from a replica that
    /// its source keeps true. Infallible: what cannot be read says so.
    async fn observe(&self) -> Observed;

    /// What stands in the way of every node of some sort, whether one is wanted or not.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// Makes the next [`Host::observe`] read everything from its source, and compare.
    /// Answers how many replicas were not what their source said.
    async fn full_read(&self) -> u64;

    /// Takes the steps of one phase, independent ones side by side, and waits for kernel and
    /// Open vSwitch; tasks on nodes are only begun. One outcome per step, in order.
    async fn apply(&self, spec: &Arc<HostSpec>, steps: &[Step]) -> Vec<Outcome>;

    /// Sends probe frames both ways across each wire, as its [`Across`] says, and tells what arrived.
    /// Not a write.
    async fn probe(&self, orders: &[ProbeOrder]) -> Vec<ProbeResult>;
}

/// A wire, or a link out of a lab, to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOrder {
    /// The wire's lab.
    pub lab: LabName,
    /// The wire.
    pub wire: LinkId,
    /// Its ends.
    pub ends: Vec<ProbeEnd>,
    /// What lies between them.
    pub across: Across,
}

/// What lies between the ends of an order, or beyond its only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Across {
    /// A wire with several ends: frames go from each to every other.
    Wire,
    /// A segment with one end: frames go between it and the switch.
    Switch {
        /// The segment's tag.
        tag: VlanTag,
        /// The number that the switch has for the end's port.
        ofport: i64,
    },
    /// A device of the host, the other end of the only end's pair.
    Device {
        /// Its name, for words.
        name: String,
        /// Its number.
        ifindex: u32,
    },
    /// A Linux bridge of the host: frames go from each end to every other, or between the only end
    /// and the bridge itself.
    Bridge {
        /// Its name, for words.
        name: BridgeName,
        /// Its number.
        ifindex: u32,
    },
}

/// One end of a wire to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeEnd {
    /// The end, for words.
    pub end: EndRef,
    /// The node.
    pub container: ContainerName,
    /// The ifindex of the host's device, by which the node's end is found wherever the node moved it.
    pub host_ifindex: u32,
}

impl ProbeOrder {
    /// Who takes part, in words: the ends, then what frames reach beyond them, if anything.
    pub fn parties(&self) -> Vec<String> {
        let mut names: Vec<String> = self.ends.iter().map(|end| end.end.to_string()).collect();
        let alone = self.ends.len() == 1;
        names.extend(match &self.across {
            Across::Wire => None,
            Across::Switch { .. } => Some("its segment".to_string()),
            Across::Device { name, .. } => Some(format!("device {name}")),
            Across::Bridge { name, .. } => alone.then(|| format!("bridge {name}")),
        });
        names
    }
}
