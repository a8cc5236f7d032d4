//! The order of nodes across a lab: waits, delays, and commands of stages, in nodes and on the host.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use serde_json::Value;
use world::{World, eventually, on_a_machine, slowly};

const LIMIT: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(30);

/// containerlab's own lab of stages, with its image, its times and its order; each node writes when it began.
fn chain(what: &str) -> String {
    let node = |name: &str, rest: &str| {
        format!(
            "    {name}:\n      {what}\n      binds: [shared:/mnt]\n      cmd: sh -c \"sed 's/ .*//; s/[.]//' /proc/uptime >> /mnt/{name}; exec \
             sleep 100000\"\n{rest}"
        )
    };
    let waits = |node: &str, stage: &str| {
        format!("      stages: {{create: {{wait-for: [{{node: {node}, stage: {stage}}}]}}}}\n")
    };
    let check = "      healthcheck: {start-period: 0, interval: 1, timeout: 2, retries: 3, test: [CMD-SHELL, test -e \
                 /mnt/well]}\n";
    format!(
        "name: chain\ntopology:\n  defaults: {{kind: linux}}\n  nodes:\n{}{}{}{}  links:\n    - endpoints: [\"node1:eth1\", \
         \"node2:eth1\"]\n    - endpoints: [\"node1:eth3\", \"node4:eth3\"]\n    - endpoints: [\"node2:eth2\", \
         \"node4:eth2\"]\n    - endpoints: [\"node3:eth1\", \"host:n3eth1\"]\n",
        node("node1", &waits("node2", "create")),
        node("node2", &waits("node3", "create-links")),
        node("node3", &waits("node4", "healthy")),
        node("node4", check),
    )
}

fn nodes_start_in_the_order_of_their_stages(world: &mut World, what: &str) {
    let shared = world.folder.join("shared");
    std::fs::create_dir(&shared).unwrap();
    let began = |name: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(shared.join(name)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    world.write("chain.clab.yml", &chain(what));
    world.cli(["deploy", "-t", "chain.clab.yml", "--no-wait"]).fine();
    // Whoever waits says for what, and so does a link that waits with it.
    let waiting = eventually(SOON, "node3 waits", || {
        let node3 = world.node("chain", "node3");
        let runs = world.node("chain", "node4")["state"] == "running";
        (runs && node3["reason"] == "create waits for node4 (healthy)").then_some(node3)
    });
    assert_eq!(waiting["state"], "pending");
    assert_eq!(world.node("chain", "node1")["reason"], "create waits for node2 (create)");
    assert_eq!(world.lab("chain")["links"][0]["actual_state"], "pending");
    // Another life of serve waits on.
    world.serve.kill9();
    world.serve.start();
    std::thread::sleep(Duration::from_secs(1));
    assert!(began("node3").is_empty() && began("node2").is_empty() && began("node1").is_empty());
    std::fs::write(shared.join("well"), "").unwrap();
    world.until_up("chain", Duration::from_secs(60));
    let order: Vec<u64> = ["node4", "node3", "node2", "node1"].iter().flat_map(|name| began(name)).collect();
    assert!(order.len() == 4 && order.is_sorted() && order[0] < order[1], "{order:?}");
    // Who ends later starts again at once, whatever becomes of those it waited for.
    std::fs::remove_file(shared.join("well")).unwrap();
    world.cli(["node", "chain", "node4", "stop"]).fine();
    world.cli(["node", "chain", "node3", "restart"]).fine();
    eventually(SOON, "node3 starts again", || (began("node3").len() == 2).then_some(()));
    world.cli(["destroy", "chain"]).fine();
}

#[test]
fn containers_start_in_the_order_of_their_stages() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        nodes_start_in_the_order_of_their_stages(world, "image: bb");
    });
}

#[test]
fn namespace_nodes_start_in_the_order_of_their_stages() {
    std::fs::create_dir_all("/mnt").unwrap();
    on_a_machine(LIMIT, |world| {
        nodes_start_in_the_order_of_their_stages(world, "labels: {archetype.runtime: namespace}");
    });
}

