//! What a container is created with: the file's own settings, and the environment and labels that
//! containerlab gives, which tools and images rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archetype_model::ContainerName;
use archetype_model::spec::{ContainerBody, DnsSpec, HealthcheckSpec, NetworkSpec, Privileges, PullPolicy, VolumeSpec};
use archetype_model::topology::value::CgroupNamespace;
use archetype_model::topology::{Healthcheck, NetworkMode, NodeDecl, PullPolicy as Declared, VolumeDecl};

use super::super::attempt::Lab;
use super::super::ports;
use super::{Writer, binds};

/// What containerlab always excepts from proxies.
const NO_PROXY: [&str; 4] = ["localhost", "127.0.0.1", "::1", "*.local"];
/// What containerlab sets for every container, because Docker switches IPv6 off inside.
const SYSCTL: (&str, &str) = ("net.ipv6.conf.all.disable_ipv6", "0");

/// Everything that a container is created with.
pub(super) fn body(writer: &Writer<'_>, node: &NodeDecl) -> ContainerBody {
    let definition = &node.definition;
    ContainerBody {
        image: definition.image.clone().unwrap_or_default(),
        pull: pull(definition.image_pull_policy),
        hostname: node.hostname().to_owned(),
        host_network: node.network_mode() == NetworkMode::Host,
        network_of: network_of(writer, node),
        entrypoint: node.entrypoint.clone(),
        cmd: node.command.clone(),
        user: definition.user.clone(),
        env: env(writer, node),
        labels: labels(writer, node, true),
        binds: binds(node),
        ports: ports::write(node, writer.given.ports.get(&node.name)),
        cpu_millis: definition.cpu.map(|cpu| (cpu * 1000.0).round() as u64).filter(|millis| *millis > 0),
        cpu_set: definition.cpu_set.clone(),
        memory: definition.memory.as_ref().map(|size| size.bytes()),
        shm_size: definition.shm_size.as_ref().map(|size| size.bytes()),
        privileges: privileges(definition.privileged),
        cap_add: definition.cap_add.clone(),
        devices: definition.devices.clone(),
        sysctls: sysctls(node),
        tmpfs: definition.tmpfs.clone(),
        dns: dns(node),
        extra_hosts: Vec::new(),
        healthcheck: definition.healthcheck.as_ref().and_then(healthcheck),
        stop_signal: None,
        volumes: node.volumes.iter().map(volume).collect(),
        cgroup_namespace: definition.cgroupns_mode.map(cgroup_namespace),
        cgroup_parent: definition.cgroup_parent.clone(),
        pid_mode: pid_mode(writer, node),
        security_options: definition.security_opts.clone(),
    }
}

fn volume(volume: &VolumeDecl) -> VolumeSpec {
    VolumeSpec {
        name: volume.name.clone(),
        target: PathBuf::from(&volume.target),
        options: (!volume.options.is_empty()).then(|| volume.options.clone()),
    }
}

fn cgroup_namespace(mode: CgroupNamespace) -> String {
    match mode {
        CgroupNamespace::Host => "host".into(),
        CgroupNamespace::Private => "private".into(),
    }
}

fn network_of(writer: &Writer<'_>, node: &NodeDecl) -> Option<ContainerName> {
    let topology = writer.lab.topology;
    topology.network_owner(node).and_then(|owner| topology.container_name(&owner.name).ok())
}

/// A node of the lab is named as its container; whatever else it is, the engine may know it.
fn pid_mode(writer: &Writer<'_>, node: &NodeDecl) -> Option<String> {
    let topology = writer.lab.topology;
    let owner = topology.processes_owner(node).and_then(|owner| topology.container_name(&owner.name).ok());
    owner.map(|container| format!("container:{container}")).or_else(|| node.definition.pid_mode.clone())
}

fn pull(policy: Option<Declared>) -> PullPolicy {
    match policy.unwrap_or_default() {
        Declared::Always => PullPolicy::Always,
        Declared::Never => PullPolicy::Never,
        Declared::IfNotPresent => PullPolicy::IfNotPresent,
    }
}

fn privileges(stated: Option<bool>) -> Privileges {
    match stated {
        Some(true) => Privileges::Demanded,
        Some(false) => Privileges::Confined,
        None => Privileges::AsGranted,
    }
}

fn dns(node: &NodeDecl) -> DnsSpec {
    let declared = node.definition.dns.clone().unwrap_or_default();
    DnsSpec { servers: declared.servers, search: declared.search, options: declared.options }
}

