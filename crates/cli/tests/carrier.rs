//! Carrier follows the cable when a node ends, in whatever way: its neighbours lose it within 100 ms of the end of the
//! node's process, and have it again when the node runs. Everything is real: the Docker Engine, the kernel, Open
//! vSwitch, `archetype serve`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::{Duration, Instant};

use archetype_testbed::{Inside, Trials};
use world::{World, eventually, on_a_machine, run, slowly};

const LIMIT: Duration = Duration::from_secs(240);
const SOON: Duration = Duration::from_secs(30);
/// What is waited for by the millisecond comes within this even beside much else.
const LONGEST: Duration = Duration::from_secs(60);
/// What a far end may wait for a carrier that is taken or given back.
const AIM: Duration = Duration::from_millis(100);
/// How many pairs of nodes are trials of every way to end; one pair more stands beside them.
const PAIRS: usize = 8;

/// Nodes `n0`, `n1`, … of one sort, each with a cable to a neighbour of its own, `f0`, `f1`, …
fn pairs(lab: &str, sort: &str) -> String {
    let each = |line: &dyn Fn(usize) -> String| (0..=PAIRS).map(line).collect::<String>();
    let nodes = each(&|n| {
        format!("    n{n}: {{{sort}}}\n    f{n}: {{kind: linux, labels: {{archetype.runtime: namespace}}}}\n")
    });
    let links = each(&|n| format!("    - endpoints: [\"n{n}:eth1\", \"f{n}:eth1\"]\n"));
    format!("name: {lab}\ntopology:\n  nodes:\n{nodes}  links:\n{links}")
}

/// Something that ends at `SIGTERM` at once, as its first process, and does nothing else.
const COMMAND: &str = "\"sh -c 'trap exit TERM; sleep 10000 & wait'\"";

fn deployed(world: &World, lab: &str, text: &str) {
    world.engine.import_busybox("bb");
    let file = format!("{lab}.clab.yml");
    world.write(&file, text);
    world.cli(["deploy", "-t", &file, "--wait", "60s"]).fine();
}

/// Waits until carrier is given, or taken; answers when that was seen.
#[track_caller]
fn until_carrier(far: &Inside, given: bool) -> Instant {
    let begun = Instant::now();
    while far.has_carrier() != given {
        assert!(begun.elapsed() < slowly(LONGEST), "the far end's carrier stays {}", !given);
        std::thread::sleep(Duration::from_micros(500));
    }
    Instant::now()
}

/// Waits for the end of a process; answers when that was seen.
fn until_ended(pid: &str) -> Instant {
    let begun = Instant::now();
    while archetype_testbed::process_runs(pid) {
        let told = || std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        assert!(begun.elapsed() < slowly(LONGEST), "process {pid} goes on: {}", told());
        std::thread::sleep(Duration::from_micros(500));
    }
    Instant::now()
}

/// Ends each node in one way after the other, by what `end` does to its name and process; every neighbour loses
/// carrier soon after the process has gone, and a node beside them does not mind.
#[track_caller]
fn each_ended(lab: &str, how: &str, pid_of: impl Fn(usize) -> String, end: impl Fn(usize, &str) + Sync) {
    let mut taken = Trials::of(how, AIM);
    let beside = Inside::of(&format!("clab-{lab}-f{PAIRS}"), "eth1");
    for n in 0..PAIRS {
        let (far, pid) = (Inside::of(&format!("clab-{lab}-f{n}"), "eth1"), pid_of(n));
        let time = std::thread::scope(|scope| {
            let gone = scope.spawn(|| until_carrier(&far, false));
            let ended = scope.spawn(|| until_ended(&pid));
            end(n, &pid);
            let ended = ended.join().unwrap();
            gone.join().unwrap().saturating_duration_since(ended)
        });
        taken.add(time);
        assert!(beside.has_carrier(), "{how}: a node beside it lost its carrier");
    }
    taken.half_in_time();
}

/// All nodes run, all neighbours have carrier, and nothing of it was a repair of a device.
#[track_caller]
fn given_back(world: &World, lab: &str) {
    world.until_up(lab, SOON);
    for n in 0..=PAIRS {
        until_carrier(&Inside::of(&format!("clab-{lab}-f{n}"), "eth1"), true);
    }
    let journal = world.cli(["journal", lab]).fine().stdout;
    assert!(!journal.contains("device"), "what follows the far end is no repair: {journal}");
}

