//! Every command of the command line against a living `serve`, with nodes that are namespaces: what is printed, what is
//! written on the host, and the exit code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use archetype_testbed::process_runs;
use serde_json::Value;
use world::{ARCHETYPE, World, attempt, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(100);
const SOON: Duration = Duration::from_secs(20);

/// Three nodes in a row; the second prints.
const ROW: &str = "\
name: row
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes:
    a: {}
    b: {cmd: \"sh -c 'echo hello; trap : USR1; while :; do sleep 0.1; echo tick; done'\"}
    c: {}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
    - endpoints: [\"b:eth2\", \"c:eth1\"]
";

fn deployed(world: &World) {
    world.write("row.clab.yml", ROW);
    world.cli(["deploy", "--wait", "30s"]).fine();
    eventually(SOON, "the journal has it too", || {
        world.cli(["journal", "row"]).stdout.trim_end().ends_with("lab         up").then_some(())
    });
}

/// What a write would change: rows with their identity, devices with their numbers, processes, names, rules.
fn host(world: &World) -> Vec<String> {
    let rows = |table: &str, columns: &str| {
        world.ovs.vsctl(["-f", "csv", "--no-headings", &format!("--columns={columns}"), "list", table])
    };
    let mut all = rows("interface", "_uuid,name,ofport,ifindex") + &rows("port", "_uuid,name,tag,external_ids");
    for script in [
        "ip -o link | grep -v state.DOWN | sed 's/ state .*//'",
        "for n in $(ls /run/netns); do echo $n; ip -n $n -o link | sed 's/ state .*//'; done",
        "cat /run/archetype/*/nodes/*/run/pid.json /run/archetype/*/nodes/*/hosts",
        "nft -s list ruleset",
    ] {
        all += &run("sh", ["-c", script]);
    }
    let mut lines: Vec<String> = all.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn next_cfg(world: &World) -> String {
    world.ovs.vsctl(["get", "open_vswitch", ".", "next_cfg"])
}

fn last_entry(world: &World) -> u64 {
    let journal = world.cli(["journal", "--format", "json"]).json();
    journal["entries"].as_array().unwrap().last().unwrap()["id"].as_u64().unwrap()
}

#[test]
fn the_same_file_again_writes_nothing_and_a_link_more_touches_only_itself() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let (before, written) = (host(world), next_cfg(world));
        let entry = last_entry(world);
        let again = world.cli(["deploy", "-t", "row.clab.yml", "--format", "json"]).json();
        assert_eq!(again["labs"][0]["revision"], 1);
        assert_eq!((next_cfg(world), last_entry(world)), (written, entry));
        let after = host(world);
        let differs = |line: &&String| before.contains(line) != after.contains(line);
        assert_eq!(before.iter().chain(&after).filter(differs).collect::<Vec<_>>(), [""; 0]);
        let plan = world.cli(["plan", "--format", "json"]).json();
        assert_eq!((&plan["nodes_untouched"], &plan["links_untouched"]), (&3.into(), &2.into()), "{plan}");
        assert_eq!(plan["changes"], Value::Array(Vec::new()));

        world.write("row.clab.yml", &format!("{ROW}    - endpoints: [\"a:eth2\", \"c:eth2\"]\n"));
        let plan = world.cli(["plan"]).fine().stdout;
        assert!(plan.contains("add link a:eth2--c:eth2"), "{plan}");
        assert!(plan.contains("2 links untouched") && !plan.contains("node b"), "{plan}");
        let deployed = world.cli(["deploy", "--format", "json"]).json();
        assert_eq!(deployed["labs"][0]["revision"], 2);
        assert_eq!(deployed["labs"][0]["links"][2]["actual_state"], "up");
        let after = host(world);
        let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
        assert!(gone.is_empty(), "touched: {gone:#?}");
        let new = after.iter().filter(|line| !before.contains(line)).count();
        assert_eq!(new, 8, "two ports, two interfaces, two devices with two ends: {after:#?}");

        // Back again: the link goes, and nothing else.
        world.write("row.clab.yml", ROW);
        let plan = world.cli(["plan"]).fine().stdout;
        assert!(plan.contains("remove link a:eth2--c:eth2"), "{plan}");
        world.cli(["deploy"]).fine();
        eventually(SOON, "the host is as it was before", || (host(world) == before).then_some(()));
    });
}

#[test]
fn destroy_by_name_and_by_file_leaves_nothing() {
    on_a_machine(LIMIT, |world| {
        let bare = |world: &World| {
            let links = run("sh", ["-c", "ip -o link | grep -v ' ovs-\\| arch-ovs:' | wc -l"]);
            let names = run("ls", ["/run/netns"]);
            // Folders, too.
            let left = run("sh", ["-c", "cd /run/archetype && find * | sort"]);
            let rules = run("nft", ["-s", "list", "ruleset"]);
            let hosts = std::fs::read_to_string(world.hosts_file()).unwrap();
            (links, names, left, rules, hosts, world.ovs.vsctl(["list-ports", "arch-ovs"]))
        };
        deployed(world);
        world.cli(["destroy", "row"]).fine();
        let first = bare(world);
        // The folders of every lab of the installation stay, and nothing is in them.
        let own = world.get("/version")["installation"].as_str().unwrap().to_owned();
        let for_all = format!("{own}\n{own}/netns\n{own}/nodes\n");
        assert_eq!(first.2.replace("recorded\n", ""), for_all);
        assert_eq!((first.1.as_str(), first.5.as_str()), ("", ""), "{first:?}");
        assert!(!first.3.contains("archetype"), "{}", first.3);
        assert_eq!(first.4, "127.0.0.1 localhost\n");
        assert!(world.docker(["network", "ls", "--format", "{{.Name}}"]).lines().all(|name| name != "clab"));
        for words in [&["destroy", "-t", "row.clab.yml"][..], &["destroy", "row.clab.yml"], &["destroy"]] {
            world.cli(["deploy"]).fine();
            assert_eq!(world.cli(words).fine().stdout, "row is gone\n");
            assert_eq!(bare(world), first, "{words:?}");
        }
        let again = world.cli(["destroy", "row"]);
        assert_eq!(again.code, 1, "{again:?}");
        assert!(again.stderr.contains("row"), "{}", again.stderr);
    });
}

#[test]
fn exec_passes_on_streams_and_exit_codes_and_logs_are_kept_and_followed() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        for (words, code) in [(&["true"][..], 0), (&["sh", "-c", "exit 42"], 42), (&["sh", "-c", "kill -9 $$"], 137)] {
            let ended = world.cli(["exec", "row", "b", "--"].iter().chain(words));
            assert_eq!(ended.code, code, "{words:?}: {ended:?}");
        }
        let ended = world.cli(["exec", "row", "b", "--", "/no/such/program"]);
        assert!(ended.code == 127 && ended.stderr.contains("/no/such/program"), "{ended:?}");
        let ended = world.exec("row", "a", "ip -o link show eth1");
        assert!(ended.fine().stdout.contains("eth1"));

        assert!(world.cli(["logs", "row", "b"]).fine().stdout.starts_with("hello\n"));
        let follow = followed(world, &["logs", "-f", "row", "b"], |line| line == "tick", 3);
        assert!(follow.iter().any(|line| line == "hello"), "{follow:?}");
        let nothing = world.cli(["logs", "row", "a"]);
        assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (0, "", ""), "it runs no command");
    });
}

