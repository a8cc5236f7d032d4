//! The contract that every sort of node keeps: namespaces and containers pass the same claims. What only one sort has
//! (an engine that somebody else uses, a supervisor of our own) stands at the end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod attached;
mod box_lab;
mod world;

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use box_lab::{Sort, deploy, dirty, dump, same};
use world::{World, attempt, eventually, on_a_machine, run, slowly};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(30);

/// Each claim is a test of every sort of node.
macro_rules! every_sort {
    ($($claim:ident)*) => {
        mod namespaces {
            $(#[test] fn $claim() { super::on_a_machine(super::LIMIT, |world| super::$claim(world, super::Sort::Namespace)); })*
        }
        mod containers {
            $(#[test] fn $claim() { super::on_a_machine(super::LIMIT, |world| super::$claim(world, super::Sort::Container)); })*
        }
    };
}

every_sort! {
    interfaces_are_as_declared_before_the_first_process_runs
    every_start_finds_the_namespace_as_the_first_one_did
    ends_are_told_apart_and_a_node_that_ended_is_dead_on_the_wire_and_starts_again
    a_node_wanted_stopped_stays_stopped_whoever_starts_again
    macs_and_addresses_stay_through_restart_recreation_and_redeployment
    nodes_reach_each_other_the_host_and_the_world_by_name_and_address
    a_command_runs_as_who_was_named_in_the_root_and_ends_as_a_shell_says
    the_end_of_the_input_of_a_terminal_ends_what_reads_it_and_not_its_output
    as_much_as_anybody_sends_goes_through_a_command
    a_command_of_the_list_over_which_serve_is_killed_runs_once
}

/// Each of the node's commands says when it begins and when it ends.
fn a_command_of_the_list_over_which_serve_is_killed_runs_once(world: &mut World, sort: Sort) {
    let sort = match sort {
        Sort::Namespace => "labels: {archetype.runtime: namespace}, cmd: sleep 100000",
        Sort::Container => {
            world.engine.import_busybox("bb");
            "image: bb, cmd: sleep 100000"
        }
    };
    let command = |n: u8| {
        format!(
            "sh -c 'echo begin {n} >> /srv/told; sleep {}; echo end {n} >> /srv/told'",
            slowly(Duration::from_secs(2)).as_secs()
        )
    };
    let list = format!("[\"{}\", \"{}\"]", command(1), command(2));
    std::fs::create_dir_all(world.folder.join("once")).unwrap();
    let node = format!("{{kind: linux, {sort}, binds: [\"once:/srv\"], exec: {list}}}");
    world.write("once.clab.yml", &format!("name: once\ntopology: {{nodes: {{a: {node}}}}}\n"));
    let told = |world: &World| std::fs::read_to_string(world.folder.join("once/told")).unwrap_or_default();
    world.cli(["deploy", "-t", "once.clab.yml", "--no-wait"]).fine();
    for (running, ended) in [("begin 1\n", 1), ("begin 1\nend 1\nbegin 2\n", 2)] {
        eventually(SOON, "it has begun", || (told(world) == running).then_some(()));
        // What it is noted as comes a moment after it says so.
        std::thread::sleep(Duration::from_millis(100));
        world.serve.kill9();
        world.serve.start();
        let state = || world.node("once", "a")["execs"][ended - 1]["state"].as_str().map(str::to_owned);
        eventually(SOON, "it has ended", || state().filter(|state| state == "ended" || state == "unknown"));
    }
    world.until_up("once", SOON);
    assert_eq!(told(world), "begin 1\nend 1\nbegin 2\nend 2\n");
    world.cli(["node", "once", "a", "restart"]).fine();
    eventually(SOON, "the next start runs each again", || {
        (told(world) == "begin 1\nend 1\nbegin 2\nend 2\n".repeat(2)).then_some(())
    });
}

fn interfaces_are_as_declared_before_the_first_process_runs(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let seen = std::fs::read_to_string(world.folder.join("a/seen")).unwrap();
    let has = |line: &str| assert!(seen.lines().any(|found| found == line), "{line} in {seen}");
    has("eth1 02:00:00:00:00:01 4000");
    has("word=hello");
    for interface in ["eth2", "eth3", "eth4"] {
        let line = seen.lines().find(|line| line.starts_with(interface)).unwrap_or_else(|| panic!("{seen}"));
        assert!(line.contains(" aa:c1:ab:") && line.ends_with(" 9500"), "{line}");
    }
    let management = world.lab("box")["nodes"][0]["management"].clone();
    let text = |key: &str| management[key].as_str().unwrap().to_owned();
    has(&format!("eth0 {} 1500", text("mac")));
    assert!(seen.contains(&format!("inet {}/24 ", text("ipv4"))), "{seen}");
    assert!(seen.contains("default via 172.20.20.1 dev eth0"), "{seen}");
    assert_eq!(seen.lines().filter(|line| line.starts_with("eth")).count(), 5, "{seen}");

    // The binds: one to be written, one to be read.
    assert_eq!(std::fs::read_to_string(world.folder.join("a/read-only")).unwrap(), "content\nrefused\n");
    // Commands of the list, once, in order, with what they ended with.
    let mut told = String::new();
    eventually(SOON, "its commands have run", || {
        let now = executed(world);
        if now != told {
            println!("written by the commands: {now:?}");
            told.clone_from(&now);
        }
        (now == "one\ntwo\n").then_some(())
    });
    let execs = eventually(SOON, "how they ended is told", || {
        let execs = world.lab("box")["nodes"][0]["execs"].clone();
        (execs[2]["state"] == "ended").then_some(execs)
    });
    assert_eq!((&execs[0]["code"], &execs[1]["code"], &execs[2]["code"]), (&0.into(), &5.into(), &0.into()), "{execs}");
    assert_eq!(world.lab("box")["state"], "up", "a command that fails makes no lab fail");

    // The same file again: nothing is done.
    world.cli(["deploy", "-t", "box.clab.yml"]).fine();
    assert_eq!((executed(world).as_str(), starts(world)), ("one\ntwo\n", 1));
    // The name for people's tools leads to the namespace of the first process, and is put back.
    let own = std::fs::read_link(format!("/proc/{}/ns/net", sort.pid(world, "a"))).unwrap();
    let named = || attempt("stat", ["-L", "-c", "net:[%i]", "/run/netns/clab-box-a"]).unwrap_or_default();
    assert_eq!(named().trim(), own.to_str().unwrap());
    run("umount", ["/run/netns/clab-box-a"]);
    std::fs::remove_file("/run/netns/clab-box-a").unwrap();
    eventually(SOON, "its name is put back", || (named().trim() == own.to_str().unwrap()).then_some(()));
}

fn executed(world: &World) -> String {
    std::fs::read_to_string(world.folder.join("a/execs")).unwrap_or_default()
}

/// How often the first process of `a` has begun.
fn starts(world: &World) -> usize {
    std::fs::read_to_string(world.folder.join("a/starts")).unwrap_or_default().lines().count()
}

/// Waits for the start of this number with everything of the lab as wanted.
#[track_caller]
fn started(world: &World, number: usize) {
    eventually(SOON, "it has started again", || (starts(world) == number).then_some(()));
    world.until_up("box", SOON);
}

/// What Open vSwitch has of the peer's ports.
fn peers(world: &World) -> Vec<String> {
    let links = world.lab("box")["links"].clone();
    let ports =
        links.as_array().unwrap().iter().map(|link| link["endpoints"][1]["ovs_port"].as_str().unwrap().to_owned());
    let columns = "--columns=_uuid,name,ofport,ifindex,error";
    ports.map(|port| world.ovs.vsctl([columns, "list", "interface", &port])).collect()
}

fn every_start_finds_the_namespace_as_the_first_one_did(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let (first, ports) = (dump(), peers(world));
    let ways = ["archetype node restart", "kill -9", "docker restart", "restart while the agent is down"];
    let ways = ways.iter().filter(|way| sort == Sort::Container || **way != "docker restart");
    for (number, way) in ways.enumerate() {
        eprintln!("{way}");
        if *way == "restart while the agent is down" {
            world.serve.kill9();
        }
        dirty();
        restart(world, sort, way);
        world.serve.start();
        started(world, number + 2);
        same(way, &first, &dump());
        assert_eq!(peers(world), ports, "{way}: the peers' ports");
        assert_eq!(executed(world), "one\ntwo\n".repeat(number + 2), "{way}: its commands, once per start");
    }
}

fn restart(world: &World, sort: Sort, way: &str) {
    match (way, sort) {
        ("archetype node restart", _) => drop(world.cli(["node", "box", "a", "restart"]).fine()),
        ("kill -9", _) | (_, Sort::Namespace) => drop(run("kill", ["-9", &sort.pid(world, "a")])),
        (_, Sort::Container) => {
            world.docker(["restart", "-t", "1", "clab-box-a"]);
            eventually(SOON, "it has started, with or without the agent", || {
                let words = attempt("ip", ["-n", "clab-box-a", "-br", "link"]).ok()?;
                words.lines().all(|line| line.contains("UP")).then_some(())
            });
        }
    }
}

/// Whether anything of `a` answers `b`, on the wire or on the management network.
fn answers(world: &World) -> bool {
    let management = world.lab("box")["nodes"][0]["management"]["ipv4"].as_str().unwrap().to_owned();
    let ping = |to: &str| attempt("ip", ["netns", "exec", "clab-box-b", "ping", "-c1", "-W1", to]).is_ok();
    ping("10.7.7.1") || ping(&management)
}

fn ends_are_told_apart_and_a_node_that_ended_is_dead_on_the_wire_and_starts_again(world: &mut World, sort: Sort) {
    deploy(world, sort);
    eventually(SOON, "it answers", || answers(world).then_some(()));
    for (number, (what, told)) in [("exit 3", "exit status 3"), ("kill -9", "signal 9")].into_iter().enumerate() {
        let pid = sort.pid(world, "a");
        match what {
            "exit 3" => drop(world.write("a/end", "")),
            _ => drop(run("kill", ["-9", &pid])),
        }
        started(world, number + 2);
        let node = world.lab("box")["nodes"][0].clone();
        assert_eq!((&node["ended_how"], &node["ended_times"]), (&told.into(), &(number + 1).into()), "{node}");
    }
    // Without the agent nobody starts it, and nothing of it answers or forwards.
    let pid = sort.pid(world, "a");
    world.serve.kill9();
    run("kill", ["-9", &pid]);
    eventually(Duration::from_secs(2), "it is dead on the wire, and what it left is gone", || {
        let links = run("ip", ["-n", "clab-box-a", "-o", "link"]);
        let kept = run("ip", ["-n", "clab-box-a", "-o", "addr"]) + &run("ip", ["-n", "clab-box-a", "route"]);
        (!links.contains(",UP") && !links.contains("<UP") && kept.is_empty()).then_some(())
    });
    assert!(attempt("ip", ["netns", "exec", "clab-box-b", "ping", "-c1", "-W1", "10.7.7.1"]).is_err());
    world.serve.start();
    started(world, 4);
    // One that ends at once is waited for longer each time.
    world.write("a/short", "");
    world.write("a/end", "");
    let node = eventually(SOON, "the wait grows", || {
        let node = world.lab("box")["nodes"][0].clone();
        (node["ended_times"].as_u64() >= Some(3) && node["state"] == "exited").then_some(node)
    });
    assert!(node["reason"].as_str().unwrap().contains("exit status 3"), "{node}");
    assert!(starts(world) < 9, "{} starts", starts(world));
    std::fs::remove_file(world.folder.join("a/short")).unwrap();
    world.until_up("box", SOON);
}

fn state(world: &World) -> String {
    world.lab("box")["nodes"][0]["state"].as_str().unwrap().to_owned()
}

fn a_node_wanted_stopped_stays_stopped_whoever_starts_again(world: &mut World, sort: Sort) {
    deploy(world, sort);
    world.cli(["node", "box", "a", "stop"]).fine();
    eventually(SOON, "it is stopped", || (state(world) == "stopped").then_some(()));
    assert!(!answers(world));
    let refused = world.exec("box", "a", "true");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("node a does not run") && refused.stderr.contains("hint: "), "{refused:?}");
    world.serve.kill9();
    world.serve.start();
    world.cli(["deploy", "-t", "box.clab.yml"]).fine();
    if sort == Sort::Container {
        // By hand it starts, and is stopped again.
        world.docker(["start", "clab-box-a"]);
        let stopped = || world.docker(["inspect", "-f", "{{.State.Running}}", "clab-box-a"]).trim() == "false";
        eventually(SOON, "it is stopped again", || stopped().then_some(()));
        let journal = eventually(SOON, "the journal says so", || {
            let told = world.cli(["journal", "box"]).stdout;
            told.contains("archetype node box a start").then_some(told)
        });
        assert!(journal.contains("repair"), "{journal}");
    }
    let before = starts(world);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((state(world).as_str(), starts(world)), ("stopped", before), "the wish is kept");
    assert_eq!(world.lab("box")["links"][0]["actual_state"], "pending");
    world.cli(["node", "box", "a", "start"]).fine();
    started(world, before + 1);
    eventually(SOON, "it answers", || answers(world).then_some(()));
    let journal = world.cli(["journal", "box"]).fine().stdout;
    assert!(!journal.contains("starts again"), "it did not end by itself: {journal}");
}

fn a_command_runs_as_who_was_named_in_the_root_and_ends_as_a_shell_says(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let said = |words: &[&str]| {
        let words = ["exec"].iter().chain(words).copied();
        world.cli(words).fine().stdout.trim().to_owned()
    };
    assert_eq!(said(&["box", "b", "--", "sh", "-c", "id -u; pwd"]), "0\n/");
    let whose = ["box", "b", "--", "sh", "-c", "echo $(id -u) $(id -g) $HOME"];
    assert_eq!(said(&[&["-u", "31234"], &whose[..]].concat()), "31234 0 /");
    assert_eq!(said(&[&["--user", "31234:7"], &whose[..]].concat()), "31234 7 /");
    let unknown = world.cli(["exec", "-u", "no-such-user", "box", "b", "true"]);
    assert!(unknown.code != 0 && unknown.stdout.is_empty(), "{unknown:?}");
    assert!(unknown.stderr.contains("no-such-user"), "{unknown:?}");
    for (program, code) in [("no-such-program", 127), ("/no/such/program", 127), ("/etc", 126)] {
        let ended = world.exec("box", "b", program);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.contains(program), "{ended:?}");
    }
}

