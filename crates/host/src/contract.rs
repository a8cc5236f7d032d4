//! What an agent asks of a host. [`crate::fake::FakeHost`] and the real one keep the same promises;
//! one suite runs against both.

use std::sync::Arc;

use archetype_model::observed::Observed;
use archetype_model::report::ProbeResult;
use archetype_model::spec::{EndRef, HostSpec, LinkId};
use archetype_model::step::{Outcome, Step};
use archetype_model::{ContainerName, LabName};
use async_trait::async_trait;

/// One Linux host as its agent uses it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Reads back what is. What did not change since the last reading may come from a replica that
    /// its source keeps true. Infallible: what cannot be read says so.
    async fn observe(&self) -> Observed;

    /// Makes the next [`Host::observe`] read everything from its source, and compare.
    /// Answers how many replicas were not what their source said.
    async fn full_read(&self) -> u64;

    /// Takes the steps of one phase, independent ones side by side, and waits for kernel and
    /// Open vSwitch; tasks on nodes are only begun. One outcome per step, in order.
    async fn apply(&self, spec: &Arc<HostSpec>, steps: &[Step]) -> Vec<Outcome>;

    /// Sends probe frames both ways across each wire and says what arrived; for an order with one
    /// end only, whether its frame came to its own port. Not a write.
    async fn probe(&self, orders: &[ProbeOrder]) -> Vec<ProbeResult>;
}

/// A wire to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOrder {
    /// The wire's lab.
    pub lab: LabName,
    /// The wire.
    pub wire: LinkId,
    /// Its ends.
    pub ends: Vec<ProbeEnd>,
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
