//! What `inspect` says of links is so: never `up` while something stands in the way, and `up` again, proven, once it
//! is gone. Everything is real: Open vSwitch, the Docker Engine, the kernel, `archetype serve`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use archetype_testbed::scratch_dir;
use nix::sys::signal::Signal;
use serde_json::Value;
use world::{World, attempt, eventually, on_a_machine, run, slowly};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);
/// How long a wrong link may go on being shown as it was read last.
const NOTICED: Duration = Duration::from_secs(5);
/// How long a link is looked at while its cause stays.
const LOOKED_AT: Duration = Duration::from_millis(500);
/// How long a tag may be wrong whatever else goes on.
const USUAL: Duration = Duration::from_secs(2);

const PAIR: &str = "\
name: pair
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}}
  links: [{endpoints: [\"a:eth1\", \"b:eth1\"]}]
";

/// A lab of containers, of `images` one each, in a row of pairs.
fn containers(name: &str, count: usize, image: &str) -> String {
    let nodes: String = (0..count).map(|n| format!("    n{n}: {{kind: linux, image: \"{image}\"}}\n")).collect();
    let pairs = (0..count / 2).map(|n| (2 * n, 2 * n + 1));
    let links: String = pairs.map(|(a, b)| format!("    - endpoints: [\"n{a}:eth1\", \"n{b}:eth1\"]\n")).collect();
    format!("name: {name}\ntopology:\n  nodes:\n{nodes}  links:\n{links}")
}

/// The only link of a lab, or its first.
fn link(world: &World, lab: &str) -> Value {
    world.lab(lab)["links"][0].clone()
}

fn state(world: &World, lab: &str) -> String {
    link(world, lab)["actual_state"].as_str().unwrap().to_owned()
}

/// The port, and host device, of an end of the first link.
fn port(world: &World, lab: &str, end: usize) -> String {
    link(world, lab)["endpoints"][end]["ovs_port"].as_str().unwrap().to_owned()
}

fn journal(world: &World) -> Vec<Value> {
    world.cli(["journal", "--format", "json"]).json()["entries"].as_array().unwrap().clone()
}

fn last_entry(world: &World) -> u64 {
    journal(world).last().and_then(|entry| entry["id"].as_u64()).unwrap_or(0)
}

/// What the journal calls repairs, after an entry.
fn repairs_since(world: &World, entry: u64) -> Vec<String> {
    let of_kind = |entry: &Value| entry["kind"] == "repair";
    let later = journal(world).into_iter().filter(|found| found["id"].as_u64() > Some(entry)).filter(of_kind);
    later.map(|repair| repair["message"].to_string()).collect()
}

fn deployed_pair(world: &World) {
    world.write("pair.clab.yml", PAIR);
    world.cli(["deploy", "-t", "pair.clab.yml", "--wait", "30s"]).fine();
    assert_eq!(state(world, "pair"), "up");
}

/// The first frame that is sent gets through: nothing has to settle after `up`.
#[track_caller]
fn carries(what: &str) {
    for (node, address) in [("a", "10.9.9.1/24"), ("b", "10.9.9.2/24")] {
        run("ip", ["-n", &format!("clab-pair-{node}"), "addr", "replace", address, "dev", "eth1"]);
    }
    let patience = format!("-W{}", slowly(Duration::from_secs(1)).as_secs());
    let ping = attempt("ip", ["netns", "exec", "clab-pair-a", "ping", "-c1", &patience, "10.9.9.2"]);
    assert!(ping.is_ok(), "{what}: the link is up and carries nothing: {ping:?}");
}

/// The link is not `up` soon, and not in all the time in which it is looked at.
#[track_caller]
fn not_up(world: &World, lab: &str, what: &str) -> String {
    eventually(NOTICED, &format!("{what}: the link is up no more"), || (state(world, lab) != "up").then_some(()));
    let begun = Instant::now();
    let mut last = String::new();
    while begun.elapsed() < LOOKED_AT {
        last = state(world, lab);
        assert_ne!(last, "up", "{what}");
    }
    last
}

/// The link is proven again by itself, it carries, and the journal has a repair since `entry`.
#[track_caller]
fn proven_again(world: &World, what: &str, entry: u64) {
    let repairs = eventually(SOON, &format!("{what}: proven again with a repair"), || {
        let repairs = repairs_since(world, entry);
        (state(world, "pair") == "up" && !repairs.is_empty()).then_some(repairs)
    });
    carries(what);
    eprintln!("{what}: {repairs:?}");
}

/// Something done behind our back while the switch cannot answer, so that nobody can mend it for a while.
#[track_caller]
fn while_the_switch_hangs(world: &mut World, what: &str, cause: impl FnOnce(&World, &str)) {
    let (entry, device) = (last_entry(world), port(world, "pair", 0));
    world.ovs.signal_vswitchd(Signal::SIGSTOP);
    cause(world, &device);
    not_up(world, "pair", what);
    world.ovs.signal_vswitchd(Signal::SIGCONT);
    proven_again(world, what, entry);
}

/// `ovs-vsctl` that does not wait for the switch.
fn vsctl<const N: usize>(world: &World, words: [&str; N]) {
    world.ovs.vsctl(["--no-wait"].into_iter().chain(words));
}

#[test]
fn a_link_whose_port_is_not_as_wanted_is_not_up_and_is_proven_again_with_a_repair() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        while_the_switch_hangs(world, "tag changed", |world, device| vsctl(world, ["set", "port", device, "tag=999"]));
        while_the_switch_hangs(world, "port deleted", |world, device| vsctl(world, ["del-port", device]));
        while_the_switch_hangs(world, "fail_mode changed", |world, _| {
            vsctl(world, ["set-fail-mode", "arch-ovs", "secure"]);
        });
        while_the_switch_hangs(world, "bridge deleted", |world, _| vsctl(world, ["del-br", "arch-ovs"]));
    });
}