fn the_end_of_the_input_of_a_terminal_ends_what_reads_it_and_not_its_output(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let told = |script: &str, sent: &str| attached::run(world, script, sent);
    assert_eq!(told("sleep 1; echo out; exit 5", ""), ("out\r\n".to_owned(), 5));
    let (out, code) = told("stty -echo; echo ready; cat; echo end", "hello\nhalf a line");
    assert!(out.ends_with("hello\r\nhalf a lineend\r\n") && code == 0, "{out:?}");
}

/// More than all pipes and queues on the way hold: both ways go on beside each other.
fn as_much_as_anybody_sends_goes_through_a_command(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let (sent, came) = (world.folder.join("sent"), world.folder.join("came"));
    let much: String = (0..1_000_000).map(|number| format!("{number}\n")).collect();
    std::fs::write(&sent, &much).unwrap();
    let mut command = Command::new("timeout");
    command.args(["120", world::ARCHETYPE, "exec", "-i", "box", "b", "--", "cat"]);
    command.stdin(File::open(&sent).unwrap()).stdout(File::create(&came).unwrap());
    let ended = world.serve.with_environment(&mut command).status().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(std::fs::read_to_string(&came).unwrap() == much, "what came is not what was sent");
}

/// MACs of every interface and addresses of the management's, as the kernel has them in both nodes.
fn identity() -> String {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let after = |line: &[String], word: &str| line.iter().skip_while(|found| *found != word).nth(1).cloned();
    let mut lines = Vec::new();
    for node in ["clab-box-a", "clab-box-b"] {
        for line in run("ip", ["-n", node, "-o", "link", "show", "type", "veth"]).lines().map(words) {
            lines.push(format!(
                "{node} {} {}",
                line[1].split('@').next().unwrap(),
                after(&line, "link/ether").unwrap()
            ));
        }
        for line in run("ip", ["-n", node, "-o", "addr", "show", "dev", "eth0", "scope", "global"]).lines().map(words) {
            lines.push(format!("{node} {}", after(&line, &line[2]).unwrap()));
        }
    }
    lines.sort();
    lines.join("\n")
}

