//! What somebody does to things of ours or beside them: pins and names of namespaces, a network that others are on, a
//! switch that hangs, settings of its ports. Everything is real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use world::{World, attempt, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(200);
const SOON: Duration = Duration::from_secs(40);

const PAIR: &str = "\
name: pair
topology:
  nodes:
    a: {kind: linux, labels: {archetype.runtime: namespace}, cmd: sleep 1000}
    b: {kind: linux, image: bb, cmd: sleep 1000}
  links: [{endpoints: [\"a:eth1\", \"b:eth1\"]}]
";

fn deployed(world: &World) {
    world.engine.import_busybox("bb");
    world.write("pair.clab.yml", PAIR);
    world.cli(["deploy", "-t", "pair.clab.yml", "--wait", "60s"]).fine();
}

fn link(world: &World) -> Value {
    world.lab("pair")["links"][0].clone()
}

fn findings(world: &World) -> String {
    let inspected = world.inspect();
    inspected["findings"].to_string() + &inspected["labs"][0]["findings"].to_string()
}

#[test]
fn a_pin_that_was_taken_away_is_put_back_while_its_node_runs() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        for node in ["a", "b"] {
            let name = format!("/run/netns/clab-pair-{node}");
            let inode = || run("stat", ["-L", "-c", "%i", &name]);
            let before = inode();
            let pin = run("sh", ["-c", &format!("ls -d /run/archetype/*/netns/clab-pair-{node}")]).trim().to_owned();
            run("umount", ["-l", &pin]);
            run("rm", [&pin]);
            eventually(SOON, "the pin is back", || attempt("mountpoint", ["-q", &pin]).is_ok().then_some(()));
            assert_eq!(run("stat", ["-L", "-c", "%i", &pin]), before, "{node}: it is the namespace that was there");
            world.until_up("pair", SOON);

            // The public name may be gone as well: then the node's process has the namespace.
            run("umount", ["-l", name.as_str(), &pin]);
            run("rm", [name.as_str(), &pin]);
            eventually(SOON, "pin and name are back", || {
                (attempt("mountpoint", ["-q", &pin]).is_ok() && attempt("mountpoint", ["-q", &name]).is_ok())
                    .then_some(())
            });
            assert_eq!(inode(), before, "{node}: it is the namespace that was there");
            world.until_up("pair", SOON);
            assert_eq!(link(world)["actual_state"], "up");
        }
    });
}

#[test]
fn a_name_of_somebody_elses_namespace_is_a_problem_of_plan_and_a_finding_later() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write("pair.clab.yml", PAIR);
        run("ip", ["netns", "add", "clab-pair-a"]);
        let refused = world.cli(["deploy", "-t", "pair.clab.yml", "--wait", "30s"]);
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        assert!(
            refused.stderr.contains("namespace-taken") && refused.stderr.contains("no process runs"),
            "{}",
            refused.stderr
        );
        run("ip", ["netns", "delete", "clab-pair-a"]);
        deployed(world);

        run(
            "sh",
            ["-c", "umount -l /run/netns/clab-pair-a && rm /run/netns/clab-pair-a && ip netns add clab-pair-a || true"],
        );
        // Ours may have come back first, or may be laid over the other one just now; then that one takes its place.
        let lay_over = "test /proc/self/ns/net -ef /run/netns/clab-pair-a || \
                        mount --bind /proc/self/ns/net /run/netns/clab-pair-a";
        eventually(SOON, "it is a finding", || {
            let _ = attempt("sh", ["-c", lay_over]);
            // A mount over a name is told by no event.
            world.look_again("pair");
            findings(world).contains("namespace-name-taken").then_some(())
        });
        assert_eq!(link(world)["actual_state"], "up", "the node runs all the same");
        run(
            "sh",
            ["-c", "while umount -l /run/netns/clab-pair-a 2>/dev/null; do :; done; rm -f /run/netns/clab-pair-a"],
        );
        eventually(SOON, "the finding has gone", || (!findings(world).contains("namespace-name-taken")).then_some(()));
        world.until_up("pair", SOON);
    });
}