#[test]
fn a_client_that_goes_away_has_its_command_hang_up_and_one_that_does_not_care_goes_on() {
    on_a_machine(LIMIT, |world| {
        // As under `nohup`: what `serve` ignores is its own affair.
        // SAFETY: to ignore a signal runs no code of ours.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        world.serve.term();
        world.serve.start();
        deployed(world);
        for node in ["a", "b"] {
            let told = world.exec("row", node, "grep SigIgn /proc/self/status").fine().stdout.clone();
            let ignored = told.split_whitespace().last().and_then(|mask| u64::from_str_radix(mask, 16).ok());
            // The real-time signals behind them are the C library's and no shell's.
            assert_eq!(ignored.map(|mask| mask & 0x7fff_ffff), Some(0), "{node}: {told}");
        }
        // The shell and what it began, without a terminal and with one.
        for flag in ["-i", "-t"] {
            let pids = left_alone(world, flag, "sleep 1000 & echo $! $$; wait");
            eventually(SOON, "it has ended", || pids.iter().all(|pid| !process_runs(pid)).then_some(()));
        }
        let pids = left_alone(world, "-i", "trap '' HUP; sleep 1000 & echo $! $$; wait");
        // A command that came later has been ended since.
        let later = left_alone(world, "-i", "echo $$; exec sleep 1000");
        eventually(SOON, "it has ended", || (!process_runs(&later[0])).then_some(()));
        assert!(pids.iter().all(|pid| process_runs(pid)), "{pids:?}");
        run("kill", ["-9", &pids[0]]);
        eventually(SOON, "it ends by itself", || (!process_runs(&pids[1])).then_some(()));

        let (mut client, pids) = begun(world, "-i", "sleep 1000 & echo $! $$; wait");
        world.serve.term();
        eventually(SOON, "it has ended with `serve`", || pids.iter().all(|pid| !process_runs(pid)).then_some(()));
        client.wait().unwrap();
    });
}

