//! The nodes of a topology: a list in the order of the file in which a node is found by its name.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize, Serializer};

use super::NodeDecl;
use crate::name::NodeName;

/// Nodes in the order of the file. Everything of a slice, and [`Nodes::named`], which does not walk along the list:
/// each end of each link asks for its node many times while a lab is read, checked and planned.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<NodeDecl>")]
pub struct Nodes {
    list: Vec<NodeDecl>,
    /// Each name's first place in the list; made when first asked for, and gone when the list may change.
    by_name: OnceLock<HashMap<NodeName, usize>>,
}

impl Nodes {
    /// The node of this name; the first where several have it.
    pub fn named(&self, name: &str) -> Option<&NodeDecl> {
        let places = || self.list.iter().enumerate().rev().map(|(place, node)| (node.name.clone(), place));
        let place = self.by_name.get_or_init(|| places().collect()).get(name)?;
        self.list.get(*place)
    }

    /// Appends a node.
    pub fn push(&mut self, node: NodeDecl) {
        self.changing().push(node);
    }

    /// Keeps the nodes of which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&NodeDecl) -> bool) {
        self.changing().retain(keep);
    }

    fn changing(&mut self) -> &mut Vec<NodeDecl> {
        self.by_name.take();
        &mut self.list
    }
}

impl Clone for Nodes {
    fn clone(&self) -> Self {
        self.list.clone().into()
    }
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Deref for Nodes {
    type Target = [NodeDecl];

    fn deref(&self) -> &[NodeDecl] {
        &self.list
    }
}

impl DerefMut for Nodes {
    fn deref_mut(&mut self) -> &mut [NodeDecl] {
        self.changing()
    }
}

impl From<Vec<NodeDecl>> for Nodes {
    fn from(list: Vec<NodeDecl>) -> Self {
        Self { list, by_name: OnceLock::new() }
    }
}

impl Serialize for Nodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'a> IntoIterator for &'a Nodes {
    type Item = &'a NodeDecl;
    type IntoIter = std::slice::Iter<'a, NodeDecl>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a mut Nodes {
    type Item = &'a mut NodeDecl;
    type IntoIter = std::slice::IterMut<'a, NodeDecl>;

    fn into_iter(self) -> Self::IntoIter {
        self.changing().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{NodeDefinition, Position};

    fn node(name: &str, kind: &str) -> NodeDecl {
        NodeDecl::new(NodeName::new(name).unwrap(), kind.into(), NodeDefinition::default(), Position::START)
    }

    fn kind<'a>(nodes: &'a Nodes, name: &str) -> Option<&'a str> {
        nodes.named(name).map(|node| node.kind.as_str())
    }

    #[test]
    fn a_node_is_found_by_its_name_whatever_was_changed_since_the_last_look() {
        let mut nodes: Nodes = vec![node("b", "1"), node("a", "2"), node("b", "3")].into();
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
        let nodes: Nodes = vec![node("b", "1"), node("a", "2")].into();
        let text = serde_json::to_string(&nodes).unwrap();
        assert_eq!(text, serde_json::to_string(&nodes.to_vec()).unwrap());
        assert_eq!(serde_json::from_str::<Nodes>(&text).unwrap(), nodes);
    }
}