#[test]
fn a_network_that_others_are_on_stays_as_a_finding_and_goes_when_they_have_left() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        world.docker(["run", "-d", "--name", "theirs", "--network", "clab", "bb", "sleep", "1000"]);
        no_node_gets_an_address_that_docker_gives_away(world);
        world.cli(["destroy", "pair", "--wait", "30s"]).fine();
        // The field is there only while there is something to tell.
        let told = |world: &World| world.inspect()["findings"].to_string();
        eventually(SOON, "it is told that the network stays", || {
            (told(world).contains("network-in-use") && told(world).contains("theirs")).then_some(())
        });
        assert_eq!(world.inspect()["labs"], Value::Array(Vec::new()));
        assert!(world.cli(["inspect"]).fine().stdout.contains("theirs still on it"));
        let journal = eventually(SOON, "the journal has it", || {
            let told = world.cli(["journal"]).stdout;
            told.contains("management network clab stays").then_some(told)
        });
        assert_eq!(journal.matches("management network clab stays").count(), 1, "{journal}");
        world.serve.term();
        world.serve.start();
        eventually(SOON, "a start later it is still told", || told(world).contains("network-in-use").then_some(()));

        world.docker(["rm", "-f", "theirs"]);
        eventually(SOON, "it goes by itself", || {
            let networks = world.docker(["network", "ls", "--format", "{{.Name}}"]);
            let bridges = run("sh", ["-c", "ip -o link show type bridge"]);
            let gone = !networks.contains("clab") && !bridges.contains("br-") && told(world) == "null";
            gone.then_some(())
        });
    });
}

/// While somebody is on it the Docker network keeps its range: theirs has its first address, the next to join gets another.
fn no_node_gets_an_address_that_docker_gives_away(world: &World) {
    let format = "{{(index .NetworkSettings.Networks \"clab\").IPAddress}}";
    let theirs = world.docker(["inspect", "-f", format, "theirs"]).trim().to_owned();
    let next = theirs.rsplit_once('.').map(|(net, last)| format!("{net}.{}", last.parse::<u8>().unwrap() + 1)).unwrap();
    for address in [theirs, next] {
        let node = format!("{{kind: linux, image: bb, cmd: sleep 1000, mgmt-ipv4: {address}}}");
        world.write("late.clab.yml", &format!("name: late\ntopology: {{nodes: {{x: {node}}}}}\n"));
        let refused = eventually(SOON, "the engine's event of who has joined is in", || {
            let refused = world.cli(["plan", "-t", "late.clab.yml"]);
            (refused.code == 1).then_some(refused)
        });
        assert!(refused.stderr.contains("[address-refused]") && refused.stderr.contains("theirs"), "{refused:?}");
        assert_eq!(world.cli(["deploy", "-t", "late.clab.yml"]).code, 1);
    }
}

#[test]
fn a_node_that_was_started_again_while_nobody_watched_is_told_and_not_repaired() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        world.serve.term();
        world.docker(["restart", "clab-pair-b"]);
        world.serve.start();
        world.until_up("pair", SOON);
        let journal = eventually(SOON, "the journal has it", || {
            let told = world.cli(["journal", "pair"]).stdout;
            told.contains("b: was started again while nobody watched").then_some(told)
        });
        assert!(!journal.contains("repair") && !journal.contains("a: was started again"), "{journal}");
    });
}

