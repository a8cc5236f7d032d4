//! Values that matter only once a node uses them, and those that never do: what containerlab's
//! engine refuses, and what it ignores.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_model::topology::{NetworkMode, unsupported};
use archetype_topology::{Environment, read_text};

#[test]
fn what_containerlab_finds_when_it_makes_a_node_is_named_where_a_node_uses_it() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: frr, mgmt-ipv4: nowhere}
  kinds:
    linux: {memory: much, shm-size: 64MB, link-apply-mode: never}
    cisco_xrd: {memory: more, stages: {create: {wait-for: [{node: r1, stage: soon}]}}}
  groups:
    unused: {cgroupns-mode: shared, shm-size: 1 cup}
    used: {cgroupns-mode: shared, memory: 1GB, link-apply-mode: live}
  nodes:
    r1: {group: used, mgmt-ipv6: \"::1::2\"}
    r3: {}
    r2: {network-mode: none, mgmt-ipv4: 10.0.0, stages: {exit: {wait-for: [{node: r1}, {node: r1, stage: done}]}}}
    br: {kind: bridge, shm-size: 1 cup, dns: {servers: [here]}}
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    lab.clab.yml:5:21: topology.kinds.linux.memory: size "much" does not begin with a number [bad-size]
      hint: for instance `512MB` (millions of bytes) or `512MiB` (steps of 1024)
    lab.clab.yml:5:60: topology.kinds.linux.link-apply-mode: "never" is not one of live, restart, recreate [bad-value]
      hint: write a value that the message allows
    lab.clab.yml:9:27: topology.groups.used.cgroupns-mode: "shared" is not one of host, private [bad-value]
      hint: write a value that the message allows
    lab.clab.yml:11:34: topology.nodes.r1.mgmt-ipv6: "::1::2" is not an IPv6 address like 3fff:172:20:20::10 [bad-address]
      hint: write IPv4 or IPv6 addresses in their usual form; subnets and addresses of links with a prefix length
    lab.clab.yml:13:76: topology.nodes.r2.stages.exit.wait-for[0] is not complete [missing-value]
      hint: add what the message names
    lab.clab.yml:13:106: topology.nodes.r2.stages.exit.wait-for[1].stage: "done" is not one of create, create-links, configure, healthy, exit [bad-value]
      hint: write a value that the message allows
    "#);
}

/// What containerlab takes and does nothing with, and what becomes of it.
#[test]
fn what_containerlab_ignores_is_noted_and_taken() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: frr, restart-policy: sometimes}
  nodes:
    r1:
      network-mode: macvlan
      stages:
        create:
          exec: [{command: a, target: hots}, {command: b, phase: later}, {command: c, target: host}]
    r2: {restart-policy: Always}
    r3: {restart-policy: no, network-mode: container}
    br: {kind: bridge}
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    assert_eq!(reading.problems, []);
    let shown: Vec<String> = reading.notes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    lab.clab.yml:3:55: "sometimes" is no restart policy: a node that ends stays ended [ignored-value]
      hint: policies: no, on-failure, always, unless-stopped
    lab.clab.yml:6:21: "macvlan" is no network mode: the node is on the management network [ignored-value]
      hint: modes: bridge, none, host, container:NODE
    lab.clab.yml:9:39: the command never runs: its target "hots" is none [ignored-value]
      hint: it can be container or host
    lab.clab.yml:9:66: the command never runs: its phase "later" is none [ignored-value]
      hint: it can be on-enter or on-exit
    lab.clab.yml:10:26: "Always" is no restart policy: a node that ends stays ended [ignored-value]
      hint: policies: no, on-failure, always, unless-stopped
    "#);
    let topology = reading.topology.unwrap();
    let [r1, r2, r3, _] = &topology.nodes[..] else { panic!() };
    assert_eq!(r1.definition.to_file_keys()["restart-policy"], "sometimes");
    assert_eq!(r2.definition.to_file_keys()["restart-policy"], "Always");
    let words: Vec<_> = r1.stage_commands.iter().map(|command| command.words.concat()).collect();
    assert_eq!(words, ["c"]);
    assert_eq!((r1.network_mode(), r1.is_managed()), (NetworkMode::Bridge, true));
    assert_eq!(r1.definition.to_file_keys()["network-mode"], "macvlan");
    assert!(!r3.is_managed());
    let refused = unsupported(&topology);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].code, "not-runnable-network-mode");
}

#[test]
fn a_value_that_is_kept_in_another_form_is_still_known_as_written() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: frr, memory: 1GB, mgmt-ipv4: 172.20.20.9}
  kinds:
    linux: {memory: much, cgroupns-mode: shared}
  nodes:
    r1: {mgmt-ipv6: \"3FFF:172:20:20:0:0:0:1\", mgmt-ipv4: 172.20.20.5}
    r2: {memory: 2GB, cgroupns-mode: host, mgmt-ipv4: nowhere}
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    let [r1, r2] = &reading.topology.unwrap().nodes[..] else { panic!("two nodes") };
    let of = |node: &archetype_model::topology::NodeDecl| {
        node.written.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>()
    };
    assert_eq!(of(r1), ["cgroupns-mode: shared", "memory: much", "mgmt-ipv6: 3FFF:172:20:20:0:0:0:1"]);
    assert_eq!(of(r2), ["mgmt-ipv4: nowhere"]);
}
