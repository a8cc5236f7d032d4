//! Containers are created as containerlab creates them: compared with what its real run left in
//! `docker inspect`. What our design makes otherwise (network mode, restart policy, the engine's
//! own host entries, the bridge's name) is not compared.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archetype_model::name::NodeName;
use archetype_model::spec::{Attachment, ContainerBody, HostSpec, NodeBody, NodeSpec, PublishedPort};
use archetype_model::topology::{Subject, Topology, unsupported};
use archetype_plan::blueprint::{HostFacts, LabInput, Overrides, PlanInput, PlanSettings, Wanted, plan};
use serde_json::{Value, json};

fn data(lab: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containerlab-0.79").join(lab)
}

/// Reads a topology as the recorded run had it: with three capabilities instead of all privileges.
fn read(lab: &str) -> Topology {
    let directory = data(lab);
    let file = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_string_lossy().ends_with(".clab.yml")).unwrap();
    let mut text = std::fs::read_to_string(&file).unwrap();
    if !text.contains("privileged") {
        let defaults = "topology:\n  defaults: {privileged: false, cap-add: [NET_ADMIN, NET_RAW, SYS_ADMIN]}";
        text = text.replacen("topology:", defaults, 1);
    }
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    archetype_topology::read_text(&name, &directory, &text, &BTreeMap::new()).topology.unwrap()
}

/// The host's spec for one lab without what this version cannot run.
fn spec(topology: &Topology) -> HostSpec {
    // Stages and certificates do not show in what a node is created with.
    let mut topology = topology.clone();
    for node in &mut topology.nodes {
        node.definition.stages = None;
        node.definition.certificate = None;
    }
    let left_out: BTreeSet<Subject> =
        unsupported(&topology).into_iter().filter_map(|problem| problem.subject).collect();
    let overrides = Overrides { left_out, ..Overrides::default() };
    let planned = plan(&PlanInput {
        installation: "tests".parse().unwrap(),
        incarnation: "one".into(),
        host: "here".parse().unwrap(),
        settings: PlanSettings::default(),
        labs: vec![LabInput {
            name: topology.name.clone(),
            wanted: Wanted::Present { topology: &topology, overrides },
        }],
        reported_gone: BTreeSet::new(),
        facts: HostFacts::default(),
        parent: None,
        port_key: archetype_plan::blueprint::port_by_name,
    });
    assert_eq!(planned.problems, BTreeMap::new());
    Arc::unwrap_or_clone(planned.blueprint.specs.into_values().next().unwrap())
}

fn recorded(lab: &str, directory: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(data(lab)).unwrap().map(|entry| entry.unwrap().path());
    let samples = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap().replace("<LABS>", directory.to_str().unwrap());
    samples.map(|path| serde_json::from_str(&read(path)).unwrap()).collect()
}

fn body(node: &NodeSpec) -> &ContainerBody {
    match &node.body {
        NodeBody::Container(body) => body,
        NodeBody::Namespace(_) => panic!("{} is a container", node.name),
    }
}

/// Sets `null` where the file states nothing and the sample shows the image's or engine's own.
fn stated<T: Into<Value>>(value: Option<T>, sample: &Value) -> Value {
    value.map_or_else(|| sample.clone(), Into::into)
}

fn ports(ports: &[PublishedPort]) -> Value {
    let mut bindings = BTreeMap::<String, Vec<Value>>::new();
    for port in ports {
        let address = port.address.map(|address| address.to_string()).unwrap_or_default();
        let protocol = serde_json::to_value(port.protocol).unwrap();
        let key = format!("{}/{}", port.node_port, protocol.as_str().unwrap());
        bindings.entry(key).or_default().push(json!({"HostIp": address, "HostPort": port.host_port.to_string()}));
    }
    if bindings.is_empty() { Value::Null } else { json!(bindings) }
}