#[test]
fn an_interface_that_a_node_moved_into_a_namespace_of_its_own_is_read_and_proven_there() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        // Of a namespace with a name and nobody in it, and of one that only a process holds.
        run("ip", ["netns", "add", "kid"]);
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", "clab-pair-b", "unshare", "-n", "sleep", "200"])
            .spawn()
            .unwrap();
        let process = child.id().to_string();
        let own = || std::fs::read_link("/proc/self/ns/net").ok();
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let node = run("sh", ["-c", "ip netns pids clab-pair-b | head -n1"]).trim().to_owned();
        eventually(SOON, "the child has a namespace of its own", || {
            (of(&process) != own() && of(&process) != of(&node)).then_some(())
        });
        run("ip", ["-n", "clab-pair-a", "link", "set", "eth1", "netns", "kid"]);
        run("ip", ["-n", "clab-pair-b", "link", "set", "eth1", "netns", &process]);
        eventually(SOON, "it is shut by the move", || (link(world)["actual_state"] == "down").then_some(()));
        run("ip", ["-n", "kid", "link", "set", "eth1", "up"]);
        run("nsenter", ["-t", &process, "-n", "ip", "link", "set", "eth1", "up"]);
        world.until_up("pair", SOON);
        let told = world.cli(["journal", "pair"]).stdout;
        assert!(!told.contains("repair"), "what a node does with its interfaces is no drift: {told}");
        // One of a node that does not run is dead on the wire, wherever it was.
        world.cli(["node", "pair", "a", "stop"]).fine();
        eventually(SOON, "it is in its node again", || attempt("ip", ["-n", "kid", "link", "show", "eth1"]).err());
        world.cli(["node", "pair", "a", "start"]).fine();
        world.until_up("pair", SOON);
        // It goes with its namespace, and comes back in the node.
        child.kill().unwrap();
        child.wait().unwrap();
        eventually(SOON, "it is made again", || attempt("ip", ["-n", "clab-pair-b", "link", "show", "eth1"]).ok());
        run("ip", ["netns", "del", "kid"]);
        world.until_up("pair", SOON);
    });
}

const ROW: &str = "\
name: row
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes:
    a: {}
    b: {}
    over: {cmd: \"false\", restart-policy: \"no\"}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
    - endpoints: [\"a:eth2\", \"b:eth2\"]
";

#[test]
fn a_link_that_goes_while_its_node_starts_again_fails_nothing_and_is_told_by_its_own_state() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", ROW);
        assert_eq!(world.cli(["deploy", "-t", "row.clab.yml", "--wait", "30s"]).code, 1, "one node has failed");
        for _ in 0..12 {
            world.cli(["node", "row", "a", "restart", "--no-wait"]).fine();
            let removed = world.cli(["link", "row", "rm", "a:eth2", "b:eth2", "--wait", "30s"]).fine();
            assert!(removed.stdout.contains("was removed"), "{removed:?}");
            let added = world.cli(["link", "row", "add", "a:eth2", "b:eth2", "--wait", "30s"]).fine();
            assert!(added.stdout.contains("is up"), "{added:?}");
        }
        let journal = world.cli(["journal", "row"]).stdout;
        assert!(!journal.contains("repair") && !journal.contains("No such device"), "{journal}");
    });
}

#[test]
fn what_is_wished_of_a_node_or_link_is_told_by_its_own_state_whatever_a_finding_says_of_another_node() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", &ROW.replace("cmd: \"false\"", "cmd: no-such-program"));
        let deployed = world.cli(["deploy", "-t", "row.clab.yml", "--wait", "30s"]);
        assert!(deployed.code == 1 && deployed.stderr.contains("no-such-program"), "{deployed:?}");
        for (words, told) in [
            (&["node", "row", "a", "stop"][..], "a is stopped"),
            (&["node", "row", "a", "start"], "a runs"),
            (&["link", "row", "down", "a:eth1"], "is down"),
            (&["link", "row", "up", "a:eth1"], "is up"),
        ] {
            let done = world.cli(words).fine();
            assert!(done.stdout.contains(told), "{done:?}");
        }
        let refused = world.cli(["node", "row", "over", "start", "--wait", "10s"]);
        assert!(refused.code != 0 && refused.stderr.contains("no-such-program"), "{refused:?}");
    });
}

#[test]
fn plan_names_the_source_of_a_bind_that_was_replaced_under_a_node_that_runs() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write("conf", "one\n");
        let nodes = "{a: {kind: linux, image: bb, cmd: sleep 1000, binds: [\"conf:/conf\"]}}";
        world.write("bound.clab.yml", &format!("name: bound\ntopology:\n  nodes: {nodes}\n"));
        world.cli(["deploy", "-t", "bound.clab.yml", "--wait", "60s"]).fine();
        let told = || world.cli(["plan", "-t", "bound.clab.yml"]).fine();
        world.write("conf", "written in place\n");
        assert!(!told().stderr.contains("bind-replaced"), "{:?}", told());
        let replaced = world.write("new", "another file\n");
        std::fs::rename(&replaced, replaced.with_file_name("conf")).unwrap();
        assert!(told().stderr.contains("node a sees what was at"), "{:?}", told());
        world.cli(["deploy", "-t", "bound.clab.yml", "--reload", "a", "--wait", "60s"]).fine();
        assert!(!told().stderr.contains("node a sees"), "{:?}", told());
        assert_eq!(world.exec("bound", "a", "cat /conf").fine().stdout, "another file\n");
    });
}

