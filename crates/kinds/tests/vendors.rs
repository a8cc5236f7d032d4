//! Names as the documentation of devices and of containerlab has them, kind by kind: what the
//! device shows, what the Linux interface is called, what a file may write, what is not for links.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use archetype_kinds::{Kind, Packaging, Unfit, all, find, names, same_port, vendor_name};

fn kind(name: &str) -> &'static Kind {
    find(name).unwrap()
}

/// What a file's name becomes; `!` when a file cannot use it.
fn in_file(kind_name: &str, written: &str) -> String {
    kind(kind_name).in_file(written, true).map_or("!".to_owned(), |name| name.to_string())
}

/// Each line: what a file writes, what Linux calls it, what the device shows.
fn both_ways(kind_name: &str, table: &[(&str, &str, &str)]) {
    for (written, linux, vendor) in table {
        assert_eq!(in_file(kind_name, written), *linux, "{kind_name} {written}");
        assert_eq!(vendor_name(kind_name, linux).as_deref(), Some(*vendor), "{kind_name} {linux}");
        assert!(same_port(kind_name, written, vendor) && same_port(kind_name, linux, vendor), "{kind_name} {vendor}");
    }
}

/// Spellings of one port, whether a file may use them or not.
fn one_port(kind_name: &str, spellings: &[&str]) {
    for spelling in spellings {
        assert!(same_port(kind_name, spellings[0], spelling), "{kind_name} {spelling}");
    }
}

/// Names of the interface on the management network, and what the device calls it.
fn managed(kind_name: &str, vendor: Option<&str>, spellings: &[&str]) {
    for spelling in spellings {
        let refused = kind(kind_name).in_file(spelling, true).unwrap_err();
        assert!(matches!(refused, Unfit::Management { .. }) && refused.is_reserved(), "{kind_name} {spelling}");
    }
    assert_eq!(vendor_name(kind_name, "eth0").as_deref(), vendor, "{kind_name}");
}

fn refused(kind_name: &str, written: &[&str]) {
    for written in written {
        assert_eq!(in_file(kind_name, written), "!", "{kind_name} {written}");
    }
}

#[test]
fn ceos_counts_from_1_and_joins_breakouts() {
    both_ways(
        "arista_ceos",
        &[
            ("eth1", "eth1", "Ethernet1"),
            ("et12", "et12", "Ethernet12"),
            ("Ethernet1", "Ethernet1", "Ethernet1"),
            ("ethernet1", "ethernet1", "Ethernet1"),
            ("eth3_1", "eth3_1", "Ethernet3/1"),
            ("eth3_1_2", "eth3_1_2", "Ethernet3/1/2"),
            ("Et1", "eth1", "Ethernet1"),
            ("Ethernet2/3", "eth2_3", "Ethernet2/3"),
            ("Et3/1/2", "eth3_1_2", "Ethernet3/1/2"),
        ],
    );
    one_port("ceos", &["eth1", "et1", "Et1", "Ethernet1", "ETHERNET1", "ethernet1"]);
    managed("ceos", Some("Management0"), &["eth0", "Management0", "Ma0"]);
    refused("ceos", &["eth0", "Ethernet0", "Et0", "Ethernet0/1", "Eth1/1", "ET1", "Gi1", "ge-0/0/0", "e1-1", "lo"]);
}

#[test]
fn veos_shows_a_name_that_files_write_with_a_slot() {
    both_ways(
        "arista_veos",
        &[
            ("Et1/1", "eth1", "Ethernet1"),
            ("Ethernet1/12", "eth12", "Ethernet12"),
            ("Ethernet1", "eth1", "Ethernet1"),
            ("Et49", "eth49", "Ethernet49"),
        ],
    );
    one_port("vr-veos", &["eth2", "Et2", "Ethernet2", "Ethernet1/2", "Et1/2"]);
    managed("arista_veos", Some("Management1"), &["eth0", "Management1", "Ma1"]);
    refused("arista_veos", &["Ethernet0", "Ethernet2/3", "ethernet1", "et1", "Et0", "Ethernet1/0", "Management0"]);
}

#[test]
fn sr_linux_counts_cards_ports_and_channels_from_1() {
    both_ways(
        "nokia_srlinux",
        &[
            ("ethernet-1/1", "e1-1", "ethernet-1/1"),
            ("e1-1", "e1-1", "ethernet-1/1"),
            ("ethernet-2/10", "e2-10", "ethernet-2/10"),
            ("ethernet-1/2/3", "e1-2-3", "ethernet-1/2/3"),
        ],
    );
    one_port("srl", &["e1-1", "ethernet-1/1", "Ethernet-1/1"]);
    managed("srl", Some("mgmt0"), &["mgmt0", "eth0"]);
    refused("srl", &["eth1", "Ethernet1", "ethernet-1", "ethernet-0/1", "1/1/1"]);
    assert!(kind("srl").in_file("mgmt0", false).is_ok());
}

