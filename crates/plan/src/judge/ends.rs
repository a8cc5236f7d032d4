//! From an observation to what is so at each end of a wire.

use archetype_model::observed::{
    BridgeObserved, CopiesTo, DeviceObserved, FlowsObserved, InsideObserved, Mark, NodeObserved, Observed,
    PortObserved, Reading, RunObserved,
};
use archetype_model::report::{EndReport, Fault, Proof, WireReport, Wiring};
use archetype_model::spec::{DesiredLink, DesiredRun, EndRef, InterfaceSpec, LabSpec, NodeSpec, WireShape, WireSpec};
use archetype_model::{InterfaceName, Mtu, digest};

use super::seen::Seen;
use crate::carrier::{self, End};
use crate::diff::DatapathSettings;

/// What is so of a wire, with the last proof there was.
pub fn wire_report(lab: &LabSpec, wire: &WireSpec, seen: &Seen<'_>, proof: Option<Proof>) -> WireReport {
    let observed = seen.observed;
    let found = carrier::ends_of(lab, wire);
    let overheard = seen.overheard(wire, &found);
    let ends = (0..found.len()).map(|at| {
        let mut end = end_report(lab, wire, &found, at, observed, seen.settings);
        end.faults.extend(overheard.iter().cloned());
        let held = end.device.as_ref().and_then(|device| seen.held(&end.device_name, device));
        end.faults.extend(held);
        end
    });
    let ends: Vec<EndReport> = ends.collect();
    let ready: Vec<&EndReport> = ends.iter().filter(|end| end.faults.is_empty()).collect();
    let complete = match wire.shape {
        WireShape::Cable => ready.len() == wire.ends.len(),
        // The members that are there make the LAN; another one that comes makes it another wiring.
        WireShape::Lan => !ready.is_empty(),
    };
    let wiring = complete.then(|| wiring(lab, wire, &ready, observed));
    WireReport { ends, wiring, proof }
}

/// What the wiring is made of. Any of it changing makes it another wiring.
fn wiring(lab: &LabSpec, wire: &WireSpec, ends: &[&EndReport], observed: &Observed) -> Wiring {
    let switch = observed.datapath.known().and_then(|datapath| datapath.switch);
    let bridge = observed.datapath.known().and_then(|datapath| datapath.bridge.as_ref());
    let spaces = observed.namespaces.known();
    let parts: Vec<_> = ends
        .iter()
        .map(|end| {
            let container = lab.node(&end.end.node).map(|node| &node.container);
            let space = container.and_then(|name| spaces?.get(name)).map(|space| space.identity);
            let port = end.port.as_ref().map(|port| (&port.row, port.tag, port.ofport));
            let device = end.device.as_ref().map(|device| (device.ifindex, device.handlings));
            let inside = end.inside.as_ref().map(|inside| (inside.namespace, inside.ifindex));
            (&end.end, port, device, inside, space)
        })
        .collect();
    let told = |bridge: &BridgeObserved| bridge.flows.known().map(|flows| flows.changes);
    let bridge = bridge.map(|bridge| (bridge.datapath, told(bridge), &bridge.copies));
    Wiring(digest(&(wire.tag, switch, bridge, parts)))
}

