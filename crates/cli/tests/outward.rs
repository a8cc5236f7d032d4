//! Links that lead out of a lab, and members alone in a segment: `up` only when a frame crossed them each way, and
//! mended when somebody changes them. Everything is real: Open vSwitch, Linux bridges, the kernel, `archetype serve`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use serde_json::Value;
use world::{World, attempt, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);

const OUT: &str = "\
name: out
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}, br-lab: {kind: bridge}}
  links:
    - endpoints: [\"a:eth1\", \"host:to-a\"]
    - endpoints: [\"a:eth2\", \"br-lab:lab-a\"]
    - endpoints: [\"b:eth2\", \"br-lab:lab-b\"]
    - endpoints: [\"a:eth3\", \"mgmt-net:out-a\"]
";

fn links(world: &World, lab: &str) -> Vec<Value> {
    world.lab(lab)["links"].as_array().unwrap().clone()
}

fn state(world: &World, lab: &str, link: usize) -> String {
    links(world, lab)[link]["actual_state"].as_str().unwrap().to_owned()
}

fn last_entry(world: &World) -> u64 {
    let entries = world.cli(["journal", "--format", "json"]).json()["entries"].as_array().unwrap().clone();
    entries.last().and_then(|entry| entry["id"].as_u64()).unwrap_or(0)
}

fn repairs_since(world: &World, entry: u64) -> Vec<String> {
    let entries = world.cli(["journal", "--format", "json"]).json()["entries"].as_array().unwrap().clone();
    let later = entries.into_iter().filter(|found| found["id"].as_u64() > Some(entry) && found["kind"] == "repair");
    later.map(|repair| repair["message"].to_string()).collect()
}

/// Every fact behind a link is good, and what was asked of it is among them.
#[track_caller]
fn explained(world: &World, end: &str, wanted: &[&str]) {
    explained_in("out", world, end, wanted);
}

#[track_caller]
fn explained_in(lab: &str, world: &World, end: &str, wanted: &[&str]) {
    let told = world.cli(["explain", lab, end, "--format", "json"]).json();
    let facts = told["facts"].as_array().unwrap();
    assert!(facts.iter().all(|fact| fact["good"] == true), "{told:#}");
    for text in wanted {
        let is_there =
            |fact: &Value| fact["fact"].to_string().contains(text) || fact["command"].to_string().contains(text);
        assert!(facts.iter().any(is_there), "{text}: {told:#}");
    }
    for command in facts.iter().filter_map(|fact| fact["command"].as_str()) {
        // One that listens does so until it is ended: that it began is enough.
        let listens = command.contains("tcpdump").then(|| format!("timeout 1 {command}; test $? -eq 124"));
        let ran = attempt("sh", ["-c", listens.as_deref().unwrap_or(command)]);
        assert!(ran.is_ok(), "{command}: {ran:?}");
    }
}

#[track_caller]
fn deployed(world: &World) {
    run("ip", ["link", "add", "br-lab", "type", "bridge"]);
    run("ip", ["link", "set", "br-lab", "up"]);
    world.write("out.clab.yml", OUT);
    world.cli(["deploy", "-t", "out.clab.yml", "--wait", "30s"]).fine();
}

#[test]
fn links_out_of_a_lab_are_proven_by_frames_each_way_and_explained() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        for link in links(world, "out") {
            assert_eq!((link["actual_state"].as_str(), &link["reason"]), (Some("up"), &Value::Null), "{link}");
            assert!(link["last_verified_at"].is_string(), "{link}");
        }
        explained(world, "a:eth1", &["between it and the host's device each way", "ip -d link show to-a"]);
        explained(world, "a:eth2", &["bridge br-lab between it and every other member", "bridge link show dev lab-a"]);
        explained(world, "b:eth2", &["its host end is a port of bridge br-lab", "ip link show br-lab"]);
        explained(world, "a:eth3", &["between it and bridge", "bridge link show dev out-a"]);

        // A member alone is proven with the bridge itself.
        world.cli(["node", "out", "b", "stop"]).fine();
        eventually(SOON, "the member that stopped waits, the other is up", || {
            (state(world, "out", 2) == "pending" && state(world, "out", 1) == "up").then_some(())
        });
        explained(world, "a:eth2", &["between it and bridge br-lab itself"]);
        world.cli(["node", "out", "b", "start"]).fine();
        world.until_up("out", SOON);
    });
}

/// What a link is after something was done to it: not up, then proven again by itself with a repair.
#[track_caller]
fn mended(world: &World, link: usize, words: &str) {
    mended_in("out", world, link, words);
}

#[track_caller]
fn mended_in(lab: &str, world: &World, link: usize, words: &str) {
    let entry = last_entry(world);
    let (program, args) = words.split_once(' ').unwrap();
    run(program, args.split(' '));
    let repairs = eventually(SOON, &format!("{words}: mended and told"), || {
        let repairs = repairs_since(world, entry);
        (!repairs.is_empty() && state(world, lab, link) == "up").then_some(repairs)
    });
    eprintln!("{words}: {repairs:?}");
    assert_eq!(world.until_up(lab, SOON)["state"], "up");
}

#[test]
fn the_hosts_end_of_a_link_out_of_a_lab_is_mended_and_proven_again_with_a_repair() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        mended(world, 0, "ip link set to-a down");
        mended(world, 0, "ip link del to-a");
        mended(world, 1, "ip link set lab-a nomaster");
        mended(world, 1, "ip link del lab-a");
        mended(world, 2, "ip link set lab-b down");
        mended(world, 3, "ip link set out-a nomaster");
        mended(world, 3, "ip link del out-a");
    });
}