#[test]
fn xrd_counts_from_0_and_linux_has_dashes_for_slashes() {
    both_ways(
        "cisco_xrd",
        &[
            ("Gi0-0-0-0", "Gi0-0-0-0", "GigabitEthernet0/0/0/0"),
            ("Gi0-0-0-12", "Gi0-0-0-12", "GigabitEthernet0/0/0/12"),
            ("GigabitEthernet0/0/0/0", "Gi0-0-0-0", "GigabitEthernet0/0/0/0"),
            ("GigabitEthernet 0/0/0/7", "Gi0-0-0-7", "GigabitEthernet0/0/0/7"),
            ("Gi0/0/0/12", "Gi0-0-0-12", "GigabitEthernet0/0/0/12"),
        ],
    );
    one_port("xrd", &["Gi0-0-0-3", "Gi0/0/0/3", "GigabitEthernet0/0/0/3", "GigabitEthernet 0/0/0/3"]);
    managed("xrd", Some("MgmtEth0/RP0/CPU0/0"), &["eth0", "MgmtEth0/RP0/CPU0/0", "Mg0/RP0/CPU0/0"]);
    refused("xrd", &["GigabitEthernet0-0-0-0", "gi0/0/0/0", "Gi1/0/0/0", "Gi0/0/0", "eth1", "Gi0", "TenGigE0/0/0/0"]);
}

#[test]
fn csr_keeps_its_first_port_for_management() {
    both_ways(
        "cisco_csr1000v",
        &[
            ("GigabitEthernet2", "eth1", "GigabitEthernet2"),
            ("Gi3", "eth2", "GigabitEthernet3"),
            ("GigabitEthernet 4", "eth3", "GigabitEthernet4"),
            ("eth9", "eth9", "GigabitEthernet10"),
        ],
    );
    one_port("vr-csr", &["eth1", "Gi2", "gi2", "GigabitEthernet2", "gigabitethernet 2"]);
    managed("vr-csr", Some("GigabitEthernet1"), &["eth0", "GigabitEthernet1", "Gi1", "gi1"]);
    refused("vr-csr", &["GigabitEthernet0", "Gi0", "gi2", "Gig2", "GigabitEthernet1/0/1", "Ethernet1"]);
}

#[test]
fn a_port_below_the_first_is_no_port() {
    for kind in ["cisco_csr1000v", "cisco_c8000v"] {
        for written in ["GigabitEthernet0", "Gi0"] {
            assert_eq!(find(kind).unwrap().canonical(written), None, "{kind} {written}");
        }
    }
}

#[test]
fn iol_has_slots_of_four() {
    both_ways(
        "cisco_iol",
        &[
            ("Ethernet0/1", "eth1", "Ethernet0/1"),
            ("e0/3", "eth3", "Ethernet0/3"),
            ("Ethernet1/0", "eth4", "Ethernet1/0"),
            ("eth11", "eth11", "Ethernet2/3"),
            ("Ethernet9/3", "eth39", "Ethernet9/3"),
            ("Et0/1", "eth1", "Ethernet0/1"),
            ("Ethernet 0/2", "eth2", "Ethernet0/2"),
        ],
    );
    one_port("cisco_iol", &["eth4", "Ethernet1/0", "e1/0", "Et1/0", "Ethernet 1/0"]);
    managed("cisco_iol", Some("Ethernet0/0"), &["eth0", "Ethernet0/0", "e0/0"]);
    refused("cisco_iol", &["Ethernet0/4", "Ethernet10/0", "Ethernet1", "et1", "Gi0/1"]);
}

#[test]
fn vmx_counts_from_0_by_three_names() {
    both_ways(
        "juniper_vmx",
        &[
            ("ge-0/0/0", "eth1", "ge-0/0/0"),
            ("xe-0/0/1", "eth2", "ge-0/0/1"),
            ("et-0/0/2", "eth3", "ge-0/0/2"),
            ("eth10", "eth10", "ge-0/0/9"),
        ],
    );
    one_port("vr-vmx", &["eth1", "ge-0/0/0", "xe-0/0/0", "et-0/0/0"]);
    managed("vr-vmx", Some("fxp0"), &["eth0", "fxp0"]);
    refused("vr-vmx", &["ge-0/1/0", "ge-1/0/0", "em1", "Ethernet1", "Gi1"]);
    assert!(matches!(kind("vr-vmx").in_file("em1", true), Err(Unfit::Reserved { .. })));
}

#[test]
fn linux_takes_every_name_and_shows_none_of_its_own() {
    for name in ["eth1", "Ethernet1", "Gi0-0-0-3", "net0", "anything", "lo0"] {
        assert_eq!(in_file("linux", name), name);
        assert_eq!(vendor_name("linux", name), None);
    }
    assert!(!same_port("linux", "eth1", "Ethernet1"));
    managed("linux", None, &["eth0"]);
    assert!(kind("linux").in_file("eth0", false).is_ok());
    refused("linux", &["Ethernet1/1", "GigabitEthernet0", "a b"]);
}

