//! Revisions: what users wished of a lab.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::spec::LinkId;
use archetype_model::topology::{LinkDecl, Problem, Subject, Topology};
use archetype_model::{LabName, NodeName};
use serde::{Deserialize, Serialize};

/// A wish that was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Rises with every revision of the store.
    pub number: u64,
    /// The lab.
    pub lab: LabName,
    /// What is wanted of it.
    pub wish: Wish,
    /// [`Wish::digest`] of it.
    pub digest: String,
    /// When it was accepted, in milliseconds of the Unix epoch.
    pub created_at_ms: u64,
}

/// What is wanted of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wanted", rename_all = "kebab-case")]
pub enum Wish {
    /// It is to be as described.
    Present(Box<Present>),
    /// Nothing of it may be left.
    Gone,
}

/// A lab that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Present {
    /// What its file declares.
    pub topology: Topology,
    /// What users wished beyond the file.
    pub wishes: Wishes,
    /// Files that the reading consumed, by path: the hash of each content.
    pub files: BTreeMap<String, String>,
}

/// What users wished beyond the file. Kept when the file is deployed again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// Nodes that are to be stopped.
    pub stopped: BTreeSet<NodeName>,
    /// How often each node was wanted restarted.
    pub restarts: BTreeMap<NodeName, u64>,
    /// How often each node was wanted made again.
    pub reloads: BTreeMap<NodeName, u64>,
    /// Links that are to carry nothing, by the id of their ends.
    pub links_down: BTreeSet<LinkId>,
    /// What is left out because it cannot run.
    pub left_out: Vec<LeftOutPart>,
}

/// The id of a declared link of two ends.
pub(crate) fn link_id(topology: &Topology, link: &LinkDecl) -> Option<LinkId> {
    let [a, b] = link.endpoints.as_slice() else { return None };
    Some(LinkId::between(&topology.end_ref(a)?, &topology.end_ref(b)?))
}

/// A part of a topology that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutPart {
    /// The node or link.
    pub subject: Subject,
    /// Why it cannot run.
    pub problem: Problem,
}

/// A revision before it has a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The lab.
    pub lab: LabName,
    /// What is wanted of it.
    pub wish: Wish,
    /// [`Wish::digest`] of it.
    pub digest: String,
    /// The contents that `Present::files` names, by hash.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Draft {
    /// A draft of this wish.
    pub fn new(lab: LabName, wish: Wish, files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { lab, digest: wish.digest(), wish, files }
    }
}

impl Wish {
    /// Equal for wishes that ask for the same; where a value stands in the file does not count.
    pub fn digest(&self) -> String {
        match self {
            Self::Gone => "gone".to_string(),
            Self::Present(present) => {
                let mut wishes = present.wishes.clone();
                // Only that a part is left out is wished; why stands in the file.
                let left_out: Vec<Subject> = wishes.left_out.drain(..).map(|part| part.subject).collect();
                archetype_model::digest(&(present.topology.digest(), wishes, left_out, &present.files))
            }
        }
    }

    /// What is described, unless nothing is wanted.
    pub fn present(&self) -> Option<&Present> {
        match self {
            Self::Present(present) => Some(present),
            Self::Gone => None,
        }
    }
}

impl Wishes {
    /// The wishes that still speak of something in `topology`, for its next revision.
    #[must_use]
    pub fn carried_to(&self, topology: &Topology) -> Self {
        let known = |node: &NodeName| topology.node(node.as_str()).is_some();
        let counters = |map: &BTreeMap<NodeName, u64>| {
            map.iter().filter(|(node, _)| known(node)).map(|(node, count)| (node.clone(), *count)).collect()
        };
        let links: BTreeSet<LinkId> = topology.links.iter().filter_map(|link| link_id(topology, link)).collect();
        Self {
            stopped: self.stopped.iter().filter(|node| known(node)).cloned().collect(),
            restarts: counters(&self.restarts),
            reloads: counters(&self.reloads),
            links_down: self.links_down.intersection(&links).cloned().collect(),
            left_out: Vec::new(),
        }
    }
}