#[test]
fn a_link_whose_device_is_another_one_is_not_up_and_is_proven_again_with_a_repair() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        while_the_switch_hangs(world, "veth gone", |_, device| drop(run("ip", ["link", "del", device])));

        // A device of somebody else's under our name is named and left alone, however right it looks.
        let (entry, device) = (last_entry(world), port(world, "pair", 0));
        world.ovs.signal_vswitchd(Signal::SIGSTOP);
        created_again(&device, "");
        world.ovs.signal_vswitchd(Signal::SIGCONT);
        not_up(world, "pair", "device re-created under its old name");
        let told = eventually(SOON, "it is named", || {
            let told = world.cli(["inspect", "pair"]).stdout;
            told.contains("device-name-taken").then_some(told)
        });
        assert!(told.contains("exists and is not ours"), "{told}");
        assert_eq!(state(world, "pair"), "error", "{told}");
        assert_eq!(alias(&device), "", "the device of somebody else was marked");
        assert!(!world.ovs.vsctl(["list-ports", "arch-ovs"]).contains(&device), "it was plugged");
        // The end that is there is parked, and the error is the other one's.
        let made = port(world, "pair", 1);
        let row = world.ovs.vsctl(["--columns=tag,protected", "list", "port", &made]);
        assert!(row.contains("4094") && row.contains("true"), "{row}");
        let reason = link(world, "pair")["reason"].as_str().unwrap().to_owned();
        assert!(reason.starts_with("a:eth1: ") && reason.contains(&device), "{reason}");
        run("ip", ["link", "del", &device]);
        proven_again(world, "device re-created under its old name", entry);

        // The same with our mark is taken for ours, and plugged anew: the port held the one before it.
        while_the_switch_hangs(world, "device re-created under its old name with our mark", |_, device| {
            created_again(device, &alias(device));
        });
    });
}

#[test]
fn a_host_end_that_somebody_moved_away_is_made_anew_in_place() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        let (entry, moved) = (last_entry(world), port(world, "pair", 0));
        run("ip", ["netns", "add", "mine"]);
        run("ip", ["link", "set", &moved, "netns", "mine"]);
        proven_again(world, "host end moved away", entry);
        assert!(attempt("ip", ["-n", "mine", "link", "show", &moved]).is_err(), "the end that was moved is left");
        run("ip", ["netns", "delete", "mine"]);
    });
}

#[test]
fn an_interface_that_somebody_moved_to_the_host_or_to_another_node_is_made_anew_in_its_own() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        for (to, left) in [("1", vec![]), ("clab-pair-b", vec!["-n", "clab-pair-b"])] {
            let entry = last_entry(world);
            run("ip", ["-n", "clab-pair-a", "link", "set", "eth1", "name", "stolen"]);
            run("ip", ["-n", "clab-pair-a", "link", "set", "stolen", "netns", to]);
            proven_again(world, &format!("interface moved to {to}"), entry);
            let stolen = attempt("ip", [&left[..], &["link", "show", "stolen"]].concat());
            assert!(stolen.is_err(), "what was moved to {to} is left");
        }
    });
}

fn alias(device: &str) -> String {
    std::fs::read_to_string(format!("/sys/class/net/{device}/ifalias")).unwrap().trim().to_owned()
}

/// The device goes and comes back with another number, and looks as the one before it.
fn created_again(device: &str, alias: &str) {
    run("ip", ["link", "del", device]);
    run("ip", ["link", "add", device, "type", "veth", "peer", "name", "eth1", "netns", "clab-pair-a"]);
    run("ip", ["link", "set", device, "alias", alias]);
    run("ip", ["link", "set", device, "up"]);
    run("ip", ["-n", "clab-pair-a", "link", "set", "eth1", "up"]);
}