/// The numbers that a script in node `a` prints, once its client has been killed.
fn left_alone(world: &World, flag: &str, script: &str) -> Vec<String> {
    let (mut client, pids) = begun(world, flag, script);
    client.kill().unwrap();
    client.wait().unwrap();
    pids
}

/// A script in node `a` that has printed numbers of processes, with its client.
fn begun(world: &World, flag: &str, script: &str) -> (Child, Vec<String>) {
    let mut command = Command::new(ARCHETYPE);
    world.serve.with_environment(command.args(["exec", flag, "row", "a", "--", "sh", "-c", script]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert!(!pids.is_empty() && pids.iter().all(|pid| process_runs(pid)), "{line:?}");
    (child, pids)
}

#[test]
fn a_plan_that_is_refused_says_why_and_not_what_would_change() {
    on_a_machine(LIMIT, |world| {
        let lab = "name: zz\ntopology:\n  nodes:\n    a: {kind: linux, labels: {archetype.runtime: namespace}}\n  links:\n    \
                   - {type: dummy, endpoint: {node: a, interface: eth1}}\n";
        world.write("zz.clab.yml", lab);
        let refused = world.cli(["plan"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
        assert!(refused.stderr.contains("[not-runnable-dummy-link]"), "{refused:?}");
    });
}

/// The lines that a command prints until `count` of them are as wanted; then it is ended.
fn followed(world: &World, words: &[&str], wanted: impl Fn(&str) -> bool, count: usize) -> Vec<String> {
    let mut command = Command::new(ARCHETYPE);
    world.serve.with_environment(command.args(words).current_dir(&world.folder));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader =
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut lines: Vec<String> = Vec::new();
    eventually(SOON, "it goes on printing", || {
        lines.extend(receiver.try_iter());
        (lines.iter().filter(|line| wanted(line)).count() >= count).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    drop(receiver);
    let _ = reader.join();
    lines
}

#[test]
fn what_prints_without_end_ends_with_its_reader() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let by_shell = |line: &str| {
            let mut shell = Command::new("bash");
            shell.args(["-c", &format!("set -o pipefail; timeout 20 {ARCHETYPE} {line}")]);
            let ended = world.serve.with_environment(shell.current_dir(&world.folder)).output().unwrap();
            let [stdout, stderr] = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
            (ended.status.code().unwrap(), stdout + &stderr)
        };
        let into_head = |line: &str| by_shell(&format!("{line} | head -n 1"));
        for node in ["a", "b"] {
            assert_eq!(into_head(&format!("exec row {node} -- yes")), (141, "y\n".to_owned()), "{node}");
        }
        eventually(SOON, "what ran in the nodes has ended", || attempt("pgrep", ["-x", "yes"]).is_err().then_some(()));
        assert_eq!(into_head("logs row b -f").0, 0);
        let stop = std::thread::scope(|scope| {
            let following = scope.spawn(|| into_head("journal row --since 0 --follow"));
            world.cli(["node", "row", "c", "stop"]).fine();
            following.join().unwrap()
        });
        assert_eq!(stop.0, 0, "{stop:?}");
        let full = by_shell("exec row a -- yes >/dev/full");
        assert!(full.0 == 1 && full.1.contains("the answer cannot be printed"), "{full:?}");
    });
}

#[test]
fn what_is_followed_says_so_when_the_controller_goes_away() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let follow = |line: &str| {
            let mut command = Command::new(ARCHETYPE);
            command.args(line.split(' ')).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            world.serve.with_environment(&mut command).spawn().unwrap()
        };
        let followed = ["journal row --follow", "logs row b -f", "exec row b -- sleep 1000"].map(follow);
        // They are at it once the command runs.
        eventually(SOON, "the command runs", || attempt("pgrep", ["-fx", "sleep 1000"]).ok());
        std::thread::sleep(Duration::from_millis(300));
        world.serve.kill9();
        for child in followed {
            let ended = child.wait_with_output().unwrap();
            let told = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(1), "{told}");
            assert!(told.contains("went away") || told.contains("the connection ended"), "{told}");
            assert!(told.contains("hint:") && !told.contains("could not be understood"), "{told}");
        }
        world.serve.start();
    });
}

