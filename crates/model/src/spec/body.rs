//! What a node is run from: a namespace's command, or what the engine's create call is given.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::ContainerName;

/// What runs a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sort", rename_all = "kebab-case")]
pub enum NodeBody {
    /// A network namespace with the host's own programs.
    Namespace(NamespaceBody),
    /// A container of the Docker Engine.
    Container(Box<ContainerBody>),
}

/// A namespace node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceBody {
    /// The supervised process, or none.
    pub cmd: Option<Vec<String>>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What is bound into its own mount namespace.
    pub binds: Vec<Bind>,
    /// `net.*` settings of its namespace.
    pub sysctls: BTreeMap<String, String>,
    /// Its health check, run by the agent, when the file states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthcheckSpec>,
    /// Its resolver settings, where the file states some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Box<DnsSpec>>,
}

/// A container node: what Docker's create call needs beyond what every node has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerBody {
    /// The image reference, as written.
    pub image: String,
    /// When to pull.
    pub pull: PullPolicy,
    /// The host name inside.
    pub hostname: String,
    /// Whether it runs in the host's own network namespace (`network-mode: host`): then it has no
    /// namespace of ours and no interfaces.
    #[serde(default)]
    pub host_network: bool,
    /// The container of the lab whose network it uses (`network-mode: container:`): then, too, it
    /// has no namespace of ours and no interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_of: Option<ContainerName>,
    /// Overrides the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Overrides the image's command.
    pub cmd: Option<Vec<String>>,
    /// The user to run as.
    pub user: Option<String>,
    /// The environment, containerlab's own variables included.
    pub env: BTreeMap<String, String>,
    /// Labels, containerlab's own included; ours are added on creation.
    pub labels: BTreeMap<String, String>,
    /// Binds of host paths.
    pub binds: Vec<Bind>,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// CPU limit in thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// CPUs it may run on, in Linux list form (`0-1,3`).
    pub cpu_set: Option<String>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// What it may do on its host.
    pub privileges: Privileges,
    /// Capabilities added, as written.
    pub cap_add: Vec<String>,
    /// Host devices given, as Docker's `--device` takes them.
    pub devices: Vec<String>,
    /// `net.*` settings.
    pub sysctls: BTreeMap<String, String>,
    /// tmpfs mounts: path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// Resolver settings; empty lists mean the host's own.
    pub dns: DnsSpec,
    /// Extra lines for the hosts file, `name:address`.
    pub extra_hosts: Vec<String>,
    /// Docker's health check, when the file states one.
    pub healthcheck: Option<HealthcheckSpec>,
    /// The signal that stops it; none is the image's own.
    pub stop_signal: Option<String>,
    /// Volumes of the engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeSpec>,
    /// The cgroup namespace: `host` or `private`; none is the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_namespace: Option<String>,
    /// The cgroup above its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// The PID namespace: `host`, or `container:` and a name or id; none is one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<String>,
    /// Options of the engine's security, as `docker run --security-opt` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_options: Vec<String>,
}

/// A volume of the engine, seen inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name, under which it outlives the node; without one it goes with the node.
    pub name: Option<String>,
    /// The path inside.
    pub target: PathBuf,
    /// Docker's options (`ro`, `nocopy`), as written.
    pub options: Option<String>,
}

/// A health check, with times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthcheckSpec {
    /// Docker's form: `CMD`, then words, or `CMD-SHELL`, then one shell line.
    pub test: Vec<String>,
    /// Seconds between checks; 0 is Docker's default.
    pub interval: u64,
    /// Seconds one check may take.
    pub timeout: u64,
    /// Seconds after start in which failures do not count.
    pub start_period: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u64,
}

/// What a node may do on its host (nodes.md 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privileges {
    /// The file states `privileged: true`: demanded, an error where the machine refuses.
    Demanded,
    /// The file says nothing: all that the machine grants.
    #[default]
    AsGranted,
    /// The file states `privileged: false`: Docker's defaults and `cap-add`.
    Confined,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// When the engine has none of this name.
    #[default]
    IfNotPresent,
    /// Before each creation.
    Always,
    /// Never; an image that is missing is a finding.
    Never,
}

impl std::fmt::Display for PullPolicy {
    /// As a topology file writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
            Self::Never => "Never",
        })
    }
}

/// A host path seen inside a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The path on the host, absolute.
    pub source: PathBuf,
    /// The path inside.
    pub target: PathBuf,
    /// Docker's options after the second colon (`ro`, `z`, …), as written.
    pub options: Option<String>,
}

impl Bind {
    /// Whether the node may only read it.
    pub fn read_only(&self) -> bool {
        self.options.as_deref().is_some_and(|o| o.split(',').any(|o| o == "ro"))
    }
}

/// Resolver settings of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

impl DnsSpec {
    /// Whether all of it is the host's to say.
    pub fn states_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A port of the host that leads to a port of the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Only on this address of the host; none is every address.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The node's port.
    pub node_port: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 9260.
    Sctp,
}
