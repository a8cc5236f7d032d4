//! The facts of one node's network namespace: what its inside is to be at each start, as a small
//! JSON file that the agent writes and that the OCI runtime reads when the agent may be away.
//!
//! Only the file's content and name are known here, not how it is read, locked or carried out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::name::{ContainerName, InstallationId, InterfaceName, Invalid, LabName};
use crate::number::{Mac, Mtu};

/// The folder of the facts of all containers, of every installation on the machine. Nobody but
/// root may look into it.
pub const FACTS_FOLDER: &str = "/run/archetype/facts";

/// The newest format of a facts file that this program reads and the one that it writes.
pub const FACTS_FORMAT: u32 = 1;

/// Everything that a node's network namespace is to be at each start of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceFacts {
    /// The file's format; see [`FACTS_FORMAT`].
    pub format: u32,
    /// Whose file it is: only that installation removes it.
    pub installation: InstallationId,
    /// The node, by the name that it has on its host.
    pub node: ContainerName,
    /// The node's lab.
    pub lab: LabName,
    /// Where the namespace is pinned.
    pub namespace: PathBuf,
    /// Where the namespace is pinned that holds the other ends; the caller's own when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_namespace: Option<PathBuf>,
    /// The interfaces, in the order in which they are made.
    pub interfaces: Vec<InterfaceFacts>,
    /// Static routes of the main table, in the order in which they are added.
    #[serde(default)]
    pub routes: Vec<RouteFacts>,
    /// Declared settings: the name below `/proc/sys` with dots (`net.ipv4.ip_forward`; a slash
    /// stands for itself) and the value.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
}

/// One interface of a node and the host's end of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceFacts {
    /// Its name inside the node.
    pub name: InterfaceName,
    /// Its other names inside the node, of up to 127 bytes each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altnames: Vec<String>,
    /// Its hardware address.
    pub mac: Mac,
    /// Its MTU inside the node.
    pub mtu: Mtu,
    /// The host's end.
    pub peer: PeerFacts,
    /// Its addresses, in the order in which they are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// Whether the kernel may leave checksums to be filled in later. It may not where Open vSwitch
    /// switches in user space: TCP would not pass.
    pub tx_checksum_offload: bool,
    /// Whether it is up when the node starts.
    pub up: bool,
}

/// The host's end of a node's interface. All but the name is needed only to make the pair again
/// when both ends are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFacts {
    /// Its name on the host.
    pub name: InterfaceName,
    /// Its index on the host when the facts were written, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its MTU.
    pub mtu: Mtu,
    /// Our mark, written as its alias.
    pub alias: String,
    /// The group of devices that it is in; 0 for none.
    #[serde(default)]
    pub group: u32,
    /// The Linux bridge that it is a port of. A port of Open vSwitch is plugged by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<InterfaceName>,
}

/// One static route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFacts {
    /// Where to; the default route when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpNet>,
    /// By which router.
    pub via: IpAddr,
    /// Out of which interface.
    pub dev: InterfaceName,
}

impl NamespaceFacts {
    /// Reads a facts file's content. Every format up to [`FACTS_FORMAT`] is understood.
    ///
    /// # Errors
    /// When it is not such a file, or of a newer format.
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |error: serde_json::Error| Invalid::new("facts file", "", format!("cannot be read: {error}"));
        let Format { format } = serde_json::from_str(text).map_err(wrong)?;
        if format > FACTS_FORMAT {
            let why =
                format!("is newer than {FACTS_FORMAT}, the newest that this runtime reads: install the newer runtime");
            return Err(Invalid::new("facts format", format.to_string(), why));
        }
        serde_json::from_str(text).map_err(wrong)
    }

    /// The facts as the content of a file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The file of the container with this full id.
    pub fn container_path(id: &str) -> PathBuf {
        Path::new(FACTS_FOLDER).join(format!("{id}.json"))
    }

    /// The file that is locked while the namespace of the facts at `facts` is being changed. It is
    /// never replaced, unlike the facts themselves.
    pub fn lock_path(facts: &Path) -> PathBuf {
        facts.with_extension("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> NamespaceFacts {
        NamespaceFacts {
            format: FACTS_FORMAT,
            installation: "ab1c2".parse().unwrap(),
            node: "clab-x-r1".parse().unwrap(),
            lab: "x".parse().unwrap(),
            namespace: "/run/archetype/ab1c2/ns/clab-x-r1".into(),
            host_namespace: None,
            interfaces: vec![InterfaceFacts {
                name: "eth1".parse().unwrap(),
                altnames: vec!["Ethernet1/1".into()],
                mac: "aa:c1:ab:00:00:01".parse().unwrap(),
                mtu: Mtu::LAB_DEFAULT,
                peer: PeerFacts {
                    name: "aab1c2x1".parse().unwrap(),
                    index: Some(7),
                    mtu: Mtu::LARGEST,
                    alias: "archetype:ab1c2".into(),
                    group: 9,
                    master: None,
                },
                addresses: vec!["10.0.0.1/24".parse().unwrap()],
                tx_checksum_offload: false,
                up: true,
            }],
            routes: vec![RouteFacts { dst: None, via: "10.0.0.254".parse().unwrap(), dev: "eth1".parse().unwrap() }],
            sysctls: BTreeMap::from([("net.ipv4.ip_forward".into(), "1".into())]),
        }
    }

    #[test]
    fn facts_read_back_as_written() {
        assert_eq!(NamespaceFacts::from_json(&facts().to_json()).unwrap(), facts());
    }

    #[test]
    fn a_newer_format_is_refused_with_words_even_if_all_else_is_unknown() {
        let error = NamespaceFacts::from_json(r#"{"format": 2, "shape": "other"}"#).unwrap_err();
        assert!(error.to_string().contains("install the newer runtime"), "{error}");
    }

    #[test]
    fn the_lock_is_another_file_than_the_facts() {
        let path = NamespaceFacts::container_path("00ff");
        assert_eq!(path, Path::new("/run/archetype/facts/00ff.json"));
        assert_eq!(NamespaceFacts::lock_path(&path), Path::new("/run/archetype/facts/00ff.lock"));
    }
}
