//! The links of a topology as users count them, and what each comes to on the host.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::NodeName;
use archetype_model::spec::{EndRef, LinkId};
use archetype_model::topology::{EndpointDecl, LinkDecl, NodeDecl, Place, RuntimeKind, Subject, Topology};

/// A link of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeclaredLink {
    /// Unique within the lab.
    pub id: String,
    /// Its place in the file.
    pub index: usize,
    /// What it comes to.
    pub leads: Leads,
}

/// What a link of the file comes to on the host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Leads {
    /// A cable between two nodes.
    Wire(LinkId),
    /// A member of a LAN, where the bridge is ours; where it is the host's, it leads out.
    Member {
        /// The LAN.
        lan: LinkId,
        /// The member.
        end: EndRef,
    },
    /// Out of the lab: to the host, or to the management network.
    Out {
        /// Its id on the host.
        id: LinkId,
        /// The end in the lab.
        end: EndRef,
    },
    /// Nothing that could be planned.
    Nowhere,
}

/// The links of a topology in file order, without what is left out.
pub(crate) fn links(topology: &Topology, left_out: &BTreeSet<Subject>) -> Vec<DeclaredLink> {
    let all = topology.links.iter().enumerate();
    let wanted = all.filter(|(index, link)| !is_left_out(left_out, *index, link));
    wanted.map(|(index, link)| declared(topology, index, link)).collect()
}

fn is_left_out(left_out: &BTreeSet<Subject>, index: usize, link: &LinkDecl) -> bool {
    let node_is_out = |end: &EndpointDecl| {
        end.place == Place::Node
            && NodeName::new(end.node.as_str()).is_ok_and(|node| left_out.contains(&Subject::Node(node)))
    };
    left_out.contains(&Subject::Link(index)) || link.endpoints.iter().any(node_is_out)
}

fn declared(topology: &Topology, index: usize, link: &LinkDecl) -> DeclaredLink {
    let ends: Vec<Option<EndRef>> = link.endpoints.iter().map(|end| topology.end_ref(end)).collect();
    let id = match ends.as_slice() {
        [Some(a), Some(b)] => LinkId::between(a, b).to_string(),
        _ => link.endpoints.iter().map(|end| format!("{}:{}", end.node, end.interface)).collect::<Vec<_>>().join("--"),
    };
    let what = |end: &EndpointDecl| match end.place {
        Place::Node => topology.node(&end.node).map(NodeDecl::runtime).filter(|runtime| *runtime != RuntimeKind::Host),
        _ => None,
    };
    let sides: Vec<_> = link.endpoints.iter().map(what).collect();
    let leads = match (ends.as_slice(), sides.as_slice()) {
        ([Some(a), Some(b)], [at_a, at_b]) => match (at_a, at_b) {
            (Some(RuntimeKind::Bridge), Some(RuntimeKind::Bridge)) | (None, None) => Leads::Nowhere,
            (Some(RuntimeKind::Bridge), Some(_)) => Leads::Member { lan: LinkId::lan(&a.node), end: b.clone() },
            (Some(_), Some(RuntimeKind::Bridge)) => Leads::Member { lan: LinkId::lan(&b.node), end: a.clone() },
            (Some(_), Some(_)) => Leads::Wire(LinkId::between(a, b)),
            (Some(_), None) => Leads::Out { id: LinkId::between(a, b), end: a.clone() },
            (None, Some(_)) => Leads::Out { id: LinkId::between(a, b), end: b.clone() },
        },
        _ => Leads::Nowhere,
    };
    DeclaredLink { id, index, leads }
}

/// The ids of links by the ends that are interfaces of nodes.
pub(crate) type LinkIds = BTreeMap<EndRef, String>;

/// The ids of a topology's links by their ends, without what is left out.
pub(crate) fn ids(topology: &Topology, left_out: &BTreeSet<Subject>) -> LinkIds {
    let mut ids = LinkIds::new();
    for link in links(topology, left_out) {
        let ends = topology.links.get(link.index).into_iter().flat_map(|declared| &declared.endpoints);
        let of_nodes = ends.filter(|end| end.place == Place::Node).filter_map(|end| topology.end_ref(end));
        ids.extend(of_nodes.map(|end| (end, link.id.clone())));
    }
    ids
}
