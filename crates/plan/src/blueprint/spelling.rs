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
use super::shape::Shape;

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
                let names = shape.ends_of(&node.name).iter().map(|end| &end.interface).collect();
                let held = held.iter().map(|(name, given)| (name, given.port.as_ref())).collect();
                spelling.add(node, &names, &held, port_key);
            }
        }
        spelling
    }

    fn add(
        &mut self,
        node: &NodeDecl,
        names: &BTreeSet<&InterfaceName>,
        held: &BTreeMap<&InterfaceName, Option<&InterfaceName>>,
        port_key: PortKey,
    ) {
        let key = |name: &InterfaceName| port_key(&node.kind, name.as_str());
        let end = |name: &InterfaceName| EndRef { node: node.name.clone(), interface: name.clone() };
        let claimed = |port: Option<&InterfaceName>| port.is_some_and(|port| names.contains(port));
        // Where a node is of another kind now, two names of one port may be two ports: what is
        // marked with the name of one is not the other's.
        for (name, _) in held.iter().filter(|(name, port)| names.contains(**name) && claimed(**port)) {
            self.0.insert(end(name), None);
        }
        let mut new = names.iter().filter(|name| !held.contains_key(**name)).peekable();
        if new.peek().is_none() {
            return;
        }
        let is_anothers =
            |name: &InterfaceName, port: Option<&InterfaceName>| claimed(port) && port.map(key) != Some(key(name));
        let left = held.iter().filter(|(name, port)| !names.contains(**name) && !is_anothers(name, **port));
        let left = left.filter(|(name, _)| name.as_str() != MANAGEMENT);
        let mut left: BTreeMap<String, &InterfaceName> = left.map(|(name, _)| (key(name), *name)).collect();
        if left.is_empty() {
            return;
        }
        for name in new {
            if let Some(former) = left.remove(&key(name)) {
                self.0.insert(end(name), Some(former.clone()));
            }
        }
    }

    /// The name under which an end holds what it has, where it has anything.
    pub fn former<'s>(&'s self, node: &NodeName, interface: &'s InterfaceName) -> Option<&'s InterfaceName> {
        if self.0.is_empty() {
            return Some(interface);
        }
        let end = EndRef { node: node.clone(), interface: interface.clone() };
        self.0.get(&end).map_or(Some(interface), Option::as_ref)
    }
}
