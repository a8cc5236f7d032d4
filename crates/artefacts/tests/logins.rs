//! Logins, groups and labels in the inventories and in the ssh configuration: told once where all
//! nodes of a kind have them in common, else node by node.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use archetype_artefacts::{ANSIBLE, HOSTS, Lab, NORNIR, SSH_CONFIG, Seen, TOPOLOGY_DATA, files};
use archetype_model::topology::Subject;

/// The files of a lab that is not planned yet, and of which something may be left out.
fn written(text: &str, left_out: &[Subject]) -> BTreeMap<&'static str, String> {
    let text = format!("name: x\ntopology:\n{text}");
    let topology = archetype_topology::read_text("x.clab.yml", Path::new("/labs"), &text, &BTreeMap::new());
    let left_out: BTreeSet<Subject> = left_out.iter().cloned().collect();
    let (topology, seen) = (topology.topology.unwrap(), Seen::default());
    files(&Lab { topology: &topology, left_out: &left_out, part: None, network: None, seen: &seen })
}

/// What stands below `children:`.
fn children(text: &str) -> String {
    written(text, &[])[ANSIBLE].split_once("  children:\n").unwrap().1.to_owned()
}

#[test]
fn a_kind_that_ansible_knows_comes_with_its_login_and_connection() {
    let text = "  nodes:\n    n1: {kind: nokia_srlinux, image: x}\n";
    let expected = "    nokia_srlinux:
      vars:
        ansible_network_os: nokia.srlinux.srlinux
        # default connection type for nodes of this kind
        # feel free to override this in your inventory
        ansible_connection: ansible.netcommon.httpapi
        ansible_user: admin
        ansible_password: NokiaSrl1!
      hosts:
        clab-x-n1:
          ansible_host: \n";
    assert_eq!(children(text), expected);
    let files = written(text, &[]);
    assert!(files[NORNIR].contains("    username: admin\n    password: NokiaSrl1!\n    platform: nokia_srlinux\n"));
    assert!(files[SSH_CONFIG].contains("Host clab-x-n1\n\tUser admin\n\tStrictHostKeyChecking=no\n"));
}

#[test]
fn a_login_of_another_kind_leaves_the_connection_to_the_user() {
    let text = "  nodes:\n    n1: {kind: arista_ceos, image: x}\n";
    let expected = "        # ansible_connection: set ansible_connection variable if required\n";
    assert!(children(text).contains(expected), "{}", children(text));
    let text = "  nodes:\n    n1: {kind: nokia_sros, image: x}\n";
    assert!(
        written(text, &[])[SSH_CONFIG].ends_with("\tUserKnownHostsFile=/dev/null\n\tPubkeyAuthentication=unbound\n")
    );
}

#[test]
fn labels_make_groups_and_take_addresses_away() {
    let text = "  kinds: {linux: {image: x}}\n  nodes:
    a: {kind: linux, labels: {ansible-group: spine, nornir-group: one, nornir-group-2: another}}
    b: {kind: linux, labels: {ansible-group: spine, ansible-no-host-var: \"true\"}}
    c: {kind: linux}\n";
    let hosts = "        clab-x-a:\n          ansible_host: \n        clab-x-b:\n";
    let c = "        clab-x-c:\n          ansible_host: \n";
    let expected = format!("    linux:\n      hosts:\n{hosts}{c}    spine:\n      hosts:\n{hosts}");
    assert_eq!(children(text), expected);
    let nornir = &written(text, &[])[NORNIR];
    assert!(nornir.contains("    hostname: \n    groups:\n      - another\n      - one\nb:\n"), "{nornir}");
}

#[test]
fn a_login_of_the_defaults_is_for_all() {
    let text =
        "  defaults: {kind: linux, image: x, credentials: {username: me, password: p}}\n  nodes: {a: {}, b: {}}\n";
    let ansible = &written(text, &[])[ANSIBLE];
    assert!(ansible.contains("use_proxy: false\n    ansible_user: me\n    ansible_password: p\n  children:\n"));
    assert_eq!(ansible.matches("ansible_user").count(), 1, "{ansible}");
}

#[test]
fn a_nodes_own_login_is_told_at_the_node_and_then_at_all_that_differ() {
    let text = "  kinds: {linux: {image: x, credentials: {username: k, password: kp}}}\n  nodes:
    a: {kind: linux, credentials: {username: me, password: 'a: b', identity-file: /k}}
    b: {kind: linux}\n";
    let expected = "    linux:
      vars:
        # ansible_connection: set ansible_connection variable if required
        ansible_user: k
        ansible_password: kp
      hosts:
        clab-x-a:
          ansible_host: 
          ansible_user: me
          ansible_password: \"a: b\"
        clab-x-b:
          ansible_host: 
          ansible_user: k
          ansible_password: kp
";
    assert_eq!(children(text), expected);
    let ssh = &written(text, &[])[SSH_CONFIG];
    assert!(ssh.contains("Host clab-x-a\n\tUser me\n\tIdentityFile \"/k\"\n"), "{ssh}");
}

#[test]
fn what_is_left_out_is_in_no_file() {
    let text =
        "  nodes:\n    a: {kind: linux, image: x}\n    b: {kind: linux, image: x}\n    c: {kind: linux, image: x}
  links:\n    - endpoints: ['a:eth1', 'b:eth1']\n    - endpoints: ['a:eth2', 'c:eth1']\n";
    let files = written(text, &[Subject::Node("b".parse().unwrap())]);
    assert!(files.values().all(|text| !text.contains("clab-x-b") && !text.contains("\"b\"")), "{files:#?}");
    let data: serde_json::Value = serde_json::from_str(&files[TOPOLOGY_DATA]).unwrap();
    assert_eq!(data["nodes"]["c"]["index"], "1");
    assert_eq!(data["links"].as_array().unwrap().len(), 1);
    assert_eq!(data["clab"]["config"]["mgmt"]["ipv4-subnet"], "172.20.20.0/24");
    assert_eq!(files[HOSTS], "###### CLAB-x-START ######\n###### CLAB-x-END ######\n");
}

#[test]
fn addresses_and_variables_of_links_are_told() {
    let text = "  nodes:\n    a: {kind: linux, image: x}\n    b: {kind: linux, image: x}
  links:\n    - {endpoints: ['a:eth1', 'b:eth1'], ipv4: [198.18.0.1/31, 198.18.0.0/31], vars: {cost: 10}}
    - {type: dummy, endpoint: {node: a, interface: eth2}}\n";
    let data: serde_json::Value = serde_json::from_str(&written(text, &[])[TOPOLOGY_DATA]).unwrap();
    let link = &data["links"][0];
    assert_eq!(link["vars"]["cost"], 10);
    assert_eq!(link["endpoints"]["a"]["ipv4"], "198.18.0.1/31");
    assert_eq!((&link["endpoints"]["z"]["peer"], &link["endpoints"]["a"]["peer"]), (&"a".into(), &"z".into()));
    let dummy = &data["links"][1]["endpoints"];
    assert_eq!((&dummy["a"]["peer"], dummy.as_object().unwrap().len()), (&"dummy".into(), 1));
}
