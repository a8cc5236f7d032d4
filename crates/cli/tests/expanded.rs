//! `check --format json --expanded`, as the program prints it, beside what containerlab 0.79's own code makes of the
//! same files: of its corpus and of a generated set (`data/containerlab-0.79` of `archetype-topology`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// A file that containerlab refuses only because it opens the addresses in it while it reads.
const NEEDS_THE_NETWORK: &str = "tests/09-download/01-downloads.clab.yaml";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../topology/tests/data/containerlab-0.79")
}

/// The answer about a file, and whether it is without problems.
fn expanded(directory: &Path, file: &str) -> (Value, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_archetype"))
        .args(["check", "--format", "json", "--expanded", "-t", file])
        .current_dir(directory)
        .env_clear()
        .env("HOME", "/root")
        .output()
        .unwrap();
    let answer = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{file}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let fine = output.status.code() == Some(0);
    assert_eq!(output.status.code(), Some(if fine { 0 } else { 1 }), "{file}");
    (answer, fine)
}

/// The answer under containerlab's headings: nodes by name, and the name as written of an interface as its alias.
fn listed(answer: &Value) -> Value {
    let end = |end: &Value| {
        let mut listed = json!({"node": end["node"], "interface": end["linux_interface"]});
        if end["interface"] != end["linux_interface"] {
            listed["alias"] = end["interface"].clone();
        }
        listed
    };
    let link = |link: &Value| {
        let ends: Vec<Value> = link["endpoints"].as_array().unwrap().iter().map(end).collect();
        json!({"type": link["type"], "mtu": link["mtu"], "endpoints": ends})
    };
    let node = |node: &Value| (node["name"].as_str().unwrap().to_owned(), node["definition"].clone());
    let mut listed = Map::new();
    listed.insert("name".into(), answer["name"].clone());
    listed.insert("mgmt".into(), answer["mgmt"].clone());
    listed.extend(answer.get("prefix").map(|prefix| ("prefix".to_owned(), prefix.clone())));
    listed.insert("nodes".into(), answer["nodes"].as_array().unwrap().iter().map(node).collect());
    listed.insert("links".into(), answer["links"].as_array().unwrap().iter().map(link).collect());
    Value::Object(listed)
}

/// Takes the keys that containerlab's listing never has, whatever the file states, from the definitions.
fn take_unlisted(file: &str, listed: &mut Value) -> BTreeMap<String, Value> {
    const UNLISTED: &[&str] = &["healthcheck", "dns", "certificate", "components", "config"];
    let mut taken = BTreeMap::new();
    for (node, definition) in listed["nodes"].as_object_mut().unwrap() {
        for key in UNLISTED {
            let value = definition.as_object_mut().unwrap().remove(*key);
            taken.extend(value.map(|value| (format!("{file} {node} {key}"), value)));
        }
    }
    taken
}

/// Compares a whole listing; the answer is how many files were read alike, and the values that only ours has.
fn compare(directory: &str, listing: &str) -> (usize, BTreeMap<String, Value>) {
    let (mut alike, mut wrong, mut unlisted) = (0, Vec::new(), BTreeMap::new());
    for line in std::fs::read_to_string(data().join(listing)).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (file, mut theirs) = (line["file"].as_str().unwrap(), line["read"].clone());
        if file == NEEDS_THE_NETWORK {
            continue;
        }
        let (answer, fine) = expanded(&data().join(directory), file);
        let refused = theirs.get("error").is_some() || theirs.get("links-error").is_some();
        assert!(!(refused && fine), "{file}: containerlab refuses it");
        if refused {
            continue;
        }
        let count = theirs.as_object_mut().unwrap().remove("link-count-in-file");
        assert_eq!(count, Some(json!(answer["links"].as_array().unwrap().len())), "{file}");
        // A subnet is printed as its number is, not as it was written.
        if theirs["mgmt"]["ipv6-subnet"] == json!("3fff:172:100:100::0/64") {
            theirs["mgmt"]["ipv6-subnet"] = json!("3fff:172:100:100::/64");
        }
        let mut ours = listed(&answer);
        unlisted.extend(take_unlisted(file, &mut ours));
        match ours == theirs {
            true => alike += 1,
            false => wrong.push(format!("{file}\n  ours   {ours}\n  theirs {theirs}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    (alike, unlisted)
}

#[test]
fn the_corpus_is_printed_as_containerlab_resolves_it() {
    let (alike, unlisted) = compare("corpus", "corpus.jsonl");
    assert_eq!(alike, 50);
    let lines: Vec<String> = unlisted.iter().map(|(place, value)| format!("{place}: {value}")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_generated_files_are_printed_as_containerlab_resolves_them() {
    let (alike, unlisted) = compare("generated", "generated.jsonl");
    assert_eq!((alike, unlisted), (132, BTreeMap::new()));
}

#[test]
fn a_link_out_of_the_lab_is_told_as_written_and_expanded_as_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
name: x
topology:
  nodes:
    a: {kind: linux, image: x}
  links:
    - endpoints: ["host:out", "a:eth1"]
    - endpoints: ["a:eth2", "mgmt-net:up"]
      mtu: 1500
    - {type: host, endpoint: {node: a, interface: eth3}, host-interface: in}
"#;
    std::fs::write(folder.path().join("x.clab.yml"), text).unwrap();
    let told = |arguments: &[&str]| -> Vec<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_archetype"));
        let output = command.args(["check", "-f", "json"]).args(arguments).current_dir(&folder).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["links"].as_array().unwrap().iter().map(Value::to_string).collect()
    };
    assert_eq!(
        told(&[]),
        [
            r#"{"endpoints":[{"interface":"out","node":"host"},{"interface":"eth1","node":"a"}],"type":"host"}"#,
            r#"{"endpoints":[{"interface":"eth2","node":"a"},{"interface":"up","node":"mgmt-net"}],"type":"mgmt-net"}"#,
            r#"{"endpoints":[{"interface":"eth3","node":"a"},{"interface":"in","node":"host"}],"type":"host"}"#,
        ]
    );
    let end =
        |node: &str, name: &str| format!(r#"{{"interface":"{name}","linux_interface":"{name}","node":"{node}"}}"#);
    let link =
        |ends: [String; 2], mtu: u32| format!(r#"{{"endpoints":[{},{}],"mtu":{mtu},"type":"veth"}}"#, ends[0], ends[1]);
    assert_eq!(
        told(&["--expanded"]),
        [
            link([end("a", "eth1"), end("host", "out")], 9500),
            link([end("mgmt-net", "up"), end("a", "eth2")], 1500),
            link([end("a", "eth3"), end("host", "in")], 9500),
        ]
    );
}