fn macs_and_addresses_stay_through_restart_recreation_and_redeployment(world: &mut World, sort: Sort) {
    deploy(world, sort);
    let (kernel, told) = (identity(), world.lab("box")["nodes"][1]["management"].clone());
    assert!(kernel.contains("eth0 aa:c1:ab:") && kernel.contains("clab-box-a 172.20.20."), "{kernel}");
    assert_eq!(kernel.lines().count(), 14, "{kernel}");
    world.cli(["node", "box", "b", "restart"]).fine();
    world.until_up("box", SOON);
    assert_eq!(identity(), kernel, "restart");
    if sort == Sort::Container {
        world.docker(["rm", "-f", "clab-box-b"]);
        let journal = eventually(SOON, "the journal tells that it was made again, and how to have it stopped", || {
            let told = world.cli(["journal", "box"]).stdout;
            told.contains("clab-box-b is gone (to have it stopped: archetype node box b stop)").then_some(told)
        });
        assert!(journal.contains("repair"), "{journal}");
        world.until_up("box", SOON);
        assert_eq!(identity(), kernel, "docker rm -f");
    }
    world.cli(["deploy", "-t", "box.clab.yml", "--reload", "b"]).fine();
    world.until_up("box", SOON);
    assert_eq!(identity(), kernel, "re-creation");
    world.cli(["destroy", "box"]).fine();
    assert!(attempt("ip", ["-n", "clab-box-a", "link"]).is_err(), "nothing is left");
    world.cli(["deploy", "-t", "box.clab.yml"]).fine();
    assert_eq!(identity(), kernel, "redeployment");
    assert_eq!(world.lab("box")["nodes"][1]["management"], told);
}

