//! What a topology file may say about a node, under the file's own keys. The same type serves the
//! four levels (defaults, kinds, groups, nodes) and what they merge to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize, Serializer};

use super::value::{
    ByteSize, CgroupNamespace, Component, LinkApplyMode, NetworkMode, PullPolicy, RestartPolicy, Stages,
};

/// A map of text to text, in the order of its keys.
pub type TextMap = BTreeMap<String, String>;

/// Everything that can be declared of a node, as written: magic variables stand as they are,
/// `NodeDecl` has what they become. What is not stated is `None` or empty; containerlab
/// treats an empty text, 0 and an empty list as not stated. Serialises under the file's own keys,
/// leaving out what is not stated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NodeDefinition {
    /// What sort of device it is, in lower case once merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A free name; also selects an entry of `topology.groups`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The kind's own variant.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// A path, a URL or the text of the configuration itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_config: Option<String>,
    /// Seconds to wait before the node is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_delay: Option<u64>,
    /// Whether `startup-config` wins over a configuration that the node saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_startup_config: Option<bool>,
    /// Whether the node starts without any startup configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppress_startup_config: Option<bool>,
    /// Whether the container is removed when it stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_remove: Option<bool>,
    /// What happens when the node ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Variables for tools of the user; carried, not interpreted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigVars>,
    /// The image reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// A path, a URL or the text of a licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where a drawing puts the node; carried, not interpreted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// The host name inside the node; the node's name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The program that starts `cmd`, as a shell would be given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// The node's process, as a shell would be given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    /// Commands run inside once per start, in order, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// `source:target[:mode]`, as written; once merged in the order of their text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<String>,
    /// `name:target[:options]` or `target`, as written; once merged in the order of their text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Devices of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Linux capabilities added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Whether the container has all privileges; a demand when stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// The cgroup namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroupns_mode: Option<CgroupNamespace>,
    /// The cgroup above the container's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// The PID namespace: `host` or `container:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_mode: Option<String>,
    /// Mount options by target path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: TextMap,
    /// Options of the container runtime's security.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opts: Vec<String>,
    /// The size of /dev/shm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// Published ports as `docker -p` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// The static management address; only at node level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mgmt_ipv4: Option<Ipv4Addr>,
    /// The static management address; only at node level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mgmt_ipv6: Option<Ipv6Addr>,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: TextMap,
    /// Files of environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_files: Vec<String>,
    /// The user inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Labels; those beginning with `archetype.` speak to us.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: TextMap,
    /// How the node is on the management network, or on none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// The container engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// CPUs the node may use at most, for instance 1.5.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shortest")]
    pub cpu: Option<f64>,
    /// Which CPUs it may use, for instance `0-1,3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_set: Option<String>,
    /// Memory it may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Kernel settings of its namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: TextMap,
    /// Options of single kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extras: Option<Extras>,
    /// What waits for what, and commands at each stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// Name resolution inside the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// The certificate issued for the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// How the node's health is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Further names on the management network; only at node level.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Cards of a modular device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// How a running node takes a change of its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_apply_mode: Option<LinkApplyMode>,
}

impl NodeDefinition {
    /// The definition as the file would write it: its own keys, nothing that is not stated.
    pub fn to_file_keys(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }
}

/// A whole number of CPUs is written as one: 2, not 2.0.
fn shortest<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e9 => serializer.serialize_i64(*number as i64),
        Some(number) => serializer.serialize_f64(*number),
        None => serializer.serialize_none(),
    }
}

/// `config`: variables for tools outside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigVars {
    /// Free values by name.
    #[serde(default)]
    pub vars: BTreeMap<String, serde_json::Value>,
}

/// `dns`: what the node's resolver is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses of name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Resolver options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// `certificate`: merged field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Certificate {
    /// Whether one is issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<bool>,
    /// Bits of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u64>,
    /// How long it is valid, as written: `8760h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_duration: Option<String>,
    /// Subject alternative names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sans: Vec<String>,
}

/// `healthcheck`: times in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Healthcheck {
    /// `CMD` and arguments, or `CMD-SHELL` and a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Seconds between two tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<u64>,
    /// Seconds a test may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Failures in a row that make the node unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    /// Seconds after the start in which failures do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<u64>,
}

/// `credentials`: how to log in to the node.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Credentials {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password; never shown by `Debug`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A private key's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("identity_file", &self.identity_file)
            .finish()
    }
}

/// `extras`: options of single kinds; carried, interpreted by those kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Extras {
    /// Agents of SR Linux.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub srl_agents: Vec<String>,
    /// A proxy of an exposing service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mysocket_proxy: Option<String>,
    /// Files copied to the flash of cEOS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ceos_copy_to_flash: Vec<String>,
    /// How a kind cluster is deployed.
    #[serde(rename = "k8s_kind", skip_serializing_if = "Option::is_none")]
    pub k8s_kind: Option<KindCluster>,
}

/// `extras.k8s_kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindCluster {
    /// How the cluster is deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy: Option<KindClusterDeploy>,
}

/// `extras.k8s_kind.deploy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindClusterDeploy {
    /// Where the cluster's kubeconfig goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// How long to wait for it, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}