#[test]
fn a_link_is_not_up_while_the_switch_is_stopped_and_is_proven_anew_after_each_start_of_it() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        world.ovs.stop_vswitchd();
        not_up(world, "pair", "vswitchd stopped");
        world.ovs.start_vswitchd();
        world.until_up("pair", SOON);
        carries("vswitchd started");

        // A change behind our back while it was away is found however it comes back.
        let (entry, device) = (last_entry(world), port(world, "pair", 0));
        world.ovs.kill_vswitchd();
        vsctl(world, ["set", "port", &device, "tag=999"]);
        not_up(world, "pair", "vswitchd killed");
        world.ovs.start_vswitchd();
        proven_again(world, "vswitchd killed", entry);

        world.ovs.restart_vswitchd();
        let entry = last_entry(world);
        world.until_up("pair", SOON);
        eventually(SOON, "it carries after a restart", || {
            (state(world, "pair") == "up").then(|| carries("vswitchd restarted"))
        });
        assert!(repairs_since(world, entry).len() < 3, "{:?}", repairs_since(world, entry));
    });
}

#[test]
fn a_link_that_could_not_be_read_is_unknown_and_is_read_again_by_itself() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        let (entry, device) = (last_entry(world), port(world, "pair", 0));
        world.ovs.stop_database();
        assert_eq!(not_up(world, "pair", "database stopped"), "unknown");
        assert_eq!(world.lab("pair")["state"], "unknown");
        let told = world.cli(["explain", "pair", "a:eth1"]).fine().stdout;
        assert!(told.contains("could not be read") && !told.contains("has no port"), "{told}");
        world.ovs.start_database();
        world.until_up("pair", SOON);
        assert_eq!(repairs_since(world, entry), [""; 0], "nothing was taken for absent");
        assert_eq!(port(world, "pair", 0), device);
        carries("database started");
    });
}

#[test]
fn a_database_that_is_lost_is_written_again() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        // So that what was written last has a number which the new database comes to late.
        for _ in 0..5 {
            let device = port(world, "pair", 0);
            vsctl(world, ["set", "port", &device, "tag=4000"]);
            eventually(SOON, "the tag is mended", || {
                (world.ovs.vsctl(["get", "port", &device, "tag"]).trim() != "4000").then_some(())
            });
        }
        world.ovs.stop_database();
        std::fs::remove_file(scratch_dir("ovs").join("db/conf.db")).unwrap();
        world.ovs.start_database();
        eventually(SOON, "the ports are there again", || {
            let ports = world.ovs.try_vsctl(["list-ports", "arch-ovs"]).unwrap_or_default();
            (ports.lines().count() == 2).then_some(())
        });
        world.until_up("pair", SOON);
        carries("another database");
    });
}

#[test]
fn a_link_of_a_container_that_is_dead_is_not_up() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write("two.clab.yml", &containers("two", 2, "bb"));
        world.cli(["deploy", "-t", "two.clab.yml", "--wait", "60s"]).fine();
        // Each end doubles the wait for the next start.
        let mut waited = 0;
        for _ in 0..4 {
            attempt("docker", ["-H", &world.engine.host(), "kill", "clab-two-n0"]).ok();
            let is_running = |lab: &Value| lab["nodes"][0]["state"] == "running";
            eventually(SOON, "the container's end is seen, and its next start", || {
                let lab = world.lab("two");
                if !is_running(&lab) {
                    waited += 1;
                    assert_ne!(lab["links"][0]["actual_state"], "up", "{lab}");
                }
                (is_running(&lab) && lab["links"][0]["actual_state"] == "up").then_some(())
            });
        }
        assert!(waited > 10, "the link was looked at {waited} times while its container was dead");
        // Without the engine's word nobody knows.
        let id = world.docker(["inspect", "-f", "{{.State.Pid}}", "clab-two-n0"]);
        world.engine.signal(Signal::SIGSTOP);
        run("kill", ["-9", id.trim()]);
        eventually(Duration::from_secs(30), "the link is up no more", || (state(world, "two") != "up").then_some(()));
        world.engine.signal(Signal::SIGCONT);
        world.until_up("two", Duration::from_secs(30));
    });
}

