//! What a new spec changes of a lab, for people: added, removed, changed and in what, untouched.
//! Compares two documents; knows nothing of what is on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use archetype_model::name::{InterfaceName, LabName, NodeName};
use archetype_model::spec::{
    Attachment, Carrier, DesiredLink, DesiredRun, EndRef, HostSpec, InterfaceSpec, LabSpec, LinkId, NodeSpec, Presence,
    WireShape, WireSpec,
};
use serde::{Deserialize, Serialize};

use crate::joining;

/// A part of a lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Part {
    /// A node.
    Node {
        /// Its name.
        node: NodeName,
    },
    /// A cable of the lab: a link between two nodes.
    Wire {
        /// Its id.
        wire: LinkId,
    },
    /// The link of an interface that leads to a LAN, or out of the lab: to the host, one of its
    /// bridges or a network.
    Interface {
        /// The interface.
        end: EndRef,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node } => write!(f, "node {node}"),
            Self::Wire { wire } => write!(f, "link {wire}"),
            Self::Interface { end } => write!(f, "link of {end}"),
        }
    }
}

/// What a new spec changes of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Parts that are new.
    pub added: Vec<Part>,
    /// Parts that are no more.
    pub removed: Vec<Part>,
    /// Parts that change, and what changes of each, in words.
    pub changed: Vec<(Part, Vec<String>)>,
    /// The nodes among these that are made anew: what runs of them ends.
    pub made_anew: BTreeSet<NodeName>,
    /// Parts that stay as they are.
    pub untouched: Vec<Part>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What `new` changes of a lab against `old`; with no former spec everything is new.
pub fn changes(old: Option<&HostSpec>, new: &HostSpec, lab: &LabName) -> Changes {
    let wanted = |spec: &HostSpec| spec.lab(lab).filter(|lab| lab.presence == Presence::Present).cloned();
    let (old, new) = (old.and_then(wanted), wanted(new));
    let names = old.as_ref().zip(new.as_ref()).map(|(old, new)| old.respelled(new)).unwrap_or_default();
    let (old, new) = (Parts::of(old.map(|old| old.with_names(&names))), Parts::of(new));
    let respelled = names.into_iter().map(|(old, new)| (new, old.interface)).collect();
    let mut changes = Changes::default();
    for part in old.parts().union(&new.parts()) {
        match (old.has(part), new.has(part)) {
            (false, _) => changes.added.push(part.clone()),
            (_, false) => changes.removed.push(part.clone()),
            _ => match [old.difference(&new, part), new.respelled(part, &respelled)].concat() {
                what if what.is_empty() => changes.untouched.push(part.clone()),
                what => changes.changed.push((part.clone(), what)),
            },
        }
    }
    let kept = new.0.iter().flat_map(|lab| &lab.nodes).filter(|node| old.node(&node.name).is_some());
    let anew = kept.filter(|node| old.is_made_anew(&new, node, &mut BTreeSet::new()));
    changes.made_anew = anew.map(|node| node.name.clone()).collect();
    changes
}

struct Parts(Option<LabSpec>);

impl Parts {
    fn of(lab: Option<LabSpec>) -> Self {
        Self(lab)
    }

    fn parts(&self) -> BTreeSet<Part> {
        let Some(lab) = &self.0 else { return BTreeSet::new() };
        let own = lab.nodes.iter().map(|node| Part::Node { node: node.name.clone() });
        let ends = lab.nodes.iter().flat_map(|node| node.interfaces.iter().map(move |interface| (node, interface)));
        let alone = ends.filter(|(_, interface)| self.is_part(interface)).map(|(node, interface)| Part::Interface {
            end: EndRef { node: node.name.clone(), interface: interface.name.clone() },
        });
        let cables = lab.wires.iter().filter(|wire| wire.shape == WireShape::Cable);
        own.chain(alone).chain(cables.map(|wire| Part::Wire { wire: wire.id.clone() })).collect()
    }

    fn has(&self, part: &Part) -> bool {
        match part {
            Part::Node { node } => self.node(node).is_some(),
            Part::Wire { wire } => self.wire(wire).is_some(),
            Part::Interface { end } => self.interface(end).is_some_and(|interface| self.is_part(interface)),
        }
    }

    /// Whether an interface's link is a part by itself: it leads out, or to a LAN.
    fn is_part(&self, interface: &InterfaceSpec) -> bool {
        leads_out(interface) || self.lan_of(interface).is_some()
    }

    fn lan_of(&self, interface: &InterfaceSpec) -> Option<&WireSpec> {
        let Attachment::Wire { wire } = &interface.attachment else { return None };
        self.wire(wire).filter(|wire| wire.shape == WireShape::Lan)
    }

    fn node(&self, name: &NodeName) -> Option<&NodeSpec> {
        self.0.as_ref()?.node(name)
    }

