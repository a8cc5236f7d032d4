//! Devices on the host: each interface's own. A name of ours is kept as long as its interface
//! leads to the same sort of thing and is never given again; a name that the file gives must be
//! free.

use std::collections::{BTreeMap, HashMap};

use archetype_model::name::{ContainerName, InterfaceName, NetworkName, NodeName};
use archetype_model::spec::NetworkSpec;
use archetype_model::topology::{NodeDecl, Subject};

use super::attempt::{Attempt, Lab, Names};
use super::shape::To;

/// The interface of every node with a management network.
pub(super) const MANAGEMENT: &str = "eth0";

/// A device of the host.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub name: InterfaceName,
    /// Whether the name is ours and not the file's.
    pub made: bool,
}

/// Devices by node and interface. Asked for many times, and never walked along for its order.
pub(super) type Devices = HashMap<(NodeName, InterfaceName), Device>;

/// The interfaces of a node in their order: `eth0` if it is managed, then file order. Each with
/// the name of its device where the file gives one.
pub(super) fn interfaces<'a>(
    lab: &'a Lab<'_>,
    node: &'a NodeDecl,
) -> impl Iterator<Item = (InterfaceName, Option<&'a InterfaceName>)> {
    let managed = node.is_managed().then(|| (management(), None));
    let ends = lab.shape.ends_of(&node.name).iter();
    managed.into_iter().chain(ends.map(|end| (end.interface.clone(), end.to.device())))
}

/// The management interface's name.
pub(super) fn management() -> InterfaceName {
    InterfaceName::new(MANAGEMENT).expect("a valid constant")
}

/// The devices of each lab planned anew, in the order of `Attempt::labs`.
pub(super) fn give(
    attempt: &mut Attempt<'_>,
    names: &mut Names<'_>,
    networks: &BTreeMap<NetworkName, NetworkSpec>,
) -> Vec<Devices> {
    let mut labs = Vec::new();
    for lab in &attempt.labs {
        let mut devices = Devices::new();
        for node in &lab.shape.nodes {
            for (interface, stated) in interfaces(lab, node) {
                let device = match (stated, lab.holding(&node.name, &interface).and_then(|held| held.device.as_ref())) {
                    (Some(name), _) => Device { name: name.clone(), made: false },
                    (None, Some(name)) => Device { name: name.clone(), made: true },
                    (None, None) => Device { name: names.device(), made: true },
                };
                devices.insert((node.name.clone(), interface), device);
            }
        }
        labs.push(devices);
    }
    refuse_doubles(attempt, networks);
    refuse_node_doubles(attempt);
    labs
}

/// T2: names that files give are unique on the host. Within a file the check has seen to it.
fn refuse_doubles(attempt: &mut Attempt<'_>, networks: &BTreeMap<NetworkName, NetworkSpec>) {
    let kept = attempt.kept.iter().flat_map(|kept| kept.spec.nodes.iter().map(move |node| (&kept.spec.name, node)));
    let mut holders: BTreeMap<InterfaceName, String> = kept
        .flat_map(|(lab, node)| node.interfaces.iter().map(move |interface| (lab, interface)))
        .map(|(lab, interface)| (interface.host_device.clone(), format!("lab {lab}")))
        .collect();
    let bridge = |network: &NetworkSpec| InterfaceName::new(network.bridge.as_str()).ok();
    let bridges = networks.values().filter_map(|network| Some((bridge(network)?, format!("network {}", network.name))));
    holders.extend(bridges);
    let ours = format!("a{}-", attempt.input.installation);
    let mut refused = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        for (node, end) in lab.shape.all_ends() {
            let Some(device) = end.to.device() else { continue };
            let holder = match device.as_str().starts_with(&ours) {
                true => Some("names that we make".to_owned()),
                false => holders.insert(device.clone(), format!("lab {}", lab.name)),
            };
            if let Some(holder) = holder.filter(|holder| *holder != format!("lab {}", lab.name)) {
                let what = if matches!(end.to, To::Host { .. }) { "device" } else { "bridge port" };
                refused
                    .push((index, format!("{}:{}: the {what} {device} belongs to {holder}", node.name, end.interface)));
            }
        }
    }
    for (index, message) in refused {
        let lab = &attempt.labs[index];
        let problem = lab.problem("device-taken", "topology.links", message).hint("give the host's end another name");
        let name = lab.name;
        attempt.fail(name, problem);
    }
}

/// T2: names of nodes on the host are unique. Two labs can come to one name: `a-b` with node `c`
/// and `a` with node `b-c`.
fn refuse_node_doubles(attempt: &mut Attempt<'_>) {
    let kept = attempt.kept.iter().flat_map(|kept| kept.spec.nodes.iter().map(move |node| (node, &kept.spec.name)));
    let mut holders: BTreeMap<ContainerName, String> =
        kept.map(|(node, lab)| (node.container.clone(), lab.to_string())).collect();
    let mut refused = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate() {
        for node in &lab.shape.nodes {
            let Ok(name) = lab.topology.container_name(&node.name) else { continue };
            if let Some(other) = holders.insert(name.clone(), lab.name.to_string()) {
                refused.push((index, *node, format!("the name {name} is a node's of lab {other}")));
            }
        }
    }
    for (index, node, message) in refused {
        let lab = &attempt.labs[index];
        let problem = crate::check::problem(lab.topology, "container-name-twice", node.position, message)
            .hint("rename the node or the lab")
            .about(Subject::Node(node.name.clone()));
        let name = lab.name;
        attempt.fail(name, problem);
    }
}
