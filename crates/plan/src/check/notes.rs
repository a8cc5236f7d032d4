//! Keys that a node has and nothing comes of: read as the format wants it, carried with the lab, and told. They are
//! no problems: a file is taken with them, here as by containerlab.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archetype_model::name::NodeName;
use archetype_model::topology::{
    LinkApplyMode, NodeDecl, NodeDefinition, Position, Problem, RUNTIME_LABEL, RuntimeKind, Subject, Topology,
    is_runnable,
};

/// The code of such a note.
const NO_EFFECT: &str = "no-effect";
/// How many nodes a note names before it counts.
const NAMED: usize = 3;

/// What nothing comes of although the file states it, in the order of the file: one note for a key at a place,
/// whichever nodes have it from there. Nodes that are left out or do not run have others' words already.
pub fn notes(topology: &Topology, left_out: &BTreeSet<Subject>) -> Vec<Problem> {
    let mut found: BTreeMap<(Position, &'static str, Why), Vec<&NodeName>> = BTreeMap::new();
    let is_wanted = |node: &&NodeDecl| !left_out.contains(&Subject::Node(node.name.clone()));
    for node in topology.nodes.iter().filter(|node| is_runnable(node)).filter(is_wanted) {
        for (key, why) in keys(node) {
            // What the file does not state is a default of the format's own.
            if let Some(position) = topology.position_of_stated(node, key)
                && !is_for_others(topology, node, key, position)
            {
                found.entry((position, key, why)).or_default().push(&node.name);
            }
        }
    }
    found.into_iter().map(|((position, key, why), nodes)| note(topology, position, key, why, &nodes)).collect()
}

/// Whether a bridge has the key from the defaults, which are meant for the nodes that run.
fn is_for_others(topology: &Topology, node: &NodeDecl, key: &str, position: Position) -> bool {
    node.runtime() == RuntimeKind::Bridge
        && topology.positions.get(&format!("topology.defaults.{key}")) == Some(&position)
}

/// Why nothing comes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Only a container has it.
    OfContainers,
    /// Nothing runs in a bridge.
    OfRunning,
    /// Who runs as root of the host needs no rights.
    OfRights,
    /// The software of a device reads it.
    OfDevices,
    /// Links are changed in place, whatever is asked for.
    InPlace,
}

impl Why {
    fn words(self, several: bool) -> &'static str {
        match (self, several) {
            (Self::OfContainers | Self::OfRights, false) => " on a namespace node",
            (Self::OfContainers | Self::OfRights, true) => " on namespace nodes",
            (Self::OfRunning, false) => " on a bridge",
            (Self::OfRunning, true) => " on bridges",
            (Self::OfDevices, false) => " on a node that runs no device's software",
            (Self::OfDevices, true) => " on nodes that run no device's software",
            (Self::InPlace, _) => ": links are changed in place",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::OfContainers => "leave it out, or the label archetype.runtime to run a container",
            Self::OfRunning => "leave it out: nothing runs in a bridge",
            Self::OfRights => "leave it out: a namespace node's programs have root's rights on the host",
            Self::OfDevices => "leave it out; what a node is to read goes in under binds",
            Self::InPlace => "leave it out; `archetype node LAB NODE restart` begins a node anew",
        }
    }
}

/// A key, whether a node states it, and why nothing comes of it.
struct Key {
    key: &'static str,
    is_stated: fn(&NodeDefinition) -> bool,
    why: Why,
}

/// Tells of binds whose sources are not any more what the nodes that run see; `replaced` are those sources by node.
pub fn replaced_binds(topology: &Topology, replaced: &BTreeMap<NodeName, Vec<PathBuf>>) -> Vec<Problem> {
    let nodes = topology.nodes.iter().filter_map(|node| Some((node, replaced.get(&node.name)?)));
    let tell = |(node, sources): (&NodeDecl, &Vec<PathBuf>)| {
        let at = topology.position_of_key(node, "binds");
        let name = &node.name;
        let sources = sources.iter().map(|source| source.display().to_string()).collect::<Vec<_>>().join(", ");
        let message = format!("node {name} sees what was at {sources} before it was replaced");
        let hint = format!("have the node made anew: `archetype deploy --reload {name}`");
        super::problem(topology, "bind-replaced", at, message).hint(hint)
    };
    nodes.map(tell).collect()
}

const fn key(key: &'static str, why: Why, is_stated: fn(&NodeDefinition) -> bool) -> Key {
    Key { key, is_stated, why }
}

