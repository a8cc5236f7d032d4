//! Labs of containerlab's own, unchanged, read whole; what their containers are given is compared
//! with what containerlab 0.79 gave them.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archetype_model::topology::{
    LinkKind, NetworkMode, NodeDecl, PortDecl, Protocol, RuntimeKind, Subject, Topology, unsupported,
};
use serde_json::Value;

fn crate_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read_whole(path: &str) -> Topology {
    let reading = archetype_topology::read(&crate_path(path), &[]).unwrap();
    assert_eq!(reading.problems, []);
    reading.topology.unwrap()
}

#[test]
fn frr01_is_read_whole() {
    let topology = read_whole("../../labs/containerlab/lab-examples/frr01");
    assert_eq!(topology.name.as_str(), "frr01");
    let names: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["router1", "router2", "router3", "PC1", "PC2", "PC3"]);
    let router = topology.node("router1").unwrap();
    assert_eq!((router.kind.as_str(), router.runtime()), ("linux", RuntimeKind::Container));
    assert_eq!(router.definition.image.as_deref(), Some("quay.io/frrouting/frr:10.5.1"));
    assert_eq!(topology.container_name(&router.name).unwrap().as_str(), "clab-frr01-router1");
    let binds: Vec<(&str, &str)> = router.binds.iter().map(|b| (b.written.as_str(), b.target.as_str())).collect();
    assert_eq!(binds, [("router1/daemons", "/etc/frr/daemons"), ("router1/frr.conf", "/etc/frr/frr.conf")]);
    assert!(router.binds.iter().all(|bind| Path::new(&bind.source).is_absolute() && Path::new(&bind.source).is_file()));
    let pc = topology.node("PC1").unwrap();
    assert_eq!(pc.execs.len(), 4);
    assert_eq!(pc.execs[1], ["ip", "addr", "add", "192.168.11.2/24", "dev", "eth1"]);
    let links: Vec<String> = topology
        .links
        .iter()
        .map(|link| link.endpoints.iter().map(|e| format!("{}:{}", e.node, e.interface)).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(links[3], "PC1:eth1 router1:eth3");
    assert_eq!(links.len(), 6);
    assert!(topology.links.iter().all(|link| link.mtu.is_none() && link.kind == LinkKind::Veth));
    assert_eq!(unsupported(&topology), []);
}

#[test]
fn the_linux_nodes_of_the_smoke_test_are_read_whole() {
    let topology = read_whole("../../labs/containerlab/tests/01-smoke");
    let node = |name| topology.node(name).unwrap();
    let (l1, l2, l3) = (node("l1"), node("l2"), node("l3"));
    assert_eq!(l1.command.as_deref().unwrap(), ["ash", "-c", "echo $MYVAR > /tmp/var && sleep 9999"]);
    assert_eq!(l1.definition.memory.as_ref().unwrap().bytes(), 1_000_000_000);
    assert_eq!(l1.definition.cpu, Some(1.5));
    assert_eq!(l1.env["MYVAR"], "MYVAR is SET");
    assert_eq!(l1.definition.mgmt_ipv6.unwrap().to_string(), "3fff:172:20:20::99");
    assert_eq!(l1.definition.healthcheck.as_ref().unwrap().interval, Some(5));
    let port = PortDecl { host_address: None, host_port: Some(56180), node_port: 80, protocol: Protocol::Tcp };
    assert_eq!(l2.ports, [port]);
    assert_eq!(l2.definition.dns.as_ref().unwrap().servers, ["8.8.8.8", "1.2.3.4"]);
    assert_eq!(l2.definition.aliases, ["l2.mydomain.com"]);
    assert_eq!(l3.network_mode(), NetworkMode::Host);
    let kinds: Vec<&str> = topology.links.iter().map(|link| link.kind.as_str()).collect();
    assert_eq!(kinds, ["veth", "veth", "veth", "host", "mgmt-net", "dummy"]);
    assert_eq!(topology.links[0].mtu.unwrap().get(), 2000);
    assert_eq!(topology.links[2].endpoints[1].mac.unwrap().to_string(), "02:00:00:00:00:01");
    assert_eq!(topology.links[3].endpoints[1].interface, "l2eth4");
    let left_out = unsupported(&topology);
    assert_eq!(left_out.len(), 1);
    assert_eq!((&*left_out[0].code, &left_out[0].subject), ("not-runnable-dummy-link", &Some(Subject::Link(5))));
    assert_eq!((left_out[0].line, left_out[0].column), (84, 7));
}

#[test]
fn a_file_read_twice_is_the_same_and_a_comment_is_no_change() {
    let path = crate_path("../../labs/containerlab/lab-examples/frr01/frr01.clab.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let read = |text: &str| {
        let directory = path.parent().unwrap();
        let reading = archetype_topology::read_text("frr01.clab.yml", directory, text, &BTreeMap::new());
        reading.topology.unwrap().digest()
    };
    let digest = read(&text);
    assert_eq!(digest, read(&format!("# a comment\n{text}")));
    assert_ne!(digest, read(&text.replace("192.168.11.2/24", "192.168.11.3/24")));
}

/// What containerlab gave a container of this node, its directory replaced by ours.
fn given(file: &str, topology: &Topology) -> Value {
    let path = crate_path("tests/data/containerlab-0.79").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text.replace("<LABS>", &topology.source.directory)).unwrap()
}

fn gets_what_containerlab_gives(topology: &Topology, node: &NodeDecl, file: &str) {
    let given = given(file, topology);
    let mut labels: BTreeMap<String, String> = serde_json::from_value(given["Config"]["Labels"].clone()).unwrap();
    labels.remove("clab-mgmt-net-bridge");
    assert_eq!(topology.container_labels(node), labels);
    let subnets: Vec<String> =
        [topology.mgmt.ipv4().unwrap().to_string(), topology.mgmt.ipv6().unwrap().to_string()].into();
    let links = topology.links.iter().flat_map(|link| &link.endpoints).filter(|end| end.node == node.name.as_str());
    let ours: Vec<String> = topology
        .container_environment(node, links.count(), &topology.unproxied(subnets))
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(serde_json::to_value(ours).unwrap(), given["Config"]["Env"]);
    let binds: Vec<String> = node
        .binds
        .iter()
        .map(|b| [&b.source, &b.target, &b.mode].map(String::as_str).join(":").trim_end_matches(':').to_owned())
        .collect();
    let wanted = &given["HostConfig"]["Binds"];
    assert!(serde_json::to_value(&binds).unwrap() == *wanted || binds.is_empty() && wanted.is_null());
    if let Some(command) = &node.command {
        assert_eq!(serde_json::to_value(command).unwrap(), given["Config"]["Cmd"]);
    }
    assert_eq!(serde_json::to_value(&node.entrypoint).unwrap(), given["Config"]["Entrypoint"]);
    assert_eq!(given["Config"]["Hostname"], node.hostname());
}

#[test]
fn containers_get_the_labels_and_variables_that_containerlab_gives() {
    let topology = read_whole("tests/data/containerlab-0.79/rich");
    for node in &topology.nodes {
        gets_what_containerlab_gives(&topology, node, &format!("rich/container-rich-{}.json", node.name));
    }
    let topology = read_whole("../../labs/containerlab/tests/01-smoke");
    for name in ["l1", "l3"] {
        let file = format!("01-linux-nodes/container-{name}.json");
        gets_what_containerlab_gives(&topology, topology.node(name).unwrap(), &file);
    }
}
