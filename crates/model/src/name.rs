//! Names. Each type accepts only what the thing it names accepts.

use std::fmt;

use ecow::EcoString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a valid name or number. The message says what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {why}")]
pub struct Invalid {
    /// What the value was to be, for instance "lab name".
    pub what: &'static str,
    /// The value as it came.
    pub value: String,
    /// Why it is refused, as the end of a sentence.
    pub why: String,
}

impl Invalid {
    /// An error about `value`, which was to be a `what`, refused because of `why`.
    pub fn new(what: &'static str, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what, value: value.into(), why: why.into() }
    }
}

/// Declares a name type: a string with a check, ordered, hashable, serialised as the bare string.
/// A pass copies names by the thousand, so a short one lies in its value, and copies of a long one
/// share it.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $check:path;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(EcoString);

        impl $name {
            /// Checks `value` and takes it as a name.
            pub fn new(value: impl Into<EcoString>) -> Result<Self, Invalid> {
                let value = value.into();
                match $check(&value) {
                    Ok(()) => Ok(Self(value)),
                    Err(why) => Err(Invalid::new($what, value, why)),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(value: String) -> Result<Self, Invalid> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(value: &str) -> Result<Self, Invalid> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(deserializer.deserialize_str(Text)?).map_err(de::Error::custom)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

/// Takes a string as it comes, to be checked.
struct Text;

impl de::Visitor<'_> for Text {
    type Value = EcoString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<EcoString, E> {
        Ok(value.into())
    }
}

names! {
    /// The name of a lab, unique per controller. containerlab's rule: a letter or digit, then
    /// letters, digits, `-`, `.` and `_`.
    LabName = "lab name", check_plain;
    /// The name of a node within its lab, as the topology file writes it.
    NodeName = "node name", check_node;
    /// The name of a server with an agent.
    HostName = "host name", check_plain;
    /// The name a node has on its host, for every sort of node: `clab-<lab>-<node>` unless the
    /// topology says otherwise. It also names the namespace under `/run/netns`.
    ContainerName = "container name", check_plain;
    /// The name of a management network.
    NetworkName = "network name", check_plain;
    /// The name of a Linux network device: 1 to 15 bytes without `/`, `:` or white space
    /// (`dev_valid_name` in the kernel's `net/core/dev.c`), and without `%`, which the kernel takes for a pattern of names
    /// (`dev_alloc_name` there).
    InterfaceName = "interface name", check_interface;
    /// The name of a bridge; a network device as well.
    BridgeName = "bridge name", check_interface;
    /// Which installation of Archetype a thing belongs to: five characters, lower-case letters
    /// and digits, drawn when a data directory is first used. Part of every name made on a host.
    InstallationId = "installation id", check_installation;
}

fn check_plain(value: &str) -> Result<(), String> {
    check_characters(value, "-._")
}

/// containerlab also allows `|`, for bridges inside another node's namespace; nobody else is to be told to write it.
fn check_node(value: &str) -> Result<(), String> {
    check_characters(value, "-._|")
}

fn check_characters(value: &str, also: &str) -> Result<(), String> {
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("must begin with a letter or a digit".into());
    }
    match value.chars().find(|c| !c.is_ascii_alphanumeric() && !also.contains(*c)) {
        Some(c) => Err(format!("must not contain {c:?}: letters, digits and \"-._\" are allowed")),
        None if value.len() > 128 => Err("is longer than 128 characters".into()),
        None => Ok(()),
    }
}

fn check_interface(value: &str) -> Result<(), String> {
    if value.is_empty() || value == "." || value == ".." {
        return Err("is not a name Linux gives a device".into());
    }
    if value.len() > 15 {
        return Err(format!("has {} bytes; Linux allows 15", value.len()));
    }
    match value.chars().find(|c| matches!(c, '/' | ':' | '%') || c.is_whitespace() || c.is_control()) {
        Some(c) => Err(format!("must not contain {c:?}")),
        None => Ok(()),
    }
}

fn check_installation(value: &str) -> Result<(), String> {
    let fits = value.len() == 5 && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    fits.then_some(()).ok_or_else(|| "must be five lower-case letters or digits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_fits_the_kernel() {
        assert!(InterfaceName::new("eth1").is_ok());
        assert!(InterfaceName::new("e1-1").is_ok());
        for refused in ["", ".", "..", "Ethernet1/1", "a:b", "sixteen-bytes-xx", "a b", "a\tb", "eth%d"] {
            assert!(InterfaceName::new(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_lab_name_follows_containerlab() {
        assert!(LabName::new("frr01").is_ok());
        assert!(LabName::new("2-linux.nodes_x").is_ok());
        for refused in ["", "-x", "a/b", "a b", ".x"] {
            assert!(LabName::new(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_name_that_is_refused_says_why() {
        let error = InterfaceName::new("Ethernet1/1").unwrap_err();
        assert_eq!(error.to_string(), "interface name \"Ethernet1/1\" must not contain '/'");
    }
}
