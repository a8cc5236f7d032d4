//! Values in YAML's stranger forms, read as containerlab's reader takes them. Each case is one that
//! containerlab 0.79's own code was asked about.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_topology::{Environment, Reading, read_text};
use serde_json::json;

fn read(text: &str) -> Reading {
    let environment: Environment = [("HOME".to_owned(), "/root".to_owned())].into();
    read_text("lab.clab.yml", Path::new("/nowhere"), text, &environment)
}

/// A file with one node of `body`.
fn node(body: &str) -> Reading {
    read(&format!("name: x\ntopology:\n  nodes:\n    r1:\n      kind: linux\n      image: a\n      {body}\n"))
}

fn codes(reading: &Reading) -> Vec<&str> {
    reading.problems.iter().map(|problem| &*problem.code).collect()
}

#[test]
fn an_explicit_tag_decides_what_a_text_is() {
    for (written, is) in [
        ("!!str 010", "010"),
        ("!!str ~", "~"),
        ("!!int '0x10'", "0x10"),
        ("!!float 1e3", "1e3"),
        ("!!bool 'y'", "y"),
        ("!!binary YWJj", "abc"),
        ("!!binary 'YWI='", "ab"),
        ("!!timestamp 2001-01-01", "2001-01-01"),
        ("!local 5", "5"),
        ("! 010", "010"),
        ("!<tag:yaml.org,2002:str> y", "y"),
    ] {
        let reading = node(&format!("user: {written}"));
        assert_eq!(codes(&reading), [""; 0], "{written}: {:?}", reading.problems);
        let user = reading.topology.unwrap().nodes[0].definition.user.clone();
        assert_eq!(user.as_deref(), Some(is), "{written}");
    }
    for nothing in ["!!null ~", "!!null ''", "!!str"] {
        let reading = node(&format!("user: {nothing}"));
        assert_eq!(codes(&reading), [""; 0], "{nothing}: {:?}", reading.problems);
        assert_eq!(reading.topology.unwrap().nodes[0].definition.user, None, "{nothing}");
    }
}

#[test]
fn a_text_that_its_tag_denies_is_refused() {
    for written in ["!!int a", "!!int 1.5", "!!float x", "!!bool 1", "!!null x", "!!binary bad!", "!!timestamp now"] {
        assert_eq!(codes(&node(&format!("user: {written}"))), ["yaml-syntax"], "{written}");
    }
    for written in ["cpu: !!str 1", "cpu: !local 1", "auto-remove: !!str true", "startup-delay: !!binary NQ=="] {
        assert_eq!(codes(&node(written)), ["wrong-type"], "{written}");
    }
}

#[test]
fn numbers_and_truths_may_have_their_tag_and_quotes() {
    let reading = node("cpu: !!float '1.5'\n      startup-delay: !!int '5'\n      auto-remove: !!bool 'yes'");
    assert_eq!(codes(&reading), [""; 0], "{:?}", reading.problems);
    let keys = reading.topology.unwrap().nodes[0].definition.to_file_keys();
    assert_eq!([&keys["cpu"], &keys["startup-delay"], &keys["auto-remove"]], [&json!(1.5), &json!(5), &json!(true)]);
}

#[test]
fn a_merge_key_may_have_its_tag_and_not_its_quotes() {
    let text = |key: &str| {
        format!(
            "name: x\ntopology:\n  defaults: &d\n    user: a\n  nodes:\n    r1:\n      {key}: *d\n      kind: linux\n      image: a\n"
        )
    };
    for merges in ["<<", "!!merge <<", "! <<"] {
        assert_eq!(codes(&read(&text(merges))), [""; 0], "{merges}");
    }
    for is_a_key in ["'<<'", "!!str <<"] {
        assert_eq!(codes(&read(&text(is_a_key))), ["unknown-key"], "{is_a_key}");
    }
}

#[test]
fn nothing_and_the_empty_text_are_one_key() {
    for labels in ["{~: a, '': b}", "{null: a, ~: b}", "{'': a, '': b}"] {
        assert_eq!(codes(&node(&format!("labels: {labels}"))), ["duplicate-key"], "{labels}");
    }
    let reading = node("labels: {~: a, A: b}");
    assert_eq!(json!(reading.topology.unwrap().nodes[0].definition.labels), json!({"": "a", "A": "b"}));
}