    /// By what a node is known to its lab; nothing where it has no address. That of its container is
    /// told with the container.
    fn names(&self, node: &NodeSpec) -> BTreeSet<&str> {
        let (own, long) = (node.name.as_str(), node.container.as_str());
        let lines = self.0.iter().flat_map(|lab| &lab.hosts);
        let names = lines.filter(|line| line.names.first().is_some_and(|first| first == own));
        names.flat_map(|line| &line.names).map(String::as_str).filter(|name| *name == own || *name != long).collect()
    }

    fn wire(&self, id: &LinkId) -> Option<&WireSpec> {
        self.0.as_ref()?.wires.iter().find(|wire| &wire.id == id)
    }

    fn interface(&self, end: &EndRef) -> Option<&InterfaceSpec> {
        self.0.as_ref()?.interface(end).map(|(_, interface)| interface)
    }

    /// What becomes of the ends of a part that were called otherwise, by what they are called now.
    fn respelled(&self, part: &Part, former: &BTreeMap<EndRef, InterfaceName>) -> Vec<String> {
        let ends = match part {
            Part::Node { .. } => &[],
            Part::Wire { wire } => self.wire(wire).map_or(&[][..], |wire| &wire.ends),
            Part::Interface { end } => std::slice::from_ref(end),
        };
        let words = |(end, was): (&EndRef, &InterfaceName)| format!("{end}: {was} in its node until the next start");
        ends.iter().filter_map(|end| Some((end, former.get(end)?))).map(words).collect()
    }

    fn difference(&self, new: &Self, part: &Part) -> Vec<String> {
        let found = match part {
            Part::Node { node } => self.node(node).zip(new.node(node)).map(|(was, is)| {
                [of_node(was, is), self.of_shared(new, was, is), self.of_names(new, was, is)].concat()
            }),
            Part::Wire { wire } => self.wire(wire).zip(new.wire(wire)).map(|(old, wire)| self.of_wire(old, new, wire)),
            Part::Interface { end } => self.interface(end).zip(new.interface(end)).map(|(old, fresh)| {
                let lans = self.lan_of(old).zip(new.lan_of(fresh));
                lans.map_or_else(Vec::new, |(old, new)| of_tag(old, new))
                    .into_iter()
                    .chain(of_interface(end, old, fresh))
                    .collect()
            }),
        };
        found.unwrap_or_default()
    }

    /// A node goes and comes with the one of which it shares something.
    fn of_shared(&self, new: &Self, was: &NodeSpec, is: &NodeSpec) -> Vec<String> {
        if is_another(was, is) {
            return Vec::new();
        }
        let shared = new.0.iter().flat_map(|lab| joining::shared(lab, is));
        let with = shared.filter(|(other, _)| self.is_made_anew(new, other, &mut BTreeSet::from([&is.name])));
        with.map(|(other, what)| format!("made anew with {}, whose {what} it shares", other.name)).collect()
    }

    /// Whether what `is` runs in is another than before: by its own body, or by that of one of which it shares something.
    /// `seen` are those that were asked before.
    fn is_made_anew<'n>(&self, new: &'n Self, is: &'n NodeSpec, seen: &mut BTreeSet<&'n NodeName>) -> bool {
        let mut shared = new.0.iter().flat_map(|lab| joining::shared(lab, is)).map(|(other, _)| other);
        self.node(&is.name).is_none_or(|was| is_another(was, is))
            || seen.insert(&is.name) && shared.any(|other| self.is_made_anew(new, other, seen))
    }

    fn of_names(&self, new: &Self, was: &NodeSpec, is: &NodeSpec) -> Vec<String> {
        names_that_differ(&self.names(was), &new.names(is))
    }

    fn of_wire(&self, old: &WireSpec, new: &Self, wire: &WireSpec) -> Vec<String> {
        let mut what = of_tag(old, wire);
        what.extend(wire.ends.iter().filter(|end| !old.ends.contains(end)).map(|end| format!("{end} joins")));
        what.extend(old.ends.iter().filter(|end| !wire.ends.contains(end)).map(|end| format!("{end} leaves")));
        for end in &wire.ends {
            if let (Some(old), Some(new)) = (self.interface(end), new.interface(end)) {
                what.extend(of_interface(end, old, new));
                // A cable's two ends are cut together, and that is said of the cable.
                what.extend(of_wish(end, old, new).filter(|_| wire.shape == WireShape::Lan));
            }
        }
        what
    }
}

/// What changes of a wire itself.
fn of_tag(old: &WireSpec, new: &WireSpec) -> Vec<String> {
    let desired = match new.desired {
        DesiredLink::Up => "wanted up",
        DesiredLink::Down => "wanted down",
    };
    let desired = (old.desired != new.desired).then(|| desired.to_string());
    let tag = (old.tag != new.tag).then(|| format!("tag {} becomes {}", old.tag, new.tag));
    let carrier = match new.carrier {
        Carrier::Follow => "an end that is shut takes the other's carrier",
        Carrier::Keep => "an end keeps its carrier when the other is shut",
    };
    let carrier = (old.carrier != new.carrier).then(|| carrier.to_string());
    desired.into_iter().chain(carrier).chain(tag).collect()
}

