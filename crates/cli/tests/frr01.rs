//! containerlab's own example frr01, unchanged: three routers with OSPF and three PCs, on real daemons.
//!
//! Routers that start together wait 40 s before they elect; what each test breaks is ordered so that few of them do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use world::{World, attempt, eventually, on_a_machine_with_images, run};

/// OSPF from cold, on a machine that does other things too.
const ROUTED: Duration = Duration::from_secs(110);
const SOON: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(420);
const PC3: &str = "192.168.13.2";

fn deployed(world: &mut World) {
    if !world.folder.ends_with("frr01") {
        world.folder = world.copy_lab("lab-examples/frr01");
    }
    let start = Instant::now();
    let deployed = world.cli(["deploy", "--wait", "60s"]).fine();
    assert!(deployed.stdout.starts_with("frr01 is up"), "{}", deployed.stdout);
    println!("deployed after {:.1} s", start.elapsed().as_secs_f32());
}

fn reaches(world: &World, node: &str, address: &str) -> bool {
    let pinged = world.exec("frr01", node, &format!("ping -c 1 -W 1 {address}"));
    pinged.code == 0
}

/// The claim of every test here: whatever happened, PC1 reaches PC3 again and every link is proven.
#[track_caller]
fn heals(world: &World, after: &str) {
    let start = Instant::now();
    routed(world, &format!("PC1 reaches PC3 after {after}"), || reaches(world, "PC1", PC3));
    let lab = world.until_up("frr01", SOON);
    let links = lab["links"].as_array().unwrap();
    assert!(links.len() == 6 && links.iter().all(|link| link["actual_state"] == "up"), "{lab}");
    println!("{after}: healed after {:.1} s", start.elapsed().as_secs_f32());
}

/// Waits for what routing has to bring about; where it does not, tells what the nodes know.
#[track_caller]
fn routed(world: &World, what: &str, seen: impl Fn() -> bool) {
    let tried = || eventually(ROUTED, what, || seen().then_some(()));
    std::panic::catch_unwind(AssertUnwindSafe(tried)).unwrap_or_else(|panic| {
        tell_routing(world);
        std::panic::resume_unwind(panic)
    });
}

/// What the nodes themselves know, for whoever reads why a test failed.
fn tell_routing(world: &World) {
    for node in ["PC1", "router1", "router2", "router3", "PC3"] {
        let [links, routes] = ["ip -br link", "ip -4 route"].map(|command| inside(node, command).unwrap_or_default());
        println!("--- {node}:\n{links}{routes}");
    }
    for router in ["router1", "router2", "router3"] {
        for command in ["show ip ospf neighbor", "show ip ospf interface", "show watchfrr"] {
            let shown = world.cli(["exec", "frr01", router, "--", "vtysh", "-c", command]);
            println!("--- {router}: {command}\n{}{}", shown.stdout, shown.stderr);
        }
        println!("--- {router} printed:\n{}", world.cli(["logs", "frr01", router]).stdout);
    }
}

fn full_neighbours(world: &World, router: &str) -> usize {
    let shown = world.cli(["exec", "frr01", router, "--", "vtysh", "-c", "show ip ospf neighbor"]);
    shown.stdout.lines().filter(|line| line.contains("Full/")).count()
}

/// Looks into the node's namespace by people's own tools, without `serve`.
fn inside(node: &str, command: &str) -> Result<String, String> {
    let name = format!("clab-frr01-{node}");
    attempt("ip", ["netns", "exec", &name].into_iter().chain(command.split(' ')))
}

fn pings_by_hand(node: &str, address: &str) -> bool {
    inside(node, &format!("ping -c 1 -W 1 {address}")).is_ok()
}