/// A namespace beyond the host that knows no way back to the nodes.
fn world_outside() {
    run("ip", ["netns", "add", "outside"]);
    run("ip", ["link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns", "outside"]);
    run("ip", ["addr", "add", "198.51.100.1/24", "dev", "out0"]);
    run("ip", ["link", "set", "out0", "up"]);
    run("ip", ["-n", "outside", "addr", "add", "198.51.100.2/24", "dev", "eth0"]);
    run("ip", ["-n", "outside", "link", "set", "eth0", "up"]);
}

fn nodes_reach_each_other_the_host_and_the_world_by_name_and_address(world: &mut World, sort: Sort) {
    world_outside();
    deploy(world, sort);
    for name in ["b", "clab-box-b", "172.20.20.1", "198.51.100.2"] {
        let ping = world.exec("box", "a", &format!("ping -c1 -W2 {name}"));
        assert_eq!(ping.code, 0, "{name}: {}{}", ping.stdout, ping.stderr);
    }
    let hosts = std::fs::read_to_string(world.hosts_file()).unwrap();
    let line = hosts
        .lines()
        .find(|line| line.contains("clab-box-a") && line.contains('.'))
        .unwrap_or_else(|| panic!("{hosts}"));
    run("ping", ["-c1", "-W2", line.split_whitespace().next().unwrap()]);
    let route = run("ip", ["-n", "clab-box-a", "route", "show", "default"]);
    assert_eq!(route.trim(), "default via 172.20.20.1 dev eth0 proto static");
    // Somebody else's container joins.
    world.engine.import_busybox("guest");
    let guest = ["run", "--rm", "--network", "clab", "guest", "ping", "-c1", "-W2"];
    let node = line.split_whitespace().next().unwrap();
    let ping = world.engine.try_docker(guest.into_iter().chain([node]));
    assert!(ping.is_ok(), "{ping:?}");
}