/// The sample as it would be had we created the container: fields that are ours to give are
/// replaced by what we give.
fn as_we_create(node: &NodeSpec, sample: &Value) -> Value {
    let body = body(node);
    let mut ours = sample.clone();
    let env: BTreeSet<String> = body.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    ours["Name"] = json!(format!("/{}", node.container));
    let config = &mut ours["Config"];
    config["Hostname"] = json!(body.hostname);
    config["User"] = json!(body.user.clone().unwrap_or_default());
    config["Env"] = json!(env);
    config["Cmd"] = stated(body.cmd.clone(), &config["Cmd"]);
    config["Entrypoint"] = stated(body.entrypoint.clone(), &config["Entrypoint"]);
    config["Image"] = json!(body.image);
    let bridge = config["Labels"]["clab-mgmt-net-bridge"].clone();
    config["Labels"] = json!(body.labels);
    if body.labels.contains_key("clab-mgmt-net-bridge") {
        config["Labels"]["clab-mgmt-net-bridge"] = bridge;
    }
    config["Healthcheck"] = body.healthcheck.as_ref().map_or(Value::Null, |check| {
        let nanoseconds = |seconds: u64| seconds * 1_000_000_000;
        json!({
            "Test": check.test,
            "Interval": nanoseconds(check.interval),
            "Timeout": nanoseconds(check.timeout),
            "StartPeriod": nanoseconds(check.start_period),
            "Retries": check.retries,
        })
    });
    host_config(body, &mut ours["HostConfig"]);
    ours
}

fn host_config(body: &ContainerBody, host: &mut Value) {
    let bind = |bind: &archetype_model::spec::Bind| {
        let options = bind.options.as_ref().map(|options| format!(":{options}")).unwrap_or_default();
        format!("{}:{}{options}", bind.source.display(), bind.target.display())
    };
    let list = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
    let binds: Vec<String> = body.binds.iter().map(bind).collect();
    host["Binds"] = list(&binds);
    host["PortBindings"] = ports(&body.ports);
    host["CapAdd"] = json!(body.cap_add.iter().map(|cap| format!("CAP_{cap}")).collect::<Vec<_>>());
    if !body.dns.servers.is_empty() {
        host["Dns"] = json!(body.dns.servers);
    }
    if host["DnsOptions"] != Value::Null || !body.dns.options.is_empty() {
        host["DnsOptions"] = list(&body.dns.options);
    }
    host["DnsSearch"] = list(&body.dns.search);
    host["Privileged"] = json!(body.privileges != archetype_model::spec::Privileges::Confined);
    host["ShmSize"] = stated(body.shm_size, &host["ShmSize"]);
    host["Sysctls"] = if body.sysctls.is_empty() { Value::Null } else { json!(body.sysctls) };
    host["Memory"] = json!(body.memory.unwrap_or_default());
    host["CpuQuota"] = json!(body.cpu_millis.unwrap_or_default() * 100);
    host["CpusetCpus"] = json!(body.cpu_set.clone().unwrap_or_default());
    host["Tmpfs"] = if body.tmpfs.is_empty() { Value::Null } else { json!(body.tmpfs) };
}

#[track_caller]
fn compare(lab: &str) -> HostSpec {
    let topology = read(lab);
    let spec = spec(&topology);
    let samples = recorded(lab, &data(lab));
    assert!(!samples.is_empty());
    for sample in &samples {
        let name = sample["Name"].as_str().unwrap().trim_start_matches('/');
        let (_, node) = spec.nodes().find(|(_, node)| node.container.as_str() == name).unwrap();
        let ours = as_we_create(node, sample);
        for part in ["Name", "Config", "HostConfig"] {
            let (Some(ours), Some(sample)) = (ours[part].as_object(), sample[part].as_object()) else {
                assert_eq!(ours[part], sample[part], "{name} {part}");
                continue;
            };
            for (key, value) in sample {
                assert_eq!(ours.get(key), Some(value), "{name} {part}.{key}");
            }
        }
        addresses(node, sample);
    }
    spec
}

/// Stated management addresses are the ones that containerlab asked Docker for.
fn addresses(node: &NodeSpec, sample: &Value) {
    let networks = sample["Networks"].as_object().unwrap();
    let Some((network, asked)) = networks.iter().next().filter(|(name, _)| !["host", "none"].contains(&name.as_str()))
    else {
        assert!(node.management().is_none(), "{} has no management network", node.name);
        return;
    };
    let (interface, on) = node.management().unwrap();
    assert_eq!(on.as_str(), network);
    let Attachment::Network { ipv4, ipv6, .. } = &interface.attachment else { panic!("a network") };
    let wanted = &asked["IPAMConfig"];
    for (key, given) in [("IPv4Address", ipv4.map(|a| a.to_string())), ("IPv6Address", ipv6.map(|a| a.to_string()))] {
        if let Some(wanted) = wanted[key].as_str() {
            assert_eq!(given.as_deref(), Some(wanted));
        }
    }
}