#[test]
fn a_switch_that_hangs_makes_links_unknown_until_it_answers() {
    on_a_machine(LIMIT, |world| {
        world.serve.term();
        world.serve.set("ARCHETYPE_FULL_READ_INTERVAL", "2s");
        world.serve.start();
        deployed(world);
        world.ovs.signal_vswitchd(Signal::SIGSTOP);
        eventually(SOON, "the link is unknown", || (link(world)["actual_state"] == "unknown").then_some(()));
        assert!(link(world)["reason"].to_string().contains("does not answer"), "{}", link(world));
        assert_eq!(world.lab("pair")["state"], "unknown");
        world.ovs.signal_vswitchd(Signal::SIGCONT);
        world.until_up("pair", SOON);
    });
}

const OUT: &str = "\
name: out
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}}
  links:
    - endpoints: [\"a:eth1\", \"host:to-a\"]
    - endpoints: [\"a:eth2\", \"b:eth2\"]
";

#[test]
fn a_device_of_somebody_else_under_the_name_of_the_hosts_end_is_named_left_alone_and_its_link_comes_back() {
    on_a_machine(LIMIT, |world| {
        world.write("out.clab.yml", OUT);
        world.cli(["deploy", "-t", "out.clab.yml", "--wait", "30s"]).fine();
        let link = |at: usize| world.lab("out")["links"][at].clone();
        // Ours goes, and theirs stands there before ours can be made again.
        let theirs = "printf 'link del to-a\\nlink add to-a type veth peer name theirs\\n' | ip -batch -";
        eventually(SOON, "theirs was quicker than ours", || {
            let _ = attempt("sh", ["-c", theirs]);
            attempt("ip", ["link", "show", "theirs"]).ok()
        });
        let told = eventually(SOON, "the link names it", || {
            let link = link(0);
            (link["reason"] == "a:eth1: device to-a is not the one made for a:eth1").then_some(link)
        });
        assert_eq!(told["actual_state"], "error");
        eventually(SOON, "a finding names it", || {
            world.cli(["inspect", "out"]).stdout.contains("[device-name-taken]").then_some(())
        });
        let shown = run("ip", ["-d", "link", "show", "to-a"]);
        assert!(shown.contains("to-a@theirs") && !shown.contains("alias"), "it was touched: {shown}");
        // The other links of that node and of the lab do not mind.
        eventually(SOON, "the other is up", || (link(1)["actual_state"] == "up").then_some(()));
        run("ip", ["link", "del", "to-a"]);
        eventually(SOON, "it is made again, told as a repair, and proven", || {
            let journal = world.cli(["journal", "out"]).stdout;
            (link(0)["actual_state"] == "up" && journal.contains("make eth1 of clab-out-a (to-a)")).then_some(())
        });
        world.until_up("out", SOON);
    });
}

#[test]
fn a_setting_of_the_bridge_that_breaks_wires_takes_links_from_up_until_it_is_gone() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let set = |words: &str| drop(world.ovs.vsctl(["--no-wait"].into_iter().chain(words.split(' '))));
        for (harm, remedy, named) in [
            (
                "set bridge arch-ovs mcast_snooping_enable=true",
                "set bridge arch-ovs mcast_snooping_enable=false",
                "mcast_snooping_enable=true",
            ),
            ("set bridge arch-ovs stp_enable=true", "set bridge arch-ovs stp_enable=false", "stp_enable=true"),
            ("set bridge arch-ovs rstp_enable=true", "set bridge arch-ovs rstp_enable=false", "rstp_enable=true"),
            ("set-controller arch-ovs unix:/nobody", "del-controller arch-ovs", "a controller"),
        ] {
            set(harm);
            let told = eventually(SOON, &format!("{named}: the link is up no more and says why"), || {
                let link = link(world);
                (link["actual_state"] == "error").then(|| link["reason"].to_string())
            });
            assert!(told.contains(&format!("{named} is set on bridge arch-ovs")), "{told}");
            let all = findings(world);
            assert!(all.contains("harmful-switch-setting") && all.contains(named), "{all}");
            set(remedy);
            world.until_up("pair", SOON);
            eventually(SOON, &format!("{named}: nothing is told any more"), || {
                (!findings(world).contains("harmful-switch-setting")).then_some(())
            });
        }

        // Fragments: no event tells of it, so it is seen at the next look at everything, and mended.
        let management = world.management();
        let fragments = || world.ovs.tool("ovs-ofctl", ["get-frags", &management]);
        world.ovs.tool("ovs-ofctl", ["set-frags", &management, "drop"]);
        world.look_again("pair");
        eventually(SOON, "fragments are switched as they are", || fragments().contains("normal").then_some(()));
        world.until_up("pair", SOON);
        let journal = world.cli(["journal"]).fine().stdout;
        assert!(journal.contains("repair") && !journal.contains("no answer"), "{journal}");
    });
}

