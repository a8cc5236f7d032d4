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
