//! Ports and the bridge: what Open vSwitch is to be told.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::observed::{BridgeObserved, DatapathObserved, Mark, PortObserved};
use archetype_model::report::Finding;
use archetype_model::spec::{Attachment, InterfaceSpec, LabSpec, LinkId, NodeSpec, WireShape, WireSpec};
use archetype_model::step::{PortTag, Resource, Step};
use archetype_model::{InterfaceName, LabName, VlanTag};

use super::{Look, Room};

/// A port that is wanted.
struct Wanted<'a> {
    lab: &'a LabName,
    device: &'a InterfaceName,
    interface: &'a InterfaceSpec,
    tag: PortTag,
    mark: Mark,
}

/// To `crowded` labs no port is added that was not there before.
pub(super) fn diff(look: &Look<'_>, crowded: &BTreeSet<&LabName>) -> Room {
    let mut room = Room::default();
    let Some(seen) = look.observed.datapath.known() else { return room };
    if seen.switch.is_none() {
        room.findings.extend(switch_missing(look));
        return room;
    }
    let wanted = wanted(look);
    let is_parked = |port: &&Wanted<'_>| matches!(port.tag, PortTag::Parked { .. });
    room.parked = wanted.values().filter(is_parked).map(|port| port.device.clone()).collect();
    bridge(look, seen, &mut room);
    for port in wanted.values() {
        one_port(look, seen, port, crowded.contains(port.lab), &mut room);
    }
    for (name, port) in &seen.ports {
        let ours = port.mark.as_ref().is_some_and(|mark| look.speaks_for(mark));
        if ours && !wanted.contains_key(name) {
            room.steps.push(remove(name, port));
        }
    }
    room
}

fn wanted<'a>(look: &Look<'a>) -> BTreeMap<&'a InterfaceName, Wanted<'a>> {
    let mut wanted = BTreeMap::new();
    for lab in look.spec.present() {
        let wires: BTreeMap<&LinkId, &WireSpec> = lab.wires.iter().map(|wire| (&wire.id, wire)).collect();
        for node in &lab.nodes {
            for interface in &node.interfaces {
                if let Some(port) = wanted_port(look, (lab, &wires), node, interface) {
                    wanted.insert(&interface.host_device, port);
                }
            }
        }
    }
    wanted
}

/// The port of one interface. An interface whose wire is not on this host yet is parked.
fn wanted_port<'a>(
    look: &Look<'a>,
    (lab, wires): (&'a LabSpec, &BTreeMap<&LinkId, &WireSpec>),
    node: &NodeSpec,
    interface: &'a InterfaceSpec,
) -> Option<Wanted<'a>> {
    let Attachment::Wire { wire } = &interface.attachment else { return None };
    let tag = match wires.get(wire) {
        Some(wire) if !is_half(look, lab, wire, interface) => PortTag::Wire { tag: wire.tag },
        _ => PortTag::Parked { tag: look.settings.dead_tag },
    };
    let mark = Mark::of_port(look.spec, lab, node, interface);
    Some(Wanted { lab: &lab.name, device: &interface.host_device, interface, tag, mark })
}

/// Whether the other end of a cable cannot be made now: then this one is parked, and stays so until
/// the other one is seen.
fn is_half(look: &Look<'_>, lab: &LabSpec, wire: &WireSpec, interface: &InterfaceSpec) -> bool {
    let Some(devices) = look.observed.devices.known() else { return false };
    if wire.shape != WireShape::Cable {
        return false;
    }
    let port = port_of(look, &interface.host_device);
    let parked = port.is_some_and(|port| port.protected && port.tag == Some(look.settings.dead_tag.get()));
    let others = wire.ends.iter().filter_map(|end| lab.interface(end));
    others.filter(|(_, other)| other.host_device != interface.host_device).any(|(node, other)| {
        if port_of(look, &other.host_device).is_some_and(|port| is_foreign(look, port)) {
            return true;
        }
        match devices.get(&other.host_device) {
            Some(device) => !super::devices::can_be(look, (lab, node, other), device),
            None => parked || backs_off(look, node, other),
        }
    })
}

