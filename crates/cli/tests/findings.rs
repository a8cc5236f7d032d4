//! What a running installation can find is told with its code, in words that name the thing and say what to do, and
//! goes away by itself with its cause. Every cause is real: Open vSwitch, the Docker Engine, the kernel, `archetype
//! serve`. What no cause made from outside can give stands in the tests of the agent and of the host's rooms.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use archetype_testbed::scratch;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;
use world::{ARCHETYPE, Output, World, attempt, eventually, on_a_machine, on_a_machine_without_the_runtime, run};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(25);

const PAIR: &str = "\
name: pair
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}, lan: {kind: bridge}}
  links: [{endpoints: [\"a:eth1\", \"b:eth1\"]}, {endpoints: [\"a:eth2\", \"lan:p1\"]}]
";

/// A lab of one node: of containers, unless it says otherwise.
fn one(lab: &str, node: &str) -> String {
    format!("name: {lab}\ntopology:\n  nodes:\n    a: {{kind: linux, {node}}}\n")
}

/// A lab of one namespace node, on a management network of its own.
fn on_network(lab: &str, subnet: &str) -> String {
    let mgmt = format!("mgmt: {{network: net-{lab}, ipv4-subnet: {subnet}}}\n");
    mgmt + &one(lab, "labels: {archetype.runtime: namespace}")
}

fn deploy(world: &World, lab: &str, text: &str) {
    world.write(&format!("{lab}.clab.yml"), text);
    world.cli(["deploy", "-t", &format!("{lab}.clab.yml"), "--no-wait"]).fine();
}

fn findings(world: &World, lab: &str) -> Vec<Value> {
    world.lab(lab)["findings"].as_array().cloned().unwrap_or_default()
}

/// Waits for the finding; its message has those words, and its hint these.
#[track_caller]
fn found(world: &World, lab: &str, code: &str, message: &str, hint: &str) {
    let what = format!("{code} is found");
    let told = eventually(SOON, &what, || findings(world, lab).into_iter().find(|finding| finding["code"] == code));
    sensible(told["message"].as_str().unwrap(), told["hint"].as_str().unwrap(), message, hint);
    eprintln!("{code}: {} | {}", told["message"], told["hint"]);
    let shown = world.cli(["inspect", lab]).stdout;
    assert!(shown.contains(&format!("[{code}]")), "{shown}");
}

#[track_caller]
fn sensible(told: &str, advice: &str, message: &str, hint: &str) {
    assert!(told.contains(message), "{message}: {told}");
    assert!(advice.contains(hint) && !advice.is_empty(), "{hint}: {advice}");
    let odd = ["\n", "  ", "Some(", "Err(", "Error {", "panicked"];
    assert!(!odd.iter().any(|odd| told.contains(odd)), "these are no words for a person: {told}");
}

/// Waits until the lab has no finding of that code any more. Everything is looked at again at once, so that no test
/// waits for the wait between two tries.
#[track_caller]
fn mended(world: &World, lab: &str, code: &str) {
    eventually(SOON, &format!("{code} goes away"), || {
        world.look_again(lab);
        findings(world, lab).iter().all(|finding| finding["code"] != code).then_some(())
    });
}

/// The lab is up and nothing is wrong with it.
#[track_caller]
fn right(world: &World, lab: &str) {
    world.look_again(lab);
    world.until_up(lab, SOON);
    assert_eq!(findings(world, lab), [] as [Value; 0]);
}

/// A command is refused with that code, in such words.
#[track_caller]
fn refused(output: &Output, code: &str, message: &str, hint: &str) {
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains(&format!("[{code}]")), "{output:?}");
    assert!(output.stderr.contains(message) && output.stderr.contains(hint), "{output:?}");
    eprint!("{}", output.stderr);
}

#[test]
fn what_is_wrong_with_the_switch_is_told_and_goes_with_its_cause() {
    on_a_machine(LIMIT, |world| {
        deploy(world, "pair", PAIR);
        world.until_up("pair", SOON);

        world.ovs.vsctl(["set", "open_vswitch", ".", "other_config:vlan-limit=1"]);
        found(world, "pair", "harmful-switch-setting", "vlan-limit=1 is set on bridge arch-ovs", "ovs-vsctl");
        world.ovs.vsctl(["remove", "open_vswitch", ".", "other_config", "vlan-limit"]);
        mended(world, "pair", "harmful-switch-setting");

        let port = world.lab("pair")["links"][0]["endpoints"][0]["ovs_port"].as_str().unwrap().to_owned();
        world.ovs.vsctl(["clear", "port", &port, "external_ids"]);
        found(world, "pair", "port-name-taken", &format!("{port} on bridge arch-ovs is not ours"), "--bridge");
        // The end that is ours leads nowhere meanwhile, and the link's error names the one that is not.
        let link = eventually(SOON, "the link says so", || {
            let link = world.lab("pair")["links"][0].clone();
            (link["actual_state"] == "error").then_some(link)
        });
        assert_eq!(link["reason"], format!("a:eth1: port {port} is not the one made for a:eth1"), "{link}");
        let other = link["endpoints"][1]["ovs_port"].as_str().unwrap();
        eventually(SOON, "the other end is parked", || {
            let row = world.ovs.vsctl(["--columns=tag,protected", "list", "port", other]);
            (row.contains("4094") && row.contains("true")).then_some(())
        });
        world.ovs.vsctl(["del-port", "arch-ovs", &port]);
        mended(world, "pair", "port-name-taken");
        world.until_up("pair", SOON);

        world.ovs.kill_vswitchd();
        found(world, "pair", "switch-not-running", "ovs-vswitchd does not run", "start Open vSwitch");
        world.ovs.start_vswitchd();
        mended(world, "pair", "switch-not-running");
        right(world, "pair");

        let told = world.cli(["exec", "pair", "lan", "--", "true"]);
        refused(&told, "node-without-process", "lan is a bridge", "");
    });
}

#[test]
fn an_engine_without_the_runtime_is_told_at_the_start_and_nodes_start_when_it_has_it() {
    on_a_machine_without_the_runtime(LIMIT, |world| {
        let told = |world: &World| {
            let findings = world.inspect()["findings"].clone();
            findings.as_array().is_some_and(|all| all.iter().any(|finding| finding["code"] == "runtime-missing"))
        };
        eventually(SOON, "the host says so, without any lab", || told(world).then_some(()));
        let log = std::fs::read_to_string(world.serve.log()).unwrap();
        let warned = log.lines().find(|line| line.contains("WARN") && line.contains("runtime")).unwrap_or_default();
        assert!(warned.contains("archetype host setup"), "{log}");

        world.engine.import_busybox("bb");
        let image = "{kind: linux, image: bb}";
        let text = format!("name: row\ntopology: {{nodes: {{x: {image}, y: {image}, z: {image}}}}}\n");
        world.write("row.clab.yml", &text);
        for words in [["deploy", "-t"], ["plan", "-t"]] {
            let ended = world.cli(words.into_iter().chain(["row.clab.yml"]));
            assert_eq!(ended.code, 1, "{}", ended.stdout);
            assert_eq!(ended.stderr.matches("[not-runnable-container]").count(), 3, "{}", ended.stderr);
            assert!(ended.stderr.contains("archetype host setup"), "{}", ended.stderr);
        }
        assert_eq!(world.inspect()["labs"], serde_json::json!([]), "nothing was built");
        let root = archetype_testbed::scratch_dir("root");
        let engine = world.engine.host();
        let binary = world::runtime();
        let set_up = |world: &World| {
            let words = ["host", "setup", "--docker", &engine, "--root", root.to_str().unwrap(), "--runtime-binary"];
            world.cli(words.into_iter().chain([binary.to_str().unwrap()])).fine();
        };
        set_up(world);
        world.cli(["deploy", "-t", "row.clab.yml"]).fine();
        eventually(SOON, "nothing is told any more", || (!told(world)).then_some(()));

        // An engine that knew it once, and lost it. One cause is told once, with the nodes that it is about.
        world.engine.stop();
        std::fs::write(world.engine.config(), "{}").unwrap();
        world.engine.launch();
        found(world, "row", "runtime-missing", "runtime", "host setup");
        eventually(SOON, "all three are told of, in one line", || {
            let shown = world.cli(["inspect", "row"]).stdout;
            assert_eq!(shown.matches("[runtime-missing]").count(), 1, "{shown}");
            let line = shown.lines().find(|line| line.contains("[runtime-missing]"))?.to_owned();
            ["x", "y", "z"].iter().all(|node| line.contains(&format!("clab-row-{node}"))).then_some(())
        });
        set_up(world);
        world.until_up("row", SOON);
        eventually(SOON, "nothing is told any more", || (!told(world)).then_some(()));
    });
}

#[test]
fn a_docker_network_that_cannot_be_laid_is_a_finding_that_stays_and_is_tried_ever_more_rarely() {
    on_a_machine(LIMIT, |world| {
        deploy(world, "net", &on_network("net", "100.64.5.0/24"));
        world.until_up("net", SOON);
        eventually(SOON, "the Docker network is there", || {
            attempt("docker", ["-H", &world.engine.host(), "network", "inspect", "net-net"]).ok()
        });
        // The engine does not make its own chains again before its next start, and refuses networks without them.
        run("nft", ["flush", "ruleset"]);
        world.docker(["network", "rm", "net-net"]);
        let failed = |world: &World| findings(world, "net").iter().any(|f| f["code"] == "engine-refused");
        eventually(SOON, "it is told", || failed(world).then_some(()));
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(6) {
            assert!(failed(world), "the finding stays: {:#?}", findings(world, "net"));
        }
        let journal = world.cli(["journal", "--format", "json"]).json();
        let repairs: Vec<_> =
            journal["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "repair").collect();
        assert!(repairs.len() < 12, "{} repairs: {journal:#}", repairs.len());
    });
}

#[test]
fn what_is_in_the_way_of_a_management_network_is_told_and_goes_with_its_cause() {
    on_a_machine(LIMIT, |world| {
        // Somebody else's addresses come to the host while the bridge is gone.
        deploy(world, "first", &on_network("first", "100.64.1.0/24"));
        world.until_up("first", SOON);
        let bridge = bridge_of(world, "net-first");
        run("ip", ["link", "add", "other0", "type", "bridge"]);
        run("ip", ["addr", "add", "100.64.1.77/25", "dev", "other0"]);
        run("ip", ["link", "set", "other0", "up"]);
        run("ip", ["link", "del", &bridge]);
        let message = "100.64.1.0/24 of management network net-first overlaps the network behind device other0";
        found(world, "first", "network-subnet-taken", message, "mgmt.ipv4-subnet");
        run("ip", ["link", "del", "other0"]);
        mended(world, "first", "network-subnet-taken");
        right(world, "first");

        // A container of somebody else's is on the network of a lab that goes.
        world.engine.import_busybox("bb");
        deploy(world, "second", &on_network("second", "100.64.2.0/24"));
        world.until_up("second", SOON);
        eventually(SOON, "the Docker network is there", || {
            attempt("docker", ["-H", &world.engine.host(), "network", "inspect", "net-second"]).ok()
        });
        world.docker(["run", "-d", "--name", "guest", "--network", "net-second", "bb", "sleep", "1000"]);
        world.cli(["destroy", "second", "--wait", "20s"]);
        found(world, "first", "network-in-use", "net-second stays: guest still on it", "when these have left");
        world.docker(["rm", "-f", "guest"]);
        mended(world, "first", "network-in-use");
        assert!(attempt("docker", ["-H", &world.engine.host(), "network", "inspect", "net-second"]).is_err());
    });
}

fn bridge_of(world: &World, network: &str) -> String {
    let format = "{{index .Options \"com.docker.network.bridge.name\"}}";
    eventually(SOON, "the Docker network is there", || {
        attempt("docker", ["-H", &world.engine.host(), "network", "inspect", "-f", format, network]).ok()
    })
    .trim()
    .to_owned()
}

/// Until it is unmounted.
fn read_only(path: &str) {
    run("mount", ["--bind", path, path]);
    run("mount", ["-o", "remount,ro,bind", path]);
}

#[test]
fn an_engine_or_a_file_that_a_management_network_needs_is_told_and_tried_again() {
    on_a_machine(LIMIT, |world| {
        // A hosts file that another program keeps to itself.
        let hosts = world.hosts_file();
        let path = hosts.to_str().unwrap();
        let held = Flock::lock(File::open(path).unwrap(), FlockArg::LockExclusive).unwrap();
        deploy(world, "slow", &on_network("slow", "100.64.5.0/24"));
        found(world, "slow", "network-too-slow", &format!("another program keeps {path} locked"), "by itself");
        drop(held);
        mended(world, "slow", "network-too-slow");
        right(world, "slow");

        // One that cannot be written.
        read_only(path);
        deploy(world, "fourth", &on_network("fourth", "100.64.4.0/24"));
        found(world, "fourth", "network-failed", path, "by itself");
        run("umount", [path]);
        mended(world, "fourth", "network-failed");
        right(world, "fourth");

        // The engine comes back with a network that it keeps for somebody else.
        world.docker(["network", "create", "--subnet", "100.64.3.0/24", "theirs"]);
        world.engine.stop();
        attempt("ip", ["-br", "link"]).unwrap().lines().filter(|line| line.starts_with("br-")).for_each(|line| {
            run("ip", ["link", "del", line.split_whitespace().next().unwrap()]);
        });
        deploy(world, "third", &on_network("third", "100.64.3.0/24"));
        world.until_up("third", SOON);
        world.engine.launch();
        found(world, "third", "engine-refused", "lay the Docker network net-third over", "tries again by itself");
        world.docker(["network", "rm", "theirs"]);
        mended(world, "third", "engine-refused");
    });
}

#[test]
fn a_host_without_an_engine_or_without_a_program_says_what_is_missing() {
    on_a_machine(LIMIT, |world| {
        let path = std::env::var("PATH").unwrap();
        let empty = scratch().join("no-programs");
        std::fs::create_dir(&empty).unwrap();
        world.serve.term();
        world.serve.set("PATH", empty.to_str().unwrap());
        world.serve.start();
        deploy(world, "bare", &on_network("bare", "100.64.6.0/24"));
        found(world, "bare", "program-missing", "nft is not installed", "apt-get install nftables");
        world.serve.term();
        world.serve.set("PATH", &path);
        let engine = world.engine.host();
        world.serve.start();
        right(world, "bare");

        world.engine.import_busybox("bb");
        deploy(world, "box", &one("box", "image: bb"));
        right(world, "box");
        world.serve.term();
        world.serve.set("ARCHETYPE_DOCKER", "none");
        world.serve.start();
        let box_ = world.write("crate.clab.yml", &one("crate", "image: bb"));
        let told = world.cli(["deploy", "-t", box_.to_str().unwrap()]);
        assert!(told.code == 1 && told.stderr.contains("not-runnable-container"), "{}", told.stderr);
        let part = world.cli(["deploy", "--partial", "-t", box_.to_str().unwrap()]).fine();
        assert!(part.stdout.contains("left out") && part.stdout.contains("not-runnable-container"), "{}", part.stdout);
        world.cli(["destroy", "crate"]).fine();
        found(world, "box", "engine-missing", "this host has no Docker Engine", "--docker");
        refused(&world.cli(["logs", "box", "a"]), "engine-missing", "no Docker Engine", "--docker");
        world.serve.term();
        world.serve.set("ARCHETYPE_DOCKER", &engine);
        world.serve.start();
        mended(world, "box", "engine-missing");
        right(world, "box");
    });
}

#[test]
fn what_the_engine_refuses_of_a_node_is_told_in_its_words() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        deploy(world, "small", &one("small", "image: bb, cpu-set: \"4000\""));
        found(world, "small", "node-create-refused", "Requested CPUs are not available", "engine");
        refused(
            &world.cli(["logs", "small", "a"]),
            "logs-failed",
            "no container clab-small-a",
            "hint: `archetype inspect`",
        );

        deploy(world, "odd", &one("odd", "image: bb, cmd: /no/such/program"));
        found(world, "odd", "node-start-refused", "/no/such/program", "engine");
        deploy(world, "odd", &one("odd", "image: bb, cmd: sleep 1000"));
        mended(world, "odd", "node-start-refused");
        right(world, "odd");

        // The runtime's facts cannot be written.
        world.cli(["node", "odd", "a", "stop"]).fine();
        eventually(SOON, "it is stopped", || (world.lab("odd")["nodes"][0]["state"] == "stopped").then_some(()));
        refused(&world.exec("odd", "a", "true"), "exec-failed", "node a does not run", "hint: `archetype inspect`");
        read_only("/run/archetype/facts");
        world.cli(["node", "odd", "a", "start", "--no-wait"]);
        found(world, "odd", "node-facts-failed", "could not be kept", "/run/archetype");
        run("umount", ["/run/archetype/facts"]);
        mended(world, "odd", "node-facts-failed");
        right(world, "odd");
    });
}

