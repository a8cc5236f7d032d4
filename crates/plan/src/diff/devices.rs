//! The host's ends of interfaces, and with them the pairs.

use std::collections::BTreeSet;

use archetype_model::observed::{DeviceObserved, Mark, NamespaceObserved, Reading};
use archetype_model::spec::{Attachment, InterfaceSpec, LabSpec, NodeSpec};
use archetype_model::step::{Resource, Step};
use archetype_model::{BridgeName, InterfaceName};

use super::{Look, Room};
use crate::holding::Holders;

pub(super) fn diff(look: &Look<'_>) -> Room {
    let mut room = Room::default();
    let Reading::Known(devices) = &look.observed.devices else { return room };
    let mut wanted: BTreeSet<&InterfaceName> = BTreeSet::new();
    let holders = Holders::of(look.observed);
    for (lab, node) in look.spec.nodes() {
        for interface in &node.interfaces {
            wanted.insert(&interface.host_device);
            let up = look.carriers.is_up(interface);
            match devices.get(&interface.host_device) {
                None => make(look, node, interface, up, &mut room),
                Some(device) => {
                    let is_held = is_on_wire(interface) && holders.holder(device).is_some();
                    mend(look, lab, node, (interface, device, up, is_held), &mut room);
                }
            }
        }
    }
    for (name, device) in devices {
        let Some(mark) = &device.mark else { continue };
        if look.speaks_for(mark) && !wanted.contains(name) && !goes_with_its_namespace(look, device) {
            room.steps.push(Step::RemoveDevice { device: name.clone(), ifindex: device.ifindex });
        }
    }
    room
}

/// A pair is made only where its namespace could be read, or will be made in the same pass.
fn make(look: &Look<'_>, node: &NodeSpec, interface: &InterfaceSpec, up: Option<bool>, room: &mut Room) {
    if !can_make(look, interface) {
        return;
    }
    room.steps.push(Step::MakePair {
        container: node.container.clone(),
        interface: interface.name.clone(),
        device: interface.host_device.clone(),
        up: up.unwrap_or(false),
    });
}

/// Whether this installation made the device, for a lab that the spec speaks for.
pub(super) fn is_spoken_for(look: &Look<'_>, device: &DeviceObserved) -> bool {
    device.mark.as_ref().is_some_and(|mark| look.speaks_for(mark))
}

/// Whether the device under the name of an end may be made that end, whatever was written over its mark.
pub(super) fn can_be(
    look: &Look<'_>,
    (lab, node, interface): (&LabSpec, &NodeSpec, &InterfaceSpec),
    device: &DeviceObserved,
) -> bool {
    let wanted = Mark::of_port(look.spec, lab, node, interface);
    is_spoken_for(look, device) || bears_another_mark(look, node, interface, device, &wanted)
}

/// Whether a missing pair can be made in this pass.
pub(super) fn can_make(look: &Look<'_>, interface: &InterfaceSpec) -> bool {
    let network_known = match interface.attachment {
        Attachment::Network { .. } => look.observed.networks.known().is_some(),
        _ => true,
    };
    network_known && look.observed.namespaces.known().is_some() && !waits_for_port(look, interface)
}

/// A device must not come back under its name while Open vSwitch still holds the old one.
fn waits_for_port(look: &Look<'_>, interface: &InterfaceSpec) -> bool {
    is_on_wire(interface)
        && match look.observed.datapath.known() {
            None => true,
            Some(seen) => seen.ports.contains_key(&interface.host_device) || !seen.settled,
        }
}

fn mend(
    look: &Look<'_>,
    lab: &LabSpec,
    node: &NodeSpec,
    (interface, device, up, is_held): (&InterfaceSpec, &DeviceObserved, Option<bool>, bool),
    room: &mut Room,
) {
    let name = &interface.host_device;
    let wanted = Mark::of_port(look.spec, lab, node, interface);
    let bears_another_mark = bears_another_mark(look, node, interface, device, &wanted);
    if !is_spoken_for(look, device) && !bears_another_mark {
        room.findings.push(look.finding(
            "device-name-taken",
            &lab.name,
            Resource::Device(name.clone()),
            format!("device {name} exists and is not ours; {} of {} cannot be made", interface.name, node.name),
            "rename or remove that device, or give the link another host-interface",
        ));
        return;
    }
    if elsewhere(look, node, device) || is_anothers(look, &wanted, device) && !bears_another_mark {
        room.steps.push(Step::RemoveDevice { device: name.clone(), ifindex: device.ifindex });
        return;
    }
    let up = up.unwrap_or(device.up);
    let controller = wanted_controller(look, interface);
    let attached = controller.as_ref().map_or(Attached::Yes, |bridge| attached(look, device, bridge));
    let is_finished = !device.mark.as_ref().is_some_and(Mark::is_of_unfinished);
    let is_marked = is_finished && !bears_another_mark;
    let is_so = device.up == up && !is_held && is_sized(look, interface, device) && is_marked;
    let set = Step::SetDevice { device: name.clone(), ifindex: device.ifindex, up, controller };
    match attached {
        Attached::Yes if is_so => {}
        Attached::NotYet if is_so => room.waiting.extend(is_managed(interface).then_some(set)),
        Attached::Yes | Attached::No | Attached::NotYet => room.steps.push(set),
    }
}