fn end_report(
    lab: &LabSpec,
    wire: &WireSpec,
    ends: &[End<'_>],
    at: usize,
    observed: &Observed,
    settings: &DatapathSettings,
) -> EndReport {
    let (end, node, interface) = ends[at];
    let device = observed.devices.known().and_then(|devices| devices.get(&interface.host_device));
    let port = observed.datapath.known().and_then(|datapath| datapath.ports.get(&interface.host_device));
    let inside = device.and_then(|device| inside_of(node, device, observed));
    let (running, mut faults) = node_faults(node, observed);
    faults.extend(switch_faults(observed, settings));
    faults.extend(port.and_then(|port| not_our_port(port, end, interface)));
    faults.extend(port_faults(wire, interface, device, port, observed, settings));
    faults.extend(device_faults(carrier::wanted(wire, ends, at, observed), interface, device, observed));
    faults.extend(device.and_then(|device| not_ours(device, end, interface)));
    faults.extend(device.and_then(|device| inside_fault(node, interface, device, observed)));
    // A cable that is down while neither end is wished to be waits for a stage of a node.
    let is_lan_down = wire.shape == WireShape::Lan && wire.desired == DesiredLink::Down;
    if is_lan_down || interface.desired == DesiredLink::Down {
        faults.push(wanted_down(lab, end));
    }
    EndReport {
        end: end.clone(),
        device_name: interface.host_device.to_string(),
        port: port.cloned(),
        device: device.cloned(),
        bridge: None,
        inside: inside.cloned(),
        running,
        faults,
    }
}

/// That an end is wanted down, and how it comes up again.
pub(super) fn wanted_down(lab: &LabSpec, end: &EndRef) -> Fault {
    Fault::WantedDown(format!("`archetype link {} up {end}` takes it back", lab.name))
}

/// The node's side of an interface, found by the host's device.
pub(super) fn inside_of<'a>(
    node: &NodeSpec,
    device: &DeviceObserved,
    observed: &'a Observed,
) -> Option<&'a InsideObserved> {
    observed.namespaces.known()?.get(&node.container)?.inside.known()?.get(&device.ifindex)
}

/// What is wrong inside the node.
pub(super) fn inside_fault(
    node: &NodeSpec,
    interface: &InterfaceSpec,
    device: &DeviceObserved,
    observed: &Observed,
) -> Option<Fault> {
    let spaces = observed.namespaces.known()?;
    let unreadable = spaces.get(&node.container).and_then(|space| space.inside.why());
    match (inside_of(node, device, observed), unreadable) {
        (None, Some(why)) => Some(Fault::Unreadable(format!("namespace of {}: {why}", node.name))),
        (None, None) => Some(Fault::NotMade(format!("{} is not in {}", interface.name, node.name))),
        (Some(inside), _) if !inside.up => Some(shut(node, &inside.name, observed)),
        (Some(_), _) => None,
    }
}

/// Why an interface is shut: by what works on the node, or by the node's own software.
fn shut(node: &NodeSpec, interface: &str, observed: &Observed) -> Fault {
    let seen = observed.room_of(node).known().and_then(|nodes| nodes.get(&node.container));
    let space = observed.namespaces.known().and_then(|spaces| spaces.get(&node.container));
    match seen.and_then(NodeObserved::at_work) {
        Some(busy) => Fault::NodeNotRunning(format!("{}: {}", node.name, busy.doing)),
        // Whoever ended its run has shut everything, and its end is told a moment later.
        None if space.is_some_and(|space| !space.awake) => {
            Fault::NodeNotRunning(format!("{} (lo is shut in it, as between two runs)", node.name))
        }
        None => Fault::ShutInside(format!("{interface} is shut inside {}", node.name)),
    }
}

/// Whether the node runs, and what keeps it from running.
pub(super) fn node_faults(node: &NodeSpec, observed: &Observed) -> (Option<bool>, Vec<Fault>) {
    let nodes = match observed.room_of(node) {
        Reading::Known(nodes) => nodes,
        Reading::Unreadable(why) => {
            return (None, vec![Fault::Unreadable(format!("whether {} runs: {why}", node.name))]);
        }
    };
    let name = &node.name;
    match nodes.get(&node.container) {
        Some(NodeObserved { run: RunObserved::Running { .. }, .. }) => (Some(true), Vec::new()),
        found if node.desired == DesiredRun::Stopped && found.and_then(NodeObserved::at_work).is_none() => {
            (Some(false), vec![Fault::NodeNotRunning(format!("{name}, which is stopped"))])
        }
        Some(found @ NodeObserved { run: RunObserved::Ended { exit, .. }, busy: Some(busy), .. })
            if found.awaited_image().is_some() =>
        {
            (Some(false), vec![Fault::NodeNotRunning(format!("{name}, which ended ({exit}): {}", busy.doing))])
        }
        Some(NodeObserved { busy: Some(busy), .. }) => {
            (Some(false), vec![Fault::NodeNotRunning(format!("{name}: {}", busy.doing))])
        }
        Some(NodeObserved { run: RunObserved::Ended { exit, .. }, .. }) => {
            let then = match node.restart.starts_again(exit) {
                true => " and starts again".to_string(),
                false => format!(" and stays so by restart-policy {}", node.restart),
            };
            (Some(false), vec![Fault::NodeNotRunning(format!("{name}, which ended ({exit}){then}"))])
        }
        _ => (Some(false), vec![Fault::NodeNotRunning(format!("{name}, which is not there yet"))]),
    }
}

