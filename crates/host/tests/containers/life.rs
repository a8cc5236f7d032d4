//! Nodes from creation to removal, and what they are given.

use std::sync::Arc;

use archetype_model::observed::{Exit, RunObserved};
use archetype_model::spec::{ContainerBody, HealthcheckSpec, Privileges};
use archetype_model::step::NodeAction;
use archetype_testbed::Engine;
use nix::sys::signal::Signal;

use crate::bed::{Bed, IMAGE, body, is_running, on_an_engine, shell, spec, words};

/// Set where the machine's root has every capability, and the tests are to cover that.
const MUST_GRANT: &str = "ARCHETYPE_TEST_PRIVILEGED";

#[test]
fn a_node_is_created_started_stopped_restarted_and_removed() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.done(&node, NodeAction::Create).await;
        let made = bed.node("r1").expect("it is there when the task ends");
        assert_eq!(made.run, RunObserved::Created);
        assert_eq!(made.made_from, node.body_digest());
        assert_eq!(made.mark.to_string(), "archetype:ab1c2:lab1:r1");
        assert_eq!(made.busy, None);

        bed.done(&node, NodeAction::Start).await;
        assert!(is_running(&bed.run("r1")));
        let first = bed.start_of("r1");

        bed.done(&node, NodeAction::Restart).await;
        assert!(is_running(&bed.run("r1")));
        assert_ne!(bed.start_of("r1"), first, "another start");

        bed.done(&node, NodeAction::Stop).await;
        assert_eq!(bed.exit_of("r1").await, Exit::Signal { signal: 9 });
        bed.done(&node, NodeAction::Stop).await;

        bed.done(&node, NodeAction::Remove).await;
        assert_eq!(bed.node("r1"), None);
        bed.done(&node, NodeAction::Remove).await;
        assert_eq!(bed.notes().iter().filter(|note| note.starts_with("facts clab-lab1-r1 64")).count(), 3);
        assert!(bed.notes().iter().any(|note| note == "no facts 64"));
        assert_eq!(bed.engine.docker(["ps", "-aq"]), "");
        assert_eq!(bed.room.refresh().await, Ok(0));
    });
}

#[test]
fn creating_what_is_there_already_is_done_at_once() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        let before = bed.node("r1");
        bed.done(&node, NodeAction::Create).await;
        assert_eq!(bed.node("r1"), before);
    });
}

