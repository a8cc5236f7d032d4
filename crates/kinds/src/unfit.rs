//! Why a name is no interface of a node in a topology file.

use archetype_model::Invalid;

/// Why a topology file cannot use a name as the end of a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is the node's interface on the management network.
    #[error("{name} is the node's interface on the management network{}", named(name, linux))]
    Management {
        /// The kind.
        kind: String,
        /// The name as written.
        name: String,
        /// The interface in Linux.
        linux: String,
    },
    /// The device keeps it for itself.
    #[error("{name} is not for links on kind {kind}: {why}")]
    Reserved {
        /// The kind.
        kind: String,
        /// The name as written.
        name: String,
        /// What the device uses it for.
        why: String,
    },
    /// It is a port's name, but not one that a file may use.
    #[error("{name} is not how a file names this port of kind {kind}")]
    Spelling {
        /// The kind.
        kind: String,
        /// The name as written.
        name: String,
        /// What a file may write for this port.
        takes: Vec<String>,
    },
    /// The kind has no port of this name.
    #[error("{name} is no port of kind {kind}")]
    NoPort {
        /// The kind.
        kind: String,
        /// The name as written.
        name: String,
        /// The names a file may use, for people.
        takes: Vec<String>,
        /// The first port, as the vendor and Linux call it.
        first: Option<(String, String)>,
    },
    /// No Linux interface can have the name.
    #[error("{}: {_0}", _0.value)]
    NotLinux(#[from] Invalid),
}

impl Unfit {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Management { .. } => {
                Some("use another, or \"network-mode: none\" for a node without management network".to_owned())
            }
            Self::Spelling { takes, .. } => Some(format!("write {}", takes.join(" or "))),
            Self::NoPort { takes, first, .. } => {
                let first = first.as_ref().filter(|(vendor, linux)| vendor != linux);
                let first = first.map(|(vendor, linux)| format!("; the first port, {vendor}, is {linux}"));
                Some(format!("names it has: {}{}", takes.join(", "), first.unwrap_or_default()))
            }
            Self::Reserved { .. } | Self::NotLinux(_) => None,
        }
    }

    /// Whether the interface exists and is not for links.
    pub fn is_reserved(&self) -> bool {
        matches!(self, Self::Management { .. } | Self::Reserved { .. })
    }
}

/// `: eth0 in Linux`, where that is not what was written.
fn named(name: &str, linux: &str) -> String {
    if name == linux { String::new() } else { format!(": {linux} in Linux") }
}