#[test]
fn a_container_that_ends_takes_its_neighbours_carrier_within_100_ms_until_it_runs_again() {
    on_a_machine(LIMIT, |world| {
        deployed(world, "box", &pairs("box", &format!("kind: linux, image: bb, cmd: {COMMAND}")));
        let name = |n: usize| format!("clab-box-n{n}");
        let pid_of = |n: usize| world.docker(["inspect", "-f", "{{.State.Pid}}", &name(n)]).trim().to_owned();
        each_ended("box", "kill -9 of the container's process", pid_of, |_, pid| drop(run("kill", ["-9", pid])));
        given_back(world, "box");
        each_ended("box", "docker kill", pid_of, |n, _| drop(world.docker(["kill", &name(n)])));
        given_back(world, "box");
        each_ended("box", "docker stop", pid_of, |n, _| drop(world.docker(["stop", &name(n)])));
        given_back(world, "box");
        let wanted = |n: usize, action: &str| world.cli(["node", "box", &format!("n{n}"), action]).fine();
        each_ended("box", "archetype node stop", pid_of, |n, _| drop(wanted(n, "stop")));
        assert!((0..PAIRS).all(|n| !Inside::of(&format!("clab-box-f{n}"), "eth1").has_carrier()));
        (0..PAIRS).for_each(|n| drop(wanted(n, "start")));
        given_back(world, "box");
    });
}

#[test]
fn a_namespace_node_that_ends_takes_its_neighbours_carrier_within_100_ms_until_it_runs_again() {
    on_a_machine(LIMIT, |world| {
        let sort = format!("kind: linux, labels: {{archetype.runtime: namespace}}, cmd: {COMMAND}");
        deployed(world, "own", &pairs("own", &sort));
        let pid_of = |n: usize| {
            let name = format!("clab-own-n{n}");
            eventually(SOON, "its process is there", || {
                let all = run("ip", ["netns", "pids", &name]);
                let is_its_own = |pid: &&str| {
                    let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    words.starts_with("sh\0-c\0trap")
                };
                all.lines().find(is_its_own).map(str::to_owned)
            })
        };
        each_ended("own", "kill -9 of the node's process", pid_of, |_, pid| drop(run("kill", ["-9", pid])));
        given_back(world, "own");
        let wanted = |n: usize, action: &str| world.cli(["node", "own", &format!("n{n}"), action]).fine();
        each_ended("own", "archetype node stop", pid_of, |n, _| drop(wanted(n, "stop")));
        (0..PAIRS).for_each(|n| drop(wanted(n, "start")));
        given_back(world, "own");
    });
}

const KEPT: &str = "\
name: kept
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}, c: {}, sw: {kind: bridge}}
  links:
    - {endpoints: [\"a:eth1\", \"b:eth1\"], labels: {archetype.carrier: keep}}
    - endpoints: [\"a:eth2\", \"b:eth2\"]
    - endpoints: [\"a:eth3\", \"sw:p1\"]
    - endpoints: [\"b:eth3\", \"sw:p2\"]
    - endpoints: [\"c:eth3\", \"sw:p3\"]
";

#[test]
fn a_link_that_keeps_its_carrier_and_members_of_a_lan_keep_it_whatever_another_node_does() {
    on_a_machine(LIMIT, |world| {
        deployed(world, "kept", KEPT);
        let [kept, follows, member] = ["eth1", "eth2", "eth3"].map(|name| Inside::of("clab-kept-b", name));
        let third = Inside::of("clab-kept-c", "eth3");
        let state = |link: usize| world.lab("kept")["links"][link]["actual_state"].as_str().unwrap().to_owned();
        let after_the_carrier_of_the_link_beside_it_went = |what: &str, link: &str| {
            until_carrier(&follows, false);
            eventually(SOON, &format!("{what}: the links of it are {link}"), || {
                [0, 1, 2].iter().all(|at| state(*at) == link).then_some(())
            });
            assert!(kept.has_carrier() && member.has_carrier() && third.has_carrier(), "{what}");
        };
        for interface in ["eth1", "eth2", "eth3"] {
            run("ip", ["-n", "clab-kept-a", "link", "set", interface, "down"]);
        }
        after_the_carrier_of_the_link_beside_it_went("interfaces shut inside", "down");
        eventually(SOON, "the other members are on the LAN", || (state(3) == "up" && state(4) == "up").then_some(()));
        for interface in ["eth1", "eth2", "eth3"] {
            run("ip", ["-n", "clab-kept-a", "link", "set", interface, "up"]);
        }
        world.until_up("kept", SOON);

        world.cli(["node", "kept", "a", "stop"]).fine();
        after_the_carrier_of_the_link_beside_it_went("a node stopped", "pending");
        world.cli(["node", "kept", "a", "start"]).fine();
        world.until_up("kept", SOON);
        until_carrier(&follows, true);

        // The label taken away, carrier follows; and put back, it is kept again: in place.
        let device = world.lab("kept")["links"][0]["endpoints"][0]["ovs_port"].clone();
        world.write("kept.clab.yml", &KEPT.replace("carrier: keep", "carrier: follow"));
        world.cli(["deploy", "-t", "kept.clab.yml", "--wait", "30s"]).fine();
        world.cli(["node", "kept", "a", "stop"]).fine();
        until_carrier(&kept, false);
        world.write("kept.clab.yml", KEPT);
        world.cli(["deploy", "-t", "kept.clab.yml", "--wait", "30s"]);
        until_carrier(&kept, true);
        world.cli(["node", "kept", "a", "start"]).fine();
        world.until_up("kept", SOON);
        assert_eq!(world.lab("kept")["links"][0]["endpoints"][0]["ovs_port"], device, "nothing was made anew");
    });
}
