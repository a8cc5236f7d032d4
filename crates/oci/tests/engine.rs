//! The runtime under a real Docker Engine.

#![allow(clippy::unwrap_used)] // a test has nobody to hand an error to

mod node;

use std::path::Path;
use std::time::Duration;

use archetype_model::facts::NamespaceFacts;
use archetype_netns::folder;
use archetype_testbed::{Engine, eventually, run, sandbox, scratch_dir};
use node::{facts, inside, made, up};

fn engine() -> Engine {
    let runtime = Path::new(env!("CARGO_BIN_EXE_archetype-oci"));
    let engine = Engine::start(scratch_dir("engine"), &[("archetype", runtime)]);
    engine.import_busybox("bb");
    engine
}

/// Makes a container whose first process lists the interfaces that it sees, and its facts.
fn create(engine: &Engine, name: &str, facts: &NamespaceFacts) -> String {
    let script = "ls /sys/class/net > /seen; ip -o addr >> /seen; trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let create = ["create", "--runtime", "archetype", "--network", "none", "--name", name, "bb", "sh", "-c", script];
    let id = engine.docker(create).trim().to_owned();
    folder::write(&NamespaceFacts::container_path(&id), facts).unwrap();
    id
}

fn seen(engine: &Engine, name: &str) -> String {
    eventually(Duration::from_secs(5), "the first process has looked", || {
        let seen = engine.try_docker(["exec", name, "cat", "/seen"]).ok()?;
        seen.contains("eth2").then_some(seen)
    })
}

#[test]
fn interfaces_are_there_before_the_first_process_and_a_restart_is_a_cold_boot() {
    sandbox(|| {
        let engine = engine();
        let facts = facts("n1", 2);
        made(&facts);
        let id = create(&engine, "n1", &facts);
        engine.docker(["start", "n1"]);
        let first = seen(&engine, "n1");
        assert!(first.starts_with("eth1\neth2\nlo\n") && first.contains("100.64.1.1/24"), "{first}");
        assert_eq!(up("n1"), ["eth1", "eth2", "lo"]);

        inside(
            "n1",
            "ip addr add 198.18.0.1/32 dev eth1; ip link add br0 type bridge; ip link set eth2 name x; nft add table inet dirt",
        );
        engine.docker(["restart", "-t", "2", "n1"]);
        assert_eq!(up("n1"), ["eth1", "eth2", "lo"]);
        let after = inside("n1", "ip -o addr; ip -o link; nft list ruleset");
        assert!(!after.contains("198.18.0.1") && !after.contains("br0") && !after.contains("dirt"), "{after}");
        assert!(after.contains("100.64.1.1/24"), "{after}");

        engine.docker(["kill", "n1"]);
        eventually(Duration::from_secs(5), "the killed node is dead on the wire", || up("n1").is_empty().then_some(()));
        engine.docker(["start", "n1"]);
        assert_eq!(up("n1"), ["eth1", "eth2", "lo"]);
        engine.docker(["rm", "-f", "n1"]);
        assert_eq!(up("n1"), Vec::<String>::new());
        folder::remove(&NamespaceFacts::container_path(&id)).unwrap();
    });
}

#[test]
fn a_container_without_facts_is_refused_in_words_that_the_engine_shows() {
    sandbox(|| {
        let engine = engine();
        let error =
            engine.try_docker(["run", "--runtime", "archetype", "--network", "none", "bb", "true"]).unwrap_err();
        assert!(error.contains("archetype: no facts for container "), "{error}");
        assert!(error.contains("start the agent, or use another runtime for this container"), "{error}");
    });
}

#[test]
fn a_container_whose_namespace_is_gone_is_refused_in_words_and_starts_once_it_is_back() {
    sandbox(|| {
        let engine = engine();
        let facts = facts("n1", 2);
        create(&engine, "n1", &facts);
        let error = engine.try_docker(["start", "n1"]).unwrap_err();
        assert!(error.contains("archetype: n1: /run/archetype/ns/n1 is not a network namespace"), "{error}");
        made(&facts);
        engine.docker(["start", "n1"]);
        assert!(seen(&engine, "n1").starts_with("eth1\neth2\nlo\n"));
    });
}

#[test]
fn a_hostname_and_a_network_setting_of_docker_are_kept() {
    sandbox(|| {
        let engine = engine();
        let facts = facts("n1", 1);
        made(&facts);
        let create = [
            "create",
            "--runtime",
            "archetype",
            "--network",
            "none",
            "--name",
            "n1",
            "--hostname",
            "router",
            "--sysctl",
            "net.ipv4.conf.all.rp_filter=2",
            "bb",
            "sleep",
            "100",
        ];
        let id = engine.docker(create).trim().to_owned();
        folder::write(&NamespaceFacts::container_path(&id), &facts).unwrap();
        engine.docker(["start", "n1"]);
        assert_eq!(engine.docker(["exec", "n1", "hostname"]).trim(), "router");
        assert_eq!(engine.docker(["exec", "n1", "cat", "/proc/sys/net/ipv4/conf/all/rp_filter"]).trim(), "2");
        let inspected = engine.docker(["inspect", "-f", "{{.State.Pid}}", "n1"]);
        let net = std::fs::read_link(format!("/proc/{}/ns/net", inspected.trim())).unwrap();
        let ours = run("stat", ["-L", "-c", "net:[%i]", "/run/archetype/ns/n1"]);
        assert_eq!(net.to_str(), Some(ours.trim()));
    });
}

#[test]
fn the_runtime_answers_for_itself_and_for_runc() {
    let runtime = env!("CARGO_BIN_EXE_archetype-oci");
    assert_eq!(run(runtime, ["archetype-version"]).trim(), env!("CARGO_PKG_VERSION"));
    assert!(run(runtime, ["--version"]).starts_with("runc version"));
}
