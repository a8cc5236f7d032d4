//! What `check` and `kinds` say of small mistakes, word for word, and how they end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::path::Path;
use std::process::{Command, Stdio};

/// How a command ended, and what it printed to the error output.
fn archetype(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_archetype"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What `check` says of nodes.
fn of_nodes(nodes: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name: x\ntopology:\n  nodes:\n{nodes}");
    std::fs::write(folder.path().join("x.clab.yml"), text).unwrap();
    let (code, told) = archetype(folder.path(), &["check"]);
    (code, told.replace(&*folder.path().to_string_lossy(), "HERE"))
}

#[test]
fn a_directory_without_one_file_ends_alike_however_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    let told = |arguments: &[&str], place: &str| {
        let (code, told) = archetype(&folder.path().join(if place == "here" { "d" } else { "." }), arguments);
        assert_eq!(code, 2, "{told}");
        told
    };
    let hint = "\n  hint: name one with -t FILE\n";
    assert_eq!(told(&["check"], "here"), format!("error: there is no *.clab.yml or *.clab.yaml here{hint}"));
    assert_eq!(told(&["check", "-t", "d"], "in d"), format!("error: there is no *.clab.yml or *.clab.yaml in d{hint}"));
    for name in ["a.clab.yml", "b.clab.yaml"] {
        std::fs::write(folder.path().join("d").join(name), "").unwrap();
    }
    let several = |place| format!("error: there are several topology files {place}: a.clab.yml, b.clab.yaml{hint}");
    assert_eq!(told(&["check"], "here"), several("here"));
    assert_eq!(told(&["check", "-t", "d"], "in d"), several("in d"));
}

#[test]
fn which_file_is_meant_is_said_in_one_sentence_everywhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands");
    let pages = std::fs::read_dir(folder).unwrap().map(|page| page.unwrap().path());
    for page in pages.chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap().replace('`', "");
        let words: Vec<&str> = text.split_whitespace().collect();
        for at in words.windows(3).filter(|at| at[0].ends_with("*.clab.yml")) {
            assert_eq!(at[1..], ["or", "*.clab.yaml"], "{}: {}", page.display(), at.join(" "));
        }
    }
}

#[test]
fn a_wish_that_only_programs_have_and_a_scheme_that_is_not_fetched_are_told() {
    let here = Path::new("/");
    assert_eq!(
        archetype(here, &["check", "--expanded"]),
        (2, "error: --expanded is for programs, and needs --format json\n  hint: add -f json\n".to_owned())
    );
    assert_eq!(
        archetype(here, &["check", "-f", "json", "-t", "ftp://h.example/x.clab.yml"]),
        (
            1,
            "error: ftp://h.example/x.clab.yml is not fetched: topology files are, by https and http\n  hint: copy it \
             here first, or name it by its https address\n"
                .to_owned()
        )
    );
}

#[test]
fn a_node_that_shares_its_own_network_has_one_problem() {
    let (code, told) = of_nodes("    f: {kind: linux, image: i, network-mode: \"container:f\"}\n");
    assert_eq!((code, told.matches("error").count()), (1, 1), "{told}");
    assert!(told.contains("[not-runnable-network-mode]"), "{told}");
}

#[test]
fn a_node_that_is_to_see_its_own_processes_as_anothers_is_refused() {
    let (code, told) = of_nodes("    f: {kind: linux, image: i, pid-mode: \"container:f\"}\n");
    assert!(told.starts_with("error: nodes wait for each other in a circle: f waits for f [cyclic-stages]"), "{told}");
    assert!(told.ends_with("\n  hint: take one of these out of `wait-for`, `network-mode` or `pid-mode`\n"), "{told}");
    assert_eq!(code, 1);
}

#[test]
fn a_startup_config_that_is_missing_is_a_problem_and_no_note() {
    let (code, told) = of_nodes("    a: {kind: linux, image: i, startup-config: gone.cfg}\n");
    assert_eq!((code, told.matches("error").count(), told.matches("note").count()), (1, 1, 0), "{told}");
    assert!(told.contains("[startup-config-missing]"), "{told}");
}

#[test]
fn what_a_bridge_has_no_use_for_is_noted() {
    let keys = "exec: [date], memory: 1G, env: {A: b}, mgmt-ipv4: 172.20.20.9, labels: {archetype.runtime: namespace}";
    let (code, told) = of_nodes(&format!("    br: {{kind: bridge, {keys}}}\n"));
    assert_eq!(code, 0, "{told}");
    let hint = "(leave it out: nothing runs in a bridge)";
    let mut expected = String::new();
    for (column, key) in
        [(30, "exec"), (46, "memory"), (55, "env"), (74, "mgmt-ipv4"), (96, "labels.archetype.runtime")]
    {
        expected.push_str(&format!("note: x.clab.yml:4:{column}: node br: {key} has no effect on a bridge {hint}\n"));
    }
    expected.push_str("note: this host has no bridge br; the node becomes a LAN of the lab\n");
    assert_eq!(told, expected);
}

#[test]
fn a_kind_is_found_without_its_vendor_and_shown_in_the_words_of_the_list() {
    let here = Path::new("/");
    let told = "error: there is no kind vEOS\n  hint: did you mean arista_veos?\n";
    assert_eq!(archetype(here, &["kinds", "vEOS"]), (1, told.to_owned()));
    let shown = Command::new(env!("CARGO_BIN_EXE_archetype")).args(["kinds", "bridge"]).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains("\ncomes as    no image\n"));
}

#[test]
fn names_are_as_the_file_has_them_also_where_they_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: my lab\ntopology:\n  nodes:\n    a: {kind: linux, image: x}\n    b c: {kind: linux, image: x}\n    d: \
                {kind: linux, image: x}\n  links: [{endpoints: [\"b c:eth1\", \"d:eth1\"]}]\n";
    std::fs::write(folder.path().join("x.clab.yml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_archetype"))
        .args(["check", "-f", "json"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts = |list: &str, key: &str| -> Vec<String> {
        told[list].as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told["name"], "my lab");
    assert_eq!(texts("nodes", "name"), ["a", "b c", "d"]);
    assert_eq!(texts("problems", "code"), ["bad-name", "bad-name"], "an end in such a node is no mistake of its own");
}
