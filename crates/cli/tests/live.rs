//! Labs that are changed while they run: links set up and down, added and removed, and files that say something else.
//! What a change does not name stays as it is, row by row, and loses no packet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod traffic;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use traffic::Traffic;
use world::{World, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(150);
const SOON: Duration = Duration::from_secs(20);

const ROW: &str = "\
name: row
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes: {a: {}, b: {}, c: {}}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
    - endpoints: [\"b:eth2\", \"c:eth1\"]
";

/// Whether an interface inside a node has carrier.
fn carrier(node: &str, interface: &str) -> bool {
    let shown = run("ip", ["-n", node, "-o", "link", "show", interface]);
    shown.contains("LOWER_UP")
}

/// How long it takes until an interface has carrier, or none.
fn until_carrier(node: &str, interface: &str, wanted: bool) -> Duration {
    let begun = Instant::now();
    while carrier(node, interface) != wanted {
        assert!(begun.elapsed() < SOON, "carrier of {node}:{interface} stays {}", !wanted);
        std::thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

#[test]
fn a_link_is_set_down_and_up_and_says_so() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", ROW);
        world.cli(["deploy"]).fine();
        let down = world.cli(["link", "row", "down", "b:eth1"]).fine().stdout;
        let reason = "wanted down by a user; `archetype link row up a:eth1` takes it back";
        assert_eq!(down, format!("a:eth1--b:eth1 is down: {reason}\n"));
        until_carrier("clab-row-a", "eth1", false);
        until_carrier("clab-row-b", "eth1", false);
        assert!(carrier("clab-row-b", "eth2"));
        let lab = world.lab("row");
        assert_eq!((&lab["state"], &lab["links"][0]["actual_state"]), (&"up".into(), &"down".into()), "{lab}");
        assert_eq!(lab["links"][0]["reason"], reason);

        world.cli(["deploy"]).fine();
        assert_eq!(world.lab("row")["links"][0]["actual_state"], "down", "kept over the same file");
        world.serve.term();
        world.serve.start();
        assert_eq!(world.cli(["link", "row", "up", "a:eth1"]).fine().stdout, "a:eth1--b:eth1 is up\n");
        until_carrier("clab-row-a", "eth1", true);
        let wishes = world.cli(["journal", "row"]).fine().stdout;
        assert!(wishes.contains("down wanted") && wishes.contains("up wanted"), "{wishes}");
        assert!(!wishes.contains("repair"), "{wishes}");
    });
}

#[test]
fn a_link_is_added_and_removed_and_the_file_wins_when_it_is_deployed_again() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", ROW);
        world.cli(["deploy"]).fine();
        let before = things(world);
        assert_eq!(world.cli(["link", "row", "add", "a:eth2", "c:eth2"]).fine().stdout, "a:eth2--c:eth2 is up\n");
        let after = things(world);
        assert_eq!(before.difference(&after).collect::<Vec<_>>(), Vec::<&String>::new());
        assert!(carrier("clab-row-a", "eth2") && carrier("clab-row-c", "eth2"));
        let plan = world.cli(["plan"]).fine().stdout;
        assert_eq!(plan, "- remove link a:eth2--c:eth2\nrow: 1 change, 3 nodes and 2 links untouched\n");

        let refused = world.cli(["link", "row", "add", "a:eth1", "c:eth3"]);
        assert_eq!(refused.code, 1);
        assert_eq!(
            refused.stderr,
            "error: a:eth1 is an end of the link a:eth1--b:eth1 already [interface-used-twice]\n  \
             hint: remove that one first: archetype link row rm a:eth1\n"
        );
        let unknown = world.cli(["link", "row", "rm", "a:eth7"]);
        assert_eq!(
            (unknown.code, unknown.stderr.lines().next()),
            (1, Some("error: lab row has no link a:eth7 [link-unknown]"))
        );
        assert_eq!(world.cli(["link", "row", "add", "a:eth2"]).code, 2);

        let removed = world.cli(["link", "row", "rm", "c:eth2", "a:eth2"]).fine().stdout;
        assert_eq!(removed, "c:eth2--a:eth2 was removed\n");
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));
        world.cli(["link", "row", "rm", "b:eth2"]).fine();
        assert_eq!(world.lab("row")["links"].as_array().unwrap().len(), 1);
        world.cli(["deploy"]).fine();
        let links = world.lab("row")["links"].as_array().unwrap().clone();
        assert_eq!(links.iter().map(|link| link["actual_state"].as_str().unwrap()).collect::<Vec<_>>(), ["up", "up"]);
    });
}

