//! The declared nouns: what a topology file says, whole and typed, after its inheritance is
//! resolved. Knows nothing of files' syntax, of hosts, of placement or of what runs.

mod bare;
pub mod codes;
pub mod container;
pub mod definition;
pub mod link;
pub mod management;
pub mod problem;
pub mod span;
pub mod unsupported;
pub mod value;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use definition::{Certificate, Credentials, Dns, Extras, Healthcheck, NodeDefinition, TextMap};
pub use link::{EndpointDecl, LinkDecl, LinkKind, MacvlanMode, Place, VxlanDecl};
pub use management::{MgmtDecl, Subnet};
pub use problem::{Position, Problem, Subject};
pub use unsupported::{is_runnable, unsupported};
pub use value::{ByteSize, LinkApplyMode, NetworkMode, PullPolicy, RestartPolicy, Stage, Stages};

use crate::name::{ContainerName, Invalid, LabName, NodeName};
use crate::nodes::{Named, Nodes};
use crate::spec::EndRef;
use crate::stages::StageCommand;

/// The prefix of container names when the file states none.
pub const DEFAULT_PREFIX: &str = "clab";

/// What stands before the name of a container whose network or processes another one is to share.
pub(crate) const OF_CONTAINER: &str = "container:";

/// The kind of a node that is the host, and the name of the host as the end of a link.
pub(crate) const HOST: &str = "host";
/// The label that says by what a node is run; the one value known is `namespace`.
pub const RUNTIME_LABEL: &str = "archetype.runtime";
/// The label that says what becomes of the carrier of a link's end when the other end is shut:
/// `follow` or `keep`. A link's own goes before those of the nodes at its ends.
pub const CARRIER_LABEL: &str = "archetype.carrier";

/// A lab as its file declares it. Nodes and links are in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The lab's name.
    pub name: LabName,
    /// The prefix of container names as stated: absent means `clab`, see `container_name`.
    pub prefix: Option<String>,
    /// The management network.
    #[serde(default)]
    pub mgmt: MgmtDecl,
    /// Settings of the lab as a whole.
    #[serde(default)]
    pub settings: Settings,
    /// The nodes, in the order of the file.
    pub nodes: Nodes<NodeDecl>,
    /// The links, in the order of the file.
    pub links: Vec<LinkDecl>,
    /// Where the topology came from.
    pub source: Source,
    /// Where each value stands in the file, by its path: `topology.nodes.r1.image`,
    /// `topology.nodes.r1.binds[0]`. Links and their ends know their own places, and are not in it.
    #[serde(default)]
    pub positions: BTreeMap<String, Position>,
}

/// The name of a lab's folder: beside its file, and wherever files about the lab are written.
pub fn lab_folder(lab: &LabName) -> String {
    format!("clab-{lab}")
}

/// Where a topology came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The absolute directory of the file; relative paths in it begin here.
    pub directory: String,
    /// The file's name within `directory`.
    pub file: String,
    /// The file as the user named it, for messages.
    pub shown: String,
    /// The absolute lab directory: `clab-<lab>` beside the file, unless `CLAB_LABDIR_BASE` said
    /// otherwise.
    pub lab_directory: String,
    /// The user whose lab it is, as the shell of whoever deployed it says (`CLAB_OWNER`, `SUDO_USER`, `USER`); empty
    /// where it says nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
}

/// `settings` of a topology file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Settings {
    /// The authority that signs the nodes' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<CertificateAuthority>,
}

/// `settings.certificate-authority`: one that exists, or how to make one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct CertificateAuthority {
    /// The path of an existing certificate.
    pub cert: Option<String>,
    /// The path of its key.
    pub key: Option<String>,
    /// Bits of the key when one is made.
    pub key_size: Option<u64>,
    /// How long it is valid when one is made, as written.
    pub validity_duration: Option<String>,
}

/// A node: what the file declares after merging, and what follows from it on the file's host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDecl {
    /// The node's name.
    pub name: NodeName,
    /// What sort of device it is, in lower case.
    pub kind: String,
    /// The merged definition under the file's own keys.
    pub definition: NodeDefinition,
    /// By its key the text of a value that `definition` has in another form, or not at all because
    /// it is none of those that the key takes.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub written: TextMap,
    /// `binds` with their paths on the file's host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<BindDecl>,
    /// `volumes`, one entry a volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeDecl>,
    /// `ports`, one entry a port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortDecl>,
    /// `entrypoint` as words; absent when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `cmd` as words; absent when not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// `exec` as words, one entry a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub execs: Vec<Vec<String>>,
    /// The commands of `stages` as words, in the order in which they are due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stage_commands: Vec<StageCommand>,
    /// Environment variables: those of `env-files`, overruled by `env`.
    #[serde(default, skip_serializing_if = "TextMap::is_empty")]
    pub env: TextMap,
    /// Where the file declares the node.
    #[serde(default)]
    pub position: Position,
}

