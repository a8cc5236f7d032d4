//! What a container is created with: the file's own settings, and the environment and labels that
//! containerlab gives, which tools and images rely on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use archetype_model::ContainerName;
use archetype_model::spec::{ContainerBody, DnsSpec, HealthcheckSpec, NetworkSpec, Privileges, PullPolicy, VolumeSpec};
use archetype_model::topology::value::CgroupNamespace;
use archetype_model::topology::{Healthcheck, NetworkMode, NodeDecl, PullPolicy as Declared, VolumeDecl};

use super::super::attempt::Lab;
use super::super::ports;
use super::{Writer, binds};

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
        labels: labels(writer, node),
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

pub(super) fn dns(node: &NodeDecl) -> DnsSpec {
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

/// The labels that containerlab gives, the file's own included.
fn labels(writer: &Writer<'_>, node: &NodeDecl) -> BTreeMap<String, String> {
    let mut labels = writer.lab.topology.container_labels(node);
    if let Some(network) = writer.network {
        labels.insert("clab-mgmt-net-bridge".into(), network.bridge.to_string());
    }
    labels
}

/// The environment: the file's, containerlab's labels in it, and what containerlab says of the lab.
pub(super) fn env(writer: &Writer<'_>, node: &NodeDecl) -> BTreeMap<String, String> {
    let links = writer.lab.shape.ends_of(&node.name).len();
    writer.lab.topology.container_environment(node, links, &writer.no_proxy)
}

/// What of a lab needs no proxy.
pub(super) fn no_proxy_of_lab(lab: &Lab<'_>, network: Option<&NetworkSpec>) -> String {
    let ipv4 = network.and_then(|network| network.ipv4.as_ref()).map(|laid| laid.net.to_string());
    let ipv6 = network.and_then(|network| network.ipv6.as_ref()).map(|laid| laid.net.to_string());
    lab.topology.unproxied(ipv4.into_iter().chain(ipv6))
}
