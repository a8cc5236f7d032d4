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
    /// Linux has the name for itself, in every network namespace.
    #[error("{name} is not for links: {why}")]
    OfLinux {
        /// The name as written.
        name: String,
        /// What Linux has it for.
        why: &'static str,
    },
    /// No Linux interface can have the name.
    #[error("{} cannot be an interface's name: {}", _0.value, rule(&_0.value))]
    NotLinux(#[from] Invalid),
}

impl Unfit {
    /// Whether Linux has the name for itself: it could be made in no namespace.
    pub(crate) fn of_linux(written: &str) -> Option<Self> {
        let why = match written {
            "lo" => "it is the loopback interface that every network namespace has",
            "all" | "default" => {
                "Linux has its settings for all interfaces under this name and makes no interface of it"
            }
            _ => return None,
        };
        Some(Self::OfLinux { name: written.to_owned(), why })
    }

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
            Self::OfLinux { .. } => Some("give this end of the link another name, for instance eth1".to_owned()),
            Self::NotLinux(_) => Some(
                "write a name like eth1; in containerlab, too, one that does not fit is only a second name beside a \
                 random one"
                    .to_owned(),
            ),
            Self::Reserved { .. } => None,
        }
    }

    /// Whether the name is known and is not for links.
    pub fn is_reserved(&self) -> bool {
        matches!(self, Self::Management { .. } | Self::Reserved { .. } | Self::OfLinux { .. })
    }
}

/// What Linux takes, and how long the name is where that is too much.
fn rule(value: &str) -> String {
    let taken = "Linux takes 1 to 15 bytes without `/`, `:`, `%` and blanks";
    match value {
        "." | ".." => "Linux has it for folders".to_owned(),
        long if long.len() > 15 => format!("{taken}, and it has {}", long.len()),
        _ => taken.to_owned(),
    }
}

/// `: eth0 in Linux`, where that is not what was written.
fn named(name: &str, linux: &str) -> String {
    if name == linux { String::new() } else { format!(": {linux} in Linux") }
}
