//! Nodes that use the network of another node of their lab, seen from inside real containers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use world::{World, eventually, on_a_machine};

const LIMIT: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(30);

const SHARED: &str = r#"
name: shared
topology:
  kinds:
    linux: {image: bb, cmd: sleep 100000}
  nodes:
    late:
      kind: linux
      network-mode: container:owner
    by-container:
      kind: linux
      hostname: not-its-own
      network-mode: container:clab-shared-owner
    owner:
      kind: linux
      dns: {servers: [198.18.0.53]}
      exec: ["ip addr add 198.18.7.1/24 dev eth1"]
    far:
      kind: linux
      exec: ["ip addr add 198.18.7.2/24 dev eth1", "ip addr add 198.18.8.2/24 dev eth2"]
  links:
    - endpoints: ["owner:eth1", "far:eth1"]
    - endpoints: ["late:eth2", "far:eth2"]
"#;

const JOINING: [&str; 2] = ["late", "by-container"];

/// What a shell inside the node prints for a line.
#[track_caller]
fn said(world: &World, node: &str, line: &str) -> String {
    let shell = ["exec", "shared", node, "--", "sh", "-c", line];
    world.cli(shell).fine().stdout.replace('\r', "").trim().to_owned()
}

/// All three see one network, and traffic of each of them comes out of it.
#[track_caller]
fn share_one_network(world: &World) {
    let of_owner = said(world, "owner", "readlink /proc/self/ns/net");
    for name in JOINING {
        assert_eq!(said(world, name, "readlink /proc/self/ns/net"), of_owner, "{name}");
        assert_eq!(said(world, name, "ls /sys/class/net | tr '\\n' ' '"), "eth0 eth1 eth2 lo", "{name}");
        eventually(SOON, "the far node answers", || {
            let ping = ["exec", "shared", name, "--", "ping", "-c1", "-W1", "198.18.7.2"];
            (world.cli(ping).code == 0).then_some(())
        });
    }
}

fn started_at(world: &World, name: &str) -> String {
    world.docker(["inspect", "-f", "{{.State.StartedAt}}", &format!("clab-shared-{name}")])
}

#[test]
fn a_node_joins_the_network_of_another_and_stays_in_it() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write("shared.clab.yml", SHARED);
        world.cli(["deploy", "-t", "shared.clab.yml", "--wait", "60s"]).fine();
        share_one_network(world);
        names_and_links_are_the_owners(world);

        // Another start of the owner is nothing to those who joined: the namespace is kept.
        let before: Vec<String> = JOINING.iter().map(|name| started_at(world, name)).collect();
        world.docker(["restart", "-t", "0", "clab-shared-owner"]);
        world.until_up("shared", SOON);
        share_one_network(world);
        world.cli(["node", "shared", "owner", "restart"]).fine();
        world.until_up("shared", SOON);
        share_one_network(world);
        assert_eq!(JOINING.iter().map(|name| started_at(world, name)).collect::<Vec<_>>(), before);

        what_joined_waits_for_its_owner(world);

        // A container of somebody else may join a node in the same way.
        let of_owner = said(world, "owner", "readlink /proc/self/ns/net");
        let joined = ["run", "--rm", "--network", "container:clab-shared-owner", "bb", "readlink", "/proc/self/ns/net"];
        assert_eq!(world.docker(joined).trim(), of_owner);

        // Another container of the owner's: those who joined are made anew with it.
        world.cli(["deploy", "-t", "shared.clab.yml", "--reload", "owner", "--wait", "60s"]).fine();
        world.until_up("shared", SOON);
        share_one_network(world);
        world.docker(["rm", "-f", "clab-shared-owner"]);
        eventually(SOON, "the owner is made anew", || {
            (world.node("shared", "owner")["state"] == "running").then_some(())
        });
        world.until_up("shared", SOON);
        share_one_network(world);

        world.cli(["destroy", "shared"]).fine();
        assert_eq!(world.docker(["ps", "-aq"]).trim(), "");
    });
}

fn names_and_links_are_the_owners(world: &World) {
    // Some engines write who made the file, and others do not.
    let names = "hostname; cat /etc/hosts; grep '^[^#]' /etc/resolv.conf";
    let of_owner = said(world, "owner", names);
    assert!(of_owner.contains("198.18.0.53"), "{of_owner}");
    for name in JOINING {
        assert_eq!(said(world, name, names), of_owner, "{name}");
        let shown = world.node("shared", name);
        assert!(shown["management"].is_null(), "{shown}");
    }
    // A link that names a node which joined ends in the network that it joined.
    let link = || {
        let lab = world.lab("shared");
        let mut links = lab["links"].as_array().unwrap().iter();
        links.find(|link| link["endpoints"][0]["node"] == "late").cloned().unwrap()
    };
    for (wish, state) in [("down", "down"), ("up", "up")] {
        world.cli(["link", "shared", wish, "late:eth2"]).fine();
        eventually(SOON, &format!("the link is {state}"), || (link()["actual_state"] == state).then_some(()));
    }
    let link = link();
    assert_eq!(link["actual_state"], "up", "{link}");
    assert!(link["endpoints"][0]["ovs_port"].is_string(), "{link}");
    said(world, "owner", "ip addr add 198.18.8.1/24 dev eth2 && ping -c1 -W5 198.18.8.2");
}

