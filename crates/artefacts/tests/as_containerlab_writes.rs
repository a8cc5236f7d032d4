//! The files are those that containerlab 0.79 wrote for the same labs, byte for byte, once the ids
//! and addresses of its run are put in. Lines for hosts files and entries for ssh clients, which it
//! wrote in the engine's order, are compared without their order.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archetype_artefacts::{
    ANSIBLE, HOSTS, Lab, NORNIR, SSH_CONFIG, Seen, TOPOLOGY_DATA, authorized_keys, files, with_keys,
};
use archetype_model::NodeName;
use archetype_model::spec::{Attachment, EndRef, HostSpec};
use archetype_model::topology::{Place, Subject, Topology};
use archetype_plan::blueprint::{HostFacts, LabInput, Overrides, PlanInput, PlanSettings, Wanted, plan};
use archetype_plan::check::check;
use serde_json::Value;

fn data(lab: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containerlab-0.79").join(lab)
}

fn sample(lab: &str, file: &str) -> String {
    let text = std::fs::read_to_string(data(lab).join(file)).unwrap();
    text.replace("<LABS>", data(lab).to_str().unwrap())
}

/// Reads a topology; the dummy link of one was left out of the recorded run.
fn read(lab: &str) -> Topology {
    let (directory, name) = (data(lab), format!("{lab}.clab.yml"));
    let text = std::fs::read_to_string(directory.join(&name)).unwrap();
    let text = text.split("\n    - type: dummy").next().unwrap();
    archetype_topology::read_text(&name, &directory, text, &BTreeMap::new()).topology.unwrap()
}

/// What `deploy --partial` would leave out of a lab.
fn left_out(topology: &Topology) -> BTreeSet<Subject> {
    check(topology, &BTreeSet::new(), &HostFacts::default()).into_iter().filter_map(|problem| problem.subject).collect()
}

/// The host's spec for a lab.
fn spec(topology: &Topology) -> HostSpec {
    let overrides = Overrides { left_out: left_out(topology), ..Overrides::default() };
    let planned = plan(&PlanInput {
        installation: "tests".parse().unwrap(),
        incarnation: "one".into(),
        host: "here".parse().unwrap(),
        settings: PlanSettings::default(),
        labs: vec![LabInput { name: topology.name.clone(), wanted: Wanted::Present { topology, overrides } }],
        reported_gone: BTreeSet::new(),
        facts: HostFacts::default(),
        parent: None,
        port_key: archetype_plan::blueprint::port_by_name,
    });
    assert_eq!(planned.problems, BTreeMap::new());
    Arc::unwrap_or_clone(planned.blueprint.specs.into_values().next().unwrap())
}

/// Puts the addresses of the recorded run into the spec, and gives what was seen in it.
fn as_recorded(lab: &str, topology: &Topology, spec: &mut HostSpec) -> Seen {
    let recorded: Value = serde_json::from_str(&sample(lab, TOPOLOGY_DATA)).unwrap();
    let mut seen = Seen::default();
    for network in &mut spec.networks {
        network.bridge = recorded["clab"]["config"]["mgmt"]["bridge"].as_str().unwrap().parse().unwrap();
    }
    for (name, node) in recorded["nodes"].as_object().unwrap() {
        let line = format!("Host {} ", node["longname"].as_str().unwrap());
        let config = sample(lab, SSH_CONFIG);
        if let Some(id) = config.lines().find_map(|found| found.strip_prefix(&line)) {
            seen.containers.insert(name.parse().unwrap(), format!("{id}{}", "0".repeat(52)));
        }
        let Some(planned) = spec.labs[0].nodes.iter_mut().find(|planned| planned.name.as_str() == name) else {
            continue;
        };
        for interface in &mut planned.interfaces {
            if let Attachment::Network { ipv4, ipv6, primary: true, .. } = &mut interface.attachment {
                assert_eq!(ipv4.is_some() && ipv6.is_some(), node["mgmt-ipv4-address"] != "", "{lab}: {name}");
                *ipv4 = node["mgmt-ipv4-address"].as_str().unwrap().parse().ok();
                *ipv6 = node["mgmt-ipv6-address"].as_str().unwrap().parse().ok();
            }
        }
    }
    let mut macs = BTreeMap::new();
    for link in recorded["links"].as_array().unwrap() {
        for end in ["a", "z"].map(|end| &link["endpoints"][end]) {
            let text = |key: &str| end[key].as_str().unwrap().to_owned();
            macs.insert((text("node"), text("interface")), text("mac").parse().unwrap());
        }
    }
    for node in &mut spec.labs[0].nodes {
        for interface in &mut node.interfaces {
            let key = (node.name.to_string(), interface.name.to_string());
            interface.mac = macs.get(&key).copied().unwrap_or(interface.mac);
        }
    }
    let bridge = recorded["clab"]["config"]["mgmt"]["bridge"].as_str().unwrap();
    for link in &topology.links {
        let [a, b] = link.endpoints.as_slice() else { continue };
        for (near, far) in [(a, b), (b, a)] {
            let far_node = if far.place == Place::MgmtNet { bridge } else { far.node.as_str() };
            let Ok(node) = NodeName::new(near.node.as_str()) else { continue };
            let end = EndRef { node, interface: near.linux_interface.clone().unwrap() };
            seen.outside.insert(end, macs[&(far_node.to_owned(), far.interface.clone())]);
        }
    }
    seen
}

fn sorted<'t>(text: &'t str, by: &str) -> Vec<&'t str> {
    let mut parts: Vec<&str> = text.split(by).map(str::trim_end).collect();
    parts.sort();
    parts
}

#[test]
fn six_labs_have_the_files_that_containerlab_wrote() {
    for lab in
        ["01-linux-nodes", "03-linux-nodes-to-bridge-and-host", "07-linux-single-node", "frr01", "netmodes", "rich"]
    {
        let topology = read(lab);
        let mut spec = spec(&topology);
        let seen = as_recorded(lab, &topology, &mut spec);
        let part = Some(&spec.labs[0]);
        let network = spec.networks.first();
        let left_out = left_out(&topology);
        let written = files(&Lab { topology: &topology, left_out: &left_out, part, network, seen: &seen });
        assert_eq!(authorized_keys(&[]), "\n", "as containerlab wrote it for every lab here: nobody had keys");
        for file in [TOPOLOGY_DATA, ANSIBLE, NORNIR] {
            assert_eq!(written[file], sample(lab, file), "{lab}: {file}");
        }
        assert_eq!(sorted(&written[HOSTS], "\n"), sorted(&sample(lab, HOSTS), "\n"), "{lab}");
        let (ours, theirs) = (&written[SSH_CONFIG], sample(lab, SSH_CONFIG));
        assert_eq!(ours.lines().next(), theirs.lines().next());
        assert_eq!(sorted(ours, "Host "), sorted(&theirs, "Host "), "{lab}");
    }
}

#[test]
fn the_keys_of_whoever_deploys_are_listed_and_change_nothing_else() {
    let written = sample("frr01", TOPOLOGY_DATA);
    assert_eq!(with_keys(&written, &[]), written);
    let keys = ["ssh-ed25519 AAAA".to_owned(), "ssh-rsa BBBB".to_owned()];
    let listed = "  \"ssh-pub-keys\": [\n    \"ssh-ed25519 AAAA\",\n    \"ssh-rsa BBBB\"\n  ],\n";
    assert_eq!(with_keys(&written, &keys), written.replace("  \"ssh-pub-keys\": [],\n", listed));
    assert_eq!(authorized_keys(&keys), "ssh-ed25519 AAAA\nssh-rsa BBBB\n");
}
