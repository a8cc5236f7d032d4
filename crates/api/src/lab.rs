//! Labs as `inspect` shows them: what is declared, with the state that was judged.

use archetype_model::status::{LabState, LinkState, NodeState};
use archetype_model::{ContainerName, HostName, InterfaceName, LabName, Mac, NetworkName, NodeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::FileProblem;
use crate::schema;

/// Every lab, or the one that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Labs {
    /// In order of name.
    pub labs: Vec<Lab>,
    /// What the host finds that is of no lab alone: what stays of networks, parts that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// A lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lab {
    /// Its name, unique here.
    #[schema(value_type = String)]
    pub name: LabName,
    /// Judged from what is wanted and what was read back.
    #[schema(schema_with = schema::lab_state)]
    pub state: LabState,
    /// Why it is in this state, where the state does not say it all.
    pub reason: Option<String>,
    /// The number of the revision that is wanted.
    pub revision: u64,
    /// The absolute path of its topology file.
    pub file: String,
    /// Its nodes, in file order.
    pub nodes: Vec<Node>,
    /// Its links, in file order.
    pub links: Vec<Link>,
    /// What was left out at the user's wish (`--partial`), and why.
    pub left_out: Vec<LeftOut>,
    /// What remains different from what is wanted, beyond a single node or link.
    pub findings: Vec<Finding>,
}

/// Something of the file that was left out at the user's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOut {
    /// `node` or `link`.
    pub what: String,
    /// The node's name, or the link's ends as the file writes them.
    pub name: String,
    /// Why it cannot run.
    pub why: FileProblem,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = format!("{} {}: ", self.what, self.name);
        // Some problems begin with what they are about.
        let why = self.why.message.strip_prefix(&part).unwrap_or(&self.why.message);
        write!(f, "{part}{why} [{}]", self.why.code)
    }
}

/// A difference that remains.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Stable, in kebab case.
    pub code: String,
    /// What it is about, in words; null when it is about the lab.
    pub subject: Option<String>,
    /// What is so.
    pub message: String,
    /// What a person can do.
    pub hint: String,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name within the lab.
    #[schema(value_type = String)]
    pub name: NodeName,
    /// What sort of device it is.
    pub kind: String,
    /// By what it is run: `container`, `namespace` or `bridge`.
    pub runtime: String,
    /// The host that runs it; null before it is placed.
    #[schema(value_type = Option<String>)]
    pub host: Option<HostName>,
    /// Judged from what is wanted and what was read back.
    #[schema(schema_with = schema::node_state)]
    pub state: NodeState,
    /// Why, where the state does not say it all.
    pub reason: Option<String>,
    /// The image that it was made from; before it is made, as the file writes it.
    pub image: Option<String>,
    /// Its place on the management network; null when it has none.
    pub management: Option<Management>,
    /// Its name on the host; null before it is planned.
    #[schema(value_type = Option<String>)]
    pub container: Option<ContainerName>,
    /// The engine's full id of its container.
    pub container_id: Option<String>,
    /// What it may do on its host, in a word.
    pub privileges: Option<String>,
    /// Whether its image is a stand-in built from packages.
    pub stand_in: bool,
    /// The engine's word on its health, when the node has a health check.
    pub health: Option<String>,
    /// Whether it runs, its commands have run, and it is healthy where it has a health check; null
    /// where nothing runs (bridges).
    #[serde(default)]
    pub ready: Option<bool>,
    /// How often it ended by itself lately.
    pub ended_times: u32,
    /// How it ended last.
    pub ended_how: Option<String>,
    /// The commands of its exec list, and what became of each in this start.
    pub execs: Vec<Exec>,
    /// Ports of the host that lead to it, as Docker writes them: `0.0.0.0:8080->80/tcp`.
    pub ports: Vec<String>,
}

/// A node's place on a management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Management {
    /// The network.
    #[schema(value_type = String)]
    pub network: NetworkName,
    /// The IPv4 address, `172.20.20.2`.
    pub ipv4: Option<String>,
    /// The IPv6 address.
    pub ipv6: Option<String>,
    /// The hardware address.
    #[schema(value_type = String, example = "aa:c1:ab:00:00:01")]
    pub mac: Mac,
}

/// A command of a node's exec list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exec {
    /// Its words.
    pub command: Vec<String>,
    /// The stage it belongs to, as `configure on-exit`; null for the list `exec`.
    #[serde(default)]
    pub stage: Option<String>,
    /// `waiting`, `next-start` (the commands were changed while the node ran), `running`, `ended`, `out-of-time` (killed, for it took too long), `given-up` (ended before it was over, for
    /// its node was to stop) or `unknown`.
    pub state: String,
    /// Its exit status, when it ended.
    pub code: Option<i64>,
    /// The end of what it printed.
    pub output: Option<String>,
}

/// A link, or one member of a LAN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// Unique within the lab: both ends in Linux names, in byte order, joined by `--`.
    pub id: String,
    /// Its ends in file order.
    pub endpoints: Vec<Endpoint>,
    /// What was judged from the reading of both ends and the probes that crossed it.
    #[schema(schema_with = schema::link_state)]
    pub actual_state: LinkState,
    /// Why, where the state does not say it all.
    pub reason: Option<String>,
    /// When that was last read back; null before it ever was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_verified_at: Option<Timestamp>,
    /// What it is in the file: `veth`, `host`, `mgmt-net`, …
    #[serde(rename = "type")]
    pub kind: String,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// The node, or `host` or `mgmt-net`.
    pub node: String,
    /// The interface as the file writes it.
    pub interface: String,
    /// Its name in Linux.
    #[schema(value_type = Option<String>)]
    pub linux_interface: Option<InterfaceName>,
    /// What the device calls it, where its kind has names of its own (`docs/kinds.md`).
    pub vendor_interface: Option<String>,
    /// The port of Open vSwitch that was read back for it.
    pub ovs_port: Option<String>,
    /// The VLAN tag that was read back on that port.
    pub vlan_tag: Option<u16>,
}

/// The nodes of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Nodes {
    /// In file order.
    pub nodes: Vec<Node>,
}

/// The links of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Links {
    /// In file order.
    pub links: Vec<Link>,
}