/// It ends and the owner is stopped: then it starts when the owner does, and says so meanwhile.
fn what_joined_waits_for_its_owner(world: &World) {
    world.cli(["node", "shared", "owner", "stop"]).fine();
    eventually(SOON, "the owner is stopped", || (world.node("shared", "owner")["state"] == "stopped").then_some(()));
    assert_eq!(world.node("shared", "late")["state"], "running");
    world.docker(["kill", "clab-shared-late"]);
    let waits = "waits for owner, whose network it shares";
    eventually(SOON, "it says what it waits for", || {
        let node = world.node("shared", "late");
        (node["state"] != "running" && node["reason"].as_str()?.contains(waits)).then_some(())
    });
    // What waits for a node that is stopped by wish keeps its lab from nothing.
    world.docker(["rm", "-f", "clab-shared-late"]);
    let lab = world.until_up("shared", SOON);
    assert!(lab["nodes"].as_array().unwrap().iter().any(|node| node["state"] == "pending"), "{lab}");
    world.cli(["node", "shared", "owner", "start"]).fine();
    eventually(SOON, "it runs", || (world.node("shared", "late")["state"] == "running").then_some(()));
    world.until_up("shared", SOON);
    share_one_network(world);
}

#[test]
fn a_node_that_joins_waits_for_its_next_image_once_and_comes_back_with_the_former_file() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.engine.import_busybox("other");
        world.write("shared.clab.yml", SHARED);
        world.cli(["deploy", "-t", "shared.clab.yml", "--wait", "60s"]).fine();
        // A registry that takes connections and never says a word.
        let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        registry.set_nonblocking(true).unwrap();
        let slow = format!("127.0.0.1:{}/slow:1", registry.local_addr().unwrap().port());
        let both = SHARED
            .replace("    late:\n", &format!("    late:\n      image: {slow}\n"))
            .replace("    owner:\n", "    owner:\n      image: other\n");
        world.write("shared.clab.yml", &both);
        world.cli(["deploy", "-t", "shared.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "the owner is another container", || {
            let shown =
                world.engine.try_docker(["inspect", "-f", "{{.Config.Image}} {{.State.Running}}", "clab-shared-owner"]);
            (shown.ok()?.trim() == "other true").then_some(())
        });
        let repairs = || {
            let journal = world.cli(["journal", "shared"]).fine().stdout;
            journal.lines().filter(|line| line.contains("repair")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(repairs(), Vec::<String>::new());
        // One that is given up and begun again connects each time.
        while registry.accept().is_ok() {}
        std::thread::sleep(Duration::from_secs(3));
        let connections = std::iter::from_fn(|| registry.accept().ok()).count();
        assert!(connections < 10, "{connections} connections in 3 s");
        world.write("shared.clab.yml", SHARED);
        let planned = world.cli(["plan", "-t", "shared.clab.yml"]).fine().stdout;
        assert!(planned.contains("made anew with owner, whose network it shares"), "{planned}");
        world.cli(["deploy", "-t", "shared.clab.yml", "--wait", "60s"]).fine();
        share_one_network(world);
        world.cli(["node", "shared", "owner", "stop"]).fine();
        world.cli(["node", "shared", "owner", "start"]).fine();
        world.until_up("shared", SOON);
        assert_eq!(repairs(), Vec::<String>::new(), "what comes and goes as it is wanted is no drift");

        // Drift is told also while the owner waits for its next image.
        let slow_owner = SHARED.replace("    owner:\n", &format!("    owner:\n      image: {slow}\n"));
        world.write("shared.clab.yml", &slow_owner);
        world.cli(["deploy", "-t", "shared.clab.yml", "--no-wait"]).fine();
        eventually(SOON, "the owner's image is pulled", || {
            world.node("shared", "owner")["reason"].as_str()?.starts_with("pulling").then_some(())
        });
        // A wish about another node does not wait for it.
        let begun = std::time::Instant::now();
        world.cli(["node", "shared", "far", "stop", "--wait", "60s"]).fine();
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        world.docker(["rm", "-f", "clab-shared-by-container"]);
        eventually(SOON, "its repair is told", || {
            let told = repairs();
            (told.len() == 1 && told[0].contains("clab-shared-by-container is gone")).then_some(())
        });
    });
}
