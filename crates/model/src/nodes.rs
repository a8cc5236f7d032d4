//! Nodes in the order of the file, found by their name: those that a topology declares, and those that a spec wants.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize, Serializer};

use crate::name::NodeName;

/// Something of a lab that has a node's name.
pub trait Named {
    /// The name within the lab.
    fn name(&self) -> &NodeName;
}

/// Nodes in the order of the file. Everything of a slice, and [`Nodes::named`], which does not walk along the list:
/// each end of each link asks for its node many times while a lab is read, checked, planned and looked at.
#[derive(Debug, Deserialize)]
#[serde(from = "Vec<T>", bound = "T: Deserialize<'de>")]
pub struct Nodes<T> {
    list: Vec<T>,
    /// Each name's first place in the list; made when first asked for, and gone when the list may change.
    by_name: OnceLock<HashMap<NodeName, usize>>,
}

impl<T: Named> Nodes<T> {
    /// The node of this name; the first where several have it.
    pub fn named(&self, name: &str) -> Option<&T> {
        let places = || self.list.iter().enumerate().rev().map(|(place, node)| (node.name().clone(), place));
        let place = self.by_name.get_or_init(|| places().collect()).get(name)?;
        self.list.get(*place)
    }
}

impl<T> Nodes<T> {
    /// None yet, with room for so many: a node is large, and a list that grows moves those it has.
    pub fn with_room_for(count: usize) -> Self {
        Vec::with_capacity(count).into()
    }

    /// Appends a node.
    pub fn push(&mut self, node: T) {
        self.changing().push(node);
    }

    /// Keeps the nodes of which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.changing().retain(keep);
    }

    /// Removes all nodes.
    pub fn clear(&mut self) {
        self.changing().clear();
    }

    fn changing(&mut self) -> &mut Vec<T> {
        self.by_name.take();
        &mut self.list
    }
}

impl<T> Default for Nodes<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Clone> Clone for Nodes<T> {
    fn clone(&self) -> Self {
        self.list.clone().into()
    }
}

impl<T: PartialEq> PartialEq for Nodes<T> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl<T: Eq> Eq for Nodes<T> {}

impl<T> Deref for Nodes<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.list
    }
}

impl<T> DerefMut for Nodes<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.changing()
    }
}

impl<T> From<Vec<T>> for Nodes<T> {
    fn from(list: Vec<T>) -> Self {
        Self { list, by_name: OnceLock::new() }
    }
}

impl<T: Serialize> Serialize for Nodes<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'a, T> IntoIterator for &'a Nodes<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Nodes<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.changing().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{NodeDecl, NodeDefinition, Position};

    fn node(name: &str, kind: &str) -> NodeDecl {
        NodeDecl::new(NodeName::new(name).unwrap(), kind.into(), NodeDefinition::default(), Position::START)
    }

    fn kind<'a>(nodes: &'a Nodes<NodeDecl>, name: &str) -> Option<&'a str> {
        nodes.named(name).map(|node| node.kind.as_str())
    }

    #[test]
    fn a_node_is_found_by_its_name_whatever_was_changed_since_the_last_look() {
        let mut nodes: Nodes<NodeDecl> = vec![node("b", "1"), node("a", "2"), node("b", "3")].into();
        assert_eq!((kind(&nodes, "a"), kind(&nodes, "b"), kind(&nodes, "c")), (Some("2"), Some("1"), None));
        nodes.push(node("c", "4"));
        assert_eq!(kind(&nodes, "c"), Some("4"));
        nodes.retain(|node| node.kind != "1");
        assert_eq!((kind(&nodes, "b"), kind(&nodes, "c")), (Some("3"), Some("4")));
        nodes[0].name = NodeName::new("d").unwrap();
        assert_eq!((kind(&nodes, "a"), kind(&nodes, "d")), (None, Some("2")));
        for node in &mut nodes {
            node.name = NodeName::new(format!("{}x", node.name)).unwrap();
        }
        assert_eq!((kind(&nodes, "d"), kind(&nodes, "dx")), (None, Some("2")));
        nodes.swap(0, 1);
        assert_eq!((kind(&nodes, "dx"), kind(&nodes.clone(), "bx")), (Some("2"), Some("3")));
    }

    #[test]
    fn they_are_kept_as_a_list() {
        let nodes: Nodes<NodeDecl> = vec![node("b", "1"), node("a", "2")].into();
        let text = serde_json::to_string(&nodes).unwrap();
        assert_eq!(text, serde_json::to_string(&nodes.to_vec()).unwrap());
        assert_eq!(serde_json::from_str::<Nodes<NodeDecl>>(&text).unwrap(), nodes);
    }
}
