//! From an observation to what is so of links that lead out of their lab: the same facts of node
//! and device as at a wire's end, and the Linux bridge in the place of Open vSwitch's port.

use archetype_model::observed::{DeviceObserved, Observed};
use archetype_model::outward::{Outward, OutwardTo};
use archetype_model::report::{BridgeSeen, EndReport, Fault, Proof, WireReport, Wiring};
use archetype_model::spec::{EndRef, HostSpec, InterfaceSpec, LabSpec, NodeSpec};
use archetype_model::{BridgeName, digest};

use super::ends::{inside_fault, inside_of, node_faults, not_ours, unreadable, wanted_down};

/// What is so of a link out of a lab, with the last proof there was.
pub fn outward_report(
    spec: &HostSpec,
    lab: &LabSpec,
    outward: &Outward<'_>,
    observed: &Observed,
    proof: Option<Proof>,
) -> WireReport {
    let bridge = outward.bridge(spec);
    let ours = matches!(outward.to, OutwardTo::Network(_));
    let end = |end: &EndRef| {
        let (node, interface) = lab.interface(end)?;
        let bridge = bridge.map(|name| Bridge { seen: seen(name, observed), ours });
        let mut report = end_report(spec, end, node, interface, observed, bridge);
        report.faults.extend(filter_fault(outward, observed));
        report.faults.extend((!interface.desired.is_up()).then(|| wanted_down(lab, end)));
        Some(report)
    };
    let ends: Vec<EndReport> = outward.ends.iter().filter_map(end).collect();
    let ready: Vec<&EndReport> = ends.iter().filter(|end| end.faults.is_empty()).collect();
    // The members of a bridge that are there make it; another one that comes makes it another wiring.
    let wiring = (!ready.is_empty()).then(|| wiring(lab, &ready, observed));
    WireReport { ends, wiring, proof }
}

/// What is so of a node's `eth0`; none where it has none. No link, so that nothing is sent on it.
pub fn management_end(spec: &HostSpec, node: &NodeSpec, observed: &Observed) -> Option<EndReport> {
    let (interface, network) = node.management()?;
    let end = EndRef { node: node.name.clone(), interface: interface.name.clone() };
    let bridge = spec.network_bridge(network).map(|name| Bridge { seen: seen(name, observed), ours: true });
    Some(end_report(spec, &end, node, interface, observed, bridge))
}

/// The bridge of an end.
struct Bridge {
    seen: BridgeSeen,
    /// Whether we make and mend it.
    ours: bool,
}

fn seen(name: &BridgeName, observed: &Observed) -> BridgeSeen {
    let device = observed.devices.known().and_then(|devices| devices.get(name.as_str()));
    BridgeSeen {
        name: name.clone(),
        ifindex: device.map(|device| device.ifindex),
        up: device.is_some_and(|device| device.up),
    }
}

/// What the wiring is made of. Any of it changing makes it another wiring.
fn wiring(lab: &LabSpec, ends: &[&EndReport], observed: &Observed) -> Wiring {
    let spaces = observed.namespaces.known();
    let part = |end: &&EndReport| {
        let container = lab.node(&end.end.node).map(|node| &node.container);
        let space = container.and_then(|name| spaces?.get(name)).map(|space| space.identity);
        let device = end.device.as_ref().map(|device| (device.ifindex, device.controller, device.handlings));
        let inside = end.inside.as_ref().map(|inside| inside.ifindex);
        digest(&(&end.end, device, inside, space))
    };
    Wiring(digest(&ends.iter().map(part).collect::<Vec<_>>()))
}

fn end_report(
    spec: &HostSpec,
    end: &EndRef,
    node: &NodeSpec,
    interface: &InterfaceSpec,
    observed: &Observed,
    bridge: Option<Bridge>,
) -> EndReport {
    let device = observed.devices.known().and_then(|devices| devices.get(&interface.host_device));
    let (running, mut faults) = node_faults(node, observed);
    faults.extend(device_faults(spec, interface, device, observed));
    if let Some(device) = device {
        faults.extend(not_ours(device, end, interface));
        faults.extend(bridge.as_ref().and_then(|bridge| bridge_fault(interface, device, bridge)));
        faults.extend(inside_fault(node, interface, device, observed));
    }
    EndReport {
        end: end.clone(),
        device_name: interface.host_device.to_string(),
        port: None,
        device: device.cloned(),
        bridge: bridge.map(|bridge| bridge.seen),
        inside: device.and_then(|device| inside_of(node, device, observed)).cloned(),
        running,
        faults,
    }
}

fn device_faults(
    spec: &HostSpec,
    interface: &InterfaceSpec,
    device: Option<&DeviceObserved>,
    observed: &Observed,
) -> Vec<Fault> {
    let name = &interface.host_device;
    let mut faults = unreadable(observed);
    let mtu = spec.host_mtu(interface);
    match device {
        None if faults.is_empty() => faults.push(Fault::NotMade(format!("device {name} is missing"))),
        Some(device) if device.up != interface.desired.is_up() => {
            faults.push(Fault::NotMade(format!("device {name} is {}", if device.up { "up" } else { "down" })));
        }
        Some(device) if device.mtu != mtu.get() => {
            faults.push(Fault::NotMade(format!("device {name} has MTU {}, not {mtu}", device.mtu)));
        }
        _ => {}
    }
    faults
}

/// What is wrong between a device and its bridge. A bridge of the host's is the host's to mend.
fn bridge_fault(interface: &InterfaceSpec, device: &DeviceObserved, bridge: &Bridge) -> Option<Fault> {
    let (name, seen) = (&bridge.seen.name, &bridge.seen);
    let stays = |text: String| if bridge.ours { Fault::NotMade(text) } else { Fault::Wrong(text) };
    if seen.ifindex.is_none() {
        return Some(stays(format!("bridge {name} is missing")));
    }
    if device.controller != seen.ifindex {
        return Some(Fault::NotMade(format!("device {} is no port of bridge {name}", interface.host_device)));
    }
    (!seen.up).then(|| stays(format!("bridge {name} is down")))
}

/// Where the host filters what bridges carry, frames of a bridge of the host pass by rules of ours.
fn filter_fault(outward: &Outward<'_>, observed: &Observed) -> Option<Fault> {
    let OutwardTo::Bridge(bridge) = outward.to else { return None };
    let shut = observed.passages.known()?.is_shut(bridge);
    shut.then(|| Fault::NotMade(format!("the host's packet filter lacks our rules for bridge {bridge}")))
}