#[test]
fn when_one_end_cannot_be_made_the_other_is_parked_and_the_links_error_names_it() {
    on_a_machine(LIMIT, |world| {
        world.write("row.clab.yml", ROW);
        world.cli(["deploy"]).fine();
        // The node has made a device of that name itself.
        run("ip", ["-n", "clab-row-c", "link", "add", "eth2", "type", "bridge"]);
        let added = world.cli(["link", "row", "add", "a:eth2", "c:eth2", "--wait", "10s"]);
        assert_eq!(added.code, 1, "{}{}", added.stdout, added.stderr);
        let link = world.lab("row")["links"][2].clone();
        assert_eq!(link["actual_state"], "error", "{link}");
        let reason = link["reason"].as_str().unwrap();
        assert!(reason.starts_with("c:eth2: make eth2 of clab-row-c"), "{reason}");
        let parked = link["endpoints"][0]["ovs_port"].as_str().unwrap().to_owned();
        let row = world.ovs.vsctl(["--columns=tag,protected", "list", "port", &parked]);
        assert!(row.contains("4094") && row.contains("true"), "{row}");
        let written = || world.ovs.vsctl(["get", "open_vswitch", ".", "next_cfg"]);
        let before = written();
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(written(), before, "a try that fails moves nothing at the other end");

        run("ip", ["-n", "clab-row-c", "link", "del", "eth2"]);
        world.until_up("row", SOON);
        let journal = world.cli(["journal", "row"]).fine().stdout;
        assert!(!journal.contains("repair"), "{journal}");
    });
}

#[test]
fn a_container_that_is_stopped_or_killed_takes_the_far_ends_carrier_until_it_runs_again() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write(
            "two.clab.yml",
            "name: two\ntopology:\n  defaults: {kind: linux, image: bb, cmd: \"sh -c 'trap exit TERM; while :; do sleep 0.1; done'\"}\n  \
             nodes: {a: {}, b: {}}\n  links: [{endpoints: [\"a:eth1\", \"b:eth1\"]}]\n",
        );
        world.cli(["deploy"]).fine();
        for signal in ["KILL", "TERM"] {
            let mut shell = std::process::Command::new("sh");
            let far = std::thread::spawn(|| until_carrier("clab-two-b", "eth1", false));
            let begun = Instant::now();
            let pid = world.docker(["inspect", "-f", "{{.State.Pid}}", "clab-two-a"]);
            shell.args(["-c", &format!("kill -{signal} {}", pid.trim())]).status().unwrap();
            far.join().unwrap();
            eprintln!("{signal}: carrier of the far end gone {:?} after it was sent", begun.elapsed());
            until_carrier("clab-two-b", "eth1", true);
            world.until_up("two", SOON);
        }
        let stopped = world.cli(["node", "two", "a", "stop"]).fine();
        assert_eq!(stopped.stdout, "a is stopped\n");
        until_carrier("clab-two-b", "eth1", false);
        let link = world.lab("two")["links"][0].clone();
        assert_eq!(link["actual_state"], "pending", "{link}");
        let up = world.cli(["link", "two", "up", "a:eth1"]);
        assert_eq!((up.code, up.stdout.contains("is pending")), (1, true), "{up:?}");
        world.cli(["node", "two", "a", "start"]).fine();
        until_carrier("clab-two-b", "eth1", true);
        assert_eq!(world.lab("two")["links"][0]["actual_state"], "up");
        let journal = world.cli(["journal", "two"]).fine().stdout;
        assert!(!journal.contains("device"), "what follows the far end is no repair: {journal}");
    });
}

