//! The management network of a running lab is changed in its file: the nodes get their new addresses and gateway where
//! they are, and go on running.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use world::{World, attempt, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(25);

/// A lab of one node of each sort; `mgmt` is the network, `own` what `a` states.
fn deploy(world: &World, mgmt: &str, own: &str) {
    let labels = "labels: {archetype.runtime: namespace}";
    let nodes = format!("a: {{kind: linux, {labels}, cmd: sleep 1000{own}}}\n    c: {{kind: linux, image: bb}}");
    world.write("mg.clab.yml", &format!("name: mg\nmgmt: {{{mgmt}}}\ntopology:\n  nodes:\n    {nodes}\n"));
    world.cli(["deploy", "-t", "mg.clab.yml", "--wait", "60s"]).fine();
}

/// Waits until a node has this address alone, and goes out by this gateway.
#[track_caller]
fn is_at(world: &World, node: &str, net: &str, gateway: &str) {
    let inside =
        |command: &str| attempt("ip", ["-n", &format!("clab-mg-{node}")].into_iter().chain(command.split(' ')));
    let is_so = || {
        let (addresses, routes) = (inside("-o -4 addr show eth0").ok()?, inside("route show default").ok()?);
        let is_so = addresses.lines().count() == 1
            && addresses.contains(&format!(" {net} "))
            && routes.lines().count() == 1
            && routes.contains(&format!("via {gateway} "));
        is_so.then_some(())
    };
    eventually(SOON, &format!("{node} is at {net} via {gateway}"), is_so);
    let address = net.split('/').next().unwrap();
    eventually(SOON, "it answers", || attempt("ping", ["-c1", "-W1", address]).ok());
    assert_eq!(world.node("mg", node)["management"]["ipv4"], address, "as inspect tells it");
}

fn starts(world: &World) -> (String, String) {
    let container = world.docker(["inspect", "-f", "{{.State.StartedAt}}", "clab-mg-c"]);
    (container, run("ip", ["netns", "pids", "clab-mg-a"]))
}

#[test]
fn another_subnet_gateway_network_or_address_reaches_nodes_that_run() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        deploy(world, "network: one, ipv4-subnet: 10.99.0.0/24", "");
        is_at(world, "a", "10.99.0.2/24", "10.99.0.1");
        is_at(world, "c", "10.99.0.3/24", "10.99.0.1");
        let before = starts(world);

        deploy(world, "network: one, ipv4-subnet: 10.98.0.0/24", "");
        is_at(world, "a", "10.98.0.2/24", "10.98.0.1");
        is_at(world, "c", "10.98.0.3/24", "10.98.0.1");

        deploy(world, "network: one, ipv4-subnet: 10.98.0.0/24, ipv4-gw: 10.98.0.9", "");
        is_at(world, "a", "10.98.0.2/24", "10.98.0.9");
        is_at(world, "c", "10.98.0.3/24", "10.98.0.9");

        deploy(world, "network: one, ipv4-subnet: 10.98.0.0/24, ipv4-gw: 10.98.0.9", ", mgmt-ipv4: 10.98.0.50");
        is_at(world, "a", "10.98.0.50/24", "10.98.0.9");

        deploy(world, "network: two, ipv4-subnet: 10.97.0.0/25", ", mgmt-ipv4: 10.97.0.60");
        is_at(world, "a", "10.97.0.60/25", "10.97.0.1");
        assert!(world.exec("mg", "c", "ping -c1 -W1 clab-mg-a").code == 0, "nodes know each other's new addresses");

        // What the node itself made otherwise stays so.
        run("ip", ["-n", "clab-mg-a", "route", "del", "default"]);
        run("ip", ["netns", "exec", "clab-mg-a", "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1"]);
        let both = "network: two, ipv4-subnet: 10.97.0.0/25, ipv6-subnet: '2001:db8:97::/64'";
        deploy(world, both, ", mgmt-ipv4: 10.97.0.70");
        eventually(SOON, "it answers at its new address", || attempt("ping", ["-c1", "-W1", "10.97.0.70"]).ok());
        assert_eq!(run("ip", ["-n", "clab-mg-a", "route", "show", "default"]), "");
        assert!(run("ip", ["-n", "clab-mg-c", "-6", "addr", "show", "eth0"]).contains("2001:db8:97::"));
        assert_eq!(starts(world), before, "nothing was started again");
        world.until_up("mg", SOON);

        // Another name for the same addresses: nobody has touched anything.
        let both = both.replace("network: two", "network: three");
        deploy(world, &both, ", mgmt-ipv4: 10.97.0.70");
        eventually(Duration::from_secs(1), "it answers again", || attempt("ping", ["-c1", "-W1", "10.97.0.70"]).ok());
        world.until_up("mg", SOON);
        assert_eq!(starts(world), before, "nothing was started again");
        untouched(world);
    });
}

/// Nothing was found otherwise than it was left, and nothing is in anybody's way.
#[track_caller]
fn untouched(world: &World) {
    let told = world.cli(["journal"]).fine().stdout;
    assert!(!told.contains("  repair  ") && !told.contains("  finding  "), "{told}");
    assert_eq!(world.inspect()["findings"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn a_lab_whose_prefix_is_changed_is_made_anew_and_nothing_was_found_otherwise() {
    on_a_machine(LIMIT, |world| {
        let file = |prefix: &str| {
            let sort = "{kind: linux, labels: {archetype.runtime: namespace}}";
            let topology =
                format!("{{nodes: {{a: {sort}, b: {sort}}}, links: [{{endpoints: [\"a:eth1\", \"b:eth1\"]}}]}}");
            world.write("mg.clab.yml", &format!("name: mg\n{prefix}topology: {topology}\n"));
            world.cli(["deploy", "-t", "mg.clab.yml"]).fine();
        };
        for prefix in ["", "prefix: zz\n", "prefix: ''\n", ""] {
            file(prefix);
            world.until_up("mg", SOON);
        }
        untouched(world);
    });
}