#[test]
fn what_keeps_a_namespace_node_from_starting_and_going_is_told() {
    on_a_machine(LIMIT, |world| {
        let node = "labels: {archetype.runtime: namespace}";
        deploy(world, "cmd", &one("cmd", &format!("{node}, cmd: /no/such/program")));
        found(world, "cmd", "node-start-failed", "a of lab cmd could not be started", "archetype logs");
        deploy(world, "cmd", &one("cmd", node));
        mended(world, "cmd", "node-start-failed");
        right(world, "cmd");

        let installation = installation();
        let pin = installation.join("netns/clab-pin-a");
        std::fs::create_dir_all(&pin).unwrap();
        deploy(world, "pin", &one("pin", node));
        found(world, "pin", "step-failed", "clab-pin-a", "archetype journal");
        std::fs::remove_dir(&pin).unwrap();
        mended(world, "pin", "step-failed");
        right(world, "pin");

        // What is kept of the node's run can be neither written nor removed.
        let folder = installation.join("nodes/clab-cmd-a/run");
        let folder = folder.to_str().unwrap();
        read_only(folder);
        world.cli(["node", "cmd", "a", "stop", "--no-wait"]).fine();
        found(world, "cmd", "node-stop-failed", "a of lab cmd could not be stopped", "by itself");
        run("umount", [folder]);
        mended(world, "cmd", "node-stop-failed");
        read_only(folder);
        world.cli(["destroy", "cmd", "--no-wait"]).fine();
        found(world, "cmd", "node-not-removed", "clab-cmd-a could not be removed", "by itself");
        run("umount", [folder]);
        eventually(SOON, "the lab goes", || {
            world.look_again("pin");
            (world.lab("cmd") == Value::Null).then_some(())
        });
    });
}