#[test]
fn other_kinds_have_their_names_too() {
    for (kind_name, written, linux, vendor) in [
        ("nokia_srsim", "1/x2/3/c4/5", "e1-x2-3-c4-5", Some("1/x2/3/c4/5")),
        ("nokia_sros", "1/1/c3/1", "eth3", Some("1/1/3")),
        ("cisco_n9kv", "Eth1/2", "eth2", Some("Ethernet1/2")),
        ("cisco_xrv9k", "Te0/0/0/0", "eth1", Some("GigabitEthernet0/0/0/0")),
        ("cisco_c8000", "HundredGigE0/0/0/7", "Hu0_0_0_7", Some("HundredGigE0/0/0/7")),
        ("cisco_cat9kv", "Gi1/0/1", "eth1", Some("GigabitEthernet1/0/1")),
        ("cisco_vios", "Gi0", "eth1", Some("GigabitEthernet0")),
        ("cisco_asav", "GigabitEthernet0/0", "eth1", Some("GigabitEthernet0/0")),
        ("juniper_vqfx", "xe-0/0/0", "eth1", Some("xe-0/0/0")),
        ("cjunosevolved", "et-0/0/0", "eth4", Some("et-0/0/0")),
        ("cjunosevolved", "eth1", "eth1", None),
        ("nvidia_cumulusvx", "swp1", "eth1", Some("swp1")),
        ("cvx", "swp1.10", "swp1.10", None),
        ("aruba_aoscx", "1/1/1", "eth1", Some("1/1/1")),
        ("mikrotik_ros", "ether2", "eth1", Some("ether2")),
        ("fortinet_fortigate", "port2", "eth1", Some("port2")),
        ("ciena_saos", "1", "eth1", Some("1")),
        ("f5_bigip-ve", "1.1", "eth1", Some("1.1")),
        ("freebsd", "vtnet1", "eth1", Some("vtnet1")),
        ("sonic-vm", "eth2", "eth2", Some("Ethernet4")),
        ("sonic-vs", "eth3", "eth3", Some("Ethernet8")),
        ("juniper_csrx", "eth1", "eth1", Some("ge-0/0/0")),
        ("vyosnetworks_vyos", "eth1", "eth1", None),
        ("crpd", "eth1", "eth1", None),
    ] {
        assert_eq!(in_file(kind_name, written), linux, "{kind_name} {written}");
        assert_eq!(vendor_name(kind_name, linux).as_deref(), vendor, "{kind_name} {linux}");
    }
    for (kind_name, written) in
        [("mikrotik_ros", "ether1"), ("freebsd", "vtnet0"), ("ciena_saos", "0"), ("paloalto_panos", "Ethernet1/0")]
    {
        refused(kind_name, &[written]);
    }
}

#[test]
fn what_a_file_cannot_use_is_told_with_what_it_can() {
    let told = |kind_name: &str, written: &str| {
        let refused = kind(kind_name).in_file(written, true).unwrap_err();
        format!("{refused}; {}", refused.hint().unwrap_or_default())
    };
    assert_eq!(
        told("cisco_xrd", "gi0/0/0/0"),
        "gi0/0/0/0 is not how a file names this port of kind cisco_xrd; \
         write Gi0-0-0-0 or GigabitEthernet0/0/0/0 or Gi0/0/0/0"
    );
    assert_eq!(
        told("arista_veos", "ethernet1"),
        "ethernet1 is not how a file names this port of kind arista_veos; \
         write eth1 or Ethernet1 or Et1 or Ethernet1/1 or Et1/1"
    );
    assert_eq!(
        told("cisco_csr1000v", "GigabitEthernet0"),
        "GigabitEthernet0 is no port of kind cisco_csr1000v; names it has: ethX, GigabitEthernetX, GiX; \
         the first port, GigabitEthernet2, is eth1"
    );
    assert_eq!(
        told("cisco_iol", "Ethernet0/0"),
        "Ethernet0/0 is the node's interface on the management network: eth0 in Linux; \
         use another, or \"network-mode: none\" for a node without management network"
    );
    assert_eq!(
        told("juniper_vmx", "em1"),
        "em1 is not for links on kind juniper_vmx: the routing engine speaks to its forwarding plane over it; "
    );
    assert_eq!(
        told("linux", "a/b"),
        "a/b cannot be an interface's name: Linux takes 1 to 15 bytes without `/`, `:`, `%` and blanks; write a name like eth1; \
         in containerlab, too, one that does not fit is only a second name beside a random one"
    );
}

#[test]
fn names_that_linux_has_for_itself_are_no_kinds() {
    for kind in all() {
        for name in ["lo", "all", "default"] {
            let refused = kind.in_file(name, false).unwrap_err();
            assert!(matches!(refused, Unfit::OfLinux { .. }) && refused.is_reserved(), "{} {name}", kind.name);
        }
    }
}

#[test]
fn every_name_is_one_kinds_and_every_kind_has_its_file() {
    let mut known: Vec<&str> = names().collect();
    assert_eq!(known.len(), 96);
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), 96, "a name belongs to two kinds");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kinds");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    let kinds: Vec<String> = all().iter().map(|kind| format!("{}.toml", kind.name)).collect();
    assert_eq!(files, kinds);
    let outside = all().iter().filter(|kind| kind.packaging == Packaging::Outside).map(|kind| kind.name.as_str());
    assert!(outside.eq(["bridge", "ext-container", "host", "k8s-kind", "ovs-bridge"]));
}