fn switch_faults(observed: &Observed, settings: &DatapathSettings) -> Vec<Fault> {
    let datapath = match &observed.datapath {
        Reading::Known(datapath) => datapath,
        Reading::Unreadable(why) => {
            return vec![Fault::Unreadable(format!("Open vSwitch: {why}"))];
        }
    };
    let mut faults = Vec::new();
    if datapath.switch.is_none() {
        faults.push(Fault::Wrong("ovs-vswitchd does not run".into()));
    }
    match &datapath.bridge {
        None => faults.push(Fault::NotMade(format!("bridge {} is missing", settings.bridge))),
        Some(bridge) => {
            if bridge.fail_mode != "standalone" {
                faults
                    .push(Fault::NotMade(format!("fail_mode of bridge {} is {:?}", settings.bridge, bridge.fail_mode)));
            }
            for setting in &bridge.harmful {
                faults.push(Fault::Wrong(format!("{setting} is set on bridge {}", settings.bridge)));
            }
            if bridge.made_as.is_some_and(|kind| kind != bridge.datapath) {
                faults.push(Fault::NotMade(format!("bridge {} has another datapath_type", settings.bridge)));
            }
            if !bridge.forward_bpdu {
                faults.push(Fault::NotMade(format!("bridge {} does not forward BPDUs", settings.bridge)));
            }
            // Of a switch that does not run nothing else is to be known.
            if datapath.switch.is_some() {
                faults.extend(flow_faults(&bridge.flows, settings));
            }
        }
    }
    faults
}

/// What keeps the switch from carrying every frame of the bridge, whatever the database says.
fn flow_faults(flows: &Reading<FlowsObserved>, settings: &DatapathSettings) -> Vec<Fault> {
    let bridge = &settings.bridge;
    match flows {
        Reading::Known(flows) => {
            flows.wrong.iter().map(|wrong| Fault::NotMade(format!("bridge {bridge} {wrong}"))).collect()
        }
        Reading::Unreadable(why) => vec![Fault::Unreadable(format!("the flow table of bridge {bridge}: {why}"))],
    }
}

/// Mirrors that put their copies where the end is. They are somebody's own, and left.
fn copied_into(wire: &WireSpec, port: &InterfaceName, observed: &Observed) -> Vec<Fault> {
    let copies = observed.datapath.known().and_then(|seen| seen.bridge.as_ref()).map(|bridge| bridge.copies.as_slice());
    let told = copies.unwrap_or_default().iter().filter_map(|copies| match copies {
        CopiesTo::Port { mirror, port: to } if to == port.as_str() => {
            Some(format!("port {port} carries nothing but the copies of mirror {mirror}"))
        }
        CopiesTo::Tag { mirror, tag } if *tag == wire.tag.get() => {
            Some(format!("mirror {mirror} puts its copies into tag {tag}"))
        }
        CopiesTo::Port { .. } | CopiesTo::Tag { .. } => None,
    });
    told.map(Fault::Wrong).collect()
}

