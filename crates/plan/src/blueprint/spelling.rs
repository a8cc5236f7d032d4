//! Which interface of a lab holds what was given away under which name: under its own, and where
//! its file spells a port in another way now, under the name that the port had. Knows nothing of
//! what it is that they hold.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::blueprint::LabAllocations;
use archetype_model::name::{InterfaceName, NodeName};
use archetype_model::spec::EndRef;
use archetype_model::topology::NodeDecl;

use super::devices::MANAGEMENT;
use super::input::PortKey;
use super::shape::{End, Shape};

/// The ends that do not hold what bears their name: those that hold what bears another one, and
/// those that hold nothing although something bears it.
#[derive(Debug, Default)]
pub(super) struct Spelling(BTreeMap<EndRef, Option<InterfaceName>>);

impl Spelling {
    /// Finds the ports of a shape among what its lab holds.
    pub fn of(shape: &Shape<'_>, held: Option<&LabAllocations>, port_key: PortKey) -> Self {
        let mut spelling = Self::default();
        for node in &shape.nodes {
            if let Some(held) = held.and_then(|held| held.interfaces.get(&node.name)) {
                // Most labs: each end has what bears its name, and nothing is marked with another one.
                let is_held = |end: &End| held.contains_key(&end.interface);
                if held.values().all(|given| given.port.is_none()) && shape.ends_of(&node.name).iter().all(is_held) {
                    continue;
                }
                let names = shape.ends_of(&node.name).iter().map(|end| &end.interface).collect();
                let held = held.iter().map(|(name, given)| (name, given.port.as_ref().unwrap_or(name))).collect();
                spelling.add(node, &names, &held, port_key);
            }
        }
        spelling
    }

    /// `held` is by name, with the port that each thing is marked with. What is marked with a port is that port's, under
    /// whatever name it was held: where the node is of another kind now, two names of one port may be two ports, and
    /// the other name's port begins anew.
    fn add(
        &mut self,
        node: &NodeDecl,
        names: &BTreeSet<&InterfaceName>,
        held: &BTreeMap<&InterfaceName, &InterfaceName>,
        port_key: PortKey,
    ) {
        let end = |name: &InterfaceName| EndRef { node: node.name.clone(), interface: name.clone() };
        let marked: BTreeMap<_, _> = held.iter().map(|(name, port)| (*port, *name)).collect();
        let of_port: BTreeMap<_, _> = names.iter().filter_map(|name| Some((*name, *marked.get(name)?))).collect();
        let others = of_port.iter().filter(|(name, former)| name != former);
        self.0.extend(others.map(|(name, former)| (end(name), Some((*former).clone()))));
        let taken: BTreeSet<_> = of_port.into_values().collect();
        let displaced = names.iter().filter(|name| taken.contains(**name) && !marked.contains_key(**name));
        self.0.extend(displaced.map(|name| (end(name), None)));

        let mut new = names.iter().filter(|name| !held.contains_key(**name) && !marked.contains_key(**name)).peekable();
        if new.peek().is_none() {
            return;
        }
        let key = |name: &InterfaceName| port_key(&node.kind, name.as_str());
        let left = held.keys().filter(|name| !names.contains(**name) && !taken.contains(**name));
        let left = left.filter(|name| name.as_str() != MANAGEMENT);
        let mut left: BTreeMap<String, &InterfaceName> = left.map(|name| (key(name), *name)).collect();
        for name in new {
            if let Some(former) = left.remove(&key(name)) {
                self.0.insert(end(name), Some(former.clone()));
            }
        }
    }

    /// Whether no end holds anything else than what bears its name.
    pub fn is_as_before(&self) -> bool {
        self.0.is_empty()
    }

    /// The name under which an end holds what it has, where it has anything.
    pub fn former<'s>(&'s self, node: &NodeName, interface: &'s InterfaceName) -> Option<&'s InterfaceName> {
        if self.is_as_before() {
            return Some(interface);
        }
        let end = EndRef { node: node.clone(), interface: interface.clone() };
        self.0.get(&end).map_or(Some(interface), Option::as_ref)
    }
}