/// A node with a command at each stage and phase, one that is waited for until it ends, and one that is late.
const COMMANDS: &str = r#"
name: told
topology:
  defaults: {kind: linux, image: bb, cmd: sleep 100000, binds: ["shared:/mnt"]}
  nodes:
    a:
      exec: ["sh -c 'echo listed >> /mnt/told'"]
      healthcheck: {interval: 1, timeout: 2, retries: 3, test: [CMD, "true"]}
      stages:
        create:
          exec:
            - {command: "sh -c 'echo create on-enter on $(cat /proc/1/comm) >> shared/told'", target: host}
            - {command: "sh -c 'echo create on-exit >> /mnt/told'", phase: on-exit}
        create-links:
          exec:
            - {command: "sh -c 'echo create-links on-enter >> /mnt/told'"}
            - {command: "sh -c 'echo create-links on-exit $(cat /sys/class/net/eth1/carrier) >> /mnt/told'", phase: on-exit}
        configure:
          exec:
            - {command: "sh -c 'echo configure on-exit __clabNodeName__ >> shared/told'", phase: on-exit, target: host}
            - {command: "sh -c 'echo configure on-enter >> /mnt/told'"}
        healthy:
          exec:
            - {command: "sh -c 'echo healthy on-enter >> /mnt/told; exit 3'"}
            - {command: "sh -c 'echo healthy on-exit >> /mnt/told'", phase: on-exit}
    job:
      restart-policy: "no"
      cmd: sh -c "while [ ! -e /mnt/end ]; do sleep 0.1; done"
      stages:
        exit:
          exec:
            - {command: "sh -c 'echo job ended >> shared/job'", phase: on-exit, target: host}
    heir:
      stages:
        create:
          wait-for: [{node: job, stage: exit}]
    linked:
      stages:
        create-links:
          wait-for: [{node: job, stage: exit}]
    late:
      startup-delay: LATE
  links:
    - endpoints: ["a:eth1", "late:eth1"]
    - endpoints: ["a:eth2", "linked:eth1"]
"#;

#[test]
fn commands_of_stages_run_in_their_order_in_nodes_and_on_the_host() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        let shared = world.folder.join("shared");
        std::fs::create_dir(&shared).unwrap();
        let told = |file: &str| std::fs::read_to_string(shared.join(file)).unwrap_or_default();
        // Long enough to be seen on this machine.
        let delay = Duration::from_secs(slowly(Duration::from_secs(4)).as_secs());
        world.write("told.clab.yml", &COMMANDS.replace("LATE", &delay.as_secs().to_string()));
        let begun = std::time::Instant::now();
        world.cli(["deploy", "-t", "told.clab.yml", "--no-wait"]).fine();
        let late = eventually(SOON, "late is late", || {
            let late = world.node("told", "late");
            late["reason"].as_str().is_some_and(|why| why.contains("startup-delay")).then_some(late)
        });
        assert_eq!(late["state"], "pending");
        eventually(SOON, "late runs", || (world.node("told", "late")["state"] == "running").then_some(()));
        assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
        let ready = eventually(SOON, "a is ready", || {
            let a = world.node("told", "a");
            (a["ready"] == true).then_some(a)
        });
        let wanted = [
            "create on-enter on",
            "create on-exit",
            "create-links on-enter",
            "create-links on-exit",
            "configure on-enter",
            "configure on-exit a",
            "listed",
            "healthy on-enter",
            "healthy on-exit",
        ];
        let lines = told("told");
        assert!(lines.lines().zip(wanted).all(|(line, wanted)| line.starts_with(wanted)), "{lines}");
        assert_eq!(lines.lines().count(), wanted.len(), "{lines}");
        let execs = ready["execs"].as_array().unwrap();
        assert_eq!((&execs[0]["stage"], &execs[6]["stage"]), (&"create on-enter".into(), &Value::Null), "{ready}");
        assert_eq!((&execs[7]["code"], &execs[8]["code"]), (&3.into(), &0.into()), "{ready}");

        // Links of who may not enter create-links have no carrier, and say why.
        let link = world.lab("told")["links"][1].clone();
        assert_eq!(link["actual_state"], "pending", "{link}");
        assert_eq!(link["reason"], "waits for linked, which may not enter create-links yet");
        assert_eq!(world.node("told", "linked")["reason"], "create-links waits for job (exit)");
        let carrier = || world.exec("told", "linked", "cat /sys/class/net/eth1/carrier").stdout.trim().to_owned();
        assert_eq!(carrier(), "0");
        assert_eq!(world.node("told", "heir")["reason"], "create waits for job (exit)");

        std::fs::write(shared.join("end"), "").unwrap();
        world.until_up("told", SOON);
        assert_eq!((told("job").as_str(), carrier().as_str()), ("job ended\n", "1"));
        // Each start has its commands, but those before the first one; and nobody is waited for again.
        world.cli(["node", "told", "a", "restart"]).fine();
        eventually(SOON, "they run again", || (told("told").lines().count() == 2 * wanted.len() - 1).then_some(()));
        assert_eq!(told("job"), "job ended\n");
    });
}