#[test]
fn a_device_of_the_host_that_the_file_gives_to_another_end_is_made_anew() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let entry = last_entry(world);
        let moved = OUT
            .replace("a:eth1", "b:eth1")
            .replace("a:eth2", "b:eth4")
            .replace("b:eth2", "a:eth2")
            .replace("a:eth3", "a:eth5");
        world.write("out.clab.yml", &moved);
        world.cli(["deploy", "-t", "out.clab.yml", "--wait", "30s"]).fine();
        for (device, node) in [("to-a", "b"), ("lab-a", "b"), ("lab-b", "a"), ("out-a", "a")] {
            let shown = run("ip", ["link", "show", device]);
            assert!(shown.contains(&format!("link-netns clab-out-{node}")), "{shown}");
        }
        assert!((0..4).all(|link| state(world, "out", link) == "up"), "{:#?}", links(world, "out"));
        assert_eq!(repairs_since(world, entry), Vec::<String>::new());
    });
}

#[test]
fn a_link_to_a_bridge_of_the_host_is_not_up_while_the_bridge_carries_nothing() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        // Everything reads back right, and nothing crosses: only frames tell.
        run("bridge", ["link", "set", "dev", "lab-a", "isolated", "on"]);
        run("bridge", ["link", "set", "dev", "lab-b", "isolated", "on"]);
        let lost = |link: usize| links(world, "out")[link]["reason"].to_string().contains("carries nothing");
        eventually(SOON, "both members carry nothing", || {
            (lost(1) && lost(2) && state(world, "out", 1) == "error").then_some(())
        });
        assert_eq!(state(world, "out", 0), "up");
        run("bridge", ["link", "set", "dev", "lab-a", "isolated", "off"]);
        run("bridge", ["link", "set", "dev", "lab-b", "isolated", "off"]);
        world.until_up("out", SOON);

        run("ip", ["link", "set", "br-lab", "down"]);
        let down = eventually(SOON, "a shut bridge is told", || {
            let link = links(world, "out")[1].clone();
            (link["actual_state"] == "error").then_some(link)
        });
        assert!(down["reason"].to_string().contains("bridge br-lab is down"), "{down}");
        run("ip", ["link", "set", "br-lab", "up"]);
        world.until_up("out", SOON);

        run("ip", ["link", "del", "br-lab"]);
        let gone = eventually(SOON, "a bridge that went is told", || {
            let link = links(world, "out")[1].clone();
            (link["actual_state"] == "error").then_some(link)
        });
        assert!(gone["reason"].to_string().contains("bridge br-lab is missing"), "{gone}");
        run("ip", ["link", "add", "br-lab", "type", "bridge"]);
        run("ip", ["link", "set", "br-lab", "up"]);
        world.until_up("out", SOON);
    });
}