#[test]
fn pc1_reaches_pc3_once_deployed_and_after_a_restart_of_a_pc_and_of_a_router() {
    on_a_machine_with_images(LIMIT, |world| {
        deployed(world);
        for router in ["router1", "router2", "router3"] {
            routed(world, &format!("OSPF is full on {router}"), || full_neighbours(world, router) == 2);
        }
        heals(world, "deploy");
        eventually(SOON, "PC1 reaches PC2", || reaches(world, "PC1", "192.168.12.2").then_some(()));
        stand_ins_are_named(world);

        a_deleted_name_comes_back(world);
        let before = journal(world, 0).last().unwrap()["id"].as_u64().unwrap();
        world.docker(["restart", "-t", "1", "clab-frr01-PC1"]);
        heals(world, "docker restart of a PC");
        a_restart_by_hand_is_told_and_no_repair(&journal(world, before));
        // FRR begins so slowly where processors are emulated that this alone would take a minute there.
        if !archetype_testbed::is_slowed() {
            world.docker(["restart", "-t", "1", "clab-frr01-router1"]);
            heals(world, "docker restart of a router");
        }
    });
}

#[test]
fn pc1_reaches_pc3_again_whatever_happens_while_serve_is_gone() {
    on_a_machine_with_images(LIMIT, |world| {
        deployed(world);
        heals(world, "deploy");
        serve_dies_amid_commands(world);

        world.serve.term();
        world.docker(["restart", "-t", "1", "clab-frr01-PC1"]);
        world.docker(["restart", "-t", "1", "clab-frr01-router3"]);
        world.serve.start();
        heals(world, "docker restart with serve stopped");

        let addresses = management(world);
        world.serve.kill9();
        world.docker(["rm", "--force", "clab-frr01-PC1"]);
        run("ip", ["netns", "delete", "clab-frr01-PC3"]);
        world.serve.start();
        heals(world, "docker rm with serve killed");
        assert!(Path::new("/run/netns/clab-frr01-PC3").exists());
        assert_eq!(management(world), addresses, "a node made again keeps its addresses and MACs");

        world.serve.term();
        a_killed_router_is_dead_on_the_wire(world);
        world.serve.start();
        heals(world, "docker kill with serve stopped");
    });
}

fn management(world: &World) -> Vec<serde_json::Value> {
    world.lab("frr01")["nodes"].as_array().unwrap().iter().map(|node| node["management"].clone()).collect()
}

fn journal(world: &World, since: u64) -> Vec<serde_json::Value> {
    let told = world.cli(["journal", "frr01", "--since", &since.to_string(), "--format", "json"]).fine().json();
    told["entries"].as_array().unwrap().clone()
}

fn a_restart_by_hand_is_told_and_no_repair(told: &[serde_json::Value]) {
    let is_told = |line: &serde_json::Value| {
        line["subject"] == "PC1"
            && line["message"].as_str().unwrap().starts_with("ended by docker stop, kill or restart")
    };
    assert_eq!(told.iter().filter(|line| is_told(line)).count(), 1, "{told:#?}");
    assert!(told.iter().all(|line| line["kind"] != "repair"), "{told:#?}");
}

/// Who deploys where the images could not be pulled is told that these are not the makers' own.
fn stand_ins_are_named(world: &World) {
    for node in world.lab("frr01")["nodes"].as_array().unwrap() {
        let format = "{{index .Config.Labels \"archetype.stand-in\"}}";
        let stands_in = world.docker(["image", "inspect", "--format", format, node["image"].as_str().unwrap()]);
        assert_eq!(node["stand_in"], stands_in.trim() == "true", "{node}");
    }
}

fn a_deleted_name_comes_back(world: &World) {
    let name = Path::new("/run/netns/clab-frr01-PC1");
    let inode = || std::fs::metadata(name).ok().map(|seen| seen.ino());
    let before = inode().unwrap();
    run("ip", ["netns", "delete", "clab-frr01-PC1"]);
    eventually(Duration::from_secs(5), "the name is back", || (inode() == Some(before)).then_some(()));
    heals(world, "a name in /run/netns was deleted");
}