#[test]
fn the_command_of_a_namespace_node_survives_kill_9_of_serve() {
    on_a_machine(LIMIT, |world| {
        deploy(world, Sort::Namespace);
        let pid = Sort::Namespace.pid(world, "a");
        world.serve.kill9();
        world.serve.start();
        world.until_up("box", SOON);
        assert_eq!((Sort::Namespace.pid(world, "a"), starts(world)), (pid, 1));
        world.serve.term();
        world.serve.start();
        world.until_up("box", SOON);
        assert_eq!(starts(world), 1);
        assert!(world.cli(["logs", "box", "a"]).fine().stdout.starts_with("begun\n"));
    });
}

/// The first processes of a namespace node's runs: one, where it runs once.
fn commands(node: &str) -> Vec<String> {
    let all = run("ip", ["netns", "pids", &format!("clab-many-{node}")]);
    let words = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    all.lines().filter(|pid| words(pid).starts_with("sleep\0")).map(str::to_owned).collect()
}

#[test]
fn a_namespace_node_whose_command_ended_is_started_once_and_never_runs_twice() {
    on_a_machine(LIMIT, |world| {
        const NODES: usize = 16;
        const ROUNDS: usize = 3;
        let node =
            "{kind: linux, labels: {archetype.runtime: namespace}, cmd: \"sh -c 'echo started; exec sleep 1000'\"}";
        let nodes: String = (0..NODES).map(|n| format!("    n{n}: {node}\n")).collect();
        world.write("many.clab.yml", &format!("name: many\ntopology:\n  nodes:\n{nodes}"));
        world.cli(["deploy", "-t", "many.clab.yml", "--wait", "60s"]).fine();
        let names: Vec<String> = (0..NODES).map(|n| format!("n{n}")).collect();
        for _ in 0..ROUNDS {
            let before: Vec<String> = eventually(SOON, "each node has come to its command", || {
                let all: Vec<String> = names.iter().flat_map(|node| commands(node)).collect();
                (all.len() == NODES).then_some(all)
            });
            run("kill", ["-9".to_owned()].iter().chain(&before));
            for node in &names {
                eventually(SOON, &format!("{node} was started"), || {
                    commands(node).iter().any(|pid| !before.contains(pid)).then_some(())
                });
            }
            world.until_up("many", SOON);
        }
        for node in &names {
            let told = world.cli(["logs", "many", node]).fine().stdout;
            assert_eq!(told.matches("started").count(), 1 + ROUNDS, "{node}: {told}");
            assert_eq!(commands(node).len(), 1, "{node}");
        }

        // An agent that dies over a start leaves a command of which it noted nothing.
        world.serve.kill9();
        run("sh", ["-c", "rm /run/archetype/*/nodes/clab-many-n0/run/node.json"]);
        let before = commands("n0");
        world.serve.start();
        eventually(SOON, "the node has another command, and none beside it", || {
            let now = commands("n0");
            (now.len() == 1 && now != before).then_some(())
        });
        world.until_up("many", SOON);
    });
}