const ALONE: &str = "\
name: alone
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, lan: {kind: bridge}}
  links:
    - endpoints: [\"a:eth1\", \"lan:p1\"]
";

#[test]
fn a_member_alone_in_its_segment_is_proven_through_the_switch() {
    on_a_machine(LIMIT, |world| {
        world.write("alone.clab.yml", ALONE);
        world.cli(["deploy", "-t", "alone.clab.yml", "--wait", "30s"]).fine();
        let link = links(world, "alone").remove(0);
        assert_eq!(link["actual_state"], "up");
        let told = world.cli(["explain", "alone", "a:eth1"]).fine().stdout;
        assert!(told.contains("between it and the switch"), "{told}");

        // A flow that drops what the member sends is taken away, and the member proven anew.
        let (entry, proven) = (last_entry(world), link["last_verified_at"].clone());
        let flow =
            format!("priority=60000,in_port={},actions=drop", link["endpoints"][0]["ovs_port"].as_str().unwrap());
        world.ovs.tool("ovs-ofctl", ["add-flow", &world.management(), &flow]);
        eventually(SOON, "the flow is gone, told as a repair, and the link is proven again", || {
            let link = links(world, "alone").remove(0);
            let anew = link["actual_state"] == "up" && link["last_verified_at"] != proven;
            (anew && !repairs_since(world, entry).is_empty()).then_some(())
        });
        let flows = world.ovs.tool("ovs-ofctl", ["dump-flows", &world.management()]);
        assert!(!flows.contains("priority=60000"), "{flows}");
        world.until_up("alone", SOON);
    });
}

#[test]
fn a_member_alone_whose_frames_do_not_reach_the_switch_is_told_so_and_proven_when_they_do() {
    on_a_machine(LIMIT, |world| {
        world.write("alone.clab.yml", ALONE);
        world.cli(["deploy", "-t", "alone.clab.yml", "--wait", "30s"]).fine();
        // The node's own packet filter: everything that is looked at is right, and frames alone tell.
        let nft = |words: &str| run("ip", ["netns", "exec", "clab-alone-a", "nft", words]);
        nft("add table netdev t");
        nft("add chain netdev t out { type filter hook egress device eth1 priority 0; policy drop; }");
        world.look_again("alone");
        let link = eventually(SOON, "nothing is carried towards the switch", || {
            let link = links(world, "alone").remove(0);
            (link["actual_state"] == "error").then_some(link)
        });
        assert_eq!(link["reason"], "wired, carries nothing (a:eth1 -> its segment)");
        nft("delete table netdev t");
        world.look_again("alone");
        world.until_up("alone", SOON);
    });
}

#[test]
fn interfaces_and_mappings_are_complete_and_name_links_as_inspect_does() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        run("ip", ["-n", "clab-out-a", "addr", "add", "100.64.7.1/30", "dev", "eth1"]);
        let ids: Vec<Value> = links(world, "out").iter().map(|link| link["id"].clone()).collect();
        let mappings = world.get("/labs/out/interface-mappings");
        let mapped: Vec<Value> = mappings["mappings"].as_array().unwrap().iter().map(|m| m["link"].clone()).collect();
        let sorted = |mut ids: Vec<Value>| {
            ids.sort_by_key(ToString::to_string);
            ids
        };
        assert_eq!(sorted(mapped), sorted(ids));
        let interfaces = world.get("/labs/out/nodes/a/interfaces");
        for interface in interfaces["interfaces"].as_array().unwrap() {
            assert_eq!((&interface["up"], &interface["carrier"]), (&true.into(), &true.into()), "{interface}");
            assert!(interface["name_now"].is_string() && interface["last_verified_at"].is_string(), "{interface}");
        }
        let of = |name: &str| {
            let all = interfaces["interfaces"].as_array().unwrap().iter();
            let found = all.clone().find(|interface| interface["linux_interface"] == name).unwrap();
            found["addresses"].to_string()
        };
        assert!(of("eth1").contains("100.64.7.1/30"), "{interfaces}");
        let lab = world.lab("out");
        let management = lab["nodes"][0]["management"]["ipv4"].as_str().unwrap();
        assert!(of("eth0").contains(&format!("\"{management}/")), "{interfaces}");
    });
}