#[test]
fn nobody_waits_for_a_node_that_waits_for_one_that_ended() {
    on_a_machine(LIMIT, |world| {
        let runtime = "labels: {archetype.runtime: namespace}";
        let after =
            |node: &str, stage: &str| format!("stages: {{create: {{wait-for: [{{node: {node}, stage: {stage}}}]}}}}");
        // It runs for a moment, which may be seen; what is waited for is more than that.
        world.write(
            "vain.clab.yml",
            &format!(
                "name: vain\ntopology:\n  defaults: {{kind: linux, {runtime}}}\n  nodes:\n    ends: {{restart-policy: \"no\", \
                 cmd: sh -c 'exit 3', healthcheck: {{test: [CMD, \"false\"]}}}}\n    next: {{{}}}\n    last: {{{}}}\n  links:\n    - endpoints: \
                 [\"next:eth1\", \"last:eth1\"]\n",
                after("ends", "healthy"),
                after("next", "configure"),
            ),
        );
        let told = world.cli(["deploy", "-t", "vain.clab.yml", "--wait", "150s"]);
        assert_eq!(told.code, 1, "{told:?}");
        for words in [
            "node ends is exited: exit status 3",
            "node next is pending: create waits for ends (healthy)",
            "node last is pending: create waits for next (configure)",
        ] {
            assert!(told.stderr.contains(words), "{words}: {told:?}");
        }
        world.cli(["destroy", "vain"]).fine();
    });
}

/// `exec` waits for links that could still come, for at most 10 s: not for that of a node which waits for it.
#[test]
fn commands_do_not_wait_for_a_node_that_waits_for_them() {
    on_a_machine(LIMIT, |world| {
        let file = "name: first\ntopology:\n  defaults: {kind: linux, labels: {archetype.runtime: namespace}}\n  nodes:\n    \
                    q: {exec: [\"true\"]}\n    r: {stages: {create: {wait-for: [{node: q, stage: healthy}]}}}\n  links:\n    \
                    - endpoints: [\"q:eth1\", \"r:eth1\"]\n";
        world.write("first.clab.yml", file);
        world.cli(["deploy", "-t", "first.clab.yml", "--wait", "60s"]).fine();
        let at = |words: &str| {
            eventually(SOON, words, || {
                let told = world.cli(["journal", "first", "--format", "json"]).json();
                let entries = told["entries"].as_array().unwrap().iter();
                let mut told = entries.filter(|entry| entry["message"].as_str().unwrap_or_default().contains(words));
                told.next()?["at"].as_str()?.parse::<jiff::Timestamp>().ok()
            })
        };
        let waited = at("ended with status 0").duration_since(at("running"));
        assert!(waited.as_secs() < 9, "{waited:?}");
        world.cli(["destroy", "first"]).fine();
    });
}

#[test]
fn a_deploy_waits_for_links_of_a_node_that_runs_and_waits_for_another() {
    on_a_machine(LIMIT, |world| {
        let file = "name: later\ntopology:\n  defaults: {kind: linux, labels: {archetype.runtime: namespace}}\n  nodes:\n    \
                    job: {restart-policy: \"no\", cmd: sleep 4}\n    next: {stages: {create-links: {wait-for: [{node: job, \
                    stage: exit}]}}}\n    other: {}\n  links:\n    - endpoints: [\"next:eth1\", \"other:eth1\"]\n";
        world.write("later.clab.yml", file);
        world.cli(["deploy", "-t", "later.clab.yml", "--wait", "60s"]).fine();
        assert_eq!(world.lab("later")["links"][0]["actual_state"], "up");
        world.cli(["destroy", "later"]).fine();
    });
}