fn port_faults(
    wire: &WireSpec,
    interface: &InterfaceSpec,
    device: Option<&DeviceObserved>,
    port: Option<&PortObserved>,
    observed: &Observed,
    settings: &DatapathSettings,
) -> Vec<Fault> {
    let name = &interface.host_device;
    if observed.datapath.known().is_none() {
        return Vec::new();
    }
    let Some(port) = port else { return vec![Fault::NotMade(format!("port {name} is missing"))] };
    let mut faults = Vec::new();
    let mut wrong = |text: String| faults.push(Fault::NotMade(text));
    if port.bridge != settings.bridge {
        wrong(format!("port {name} is on bridge {}", port.bridge));
    }
    let parked = port.protected && port.tag == Some(settings.dead_tag.get());
    if parked {
        return vec![Fault::Parked(format!("port {name} is parked until the other end is made"))];
    }
    if port.tag != Some(wire.tag.get()) {
        wrong(format!("port {name} has tag {}, not {}", port.tag.map_or("none".into(), |t| t.to_string()), wire.tag));
    }
    if port.vlan_mode != "dot1q-tunnel" {
        wrong(format!("port {name} has vlan_mode {:?}", port.vlan_mode));
    }
    if port.protected {
        wrong(format!("port {name} is protected"));
    }
    for setting in &port.harmful {
        wrong(format!("port {name} has {setting}"));
    }
    if !port.is_single(name) {
        wrong(format!("port {name} holds {}, not one interface of its name", port.interfaces.join(", ")));
    }
    if !port.settled {
        wrong(format!("Open vSwitch has not carried out the last change of port {name} yet"));
    }
    if !port.error.is_empty() {
        wrong(format!("port {name}: {}", port.error));
    }
    if port.ofport.is_none_or(|ofport| ofport <= 0) {
        wrong(format!("Open vSwitch has no number for port {name}"));
    }
    let holds = |ifindex: Option<u32>| device.is_none_or(|device| ifindex == Some(device.ifindex));
    let is_told = port.ifindex.is_some() || port.ofport.is_none_or(|ofport| ofport <= 0);
    if !holds(port.plugged_ifindex) || is_told && !holds(port.ifindex) {
        wrong(format!("port {name} holds another device than the one of that name"));
    }
    // A database that was started again has forgotten it, until ovs-vswitchd is connected again and says so.
    if !is_told {
        faults.push(Fault::Unreadable(format!("which device port {name} holds")));
    }
    faults.extend(copied_into(wire, name, observed));
    faults
}

/// A row that does not bear the mark of this end, whatever else it says.
fn not_our_port(port: &PortObserved, end: &EndRef, interface: &InterfaceSpec) -> Option<Fault> {
    let what = || format!("port {} is not the one made for {end}", interface.host_device);
    (!is_marked(port.mark.as_ref(), end, interface)).then(|| Fault::Wrong(what()))
}

/// A device that does not bear the mark of this end: one that came under its name, however right it looks.
pub(super) fn not_ours(device: &DeviceObserved, end: &EndRef, interface: &InterfaceSpec) -> Option<Fault> {
    let name = &interface.host_device;
    match &device.mark {
        mark if is_marked(mark.as_ref(), end, interface) => None,
        Some(mark) if mark.node == end.node && mark.is_of_unfinished() => {
            Some(Fault::NotMade(format!("device {name} is there, and {} is not set up yet", interface.name)))
        }
        _ => Some(Fault::Wrong(format!("device {name} is not the one made for {end}"))),
    }
}

/// Whether a mark is that of this end.
fn is_marked(mark: Option<&Mark>, end: &EndRef, interface: &InterfaceSpec) -> bool {
    mark.is_some_and(|mark| mark.node == end.node && mark.interface.as_ref() == Some(interface.port()))
}

/// What keeps an end from being read at all.
pub(super) fn unreadable(observed: &Observed) -> Vec<Fault> {
    let devices = observed.devices.why().map(|why| Fault::Unreadable(format!("network devices: {why}")));
    let spaces = observed.namespaces.why().map(|why| Fault::Unreadable(format!("namespaces: {why}")));
    devices.into_iter().chain(spaces).collect()
}

fn device_faults(
    up: Option<bool>,
    interface: &InterfaceSpec,
    device: Option<&DeviceObserved>,
    observed: &Observed,
) -> Vec<Fault> {
    let name = &interface.host_device;
    let mut faults = unreadable(observed);
    match device {
        None if faults.is_empty() => faults.push(Fault::NotMade(format!("device {name} is missing"))),
        Some(device) if device.mtu != Mtu::HOST_END.get() => {
            faults.push(Fault::NotMade(format!("device {name} has MTU {}, not {}", device.mtu, Mtu::HOST_END)));
        }
        Some(device) if up.is_some_and(|up| up != device.up) => {
            faults.push(Fault::NotMade(format!("device {name} is {}", if device.up { "up" } else { "down" })));
        }
        _ => {}
    }
    faults
}