/// A volume of the container engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VolumeDecl {
    /// Its name with the magic variables replaced; absent for one that belongs to the node alone.
    pub name: Option<String>,
    /// The path inside the node.
    pub target: String,
    /// The options after the second colon; empty when there are none.
    pub options: String,
}

/// A path of the host bound into a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BindDecl {
    /// The source as written.
    pub written: String,
    /// The absolute path on the file's host.
    pub source: String,
    /// The path inside the node.
    pub target: String,
    /// The options after the second colon, `ro` for instance; empty when there are none.
    pub mode: String,
}

/// A port of the host that leads to a port of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortDecl {
    /// The host's address it is served at; absent means all.
    pub host_address: Option<IpAddr>,
    /// The host's port; absent means that a free one is taken.
    pub host_port: Option<u16>,
    /// The node's port.
    pub node_port: u16,
    /// The transport protocol.
    pub protocol: Protocol,
}

/// A transport protocol of a published port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What a file states and its topology cannot hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stated {
    /// The lab's name, right or not; none where the file states none.
    pub name: Option<String>,
    /// Nodes whose names are none, in the order of the file.
    pub misnamed: Vec<Misnamed>,
}

/// A node whose name is none, which is a problem of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Misnamed {
    /// The name as it is written.
    pub name: String,
    /// Where.
    pub position: Position,
    /// What it is, merged as a node's definition is.
    pub definition: NodeDefinition,
}

/// By what a node is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// The host's own programs in a namespace.
    Namespace,
    /// A container engine.
    Container,
    /// Nothing runs: a bridge of the host, or a segment of ours.
    Bridge,
    /// Nothing is run: the host itself, whose devices the ends of its links are.
    Host,
}

impl RuntimeKind {
    /// By what a node of this kind is run, whose merged definition this is.
    pub fn of(kind: &str, definition: &NodeDefinition) -> Self {
        match (kind, definition.labels.get(RUNTIME_LABEL).map(String::as_str)) {
            ("bridge" | "ovs-bridge", _) => Self::Bridge,
            (HOST, _) => Self::Host,
            (_, Some("namespace")) => Self::Namespace,
            _ => Self::Container,
        }
    }

    /// Whether something of ours runs for such a node.
    pub fn runs(self) -> bool {
        matches!(self, Self::Namespace | Self::Container)
    }
}

impl Named for NodeDecl {
    fn name(&self) -> &NodeName {
        &self.name
    }
}

impl NodeDecl {
    /// A node of which only this is known, before anything follows from it on its host.
    pub fn new(name: NodeName, kind: String, definition: NodeDefinition, position: Position) -> Self {
        Self {
            name,
            kind,
            definition,
            written: TextMap::new(),
            binds: Vec::new(),
            volumes: Vec::new(),
            ports: Vec::new(),
            entrypoint: None,
            command: None,
            execs: Vec::new(),
            stage_commands: Vec::new(),
            env: TextMap::new(),
            position,
        }
    }

    /// By what the node is run: kind `bridge` is a bridge, kind `host` the host, the label
    /// `archetype.runtime: namespace` asks for a namespace, everything else is a container.
    pub fn runtime(&self) -> RuntimeKind {
        RuntimeKind::of(&self.kind, &self.definition)
    }

    /// The node's network mode; `Bridge` when the file states none, and for a word that is none:
    /// containerlab has such a node on the management network, too. `container` alone says that
    /// somebody is missing, and stays what it is.
    pub fn network_mode(&self) -> NetworkMode {
        match &self.definition.network_mode {
            Some(NetworkMode::Other(word)) if word != "container" => NetworkMode::Bridge,
            stated => stated.clone().unwrap_or(NetworkMode::Bridge),
        }
    }

    /// Whether the node gets an `eth0` on the management network.
    pub fn is_managed(&self) -> bool {
        self.runtime().runs() && self.network_mode() == NetworkMode::Bridge
    }

