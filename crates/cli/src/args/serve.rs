//! The settings of `serve`: as flags, and as what they come to.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use archetype_host::HostCommands;
use archetype_model::topology::Subnet;
use archetype_model::{BridgeName, HostName, NetworkName, VlanTag};
use archetype_ovsdb::Endpoint;
use clap::Args;
use ipnet::{Ipv4Net, Ipv6Net};

/// The flags of `serve` as they were written. Each has a variable `ARCHETYPE_…` and a key of the
/// settings file under the same name; a flag goes before a variable, a variable before the file.
/// The values are read by [`super::Settings`], which tells everything that is wrong at once.
#[derive(Debug, Args)]
pub struct ServeFlags {
    /// The data directory [default: /var/lib/archetype]
    #[arg(long, value_name = "PATH", env = "ARCHETYPE_DATA", hide_env_values = true)]
    pub data: Option<String>,
    /// Where HTTP is served, or none [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS:PORT", env = "ARCHETYPE_LISTEN", hide_env_values = true)]
    pub listen: Option<String>,
    /// The Open vSwitch bridge of every wire [default: arch-ovs]
    #[arg(long, value_name = "NAME", env = "ARCHETYPE_BRIDGE", hide_env_values = true)]
    pub bridge: Option<String>,
    /// Open vSwitch's database [default: unix:/run/openvswitch/db.sock]
    #[arg(long, value_name = "ENDPOINT", env = "ARCHETYPE_OVSDB", hide_env_values = true)]
    pub ovsdb: Option<String>,
    /// The Docker Engine's socket, or none [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "URL", env = "ARCHETYPE_DOCKER", hide_env_values = true)]
    pub docker: Option<String>,
    /// The engine's name of our container runtime [default: archetype]
    #[arg(long, value_name = "NAME", env = "ARCHETYPE_DOCKER_RUNTIME", hide_env_values = true)]
    pub docker_runtime: Option<String>,
    /// The management network of files that name none [default: clab]
    #[arg(long, value_name = "NAME", env = "ARCHETYPE_MGMT_NETWORK", hide_env_values = true)]
    pub mgmt_network: Option<String>,
    /// Its subnets where the file states none: one IPv4 and one IPv6 subnet joined by a comma, or
    /// auto [default: 172.20.20.0/24,3fff:172:20:20::/64]
    #[arg(long, value_name = "SUBNETS", env = "ARCHETYPE_MGMT_SUBNET", hide_env_values = true)]
    pub mgmt_subnet: Option<String>,
    /// The bridge's VLAN tags that are ours [default: 1-4094]
    #[arg(long, value_name = "A-B", env = "ARCHETYPE_TAGS", hide_env_values = true)]
    pub tags: Option<String>,
    /// Tags of that range that are left alone: 10,20-29 [default: none]
    #[arg(long, value_name = "TAGS", env = "ARCHETYPE_RESERVE_TAGS", hide_env_values = true)]
    pub reserve_tags: Option<String>,
    /// How often everything is read from its source, whatever events said [default: 30s]
    #[arg(long, value_name = "DUR", env = "ARCHETYPE_FULL_READ_INTERVAL", hide_env_values = true)]
    pub full_read_interval: Option<String>,
    /// How often every wire is proven again without a cause, or none [default: none]
    #[arg(long, value_name = "DUR", env = "ARCHETYPE_PROBE_INTERVAL", hide_env_values = true)]
    pub probe_interval: Option<String>,
    /// This host's name [default: what the system calls it]
    #[arg(long, value_name = "NAME", env = "ARCHETYPE_HOST", hide_env_values = true)]
    pub host: Option<String>,
    /// The hosts file that gets a block with the nodes' names, or none [default: /etc/hosts]
    #[arg(long, value_name = "PATH", env = "ARCHETYPE_HOSTS_FILE", hide_env_values = true)]
    pub hosts_file: Option<String>,
    /// Whether nodes may have commands run on this host, as root: allow or refuse [default: allow]
    #[arg(long, value_name = "RULE", env = "ARCHETYPE_HOST_COMMANDS", hide_env_values = true)]
    pub host_commands: Option<String>,
    /// How long such a command may take before it is killed [default: 10m]
    #[arg(long, value_name = "DUR", env = "ARCHETYPE_HOST_COMMAND_LIMIT", hide_env_values = true)]
    pub host_command_limit: Option<String>,
}

/// The settings of `serve`, each valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeArgs {
    /// The data directory, 0700.
    pub data: PathBuf,
    /// The unix socket, 0600.
    pub socket: PathBuf,
    /// Where HTTP is served with a token; none for nowhere.
    pub listen: Option<SocketAddr>,
    /// The Open vSwitch bridge of every wire.
    pub bridge: BridgeName,
    /// Open vSwitch's database.
    pub ovsdb: Endpoint,
    /// The Docker Engine's unix socket; none where containers are not to be run.
    pub docker: Option<PathBuf>,
    /// The engine's name of our container runtime.
    pub docker_runtime: String,
    /// The management network of files that name none.
    pub mgmt_network: NetworkName,
    /// Its IPv4 subnet where the file states none.
    pub mgmt_ipv4: Option<Subnet<Ipv4Net>>,
    /// Its IPv6 subnet where the file states none.
    pub mgmt_ipv6: Option<Subnet<Ipv6Net>>,
    /// The bridge's tags that are ours, both ends included.
    pub tags: (VlanTag, VlanTag),
    /// Tags that are left alone.
    pub reserve_tags: BTreeSet<VlanTag>,
    /// How often everything is read from its source.
    pub full_read_interval: Duration,
    /// How often every wire is proven again without a cause; none for never.
    pub probe_interval: Option<Duration>,
    /// This host's name.
    pub host: HostName,
    /// The hosts file that gets a marked block; none for no file.
    pub hosts_file: Option<PathBuf>,
    /// Which commands of nodes run on this host itself.
    pub host_commands: HostCommands,
}
