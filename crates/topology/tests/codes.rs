//! The list of codes, the tests that produce them and the page that explains them are one.

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
fn the_page_explains_every_code() {
    let mut page = "# What can be wrong with a topology file\n\nEach problem that `archetype check` and \
                    `archetype deploy` name has one of these codes.\n"
        .to_owned();
    for code in CODES {
        page.push_str(&format!("\n## {}\n\n{} {}\n", code.code, code.meaning, code.remedy));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/topology-problems.md");
    if std::env::var_os("ARCHETYPE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "run this test with ARCHETYPE_WRITE_DOCS=1 to write {}", path.display());
}