#[test]
fn a_namespace_node_asks_the_resolvers_of_its_file() {
    on_a_machine(LIMIT, |world| {
        let sort = "kind: linux, labels: {archetype.runtime: namespace}";
        let dns = "dns: {servers: [198.18.0.53], search: [lab.example]}";
        let nodes = format!("{{a: {{{sort}, {dns}}}, b: {{{sort}, {dns}, cmd: sleep 100000}}}}");
        world.write("asks.clab.yml", &format!("name: asks\ntopology: {{nodes: {nodes}}}\n"));
        world.cli(["deploy", "-t", "asks.clab.yml"]).fine();
        for node in ["a", "b"] {
            let told = world.exec("asks", node, "cat /etc/resolv.conf").stdout;
            assert!(told.starts_with("nameserver 198.18.0.53\nsearch lab.example\n"), "{node}: {told}");
        }
    });
}

#[test]
fn a_node_that_changes_its_sort_is_on_the_wire_as_the_other_one() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        let namespace = "labels: {archetype.runtime: namespace}";
        let exec = |address: &str| format!("exec: [\"ip addr add {address}/24 dev eth1\"]");
        for round in 0..6 {
            let sort = if round % 2 == 0 { "image: bb, cmd: sleep 100000" } else { namespace };
            let nodes = format!(
                "{{c: {{kind: linux, {sort}, {}}}, d: {{kind: linux, {namespace}, {}}}}}",
                exec("10.9.9.1"),
                exec("10.9.9.2")
            );
            let links = "[{endpoints: [\"c:eth1\", \"d:eth1\"]}]";
            world.write("sorts.clab.yml", &format!("name: sorts\ntopology: {{nodes: {nodes}, links: {links}}}\n"));
            world.cli(["deploy", "-t", "sorts.clab.yml", "--wait", "30s"]).fine();
            // What the former sort leaves to be done by its end would come now.
            std::thread::sleep(Duration::from_secs(1));
            world.until_up("sorts", SOON);
            eventually(SOON, &format!("d reaches c, round {round}"), || {
                (world.exec("sorts", "d", "ping -c1 -W1 10.9.9.1").code == 0).then_some(())
            });
            assert!(run("ip", ["-n", "clab-sorts-c", "-br", "link", "show", "lo"]).contains("LOWER_UP"));
        }
    });
}