/// Changes the tag of the pair's link behind our back, again and again, and answers the longest time it was wrong.
#[track_caller]
fn worst_mending(world: &World, times: usize) -> Duration {
    let device = port(world, "pair", 0);
    let tag = || world.ovs.vsctl(["--no-wait", "get", "port", &device, "tag"]).trim().to_owned();
    let wanted = link(world, "pair")["endpoints"][0]["vlan_tag"].to_string();
    let mut worst = Duration::ZERO;
    for _ in 0..times {
        vsctl(world, ["set", "port", &device, "tag=999"]);
        let begun = Instant::now();
        eventually(SOON, "the tag is mended", || (tag() == wanted).then_some(()));
        worst = worst.max(begun.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    worst
}

#[test]
fn a_changed_tag_is_mended_in_time_while_another_lab_pulls_starts_or_waits_for_the_engine() {
    on_a_machine(Duration::from_secs(200), |world| {
        deployed_pair(world);
        world.engine.import_busybox("bb");
        let quiet = worst_mending(world, 5);

        // A registry that takes the call and says nothing.
        let registry = TcpListener::bind("127.0.0.1:0").unwrap();
        let image = format!("{}/img:1", registry.local_addr().unwrap());
        world.write("pull.clab.yml", &containers("pull", 2, &image));
        world.cli(["deploy", "-t", "pull.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "it is pulled", || {
            let reason = world.lab("pull")["nodes"][0]["reason"].to_string();
            reason.contains("pull").then_some(())
        });
        let pulling = worst_mending(world, 5);
        assert!(world.lab("pull")["nodes"][0]["reason"].to_string().contains("pull"), "{}", world.lab("pull"));
        world.cli(["destroy", "pull", "--wait", "30s"]).fine();

        world.write("many.clab.yml", &containers("many", 100, "bb"));
        world.cli(["deploy", "-t", "many.clab.yml", "--no-wait"]).fine();
        let nodes = world.lab("many")["nodes"].as_array().unwrap().clone();
        assert!(nodes.iter().any(|node| node["state"] != "running"), "all hundred had started before the first change");
        let starting = worst_mending(world, 5);
        world.until_up("many", Duration::from_secs(120));

        world.engine.signal(Signal::SIGSTOP);
        let stopped = worst_mending(world, 5);
        world.engine.signal(Signal::SIGCONT);

        eprintln!("quiet {quiet:?}, pulling {pulling:?}, starting {starting:?}, engine stopped {stopped:?}");
        for (what, worst) in [("pulling", pulling), ("starting", starting), ("engine stopped", stopped)] {
            assert!(worst < slowly(USUAL), "{what}: {worst:?}, and {quiet:?} with nothing else going on");
        }
    });
}

/// Everything that a write would change.
fn host(world: &World) -> String {
    let database = world.ovs.vsctl(["get", "open_vswitch", ".", "next_cfg"]);
    let rows = world.ovs.vsctl(["--columns=_uuid,name,tag,external_ids", "list", "port"]);
    let hosts = std::fs::metadata(world.hosts_file()).unwrap().modified().unwrap();
    let containers = world.docker(["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]);
    let started = world.docker(["inspect", "-f", "{{.State.StartedAt}}", "clab-two-n0", "clab-two-n1"]);
    let mut all = vec![database, rows, format!("{hosts:?}"), containers, started];
    for script in ["ip -o link", "ip -o addr show scope global", "nft -sa list ruleset", "ls /run/netns"] {
        all.push(run("sh", ["-c", script]));
    }
    for node in ["clab-pair-a", "clab-pair-b", "clab-two-n0", "clab-two-n1"] {
        all.push(
            run("ip", ["-n", node, "-o", "link"]) + &run("ip", ["-n", node, "-o", "addr", "show", "scope", "global"]),
        );
    }
    all.join("\n").replace(" state UNKNOWN ", " state UP ")
}

#[test]
fn a_started_again_serve_writes_nothing_and_proves_every_link_anew() {
    on_a_machine(LIMIT, |world| {
        deployed_pair(world);
        world.engine.import_busybox("bb");
        world.write("two.clab.yml", &containers("two", 2, "bb"));
        world.cli(["deploy", "-t", "two.clab.yml", "--wait", "60s"]).fine();
        let before = host(world);
        for how in ["SIGTERM", "kill -9"] {
            let entry = last_entry(world);
            if how == "SIGTERM" {
                world.serve.term()
            } else {
                world.serve.kill9()
            }
            assert_eq!(host(world), before, "{how}: stopping it leaves every lab as it is");
            world.serve.start();
            let since = time_now();
            for lab in ["pair", "two"] {
                eventually(SOON, "every link is verified anew", || {
                    let link = link(world, lab);
                    let at = link["last_verified_at"].as_str().unwrap_or_default().to_owned();
                    (link["actual_state"] == "up" && at > since).then_some(())
                });
            }
            assert_eq!(host(world), before, "{how}");
            assert_eq!(repairs_since(world, entry), [""; 0], "{how}");
        }
    });
}

/// The time as `inspect` writes it.
fn time_now() -> String {
    run("date", ["-u", "+%Y-%m-%dT%H:%M:%S.%3NZ"]).trim().to_owned()
}
