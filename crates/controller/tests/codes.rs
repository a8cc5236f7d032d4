//! Every code that the program can give is in a list, and every code of a list has a page.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

#[path = "codes/pages.rs"]
mod pages;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use archetype_api::codes;

/// What stands before a code where one is given.
const BEFORE: [&str; 7] =
    ["code: \"", "finding(\"", "refused(error, \"", "problem(\"", "error, \"", "Self::finding(\"", "file_problem(\""];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && path.file_stem().is_none_or(|s| s != "tests") {
            found.push(path);
        }
    }
}

/// The codes that a source gives, as far as they stand right behind one of the words.
fn given(source: &str) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let pieces = BEFORE.iter().flat_map(|before| source.split(before).skip(1));
    let codes = pieces.filter_map(|piece| piece.split('"').next());
    codes.filter(|code| code.contains('-') && !code.contains([' ', '{', '_'])).map(str::to_string).collect()
}

#[test]
fn every_code_in_the_sources_is_in_a_list() {
    let known: BTreeSet<&str> = codes::all().chain(archetype_plan::codes::CODES).map(|known| known.code).collect();
    let mut unknown = BTreeSet::new();
    for part in ["agent", "host", "plan", "cli", "controller", "topology"] {
        let mut files = Vec::new();
        sources(&root().join("crates").join(part).join("src"), &mut files);
        for file in files {
            let found = given(&fs::read_to_string(&file).unwrap());
            unknown.extend(found.into_iter().filter(|code| !known.contains(code.as_str())).map(|code| (part, code)));
        }
    }
    assert!(unknown.is_empty(), "no list explains {unknown:?}");
}

/// Every test of the workspace, with what it was seen to print.
fn tests() -> String {
    let mut all = String::new();
    for krate in fs::read_dir(root().join("crates")).unwrap() {
        let krate = krate.unwrap().path();
        texts(&krate.join("tests"), &mut |_, text| all.push_str(&text));
        texts(&krate.join("src"), &mut |path, text| match text.split_once("#[cfg(test)]\nmod tests {") {
            Some((_, tests)) => all.push_str(tests),
            None if path.file_stem().is_some_and(|stem| stem == "tests") => all.push_str(&text),
            None => {}
        });
    }
    all
}

fn texts(folder: &Path, take: &mut impl FnMut(&Path, String)) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, take);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "snap") {
            take(&path, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Whether a text has the code as a word of its own: `"code"` or `[code]`.
fn names(text: &str, code: &str) -> bool {
    [["\"", "\""], ["[", "]"]].iter().any(|[before, after]| text.contains(&format!("{before}{code}{after}")))
}

#[test]
fn every_code_is_named_by_a_test() {
    let tests = tests();
    let all = codes::all().chain(archetype_plan::codes::CODES).map(|known| known.code);
    let unnamed: Vec<&str> = all.filter(|code| !names(&tests, code)).collect();
    assert!(unnamed.is_empty(), "no test produces {unnamed:?}");
}

#[test]
fn a_longer_code_does_not_stand_for_a_shorter() {
    assert!(names("[network-in-use]", "network-in-use") && names("(\"network-in-use\")", "network-in-use"));
    assert!(!names("\"network-in-use\"", "in-use") && !names("\"node-not-made\"", "node-not"));
}
