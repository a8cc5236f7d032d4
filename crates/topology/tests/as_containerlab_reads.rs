//! Every file of containerlab's corpus and of the generated set, compared with what
//! containerlab 0.79's own code reads from it (`data/containerlab-0.79`).

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archetype_model::topology::Topology;
use archetype_topology::{Environment, Reading, read_text};
use serde_json::{Map, Value, json};

/// Files that do not read as containerlab reads them, and why.
const DIFFERENT: &[(&str, &str)] = &[(
    "tests/09-download/01-downloads.clab.yaml",
    "containerlab opens its URLs while reading, and they are not there",
)];

/// Keys whose values containerlab's own listing leaves out.
const NOT_LISTED: &[&str] = &[
    "healthcheck",
    "dns",
    "stages",
    "certificate",
    "components",
    "credentials",
    "config",
    "extras",
    "privileged",
    "cgroup-parent",
];

/// Problems that containerlab finds only later, when it deploys.
const LATER: &[&str] = &[
    "missing-image",
    "bind-missing",
    "certificate-refused",
    "env-file-missing",
    "interface-reserved",
    "interface-used-twice",
    "exclusive-keys",
    "management-address-outside",
    "management-address-outside-default",
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/containerlab-0.79")
}

fn lines(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data().join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(directory: &str, file: &str) -> Reading {
    let path = data().join(directory).join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let environment: Environment = [("HOME".to_owned(), "/root".to_owned())].into();
    read_text(file, path.parent().unwrap(), &text, &environment)
}

/// Our reading in the form of containerlab's listing.
fn listed(reading: &Reading) -> Value {
    let topology = reading.topology.as_ref().expect("no topology");
    let mut all = Map::new();
    all.insert("name".into(), json!(topology.name));
    if let Some(prefix) = topology.prefix.as_ref().filter(|prefix| *prefix != "clab") {
        all.insert("prefix".into(), json!(prefix));
    }
    let mut mgmt = serde_json::to_value(&topology.mgmt).unwrap();
    // containerlab's listing has these only.
    mgmt.as_object_mut().unwrap().retain(|key, _| ["ipv4-subnet", "ipv6-subnet", "mtu"].contains(&key.as_str()));
    mgmt["network"] = json!(topology.mgmt.network_name());
    for (key, subnet) in [
        ("ipv4-subnet", topology.mgmt.ipv4().map(|subnet| subnet.to_string())),
        ("ipv6-subnet", topology.mgmt.ipv6().map(|subnet| subnet.to_string())),
    ] {
        if let Some(subnet) = subnet {
            mgmt[key] = json!(subnet);
        }
    }
    all.insert("mgmt".into(), mgmt);
    let nodes: BTreeMap<String, Value> = topology
        .nodes
        .iter()
        .map(|node| {
            let mut keys = node.definition.to_file_keys();
            let map = keys.as_object_mut().unwrap();
            map.retain(|key, value| !NOT_LISTED.contains(&key.as_str()) && *value != json!(false));
            (node.name.to_string(), keys)
        })
        .collect();
    all.insert("nodes".into(), json!(nodes));
    let links: Vec<Value> = topology
        .links
        .iter()
        .map(|link| {
            let mut ends: Vec<Value> = link
                .endpoints
                .iter()
                .map(|end| {
                    let mut listed = json!({"node": end.node, "interface": end.linux_interface});
                    if end.linux_interface.as_ref().is_some_and(|name| name.as_str() != end.interface) {
                        listed["alias"] = json!(end.interface);
                    }
                    listed
                })
                .collect();
            let word = match link.kind.as_str() {
                // containerlab lists these by what they are made of, the bridge's end first.
                "mgmt-net" => {
                    ends.reverse();
                    "veth"
                }
                "host" => "veth",
                word => word,
            };
            json!({"type": word, "mtu": link.mtu.map_or(9500, |mtu| mtu.get()), "endpoints": ends})
        })
        .collect();
    all.insert("links".into(), json!(links));
    Value::Object(all)
}

/// What is different between the two, in one line; `None` when nothing is.
fn difference(reading: &Reading, wanted: &Value) -> Option<String> {
    let found: Vec<&str> =
        reading.problems.iter().map(|problem| &*problem.code).filter(|code| !LATER.contains(code)).collect();
    if wanted.get("error").is_some() || wanted.get("links-error").is_some() {
        return found.is_empty().then(|| format!("containerlab refuses it: {wanted}"));
    }
    if !found.is_empty() {
        return Some(format!("we refuse it: {:?}", reading.problems));
    }
    let ours = listed(reading);
    let mut wanted = wanted.clone();
    wanted.as_object_mut().unwrap().remove("link-count-in-file");
    // The one subnet of the corpus that is written in another way than its number is printed.
    if wanted["mgmt"]["ipv6-subnet"] == json!("3fff:172:100:100::0/64") {
        wanted["mgmt"]["ipv6-subnet"] = json!("3fff:172:100:100::/64");
    }
    (ours != wanted).then(|| format!("\n  ours   {ours}\n  theirs {wanted}"))
}

/// A topology written as JSON and read back is the same.
fn survives_storage(reading: &Reading) {
    if let Some(topology) = &reading.topology {
        let text = serde_json::to_string(topology).unwrap();
        assert_eq!(&serde_json::from_str::<Topology>(&text).unwrap(), topology);
    }
}

fn compare(directory: &str, listing: &str) -> usize {
    let mut wrong = Vec::new();
    let listing = lines(listing);
    for line in &listing {
        let file = line["file"].as_str().unwrap();
        let known = DIFFERENT.iter().any(|(name, _)| *name == file);
        let reading = read(directory, file);
        survives_storage(&reading);
        match (difference(&reading, &line["read"]), known) {
            (Some(difference), false) => wrong.push(format!("{file}: {difference}")),
            (None, true) => wrong.push(format!("{file} reads well now: take it off the list")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), listing.len(), wrong.join("\n"));
    listing.len()
}

#[test]
fn the_corpus_reads_as_containerlab_reads_it() {
    assert_eq!(compare("corpus", "corpus.jsonl"), 51);
}

#[test]
fn interface_names_become_what_containerlab_makes_of_them() {
    let text = std::fs::read_to_string(data().join("names.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let [kind, written, theirs] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = archetype_kinds::find(kind).unwrap().in_file(written, true);
        let ours = ours.as_ref().map_or("!", |name| name.as_str());
        if ours != theirs {
            wrong.push(format!("    (\"{kind}\", \"{written}\", \"{ours}\"), // theirs {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_generated_files_read_as_containerlab_reads_them() {
    assert_eq!(compare("generated", "generated.jsonl"), 150);
}