/// Whether the node's end is where it is to be made anew from. In no namespace of the node, although the node does not
/// run: a namespace was made anew beside the old one. In the host's own namespace, or another node's: no running node has
/// moved it there, as it may into one of its own.
fn elsewhere(look: &Look<'_>, node: &NodeSpec, device: &DeviceObserved) -> bool {
    let Some(spaces) = look.observed.namespaces.known() else { return false };
    // A namespace whose pin was taken away lives on in its processes, and is pinned again.
    let Some(space) = spaces.get(&node.container) else { return !super::nodes::runs(look, node) };
    let Some(inside) = space.inside.known() else { return false };
    if inside.contains_key(&device.ifindex) {
        return false;
    }
    // The kernel tells of the end that was moved, and nothing anew of this one.
    let is_its_end = |other: &DeviceObserved| other.peer_is_here && other.peer == Some(device.ifindex);
    let is_here = look.observed.devices.known().is_some_and(|devices| devices.values().any(is_its_end));
    let is_inside = |space: &NamespaceObserved| space.inside.known().is_some_and(|i| i.contains_key(&device.ifindex));
    is_here || spaces.values().any(is_inside) || !super::nodes::runs(look, node)
}

/// Whether a device that does not bear its mark is this one by its other end: the interface as we made it, in the node's
/// own namespace. Whoever makes a pair may die before it is marked; and by hand a mark can be taken away, or another one of
/// ours written over it. One of another installation is left.
fn bears_another_mark(
    look: &Look<'_>,
    node: &NodeSpec,
    interface: &InterfaceSpec,
    device: &DeviceObserved,
    wanted: &Mark,
) -> bool {
    let is_right = device.mark.as_ref() == Some(wanted) || is_to_be_finished(device, wanted);
    let may_be_ours = device.mark.as_ref().is_none_or(|mark| mark.installation == look.spec.installation);
    if is_right || !may_be_ours || device.kind != "veth" {
        return false;
    }
    let space = look.observed.namespaces.known().and_then(|spaces| spaces.get(&node.container));
    let inside = space.and_then(|space| space.inside.known()?.get(&device.ifindex));
    inside.is_some_and(|end| interface.name.as_str() == end.name && end.mac == Some(interface.mac))
}

/// Whether a device bears the mark of one of the same node that is not set up yet.
fn is_to_be_finished(device: &DeviceObserved, wanted: &Mark) -> bool {
    let mark = device.mark.as_ref();
    mark.is_some_and(|mark| mark.is_of_unfinished() && mark.lab == wanted.lab && mark.node == wanted.node)
}

/// Whether a device was made for another end of ours: the file gave that one's name to this end.
fn is_anothers(look: &Look<'_>, wanted: &Mark, device: &DeviceObserved) -> bool {
    let mark = device.mark.as_ref().filter(|mark| look.speaks_for(mark));
    mark.is_some_and(|mark| mark != wanted && !is_to_be_finished(device, wanted))
}

fn wanted_controller(look: &Look<'_>, interface: &InterfaceSpec) -> Option<BridgeName> {
    match &interface.attachment {
        Attachment::Wire { .. } | Attachment::Host => None,
        Attachment::ForeignBridge { bridge } => Some(bridge.clone()),
        Attachment::Network { network, .. } => look.spec.network_bridge(network).cloned(),
    }
}

/// Whether the host's end has its MTU.
fn is_sized(look: &Look<'_>, interface: &InterfaceSpec, device: &DeviceObserved) -> bool {
    device.mtu == look.spec.host_mtu(interface).get()
}

/// Whether a device is a port of the Linux bridge that it is to be on.
enum Attached {
    Yes,
    No,
    /// The bridge is not there yet: it is made first, and the device follows in the next round.
    NotYet,
}

fn attached(look: &Look<'_>, device: &DeviceObserved, bridge: &BridgeName) -> Attached {
    let Some(devices) = look.observed.devices.known() else { return Attached::Yes };
    match devices.get(bridge.as_str()) {
        None => Attached::NotYet,
        Some(found) if device.controller == Some(found.ifindex) => Attached::Yes,
        Some(_) => Attached::No,
    }
}

fn is_on_wire(interface: &InterfaceSpec) -> bool {
    matches!(interface.attachment, Attachment::Wire { .. })
}

fn is_managed(interface: &InterfaceSpec) -> bool {
    matches!(interface.attachment, Attachment::Network { .. })
}

/// A namespace takes its pairs along; removing them one by one costs a barrier each.
fn goes_with_its_namespace(look: &Look<'_>, device: &DeviceObserved) -> bool {
    let Some(spaces) = look.observed.namespaces.known() else { return false };
    let wanted: BTreeSet<_> = look.spec.nodes().map(|(_, node)| &node.container).collect();
    spaces.iter().any(|(container, space)| {
        !wanted.contains(container) && space.inside.known().is_some_and(|inside| inside.contains_key(&device.ifindex))
    })
}