/// The agent may be making folders again meanwhile.
fn lose_what_is_kept() {
    eventually(SOON, "it is removed", || attempt("sh", ["-c", "rm -r /run/archetype/*/nodes"]).ok());
}

#[test]
fn what_is_kept_of_nodes_may_be_lost_and_no_command_runs_twice_or_stays() {
    on_a_machine(LIMIT, |world| {
        let sort = "kind: linux, labels: {archetype.runtime: namespace}";
        let nodes = format!("{{a: {{{sort}, cmd: sleep 1000}}, b: {{{sort}, cmd: sleep 1000}}, c: {{{sort}}}}}");
        let links = "[{endpoints: [\"a:eth1\", \"b:eth1\"]}, {endpoints: [\"b:eth2\", \"c:eth1\"]}]";
        world.write("many.clab.yml", &format!("name: many\ntopology: {{nodes: {nodes}, links: {links}}}\n"));
        world.cli(["deploy"]).fine();
        let all = || ["a", "b", "c"].map(commands).concat();
        let before = all();
        assert_eq!(before.len(), 2, "{before:?}");
        for round in 0..3 {
            lose_what_is_kept();
            eventually(SOON, &format!("each has one command again, round {round}"), || {
                let now = all();
                (now.len() == 2 && commands("a").len() == 1 && now.iter().all(|pid| !before.contains(pid)))
                    .then_some(())
            });
            world.until_up("many", SOON);
        }
        assert_eq!(all().len(), 2);

        run("sh", ["-c", "rm /run/archetype/*/nodes/clab-many-c/facts.json"]);
        world.look_again("many");
        world.cli(["node", "many", "c", "restart"]).fine();
        world.until_up("many", SOON);

        let kept = all();
        lose_what_is_kept();
        world.cli(["destroy", "many"]).fine();
        let lives = |pid: &String| std::path::Path::new(&format!("/proc/{pid}")).exists();
        eventually(SOON, "no command stays", || (!kept.iter().any(lives)).then_some(()));
        let left = run("sh", ["-c", "ps -e -o args= | grep -c '[s]leep 1000' || true"]);
        assert_eq!(left.trim(), "0");
    });
}