#[test]
fn a_node_sees_no_names_of_namespaces_that_lead_nowhere() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        for node in ["a", "b"] {
            let seen = world.exec("row", node, "ip addr show eth1");
            assert!(seen.code == 0 && seen.stderr.is_empty(), "{seen:?}");
            assert_eq!(world.exec("row", node, "ls /run/netns").stdout, "");
        }
        assert!(std::path::Path::new("/run/netns/clab-row-a").exists(), "on the host they are");
    });
}

#[test]
fn the_journal_is_told_from_an_entry_on_and_followed() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let entry = last_entry(world);
        let since = entry.to_string();
        let nothing = world.cli(["journal", "--since", &since, "--format", "json"]).json();
        assert_eq!(nothing["entries"], Value::Array(Vec::new()));
        world.cli(["node", "row", "c", "stop"]).fine();
        let told = world.cli(["journal", "row.clab.yml", "--since", &since, "--format", "json"]).json();
        let entries = told["entries"].as_array().unwrap();
        assert!(entries.iter().any(|entry| entry["kind"] == "wish" && entry["subject"] == "c"), "{told}");
        assert!(entries.iter().all(|told| told["id"].as_u64() > Some(entry)), "{told}");
        let all = followed(world, &["journal", "--follow", "--format", "json"], |line| line.contains("\"wish\""), 1);
        for line in &all {
            let entry: Value = serde_json::from_str(line).unwrap();
            assert_eq!(keys(&entry), ["at", "detail", "id", "kind", "lab", "message", "subject"]);
        }
    });
}

/// The keys of an object, in order of name.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    let keys: BTreeSet<&str> = keys(value).into_iter().collect();
    let missing: Vec<_> = wanted.iter().filter(|key| !keys.contains(*key)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {value}");
}

#[test]
fn reconcile_looks_at_every_link_and_tells_each() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", ROW);
        world.cli(["deploy"]).fine();
        let told = world.cli(["reconcile"]).fine().stdout;
        assert!(told.contains("a:eth1--b:eth1  up"), "{told}");
        let links = world.lab("row")["links"].as_array().unwrap().len();
        assert!(
            told.contains(&format!("{links} checked: {links} valid, 0 repaired, 0 pending, 0 with errors")),
            "{told}"
        );
        world.cli(["node", "row", "a", "stop", "--no-wait"]).fine();
        eventually(SOON, "a is stopped", || (world.node("row", "a")["state"] == "stopped").then_some(()));
        let found = world.cli(["reconcile", "row", "--format", "json"]).json();
        assert_eq!((&found["checked"], &found["errors"]), (&links.into(), &0.into()), "{found}");
        assert_ne!(found["pending"], 0, "{found}");
        let unknown = world.cli(["reconcile", "nothing"]);
        assert_eq!(unknown.code, 1, "{unknown:?}");
        assert!(unknown.stderr.contains("nothing"), "{unknown:?}");
    });
}