#[test]
fn frr01_is_created_as_containerlab_does() {
    let spec = compare("frr01");
    let lab = spec.lab(&"frr01".parse().unwrap()).unwrap();
    assert_eq!(lab.wires.len(), 6);
    let node = |name: &str| lab.node(&NodeName::new(name).unwrap()).unwrap();
    let router = node("router1");
    let names: Vec<&str> = router.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!(names, ["eth0", "eth1", "eth2", "eth3"]);
    assert_eq!(lab.hosts[0].address.to_string(), "172.20.20.2");
    assert_eq!(lab.hosts[0].names, ["router1", "clab-frr01-router1"]);
    assert_eq!(lab.hosts.len(), 12);
}

#[test]
fn the_smoke_labs_are_created_as_containerlab_does() {
    let spec = compare("01-linux-nodes");
    let lab = &spec.labs[0];
    let host_mode = lab.node(&NodeName::new("l3").unwrap()).unwrap();
    assert!(body(host_mode).host_network && host_mode.interfaces.is_empty());
    let l2 = lab.node(&NodeName::new("l2").unwrap()).unwrap();
    let leads: Vec<String> = l2
        .interfaces
        .iter()
        .map(|interface| match &interface.attachment {
            Attachment::Wire { wire } => wire.to_string(),
            Attachment::Network { network, primary, .. } => {
                format!("{network} {primary} {}", interface.host_device.shown())
            }
            Attachment::Host => format!("host {}", interface.host_device),
            Attachment::ForeignBridge { bridge } => bridge.to_string(),
        })
        .collect();
    assert_eq!(
        leads,
        [
            "clab true ours",
            "l1:eth1--l2:some1",
            "l1:eth2--l2:eth2",
            "l1:eth3--l2:eth3",
            "host l2eth4",
            "clab false l2eth5mgmt"
        ]
    );
    compare("03-linux-nodes-to-bridge-and-host");
    compare("07-linux-single-node");
    compare("netmodes");
}

trait Shown {
    fn shown(&self) -> String;
}

impl Shown for archetype_model::InterfaceName {
    /// A device's name, or that it is one of ours.
    fn shown(&self) -> String {
        if self.as_str().starts_with("atests-") { "ours".into() } else { self.to_string() }
    }
}

#[test]
fn a_lab_with_nearly_every_key_is_created_as_containerlab_does() {
    compare("rich");
}

/// The only node of a lab that a user with this shell deployed.
fn node_of(shell: &[(&str, &str)]) -> NodeSpec {
    spec(&read_in(shell)).labs[0].nodes[0].clone()
}

fn read_in(shell: &[(&str, &str)]) -> Topology {
    let text = "name: x\ntopology:\n  nodes:\n    a: {kind: linux, image: i, labels: {\"my label.x\": v}}\n";
    let shell = shell.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    archetype_topology::read_text("x.clab.yml", Path::new("/labs"), text, &shell).topology.unwrap()
}

#[test]
fn a_container_names_its_owner_and_is_not_made_anew_for_another() {
    let owner = |node: &NodeSpec| {
        let NodeBody::Container(body) = &node.body else { panic!("it is a container") };
        assert_eq!(body.labels["clab-owner"], body.env["CLAB_LABEL_CLAB_OWNER"]);
        body.labels["clab-owner"].clone()
    };
    let ann = node_of(&[("USER", "root"), ("SUDO_USER", "ann")]);
    assert_eq!(owner(&ann), "ann");
    assert_eq!(owner(&node_of(&[("USER", "root"), ("SUDO_USER", "")])), "root");
    let bob = node_of(&[("USER", "root"), ("SUDO_USER", "ann"), ("CLAB_OWNER", "bob")]);
    assert_eq!(owner(&bob), "bob");
    assert_eq!(owner(&node_of(&[])), "");
    assert_eq!(ann.body_digest(), bob.body_digest());
    assert_eq!(read_in(&[("USER", "ann")]).digest(), read_in(&[("USER", "bob")]).digest(), "no other file");
}

#[test]
fn a_label_as_a_variable_has_only_what_a_variable_may() {
    let node = node_of(&[]);
    let NodeBody::Container(body) = &node.body else { panic!("it is a container") };
    assert_eq!(body.env.get("CLAB_LABEL_MYLABEL_X").map(String::as_str), Some("v"), "{:?}", body.env);
}
