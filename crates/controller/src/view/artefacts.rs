//! The files of a lab for other programs, from what is declared, planned and told.

use std::collections::BTreeMap;

use archetype_api::artefacts::Artefacts;
use archetype_artefacts::{Lab, Seen, files, folder};
use archetype_model::spec::{Attachment, LabSpec, NetworkSpec, NodeBody, NodeSpec};

use crate::now::Now;
use crate::planning::left_out;
use crate::store::Revision;

/// The files of a lab; none of one that is wanted gone.
pub(crate) fn read(now: &Now, revision: &Revision) -> Artefacts {
    let lab = revision.lab.clone();
    let Some(present) = revision.wish.present() else { return Artefacts { lab, files: BTreeMap::new() } };
    let part = now.part(&lab);
    let written = files(&Lab {
        topology: &present.topology,
        left_out: &left_out(&present.wishes),
        part,
        network: part.and_then(|part| network(now, part)),
        seen: &part.map(|part| seen(now, part)).unwrap_or_default(),
    });
    let folder = folder(&lab);
    Artefacts { files: written.into_iter().map(|(name, text)| (format!("{folder}/{name}"), text)).collect(), lab }
}

/// The management network that something of the lab is on.
fn network<'a>(now: &'a Now, part: &LabSpec) -> Option<&'a NetworkSpec> {
    let mut interfaces = part.nodes.iter().flat_map(|node| &node.interfaces);
    let name = interfaces.find_map(|interface| match &interface.attachment {
        Attachment::Network { network, .. } => Some(network),
        _ => None,
    })?;
    now.spec()?.network(name)
}

/// Ids of containers, and the MACs of the host's devices at links that lead out of nodes.
fn seen(now: &Now, part: &LabSpec) -> Seen {
    let Some(report) = now.heard.as_ref().map(|heard| &heard.report) else { return Seen::default() };
    // The run of a namespace has an id too, but not one that names it anywhere.
    let containers = part.nodes.iter().filter(|node| matches!(node.body, NodeBody::Container(_)));
    let id = |node: &NodeSpec| report.nodes.get(&node.container).and_then(|told| told.id.clone());
    let ends = report.wires.get(&part.name).into_iter().flat_map(|wires| wires.values()).flat_map(|wire| &wire.ends);
    Seen {
        containers: containers.filter_map(|node| Some((node.name.clone(), id(node)?))).collect(),
        outside: ends.filter_map(|end| Some((end.end.clone(), end.device.as_ref()?.mac?))).collect(),
    }
}