#[test]
fn inspect_has_its_fields_whatever_state_a_lab_is_in() {
    on_a_machine(LIMIT, |world| {
        // For a moment after the start what was not read yet is told beside the labs.
        let nothing = serde_json::json!({"labs": []});
        eventually(SOON, "there is nothing to tell", || (world.inspect() == nothing).then_some(()));
        world.write("row.clab.yml", ROW);
        // At once, while it comes up, when it is up, with a node stopped: the same fields.
        world.cli(["deploy", "--no-wait"]).fine();
        shape(&world.inspect());
        let lab = world.until_up("row", SOON);
        shape(&world.inspect());
        let (node, link) = (&lab["nodes"][0], &lab["links"][0]);
        assert_eq!(node["image"], Value::Null);
        assert_eq!(
            (&node["runtime"], &node["host"], &node["kind"]),
            (&"namespace".into(), &"h1".into(), &"linux".into())
        );
        assert_eq!(node["management"]["network"], "clab");
        assert_eq!(link["id"], "a:eth1--b:eth1");
        let end = &link["endpoints"][0];
        assert_eq!(
            (&end["node"], &end["interface"], &end["linux_interface"]),
            (&"a".into(), &"eth1".into(), &"eth1".into())
        );
        assert_eq!(end["vendor_interface"], Value::Null);
        let port = end["ovs_port"].as_str().unwrap();
        assert_eq!(world.ovs.vsctl(["get", "port", port, "tag"]).trim(), end["vlan_tag"].to_string());
        assert_eq!(link["endpoints"][1]["vlan_tag"], end["vlan_tag"]);
        assert!(link["last_verified_at"].as_str().unwrap().ends_with('Z'), "{link}");
        world.cli(["node", "row", "a", "stop"]).fine();
        shape(&world.inspect());
        let named = world.cli(["inspect", "-t", "row.clab.yml", "--format", "json"]).json();
        has(&named, &["labs"]);
        assert_eq!(named["labs"][0]["nodes"][0]["state"], "stopped");
    });
}

fn shape(inspected: &Value) {
    has(inspected, &["labs"]);
    for lab in inspected["labs"].as_array().unwrap() {
        has(lab, &["name", "state", "nodes", "links"]);
        for node in lab["nodes"].as_array().unwrap() {
            has(node, &["name", "kind", "runtime", "host", "state", "image", "management"]);
            if !node["management"].is_null() {
                has(&node["management"], &["network", "ipv4", "ipv6", "mac"]);
            }
        }
        for link in lab["links"].as_array().unwrap() {
            has(link, &["id", "endpoints", "actual_state", "reason", "last_verified_at"]);
            for end in link["endpoints"].as_array().unwrap() {
                has(end, &["node", "interface", "linux_interface", "vendor_interface", "ovs_port", "vlan_tag"]);
            }
        }
    }
}