/// Kills `serve` while PC1's list of commands is being run: its address is there, and not all of its routes.
fn serve_dies_amid_commands(world: &mut World) {
    let is_amid = (0..5).any(|_| {
        world.docker(["restart", "-t", "1", "clab-frr01-PC1"]);
        let until = Instant::now() + SOON;
        while !inside("PC1", "ip -4 addr").is_ok_and(|shown| shown.contains("192.168.11.2")) {
            assert!(Instant::now() < until, "the address is not there");
        }
        world.serve.kill9();
        let routes = inside("PC1", "ip route").unwrap();
        world.serve.start();
        heals(world, "kill -9 of serve amid commands");
        routes.lines().filter(|line| line.contains("192.168.11.1")).count() < 2
    });
    assert!(is_amid, "serve never died before the last command");
}

fn a_killed_router_is_dead_on_the_wire(world: &World) {
    assert!(pings_by_hand("router2", "192.168.1.1"), "router1 answers while it lives");
    assert!(pings_by_hand("PC1", PC3), "router1 forwards while it lives");
    world.docker(["kill", "clab-frr01-router1"]);
    eventually(Duration::from_secs(1), "all of router1's interfaces are down", || {
        let links = inside("router1", "ip -o link").ok()?;
        links.lines().all(|link| !link.contains("UP")).then_some(())
    });
    assert!(!pings_by_hand("router2", "192.168.1.1"), "a dead router answers");
    assert!(!pings_by_hand("PC1", PC3), "a dead router forwards");
    let left = inside("router1", "ip -4 -o addr").unwrap();
    assert!(!left.contains("192.168."), "{left}");
}

#[test]
fn pc1_reaches_pc3_again_after_the_engine_ended_well_or_badly() {
    on_a_machine_with_images(LIMIT, |world| {
        deployed(world);
        world.engine.restart();
        heals(world, "restart of the engine");
        world.engine.kill9();
        world.engine.launch();
        heals(world, "kill -9 of the engine");
    });
}

#[test]
fn pc1_reaches_pc3_again_after_a_reboot_and_nothing_starts_before_serve_is_back() {
    on_a_machine_with_images(LIMIT, |world| {
        world.folder = world.copy_lab("lab-examples/frr01");
        world.write("../beside.clab.yml", BESIDE);
        let before = traces(world);
        deployed(world);
        world.cli(["deploy", "-t", "../beside.clab.yml", "--wait", "60s"]).fine();
        as_after_a_reboot(world);
        let refused = world.engine.try_docker(["start", "clab-frr01-PC1"]).unwrap_err();
        assert!(refused.contains("archetype: no facts for container"), "{refused}");
        let running = world.docker(["ps", "--quiet"]);
        assert_eq!(running, "", "nothing runs before serve is back");
        world.serve.start();
        heals(world, "a reboot");
        world.until_up("beside", SOON);

        world.cli(["destroy", "frr01", "--wait", "60s"]).fine();
        world.cli(["destroy", "beside", "--wait", "60s"]).fine();
        nothing_is_left_since(&before, &traces(world));
    });
}

/// What a reboot leaves: the disk. Open vSwitch's rows are on it; `/run`, devices and namespaces are not.
fn as_after_a_reboot(world: &mut World) {
    world.serve.term();
    world.engine.stop();
    world.ovs.stop_vswitchd();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    // The last first: pins lie in a folder that is a mount of its own.
    let pins = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    for pin in pins.filter(|path| path.starts_with("/run/netns") || path.starts_with("/run/archetype/")) {
        // Of mounts that are copies of each other all go with the first.
        let _ = attempt("umount", [pin]);
    }
    run("rm", ["-rf", "/run/archetype", "/run/netns"]);
    run("mkdir", ["/run/netns"]);
    for device in devices().difference(&BTreeSet::from(["lo".to_owned()])) {
        // The other end of a pair is gone with the first.
        let _ = attempt("ip", ["link", "delete", device]);
    }
    run("nft", ["flush", "ruleset"]);
    run("sysctl", ["-qw", "net.ipv4.ip_forward=0"]);
    world.ovs.start_vswitchd();
    world.engine.launch();
}

