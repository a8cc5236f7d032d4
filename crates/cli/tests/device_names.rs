//! Devices by their vendors' names, on a living `serve`: eight kinds in a ring, each a namespace whose interfaces have
//! the names that its kind has in Linux.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use world::{on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(100);
const SOON: Duration = Duration::from_secs(30);

const RING: &str = "\
name: ring
topology:
  defaults: {labels: {archetype.runtime: namespace}}
  nodes:
    ceos: {kind: arista_ceos}
    veos: {kind: arista_veos}
    srl: {kind: nokia_srlinux}
    xrd: {kind: cisco_xrd}
    csr: {kind: cisco_csr1000v}
    iol: {kind: cisco_iol}
    vmx: {kind: juniper_vmx}
    box: {kind: linux}
  links:
    - endpoints: [\"ceos:eth1\", \"veos:Ethernet1\"]
    - endpoints: [\"veos:Et1/2\", \"srl:ethernet-1/1\"]
    - endpoints: [\"srl:e1-2\", \"xrd:GigabitEthernet0/0/0/0\"]
    - endpoints: [\"xrd:Gi0-0-0-1\", \"csr:GigabitEthernet2\"]
    - endpoints: [\"csr:Gi3\", \"iol:Ethernet0/1\"]
    - endpoints: [\"iol:e1/0\", \"vmx:ge-0/0/0\"]
    - endpoints: [\"vmx:xe-0/0/1\", \"box:Ethernet1\"]
    - endpoints: [\"box:eth1\", \"ceos:Ethernet2\"]
";

/// Each end in the order of the file: what Linux calls it, what the device calls it.
const NAMES: [(&str, &str, Option<&str>); 16] = [
    ("ceos", "eth1", Some("Ethernet1")),
    ("veos", "eth1", Some("Ethernet1")),
    ("veos", "eth2", Some("Ethernet2")),
    ("srl", "e1-1", Some("ethernet-1/1")),
    ("srl", "e1-2", Some("ethernet-1/2")),
    ("xrd", "Gi0-0-0-0", Some("GigabitEthernet0/0/0/0")),
    ("xrd", "Gi0-0-0-1", Some("GigabitEthernet0/0/0/1")),
    ("csr", "eth1", Some("GigabitEthernet2")),
    ("csr", "eth2", Some("GigabitEthernet3")),
    ("iol", "eth1", Some("Ethernet0/1")),
    ("iol", "eth4", Some("Ethernet1/0")),
    ("vmx", "eth1", Some("ge-0/0/0")),
    ("vmx", "eth2", Some("ge-0/0/1")),
    ("box", "Ethernet1", None),
    ("box", "eth1", None),
    ("ceos", "Ethernet2", Some("Ethernet2")),
];

#[test]
fn eight_kinds_are_wired_shown_and_found_by_their_names() {
    on_a_machine(LIMIT, |world| {
        world.write("ring.clab.yml", RING);
        world.cli(["deploy", "--wait", "60s"]).fine();
        let lab = world.until_up("ring", SOON);
        let ends = lab["links"].as_array().unwrap().iter().flat_map(|link| link["endpoints"].as_array().unwrap());
        let shown: Vec<_> = ends
            .map(|end| {
                let text = |key: &str| end[key].as_str();
                (text("node").unwrap(), text("linux_interface").unwrap(), text("vendor_interface"))
            })
            .collect();
        assert_eq!(shown, NAMES);
        for (node, linux, vendor) in NAMES {
            run("ip", ["-n", &format!("clab-ring-{node}"), "link", "show", "dev", linux]);
            let by_linux = world.cli(["explain", "ring", &format!("{node}:{linux}"), "-f", "json"]).json();
            let said = format!("{node}:{}", vendor.unwrap_or(linux));
            let by_vendor = world.cli(["explain", "ring", &said, "-f", "json"]).json();
            assert_eq!((&by_vendor["link"], &by_vendor["endpoints"]), (&by_linux["link"], &by_linux["endpoints"]));
        }
        let told = world.cli(["explain", "ring", "csr:gigabitethernet 3"]).fine().stdout;
        let lines: Vec<&str> = told.lines().take(3).collect();
        assert!(lines[0].contains(" is up"), "{told}");
        assert_eq!(lines[1..], ["csr:Gi3 is GigabitEthernet3 on the device", ""], "{told}");
        let refused = world.cli(["explain", "ring", "csr:GigabitEthernet0"]);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("has no link csr:GigabitEthernet0"), "{}", refused.stderr);
    });
}
