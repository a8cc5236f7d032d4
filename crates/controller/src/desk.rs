//! What requests are served with.

use std::sync::Arc;
use std::time::Duration;

use archetype_api::{Problem, TopologyText};
use archetype_model::spec::NodeSpec;
use archetype_model::topology::{self, Topology};
use archetype_model::{LabName, NodeName};
use tokio::task::JoinError;

use crate::bell::Bell;
use crate::now::{Board, Now};
use crate::planning::Planner;
use crate::port::AgentAccess;
use crate::reader::FileReader;
use crate::store::{LeftOutPart, Revision, Store};
use crate::wishing::{self, ReadFile};

/// Everything a request may need.
#[derive(Clone)]
pub(crate) struct Desk {
    pub store: Arc<dyn Store>,
    pub board: Board,
    pub planner: Arc<Planner>,
    pub access: Arc<dyn AgentAccess>,
    pub bell: Bell,
    pub silent_after: Duration,
    pub reader: FileReader,
}

impl Desk {
    /// Reads and checks a file, looking meanwhile at what else is on the host.
    ///
    /// # Errors
    /// When the reading ended early.
    pub async fn read(&self, text: TopologyText, partial: bool) -> Result<ReadFile, JoinError> {
        let reader = self.reader.clone();
        let reading = tokio::task::spawn_blocking(move || wishing::read(&reader, &text));
        let (reading, facts) = tokio::join!(reading, self.planner.refresh_facts());
        Ok(wishing::checked(reading?, partial, facts))
    }

    /// Makes the files that the nodes of `topology` will bind, less those left out; the problems are why it cannot be.
    ///
    /// # Errors
    /// When that ended early.
    pub async fn prepare(
        &self,
        topology: Topology,
        left_out: &[LeftOutPart],
    ) -> Result<(Topology, Vec<topology::Problem>), JoinError> {
        // A thread of its own is for what takes its time.
        if !self.reader.prepares(&topology) {
            return Ok((topology, Vec::new()));
        }
        let reader = self.reader.clone();
        let rest = (!left_out.is_empty()).then(|| wishing::without(&topology, left_out));
        tokio::task::spawn_blocking(move || {
            let problems = reader.prepare(rest.as_ref().unwrap_or(&topology));
            (topology, problems)
        })
        .await
    }
}

/// The current revision of a lab.
pub(crate) fn revision<'a>(now: &'a Now, lab: &LabName) -> Result<&'a Arc<Revision>, Box<Problem>> {
    now.revision(lab).ok_or_else(|| Box::new(wishing::lab_unknown(lab)))
}

/// A node that something runs in, as its host is to run it.
pub(crate) fn node<'a>(now: &'a Now, lab: &LabName, node: &NodeName) -> Result<&'a NodeSpec, Box<Problem>> {
    let revision = revision(now, lab)?;
    if let Some(spec) = now.part(lab).and_then(|part| part.node(node)) {
        return Ok(spec);
    }
    let declared = revision.wish.present().and_then(|present| present.topology.node(node.as_str()));
    Err(Box::new(match declared {
        Some(declared) if !declared.runtime().runs() => wishing::without_process(declared),
        _ => wishing::node_unknown(lab, node),
    }))
}