#[test]
fn a_command_before_a_start_that_was_given_up_runs_again_before_it() {
    on_a_machine(LIMIT, |world| {
        let folder = world.folder.display().to_string();
        let line = format!("sh -c 'echo $$ >> {folder}/begun; while ! test -e {folder}/free; do sleep 0.1; done'");
        let stage = format!("stages: {{create: {{exec: [{{command: \"{line}\", target: host, phase: on-enter}}]}}}}");
        world.write(
            "first.clab.yml",
            &format!(
                "name: first\ntopology:\n  defaults: {{kind: linux, labels: {{archetype.runtime: namespace}}}}\n  nodes:\n    \
                 n: {{{stage}}}\n"
            ),
        );
        let begun = || std::fs::read_to_string(world.folder.join("begun")).unwrap_or_default().lines().count();
        world.cli(["deploy", "-t", "first.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "it has begun", || (begun() == 1).then_some(()));
        world.cli(["node", "first", "n", "stop", "--wait", "30s"]).fine();
        world.cli(["node", "first", "n", "start", "--no-wait"]).fine();
        eventually(SOON, "it has begun again", || (begun() == 2).then_some(()));
        assert_ne!(world.node("first", "n")["state"], "running", "its start waits for the command");
        world.write("free", "");
        world.until_up("first", SOON);
        world.cli(["destroy", "first"]).fine();
    });
}

#[test]
fn nodes_that_wait_in_a_circle_are_refused() {
    on_a_machine(LIMIT, |world| {
        let waits = |node: &str| {
            format!("{{image: bb, stages: {{configure: {{wait-for: [{{node: {node}, stage: healthy}}]}}}}}}")
        };
        let (a, b) = (waits("b"), waits("a"));
        world.write(
            "x.clab.yml",
            &format!("name: x\ntopology:\n  defaults: {{kind: linux}}\n  nodes:\n    a: {a}\n    b: {b}\n"),
        );
        let refused = world.cli(["deploy", "-t", "x.clab.yml"]);
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains("a waits for b waits for a"), "{}", refused.stderr);
        assert!(refused.stderr.contains("cyclic-stages"), "{}", refused.stderr);
    });
}

#[test]
fn commands_on_the_host_have_a_time_limit_and_can_be_refused() {
    on_a_machine(LIMIT, |world| {
        world.serve.term();
        world.serve.set("ARCHETYPE_HOST_COMMAND_LIMIT", "5s");
        world.serve.start();
        let lab = |name: &str| {
            format!(
                "name: {name}\ntopology:\n  nodes:\n    a:\n      kind: linux\n      labels: {{archetype.runtime: namespace}}\n      \
                 stages:\n        configure:\n          exec:\n            - {{command: sh -c 'echo begun; sleep 1000', \
                 target: host}}\n            - {{command: sh -c 'echo >> after', target: host}}\n"
            )
        };
        let shared = world.folder.join("after");
        let after = || std::fs::read_to_string(&shared).unwrap_or_default().len();
        let execs = |world: &World| world.node("slow", "a")["execs"].clone();
        world.write("slow.clab.yml", &lab("slow"));
        world.cli(["deploy", "-t", "slow.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "the next command runs", || (after() == 1).then_some(()));
        let told =
            eventually(SOON, "both are over", || Some(execs(world)).filter(|execs| execs[1]["state"] == "ended"));
        assert_eq!((&told[0]["state"], &told[0]["output"]), (&"out-of-time".into(), &"begun\n".into()), "{told}");
        let is_told = |finding: &Value| finding["code"] == "host-command-too-slow";
        let found = |world: &World| world.lab("slow")["findings"].as_array().unwrap().iter().any(is_told);
        eventually(SOON, "it is found", || found(world).then_some(()));

        world.serve.term();
        world.serve.set("ARCHETYPE_HOST_COMMANDS", "refuse");
        world.serve.start();
        world.write("other.clab.yml", &lab("other"));
        let refused = world.cli(["deploy", "-t", "other.clab.yml"]);
        assert!(refused.code == 1 && refused.stderr.contains("host-commands-refused"), "{}", refused.stderr);
        // A lab that is there already has none of them run at its next start.
        world.cli(["node", "slow", "a", "restart"]).fine();
        let told = eventually(SOON, "both are over", || Some(execs(world)).filter(|execs| execs[1]["code"] == 126));
        assert_eq!((&told[0]["code"], after()), (&126.into(), 1), "{told}");
        eventually(SOON, "nothing is found any more", || (!found(world)).then_some(()));
        world.cli(["destroy", "slow"]).fine();
    });
}

/// Four nodes, each with a command that never ends: of the stage `configure` on the host, or of its own list.
fn held(sort: &str, on_host: bool) -> String {
    let line = "sh -c 'echo $$ >> shared/begun; exec sleep 100000'";
    let command = match on_host {
        true => format!("stages: {{configure: {{exec: [{{command: \"{line}\", target: host}}]}}}}"),
        false => format!("exec: [\"{}\"]", line.replace("shared/", "/mnt/")),
    };
    let nodes: String = (1..=4).map(|number| format!("    h{number}:\n      {command}\n")).collect();
    format!(
        "name: held\ntopology:\n  defaults: {{kind: linux, {sort}, cmd: sleep 100000, binds: [\"shared:/mnt\"]}}\n  \
         nodes:\n{nodes}"
    )
}

fn commands_that_never_end_hold_up_nothing(world: &World, sort: &str, on_host: bool) {
    let shared = world.folder.join("shared");
    std::fs::create_dir(&shared).unwrap();
    let begun = || -> Vec<String> {
        let text = std::fs::read_to_string(shared.join("begun")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    world.write("held.clab.yml", &held(sort, on_host));
    world.write("free.clab.yml", &format!("name: free\ntopology:\n  nodes:\n    n: {{kind: linux, {sort}}}\n"));
    world.cli(["deploy", "-t", "held.clab.yml", "--no-wait"]).fine();
    eventually(SOON, "all of them run", || (begun().len() == 4).then_some(()));
    world.cli(["deploy", "-t", "free.clab.yml", "--wait", "60s"]).fine();

    // The wait would go on for the other three: what is asked for is seen of the node.
    world.cli(["node", "held", "h1", "stop", "--no-wait"]).fine();
    let stopped = eventually(SOON, "it is stopped", || {
        let node = world.node("held", "h1");
        (node["state"] == "stopped").then_some(node)
    });
    assert_eq!(stopped["execs"][0]["state"], "given-up", "{stopped}");
    world.cli(["node", "held", "h2", "restart", "--no-wait"]).fine();
    eventually(SOON, "its new start runs it anew", || (begun().len() == 5).then_some(()));
    world.cli(["destroy", "held", "--wait", "60s"]).fine();
    if on_host {
        let runs = |pid: &String| std::path::Path::new("/proc").join(pid).exists();
        eventually(SOON, "nothing of them runs", || (!begun().iter().any(runs)).then_some(()));
    }
    world.cli(["destroy", "free"]).fine();
}

#[test]
fn commands_on_the_host_that_never_end_hold_up_nothing_of_namespaces() {
    std::fs::create_dir_all("/mnt").unwrap();
    on_a_machine(LIMIT, |world| {
        commands_that_never_end_hold_up_nothing(world, "labels: {archetype.runtime: namespace}", true);
    });
}

#[test]
fn commands_on_the_host_that_never_end_hold_up_nothing_of_containers() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        commands_that_never_end_hold_up_nothing(world, "image: bb", true);
    });
}

#[test]
fn commands_in_namespaces_that_never_end_hold_up_nothing() {
    std::fs::create_dir_all("/mnt").unwrap();
    on_a_machine(LIMIT, |world| {
        commands_that_never_end_hold_up_nothing(world, "labels: {archetype.runtime: namespace}", false);
    });
}

#[test]
fn commands_in_containers_that_never_end_hold_up_nothing() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        commands_that_never_end_hold_up_nothing(world, "image: bb", false);
    });
}
