//! What a person reads when a file is wrong: every problem at once, each with its place.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_model::topology::unsupported;
use archetype_topology::{Environment, read_text};

fn problems(text: &str) -> String {
    let environment: Environment = [("HOME".to_owned(), "/root".to_owned())].into();
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &environment);
    let mute: Vec<_> = reading.problems.iter().filter(|problem| problem.hint.is_none()).collect();
    assert!(mute.is_empty(), "no hint: {mute:?}");
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    shown.join("\n")
}

#[test]
fn unknown_and_double_keys_are_all_named_at_once() {
    insta::assert_snapshot!(problems("\
name: x
prefixx: y
topology:
  nodes:
    r1:
      kind: linux
      imgae: frr
      image: frr
      image: frr:2
      banana: 1
  nodez: {}
"), @r#"
    lab.clab.yml:2:1: unknown key "prefixx" at the top of the file [unknown-key]
      hint: did you mean "prefix"?
    lab.clab.yml:7:7: unknown key "imgae" in topology.nodes.r1 [unknown-key]
      hint: did you mean "image"?
    lab.clab.yml:9:7: key "image" stands twice: here and at 8:7 [duplicate-key]
      hint: leave one of the two
    lab.clab.yml:10:7: unknown key "banana" in topology.nodes.r1 [unknown-key]
      hint: known keys: aliases, auto-remove, binds, cap-add, certificate, cgroup-parent, cgroupns-mode, cmd, components, config, cpu, cpu-set, credentials, devices, dns, enforce-startup-config, entrypoint, env, env-files, exec, extras, group, healthcheck, hostname, image, image-pull-policy, kind, labels, license, link-apply-mode, memory, mgmt-ipv4, mgmt-ipv6, network-mode, password, pid-mode, ports, position, privileged, restart-policy, runtime, security-opts, shm-size, stages, startup-config, startup-delay, suppress-startup-config, sysctls, tmpfs, type, user, username, volumes
    lab.clab.yml:11:3: unknown key "nodez" in topology [unknown-key]
      hint: did you mean "nodes"?
    "#);
}

#[test]
fn values_of_the_wrong_sort_are_named() {
    insta::assert_snapshot!(problems("\
name: a b
topology:
  defaults: [1]
  nodes:
    r1:
      kind: linux
      image: [frr]
      cpu: many
      memory: 12 parsecs
      privileged: maybe
      startup-delay: -5
      exec: date
      env: [A=1]
      restart-policy: sometimes
      mgmt-ipv4: 300.1.1.1
      cmd: sh -c 'open
      ports: [99999:80]
      binds: [/only]
    -r2: {kind: linux, image: frr}
"), @r#"
    lab.clab.yml:1:7: lab name "a b" must not contain ' ': letters, digits and "-._" are allowed [bad-name]
      hint: labs, nodes and networks begin with a letter or a digit, then letters, digits, `-`, `.` and `_`
    lab.clab.yml:3:13: topology.defaults must be a mapping, not a list [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:7:14: topology.nodes.r1.image must be a text, not a list [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:8:12: topology.nodes.r1.cpu must be a number, not "many" [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:9:15: topology.nodes.r1.memory: size "12 parsecs" has an unknown unit: b, k, m, g, t, p and e are known, also as kb and kib [bad-size]
      hint: for instance `512MB` (millions of bytes) or `512MiB` (steps of 1024)
    lab.clab.yml:10:19: topology.nodes.r1.privileged must be true or false, not "maybe" [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:11:22: topology.nodes.r1.startup-delay must be 0 or more, not "-5" [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:12:13: topology.nodes.r1.exec must be a list, not "date" [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:13:12: topology.nodes.r1.env must be a mapping, not a list [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:15:18: topology.nodes.r1.mgmt-ipv4: "300.1.1.1" is not an IPv4 address like 172.20.20.10 [bad-address]
      hint: write IPv4 or IPv6 addresses in their usual form; subnets and addresses of links with a prefix length
    lab.clab.yml:16:12: node r1: cmd "sh -c 'open" has a quote that is not closed [bad-command]
      hint: `cmd`, `entrypoint` and `exec` are split into words as a shell splits them, but no shell runs them
    lab.clab.yml:17:15: node r1: port "99999:80" has no valid port: "99999" is not 1 to 65535 [bad-port]
      hint: write it as docker does: 8080:80, 127.0.0.1:53:53/udp, 8000-8009:9000-9009
    lab.clab.yml:18:15: node r1: bind "/only" is not of the form source:target[:options] [bad-bind]
      hint: a path inside the node alone belongs under volumes
    lab.clab.yml:19:5: node name "-r2" must begin with a letter or a digit [bad-name]
      hint: labs, nodes and networks begin with a letter or a digit, then letters, digits, `-`, `.` and `_`
    "#);
}

#[test]
fn a_link_says_what_is_wrong_with_its_ends() {
    insta::assert_snapshot!(problems("\
name: x
topology:
  defaults: {kind: linux, image: frr}
  nodes:
    r1:
    r2:
    free: {network-mode: none}
  links:
    - endpoints: [r1:eth1, r2:eth1]
    - endpoints: [\"r1:eth1\", \"rr2:eth2\"]
    - endpoints: [\"r1:eth0\", \"free:eth0\"]
    - endpoints: [\"r1:a/b\", \"r2:much-too-long-a-name\"]
    - endpoints: [\"r1:eth9\"]
    - endpoints: [r1, r2]
    - type: veht
    - type: veth
      mtu: 70000
      endpoints:
        - {node: r1, interface: eth5, mac: 01:00:00:00:00:01}
        - {node: r2, interfaces: eth5}
    - type: dummy
    - type: host
      endpoint: {node: r1, interface: eth6}
"), @r#"
    lab.clab.yml:10:19: r1:eth1 is the end of two links: here and at 9:19 [interface-used-twice]
      hint: give one of the two links an interface of its own
    lab.clab.yml:10:30: rr2:eth2 ends at "rr2", which is no node of the topology [unknown-node]
      hint: did you mean "r2"?
    lab.clab.yml:11:19: r1:eth0 is the node's interface on the management network [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    lab.clab.yml:12:19: r1:a/b cannot be an interface's name: Linux takes 1 to 15 bytes without `/`, `:`, `%` and blanks [invalid-interface]
      hint: write a name like eth1; in containerlab, too, one that does not fit is only a second name beside a random one
    lab.clab.yml:12:29: r2:much-too-long-a-name cannot be an interface's name: Linux takes 1 to 15 bytes without `/`, `:`, `%` and blanks, and it has 20 [invalid-interface]
      hint: write a name like eth1; in containerlab, too, one that does not fit is only a second name beside a random one
    lab.clab.yml:13:18: topology.links[4] needs exactly 2 endpoints, not 1 [bad-endpoint]
      hint: write `endpoints: ["r1:eth1", "r2:eth1"]`
    lab.clab.yml:14:19: topology.links[5].endpoints[0]: "r1" is not of the form node:interface [bad-endpoint]
      hint: write for instance "r1:eth1"
    lab.clab.yml:15:13: topology.links[6]: unknown link type "veht" [unknown-link-type]
      hint: did you mean "veth"?
    lab.clab.yml:17:12: topology.links[7].mtu is 70000, but an MTU is 68 to 65535 bytes [bad-mtu]
      hint: leave it out for the default
    lab.clab.yml:19:44: topology.links[7].endpoints[0].mac: MAC address "01:00:00:00:00:01" is a group address [bad-mac]
      hint: leave it out to have one made, or write one like `02:00:00:00:00:01`
    lab.clab.yml:20:11: topology.links[7].endpoints[1] has no interface [missing-value]
      hint: add what the message names
    lab.clab.yml:20:22: unknown key "interfaces" in topology.links[7].endpoints[1] [unknown-key]
      hint: did you mean "interface"?
    lab.clab.yml:21:7: topology.links[8] has no endpoint [missing-value]
      hint: add what the message names
    lab.clab.yml:22:7: topology.links[9] has no host-interface [missing-value]
      hint: add what the message names
    "#);
}

#[test]
fn addresses_and_names_that_clash_are_named() {
    insta::assert_snapshot!(problems("\
name: x
prefix: a b
mgmt:
  ipv4-subnet: 10.0.0.0/24
  ipv4-gw: 10.0.0.1
  mtu: 9
topology:
  kinds: {linux: {image: frr}}
  nodes:
    r1: {kind: linux, mgmt-ipv4: 10.0.0.5}
    r2: {kind: linux, mgmt-ipv4: 10.0.0.5}
    r3: {kind: linux, mgmt-ipv4: 10.1.0.5}
    r4: {kind: linux, mgmt-ipv4: 10.0.0.1}
    r5: {kind: linux, mgmt-ipv4: 10.0.0.255}
"), @r#"
    lab.clab.yml:2:9: the prefix cannot begin container names: container name "a b" must not contain ' ': letters, digits and "-._" are allowed [bad-name]
      hint: labs, nodes and networks begin with a letter or a digit, then letters, digits, `-`, `.` and `_`
    lab.clab.yml:6:8: mgmt.mtu is 9, but an MTU is 68 to 65535 bytes [bad-mtu]
      hint: leave it out for the default
    lab.clab.yml:11:34: management address 10.0.0.5 is given to r2 here and to r1 at 10:34 [management-address-twice]
      hint: change one of the two
    lab.clab.yml:12:34: node r3: 10.1.0.5 is outside of the management subnet 10.0.0.0/24 [management-address-outside]
      hint: give the node an address of the subnet, or leave it out
    lab.clab.yml:13:34: node r4: 10.0.0.1 is the management network's gateway [management-address-outside]
      hint: give the node an address of the subnet, or leave it out
    lab.clab.yml:14:34: node r5: 10.0.0.255 is no host's address in 10.0.0.0/24 [management-address-outside]
      hint: give the node an address of the subnet, or leave it out
    "#);
}

#[test]
fn a_node_says_what_it_lacks() {
    insta::assert_snapshot!(problems("\
name: x
topology:
  nodes:
    r1: {kind: linux}
    r2: {kind: linus, image: frr}
    r3:
    r4: {kind: linux, labels: {archetype.runtime: namespace}}
    br: {kind: bridge}
    r5:
      kind: linux
      image: frr
      binds: [missing.txt:/x, \"~/nothing:/y\"]
      env-files: [gone.env]
      stages: {create: {wait-for: [{node: r9, stage: healthy}]}}
    r6: {kind: srl, image: srl, type: ixr-d2x}
"), @r#"
    lab.clab.yml:4:5: node r1 has no image [missing-image]
      hint: add "image:" to the node, its group, its kind or the defaults; or the label "archetype.runtime: namespace" to run it without one
    lab.clab.yml:5:16: node r2: unknown kind "linus" [unknown-kind]
      hint: did you mean "linux"?
    lab.clab.yml:6:5: node r3 has no kind [missing-kind]
      hint: add "kind: linux" to the node, its group or the defaults
    lab.clab.yml:12:15: node r5: the source of bind "missing.txt:/x" does not exist: /nowhere/missing.txt [bind-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:12:31: node r5: the source of bind "~/nothing:/y" does not exist: /root/nothing [bind-missing]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:13:19: node r5: env file "gone.env" cannot be read: No such file or directory (os error 2) [env-file-missing]
      hint: it was looked for at /nowhere/gone.env
    lab.clab.yml:14:43: node r5 waits for "r9", which is no node of the topology [unknown-node]
      hint: did you mean "r1"?
    lab.clab.yml:15:39: node r6: kind srl has no type "ixr-d2x" [unknown-type]
      hint: did you mean "ixr-d2"?
    "#);
}

#[test]
fn what_nodes_cannot_share_is_named() {
    insta::assert_snapshot!(problems("\
name: x
mgmt: {ipv4-range: 10.0.0.0/24, ipv6-gw: 2001:db8::1}
topology:
  defaults: {kind: linux, image: frr}
  nodes:
    r1: {ports: [\"8080:80\", \"53:53/udp\"], mgmt-ipv4: 10.0.0.5}
    r2: {ports: [\"127.0.0.1:8080:80\", \"53:53\"], dns: {servers: [example.org]}}
    r3: {labels: {archetype.runtime: vm, archetype.carrier: hold}}
    br0: {kind: bridge}
    br1: {kind: bridge}
  links:
    - endpoints: [\"r1:eth1\", \"br0:p1\"]
    - endpoints: [\"r2:eth1\", \"br1:p1\"]
    - type: veth
      endpoints:
        - {node: r1, interface: eth2, mac: 02:00:00:00:00:01}
        - {node: r2, interface: eth2, mac: 02:00:00:00:00:01}
"), @r#"
    lab.clab.yml:2:20: mgmt.ipv4-range 10.0.0.0/24 is outside of the management subnet 172.20.20.0/24 [management-address-outside]
      hint: correct the address or the subnet under `mgmt`
    lab.clab.yml:2:42: mgmt.ipv6-gw 2001:db8::1 is outside of the management subnet 3fff:172:20:20::/64 [management-address-outside]
      hint: correct the address or the subnet under `mgmt`
    lab.clab.yml:6:54: node r1: 10.0.0.5 is outside of the management subnet 172.20.20.0/24 [management-address-outside-default]
      hint: state the network's subnets under "mgmt:"
    lab.clab.yml:7:17: port 8080 of the host is published by r1 and by r2 [port-twice]
      hint: change one of the two
    lab.clab.yml:7:54: node r2: name server "example.org" is not an address [bad-address]
      hint: write IPv4 or IPv6 addresses in their usual form; subnets and addresses of links with a prefix length
    lab.clab.yml:8:19: node r3: the label archetype.runtime cannot be "vm" [bad-value]
      hint: it can be namespace or container
    lab.clab.yml:8:42: node r3: the label archetype.carrier cannot be "hold" [bad-value]
      hint: it can be follow or keep
    lab.clab.yml:13:30: br1:p1 is the end of two links: here and at 12:30 (as br0:p1) [interface-used-twice]
      hint: give one of the two links an interface of its own
    lab.clab.yml:17:11: both ends of the link have the MAC address 02:00:00:00:00:01 [mac-twice]
      hint: change or leave out one of the two
    "#);
}

#[test]
fn mounts_and_env_files_say_what_is_wrong_with_them() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("bad.env"), "A=1\nnonsense\n").unwrap();
    let text = "\
name: x
topology:
  groups:
    g: {volumes: [\"/host:/x\"], binds: [\"/dev/null:relative\"]}
  nodes:
    a|b: {kind: linux, image: frr}
    r1:
      group: g
      kind: linux
      image: frr
      env-files: [bad.env]
      binds: [\"/dev/null:/x\"]
      enforce-startup-config: true
      suppress-startup-config: true
";
    let reading = read_text("lab.clab.yml", here.path(), text, &Environment::new());
    let shown: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n").replace(&*here.path().to_string_lossy(), "HERE");
    insta::assert_snapshot!(shown, @r#"
    lab.clab.yml:4:19: node r1: volume "/host:/x" names a path of the host: that belongs under binds [bad-volume]
      hint: paths of the host belong under `binds`
    lab.clab.yml:4:40: node r1: the target of bind "/dev/null:relative" is not an absolute path [bad-bind]
      hint: a path inside the node alone belongs under `volumes`
    lab.clab.yml:6:5: node a|b: container name "clab-x-a|b" must not contain '|': letters, digits and "-._" are allowed [bad-container-name]
      hint: use letters, digits, `-`, `.` and `_`
    lab.clab.yml:11:19: node r1: env file HERE/bad.env, line 2: this is not of the form NAME=value [bad-env-file]
      hint: correct the line that the message names
    lab.clab.yml:14:32: node r1: enforce-startup-config and suppress-startup-config exclude each other [exclusive-keys]
      hint: leave one of the two
    "#);
}

#[test]
fn no_problem_shows_a_secret() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("s.env"), "hunter2\n").unwrap();
    let text = "\
name: x
topology:
  nodes:
    r1: {kind: linux, image: frr, env: hunter2, env-files: [s.env], credentials: hunter2}
    r2: {kind: linux, image: frr, env: {A: [hunter2]}, password: [hunter2]}
";
    let reading = read_text("lab.clab.yml", here.path(), text, &Environment::new());
    assert_eq!(reading.problems.len(), 5);
    assert!(reading.problems.iter().all(|problem| !problem.to_string().contains("hunter2")));
}

#[test]
fn what_is_no_yaml_is_named_where_it_stops() {
    insta::assert_snapshot!(problems("name: x\ntopology:\n  nodes: {r1: [}\n"), @r"
    lab.clab.yml:3:15: this is not YAML: mismatched bracket '[' closed by '}' [yaml-syntax]
      hint: look at the named line and the one above it
    ");
    insta::assert_snapshot!(problems("name: x\ntopology:\n\tnodes:\n"), @r"
    lab.clab.yml:3:2: this is not YAML: tabs disallowed within this context (block indentation) [yaml-syntax]
      hint: look at the named line and the one above it
    ");
    insta::assert_snapshot!(problems(""), @r#"
    lab.clab.yml:1:1: the file declares nothing [empty-file]
      hint: a topology has "name:" and "topology:"
    "#);
    insta::assert_snapshot!(problems("- a\n"), @r"
    lab.clab.yml:1:1: the file must be a mapping, not a list [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    ");
    insta::assert_snapshot!(problems("name: ${X\ntopology: {nodes: {}}\n"), @r#"
    lab.clab.yml:1:7: "${" begins a variable, but its "}" is missing on this line [unclosed-variable]
      hint: write "$$" for a dollar sign
    lab.clab.yml:1:7: lab name "${X" must begin with a letter or a digit [bad-name]
      hint: labs, nodes and networks begin with a letter or a digit, then letters, digits, `-`, `.` and `_`
    "#);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "name: x\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        text.push_str(&format!("x{level}: &x{level} [{}]\n", vec![format!("*x{before}"); 10].join(", ")));
    }
    let shown = problems(&text);
    assert!(shown.contains("too large once its aliases are resolved"), "{shown}");
}

#[test]
fn what_this_version_cannot_run_names_what_to_leave_out() {
    let text = "\
name: x
mgmt: {network: bridge}
topology:
  defaults: {kind: linux, image: frr}
  nodes:
    r1:
    r4: {certificate: {issue: true}}
    r5: {network-mode: host}
    br|r1: {kind: bridge, network-mode: container:r1}
    srl: {kind: nokia_srlinux, type: ixrd3}
    r2: {network-mode: container:r1}
    r3: {runtime: podman}
    r6: {network-mode: container:r2}
    r7: {network-mode: container:elsewhere}
    r8: {network-mode: container:clab-x-r3}
    r9: {kind: linux, image: i, ports: [\"[::1]:8091:80\"]}
  links:
    - endpoints: [r1:eth1, srl:e1-1]
    - {type: dummy, endpoint: {node: r1, interface: d0}}
    - endpoints: [\"r1:eth2\", \"host:h2\"]
    - endpoints: [\"r1:eth3\", \"macvlan:enp0s3\"]
    - {type: vxlan, endpoint: {node: r1, interface: v0}, remote: 192.0.2.1, vni: 5}
    - {type: vxlan-stitch, endpoint: {node: r1, interface: v1}, remote: 192.0.2.1, vni: 6}
    - {type: veth-stitch, endpoints: [{node: r1, interface: v2}, {node: r5, interface: v3}]}
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    assert_eq!(reading.problems, []);
    let found = unsupported(&reading.topology.unwrap());
    let shown: Vec<String> = found.iter().map(|p| format!("{p}\n  about: {:?}", p.subject)).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    lab.clab.yml:2:17: this version cannot put nodes on Docker's own network "bridge" [not-runnable-management-network]
      hint: give the management network a name of its own, or leave it out
      about: None
    lab.clab.yml:9:5: node br|r1: this version cannot make a bridge inside another node [not-runnable-nested-bridge]
      hint: leave it out with --partial
      about: Some(Node(NodeName("br|r1")))
    lab.clab.yml:10:17: node srl: this version cannot run kind nokia_srlinux [not-runnable-kind]
      hint: kinds linux, bridge and host run, and others with the label "archetype.runtime: namespace"; leave it out with --partial
      about: Some(Node(NodeName("srl")))
    lab.clab.yml:12:19: node r3: this version runs containers through docker only [not-runnable-runtime]
      hint: leave out runtime
      about: Some(Node(NodeName("r3")))
    lab.clab.yml:13:24: node r6: this version cannot run network-mode container:r2: r2 has none to share [not-runnable-network-mode]
      hint: name a node that runs as a container, with a network of its own
      about: Some(Node(NodeName("r6")))
    lab.clab.yml:14:24: node r7: this version cannot run network-mode container:elsewhere: the lab has no such node [not-runnable-network-mode]
      hint: name a container of the lab; one from outside can join a node instead, by `docker run --network container:CONTAINER` with the node's container
      about: Some(Node(NodeName("r7")))
    lab.clab.yml:15:24: node r8: it uses the network of r3, which this version cannot run [not-runnable-network-mode]
      hint: it is left out together with the node by --partial
      about: Some(Node(NodeName("r8")))
    lab.clab.yml:16:40: node r9: port 80 cannot be published at ::1 [not-runnable-port]
      hint: the kernel does not route its loopback address out: publish it at 127.0.0.1, or at no address
      about: Some(Node(NodeName("r9")))
    lab.clab.yml:18:7: the link ends at srl, which this version cannot run [not-runnable-far-end]
      hint: it is left out together with the node by --partial
      about: Some(Link(0))
    lab.clab.yml:19:7: this version cannot make a dummy link [not-runnable-dummy-link]
      hint: leave the link out with --partial
      about: Some(Link(1))
    lab.clab.yml:21:7: this version cannot make a macvlan link [not-runnable-macvlan-link]
      hint: leave the link out with --partial
      about: Some(Link(3))
    lab.clab.yml:22:7: this version cannot make a vxlan link [not-runnable-vxlan-link]
      hint: leave the link out with --partial
      about: Some(Link(4))
    lab.clab.yml:23:7: this version cannot make a vxlan-stitch link [not-runnable-vxlan-stitch-link]
      hint: leave the link out with --partial
      about: Some(Link(5))
    lab.clab.yml:24:7: this version cannot make a veth-stitch link [not-runnable-veth-stitch-link]
      hint: leave the link out with --partial
      about: Some(Link(6))
    lab.clab.yml:24:7: the link ends at r5, which has no network of its own [not-runnable-host-mode-link]
      hint: use a link of type host instead
      about: Some(Link(6))
    "#);
}

#[test]
fn what_a_merge_key_brings_in_twice_is_named() {
    insta::assert_snapshot!(problems("\
name: x
topology:
  defaults: &d
    kind: linux
    image: a
    env: &e {A: 1}
  nodes:
    r1: {<<: *d, image: b}
    r2: {kind: linux, image: b, env: {A: 2, <<: *e}}
    r3: {<<: 5, certificate: {validity-duration: 1 week}}
"), @r#"
    lab.clab.yml:6:14: key "A" stands twice: here and, by a merge key, at 9:39 [duplicate-key]
      hint: leave one of the two
    lab.clab.yml:10:14: the value of a merge key "<<" must be a mapping, or a list of them [wrong-type]
      hint: write it as the message says; text that looks like a number or a list stands in quotes
    lab.clab.yml:10:50: topology.nodes.r3.certificate.validity-duration: "1 week" is no time like 8760h or 1h30m [bad-value]
      hint: write a value that the message allows
    "#);
}

#[test]
fn an_authority_that_is_not_there_is_named() {
    insta::assert_snapshot!(problems("\
name: x
settings:
  certificate-authority:
    cert: gone.pem
    key: gone.key
topology: {nodes: {r1: {kind: linux, image: frr}}}
"), @r#"
    lab.clab.yml:4:11: the certificate authority's cert "gone.pem" does not exist: /nowhere/gone.pem [certificate-refused]
      hint: create it, or correct the path; relative paths begin at the topology file
    lab.clab.yml:5:10: the certificate authority's key "gone.key" does not exist: /nowhere/gone.key [certificate-refused]
      hint: create it, or correct the path; relative paths begin at the topology file
    "#);
}

#[test]
fn a_problem_of_two_places_has_both() {
    let text = "\
name: x
topology:
  defaults: {kind: linux, image: a}
  nodes:
    a: {ports: [\"80:80\"]}
    b: {ports: [\"80:80\"]}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
    - endpoints: [\"a:eth1\", \"b:eth2\"]
";
    let reading = read_text("lab.clab.yml", Path::new("/nowhere"), text, &Environment::new());
    let places: Vec<_> =
        reading.problems.iter().map(|found| (&*found.code, found.line, found.also.map(|at| at.line))).collect();
    assert_eq!(places, [("port-twice", 6, Some(5)), ("interface-used-twice", 9, Some(8))]);
}

#[test]
fn a_label_of_a_link_is_told_where_it_stands_and_links_keep_no_places_by_path() {
    let text = "\
name: x
topology:
  nodes: {a: {kind: linux, image: x}, b: {kind: linux, image: x}}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
      labels: {archetype.carrier: hold}
";
    insta::assert_snapshot!(problems(text), @r#"
    lab.clab.yml:6:16: link 0: the label archetype.carrier cannot be "hold" [bad-value]
      hint: it can be follow or keep
    "#);
    let topology = read_text("x.clab.yml", Path::new("/nowhere"), text, &Environment::new()).topology.unwrap();
    let places: Vec<&String> = topology.positions.keys().filter(|path| path.starts_with("topology.links")).collect();
    assert_eq!(places, ["topology.links"]);
    assert_eq!(topology.links[0].endpoints[1].position.to_string(), "5:29");
}

#[test]
fn what_the_engine_would_refuse_of_a_node_is_told_before_anything_is_made() {
    insta::assert_snapshot!(problems("\
name: x
topology:
  kinds:
    linux: {cap-add: [net_admin, CAP_SYS_ADMIN, ALL, NET_ADMINN]}
  nodes:
    c1:
      kind: linux
      image: a
      memory: 1kB
      cpu-set: 3-1
      devices: [/dev/null, \"/dev/null:/dev/zero:r\", dev/null, /dev/nothing-of-the-sort]
      sysctls: {net.ipv4.ip_forward: 1, kernel.shmmax: 1, kernel.hostname: x, net.ipv6.conf.all.forwarding: }
      aliases: [web.lab, \"a b\", \"\"]
      env: {\"\": x}
      binds: [\"/:/a:ro,z\", \"/:/b:readonly\"]
    c2: {kind: linux, image: a, memory: 6MiB, cpu-set: \"0,2-3\", cap-add: [SYS_PTRACE]}
    n1:
      kind: linux
      labels: {archetype.runtime: namespace}
      memory: 1kB
      devices: [nothing]
      sysctls: {kernel.shmmax: 1}
"), @r#"
    lab.clab.yml:4:54: node c1: there is no capability "NET_ADMINN" [not-runnable-value]
      hint: did you mean "NET_ADMIN"?
    lab.clab.yml:4:54: node c2: there is no capability "NET_ADMINN" [not-runnable-value]
      hint: did you mean "NET_ADMIN"?
    lab.clab.yml:9:15: node c1: memory "1kB" is less than the 6 MiB that a container has at least [not-runnable-value]
      hint: state more, or leave it out
    lab.clab.yml:10:16: node c1: the cpu-set "3-1" is no list of processors [not-runnable-value]
      hint: write for instance 0-2,4
    lab.clab.yml:11:53: node c1: the device "dev/null" does not begin with a path of the host [not-runnable-value]
      hint: for instance /dev/kvm, or /dev/sda:/dev/xvda:r
    lab.clab.yml:11:63: node c1: the device "/dev/nothing-of-the-sort" is not there: /dev/nothing-of-the-sort [device-missing]
      hint: load its driver, correct the path, or leave it out
    lab.clab.yml:12:59: node c1: the sysctl kernel.hostname cannot be a node's own [not-runnable-value]
      hint: a container has its own net.*, fs.mqueue.*, kernel.domainname, kernel.msg*, kernel.sem and kernel.shm*
    lab.clab.yml:12:79: node c1: the sysctl net.ipv6.conf.all.forwarding has no value [not-runnable-value]
      hint: write for instance net.ipv6.conf.all.forwarding: 1
    lab.clab.yml:13:26: node c1: the alias "a b" is no name [not-runnable-value]
      hint: write one without white space, for instance web.lab
    lab.clab.yml:13:33: node c1: the alias "" is no name [not-runnable-value]
      hint: write one without white space, for instance web.lab
    lab.clab.yml:14:12: node c1: a variable under env has no name [not-runnable-value]
      hint: write NAME: value
    lab.clab.yml:15:28: node c1: bind "/:/b:readonly" has an option "readonly" that there is not [bad-bind]
      hint: options: ro, rw, z, Z, private, rprivate, shared, rshared, slave, rslave, cached, consistent, delegated
    lab.clab.yml:22:17: node n1: the sysctl kernel.shmmax cannot be a node's own [not-runnable-value]
      hint: a namespace has its own net.*
    "#);
}

#[test]
fn a_link_with_an_empty_end_is_told_and_not_left_out() {
    insta::assert_snapshot!(problems("\
name: x
topology:
  nodes:
    a: {kind: linux, labels: {archetype.runtime: namespace}, healthcheck: {test: [CMD]}}
    b: {kind: linux, image: a, healthcheck: {test: [NONE]}}
  links:
    - {type: veth, endpoints: [{node: a, interface: eth1}, {node: b, interface: }]}
    - {type: veth, endpoints: [{node: a, interface: eth2}, {node: \"\", interface: eth2}]}
    - {type: host, host-interface: \"\", endpoint: {node: a, interface: eth3}}
    - {type: vxlan, remote: \"\", vni: 0, endpoint: {node: a, interface: eth4}}
    - {type: vxlan, vni: 1, endpoint: {node: a, interface: eth5}}
"), @r#"
    lab.clab.yml:4:75: node a: the health check ["CMD"] can never pass [not-runnable-value]
      hint: write [CMD, program, argument…], [CMD-SHELL, line], or [NONE]
    lab.clab.yml:7:79: topology.links[0].endpoints[1] has no interface [missing-value]
      hint: add what the message names
    lab.clab.yml:8:67: topology.links[1].endpoints[1] has no node [missing-value]
      hint: add what the message names
    lab.clab.yml:9:36: topology.links[2] has no host-interface [missing-value]
      hint: add what the message names
    lab.clab.yml:10:29: topology.links[3] has no remote [missing-value]
      hint: add what the message names
    lab.clab.yml:10:38: topology.links[3] has no vni [missing-value]
      hint: add what the message names
    lab.clab.yml:11:7: topology.links[4] has no remote [missing-value]
      hint: add what the message names
    "#);
}

#[test]
fn a_management_network_whose_addresses_no_node_can_have_is_told() {
    let mgmt = |mgmt: &str| {
        problems(&format!("name: x\nmgmt: {{{mgmt}}}\ntopology: {{nodes: {{a: {{kind: linux, image: a}}}}}}\n"))
    };
    for (subnet, whose) in [
        ("ipv4-subnet: 127.0.0.0/8", "127.0.0.0/8 is each machine's own"),
        ("ipv4-subnet: 0.0.0.0/0", "0.0.0.0/8 stands for this network"),
        ("ipv4-subnet: 255.255.255.0/24", "240.0.0.0/4 is reserved"),
        ("ipv6-subnet: fe80::/64", "fe80::/10 is each link's own"),
        ("ipv6-subnet: ff00::/64", "ff00::/8 is multicast"),
    ] {
        let told = mgmt(subnet);
        assert!(told.starts_with("lab.clab.yml:2:") && told.contains(whose), "{subnet}: {told}");
    }
    let told = mgmt("mtu: 1279, ipv6-subnet: 2001:db8::/64");
    assert!(told.starts_with("lab.clab.yml:2:") && told.contains("mgmt.mtu 1279 is less than IPv6 needs"), "{told}");
    assert_eq!(mgmt("mtu: 1279, ipv4-subnet: 10.9.0.0/24"), "");
    assert_eq!(mgmt("mtu: 1279"), "", "the installation may have no IPv6");
}
