//! A bridge that is not one installation's alone: another `archetype serve` on the same one, and ports of somebody
//! else that hear every wire. Everything is real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod traffic;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use traffic::Traffic;
use world::{Serve, World, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(150);
const SOON: Duration = Duration::from_secs(30);

/// A cable and a LAN.
fn lab(name: &str) -> String {
    format!(
        "name: {name}\ntopology:\n  defaults: {{kind: linux, labels: {{archetype.runtime: namespace}}}}\n  \
         nodes: {{a: {{}}, b: {{}}, sw: {{kind: bridge}}}}\n  links:\n    - endpoints: [\"a:eth1\", \"b:eth1\"]\n    \
         - endpoints: [\"a:eth2\", \"sw:p1\"]\n    - endpoints: [\"b:eth2\", \"sw:p2\"]\n"
    )
}

/// Each port of a lab with its row and its tag.
fn ports(world: &World, lab: &str) -> BTreeMap<String, (String, String)> {
    let of_lab = format!("external_ids:archetype-lab={lab}");
    let words = ["-f", "csv", "--no-headings", "--columns=name,_uuid,tag", "find", "port", &of_lab];
    let rows = world.ovs.vsctl(words);
    let fields = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    rows.lines().map(fields).map(|[name, row, tag]: [String; 3]| (name, (row, tag))).collect()
}

fn tags(ports: &BTreeMap<String, (String, String)>) -> BTreeSet<u16> {
    ports.values().map(|(_, tag)| tag.parse().unwrap()).collect()
}

fn shown(world: &World, serve: &Serve, lab: &str) -> Value {
    let all = world.cli_of(serve, ["inspect", "--format", "json"]).json();
    all["labs"].as_array().unwrap().iter().find(|found| found["name"] == lab).cloned().unwrap_or_default()
}

#[track_caller]
fn until_up(world: &World, serve: &Serve, lab: &str) {
    eventually(SOON, &format!("{lab} is up"), || (shown(world, serve, lab)["state"] == "up").then_some(()));
}

/// Sets a wrong tag on each port of the lab, one after the other, until all are right again.
#[track_caller]
fn mended(world: &World, lab: &str) {
    let right = ports(world, lab);
    for port in right.keys() {
        world.ovs.vsctl(["--no-wait", "set", "port", port, "tag=999"]);
    }
    eventually(SOON, &format!("tags of {lab} are right again"), || (ports(world, lab) == right).then_some(()));
}

#[test]
fn two_installations_on_one_bridge_share_no_tag_and_touch_nothing_of_each_other() {
    on_a_machine(LIMIT, |world| {
        world.serve.term();
        world.serve.set("ARCHETYPE_TAGS", "1-1000");
        world.serve.start();
        world.write("one.clab.yml", &lab("one"));
        world.write("two.clab.yml", &lab("two"));
        world.cli(["deploy", "-t", "one.clab.yml", "--wait", "30s"]).fine();

        // In the same tags the second one is refused, before anything is built.
        let mut second = world.second_serve(&[("ARCHETYPE_TAGS", "1-1000")]);
        for words in [["plan", "-t", "two.clab.yml"], ["deploy", "-t", "two.clab.yml"]] {
            let refused = world.cli_of(&second, words);
            assert_eq!(refused.code, 1, "{refused:?}");
            assert!(refused.stderr.contains("[bridge-shared]") && refused.stderr.contains("--tags"), "{refused:?}");
        }
        assert_eq!(ports(world, "two"), BTreeMap::new());
        second.term();
        second.set("ARCHETYPE_TAGS", "1001-2000");
        second.start();
        world.cli_of(&second, ["deploy", "-t", "two.clab.yml", "--wait", "30s"]).fine();
        until_up(world, &second, "two");
        world.until_up("one", SOON);
        let (one, two) = (ports(world, "one"), ports(world, "two"));
        assert_eq!((one.len(), two.len()), (4, 4), "{one:?} {two:?}");
        assert!(tags(&one).iter().all(|tag| (1..=1000).contains(tag)), "{one:?}");
        assert!(tags(&two).iter().all(|tag| (1001..=2000).contains(tag)), "{two:?}");

        // Each mends its own, and is not in the other's way; nor is one that starts again.
        mended(world, "one");
        mended(world, "two");
        world.serve.kill9();
        mended(world, "two");
        world.serve.start();
        second.term();
        mended(world, "one");
        second.start();
        world.look_again("one");
        world.until_up("one", SOON);
        until_up(world, &second, "two");
        assert_eq!((ports(world, "one"), ports(world, "two")), (one, two.clone()));

        // One goes, and the other one's traffic does not feel it.
        for (node, address) in [("a", "100.64.9.1/24"), ("b", "100.64.9.2/24")] {
            run("ip", ["-n", &format!("clab-two-{node}"), "addr", "add", address, "dev", "eth1"]);
        }
        let traffic = Traffic::begin("clab-two-a", "clab-two-b", "100.64.9.2:7001".parse().unwrap());
        world.cli(["destroy", "one", "--wait", "30s"]).fine();
        assert_eq!(ports(world, "one"), BTreeMap::new());
        traffic.lost_nothing("the other installation's lab destroyed");
        assert_eq!(ports(world, "two"), two);
        let flood = world.ovs.vsctl(["get", "bridge", "arch-ovs", "flood_vlans"]);
        let flood: BTreeSet<u16> =
            flood.trim().trim_matches(['[', ']']).split(", ").map(|t| t.parse().unwrap()).collect();
        assert!(flood.is_subset(&tags(&two)) && flood.len() == 1, "the cable's tag alone: {flood:?}");
        // Proven anew by another start of its own.
        second.kill9();
        second.start();
        until_up(world, &second, "two");
        world.cli_of(&second, ["destroy", "two", "--wait", "30s"]).fine();
        assert_eq!(world.ovs.vsctl(["list-ports", "arch-ovs"]), "");
    });
}

#[test]
fn a_port_of_somebody_else_that_hears_every_tag_is_a_problem_of_plan_and_nothing_is_built() {
    on_a_machine(LIMIT, |world| {
        world.write("one.clab.yml", &lab("one"));
        // The bridge stays behind.
        world.cli(["deploy", "-t", "one.clab.yml", "--wait", "30s"]).fine();
        world.cli(["destroy", "one", "--wait", "30s"]).fine();
        let plug = ["--", "set", "interface", "fport", "type=patch", "options:peer=nobody"];
        world.ovs.vsctl(["--no-wait", "add-port", "arch-ovs", "fport"].into_iter().chain(plug));
        for words in [["plan", "-t", "one.clab.yml"], ["deploy", "-t", "one.clab.yml"]] {
            let refused = world.cli(words);
            assert_eq!(refused.code, 1, "{refused:?}");
            let told = &refused.stderr;
            assert!(told.contains("port fport of the bridge is not ours") && told.contains("[bridge-heard]"), "{told}");
            assert!(told.contains("one.clab.yml"), "{told}");
        }
        assert_eq!(ports(world, "one"), BTreeMap::new());
        // With a tag of its own it is in nobody's way, and the tag is given to no wire.
        world.ovs.vsctl(["--no-wait", "set", "port", "fport", "tag=1"]);
        world.cli(["deploy", "-t", "one.clab.yml", "--wait", "30s"]).fine();
        assert!(!tags(&ports(world, "one")).contains(&1));

        // Later it is no reason to take anything down; links tell it, and none is added.
        world.ovs.vsctl(["--no-wait", "clear", "port", "fport", "tag"]);
        let told = eventually(SOON, "the links tell it", || {
            let links = world.lab("one")["links"].clone();
            let told = links.as_array().unwrap().iter().all(|link| link["actual_state"] == "error");
            told.then(|| links.to_string())
        });
        assert!(told.contains("port fport of bridge arch-ovs, not ours, hears its tag"), "{told}");
        let refused = world.cli(["link", "one", "add", "a:eth3", "b:eth3"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("[bridge-heard]"), "{refused:?}");
        world.cli(["deploy", "-t", "one.clab.yml", "--no-wait"]).fine();
        world.ovs.vsctl(["--no-wait", "del-port", "arch-ovs", "fport"]);
        world.until_up("one", SOON);
        world.cli(["link", "one", "add", "a:eth3", "b:eth3"]).fine();
    });
}

#[test]
fn the_bridge_is_there_before_any_lab_and_comes_back_when_it_is_deleted() {
    on_a_machine(LIMIT, |world| {
        let is_there = |world: &World| world.ovs.vsctl(["list-br"]).lines().any(|bridge| bridge == "arch-ovs");
        eventually(SOON, "the bridge is made", || is_there(world).then_some(()));
        world.ovs.vsctl(["del-br", "arch-ovs"]);
        eventually(SOON, "the bridge is made again", || is_there(world).then_some(()));
        // The next life finds neither bridge nor switch, and makes the one when the other is there.
        world.serve.term();
        world.ovs.vsctl(["del-br", "arch-ovs"]);
        world.ovs.kill_vswitchd();
        world.serve.start();
        world.ovs.start_vswitchd();
        eventually(SOON, "the bridge is made once there is a switch", || is_there(world).then_some(()));
    });
}