#[test]
fn what_others_set_on_ports_of_ours_is_mended_and_a_mirror_of_them_is_told() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        let port = link(world)["endpoints"][0]["ovs_port"].as_str().unwrap().to_owned();
        let get = |table: &str, column: &str| world.ovs.vsctl(["get", table, &port, column]).trim().to_owned();
        world.ovs.vsctl(["set", "interface", &port, "ingress_policing_rate=100"]);
        eventually(SOON, "policing is taken away", || (get("interface", "ingress_policing_rate") == "0").then_some(()));
        world.ovs.vsctl(["set", "port", &port, "qos=@q", "--", "--id=@q", "create", "qos", "type=linux-htb"]);
        eventually(SOON, "the queueing is taken away", || (get("port", "qos") == "[]").then_some(()));
        world.until_up("pair", SOON);

        let words = format!(
            "-- --id=@p get port {port} -- --id=@m create mirror name=spy select_src_port=@p -- set bridge arch-ovs mirrors=@m"
        );
        world.ovs.vsctl(words.split(' '));
        eventually(SOON, "the mirror is told", || findings(world).contains("wire-mirrored").then_some(()));
        assert!(findings(world).contains(&format!("mirror spy copies what {port} carries")), "{}", findings(world));
        assert_eq!(link(world)["actual_state"], "up");
        world.ovs.vsctl(["clear", "bridge", "arch-ovs", "mirrors"]);
        eventually(SOON, "nothing is told any more", || (!findings(world).contains("wire-mirrored")).then_some(()));

        // One that puts its copies into a wire: what was sent at the other end is not what comes out.
        let tag = get("port", "tag");
        let into = ["output-port=@p".to_owned(), format!("output-vlan={tag}")];
        for (into, told) in into.into_iter().zip(["carries nothing but the copies", "puts its copies into tag"]) {
            let words = format!(
                "-- --id=@p get port {port} -- --id=@m create mirror name=spy select-all=true {into} -- set bridge arch-ovs mirrors=@m"
            );
            world.ovs.vsctl(words.split(' '));
            let reason = eventually(SOON, "the link is not up", || {
                let link = link(world);
                (link["actual_state"] == "error").then(|| link["reason"].to_string())
            });
            assert!(reason.contains(told), "{reason}");
            world.ovs.vsctl(["clear", "bridge", "arch-ovs", "mirrors"]);
            world.until_up("pair", SOON);
        }
    });
}

#[test]
fn a_bridge_that_somebody_made_in_place_of_ours_moves_frames_as_the_host_can() {
    on_a_machine(LIMIT, |world| {
        deployed(world);
        world.ovs.vsctl("del-br arch-ovs -- add-br arch-ovs".split(' '));
        eventually(SOON, "it is as one that is made here", || {
            let kind = world.ovs.vsctl(["get", "bridge", "arch-ovs", "datapath_type"]);
            (kind.trim() == "netdev").then_some(())
        });
        world.until_up("pair", SOON);
    });
}
