//! Ports of devices in topology files: two spellings of one port are one port, and the interface
//! for management is not for links.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_model::topology::Subject;
use archetype_topology::{Environment, Reading, read_text};

fn reading(links: &[&str]) -> Reading {
    let mut text = "\
name: x
topology:
  defaults: {image: x}
  nodes:
    ceos: {kind: arista_ceos}
    veos: {kind: arista_veos}
    srl: {kind: srl}
    xrd: {kind: cisco_xrd}
    csr: {kind: cisco_csr1000v}
    iol: {kind: cisco_iol}
    vmx: {kind: juniper_vmx}
    box: {kind: linux}
    alone: {kind: linux, network-mode: none}
  links:
"
    .to_owned();
    for ends in links {
        text.push_str(&format!("    - endpoints: [{ends}]\n"));
    }
    read_text("x.clab.yml", Path::new("/nowhere"), &text, &Environment::new())
}

/// What the file's problems are; links begin at line 15.
fn problems(links: &[&str]) -> String {
    reading(links).problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn two_spellings_of_one_port_are_a_problem_with_both_lines() {
    insta::assert_snapshot!(problems(&[
        "\"ceos:Ethernet1\", \"box:a\"",
        "\"ceos:eth1\", \"box:b\"",
        "\"vmx:ge-0/0/0\", \"box:c\"",
        "\"vmx:xe-0/0/0\", \"box:d\"",
        "\"srl:e1-2\", \"srl:ethernet-1/2\"",
        "\"csr:Gi2\", \"csr:eth1\"",
        "\"iol:e1/0\", \"iol:eth4\"",
        "\"box:eth1\", \"box:Ethernet1\"",
        "\"xrd:Gi0-0-0-0\", \"box:e\"",
        "\"xrd:GigabitEthernet0/0/0/0\", \"box:f\"",
        "\"veos:Ethernet1\", \"veos:eth1\"",
        "\"ceos:Ethernet2/3\", \"ceos:eth2_3\"",
    ]), @r#"
    x.clab.yml:16:19: ceos:eth1 is the end of two links: here and at 15:19 (as ceos:Ethernet1) [interface-used-twice]
      hint: give one of the two links an interface of its own
    x.clab.yml:18:19: vmx:xe-0/0/0 is the end of two links: here and at 17:19 (as vmx:ge-0/0/0) [interface-used-twice]
      hint: give one of the two links an interface of its own
    x.clab.yml:19:31: srl:ethernet-1/2 is both ends of one link: here and at 19:19 (as srl:e1-2) [interface-used-twice]
      hint: give one of the two ends an interface of its own
    x.clab.yml:20:30: csr:eth1 is both ends of one link: here and at 20:19 (as csr:Gi2) [interface-used-twice]
      hint: give one of the two ends an interface of its own
    x.clab.yml:21:31: iol:eth4 is both ends of one link: here and at 21:19 (as iol:e1/0) [interface-used-twice]
      hint: give one of the two ends an interface of its own
    x.clab.yml:24:19: xrd:GigabitEthernet0/0/0/0 is the end of two links: here and at 23:19 (as xrd:Gi0-0-0-0) [interface-used-twice]
      hint: give one of the two links an interface of its own
    x.clab.yml:25:37: veos:eth1 is both ends of one link: here and at 25:19 (as veos:Ethernet1) [interface-used-twice]
      hint: give one of the two ends an interface of its own
    x.clab.yml:26:39: ceos:eth2_3 is both ends of one link: here and at 26:19 (as ceos:Ethernet2/3) [interface-used-twice]
      hint: give one of the two ends an interface of its own
    "#);
}

#[test]
fn the_interface_for_management_is_no_end_of_a_link() {
    insta::assert_snapshot!(problems(&[
        "\"ceos:Management0\", \"box:eth0\"",
        "\"veos:Ma1\", \"srl:mgmt0\"",
        "\"xrd:MgmtEth0/RP0/CPU0/0\", \"csr:GigabitEthernet1\"",
        "\"iol:Ethernet0/0\", \"vmx:fxp0\"",
        "\"alone:eth0\", \"vmx:em1\"",
    ]), @r#"
    x.clab.yml:15:19: ceos:Management0 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:15:39: box:eth0 is the node's interface on the management network [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:16:19: veos:Ma1 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:16:31: srl:mgmt0 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:17:19: xrd:MgmtEth0/RP0/CPU0/0 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:17:46: csr:GigabitEthernet1 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:18:19: iol:Ethernet0/0 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:18:38: vmx:fxp0 is the node's interface on the management network: eth0 in Linux [interface-reserved]
      hint: use another, or "network-mode: none" for a node without management network
    x.clab.yml:19:33: vmx:em1 is not for links on kind juniper_vmx: the routing engine speaks to its forwarding plane over it [interface-reserved]
      hint: use another interface, or `network-mode: none` for a node without management network. `archetype kinds NAME` shows what a kind's interfaces are called
    "#);
}

#[test]
fn a_name_that_a_file_cannot_use_is_told_with_the_one_it_can() {
    insta::assert_snapshot!(problems(&[
        "\"xrd:GigabitEthernet0-0-0-0\", \"csr:GigabitEthernet0\"",
        "\"veos:ethernet1\", \"vmx:ge-0/1/0\"",
        "\"ceos:ET1\", \"srl:eth1\"",
    ]), @r#"
    x.clab.yml:15:19: xrd:GigabitEthernet0-0-0-0 is not how a file names this port of kind cisco_xrd [invalid-interface]
      hint: write Gi0-0-0-0 or GigabitEthernet0/0/0/0 or Gi0/0/0/0
    x.clab.yml:15:49: csr:GigabitEthernet0 is no port of kind cisco_csr1000v [invalid-interface]
      hint: names it has: ethX, GigabitEthernetX, GiX; the first port, GigabitEthernet2, is eth1
    x.clab.yml:16:19: veos:ethernet1 is not how a file names this port of kind arista_veos [invalid-interface]
      hint: write eth1 or Ethernet1 or Et1 or Ethernet1/1 or Et1/1
    x.clab.yml:16:37: vmx:ge-0/1/0 is no port of kind juniper_vmx [invalid-interface]
      hint: names it has: ethX, ge-0/0/X, xe-0/0/X, et-0/0/X; the first port, ge-0/0/0, is eth1
    x.clab.yml:17:19: ceos:ET1 is not how a file names this port of kind arista_ceos [invalid-interface]
      hint: write eth1 or et1 or Ethernet1 or ethernet1 or Et1
    x.clab.yml:17:31: srl:eth1 is no port of kind nokia_srlinux [invalid-interface]
      hint: names it has: eX-Y, ethernet-X/Y, eX-Y-Z, ethernet-X/Y/Z; the first port, ethernet-1/1, is e1-1
    "#);
}

#[test]
fn each_end_knows_its_name_in_linux() {
    let reading = reading(&[
        "\"ceos:Ethernet1\", \"veos:Et1/1\"",
        "\"srl:ethernet-1/1\", \"xrd:Gi0-0-0-0\"",
        "\"csr:GigabitEthernet2\", \"iol:Ethernet1/0\"",
        "\"vmx:ge-0/0/0\", \"box:Ethernet1\"",
        "\"xrd:GigabitEthernet0/0/0/1\", \"veos:Ethernet2\"",
        "\"ceos:Et3\", \"iol:Et0/1\"",
    ]);
    assert_eq!(reading.problems, []);
    let links = reading.topology.unwrap().links;
    let ends = links.iter().flat_map(|link| &link.endpoints).map(|end| end.linux_interface.clone().unwrap());
    let names: Vec<String> = ends.map(|name| name.to_string()).collect();
    assert_eq!(names[..8], ["Ethernet1", "eth1", "e1-1", "Gi0-0-0-0", "eth1", "eth4", "eth1", "Ethernet1"]);
    assert_eq!(names[8..], ["Gi0-0-0-1", "eth2", "eth3", "eth1"]);
}

#[test]
fn a_name_that_linux_has_for_itself_is_no_end_of_a_link() {
    insta::assert_snapshot!(problems(&[
        "\"box:lo\", \"ceos:lo\"",
        "\"alone:all\", \"host:default\"",
    ]), @r#"
    x.clab.yml:15:19: box:lo is not for links: it is the loopback interface that every network namespace has [interface-reserved]
      hint: give this end of the link another name, for instance eth1
    x.clab.yml:15:29: ceos:lo is not for links: it is the loopback interface that every network namespace has [interface-reserved]
      hint: give this end of the link another name, for instance eth1
    x.clab.yml:16:19: alone:all is not for links: Linux has its settings for all interfaces under this name and makes no interface of it [interface-reserved]
      hint: give this end of the link another name, for instance eth1
    x.clab.yml:16:32: host:default is not for links: Linux has its settings for all interfaces under this name and makes no interface of it [interface-reserved]
      hint: give this end of the link another name, for instance eth1
    "#);
}

#[test]
fn a_name_that_cannot_be_is_a_problem_of_its_link_alone() {
    let links = ["\"box:a\", \"alone:a\"", "\"box:a b\", \"alone:b\"", "\"box:sixteen-bytes-xx\", \"alone:lo\""];
    let found = reading(&links).problems;
    let told: Vec<_> = found.iter().map(|problem| (&*problem.code, problem.subject.clone())).collect();
    let (second, third) = (Some(Subject::Link(1)), Some(Subject::Link(2)));
    assert_eq!(
        told,
        [("invalid-interface", second), ("invalid-interface", third.clone()), ("interface-reserved", third)]
    );
}