const BRIDGED: &str = "\
name: bridged
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes:
    a: {exec: [ip address add 100.64.9.1/24 dev eth1, ip -6 address add fd64:9::1/64 dev eth1 nodad]}
    b: {exec: [ip address add 100.64.9.2/24 dev eth1, ip -6 address add fd64:9::2/64 dev eth1 nodad]}
    br-lab: {kind: bridge}
  links:
    - endpoints: [\"a:eth1\", \"br-lab:lab-a\"]
    - endpoints: [\"b:eth1\", \"br-lab:lab-b\"]
";

/// The rules of ours for the lab's bridge in what Docker leaves to others, IPv4 and IPv6 together.
fn rules() -> Vec<String> {
    let families = ["iptables", "ip6tables"].map(|program| attempt(program, ["-w", "-S", "DOCKER-USER"]));
    let all = families.into_iter().flatten().collect::<String>();
    all.lines().filter(|rule| rule.contains("br-lab")).map(str::to_owned).collect()
}

fn pings(from: &str, to: &str) -> bool {
    attempt("ip", ["netns", "exec", from, "ping", "-c", "1", "-W", "1", to]).is_ok()
}

#[track_caller]
fn reach_each_other(what: &str) {
    for (from, to) in [("a", "100.64.9.2"), ("b", "100.64.9.1"), ("a", "fd64:9::2")] {
        let from = format!("clab-bridged-{from}");
        eventually(SOON, &format!("{what}: {from} reaches {to}"), || pings(&from, to).then_some(()));
    }
}

#[test]
fn members_of_a_bridge_of_the_host_reach_each_other_where_docker_filters_what_bridges_carry() {
    on_a_machine(LIMIT, |world| {
        run("ip", ["link", "add", "br-lab", "type", "bridge"]);
        run("ip", ["link", "set", "br-lab", "up"]);
        // So an engine leaves it on a machine with the kernel's filter for bridges.
        run("sysctl", ["-qw", "net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1"]);
        run("iptables", ["-P", "FORWARD", "DROP"]);
        world.write("bridged.clab.yml", BRIDGED);
        world.cli(["deploy", "-t", "bridged.clab.yml", "--wait", "30s"]).fine();
        reach_each_other("at once");

        // Somebody clears the chain: a repair.
        let entry = last_entry(world);
        run("iptables", ["-F", "DOCKER-USER"]);
        eventually(SOON, "the rules are back", || {
            let repairs = repairs_since(world, entry);
            (repairs.iter().any(|repair| repair.contains("br-lab")) && rules().len() >= 2).then_some(())
        });
        reach_each_other("mended");
        let entry = last_entry(world);
        world.engine.restart();
        reach_each_other("after the engine restarted");
        eprintln!("{:?}", repairs_since(world, entry));

        // One port is left, then none.
        let one = BRIDGED.replace("    - endpoints: [\"b:eth1\", \"br-lab:lab-b\"]\n", "");
        world.write("bridged.clab.yml", &one);
        world.cli(["deploy", "-t", "bridged.clab.yml", "--wait", "30s"]).fine();
        assert!(rules().len() >= 2, "{:?}", rules());
        let none = one.replace("    - endpoints: [\"a:eth1\", \"br-lab:lab-a\"]\n", "    []\n");
        world.write("bridged.clab.yml", &none);
        world.cli(["deploy", "-t", "bridged.clab.yml", "--wait", "30s"]).fine();
        eventually(SOON, "no port, no rule", || rules().is_empty().then_some(()));

        world.write("bridged.clab.yml", BRIDGED);
        world.cli(["deploy", "-t", "bridged.clab.yml", "--wait", "30s"]).fine();
        assert!(rules().len() >= 2, "{:?}", rules());
        world.cli(["destroy", "bridged", "--wait", "30s"]).fine();
        assert_eq!(rules(), [""; 0]);
        run("ip", ["link", "show", "br-lab"]);
    });
}

const SIZED: &str = "\
name: sized
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes:
    a: {exec: [ip address add 100.64.9.1/24 dev eth1, ip address add 100.64.8.1/24 dev eth2]}
    b: {exec: [ip address add 100.64.9.2/24 dev eth1]}
    br-lab: {kind: bridge}
  links:
    - {endpoints: [\"a:eth1\", \"br-lab:lab-a\"], MTU}
    - {endpoints: [\"b:eth1\", \"br-lab:lab-b\"], MTU}
    - {endpoints: [\"a:eth2\", \"host:to-a\"], MTU}
";

fn mtu(device: &str) -> u64 {
    let shown: Value = serde_json::from_str(&run("ip", ["-j", "link", "show", device])).unwrap();
    shown[0]["mtu"].as_u64().unwrap()
}

/// Whether a packet of this many bytes comes back unfragmented; in a node where one is named.
fn carries(node: Option<&str>, to: &str, bytes: u32) -> bool {
    let data = (bytes - 28).to_string();
    let words = format!("ping -c 1 -W 1 -M do -s {data} {to}");
    match node {
        Some(node) => attempt("ip", format!("netns exec clab-sized-{node} {words}").split(' ')).is_ok(),
        None => attempt("sh", ["-c", &words]).is_ok(),
    }
}

#[track_caller]
fn sized(world: &World, size: u32) {
    for device in ["to-a", "lab-a", "lab-b"] {
        assert_eq!(mtu(device), u64::from(size), "{device}");
    }
    for (from, to) in
        [(Some("a"), "100.64.9.2"), (Some("b"), "100.64.9.1"), (Some("a"), "100.64.8.2"), (None, "100.64.8.1")]
    {
        eventually(SOON, &format!("{from:?} reaches {to} with {size} bytes"), || carries(from, to, size).then_some(()));
        assert!(!carries(from, to, size + 1), "{from:?} {to}: {} bytes", size + 1);
    }
    let entry = last_entry(world);
    world.look_again("sized");
    world.until_up("sized", SOON);
    assert_eq!(repairs_since(world, entry), [""; 0]);
}

#[test]
fn both_ends_of_a_link_out_of_a_lab_have_its_mtu_and_get_another_one_in_place() {
    on_a_machine(LIMIT, |world| {
        run("ip", ["link", "add", "br-lab", "type", "bridge"]);
        run("ip", ["link", "set", "br-lab", "up"]);
        world.write("sized.clab.yml", &SIZED.replace(", MTU", ""));
        world.cli(["deploy", "-t", "sized.clab.yml", "--wait", "30s"]).fine();
        run("ip", ["address", "add", "100.64.8.2/24", "dev", "to-a"]);
        sized(world, 9500);
        // Nobody has set the bridge's own: it is that of its smallest port.
        assert_eq!(mtu("br-lab"), 9500);
        run("ip", ["link", "add", "other", "type", "veth", "peer", "name", "another"]);
        run("ip", ["link", "set", "other", "master", "br-lab"]);
        assert_eq!(mtu("br-lab"), 1500);
        sized(world, 9500);
        run("ip", ["link", "del", "other"]);

        world.write("sized.clab.yml", &SIZED.replace("MTU", "mtu: 1400"));
        world.cli(["deploy", "-t", "sized.clab.yml", "--wait", "30s"]).fine();
        sized(world, 1400);
        assert_eq!(mtu("br-lab"), 1400);

        // Changed by hand on the host's side: a repair.
        mended_in("sized", world, 0, "ip link set lab-a mtu 3000");
        mended_in("sized", world, 2, "ip link set to-a mtu 3000");
        sized(world, 1400);
    });
}

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../artefacts/tests/data/containerlab-0.79/03-linux-nodes-to-bridge-and-host/\
     03-linux-nodes-to-bridge-and-host.clab.yml"
);

#[test]
fn a_lab_of_containerlabs_with_a_node_that_is_the_host_is_deployed() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("alpine:3");
        run("ip", ["link", "add", "br-01-03-clab", "type", "bridge"]);
        run("ip", ["link", "set", "br-01-03-clab", "up"]);
        world.write("03.clab.yml", &std::fs::read_to_string(SAMPLE).unwrap());
        world.cli(["deploy", "-t", "03.clab.yml", "--artefacts", "out", "--wait", "60s"]).fine();
        let lab = world.lab("03-bridge-and-host");
        assert_eq!(lab["state"], "up", "{lab}");
        let host = lab["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "hostnode").unwrap();
        let told = ["kind", "runtime", "state", "image", "container"].map(|key| host[key].as_str());
        assert_eq!(told, [Some("host"), Some("host"), Some("running"), None, None], "{host}");
        let inventory = world.folder.join("out/clab-03-bridge-and-host/ansible-inventory.yml");
        let inventory = std::fs::read_to_string(inventory).unwrap();
        assert!(
            inventory.contains("    host:\n      hosts:\n        clab-03-bridge-and-host-hostnode:\n"),
            "{inventory}"
        );
        world.cli(["destroy", "03-bridge-and-host", "--wait", "30s"]).fine();
    });
}

const HOSTNODE: &str = "\
name: hosted
topology:
  defaults: {kind: linux, image: bb, labels: {archetype.runtime: namespace}}
  nodes:
    a: {exec: [ip address add 100.64.7.1/24 dev eth1]}
    here: {kind: host}
  links:
    - endpoints: [\"a:eth1\", \"here:to-a\"]
";

#[test]
fn an_end_at_a_node_that_is_the_host_is_a_device_of_the_host() {
    on_a_machine(LIMIT, |world| {
        world.write("hosted.clab.yml", HOSTNODE);
        world.cli(["deploy", "-t", "hosted.clab.yml", "--wait", "30s"]).fine();
        run("ip", ["address", "add", "100.64.7.2/24", "dev", "to-a"]);
        eventually(SOON, "the node reaches the host", || {
            attempt("ip", ["netns", "exec", "clab-hosted-a", "ping", "-c", "1", "-W", "1", "100.64.7.2"]).ok()
        });
        explained_in("hosted", world, "a:eth1", &["ip -d link show to-a"]);
        // What the host inherits and has no use for is not shown.
        assert_eq!(world.lab("hosted")["nodes"][1]["image"], Value::Null);
        let refused = world.cli(["node", "hosted", "here", "stop"]);
        assert!(refused.code != 0 && refused.stderr.contains("the host itself"), "{refused:?}");
        world.write("hosted.clab.yml", &HOSTNODE.replace("{kind: host}", "{kind: host, exec: [\"true\"]}"));
        let refused = world.cli(["check", "-t", "hosted.clab.yml"]);
        assert!(refused.code != 0 && refused.stderr.contains("not-runnable-key"), "{refused:?}");
        world.cli(["destroy", "hosted", "--wait", "30s"]).fine();
        assert!(attempt("ip", ["link", "show", "to-a"]).is_err());
    });
}

#[test]
fn kinds_that_are_outside_of_a_lab_have_one_problem_with_a_hint_that_holds() {
    on_a_machine(LIMIT, |world| {
        for kind in ["ext-container", "k8s-kind", "ovs-bridge"] {
            let text = format!("name: x\ntopology: {{nodes: {{a: {{kind: {kind}}}}}}}\n");
            world.write("x.clab.yml", &text);
            let told = world.cli(["check", "-t", "x.clab.yml", "--format", "json"]);
            let told: Value = serde_json::from_str(&told.stdout).unwrap();
            let problems = told["problems"].as_array().unwrap();
            let codes: Vec<_> = problems.iter().map(|problem| problem["code"].as_str().unwrap()).collect();
            assert_eq!(codes, ["not-runnable-kind"], "{told:#}");
            assert!(!told.to_string().contains("archetype.runtime"), "{told:#}");
        }
        world.write("x.clab.yml", "name: x\ntopology: {nodes: {ob: {kind: ovs-bridge}}}\n");
        let told = world.cli(["check", "-t", "x.clab.yml"]);
        assert!(!format!("{told:?}").contains("becomes a LAN"), "{told:?}");
    });
}
