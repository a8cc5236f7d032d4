//! The files that containerlab leaves beside a lab and that people script against: inventories, the
//! lab's data, names and the way in by ssh. Text from what is declared, planned and seen; knows no
//! disk, no host and no clock.

mod inventory;
mod json;
mod login;
mod names;
mod nodes;
mod topology_data;

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::spec::{EndRef, LabSpec, NetworkSpec};
pub use archetype_model::topology::lab_folder as folder;
use archetype_model::topology::{Subject, Topology};
use archetype_model::{Mac, NodeName};
pub use topology_data::with_keys;

use nodes::Row;

/// The inventory of Ansible.
pub const ANSIBLE: &str = "ansible-inventory.yml";
/// The inventory of Nornir's `SimpleInventory`.
pub const NORNIR: &str = "nornir-simple-inventory.yml";
/// Nodes and links with their addresses.
pub const TOPOLOGY_DATA: &str = "topology-data.json";
/// The lines of a hosts file.
pub const HOSTS: &str = "etc-hosts";
/// The configuration of an ssh client.
pub const SSH_CONFIG: &str = "ssh_config";

/// The public keys of whoever deploys.
pub const AUTHORIZED_KEYS: &str = "authorized_keys";

/// A lab, as far as its files tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Lab<'a> {
    /// What is declared.
    pub topology: &'a Topology,
    /// What of it is left out: the files do not speak of it.
    pub left_out: &'a BTreeSet<Subject>,
    /// What its host is to make of it: addresses and MACs. None before it is planned.
    pub part: Option<&'a LabSpec>,
    /// Its management network; none where nothing of the lab is on one.
    pub network: Option<&'a NetworkSpec>,
    /// What only the host knows.
    pub seen: &'a Seen,
}

/// What was read back on the host; whatever is not known yet is left out of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The full ids of containers.
    pub containers: BTreeMap<NodeName, String>,
    /// By the interface of a node, the MAC of the host's device at its other side.
    pub outside: BTreeMap<EndRef, Mac>,
}

/// Every file of a lab by its name within the lab's folder.
pub fn files(lab: &Lab<'_>) -> BTreeMap<&'static str, String> {
    let rows = nodes::rows(lab);
    BTreeMap::from([
        (ANSIBLE, inventory::ansible(&rows)),
        (NORNIR, inventory::nornir(&rows)),
        (TOPOLOGY_DATA, topology_data::write(lab, &rows)),
        (HOSTS, names::hosts(&lab.topology.name, &rows)),
        (SSH_CONFIG, names::ssh_config(&lab.topology.name, &rows)),
    ])
}

/// The text of [`AUTHORIZED_KEYS`]: a key a line, and an empty line where there is none.
pub fn authorized_keys(keys: &[String]) -> String {
    if keys.is_empty() { "\n".to_owned() } else { keys.iter().map(|key| format!("{key}\n")).collect() }
}