#[test]
fn every_answer_is_there_for_programs_and_every_exit_code_says_what_it_means() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        has(&world.cli(["check", "--format", "json"]).json(), &["name", "nodes", "links", "problems"]);
        has(&world.cli(["plan", "--format", "json"]).json(), &["lab", "changes", "problems"]);
        has(&world.cli(["version", "--format", "json"]).json(), &[]);
        let explained = world.cli(["explain", "row", "b:eth2", "--format", "json"]).json();
        has(&explained, &["lab", "link", "state", "reason", "facts"]);
        let facts = explained["facts"].as_array().unwrap();
        let commands: Vec<_> = facts.iter().filter_map(|fact| fact["command"].as_str()).collect();
        assert!(facts.iter().all(|fact| fact["good"] == true), "{explained}");
        assert!(commands.len() > 6, "{commands:?}");
        for command in commands {
            // The commands that are named can be typed as they are.
            // One that listens does so until it is ended: that it began is enough.
            let listens = command.contains("tcpdump").then(|| format!("timeout 1 {command}; test $? -eq 124"));
            let ran = attempt("sh", ["-c", listens.as_deref().unwrap_or(command)]);
            assert!(ran.is_ok(), "{command}: {ran:?}");
        }

        // Refused or failed: 1, and a hint where one can be given.
        let refused: [&[&str]; 8] = [
            &["inspect", "none"],
            &["journal", "none"],
            &["explain", "row", "a:eth9"],
            &["explain", "row", "z:eth1"],
            &["exec", "row", "z", "true"],
            &["logs", "row", "z"],
            &["deploy", "-t", "none.clab.yml"],
            &["deploy", "--reload", "z"],
        ];
        for words in refused {
            let ended = world.cli(words);
            assert_eq!(ended.code, 1, "{words:?}: {ended:?}");
            assert!(ended.stderr.contains("error: ") && ended.stdout.is_empty(), "{words:?}: {ended:?}");
        }
        // Not understood: 2.
        let usage: [&[&str]; 8] = [
            &["inspekt"],
            &["inspect", "--colour"],
            &["deploy", "--wait", "soon"],
            &["deploy", "--wait", "1s", "--no-wait"],
            &["node", "row", "a", "kill"],
            &["exec", "row"],
            &["explain", "row"],
            &["inspect", "--format", "xml"],
        ];
        for words in usage {
            let ended = world.cli(words);
            assert_eq!(ended.code, 2, "{words:?}: {ended:?}");
        }
        // Nobody serves: 1, and what to do.
        world.serve.term();
        let ended = world.cli(["inspect"]);
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains("archetype serve"), "{}", ended.stderr);
    });
}

#[test]
fn a_file_that_cannot_run_whole_builds_nothing_and_runs_in_part_where_that_is_wished() {
    on_a_machine(LIMIT, |world| {
        let folder = world.copy_lab("tests/01-smoke");
        let file = folder.join("01-linux-nodes.clab.yml");
        let refused = world.cli(["deploy".as_ref(), "-t".as_ref(), file.as_os_str()]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("[not-runnable-dummy-link]"), "{}", refused.stderr);
        assert!(refused.stderr.contains("01-linux-nodes.clab.yml:"), "{}", refused.stderr);
        let for_programs =
            world.cli(["deploy".as_ref(), "-f".as_ref(), "json".as_ref(), "-t".as_ref(), file.as_os_str()]);
        assert_eq!((for_programs.code, &for_programs.stderr), (1, &refused.stderr));
        let told: Value = serde_json::from_str(&for_programs.stdout).unwrap();
        assert_eq!((&told["status"], &told["code"]), (&422.into(), &"topology-refused".into()), "{told}");
        assert!(told["problems"].as_array().unwrap().iter().any(|p| p["code"] == "not-runnable-dummy-link"), "{told}");
        assert_eq!(world.inspect(), serde_json::json!({"labs": []}));
        assert_eq!(run("ls", ["/run/netns"]), "");

        let dummy = "    - type: dummy\n      endpoint: {node: a, interface: eth7}\n";
        world.write("row.clab.yml", &format!("{ROW}{dummy}"));
        let deployed = world.cli(["deploy", "--partial", "--format", "json"]).json();
        let lab = &deployed["labs"][0];
        assert_eq!((&lab["state"], &lab["links"].as_array().unwrap().len()), (&"up".into(), &2), "{lab}");
        assert_eq!(lab["left_out"][0]["what"], "link");
        assert_eq!(lab["left_out"][0]["why"]["code"], "not-runnable-dummy-link");
        assert!(attempt("ip", ["-n", "clab-row-a", "link", "show", "eth7"]).is_err());
        // What was left out is named for as long as the lab is there.
        assert!(world.cli(["inspect", "row"]).fine().stdout.contains("left out: link"));
    });
}
