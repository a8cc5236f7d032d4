//! What a spec wants of each resource, as a digest: where two specs agree on it, a step on it can
//! only be a repair.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::spec::{Attachment, HostSpec, LinkId, WireSpec};
use archetype_model::step::Resource;
use archetype_model::{ContainerName, LabName, digest};

/// What a spec wants, as digests. Working them out writes all of it as JSON, and nothing changes them: once for a spec is
/// enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Every resource the spec wants, with the digest of what it wants of it.
    pub resources: BTreeMap<Resource, String>,
    bodies: BTreeMap<ContainerName, String>,
}

impl Wanted {
    /// What this spec wants.
    pub fn of(spec: &HostSpec) -> Self {
        let bodies = spec.nodes().map(|(_, node)| (node.container.clone(), node.body_digest())).collect();
        Self { resources: resources(spec, &bodies), bodies }
    }

    /// What a node's namespace is made from ([`HostSpec::facts_digest`]); none of a node without one of its own.
    pub fn facts(&self, container: &ContainerName) -> Option<&str> {
        self.resources.get(&Resource::Namespace(container.clone())).map(String::as_str)
    }

    /// What a node is made from ([`NodeSpec::body_digest`]).
    ///
    /// [`NodeSpec::body_digest`]: archetype_model::spec::NodeSpec::body_digest
    pub fn body(&self, container: &ContainerName) -> Option<&str> {
        self.bodies.get(container).map(String::as_str)
    }
}

fn resources(spec: &HostSpec, bodies: &BTreeMap<ContainerName, String>) -> BTreeMap<Resource, String> {
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
            wanted.insert(Resource::Namespace(node.container.clone()), spec.facts_digest(node));
        }
        let run = (bodies.get(&node.container), node.desired, node.restarts);
        wanted.insert(Resource::Node(node.container.clone()), digest(&run));
        for interface in &node.interfaces {
            let wire = match &interface.attachment {
                Attachment::Wire { wire } => wires.get(&(&lab.name, wire)).copied(),
                _ => None,
            };
            // Of a node by another name it is another device: a pair belongs to one namespace for life.
            let device = (&node.container, interface, wire.map(|wire| wire.desired));
            wanted.insert(Resource::Device(interface.host_device.clone()), digest(&device));
            if matches!(interface.attachment, Attachment::Wire { .. }) {
                let port = (&node.container, &interface.host_device, wire.map(|wire| wire.tag));
                wanted.insert(Resource::Port(interface.host_device.clone()), digest(&port));
            }
        }
    }
    wanted
}
