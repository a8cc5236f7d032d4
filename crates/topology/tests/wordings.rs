//! What is said where a mistake has a likely reason: one problem for it, at its place, with what to write instead.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_topology::{Environment, read_text};

/// What is told of a lab of two nodes with this under `links`.
fn of_links(links: &str) -> String {
    told(&format!(
        "name: x\ntopology:\n  defaults: {{kind: linux, image: i}}\n  nodes: {{a: , b: }}\n  links:\n{links}"
    ))
}

fn told(text: &str) -> String {
    let reading = read_text("x.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

#[test]
fn short_ends_of_a_link_with_a_type_are_one_problem_with_the_long_form() {
    insta::assert_snapshot!(of_links("    - {type: veth, endpoints: [\"a:eth12\", \"b:eth12\"]}\n"), @r#"
    x.clab.yml:6:32: topology.links[0].endpoints: a link that states its type has mappings as ends, not texts [bad-endpoint]
      hint: write endpoints: [{node: a, interface: eth12}, {node: b, interface: eth12}], or leave type out for the short form
    "#);
    insta::assert_snapshot!(of_links("    - {type: host, endpoint: \"a:eth1\", host-interface: h}\n"), @r#"
    x.clab.yml:6:30: topology.links[0].endpoint must be a mapping, not "a:eth1" [wrong-type]
      hint: write {node: a, interface: eth1}
    "#);
}

#[test]
fn a_number_outside_of_its_range_is_told_with_a_hint_that_fits() {
    let link = "    - {type: vxlan, endpoint: {node: a, interface: v}, remote: 198.18.0.1, vni: 99999999}\n";
    insta::assert_snapshot!(of_links(link), @r#"
    x.clab.yml:6:81: topology.links[0].vni is 99999999, but must be 1 to 16777215 [bad-value]
      hint: write a value that the message allows
    "#);
}

#[test]
fn a_link_from_a_port_to_itself_is_one_link() {
    insta::assert_snapshot!(of_links("    - endpoints: [\"a:eth1\", \"a:eth1\"]\n"), @r#"
    x.clab.yml:6:29: a:eth1 is both ends of one link: here and at 6:19 [interface-used-twice]
      hint: give one of the two ends an interface of its own
    "#);
}

#[test]
fn a_stage_that_waits_for_nobody_is_named_where_the_name_stands() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: i}
  nodes:
    a:
      stages:
        create:
          wait-for:
            - {node: b, stage: create}
            - {stage: create, node: zz}
    b:
";
    insta::assert_snapshot!(told(text), @r#"
    x.clab.yml:10:37: node a waits for "zz", which is no node of the topology [unknown-node]
      hint: nodes: a, b
    "#);
}

#[test]
fn a_name_from_a_variable_without_value_says_so() {
    let text = "name: '{{ .prefix }}-lab'\ntopology: {nodes: {a: {kind: linux, image: i}}}\n";
    insta::assert_snapshot!(told(text), @r#"
    x.clab.yml:1:7: lab name "<no value>-lab" must begin with a letter or a digit [bad-name]
      hint: <no value> stands where a variable of the template has none: name its file with --vars
    "#);
}

#[test]
fn what_helps_begins_in_lower_case() {
    let text = "name: a b\ntopology:\n  nodes:\n    a: {kind: linux, image: [x], memory: 1 q, ports: [x]}\n    b: {kind: vEOS}\n";
    let reading = read_text("x.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    assert!(reading.problems.len() >= 5);
    for problem in &reading.problems {
        let hint = problem.hint.as_deref().unwrap();
        assert!(!hint.starts_with(char::is_uppercase), "{problem}");
    }
}
