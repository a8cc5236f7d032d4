//! Our marks on a management network: the alias of its bridge, the labels of its Docker network.

use archetype_model::{InstallationId, NetworkName};

/// Label with the installation's id.
pub(super) const LABEL_INSTALLATION: &str = "archetype.installation";
/// Label with the digest of what the Docker network was made from.
pub(super) const LABEL_DIGEST: &str = "archetype.network-digest";

/// Whose a bridge is, as its alias tells: `archetype-network:INSTALLATION:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BridgeMark {
    /// The installation that made it.
    pub installation: InstallationId,
    /// The network it carries.
    pub network: NetworkName,
}

impl std::fmt::Display for BridgeMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "archetype-network:{}:{}", self.installation, self.network)
    }
}

impl BridgeMark {
    /// Whose the bridge is, in words.
    pub fn holder(&self) -> String {
        format!("management network {} of installation {}", self.network, self.installation)
    }

    /// Reads an alias; none when it is no mark of a bridge.
    pub fn parse(alias: &str) -> Option<Self> {
        let mut parts = alias.split(':');
        if parts.next() != Some("archetype-network") {
            return None;
        }
        let mark = Self { installation: parts.next()?.parse().ok()?, network: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_as_written() {
        let text = "archetype-network:ab1c2:clab";
        assert_eq!(BridgeMark::parse(text).unwrap().to_string(), text);
        for foreign in ["", "archetype:ab1c2:clab:x", "archetype-network:ab1c2", "archetype-network:ab1c2:a:b"] {
            assert!(BridgeMark::parse(foreign).is_none(), "{foreign}");
        }
    }
}