fn port_of<'a>(look: &Look<'a>, device: &InterfaceName) -> Option<&'a PortObserved> {
    look.observed.datapath.known()?.ports.get(device)
}

/// Whether the row is somebody else's: it is told and left, whatever it holds.
fn is_foreign(look: &Look<'_>, port: &PortObserved) -> bool {
    port.mark.as_ref().is_none_or(|mark| mark.installation != look.spec.installation)
}

/// Whether the last try to make an interface failed.
fn backs_off(look: &Look<'_>, node: &NodeSpec, interface: &InterfaceSpec) -> bool {
    let of = [Resource::Device(interface.host_device.clone()), Resource::Namespace(node.container.clone())];
    of.iter().any(|resource| look.memory.not_before.contains_key(resource))
}

fn one_port(look: &Look<'_>, seen: &DatapathObserved, wanted: &Wanted<'_>, is_crowded: bool, room: &mut Room) {
    let Some(port) = seen.ports.get(wanted.device) else {
        // A userspace datapath that has not let go of the port before this one would give it the old device.
        if seen.settled && device_comes(look, wanted) {
            let add = Step::AddPort { device: wanted.device.clone(), tag: wanted.tag };
            if is_crowded && !look.memory.plugged.contains(wanted.device) {
                room.waiting.push(add)
            } else {
                room.steps.push(add)
            }
        }
        return;
    };
    if is_foreign(look, port) {
        room.findings.push(look.finding(
            "port-name-taken",
            wanted.lab,
            Resource::Port(wanted.device.clone()),
            format!("port {} on bridge {} is not ours", wanted.device, port.bridge),
            "remove that port, or give this installation another bridge with --bridge",
        ));
        return;
    }
    if must_replug(look, seen, wanted, port) {
        // Removed now and added by the next round: one transaction for both leaves a userspace
        // datapath with the old, dead device.
        room.steps.push(remove(wanted.device, port));
    } else if !as_wanted(wanted, port) {
        room.steps.push(Step::SetPort { device: wanted.device.clone(), row: port.row.clone(), tag: wanted.tag });
    }
}

/// Whether the port's device is there, or is made by an earlier step of the same pass. A device of
/// somebody else's under that name is never plugged.
fn device_comes(look: &Look<'_>, wanted: &Wanted<'_>) -> bool {
    match look.observed.devices.known().map(|devices| devices.get(wanted.device)) {
        None => false,
        Some(None) => {
            let device = Resource::Device(wanted.device.clone());
            let backs_off = look.memory.not_before.get(&device).is_some_and(|at| *at > look.memory.now_ms);
            !backs_off && super::devices::can_make(look, wanted.interface)
        }
        Some(Some(device)) => super::devices::is_spoken_for(look, device),
    }
}

/// Whether the port holds another device than the one of that name now.
fn must_replug(look: &Look<'_>, seen: &DatapathObserved, wanted: &Wanted<'_>, port: &PortObserved) -> bool {
    if port.bridge != look.settings.bridge {
        return true;
    }
    let Some(devices) = look.observed.devices.known() else { return false };
    // A device that is gone will be made anew under its old name; the port must let go first.
    let Some(device) = devices.get(wanted.device) else { return true };
    let other_device = port.plugged_ifindex != Some(device.ifindex) || !port.is_single(wanted.device);
    let broken = seen.settled && (port.ofport.is_none_or(|ofport| ofport <= 0) || !port.error.is_empty());
    other_device || broken
}

fn as_wanted(wanted: &Wanted<'_>, port: &PortObserved) -> bool {
    port.tag == Some(wanted.tag.tag().get())
        && port.vlan_mode == "dot1q-tunnel"
        && port.protected == wanted.tag.protected()
        && port.harmful.is_empty()
        && port.mark.as_ref() == Some(&wanted.mark)
}

fn remove(name: &InterfaceName, port: &PortObserved) -> Step {
    Step::RemovePort { device: name.clone(), row: port.row.clone(), bridge: port.bridge.clone() }
}