fn devices() -> BTreeSet<String> {
    let shown = run("ip", ["-o", "link"]);
    let name = |line: &str| Some(line.split(": ").nth(1)?.split('@').next()?.to_owned());
    shown.lines().filter_map(name).collect()
}

/// A lab beside it with what frr01 has not: a published port, a node without a container.
const BESIDE: &str = "\
name: beside
topology:
  nodes:
    web: {kind: linux, image: \"wbitt/network-multitool:3.22.2\", ports: [\"8099:80\"]}
    plain: {kind: linux, labels: {archetype.runtime: namespace}}
  links:
    - endpoints: [\"web:eth1\", \"plain:eth1\"]
";

/// Everything of a machine that a lab could leave behind; each line says what it is.
fn traces(world: &World) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut add = |sort: &str, text: String| seen.extend(text.lines().map(|line| format!("{sort}: {}", line.trim())));
    add("container", world.docker(["ps", "--all", "--format", "{{.Names}}"]));
    add("docker network", world.docker(["network", "ls", "--format", "{{.Name}}"]));
    add("volume", world.docker(["volume", "ls", "--quiet"]));
    add("namespace", run("ip", ["netns"]));
    add(
        "nsfs mount",
        std::fs::read_to_string("/proc/self/mounts")
            .unwrap()
            .lines()
            .filter(|l| l.contains("nsfs"))
            .fold(String::new(), |all, line| all + line + "\n"),
    );
    add("device", devices().into_iter().collect::<Vec<_>>().join("\n"));
    add("port", world.ovs.vsctl(["--columns=name", "--bare", "list", "port"]));
    add("interface", world.ovs.vsctl(["--columns=name", "--bare", "list", "interface"]));
    add("nft", without_counters(&run("nft", ["list", "ruleset"])));
    add("ip rule", run("ip", ["rule"]));
    add("route", run("ip", ["route", "show", "table", "all"]));
    add("hosts line", std::fs::read_to_string(world.hosts_file()).unwrap());
    // Folders, too; only those that the installation's first lab makes for every lab stay.
    let for_all = "/run/archetype(/recorded|/facts|/[a-z0-9]+/nodes)";
    let find = ["/run/archetype", "/run/netns", "-regextype", "posix-extended", "-not", "-regex", for_all];
    add("file", run("find", find));
    add("folder of the data", run("find", [&world.data().display().to_string(), "-type", "d"]));
    add("folder of the lab", run("find", [&world.folder]));
    add(
        "listener",
        run("ss", ["-Hltun"])
            .lines()
            .map(|line| line.split_whitespace().nth(4).unwrap())
            .fold(String::new(), |all, line| all + line + "\n"),
    );
    seen
}

fn without_counters(ruleset: &str) -> String {
    let word = |line: &str| line.split(" counter packets").next().unwrap_or_default().to_owned();
    ruleset.lines().map(word).collect::<Vec<_>>().join("\n")
}

#[test]
fn destroy_leaves_nothing_but_the_bridge() {
    on_a_machine_with_images(LIMIT, |world| {
        world.folder = world.copy_lab("lab-examples/frr01");
        world.write("../beside.clab.yml", BESIDE);
        let before = traces(world);
        world.cli(["deploy", "--wait", "60s"]).fine();
        world.cli(["deploy", "-t", "../beside.clab.yml", "--wait", "60s"]).fine();
        let between = traces(world);
        for sort in [
            "container",
            "docker network",
            "namespace",
            "device",
            "port",
            "interface",
            "nft",
            "hosts line",
            "file",
            "listener",
        ] {
            let new = between.difference(&before).any(|line| line.starts_with(&format!("{sort}: ")));
            assert!(new, "two labs show as no {sort}: this test looks at the wrong place");
        }
        world.cli(["destroy", "frr01", "--wait", "60s"]).fine();
        let left = traces(world);
        assert!(!left.iter().any(|line| line.contains("frr01-") || line.contains("clab-frr01")), "{left:?}");
        assert_eq!(world.lab("beside")["state"], "up");
        world.cli(["destroy", "beside", "--no-wait"]).fine();
        world.serve.kill9();
        world.serve.start();
        eventually(SOON, "a destruction cut by kill -9 goes on", || world.lab("beside").is_null().then_some(()));

        let after = traces(world);
        nothing_is_left_since(&before, &after);
        let lost: Vec<&String> = before.difference(&after).collect();
        assert!(lost.is_empty(), "taken along: {lost:#?}");
        assert_eq!(world.inspect()["labs"].as_array().unwrap().len(), 0);
    });
}

#[track_caller]
fn nothing_is_left_since(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let left: Vec<&String> = after.difference(before).filter(|line| !of_the_bridge(line)).collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// The Open vSwitch bridge stays, and with it the device that Open vSwitch keeps for its datapath.
fn of_the_bridge(line: &str) -> bool {
    ["arch-ovs", "ovs-netdev", "ovs-system"].iter().any(|name| line.contains(name))
}

#[test]
fn an_image_that_cannot_be_pulled_is_a_finding_that_names_it() {
    on_a_machine_with_images(LIMIT, |world| {
        let file = BESIDE.replace("wbitt/network-multitool:3.22.2", "registry.invalid/nobody/nothing:1");
        world.write("beside.clab.yml", &file);
        let refused = world.cli(["deploy", "--wait", "30s"]);
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert_eq!(refused.code, 1, "{told}");
        assert!(told.contains("registry.invalid/nobody/nothing:1"), "{told}");
        let lab = world.lab("beside");
        assert_ne!(lab["state"], "up");
        assert!(lab.to_string().contains("registry.invalid/nobody/nothing:1"), "{lab}");
        assert!(told.contains("image-pull-failed") || lab.to_string().contains("image-pull-failed"), "{told}{lab}");
        world.cli(["destroy", "--wait", "30s"]).fine();
    });
}

#[test]
fn a_node_runs_on_until_the_image_is_there_from_which_it_is_to_be_made_anew() {
    on_a_machine_with_images(LIMIT, |world| {
        world.write("beside.clab.yml", BESIDE);
        world.cli(["deploy", "--wait", "60s"]).fine();
        let container =
            |world: &World| world.docker(["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "clab-beside-web"]);
        let mut first = container(world);
        let of = |image: &str| BESIDE.replace("wbitt/network-multitool:3.22.2", image);

        world.write("beside.clab.yml", &of("registry.invalid/nobody/nothing:1"));
        let refused = world.cli(["deploy", "--wait", "30s"]);
        assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
        let lab = world.lab("beside");
        assert!(lab.to_string().contains("image-pull-failed"), "{lab}");
        assert_eq!((world.node("beside", "web")["state"].as_str(), container(world)), (Some("running"), first.clone()));
        assert_eq!(lab["links"][0]["actual_state"], "up", "{lab}");

        // Nobody has to say that the image is there now.
        world.docker(["tag", "wbitt/network-multitool:3.22.2", "registry.invalid/nobody/nothing:1"]);
        eventually(Duration::from_secs(5), "it is made from it", || {
            (world.node("beside", "web")["image"] == "registry.invalid/nobody/nothing:1").then_some(())
        });
        world.until_up("beside", SOON);
        world.write("beside.clab.yml", BESIDE);
        world.cli(["deploy", "--wait", "60s"]).fine();
        first = container(world);

        // A registry that takes connections and never says a word.
        let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        world.write("beside.clab.yml", &of(&format!("127.0.0.1:{}/slow:1", registry.local_addr().unwrap().port())));
        world.cli(["deploy", "--no-wait"]).fine();
        eventually(SOON, "it pulls", || {
            let node = world.node("beside", "web");
            (node["state"] == "starting" && node["reason"].as_str()?.starts_with("pulling 127.0.0.1")).then_some(())
        });
        assert_eq!(world.lab("beside")["links"][0]["actual_state"], "up");
        assert_eq!(world.node("beside", "web")["image"], "wbitt/network-multitool:3.22.2");
        // The file as it was before: nothing is to be done any more.
        let slow = std::fs::read_to_string(world.folder.join("beside.clab.yml")).unwrap();
        world.write("beside.clab.yml", BESIDE);
        world.cli(["deploy", "--wait", "30s"]).fine();
        assert_eq!(container(world), first);

        // What is wished of it meanwhile does not wait for the image.
        world.write("beside.clab.yml", &slow);
        world.cli(["deploy", "--no-wait"]).fine();
        let pulls =
            |world: &World| world.node("beside", "web")["reason"].as_str()?.starts_with("pulling").then_some(());
        eventually(SOON, "it pulls again", || pulls(world));
        world.cli(["node", "beside", "web", "stop"]).fine();
        assert_eq!(world.node("beside", "web")["state"], "stopped");
        world.write("beside.clab.yml", BESIDE);
        world.cli(["deploy", "--wait", "30s"]).fine();
        world.cli(["node", "beside", "web", "start"]).fine();
        world.write("beside.clab.yml", &slow);
        world.cli(["deploy", "--no-wait"]).fine();
        eventually(SOON, "it pulls once more", || pulls(world));
        // What ends meanwhile is not told as what comes.
        let pid = world.docker(["inspect", "--format", "{{.State.Pid}}", "clab-beside-web"]);
        run("kill", ["-9", pid.trim()]);
        eventually(SOON, "its end is told", || {
            let node = world.node("beside", "web");
            (node["state"] == "exited" && node["reason"].as_str()?.starts_with("signal 9; made anew")).then_some(())
        });
        let told = "exited: signal 9; made anew once its image is there";
        eventually(SOON, "the journal has it", || {
            world.cli(["journal", "beside"]).fine().stdout.contains(told).then_some(())
        });
        let link = &world.lab("beside")["links"][0];
        assert_eq!(link["actual_state"], "pending", "{link}");
        let begun = Instant::now();
        world.cli(["node", "beside", "web", "stop"]).fine();
        assert!(begun.elapsed() < Duration::from_secs(10), "a stop does not wait for an image");
        let waits = || world.lab("beside")["links"][0]["reason"] == "waits for web, which is stopped";
        eventually(SOON, "its link says what it waits for", || waits().then_some(()));
        world.cli(["destroy", "--wait", "10s"]).fine();
    });
}

const COMMANDS: &str = "\
name: list
topology:
  nodes:
    n:
      kind: linux
      image: wbitt/network-multitool:3.22.2
      exec:
        - sh -c 'echo one >> /told; sleep 4; echo two >> /told'
        - sh -c 'echo three >> /told'
";

#[test]
fn a_list_of_commands_cut_by_kill_nine_goes_on_and_runs_each_once() {
    on_a_machine_with_images(LIMIT, |world| {
        world.write("list.clab.yml", COMMANDS);
        world.cli(["deploy", "--no-wait"]).fine();
        let told = |world: &World| world.engine.try_docker(["exec", "clab-list-n", "cat", "/told"]).unwrap_or_default();
        for round in ["", "one\ntwo\nthree\n"] {
            eventually(SOON, "the first command runs", || (told(world) == format!("{round}one\n")).then_some(()));
            world.serve.kill9();
            world.serve.start();
            let whole = format!("{round}one\ntwo\nthree\n");
            eventually(SOON, "the list is done", || (told(world) == whole).then_some(()));
            world.until_up("list", SOON);
            world.serve.kill9();
            world.serve.start();
            world.until_up("list", SOON);
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(told(world), whole, "a command ran twice for one start");
            world.docker(["restart", "-t", "1", "clab-list-n"]);
        }
    });
}