/// Whether an interface leads out of the lab, and is not the node's `eth0`.
fn leads_out(interface: &InterfaceSpec) -> bool {
    !matches!(&interface.attachment, Attachment::Wire { .. } | Attachment::Network { primary: true, .. })
}

/// Whether a node is another container or process than it was, by what the file says of it alone.
fn is_another(old: &NodeSpec, new: &NodeSpec) -> bool {
    old.container != new.container || old.body_digest() != new.body_digest()
}

/// What changes of a node itself. Names of other nodes come and go without touching it.
fn of_node(old: &NodeSpec, new: &NodeSpec) -> Vec<String> {
    let mut what = Vec::new();
    if old.container != new.container {
        what.push(format!("made anew as {}", new.container));
    } else if is_another(old, new) {
        what.push(format!("made anew for its {}", fields_that_differ(old, new).join(", ")));
    }
    if old.desired != new.desired {
        what.push(match new.desired {
            DesiredRun::Running => "wanted running".into(),
            DesiredRun::Stopped => "wanted stopped".into(),
        });
    }
    if old.restarts != new.restarts {
        what.push("restarted".into());
    }
    if old.restart != new.restart {
        what.push(format!("restart-policy {} becomes {}", old.restart, new.restart));
    }
    what.extend(of_pull(old, new));
    if old.stages != new.stages {
        what.push("other stages from its next start on".into());
    }
    if old.execs != new.execs {
        what.push("other exec commands from its next start on".into());
    }
    what.extend(of_management(old, new));
    what
}

/// When its image is pulled, the next time that it is made.
fn of_pull(old: &NodeSpec, new: &NodeSpec) -> Option<String> {
    let (old, new) = old.pull().zip(new.pull())?;
    (old != new).then(|| format!("image-pull-policy {old} becomes {new}"))
}

/// What changes of the names of a node that is known before and after.
fn names_that_differ(old: &BTreeSet<&str>, new: &BTreeSet<&str>) -> Vec<String> {
    if old.is_empty() || new.is_empty() {
        return Vec::new();
    }
    let gone = old.difference(new).map(|name| format!("no more known as {name}"));
    gone.chain(new.difference(old).map(|name| format!("known as {name}"))).collect()
}

/// The keys of a node's definition by which two bodies differ.
fn fields_that_differ(old: &NodeSpec, new: &NodeSpec) -> Vec<String> {
    let fields = |node: &NodeSpec| match serde_json::to_value(node.own_body()) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    differing.map(|key| if key == "sort" { "runtime".into() } else { key.replace('_', "-") }).collect()
}

fn of_management(old: &NodeSpec, new: &NodeSpec) -> Vec<String> {
    let shown = |node: &NodeSpec| match node.management().map(|(interface, _)| &interface.attachment) {
        Some(Attachment::Network { network, ipv4, ipv6, .. }) => {
            let addresses = [ipv4.map(|a| a.to_string()), ipv6.map(|a| a.to_string())];
            format!("{} on {network}", addresses.into_iter().flatten().collect::<Vec<_>>().join(" "))
        }
        _ => "no management address".into(),
    };
    let (before, after) = (shown(old), shown(new));
    if before != after {
        return vec![format!("{before} becomes {after}")];
    }
    match (old.management(), new.management()) {
        (Some((old, _)), Some((fresh, _))) => {
            let end = EndRef { node: new.name.clone(), interface: fresh.name.clone() };
            of_interface(&end, old, fresh)
        }
        _ => Vec::new(),
    }
}

fn of_wish(end: &EndRef, old: &InterfaceSpec, new: &InterfaceSpec) -> Option<String> {
    let word = if new.desired.is_up() { "up" } else { "down" };
    (old.desired != new.desired).then(|| format!("{end}: wanted {word}"))
}

fn of_interface(end: &EndRef, old: &InterfaceSpec, new: &InterfaceSpec) -> Vec<String> {
    let mut what = Vec::new();
    if old.mac != new.mac {
        what.push(format!("{end}: address {} becomes {}", old.mac, new.mac));
    }
    if old.mtu != new.mtu {
        what.push(format!("{end}: MTU {} becomes {}", old.mtu, new.mtu));
    }
    if old.host_device != new.host_device {
        what.push(format!("{end}: device {} becomes {}", old.host_device, new.host_device));
    }
    if leads_out(new) {
        what.extend(of_wish(end, old, new));
    }
    let same_place = std::mem::discriminant(&old.attachment) == std::mem::discriminant(&new.attachment);
    let another = old.attachment != new.attachment;
    let to_another = another && (leads_out(new) || matches!(new.attachment, Attachment::Wire { .. }));
    if to_another || !same_place {
        what.push(format!("{end}: leads elsewhere"));
    }
    what
}