#[test]
fn what_came_with_yaml_1_2_is_refused() {
    let lab = "name: x\ntopology:\n  nodes: {r1: {kind: linux, image: a, user: \"b\"}}\n";
    assert_eq!(codes(&read(&format!("%YAML 1.1\n---\n{lab}"))), [""; 0]);
    assert_eq!(codes(&read(&format!("# first\n%YAML 1.2\n---\n{lab}"))), ["yaml-syntax"]);
    assert_eq!(codes(&node(r#"user: "a\/b""#)), ["yaml-syntax"]);
    for kept in [r#"user: "a\\/b""#, r"user: 'a\/b'", r"user: a\/b"] {
        assert_eq!(codes(&node(kept)), [""; 0], "{kept}");
    }
}

#[test]
fn a_time_is_a_number_of_nanoseconds_or_a_text_with_units() {
    let time = |written: &str| codes(&node(&format!("certificate: {{validity-duration: {written}}}"))).join(" ");
    for taken in ["1h", "1h30m5.5s", "90", "0x10", "1.5", "~", "'0'", ".5h", "-1h"] {
        assert_eq!(time(taken), "", "{taken}");
    }
    for refused in ["''", "1d", "'90'", "1 h", "y", "h"] {
        assert_eq!(time(refused), "bad-value", "{refused}");
    }
}

#[test]
fn words_are_taken_as_they_are_spelled() {
    assert_eq!(codes(&node("link-apply-mode: live")), [""; 0]);
    assert_eq!(codes(&node("link-apply-mode: Live")), ["bad-value"]);
}

#[test]
fn options_of_a_bind_that_are_empty_are_none() {
    let reading = node("binds: ['/dev/null:/n:', '/dev/zero:/z:ro']");
    assert_eq!(codes(&reading), [""; 0], "{:?}", reading.problems);
    assert_eq!(reading.topology.unwrap().nodes[0].definition.binds, ["/dev/null:/n", "/dev/zero:/z:ro"]);
}

#[test]
fn a_link_of_the_long_form_reaches_the_host_and_the_management_bridge() {
    for (place, kind) in [("host", "host"), ("mgmt-net", "mgmt-net")] {
        let ends = ["{node: r1, interface: eth1}".to_owned(), format!("{{node: {place}, interface: h1}}")];
        for ends in [ends.join(", "), [ends[1].clone(), ends[0].clone()].join(", ")] {
            let links = format!("  links: [{{type: veth, endpoints: [{ends}]}}]");
            let reading = node(&format!("user: a\n{links}"));
            assert_eq!(codes(&reading), [""; 0], "{:?}", reading.problems);
            let topology = reading.topology.unwrap();
            let link = &topology.links[0];
            let names: Vec<&str> = link.endpoints.iter().map(|end| end.node.as_str()).collect();
            assert_eq!((link.kind.as_str(), names), (kind, vec!["r1", place]));
        }
    }
}

#[test]
fn a_place_outside_of_the_nodes_has_one_name_however_it_is_written() {
    for (written, name) in [("Host", "host"), (" MGMT-NET", "mgmt-net"), ("MacVlan", "macvlan")] {
        let reading = node(&format!("user: a\n  links: [{{endpoints: ['r1:eth1', '{written}:h1']}}]"));
        assert_eq!(codes(&reading), [""; 0], "{:?}", reading.problems);
        assert_eq!(reading.topology.unwrap().links[0].endpoints[1].node, name);
    }
}

#[test]
fn variables_of_all_levels_are_merged_down_to_their_values() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: a, config: {vars: {bgp: {as: 1, peers: {a: 1, b: 2}}, list: [1, 2], plain: 1}}}
  kinds: {linux: {config: {vars: {bgp: {peers: {b: {c: 3}}}, list: [3]}}}}
  nodes: {r1: {config: {vars: {bgp: {as: 2}, plain: {deep: 1}}}}}
";
    let config = read(text).topology.unwrap().nodes[0].definition.config.clone().unwrap();
    let wanted = json!({"bgp": {"as": 2, "peers": {"a": 1, "b": {"c": 3}}}, "list": [3], "plain": {"deep": 1}});
    assert_eq!(json!(config.vars), wanted);
}

#[test]
fn types_and_bridges_that_containerlab_refuses_are_refused() {
    let of = |body: &str| {
        let reading = read(&format!("name: x\ntopology: {{nodes: {{n: {{image: a, {body}}}}}}}\n"));
        codes(&reading).join(" ")
    };
    for taken in [
        "kind: srl, type: ixr-d2l",
        "kind: nokia_srlinux",
        "kind: cisco_iol, type: L2",
        "kind: linux, type: any",
        "kind: ciena_saos, type: ' 5131-910 '",
        "kind: cisco_sdwan",
        "kind: cisco_c8000v, type: controller",
        "kind: bridge, network-mode: 'container:r1'",
    ] {
        assert_eq!(of(taken), "", "{taken}");
    }
    assert_eq!(of("kind: srl, type: IXR-D2L"), "unknown-type");
    assert_eq!(of("kind: cisco_iol, type: l3"), "unknown-type");
    for refused in ["ciena_saos, type: saos", "cisco_sdwan, type: Manager", "cisco_c8000v, type: c8000v"] {
        assert_eq!(of(&format!("kind: {refused}")), "unknown-type", "{refused}");
    }
    assert_eq!(of("kind: vr-ciena_saos"), "missing-value");
    assert_eq!(of("kind: bridge, network-mode: none"), "bad-value");
    assert_eq!(of("kind: ''"), "missing-kind");
    assert_eq!(of("kind: [linux]"), "wrong-type");
}