pub(super) fn healthcheck(declared: &Healthcheck) -> Option<HealthcheckSpec> {
    (!declared.test.is_empty()).then(|| HealthcheckSpec {
        test: declared.test.clone(),
        interval: declared.interval.unwrap_or_default(),
        timeout: declared.timeout.unwrap_or_default(),
        start_period: declared.start_period.unwrap_or_default(),
        retries: declared.retries.unwrap_or_default(),
    })
}

/// Kernel settings: containerlab's own, overruled by the file's. A node in the host's network, or
/// another node's, has no settings but its file's.
pub(super) fn sysctls(node: &NodeDecl) -> BTreeMap<String, String> {
    let mut sysctls = node.definition.sysctls.clone();
    if !matches!(node.network_mode(), NetworkMode::Host | NetworkMode::Container(_)) {
        sysctls.entry(SYSCTL.0.into()).or_insert_with(|| SYSCTL.1.into());
    }
    sysctls
}

/// The labels that containerlab gives, the file's own included. The bridge's label is set on the
/// container but is not in the environment.
fn labels(writer: &Writer<'_>, node: &NodeDecl, with_bridge: bool) -> BTreeMap<String, String> {
    let topology = writer.lab.topology;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let long = topology.container_name(&node.name).map(String::from).unwrap_or_default();
    let given = [
        ("containerlab", topology.name.to_string()),
        ("clab-node-name", node.name.to_string()),
        ("clab-node-longname", long),
        ("clab-node-kind", node.kind.clone()),
        ("clab-node-type", text(&node.definition.variant)),
        ("clab-node-group", text(&node.definition.group)),
        ("clab-node-lab-dir", format!("{}/{}", topology.lab_directory(), node.name)),
        ("clab-topo-file", format!("{}/{}", topology.source.directory, topology.source.file)),
        ("clab-owner", String::new()),
    ];
    let mut labels = node.definition.labels.clone();
    labels.extend(given.map(|(key, value)| (key.to_owned(), value)));
    if let Some(network) = writer.network.filter(|_| with_bridge) {
        labels.insert("clab-mgmt-net-bridge".into(), network.bridge.to_string());
    }
    labels
}

/// The environment: the file's, containerlab's labels in it, and what containerlab says of the lab.
pub(super) fn env(writer: &Writer<'_>, node: &NodeDecl) -> BTreeMap<String, String> {
    let mut env = node.env.clone();
    for (label, value) in labels(writer, node, false) {
        env.insert(format!("CLAB_LABEL_{}", variable(&label)), value);
    }
    env.insert("CLAB_INTFS".into(), writer.lab.shape.ends_of(&node.name).len().to_string());
    let no_proxy = no_proxy(writer, node);
    env.insert("NO_PROXY".into(), no_proxy.clone());
    env.insert("no_proxy".into(), no_proxy);
    env
}

/// A label as the name of a variable.
fn variable(label: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
    label.chars().map(letter).collect()
}

/// What the file excepts from proxies, what containerlab always does, and the lab.
fn no_proxy(writer: &Writer<'_>, node: &NodeDecl) -> String {
    let stated = node.env.get("no_proxy").or_else(|| node.env.get("NO_PROXY")).filter(|text| !text.is_empty());
    let mut parts: Vec<String> = stated.cloned().into_iter().collect();
    let is_stated = |default: &&str| !stated.is_some_and(|text| text.contains(*default));
    parts.extend(NO_PROXY.into_iter().filter(is_stated).map(str::to_owned));
    parts.push(writer.no_proxy.clone());
    parts.join(",")
}

/// What a lab excepts from proxies: its subnets, every node's name and stated addresses, in byte
/// order.
pub(super) fn no_proxy_of_lab(lab: &Lab<'_>, network: Option<&NetworkSpec>) -> String {
    let mut parts = BTreeSet::new();
    for node in &lab.topology.nodes {
        parts.insert(node.name.to_string());
        parts.extend(node.definition.mgmt_ipv4.map(|address| address.to_string()));
        parts.extend(node.definition.mgmt_ipv6.map(|address| address.to_string()));
    }
    if let Some(network) = network {
        parts.extend(network.ipv4.as_ref().map(|laid| laid.net.to_string()));
        parts.extend(network.ipv6.as_ref().map(|laid| laid.net.to_string()));
    }
    parts.into_iter().collect::<Vec<_>>().join(",")
}