/// The folder of the only installation on the machine.
fn installation() -> std::path::PathBuf {
    let entries = std::fs::read_dir("/run/archetype").unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.join("netns").is_dir()).unwrap()
}

#[test]
fn a_full_disk_refuses_a_deployment_and_takes_it_when_there_is_room_again() {
    on_a_machine(LIMIT, |world| {
        world.serve.term();
        let data = world.data();
        run("mount", ["-t", "tmpfs", "-o", "size=2m", "none", data.to_str().unwrap()]);
        world.serve.start();
        deploy(world, "early", &on_network("early", "100.64.6.0/24"));
        world.until_up("early", SOON);
        deploy(world, "pair", PAIR);
        world.until_up("pair", SOON);
        let filler = data.join("filler");
        // It ends when the disk is full.
        drop(attempt("dd", ["if=/dev/zero", &format!("of={}", filler.display()), "bs=4096"]));
        world.write("late.clab.yml", &on_network("late", "100.64.7.0/24"));
        let told = world.cli(["deploy", "-t", "late.clab.yml", "--no-wait"]);
        refused(&told, "store-failed", "full", "free space");

        // What runs is kept true also then.
        let port = world.lab("pair")["links"][0]["endpoints"][0]["ovs_port"].as_str().unwrap().to_owned();
        world.ovs.vsctl(["set", "port", &port, "tag=4000"]);
        let told = |world: &World| world.inspect()["findings"].to_string();
        eventually(SOON, "it is told", || told(world).contains("ledger-not-written").then_some(()));
        assert!(told(world).contains("what this host did is not written down"), "{}", told(world));
        eventually(SOON, "the tag is right", || {
            (world.ovs.vsctl(["get", "port", &port, "tag"]) != "4000\n").then_some(())
        });
        world.until_up("pair", SOON);

        std::fs::remove_file(&filler).unwrap();
        world.cli(["deploy", "-t", "late.clab.yml", "--wait", "30s"]).fine();
        for lab in ["late", "early", "pair"] {
            right(world, lab);
        }
        assert!(!told(world).contains("ledger-not-written"), "{}", told(world));
    });
}

#[test]
fn a_settings_file_that_cannot_be_read_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archetype.toml");
    std::fs::write(&file, "bridge = \"arch-ovs\"\nlisten none\n").unwrap();
    let mut command = Command::new(ARCHETYPE);
    let ended = command.args([Path::new("--config"), &file, Path::new("serve")]).env("NO_COLOR", "1").output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{told}");
    assert!(told.contains("[settings-syntax]") && told.contains("archetype.toml:2:"), "{told}");
}
