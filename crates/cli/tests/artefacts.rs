//! Files for other programs, written by `deploy` and taken away by `destroy`: what they tell is what is on the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use world::{World, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(120);

/// Three namespaces, a container, and links to each other, to the host, to a LAN and to the management network.
const LAB: &str = "\
name: files
topology:
  defaults: {kind: linux, image: bb, cmd: sleep 100000}
  nodes:
    n2: {labels: {archetype.runtime: namespace, ansible-group: front}}
    n1: {labels: {archetype.runtime: namespace}, group: left}
    box: {ports: [\"127.0.0.1:18081:80\"]}
    lan: {kind: bridge}
    alone: {network-mode: none, labels: {archetype.runtime: namespace}}
  links:
    - endpoints: [\"n1:eth1\", \"n2:eth1\"]
    - endpoints: [\"box:eth1\", \"host:to-box\"]
    - endpoints: [\"lan:n1\", \"n1:eth2\"]
    - endpoints: [\"mgmt-net:to-n2\", \"n2:eth2\"]
    - endpoints: [\"alone:eth0\", \"lan:alone\"]
";

const NAMES: [&str; 6] = [
    "ansible-inventory.yml",
    "authorized_keys",
    "etc-hosts",
    "nornir-simple-inventory.yml",
    "ssh_config",
    "topology-data.json",
];

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The address of a device of the machine.
fn mac(device: &str) -> String {
    let shown: Value = serde_json::from_str(&run("ip", ["-j", "link", "show", device])).unwrap();
    shown[0]["address"].as_str().unwrap().to_owned()
}

/// The address of an interface, as the node shows it.
fn mac_inside(world: &World, node: &str, interface: &str) -> String {
    world.exec("files", node, &format!("cat /sys/class/net/{interface}/address")).fine().stdout.trim().to_owned()
}

#[test]
fn the_files_tell_what_is_on_the_machine_and_go_with_the_lab() {
    on_a_machine(LIMIT, |world| {
        world.engine.import_busybox("bb");
        world.write("files.clab.yml", LAB);
        let folder = world.folder.join("out/clab-files");
        let home = world.folder.join("home");
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        world.serve.set("HOME", home.to_str().unwrap());
        world.serve.set("SUDO_UID", "");
        world.cli(["deploy", "--artefacts", "out", "--wait", "60s"]).fine();
        assert_eq!(files(&folder), NAMES);
        assert_eq!(read(&folder, "authorized_keys"), "\n");

        let lab = world.lab("files");
        let address = |node: &str, family: &str| {
            let nodes = lab["nodes"].as_array().unwrap();
            let found = nodes.iter().find(|found| found["name"] == node).unwrap();
            found["management"][family].as_str().unwrap_or_default().to_owned()
        };
        let data: Value = serde_json::from_str(&read(&folder, "topology-data.json")).unwrap();
        for (index, node) in ["alone", "box", "lan", "n1", "n2"].into_iter().enumerate() {
            let told = &data["nodes"][node];
            assert_eq!(told["index"], index.to_string(), "{node}");
            assert_eq!(told["mgmt-ipv4-address"], address(node, "ipv4"), "{node}");
            assert_eq!(told["mgmt-ipv6-address"], address(node, "ipv6"), "{node}");
            assert_eq!(told["mgmt-ipv4-prefix-length"], if address(node, "ipv4").is_empty() { 0 } else { 24 });
        }
        assert_eq!(data["nodes"]["box"]["port-bindings"][0]["host-ip"], "127.0.0.1");
        let bridge = data["clab"]["config"]["mgmt"]["bridge"].as_str().unwrap();
        assert!(run("ip", ["-o", "link", "show", "master", bridge]).contains("to-n2"));
        links_are_told(world, &data, bridge);

        let id = world.docker(["inspect", "-f", "{{.Id}}", "clab-files-box"]);
        let line = format!("{}\tclab-files-box {}\t# Kind: linux\n", address("box", "ipv4"), &id[..12]);
        assert!(read(&folder, "etc-hosts").contains(&line), "{}", read(&folder, "etc-hosts"));
        let line = format!("{}\tclab-files-n1\t# Kind: linux\n", address("n1", "ipv4"));
        assert!(read(&folder, "etc-hosts").contains(&line), "{}", read(&folder, "etc-hosts"));
        assert!(read(&folder, "ssh_config").contains(&format!("Host clab-files-box {}\n", &id[..12])));
        let host =
            |node: &str| format!("        clab-files-{node}:\n          ansible_host: {}\n", address(node, "ipv4"));
        assert!(read(&folder, "ansible-inventory.yml").ends_with(&format!("    front:\n      hosts:\n{}", host("n2"))));
        let nornir = read(&folder, "nornir-simple-inventory.yml");
        assert!(nornir.contains(&format!(
            "n1:\n    username: \n    password: \n    platform: linux\n    hostname: {}\n",
            address("n1", "ipv4")
        )));

        // The API has the same for other clients.
        let answer = world.get("/labs/files/artefacts");
        assert_eq!(answer["files"]["clab-files/topology-data.json"], read(&folder, "topology-data.json"));
        keys_are_told(world, &folder);

        world.write("out/clab-files/saved.cfg", "");
        world.cli(["destroy", "files", "--artefacts", "out"]).fine();
        assert_eq!(
            files(&folder),
            [
                "ansible-inventory.yml",
                "authorized_keys",
                "nornir-simple-inventory.yml",
                "saved.cfg",
                "topology-data.json"
            ]
        );
    });
}

/// Keys of a file and of an agent: both are told where containerlab tells them.
fn keys_are_told(world: &mut World, folder: &Path) {
    let (ssh, socket) = (world.folder.join("home/.ssh"), world.folder.join("agent.sock"));
    let make =
        |name: &str| run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", ssh.join(name).to_str().unwrap()]);
    make("of_file");
    make("of_agent");
    let text = |name: &str| std::fs::read_to_string(ssh.join(name)).unwrap();
    let key = |name: &str| text(name).split(' ').take(2).collect::<Vec<_>>().join(" ");
    let keys = [key("of_file.pub"), key("of_agent.pub")];
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    eventually(Duration::from_secs(10), "the agent has the key", || {
        let added = Command::new("ssh-add").arg(ssh.join("of_agent")).env("SSH_AUTH_SOCK", &socket).output().unwrap();
        added.status.success().then_some(())
    });
    std::fs::remove_file(ssh.join("of_agent.pub")).unwrap();
    world.serve.set("SSH_AUTH_SOCK", socket.to_str().unwrap());
    world.cli(["deploy", "--artefacts", "out", "--wait", "60s"]).fine();
    assert_eq!(read(folder, "authorized_keys"), format!("{}\n{}\n", keys[0], keys[1]));
    let data: Value = serde_json::from_str(&read(folder, "topology-data.json")).unwrap();
    assert_eq!(data["ssh-pub-keys"], serde_json::json!(keys));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

/// Ends and their addresses, as the kernel has them.
fn links_are_told(world: &World, data: &Value, bridge: &str) {
    let end = |link: usize, end: &str| {
        let told = &data["links"][link]["endpoints"][end];
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        (text("node"), text("interface"), text("mac"))
    };
    let expected = |node: &str, interface: &str, mac: String| (node.to_owned(), interface.to_owned(), mac);
    assert_eq!(end(0, "a"), expected("n1", "eth1", mac_inside(world, "n1", "eth1")));
    assert_eq!(end(0, "z"), expected("n2", "eth1", mac_inside(world, "n2", "eth1")));
    assert_eq!(end(1, "a"), expected("box", "eth1", mac_inside(world, "box", "eth1")));
    assert_eq!(end(1, "z"), expected("host", "to-box", mac("to-box")));
    assert_eq!((end(2, "a").0, end(2, "a").1, end(2, "a").2.len()), ("lan".into(), "n1".into(), 17));
    assert_eq!(end(3, "a"), expected(bridge, "to-n2", mac("to-n2")));
    assert_eq!(end(3, "z"), expected("n2", "eth2", mac_inside(world, "n2", "eth2")));
}

#[test]
fn a_setting_is_a_folder_for_every_lab_and_a_flag_goes_before_it() {
    on_a_machine(LIMIT, |world| {
        let lab = LAB.replace("    box: {ports: [\"127.0.0.1:18081:80\"]}\n", "");
        let lab = lab.replace("    - endpoints: [\"box:eth1\", \"host:to-box\"]\n", "");
        world.write("labs/files.clab.yml", &lab);
        let config = world.write("archetype.toml", "artefacts = \".\"\n");
        let config = config.to_str().unwrap();
        let beside = world.folder.join("labs/clab-files");
        let deploy = ["deploy", "-t", "labs/files.clab.yml", "--no-wait"];

        world.cli(deploy.iter().chain(&["--config", config, "--artefacts", "none"])).fine();
        assert_eq!(files(&beside), [""; 0]);
        // Addresses are there before anything is built.
        world.cli(deploy.iter().chain(&["--config", config])).fine();
        assert_eq!(files(&beside), NAMES);
        let lines = read(&beside, "etc-hosts");
        assert!(lines.contains("\tclab-files-n1\t# Kind: linux\n"), "{lines}");
        let refused = world.cli(deploy.iter().chain(&["--artefacts", "labs/files.clab.yml"]));
        assert!(refused.code == 1 && refused.stderr.contains("labs/files.clab.yml"), "{refused:?}");

        let usage = world.cli(["destroy", "files", "--cleanup"]);
        assert!(usage.code == 2 && usage.stderr.contains("--artefacts"), "{usage:?}");
        world.cli(["destroy", "files", "--cleanup", "--config", config]).fine();
        assert_eq!(files(&beside), [""; 0]);
        assert!(world.folder.join("labs/files.clab.yml").exists());
    });
}
