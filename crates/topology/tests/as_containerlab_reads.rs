//! Every file of containerlab's corpus and of the generated set is read or refused as containerlab 0.79's own code
//! does it (`data/containerlab-0.79`). What is read from them is compared where it is printed: `expanded.rs` among the
//! tests of `archetype-cli`.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::{Path, PathBuf};

use archetype_model::topology::Topology;
use archetype_topology::{Environment, Reading, read_text};
use serde_json::Value;

/// Files that do not read as containerlab reads them, and why.
const DIFFERENT: &[(&str, &str)] = &[(
    "tests/09-download/01-downloads.clab.yaml",
    "containerlab opens its URLs while reading, and they are not there",
)];

/// Problems that containerlab finds only later, when it deploys.
const LATER: &[&str] = &[
    "missing-image",
    "bind-missing",
    "certificate-refused",
    "device-missing",
    "env-file-missing",
    "interface-reserved",
    "interface-used-twice",
    "exclusive-keys",
    "license-missing",
    "startup-config-missing",
    "management-address-outside",
    "not-runnable-value",
    "management-address-outside-default",
];

/// Names that containerlab refuses although the vendor itself calls a port so, and what they are in Linux: kind, name,
/// interface. Nothing else is taken that containerlab refuses.
const VENDORS_OWN: &[(&str, &str, &str)] = &[
    // EOS shows breakouts with `/` and shortens Ethernet to Et.
    ("arista_ceos", "Ethernet2/3", "eth2_3"),
    ("arista_ceos", "Et1", "eth1"),
    // EOS numbers the ports of a machine without a slot; containerlab wants Ethernet1/49.
    ("arista_veos", "Ethernet49", "eth49"),
    // XR writes slots with `/`; containerlab takes only the form that Linux has.
    ("cisco_xrd", "GigabitEthernet0/0/0/1", "Gi0-0-0-1"),
    ("cisco_xrd", "Gi0/0/0/0", "Gi0-0-0-0"),
    ("cisco_xrd", "Gi0/0/0/5", "Gi0-0-0-5"),
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

/// Where one refuses what the other reads, in one line; `None` where they agree.
fn difference(reading: &Reading, wanted: &Value) -> Option<String> {
    let found: Vec<&str> =
        reading.problems.iter().map(|problem| &*problem.code).filter(|code| !LATER.contains(code)).collect();
    if wanted.get("error").is_some() || wanted.get("links-error").is_some() {
        return found.is_empty().then(|| format!("containerlab refuses it: {wanted}"));
    }
    if !found.is_empty() {
        return Some(format!("we refuse it: {:?}", reading.problems));
    }
    None
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
fn the_corpus_is_refused_where_containerlab_refuses_it() {
    assert_eq!(compare("corpus", "corpus.jsonl"), 51);
}

#[test]
fn interface_names_become_what_containerlab_makes_of_them_and_vendors_own_are_taken_too() {
    let text = std::fs::read_to_string(data().join("names.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let [kind, written, theirs] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = archetype_kinds::find(kind).unwrap().in_file(written, true);
        let ours = ours.as_ref().map_or("!", |name| name.as_str());
        let own = VENDORS_OWN.iter().find(|(own, name, _)| (*own, *name) == (kind, written));
        let wanted = match (own, theirs) {
            (Some((_, _, linux)), "!") => linux,
            (Some(_), _) => panic!("containerlab takes {written} of {kind}: take it off the list"),
            (None, _) => theirs,
        };
        if ours != wanted {
            wrong.push(format!("    (\"{kind}\", \"{written}\", \"{ours}\"), // theirs {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_generated_files_are_refused_where_containerlab_refuses_them() {
    assert_eq!(compare("generated", "generated.jsonl"), 150);
}