#[test]
fn inside_a_node_is_what_containerlab_gives_and_nothing_of_ours() {
    on_an_engine(async |bed| {
        let env = [("CLAB_INTFS".to_owned(), "3".to_owned())].into();
        let body = ContainerBody { env, cmd: Some(words(&["sleep", "1000"])), ..body() };
        let body = ContainerBody { memory: Some(64 << 20), cpu_millis: Some(500), shm_size: Some(8 << 20), ..body };
        let node = Arc::new(spec("r1", body));
        bed.started(&node).await;
        let inside = |line: &str| bed.engine.docker(["exec", "clab-lab1-r1", "sh", "-c", line]);
        let env = inside("tr '\\0' '\\n' < /proc/1/environ");
        assert!(env.contains("CLAB_INTFS=3"), "{env}");
        assert!(!env.to_lowercase().contains("archetype"), "{env}");
        assert_eq!(inside("hostname").trim(), "host1");
        assert!(inside("cat /etc/hosts").contains("localhost"));
        assert!(inside("mount").contains(" /etc/hosts "), "the hosts file is bound");
        assert_eq!(inside("cat /proc/sys/net/ipv6/conf/all/disable_ipv6").trim(), "0");
        let shown = bed.engine.docker(["inspect", "-f", "{{json .HostConfig}} {{json .Config}}", "clab-lab1-r1"]);
        for part in ["\"NetworkMode\":\"none\"", "\"Name\":\"no\"", "\"CpuQuota\":50000", "\"Tty\":true"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    });
}

#[test]
fn a_node_gets_every_capability_that_the_machine_grants_and_its_words_say_which() {
    on_an_engine(async |bed| {
        let engine = bed.room.engine().known().cloned().expect("the engine is read");
        let granted = engine.privileged_granted().expect("its process can be seen");
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        let said = bed.node("r1").unwrap().privileges.unwrap();
        let bounding = bed.engine.docker(["exec", "clab-lab1-r1", "grep", "CapBnd", "/proc/1/status"]);
        assert_eq!(said == "privileged", granted, "{said}");
        assert_eq!(said.starts_with("confined: all capabilities but "), !granted, "{said}");
        let count = u64::from_str_radix(bounding.trim_start_matches("CapBnd:").trim(), 16).unwrap().count_ones();
        assert!(count as usize >= engine.grant.unwrap().capabilities.len(), "{bounding}");
        bed.engine.docker(["exec", "clab-lab1-r1", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        bed.engine.docker(["exec", "clab-lab1-r1", "mount", "-t", "tmpfs", "t", "/tmp"]);

        let cmd = Some(words(&["sleep", "1000"]));
        let demand = ContainerBody { privileges: Privileges::Demanded, cmd, ..body() };
        let demand = Arc::new(spec("r2", demand));
        let ended = bed.does(&demand, NodeAction::Create).await;
        assert_eq!(ended.error.map(|error| error.code), (!granted).then_some("privileged-refused"));
        if granted {
            let shown = bed.engine.docker(["inspect", "-f", "{{.HostConfig.Privileged}}", "clab-lab1-r2"]);
            assert_eq!(shown.trim(), "true");
            bed.done(&demand, NodeAction::Start).await;
            does_what_only_privileges_allow(&bed.engine, "clab-lab1-r2");
        }
        // A run that is to cover it must not pass where it is refused.
        assert!(granted || std::env::var_os(MUST_GRANT).is_none(), "{MUST_GRANT} is set, and this root lacks some");
    });
}

/// In a container without privileges each of these ends with an error, whatever capabilities it has.
fn does_what_only_privileges_allow(engine: &Engine, container: &str) {
    for line in [
        // The kernel's settings of devices are there to be written.
        "echo 3000 > /sys/class/net/lo/mtu && grep -qx 3000 /sys/class/net/lo/mtu",
        // Any device of the host can be opened, here its log of the kernel.
        "mknod /tmp/log c 1 11 && : < /tmp/log",
        // What is written here is the host's own setting, which has no namespace.
        "cat /proc/sys/vm/swappiness > /tmp/was && cat /tmp/was > /proc/sys/vm/swappiness",
        "echo -500 > /proc/self/oom_score_adj",
    ] {
        engine.docker(["exec", container, "sh", "-exc", line]);
    }
}

#[test]
fn ends_are_told_apart_by_status_signal_and_want_of_memory() {
    on_an_engine(async |bed| {
        let by_itself = shell("self", "exit 3");
        bed.started(&by_itself).await;
        assert_eq!(bed.exit_of("self").await, Exit::Status { code: 3 });

        let with_255 = shell("odd", "sleep 0.3; exit 255");
        bed.started(&with_255).await;
        assert_eq!(bed.exit_of("odd").await, Exit::Status { code: 255 }, "its end was seen");

        let killed = shell("killed", "sleep 1000");
        bed.started(&killed).await;
        let Some(RunObserved::Running { pid: Some(pid), .. }) = bed.run("killed") else { panic!("it runs") };
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        assert_eq!(bed.exit_of("killed").await, Exit::Signal { signal: 9 });

        let greedy = ContainerBody { memory: Some(16 << 20), cmd: Some(words(&["tail", "/dev/zero"])), ..body() };
        let greedy = Arc::new(spec("greedy", greedy));
        bed.started(&greedy).await;
        assert_eq!(bed.exit_of("greedy").await, Exit::OutOfMemory);
    });
}

#[test]
fn health_and_stand_ins_are_shown() {
    on_an_engine(async |bed| {
        let dockerfile = ["create", "--name", "base", "--label", "archetype.stand-in=true", IMAGE];
        bed.engine.docker(dockerfile);
        bed.engine.docker(["commit", "base", "stand-in:1"]);
        let test = words(&["CMD-SHELL", "test -e /tmp/well"]);
        let check = HealthcheckSpec { test, interval: 1, timeout: 1, start_period: 60, retries: 1 };
        let cmd = Some(words(&["sh", "-c", "sleep 1; touch /tmp/well; sleep 1000"]));
        let body = ContainerBody { image: "stand-in:1".into(), healthcheck: Some(check), cmd, ..body() };
        let body = ContainerBody { privileges: Privileges::Confined, cap_add: vec!["NET_ADMIN".into()], ..body };
        let node = Arc::new(spec("r1", body));
        bed.started(&node).await;
        let health = |bed: &Bed| match bed.run("r1")? {
            RunObserved::Running { health, .. } => health,
            _ => None,
        };
        assert_eq!(health(bed).as_deref(), Some("starting"));
        bed.until("it is well", |bed| (health(bed)? == "healthy").then_some(())).await;
        let shown = bed.node("r1").unwrap();
        assert!(shown.stand_in);
        assert_eq!(shown.privileges.as_deref(), Some("confined: the engine's defaults and NET_ADMIN"));
    });
}

#[test]
fn a_hosts_file_that_a_reboot_took_is_there_again_at_the_next_start() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        bed.done(&node, NodeAction::Stop).await;
        std::fs::remove_dir_all("/run/archetype").unwrap();
        // Docker makes a folder of what it is to bind and does not find.
        let by_hand = bed.engine.try_docker(["start", "clab-lab1-r1"]);
        assert!(by_hand.is_err(), "a folder cannot be bound over a file: {by_hand:?}");
        bed.done(&node, NodeAction::Start).await;
        assert!(bed.engine.docker(["exec", "clab-lab1-r1", "cat", "/etc/hosts"]).contains("localhost"));
    });
}
