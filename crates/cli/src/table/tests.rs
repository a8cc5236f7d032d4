//! Tables as people see them.

use archetype_api::Labs;

use super::*;

/// An answer as the controller gives it.
const ANSWER: &str = include_str!("tests/labs.json");

#[test]
fn a_lab_is_shown_with_nodes_links_and_remarks() {
    let labs: Labs = serde_json::from_str(ANSWER).unwrap();
    // Times are shown in the zone of the one who looks.
    let shown = lab(&labs.labs[0], Paint::off());
    let at = clock(labs.labs[0].links[0].last_verified_at.unwrap());
    insta::assert_snapshot!(shown.replace(&at, "HH:MM:SS"));
}

#[test]
fn several_labs_are_one_line_each() {
    let labs: Labs = serde_json::from_str(ANSWER).unwrap();
    insta::assert_snapshot!(super::labs(&labs.labs, Paint::off()));
}

#[test]
fn a_lab_without_a_file_is_shown_without_one() {
    let mut labs: Labs = serde_json::from_str(ANSWER).unwrap();
    labs.labs[0].file = String::new();
    let shown = lab(&labs.labs[0], Paint::off());
    assert!(shown.starts_with("demo is degraded: 1 of 2 links is up  (revision 3)\n"), "{shown}");
}

#[test]
fn findings_of_one_cause_are_one_with_all_that_they_are_about() {
    let of = |subject: Option<&str>, message: &str| Finding {
        code: "c".into(),
        subject: subject.map(str::to_owned),
        message: message.into(),
        hint: "h".into(),
    };
    let told = |findings: &[Finding]| super::findings(findings, Paint::off());
    let six = [of(None, "m"), of(Some("a"), "m"), of(Some("b"), "other"), of(Some("c"), "m")];
    assert_eq!(told(&six), ["finding: a, c: m [c]\n  hint: h", "finding: b: other [c]\n  hint: h"]);
    let many: Vec<Finding> = (0..10).map(|number| of(Some(&format!("n{number}")), "m")).collect();
    assert_eq!(told(&many), ["finding: n0, n1, n2, n3, n4, n5, n6, n7 and 2 more: m [c]\n  hint: h"]);
    assert_eq!(told(&many[..1]), ["finding: n0: m [c]\n  hint: h"]);
}
