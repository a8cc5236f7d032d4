//! Rules that the sources keep and no compiler checks: which crate may use which, what every file opens with, and that
//! nothing of a build machine is written down.

use std::fs;
use std::path::{Path, PathBuf};

/// Which crates of ours each may use, in its product and beyond that in its tests. A crate that is missing here fails.
///
/// What must never appear: `plan` to anything async or to `host`; `controller` to `host`; `host` to `plan`; anything
/// but tests and this crate to `testbed`.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("model", &[], &[]),
    ("kinds", &["model"], &[]),
    ("artefacts", &["model", "kinds"], &["plan", "topology"]),
    ("plan", &["model"], &["topology"]),
    ("gotemplate", &[], &[]),
    ("topology", &["model", "kinds", "gotemplate"], &[]),
    ("api", &["model"], &[]),
    ("ovsdb", &[], &["testbed"]),
    ("netns", &["model"], &["testbed"]),
    ("oci", &["model", "netns"], &["testbed"]),
    ("host", &["model", "netns", "ovsdb"], &["testbed"]),
    ("agent", &["model", "plan", "api", "host"], &["testbed"]),
    ("certificates", &["model"], &["topology"]),
    ("controller", &["model", "kinds", "artefacts", "plan", "api"], &["topology", "testbed"]),
    (
        "cli",
        &[
            "model",
            "kinds",
            "artefacts",
            "certificates",
            "plan",
            "topology",
            "api",
            "ovsdb",
            "netns",
            "host",
            "agent",
            "controller",
        ],
        &["testbed"],
    ),
    ("testbed", &[], &[]),
    ("xtask", &["model", "topology", "api", "ovsdb", "netns", "host", "agent", "controller", "plan", "testbed"], &[]),
];

#[test]
fn each_crate_uses_only_the_crates_its_place_allows() {
    let mut broken = Vec::new();
    for folder in children(&root().join("crates")) {
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = folder.file_name().expect("a child has a name").to_string_lossy().into_owned();
        let Some((_, product, tests)) = ARROWS.iter().find(|(known, ..)| *known == name) else {
            broken.push(format!("{name}: not in the table; decide what it may use"));
            continue;
        };
        for (section, used) in own_dependencies(&manifest) {
            let in_tests = section.contains("dev-dependencies") && tests.contains(&used.as_str());
            if !product.contains(&used.as_str()) && !in_tests {
                broken.push(format!("{name}: [{section}] must not name archetype-{used}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The section and the name of each dependency on a crate of ours.
fn own_dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if section.ends_with("dependencies")
            && let Some(rest) = line.strip_prefix("archetype-")
        {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(rest.len());
            found.push((section.clone(), rest[..end].to_owned()));
        }
    }
    found
}

#[test]
fn a_dependency_is_read_with_its_section() {
    let manifest = "[package]\nname = \"archetype-x\"\n[dependencies]\narchetype-model.workspace = true\nserde = \"1\"\n\
                    [dev-dependencies]\narchetype-testbed = { path = \"t\" }\n";
    let pair = |section: &str, name: &str| (section.to_owned(), name.to_owned());
    assert_eq!(own_dependencies(manifest), [pair("dependencies", "model"), pair("dev-dependencies", "testbed")]);
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    let sources = files(&root().join("crates")).into_iter().filter(|path| has_extension(path, "rs"));
    let opens = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.starts_with("//!"));
    let silent: Vec<String> = sources.filter(|path| !opens(path)).map(|path| path.display().to_string()).collect();
    assert!(silent.is_empty(), "these do not open with `//!`:\n{}", silent.join("\n"));
}

#[test]
fn nothing_of_a_build_machine_is_written_down() {
    // In two parts each, so that this file does not hold what it looks for.
    let needles =
        [["/work", "/main"], ["/work", "/shared"], ["/work", "/target"], ["/tmp", "/brief"], ["shared", "/corpus"]];
    let needles = needles.map(|parts| parts.concat());
    let mut found = Vec::new();
    for path in files(&root()) {
        // Not text: nothing that a person reads.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let held = needles.iter().filter(|needle| text.contains(needle.as_str()));
        found.extend(held.map(|needle| format!("{}: {needle}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("this crate lies in the repository")
}

/// Every file below a folder, without what is built, fetched or git's own.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    for path in children(folder) {
        let name = path.file_name().expect("a child has a name").to_string_lossy().into_owned();
        if path.is_symlink() || ["target", ".git", ".cache", "node_modules"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            list.extend(files(&path));
        } else {
            list.push(path);
        }
    }
    list
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut list: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    list.sort();
    list
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}
