//! The picture in the words of the API.

pub(crate) mod artefacts;
mod ends;
mod nodes;

use std::time::Duration;

use archetype_api::lab::{Finding, Lab, LeftOut, Link};
use archetype_api::mapping::{InterfaceMapping, NodeInterface};
use archetype_model::status::{LinkState, Status};
use archetype_model::topology::{LinkDecl, Subject, Topology};

use crate::judging::{DeclaredLink, Judged, Leads, LinkIds, ids, judge};
use crate::now::Now;
use crate::port::Addresses;
use crate::store::{LeftOutPart, Present, Revision, timestamp};

use ends::Ends;

/// One lab of the picture.
pub(crate) struct LabView<'a> {
    now: &'a Now,
    revision: &'a Revision,
    pub judged: Judged,
    ends: Ends<'a>,
}

impl<'a> LabView<'a> {
    /// Judges a lab and has everything about it at hand.
    pub fn of(now: &'a Now, revision: &'a Revision, silent_after: Duration) -> Self {
        let judged = judge(now, revision, now.is_kept() || now.is_silent(silent_after));
        Self { now, revision, judged, ends: Ends::of(now, &revision.lab) }
    }

    fn present(&self) -> Option<&'a Present> {
        self.revision.wish.present()
    }

    /// The lab as `inspect` shows it.
    pub fn lab(&self) -> Lab {
        let source = self.present().map(|present| &present.topology.source);
        Lab {
            name: self.revision.lab.clone(),
            state: self.judged.state.state,
            reason: self.judged.state.reason.clone(),
            revision: self.revision.number,
            file: source.map(|source| format!("{}/{}", source.directory, source.file)).unwrap_or_default(),
            nodes: self.nodes(),
            links: self.links(),
            left_out: self
                .present()
                .map(|present| left_out(&present.topology, &present.wishes.left_out))
                .unwrap_or_default(),
            findings: self.findings(),
        }
    }

    /// Its nodes, in file order.
    pub fn nodes(&self) -> Vec<archetype_api::Node> {
        let Some(present) = self.present() else { return Vec::new() };
        let all = self.judged.nodes.iter();
        all.filter_map(|(name, status)| {
            nodes::node(self.now, &self.revision.lab, &present.topology, present.topology.node(name.as_str())?, status)
        })
        .collect()
    }

    /// Its links, in file order.
    pub fn links(&self) -> Vec<Link> {
        let Some(present) = self.present() else { return Vec::new() };
        let all = self.judged.links.iter();
        all.filter_map(|(link, status)| Some(self.link(link, status, present.topology.links.get(link.index)?)))
            .collect()
    }

    /// The kind of a node as its file declares it.
    pub fn kind_of(&self, node: &str) -> Option<&'a str> {
        Some(self.present()?.topology.node(node)?.kind.as_str())
    }

    fn link(&self, link: &DeclaredLink, status: &Status<LinkState>, declared: &LinkDecl) -> Link {
        let ends = declared.endpoints.iter();
        let end_ref = |end| self.present().and_then(|present| present.topology.end_ref(end));
        Link {
            id: link.id.clone(),
            endpoints: ends
                .map(|end| self.ends.endpoint(end, end_ref(end).as_ref(), self.kind_of(&end.node)))
                .collect(),
            actual_state: status.state,
            reason: status.reason.clone(),
            last_verified_at: self.verified_at(link, status.state),
            kind: declared.kind.as_str().to_string(),
        }
    }

    /// When a link was read back last: never before its wire was reported, and not by a pass that
    /// could not read it.
    pub fn verified_at(&self, link: &DeclaredLink, state: LinkState) -> Option<jiff::Timestamp> {
        let heard = self.now.heard.as_ref()?;
        let told = match &link.leads {
            Leads::Wire(id) | Leads::Member { lan: id, .. } | Leads::Out { id, .. } => {
                heard.report.wires.get(&self.revision.lab).is_some_and(|wires| wires.contains_key(id))
            }
            Leads::Nowhere => false,
        };
        let at = match state {
            LinkState::Unknown => heard.all_read_at_ms,
            _ => Some(heard.verified_at_ms),
        };
        at.filter(|_| told).map(timestamp)
    }

    /// What remains different.
    pub fn findings(&self) -> Vec<Finding> {
        shown(&self.judged.findings)
    }

    /// Which port is which interface.
    pub fn mappings(&self) -> Vec<InterfaceMapping> {
        self.ends.mappings(self.now, &self.revision.lab, &self.link_ids())
    }

    /// The interfaces of a node, with the addresses that were read on them by the host's device.
    pub fn interfaces(&self, node: &archetype_model::NodeName, addresses: &Addresses) -> Vec<NodeInterface> {
        self.ends.interfaces(self.now, &self.revision.lab, node, addresses, &self.link_ids())
    }

    fn link_ids(&self) -> LinkIds {
        let present = self.present();
        present.map(|present| ids(&present.topology, &crate::planning::left_out(&present.wishes))).unwrap_or_default()
    }
}

/// What the host finds that is of no lab alone, in the words of the API.
pub(crate) fn host_findings(now: &Now) -> Vec<Finding> {
    shown(&crate::judging::host_findings(now))
}

fn shown(findings: &[archetype_model::report::Finding]) -> Vec<Finding> {
    let shown = findings.iter().map(|finding| Finding {
        code: finding.code.clone(),
        subject: finding.resource.as_ref().map(ToString::to_string),
        message: finding.message.clone(),
        hint: finding.hint.clone(),
    });
    let mut all: Vec<Finding> = shown.collect();
    all.dedup();
    all
}

/// What is left out, in the words of the API.
pub(crate) fn left_out(topology: &Topology, parts: &[LeftOutPart]) -> Vec<LeftOut> {
    let name_of = |subject: &Subject| match subject {
        Subject::Node(name) => ("node", name.to_string()),
        Subject::Link(index) => {
            let ends = topology.links.get(*index).into_iter().flat_map(|link| &link.endpoints);
            ("link", ends.map(|end| format!("{}:{}", end.node, end.interface)).collect::<Vec<_>>().join(" -- "))
        }
    };
    let said = parts.iter().map(|part| {
        let (what, name) = name_of(&part.subject);
        LeftOut { what: what.to_string(), name, why: part.problem.clone().into() }
    });
    said.collect()
}
