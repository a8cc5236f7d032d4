//! Revisions: what users wished of a lab.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archetype_model::spec::{EndRef, LinkId};
use archetype_model::topology::{LinkDecl, Problem, Subject, Topology};
use archetype_model::{LabName, NodeName};
use serde::{Deserialize, Serialize};

/// A wish that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Rises with every revision of the store.
    pub number: u64,
    /// The lab.
    pub lab: LabName,
    /// What is wanted of it.
    pub wish: Arc<Wish>,
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
    let [a, b] = ends(topology, link)?;
    Some(LinkId::between(&a, &b))
}

/// A part of a topology that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutPart {
    /// The node or link.
    pub subject: Subject,
    /// Why it cannot run.
    pub problem: Problem,
}

/// What is to become a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The lab.
    pub lab: LabName,
    /// What is wanted of it.
    pub wish: Arc<Wish>,
    /// The contents that `Present::files` names, by hash.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A draft as it is kept. Writing it out takes as long as planning a small lab, and needs nothing of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The draft.
    pub draft: Draft,
    /// [`Wish::digest`] of its wish.
    pub digest: String,
    /// Its wish in JSON.
    pub text: String,
}

impl Draft {
    /// A draft of this wish.
    pub fn new(lab: LabName, wish: impl Into<Arc<Wish>>, files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { lab, wish: wish.into(), files }
    }

    /// The draft, written out.
    pub fn written(self) -> Written {
        // A wish has no map whose keys are not strings.
        let text = serde_json::to_string(&*self.wish).unwrap_or_default();
        Written { digest: self.wish.digest(), text, draft: self }
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

impl Present {
    /// The wishes that still speak of something in `topology`, for the lab's next revision. A port
    /// that is spelled in another way is the same port.
    #[must_use]
    pub fn carried_to(&self, topology: &Topology) -> Wishes {
        let wishes = &self.wishes;
        let known = |node: &NodeName| topology.node(node.as_str()).is_some();
        let counters = |map: &BTreeMap<NodeName, u64>| {
            map.iter().filter(|(node, _)| known(node)).map(|(node, count)| (node.clone(), *count)).collect()
        };
        let down = self.topology.links.iter().filter_map(|link| ends(&self.topology, link));
        let down = down.filter(|[a, b]| wishes.links_down.contains(&LinkId::between(a, b)));
        Wishes {
            stopped: wishes.stopped.iter().filter(|node| known(node)).cloned().collect(),
            restarts: counters(&wishes.restarts),
            reloads: counters(&wishes.reloads),
            links_down: down.filter_map(|link| same_link(topology, &link)).collect(),
            left_out: Vec::new(),
        }
    }
}

fn ends(topology: &Topology, link: &LinkDecl) -> Option<[EndRef; 2]> {
    let [a, b] = link.endpoints.as_slice() else { return None };
    Some([topology.end_ref(a)?, topology.end_ref(b)?])
}

/// The link of a topology that joins the same two ports.
fn same_link(topology: &Topology, [a, b]: &[EndRef; 2]) -> Option<LinkId> {
    let same = |one: &EndRef, other: &EndRef| {
        let kind = topology.node(one.node.as_str()).map(|node| node.kind.as_str()).unwrap_or_default();
        one.node == other.node && archetype_kinds::same_port(kind, one.interface.as_str(), other.interface.as_str())
    };
    let mut links = topology.links.iter().filter_map(|link| ends(topology, link));
    let [c, d] = links.find(|[c, d]| same(a, c) && same(b, d) || same(a, d) && same(b, c))?;
    Some(LinkId::between(&c, &d))
}