/// Containers with traffic between them that nothing of what follows names, and namespaces beside them.
const BUSY: &str = "\
name: busy
topology:
  nodes:
    t1: {kind: linux, image: bb, cmd: \"sh -c 'while :; do sleep 1; done'\"}
    t2: {kind: linux, image: bb, cmd: \"sh -c 'while :; do sleep 1; done'\"}
    p: &ns {kind: linux, cmd: sleep 1000000, labels: {archetype.runtime: namespace}}
    q: *ns
    x: *ns
    y: *ns
    sw: {kind: bridge}
  links:
    - endpoints: [\"t1:eth1\", \"t2:eth1\"]
    - endpoints: [\"t1:eth2\", \"sw:p1\"]
    - endpoints: [\"t2:eth2\", \"sw:p2\"]
    - endpoints: [\"p:eth1\", \"x:eth1\"]
    - endpoints: [\"q:eth1\", \"y:eth1\"]
";

/// What the bridge is, but for its ports and their tags.
const BRIDGE: &str = "_uuid,datapath_type,fail_mode,other_config,external_ids,protocols,mirrors,controller";

/// Everything there is, one thing a line with its name first: rows of the switch, devices on the host and in each
/// node, runs.
fn things(world: &World) -> BTreeSet<String> {
    let rows = |table: &str, columns: &str| {
        world.ovs.vsctl(["-f", "csv", "--no-headings", &format!("--columns=name,{columns}"), "list", table])
    };
    let mut lines: BTreeSet<String> = rows("port", "_uuid,tag,vlan_mode,protected,external_ids")
        .lines()
        .map(|line| format!("port {line}"))
        .chain(rows("interface", "_uuid,ofport,ifindex,error").lines().map(|line| format!("interface {line}")))
        .chain(rows("bridge", BRIDGE).lines().map(|line| format!("bridge {line}")))
        .collect();
    let devices = |owner: &str, shown: &str| -> Vec<String> {
        let mut shown: Vec<Value> = serde_json::from_str(shown).unwrap();
        shown.iter_mut().for_each(without_what_time_changes);
        shown.iter().map(|device| format!("device {owner} {} {device}", device["ifname"].as_str().unwrap())).collect()
    };
    lines.extend(devices("host", &run("ip", ["-j", "-d", "addr", "show", "type", "veth"])));
    for node in run("ls", ["/run/netns"]).lines() {
        lines.extend(devices(node, &run("ip", ["-n", node, "-j", "-d", "addr"])));
    }
    let format = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
    let runs =
        "find /run/archetype -path '*/nodes/*/run/pid.json' | while read -r run; do echo \"$run $(cat $run)\"; done";
    let runs = run("sh", ["-c", runs]);
    lines.extend(runs.lines().map(|line| format!("run {line}")));
    let ids = world.docker(["ps", "-aq"]);
    for id in ids.lines() {
        lines.insert(format!("container {}", world.docker(["inspect", "-f", format, id]).trim()));
    }
    lines
}

/// Timers of bridge ports, and addresses that are being looked for twice.
fn without_what_time_changes(device: &mut Value) {
    if let Some(linkinfo) = device.get_mut("linkinfo").and_then(Value::as_object_mut) {
        linkinfo.remove("info_slave_data");
    }
    for address in device["addr_info"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        address.remove("tentative");
    }
}

/// The port, and host device, of an end of a link.
fn port(world: &World, node: &str, interface: &str) -> String {
    let mappings = world.lab("busy")["links"].as_array().unwrap().clone();
    let ends = mappings.iter().flat_map(|link| link["endpoints"].as_array().unwrap().clone());
    let mut found = ends.filter(|end| end["node"] == node && end["linux_interface"] == interface);
    found.next().unwrap()["ovs_port"].as_str().unwrap().to_owned()
}

/// The nodes of [`BUSY`] are there, and those with traffic between them have addresses.
fn busy(world: &World) {
    world.engine.import_busybox("bb");
    world.write("busy.clab.yml", BUSY);
    world.cli(["deploy", "--wait", "60s"]).fine();
    for (node, number) in [("t1", 1), ("t2", 2)] {
        for network in [1, 2] {
            let address = format!("100.64.{network}.{number}/24");
            let interface = format!("eth{network}");
            run("ip", ["-n", &format!("clab-busy-{node}"), "addr", "add", &address, "dev", &interface]);
        }
    }
    settled(world);
    // Else what is compared would not have them in it, and nobody would notice.
    assert_eq!(things(world).iter().filter(|thing| thing.starts_with("run ")).count(), 4);
}

/// Everything there is, when addresses that are looked for twice have been found.
fn settled(world: &World) -> BTreeSet<String> {
    eventually(SOON, "nothing changes by itself", || {
        let before = things(world);
        std::thread::sleep(Duration::from_millis(500));
        (things(world) == before).then_some(before)
    })
}

/// Does something, with traffic between what it does not name, which loses nothing; answers what is other than before.
fn beside_traffic(world: &World, what: &str, work: impl FnOnce()) -> Vec<String> {
    let before = things(world);
    let at = |text: &str| text.parse().unwrap();
    let traffic = [
        Traffic::begin("clab-busy-t1", "clab-busy-t2", at("100.64.1.2:7001")),
        Traffic::begin("clab-busy-t2", "clab-busy-t1", at("100.64.1.1:7001")),
        Traffic::begin("clab-busy-t1", "clab-busy-t2", at("100.64.2.2:7002")),
    ];
    work();
    std::thread::sleep(Duration::from_millis(300));
    traffic.into_iter().for_each(|traffic| traffic.lost_nothing(what));
    before.symmetric_difference(&things(world)).cloned().collect()
}

/// Deploys `file` beside traffic, until every link is up.
fn change(world: &World, what: &str, file: &str) -> Vec<String> {
    beside_traffic(world, what, || {
        world.write("busy.clab.yml", file);
        let deployed = world.cli(["deploy", "--wait", "30s", "--format", "json"]).json();
        for link in deployed["labs"][0]["links"].as_array().unwrap() {
            assert_eq!(link["actual_state"], "up", "{what}: {link}");
        }
    })
}

/// Gives a command beside traffic; it ends well.
fn told(world: &World, words: &str) -> Vec<String> {
    beside_traffic(world, words, || drop(world.cli(words.split(' ')).fine()))
}

/// Each thing that differs begins with one of these words.
#[track_caller]
fn only(what: &str, differs: &[String], named: &[&str]) {
    let others: Vec<&String> = differs.iter().filter(|line| !named.iter().any(|name| line.starts_with(name))).collect();
    assert!(others.is_empty(), "{what} touched: {others:#?}");
    for name in named {
        assert!(differs.iter().any(|line| line.starts_with(name)), "{what} did not touch {name}: {differs:#?}");
    }
}

/// Two devices whose ports have several names.
const SPELT: &str = "\
name: spelt
topology:
  defaults: {labels: {archetype.runtime: namespace}}
  nodes:
    ceos: {kind: arista_ceos}
    csr: {kind: cisco_csr1000v}
  links:
    - endpoints: [\"ceos:Ethernet1\", \"csr:Gi2\"]
    - endpoints: [\"ceos:Ethernet2\", \"csr:Gi3\"]
";

#[test]
fn a_port_that_is_spelled_in_another_way_is_the_same_port() {
    on_a_machine(LIMIT, |world| {
        world.write("spelt.clab.yml", SPELT);
        world.cli(["deploy", "--wait", "30s"]).fine();
        for (node, interface, address) in [("ceos", "Ethernet1", "100.64.3.1/24"), ("csr", "eth1", "100.64.3.2/24")] {
            run("ip", ["-n", &format!("clab-spelt-{node}"), "addr", "add", address, "dev", interface]);
        }
        world.cli(["link", "spelt", "down", "ceos:Ethernet2"]).fine();
        let before = settled(world);
        let files = || {
            run(
                "sh",
                [
                    "-c",
                    "stat -c '%n %y' /run/archetype/*/nodes/*/facts.json; cat /run/archetype/*/nodes/*/facts.digest",
                ],
            )
        };
        let (made, written) = (files(), world.ovs.vsctl(["get", "open_vswitch", ".", "next_cfg"]));
        let at = "100.64.3.2:7001".parse().unwrap();
        let traffic = Traffic::begin("clab-spelt-ceos", "clab-spelt-csr", at);

        // Another name in the file, the same one in Linux: nothing is written at all.
        let other = SPELT.replace("Gi2", "GigabitEthernet2");
        world.write("spelt.clab.yml", &other);
        assert_eq!(world.cli(["plan"]).fine().stdout, "spelt: nothing would change, 2 nodes and 2 links untouched\n");
        world.cli(["deploy", "--wait", "30s"]).fine();
        let link = |index: usize| world.lab("spelt")["links"][index].clone();
        assert_eq!(link(0)["endpoints"][1]["interface"], "GigabitEthernet2");
        assert_eq!((things(world), files()), (before.clone(), made));

        // Another name in Linux too: the node that runs keeps the one that it knows.
        world.write("spelt.clab.yml", &other.replace("ceos:Ethernet", "ceos:eth"));
        let plan = world.cli(["plan"]).fine().stdout;
        let changes = [1, 2].map(|port| {
            format!("~ change link ceos:eth{port}--csr:eth{port}  (ceos:eth{port}: Ethernet{port} in its node until the next start)\n")
        });
        assert_eq!(plan, changes.concat() + "spelt: 2 changes, 2 nodes and 0 links untouched\n");
        world.cli(["deploy", "--wait", "30s"]).fine();
        assert_eq!(link(0)["actual_state"], "up");
        assert_eq!(
            (link(0)["id"].as_str(), link(1)["id"].as_str()),
            (Some("ceos:eth1--csr:eth1"), Some("ceos:eth2--csr:eth2"))
        );
        assert_eq!(link(1)["actual_state"], "down", "the wish is the port's");
        assert_eq!(things(world), before);
        assert_eq!(world.ovs.vsctl(["get", "open_vswitch", ".", "next_cfg"]), written);
        traffic.lost_nothing("another spelling");
        let journal = world.cli(["journal", "spelt"]).fine().stdout;
        assert!(!journal.contains("repair"), "{journal}");

        // From its next start on it has the new ones, on the same ports.
        let shown = |interface: &str| run("ip", ["-n", "clab-spelt-ceos", "-br", "link", "show", interface]);
        let mac = |shown: String| shown.split_whitespace().nth(2).map(str::to_owned);
        let former = mac(shown("Ethernet1"));
        world.cli(["node", "spelt", "ceos", "restart"]).fine();
        world.until_up("spelt", SOON);
        assert_eq!(mac(shown("eth1")), former);
        let differs: Vec<String> = before.symmetric_difference(&settled(world)).cloned().collect();
        only("a restart", &differs, &["device clab-spelt-ceos"]);
    });
}

#[test]
fn a_change_touches_what_it_names_and_the_rest_loses_no_packet() {
    on_a_machine(LIMIT, |world| {
        busy(world);
        let nothing = change(world, "the same file", BUSY);
        only("the same file", &nothing, &[]);

        // Another MTU is set in place, at both ends, and nowhere else.
        let mtu = BUSY.replace("[\"p:eth1\", \"x:eth1\"]", "[\"p:eth1\", \"x:eth1\"]\n      mtu: 4000");
        let differs = change(world, "another MTU", &mtu);
        only("another MTU", &differs, &["device clab-busy-p eth1", "device clab-busy-x eth1"]);
        assert!(differs.iter().filter(|line| line.contains("\"mtu\":4000")).count() == 2, "{differs:#?}");

        // Two nodes change places: the ports of their links get other tags, no device is made anew.
        let swapped = mtu.replace("x:eth1", "Z:eth1").replace("y:eth1", "x:eth1").replace("Z:eth1", "y:eth1");
        let ports = [("p", "eth1"), ("q", "eth1"), ("x", "eth1"), ("y", "eth1")]
            .map(|(node, interface)| format!("port {}", port(world, node, interface)));
        let differs = change(world, "two nodes swapped", &swapped);
        let names: Vec<&str> = ports.iter().map(String::as_str).collect();
        // The MTU goes with the link: from x to y.
        only(
            "two nodes swapped",
            &differs,
            &[&names[..], &["device clab-busy-x eth1", "device clab-busy-y eth1"]].concat(),
        );
        assert!(differs.iter().all(|line| !line.starts_with("interface ")), "{differs:#?}");

        // A LAN gets a member more, and a node comes: both are new, and nothing else is other.
        let wider = swapped.replace("  links:\n", "    z: *ns\n  links:\n    - endpoints: [\"z:eth1\", \"q:eth2\"]\n")
            + "    - endpoints: [\"y:eth2\", \"sw:p3\"]\n";
        let before = things(world);
        change(world, "a LAN widened and a node added", &wider);
        let gone: Vec<String> = before.difference(&things(world)).cloned().collect();
        only("a LAN widened and a node added", &gone, &[]);

        // And back: the node goes with its link, and the member leaves.
        change(world, "a node removed and a LAN narrowed", &swapped);
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));
    });
}

#[test]
fn a_link_that_is_added_removed_or_set_down_touches_its_ends_alone_and_the_rest_loses_no_packet() {
    on_a_machine(LIMIT, |world| {
        busy(world);
        let before = settled(world);
        let own = |node: &str, interface: &str| {
            let port = port(world, node, interface);
            ["port ", "interface ", "device host "].map(|of| format!("{of}{port}"))
        };

        // Of a link that comes everything is new; and gone again with it.
        let came = told(world, "link busy add p:eth2 q:eth2");
        let inside = ["device clab-busy-p eth2".to_owned(), "device clab-busy-q eth2".to_owned()];
        let ends = [&own("p", "eth2")[..], &own("q", "eth2"), &inside].concat();
        only("a link added", &came, &ends.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(came.iter().all(|thing| !before.contains(thing)), "{came:#?}");
        told(world, "link busy rm q:eth2");
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));

        // Down takes carrier from its ends, and from nothing else; nothing is made anew.
        let devices = ["p", "x"].map(|node| format!("device host {}", port(world, node, "eth1")));
        let inside = ["device clab-busy-p eth1".to_owned(), "device clab-busy-x eth1".to_owned()];
        let ends = [devices, inside].concat();
        let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
        only("a link down", &told(world, "link busy down x:eth1"), &ends);
        only("a link up", &told(world, "link busy up p:eth1"), &ends);
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));

        // A member of a LAN is taken off and put back: the others hear each other all the while.
        world.cli(["link", "busy", "add", "y:eth2", "sw:p3"]).fine();
        let wider = settled(world);
        let ends = [format!("device host {}", port(world, "y", "eth2")), "device clab-busy-y eth2".to_owned()];
        let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
        only("a member down", &told(world, "link busy down y:eth2"), &ends);
        only("a member up", &told(world, "link busy up y:eth2"), &ends);
        eventually(SOON, "the LAN is as it was", || (things(world) == wider).then_some(()));
        told(world, "link busy rm y:eth2");
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));
    });
}

#[test]
fn a_node_that_comes_stops_or_goes_touches_its_own_and_the_rest_loses_no_packet() {
    on_a_machine(LIMIT, |world| {
        busy(world);
        let before = settled(world);
        let with = BUSY.replace("  links:\n", "    z: {kind: linux, image: bb, cmd: sleep 1000}\n  links:\n");
        let came = change(world, "a node added", &with);
        assert!(came.iter().any(|thing| thing.starts_with("container /clab-busy-z ")), "{came:#?}");
        assert!(came.iter().all(|thing| !before.contains(thing)), "{came:#?}");
        change(world, "a node removed", BUSY);
        eventually(SOON, "the host is as it was", || (things(world) == before).then_some(()));

        let far = format!("device host {}", port(world, "p", "eth1"));
        let touched = told(world, "node busy x stop");
        let is_its_own = |thing: &&String| {
            let named = |name: &str| thing.contains(name);
            named("clab-busy-x") || named("archetype:") && named(":busy:x:") || named("clab-busy-p eth1") || named(&far)
        };
        let others: Vec<&String> = touched.iter().filter(|thing| !is_its_own(thing)).collect();
        assert!(others.is_empty() && !touched.is_empty(), "a node stopped touched: {others:#?}");
        told(world, "node busy x start");
        world.until_up("busy", SOON);
    });
}
