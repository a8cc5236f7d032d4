//! Carrier: which of the host's ends of interfaces are to be up.
//!
//! A cable carries carrier too (design 9): an interface that is shut inside one node, or a node that
//! does not run, takes the carrier from the far end. What the far end gives is read from its
//! administrative flag and never from its own carrier, so two ends cannot hold each other down.
//! A function of what is wanted and what was observed; knows nothing of what was done before.

use std::collections::BTreeMap;

use archetype_model::InterfaceName;
use archetype_model::observed::{Observed, RunObserved};
use archetype_model::spec::{Attachment, DesiredLink, HostSpec, InterfaceSpec, LabSpec, NodeSpec};
use archetype_model::spec::{EndRef, WireShape, WireSpec};

/// An end of a wire, found in its lab.
pub type End<'a> = (&'a EndRef, &'a NodeSpec, &'a InterfaceSpec);

/// What the host's ends of wires are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carriers<'a> {
    ends: BTreeMap<&'a InterfaceName, Option<bool>>,
    follow: BTreeMap<&'a InterfaceName, bool>,
}

impl<'a> Carriers<'a> {
    /// What the host's ends of all wires of a spec are to be.
    pub fn of(spec: &'a HostSpec, observed: &Observed) -> Self {
        let mut all = Self::default();
        for lab in spec.present() {
            for wire in &lab.wires {
                all.take(wire, &ends_of(lab, wire), observed);
            }
        }
        all
    }

    fn take(&mut self, wire: &WireSpec, ends: &[End<'a>], observed: &Observed) {
        for (at, (_, _, interface)) in ends.iter().enumerate() {
            let wanted = wanted(wire, ends, at, observed);
            self.ends.insert(&interface.host_device, wanted);
            if let (true, Some(up)) = (follows(wire, interface), wanted) {
                self.follow.insert(&interface.host_device, up);
            }
        }
    }

    /// Whether the host's end of an interface is to be up; none where it is to stay as it is,
    /// because what decides it could not be read, or nobody would notice.
    pub fn is_up(&self, interface: &InterfaceSpec) -> Option<bool> {
        match &interface.attachment {
            Attachment::Wire { .. } => self.ends.get(&interface.host_device).copied().unwrap_or(Some(true)),
            _ => Some(interface.desired == DesiredLink::Up),
        }
    }

    /// The host's ends that follow what the far end does, and whether each is to be up now.
    pub fn following(&self) -> impl Iterator<Item = (&'a InterfaceName, bool)> + '_ {
        self.follow.iter().map(|(device, up)| (*device, *up))
    }

    /// Whether a host's end is not what the far end makes of it.
    pub fn is_due(&self, observed: &Observed) -> bool {
        let Some(devices) = observed.devices.known() else { return false };
        self.following().any(|(name, up)| devices.get(name).is_some_and(|device| device.up != up))
    }
}

/// The ends of a wire, found in its lab.
pub fn ends_of<'a>(lab: &'a LabSpec, wire: &'a WireSpec) -> Vec<End<'a>> {
    let find = |end: &'a EndRef| lab.interface(end).map(|(node, interface)| (end, node, interface));
    wire.ends.iter().filter_map(find).collect()
}

/// Whether the host's end at `ends[at]` is to be up; none where it is to stay as it is, which is down where it is new.
///
/// An end waits for its own node, too: so a node that starts for the first time brings no device of the host to life by
/// itself, and those of all nodes that have started meanwhile go up together. (Open vSwitch looks at its whole bridge at
/// every change of any device.) At later starts it has stayed up.
pub fn wanted(wire: &WireSpec, ends: &[End<'_>], at: usize, observed: &Observed) -> Option<bool> {
    let (_, own, interface) = ends[at];
    if wire.desired == DesiredLink::Down || interface.desired == DesiredLink::Down {
        return Some(false);
    }
    if !follows(wire, interface) {
        return Some(true);
    }
    match ends.iter().enumerate().find(|(other, _)| *other != at) {
        Some((_, (_, node, far))) => match gives(node, far, observed) {
            Some(true) if runs(own, observed) == Some(false) => None,
            given => given,
        },
        None => Some(true),
    }
}

/// Whether an end's carrier goes with the other end. The far end of a LAN's member is a port of
/// the switch, which is always there.
fn follows(wire: &WireSpec, interface: &InterfaceSpec) -> bool {
    let up = wire.desired == DesiredLink::Up && interface.desired == DesiredLink::Up;
    up && wire.shape == WireShape::Cable && wire.carrier.follows()
}

/// Whether an interface gives carrier to the far end: its node runs and has not shut it.
fn gives(node: &NodeSpec, interface: &InterfaceSpec, observed: &Observed) -> Option<bool> {
    let runs = runs(node, observed);
    if runs == Some(false) {
        return Some(false);
    }
    let device = observed.devices.known()?.get(&interface.host_device)?;
    let inside = observed.namespaces.known()?.get(&node.container)?.inside.known()?.get(&device.ifindex)?;
    if inside.up { runs } else { Some(false) }
}

fn runs(node: &NodeSpec, observed: &Observed) -> Option<bool> {
    let seen = observed.room_of(node).known()?.get(&node.container);
    Some(seen.is_some_and(|seen| matches!(seen.run, RunObserved::Running { .. })))
}