fn bridge(look: &Look<'_>, seen: &DatapathObserved, room: &mut Room) {
    let cables: BTreeSet<u16> =
        look.spec.wires().filter(|(_, wire)| wire.shape == WireShape::Cable).map(|(_, wire)| wire.tag.get()).collect();
    let empty = BTreeSet::new();
    let flood = seen.bridge.as_ref().map_or(&empty, |bridge| &bridge.flood_vlans);
    let (first, last) = look.settings.tags;
    let add_flood: BTreeSet<u16> = cables.difference(flood).copied().collect();
    let of_others = tags_of_other_installations(look, seen);
    // Tags outside our range belong to others on the same bridge, and so do those of their ports. A
    // lab that is not spoken for would keep its ports; so with an empty spec nothing is taken away.
    let mine = |tag: &&u16| {
        (first.get()..=last.get()).contains(*tag) && !of_others.contains(*tag) && !look.spec.labs.is_empty()
    };
    let remove_flood: BTreeSet<u16> = flood.difference(&cables).filter(mine).copied().collect();
    let right = seen.bridge.as_ref().is_some_and(settings_right) && own_port_is_on_no_wire(look, seen);
    if !right || !add_flood.is_empty() || !remove_flood.is_empty() {
        room.steps.push(Step::SetBridge { add_flood, remove_flood });
    }
    if let Some(bridge) = &seen.bridge {
        room.findings.extend(bridge.harmful.iter().map(|setting| harmful(look, setting)));
        room.findings.extend(bridge.mirrors.iter().map(|mirror| mirrored(look, mirror)));
    }
}

/// Tags of wires that another installation has on the bridge.
fn tags_of_other_installations(look: &Look<'_>, seen: &DatapathObserved) -> BTreeSet<u16> {
    let is_others = |port: &&PortObserved| {
        port.bridge == look.settings.bridge
            && port.mark.as_ref().is_some_and(|mark| mark.installation != look.spec.installation)
    };
    seen.ports.values().filter(is_others).filter_map(|port| port.tag).collect()
}

fn settings_right(bridge: &BridgeObserved) -> bool {
    // A flow table that could not be read yields no step.
    let as_made = bridge.made_as == Some(bridge.datapath);
    let flows_right = bridge.flows.known().is_none_or(|flows| flows.wrong.is_empty());
    bridge.fail_mode == "standalone" && bridge.forward_bpdu && as_made && flows_right
}

/// Whether the bridge's own port is kept from hearing the wires, as far as it is shown.
fn own_port_is_on_no_wire(look: &Look<'_>, seen: &DatapathObserved) -> bool {
    let own = seen.ports.get(look.settings.bridge.as_str());
    own.is_none_or(|port| port.tag == Some(VlanTag::NO_WIRE) && port.vlan_mode == "access")
}

/// A mirror is somebody's own row: it is told, and left.
fn mirrored(look: &Look<'_>, mirror: &str) -> Finding {
    Finding {
        code: "wire-mirrored".into(),
        lab: None,
        resource: None,
        message: format!("{mirror} on bridge {}", look.settings.bridge),
        hint: "if nobody wants it, `ovs-vsctl clear bridge BRIDGE mirrors` takes it away".into(),
    }
}

fn harmful(look: &Look<'_>, setting: &str) -> Finding {
    Finding {
        code: "harmful-switch-setting".into(),
        lab: None,
        resource: Some(Resource::Bridge),
        message: format!("{setting} is set on bridge {}: wires do not carry every frame", look.settings.bridge),
        hint: "unset it with ovs-vsctl; for vlan-limit restart ovs-vswitchd afterwards".into(),
    }
}

fn switch_missing(look: &Look<'_>) -> Option<Finding> {
    look.spec.wires().next()?;
    Some(Finding {
        code: "switch-not-running".into(),
        lab: None,
        resource: Some(Resource::Bridge),
        message: "ovs-vswitchd does not run: no wire carries anything".into(),
        hint: "start Open vSwitch (systemctl start openvswitch-switch)".into(),
    })
}