#[test]
fn a_container_that_ran_out_of_memory_is_told_from_one_that_ended() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        let node = "{kind: linux, image: bb, memory: 16Mb, cmd: tail /dev/zero}";
        world.write("greedy.clab.yml", &format!("name: greedy\ntopology: {{nodes: {{g: {node}}}}}\n"));
        world.cli(["deploy", "-t", "greedy.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "it is told", || {
            (world.lab("greedy")["nodes"][0]["ended_how"] == "out of memory").then_some(())
        });
        assert_eq!(world.cli(["destroy", "greedy"]).code, 0);
    });
}

#[test]
fn a_published_port_leads_to_its_container_also_after_the_engine_was_started_again() {
    on_a_machine(LIMIT, |world| {
        world_outside();
        world.engine.import_busybox("bb");
        let lab = "name: web\ntopology:\n  nodes:\n    w:\n      kind: linux\n      image: bb\n      ports: [\"18080:80\"]\n      \
                   cmd: sh -c 'while true; do echo served | nc -l -p 80; done'\n    c: {kind: linux, image: bb, restart-policy: \"no\"}\n";
        world.write("web.clab.yml", lab);
        world.cli(["deploy", "-t", "web.clab.yml", "--wait", "60s"]).fine();
        served(world, "deployed");
        world.engine.restart();
        world.until_up("web", SOON);
        served(world, "engine started again");
        assert_eq!(world.lab("web")["nodes"][0]["ports"][0], "0.0.0.0:18080->80/tcp");

        // Taken while nobody kept it, and given back: what kept the lab from being planned is looked at again.
        world.serve.term();
        let taken = std::net::TcpListener::bind("0.0.0.0:18080").unwrap();
        world.serve.start();
        let shown = || world.cli(["inspect", "web"]).stdout;
        eventually(SOON, "it is told", || shown().contains("port 18080/tcp of the host is used by").then_some(()));
        drop(taken);
        world.until_up("web", SOON);
        served(world, "given back");
    });
}

/// From the host, by loopback and by its address; from outside; from another node.
#[track_caller]
fn served(world: &World, when: &str) {
    let ways = [
        ("the host's loopback", "nc -w 2 127.0.0.1 18080"),
        ("the host's address", "nc -w 2 198.51.100.1 18080"),
        ("outside", "ip netns exec outside busybox nc -w 2 198.51.100.1 18080"),
        ("another node", "ip netns exec clab-web-c busybox nc -w 2 198.51.100.1 18080"),
    ];
    for (who, line) in ways {
        let line = if line.starts_with("nc") { format!("busybox {line}") } else { line.to_owned() };
        eventually(Duration::from_secs(10), &format!("{when}: served to {who}"), || {
            let got = attempt("sh", ["-c", &format!("{line} </dev/null")]).unwrap_or_default();
            got.contains("served").then_some(())
        });
    }
    assert_eq!(world.lab("web")["state"], "up");
}

#[test]
fn a_name_that_somebody_elses_container_has_is_refused_and_nothing_is_built() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.docker(["run", "-d", "--network", "none", "--name", "clab-taken-a", "bb", "sleep", "1000"]);
        let lab =
            "name: taken\ntopology:\n  nodes:\n    a: {kind: linux, image: bb}\n    b: {kind: linux, image: bb}\n";
        world.write("taken.clab.yml", lab);
        let refused = world.cli(["deploy"]);
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        assert!(refused.stderr.contains("[container-taken]"), "{}", refused.stderr);
        assert_eq!(world.docker(["ps", "-aq"]).lines().count(), 1);
        assert_eq!(world.lab("taken"), serde_json::Value::Null);
    });
}