/// What a namespace node has no use for. Its image is none of it: with one the file goes on being containerlab's, and
/// the label says that it is not run.
const OF_NAMESPACES: &[Key] = &[
    key("user", Why::OfContainers, |d| d.user.is_some()),
    key("hostname", Why::OfContainers, |d| d.hostname.is_some()),
    key("cpu", Why::OfContainers, |d| d.cpu.is_some()),
    key("cpu-set", Why::OfContainers, |d| d.cpu_set.is_some()),
    key("memory", Why::OfContainers, |d| d.memory.is_some()),
    key("shm-size", Why::OfContainers, |d| d.shm_size.is_some()),
    key("tmpfs", Why::OfContainers, |d| !d.tmpfs.is_empty()),
    key("privileged", Why::OfRights, |d| d.privileged.is_some()),
    key("cap-add", Why::OfRights, |d| !d.cap_add.is_empty()),
    key("devices", Why::OfRights, |d| !d.devices.is_empty()),
];

/// What a bridge has no use for beside that, as nothing runs in it: all that a node that runs has use for. Its image, as
/// that of a namespace node, is none of it, nor is what containerlab keeps with every node.
const OF_BRIDGES: &[Key] = &[
    key("entrypoint", Why::OfRunning, |d| d.entrypoint.is_some()),
    key("cmd", Why::OfRunning, |d| d.cmd.is_some()),
    key("exec", Why::OfRunning, |d| !d.exec.is_empty()),
    key("env", Why::OfRunning, |d| !d.env.is_empty()),
    key("env-files", Why::OfRunning, |d| !d.env_files.is_empty()),
    key("binds", Why::OfRunning, |d| !d.binds.is_empty()),
    key("volumes", Why::OfRunning, |d| !d.volumes.is_empty()),
    key("ports", Why::OfRunning, |d| !d.ports.is_empty()),
    key("mgmt-ipv4", Why::OfRunning, |d| d.mgmt_ipv4.is_some()),
    key("mgmt-ipv6", Why::OfRunning, |d| d.mgmt_ipv6.is_some()),
    key("dns", Why::OfRunning, |d| d.dns.is_some()),
    key("sysctls", Why::OfRunning, |d| !d.sysctls.is_empty()),
    key("healthcheck", Why::OfRunning, |d| d.healthcheck.is_some()),
    key("restart-policy", Why::OfRunning, |d| d.restart_policy.is_some()),
    key("labels.archetype.runtime", Why::OfRunning, |d| d.labels.contains_key(RUNTIME_LABEL)),
];

/// What no node that this version runs has a use for.
const OF_NONE: &[Key] = &[
    key("startup-config", Why::OfDevices, |d| d.startup_config.is_some()),
    key("enforce-startup-config", Why::OfDevices, |d| d.enforce_startup_config == Some(true)),
    key("suppress-startup-config", Why::OfDevices, |d| d.suppress_startup_config == Some(true)),
    key("license", Why::OfDevices, |d| d.license.is_some()),
    key("extras", Why::OfDevices, |d| d.extras.is_some()),
    key("credentials", Why::OfDevices, |d| d.credentials.is_some()),
    key("components", Why::OfDevices, |d| !d.components.is_empty()),
    key("link-apply-mode", Why::InPlace, |d| d.link_apply_mode.is_some_and(|mode| mode != LinkApplyMode::Live)),
];

/// The keys of this node that nothing comes of, each with why.
fn keys(node: &NodeDecl) -> impl Iterator<Item = (&'static str, Why)> {
    let runtime = node.runtime();
    let of_its_sort: [&[Key]; 3] = match runtime {
        RuntimeKind::Namespace => [OF_NAMESPACES, &[], OF_NONE],
        RuntimeKind::Bridge => [OF_NAMESPACES, OF_BRIDGES, OF_NONE],
        RuntimeKind::Container => [&[], &[], OF_NONE],
        RuntimeKind::Host => [&[], &[], &[]],
    };
    let stated = of_its_sort.into_iter().flatten().filter(|key| (key.is_stated)(&node.definition));
    stated.map(move |Key { key, why, .. }| match (runtime, why) {
        (RuntimeKind::Bridge, Why::OfContainers | Why::OfRights) => (*key, Why::OfRunning),
        _ => (*key, *why),
    })
}

fn note(topology: &Topology, position: Position, key: &str, why: Why, nodes: &[&NodeName]) -> Problem {
    let several = nodes.len() > 1;
    let named: Vec<&str> = nodes.iter().take(NAMED).map(|name| name.as_str()).collect();
    let more = match nodes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let who = if several { "nodes" } else { "node" };
    let message = format!("{who} {}{more}: {key} has no effect{}", named.join(", "), why.words(several));
    super::problem(topology, NO_EFFECT, position, message).hint(why.hint())
}
