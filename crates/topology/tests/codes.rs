//! The list of codes and the tests that produce them are one. Their pages are written by the tests of
//! `archetype-controller`, which knows all lists.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::collections::BTreeSet;
use std::path::Path;

use archetype_model::topology::codes::CODES;
use archetype_model::topology::{Position, Problem};

#[test]
fn every_code_is_produced_by_a_test() {
    let files = ["files", "once_used", "problems", "templates"];
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let snapshots: String =
        files.iter().map(|file| std::fs::read_to_string(tests.join(format!("{file}.rs"))).unwrap()).collect();
    let produced: BTreeSet<&str> = snapshots
        .lines()
        .filter_map(|line| line.trim_end_matches("\");").strip_suffix(']')?.rsplit_once(" [").map(|(_, code)| code))
        .collect();
    let listed: BTreeSet<&str> = CODES.iter().map(|code| code.code).collect();
    let missing: Vec<_> = listed.difference(&produced).collect();
    assert!(missing.is_empty(), "no test produces {missing:?}");
    assert!(CODES.is_sorted_by_key(|code| code.code) && listed.len() == CODES.len());
}

#[test]
fn a_problem_of_every_code_has_a_hint() {
    for code in CODES {
        let problem = Problem::new(code.code, "x", Position::START, "x");
        assert!(problem.hint.is_some_and(|hint| !hint.is_empty() && !hint.ends_with('.')), "{}", code.code);
    }
}

#[test]
fn every_code_has_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
    let is_missing = |code: &&str| !folder.join(format!("{code}.md")).exists();
    let missing: Vec<&str> = CODES.iter().map(|code| code.code).filter(is_missing).collect();
    assert!(missing.is_empty(), "write {missing:?}: UPDATE=1 cargo test -p archetype-controller --test codes");
}
