//! What a spec wants of each resource, as a digest: where two specs agree on it, a step on it can
//! only be a repair.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::spec::{Attachment, HostSpec, LinkId, WireSpec};
use archetype_model::step::Resource;
use archetype_model::{LabName, digest};

/// Every resource the spec wants, with the digest of what it wants of it.
pub fn resources(spec: &HostSpec) -> BTreeMap<Resource, String> {
    let mut wanted = BTreeMap::new();
    let tags: BTreeSet<u16> = spec.wires().map(|(_, wire)| wire.tag.get()).collect();
    if !tags.is_empty() {
        // The tags come and go with wires; the bridge itself is one for all.
        wanted.insert(Resource::Bridge, digest(&tags));
    }
    for network in &spec.networks {
        let whole = spec.network_wanted(&network.name);
        let parts = (network, whole.as_ref().map(|w| w.rules_digest()), whole.as_ref().map(|w| w.hosts_digest()));
        wanted.insert(Resource::Network(network.name.clone()), digest(&parts));
    }
    for bridge in spec.foreign_bridges() {
        wanted.insert(Resource::Passage(bridge.clone()), digest(bridge));
    }
    let all = spec.wires().map(|(lab, wire)| ((&lab.name, &wire.id), wire));
    let wires: BTreeMap<(&LabName, &LinkId), &WireSpec> = all.collect();
    for (lab, node) in spec.nodes() {
        if node.has_namespace() {
            wanted.insert(Resource::Namespace(node.container.clone()), node.facts_digest());
        }
        let run = (node.body_digest(), node.desired, node.restarts);
        wanted.insert(Resource::Node(node.container.clone()), digest(&run));
        for interface in &node.interfaces {
            let wire = match &interface.attachment {
                Attachment::Wire { wire } => wires.get(&(&lab.name, wire)).copied(),
                _ => None,
            };
            let device = (interface, wire.map(|wire| wire.desired));
            wanted.insert(Resource::Device(interface.host_device.clone()), digest(&device));
            if matches!(interface.attachment, Attachment::Wire { .. }) {
                let port = (&interface.host_device, wire.map(|wire| wire.tag));
                wanted.insert(Resource::Port(interface.host_device.clone()), digest(&port));
            }
        }
    }
    wanted
}
