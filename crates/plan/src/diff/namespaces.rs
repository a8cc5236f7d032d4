//! Namespaces of nodes: their being, their name, and the facts of what is in them.

use std::collections::BTreeSet;

use archetype_model::observed::Reading;
use archetype_model::step::{Resource, Step};

use super::{Look, Room};

pub(super) fn diff(look: &Look<'_>) -> Room {
    let mut room = Room::default();
    let Reading::Known(spaces) = &look.observed.namespaces else { return room };
    let mut wanted = BTreeSet::new();
    for (lab, node) in look.spec.nodes().filter(|(_, node)| node.has_namespace()) {
        wanted.insert(&node.container);
        let container = node.container.clone();
        match spaces.get(&node.container) {
            None => {
                room.steps.push(Step::MakeNamespace { container: container.clone() });
                room.steps.push(Step::WriteFacts { container });
            }
            Some(space) => {
                match &space.name_taken {
                    Some(holder) => room.findings.push(look.finding(
                        "namespace-name-taken",
                        &lab.name,
                        Resource::Namespace(container.clone()),
                        format!("/run/netns/{container} leads to {holder}, not to node {}", node.name),
                        "the node runs without that name; remove it (`ip netns delete`), and ours comes back",
                    )),
                    None if !space.named => {
                        room.steps.push(Step::NameNamespace { container: container.clone() });
                    }
                    None => {}
                }
                if space.facts.as_deref() != look.wanted.facts(&node.container) {
                    room.steps.push(Step::WriteFacts { container });
                }
            }
        }
    }
    for (container, space) in spaces {
        if look.speaks_for(&space.mark) && !wanted.contains(container) && super::nodes::is_absent(look, container) {
            room.steps.push(Step::RemoveNamespace { container: container.clone() });
        }
    }
    room
}