    /// The host name inside the node.
    pub fn hostname(&self) -> &str {
        self.definition.hostname.as_deref().unwrap_or(self.name.as_str())
    }
}

impl Topology {
    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&NodeDecl> {
        self.nodes.named(name)
    }

    /// The node's name on its host: `clab-<lab>-<node>`; `<prefix>-<lab>-<node>` with a prefix
    /// stated, the bare name of the node with an empty one, `<lab>-<node>` with `__lab-name`.
    /// An error when the prefix, or a `|` in the node's name, makes it no container name.
    pub fn container_name(&self, node: &NodeName) -> Result<ContainerName, Invalid> {
        let (lab, node) = (self.name.as_str(), node.as_str());
        ContainerName::new(match self.prefix.as_deref().unwrap_or(DEFAULT_PREFIX) {
            "" => node.to_owned(),
            "__lab-name" => [lab, "-", node].concat(),
            prefix => [prefix, "-", lab, "-", node].concat(),
        })
    }

    /// The node whose network a node uses (`network-mode: container:`), by its name or by its
    /// container's; none when it uses no other node's.
    pub fn network_owner(&self, node: &NodeDecl) -> Option<&NodeDecl> {
        let NetworkMode::Container(named) = node.definition.network_mode.as_ref()? else { return None };
        self.shared_by(node, named)
    }

    /// The node whose processes a node sees (`pid: container:`), by its name or by its container's;
    /// none when it sees no other node's.
    pub fn processes_owner(&self, node: &NodeDecl) -> Option<&NodeDecl> {
        self.shared_by(node, node.definition.pid_mode.as_deref()?.strip_prefix(OF_CONTAINER)?)
    }

    /// The node that a container shares something of, by its name or by its container's.
    fn shared_by(&self, node: &NodeDecl, named: &str) -> Option<&NodeDecl> {
        if node.runtime() != RuntimeKind::Container {
            return None;
        }
        let is_meant = |other: &&NodeDecl| self.container_name(&other.name).is_ok_and(|name| name.as_str() == named);
        self.node(named).or_else(|| self.nodes.iter().find(is_meant))
    }

    /// The interface that an end of a link is: one of the node in whose network it is, which for a
    /// node of kind `host` is the host. None when the end has no name that Linux takes.
    pub fn end_ref(&self, end: &EndpointDecl) -> Option<EndRef> {
        self.end_ref_at(self.node(&end.node).filter(|_| end.place == Place::Node), end)
    }

    /// The same of an end at `node`, where it is at one of the topology's.
    pub fn end_ref_at(&self, node: Option<&NodeDecl>, end: &EndpointDecl) -> Option<EndRef> {
        let node = match node.map(|node| (node.runtime(), self.network_owner(node).unwrap_or(node))) {
            Some((RuntimeKind::Host, _)) => NodeName::new(HOST).ok()?,
            Some((_, owner)) => owner.name.clone(),
            None => NodeName::new(end.node.as_str()).ok()?,
        };
        Some(EndRef { node, interface: end.linux_interface.clone()? })
    }

    /// The absolute lab directory.
    pub fn lab_directory(&self) -> &str {
        &self.source.lab_directory
    }

    /// Where `key` of the node is stated: at the node, its group, its kind or the defaults,
    /// whichever decides; the node itself when it is stated nowhere.
    pub fn position_of_key(&self, node: &NodeDecl, key: &str) -> Position {
        self.position_of_stated(node, key).unwrap_or(node.position)
    }

    /// The same; none when it is stated nowhere.
    pub fn position_of_stated(&self, node: &NodeDecl, key: &str) -> Option<Position> {
        let at = |section: &str, name: Option<&str>| {
            let path = match name {
                Some(name) => format!("topology.{section}.{name}.{key}"),
                None => format!("topology.{section}.{key}"),
            };
            self.positions.get(&path).copied()
        };
        at("nodes", Some(node.name.as_str()))
            .or_else(|| at("groups", node.definition.group.as_deref()))
            .or_else(|| at("kinds", Some(&node.kind)))
            .or_else(|| at("defaults", None))
    }

    /// A hash of everything declared, in hexadecimal; where it stands in the file, how the file was
    /// named and who deployed it do not count, so a new comment is no change.
    pub fn digest(&self) -> String {
        crate::digest::digest(&bare::topology(self))
    }
}
