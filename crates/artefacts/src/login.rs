//! Who logs in to a node, and which level of the file says so: an inventory states a login where
//! the file does. Knows no form of a file.

use archetype_model::topology::{NodeDecl, Topology};

/// The login of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; empty when there is none.
    pub username: String,
    /// The password; empty when there is none.
    pub password: String,
    /// The level of the file that states either; none where they are the kind's own.
    pub stated: Option<Level>,
}

/// A level of a topology file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `topology.defaults`.
    Defaults,
    /// `topology.kinds`.
    Kind,
    /// `topology.groups`.
    Group,
    /// The node itself.
    Node,
}

/// What the file says, and where it is silent what devices of the kind come with.
pub fn login(topology: &Topology, node: &NodeDecl) -> Login {
    let stated = node.definition.credentials.clone().unwrap_or_default();
    let own = archetype_kinds::find(&node.kind).and_then(|kind| kind.login.as_ref());
    let own = |pick: fn(&archetype_kinds::Login) -> &String| own.map(|login| pick(login).clone()).unwrap_or_default();
    Login {
        username: stated.username.unwrap_or_else(|| own(|login| &login.username)),
        password: stated.password.unwrap_or_else(|| own(|login| &login.password)),
        stated: level(topology, node),
    }
}

/// The most specific level that states a user or a password.
fn level(topology: &Topology, node: &NodeDecl) -> Option<Level> {
    let states = |path: String| {
        let keys = ["credentials.username", "credentials.password", "username", "password"];
        keys.iter().any(|key| topology.positions.contains_key(&format!("{path}.{key}")))
    };
    let group = node.definition.group.as_deref().unwrap_or_default();
    let levels = [
        (Level::Node, format!("topology.nodes.{}", node.name)),
        (Level::Group, format!("topology.groups.{group}")),
        (Level::Kind, format!("topology.kinds.{}", node.kind)),
        (Level::Defaults, "topology.defaults".to_owned()),
    ];
    levels.into_iter().find(|(_, path)| states(path.clone())).map(|(level, _)| level)
}
