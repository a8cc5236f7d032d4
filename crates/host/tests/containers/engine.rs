//! The engine as others see and treat it: by hand, hanging, killed, without what a node needs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use archetype_host::containers::{Containers, EngineError, Order, Settings};
use archetype_host::{Event, Waker};
use archetype_model::observed::{Exit, Outside, Part, Reading, RunObserved};
use archetype_model::spec::{ContainerBody, PullPolicy};
use archetype_model::step::NodeAction;
use archetype_testbed::{Engine, EngineOptions, sandbox, scratch_dir};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, IMAGE, LONG, body, is_running, on_an_engine, open, order, settings, shell, spec, words};

#[test]
fn what_is_done_by_hand_wakes_the_agent() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        sleep(Duration::from_millis(300)).await;
        while bed.events.try_recv().is_ok() {}
        bed.engine.docker(["stop", "-t", "0", "clab-lab1-r1"]);
        let woken = timeout(Duration::from_secs(5), bed.events.recv()).await;
        assert_eq!(woken, Ok(Some(Event::Changed(Part::Engine))));
        assert_eq!(bed.exit_of("r1").await, Exit::Signal { signal: 9 });
        bed.engine.docker(["rm", "clab-lab1-r1"]);
        bed.until("it is gone", |bed| bed.node("r1").is_none().then_some(())).await;
        let no_facts = |bed: &Bed| bed.notes().iter().any(|note| note == "no facts 64").then_some(());
        bed.until("its facts are gone", no_facts).await;
        assert_eq!(bed.room.refresh().await, Ok(0));
    });
}

#[test]
fn an_engine_that_hangs_is_unreadable_and_known_again_afterwards() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        bed.engine.signal(Signal::SIGSTOP);
        bed.unreadable(Duration::from_secs(5)).await;
        assert!(matches!(bed.room.engine(), Reading::Unreadable(_)));
        assert!(matches!(bed.room.refresh().await, Err(EngineError::Unreachable { .. })));
        let ended = bed.does(&node, NodeAction::Stop).await;
        assert_eq!(ended.error.map(|error| error.code), Some("engine-unreachable"));
        bed.engine.signal(Signal::SIGCONT);
        bed.until("it is known again", |bed| is_running(&bed.run("r1")).then_some(())).await;
    });
}

#[test]
fn an_engine_that_is_always_late_is_readable_once_it_has_answered_and_a_tasks_deed_is_seen_when_it_ends() {
    on_an_engine(async |bed| {
        let late = Settings {
            socket: late_engine(&bed.engine, Duration::from_millis(500)),
            deadline: Duration::from_millis(100),
            ..settings(&bed.engine, "runc", &bed.notes)
        };
        let (waker, events) = Waker::channel();
        (bed.room, bed.events) = (Containers::open(late, waker), events);
        bed.until("the engine is read", |bed| bed.room.show().known().map(|_| ())).await;
        let node = shell("r1", "sleep 1000");
        bed.done(&node, NodeAction::Create).await;
        assert_eq!(bed.run("r1"), Some(RunObserved::Created));
        bed.done(&node, NodeAction::Start).await;
        let first = bed.start_of("r1");
        bed.done(&node, NodeAction::Restart).await;
        assert_ne!(bed.start_of("r1"), first);
    });
}

/// A socket behind which the engine takes so much longer for each answer.
fn late_engine(engine: &Engine, delay: Duration) -> PathBuf {
    let (path, socket) = (scratch_dir("late").join("docker.sock"), engine.socket());
    let door = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut asked, mut answers) = door.accept().await.unwrap().0.into_split();
            let (mut told, mut asks) = UnixStream::connect(&socket).await.unwrap().into_split();
            tokio::spawn(async move { copy(&mut asked, &mut asks).await });
            tokio::spawn(async move {
                let mut piece = vec![0; 1 << 20];
                while let Ok(length @ 1..) = told.read(&mut piece).await {
                    sleep(delay).await;
                    if answers.write_all(&piece[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    path
}

#[test]
fn an_engine_that_was_killed_is_unreadable_until_it_is_back() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        let before = bed.room.engine().known().unwrap().start;
        bed.engine.kill9();
        bed.unreadable(Duration::from_secs(5)).await;
        bed.engine.launch();
        let run = bed.until("it is known again", |bed| bed.run("r1")).await;
        assert!(matches!(run, RunObserved::Ended { .. } | RunObserved::Running { .. }), "{run:?}");
        assert_ne!(bed.room.engine().known().unwrap().start, before, "another start of the engine");
        bed.done(&node, NodeAction::Restart).await;
        assert!(is_running(&bed.run("r1")));
    });
}

#[test]
fn a_container_that_is_not_ours_is_neither_shown_nor_touched() {
    on_an_engine(async |bed| {
        let theirs = ["run", "-d", "--name", "clab-lab1-r1", "--network", "none", IMAGE, "sleep", "1000"];
        let id = bed.engine.docker(theirs);
        let node = shell("r1", "sleep 1000");
        let error = bed.does(&node, NodeAction::Create).await.error.expect("the name is taken");
        assert_eq!(error.code, "node-name-taken");
        assert!(error.message.contains(&id[..12]), "{error}");
        assert_eq!(bed.node("r1"), None);
        bed.done(&node, NodeAction::Remove).await;
        assert_eq!(bed.does(&node, NodeAction::Stop).await.error.map(|error| error.code), Some("node-not-made"));
        assert_eq!(bed.engine.docker(["inspect", "-f", "{{.State.Running}}", "clab-lab1-r1"]).trim(), "true");

        let other = ["run", "-d", "--name", "other", "--label", "archetype.installation=zzzzz", "--network", "none"];
        bed.engine.docker(other.iter().chain(&[IMAGE, "sleep", "1000"]));
        assert_eq!(bed.room.refresh().await, Ok(0));
        assert_eq!(bed.room.show().known().unwrap().len(), 0);
    });
}

#[test]
fn a_missing_runtime_is_told_and_learned_when_it_is_there() {
    on_an_engine(async |bed| {
        (bed.room, bed.events) = open(&bed.engine, "archetype", &bed.notes);
        bed.until("the engine is read", |bed| bed.room.show().known().map(|_| ())).await;
        assert!(!bed.room.engine().known().unwrap().runtime_registered);
        let node = shell("r1", "sleep 1000");
        let error = bed.does(&node, NodeAction::Create).await.error.expect("no such runtime");
        assert_eq!((error.code, error.hint.as_str()), ("runtime-missing", "run `archetype host setup`"));

        let settings = scratch_dir("engine").join("daemon.json");
        std::fs::write(&settings, r#"{"runtimes": {"archetype": {"path": "/usr/sbin/runc"}}}"#).unwrap();
        bed.engine.signal(Signal::SIGHUP);
        let learned = |bed: &Bed| bed.room.engine().known()?.runtime_registered.then_some(());
        bed.until("the runtime is seen, with nobody asking", learned).await;
        bed.started(&node).await;
        assert!(is_running(&bed.run("r1")));
    });
}

#[test]
fn an_image_that_is_missing_or_cannot_be_pulled_is_a_finding() {
    on_an_engine(async |bed| {
        let missing = spec("r1", ContainerBody { image: "nothing/here:1".into(), ..body() });
        let error = bed.does(&Arc::new(missing), NodeAction::Create).await.error.expect("no image");
        assert_eq!(error.code, "image-missing");
        let pulled = ContainerBody { image: "localhost:1/nothing:1".into(), pull: PullPolicy::IfNotPresent, ..body() };
        let error = bed.does(&Arc::new(spec("r2", pulled)), NodeAction::Create).await.error.expect("no registry");
        assert_eq!(error.code, "image-pull-failed");
        assert!(error.message.contains("localhost:1/nothing:1"), "{error}");
        let there = ContainerBody { pull: PullPolicy::IfNotPresent, ..body() };
        bed.done(&Arc::new(spec("r3", there)), NodeAction::Create).await;
    });
}

#[test]
fn a_pull_that_hangs_holds_nobody_else_up() {
    on_an_engine(async |bed| {
        // A registry that takes connections and never says a word.
        let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let image = format!("127.0.0.1:{}/slow:1", registry.local_addr().unwrap().port());
        let slow = ContainerBody { image: image.clone(), pull: PullPolicy::IfNotPresent, ..body() };
        let slow = Arc::new(spec("slow", slow));
        assert!(bed.room.begin(order(&slow, NodeAction::Create)));
        let doing = |bed: &Bed| bed.node("slow")?.busy.map(|busy| busy.doing);
        bed.until("it pulls", |bed| (doing(bed)? == format!("pulling {image}")).then_some(())).await;
        assert_eq!(bed.run("slow"), Some(RunObserved::Absent));
        assert!(!bed.room.begin(order(&slow, NodeAction::Create)), "one task per node");

        for name in ["r1", "r2", "r3", "r4", "r5"] {
            let node = shell(name, "sleep 1000");
            timeout(Duration::from_secs(15), bed.started(&node)).await.expect("others go on");
        }
        assert!(bed.node("slow").unwrap().busy.is_some());

        assert!(!bed.room.begin(Order::remove(slow.container.clone())), "busy until the pull is given up");
        let outside = |bed: &Bed| bed.node("slow").and_then(|node| node.busy?.outside);
        assert_eq!(outside(bed), Some(Outside::Image(image.clone())));
        bed.room.give_up(&slow.container);
        assert_eq!(outside(bed), None);
        let given_up = timeout(Duration::from_secs(5), bed.task_ended(&slow.container)).await.expect("at once");
        assert_eq!(given_up.error.map(|error| error.code), Some("image-pull-stopped"));
        bed.done(&slow, NodeAction::Remove).await;
        assert_eq!(bed.node("slow"), None);
    });
}

#[test]
fn many_nodes_start_side_by_side_and_the_replica_keeps_up() {
    on_an_engine(async |bed| {
        let nodes: Vec<_> = (0..20).map(|number| shell(&format!("n{number}"), "sleep 1000")).collect();
        for action in [NodeAction::Create, NodeAction::Start] {
            nodes.iter().for_each(|node| assert!(bed.room.begin(order(node, action.clone()))));
            let mut left = nodes.len();
            while left > 0 {
                if let Event::TaskEnded(ended) = timeout(LONG, bed.events.recv()).await.unwrap().unwrap() {
                    assert_eq!(ended.error, None);
                    left -= 1;
                }
                assert_eq!(bed.room.show().why(), None, "readable all the while");
            }
        }
        assert!(bed.room.show().known().unwrap().values().all(|node| is_running(&Some(node.run.clone()))));
        assert_eq!((bed.room.refresh().await, bed.room.differences()), (Ok(0), 0));
    });
}

#[test]
fn an_end_that_nobody_saw_is_told_as_such() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.started(&node).await;
        let Some(RunObserved::Running { pid: Some(pid), .. }) = bed.run("r1") else { panic!("it runs") };
        // As after a reboot: the engine's own records say "running", and nothing of it is left.
        bed.engine.kill9();
        let shim = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let shim: i32 = shim.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
        for process in [shim, pid.try_into().unwrap()] {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), Signal::SIGKILL).unwrap();
        }
        std::fs::remove_dir_all(scratch_dir("engine").join("exec/runtime-runc")).ok();
        bed.engine.launch();
        assert_eq!(bed.exit_of("r1").await, Exit::Lost);
        bed.done(&node, NodeAction::Start).await;
    });
}

/// What somebody does on an engine.
type Hand = fn(&Bed);

#[test]
fn an_end_by_hand_is_told_from_one_by_itself_and_from_ours() {
    on_an_engine(async |bed| {
        let line = "trap 'exit 3' HUP; trap 'exit 4' USR1; while :; do sleep 0.1; done";
        let stop_signal = Some("SIGUSR1".to_owned());
        let node = Arc::new(spec("r1", ContainerBody { cmd: Some(words(&["sh", "-c", line])), stop_signal, ..body() }));
        let kill: Hand = |bed| {
            let Some(RunObserved::Running { pid: Some(pid), .. }) = bed.run("r1") else { panic!("it runs") };
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        };
        bed.done(&node, NodeAction::Create).await;
        let docker: [(&str, bool, Hand); 4] = [
            ("docker stop, by the node's own signal", true, |bed| drop(bed.engine.docker(["stop", "clab-lab1-r1"]))),
            ("docker kill", true, |bed| drop(bed.engine.docker(["kill", "clab-lab1-r1"]))),
            ("docker kill -s HUP", false, |bed| drop(bed.engine.docker(["kill", "-s", "HUP", "clab-lab1-r1"]))),
            ("kill -9 of its process", false, kill),
        ];
        let mut before = None;
        for (way, is_by_hand, end) in docker {
            bed.done(&node, NodeAction::Start).await;
            end(bed);
            bed.exit_of("r1").await;
            let idle = bed.until("nothing works on it", |bed| bed.node("r1").filter(|node| node.busy.is_none())).await;
            assert!(matches!(idle.run, RunObserved::Ended { .. }), "{way}");
            assert_eq!(idle.ended_by_hand_ms > before, is_by_hand, "{way}: {idle:?}");
            before = idle.ended_by_hand_ms;
        }
        bed.done(&node, NodeAction::Start).await;
        bed.done(&node, NodeAction::Restart).await;
        bed.done(&node, NodeAction::Stop).await;
        bed.exit_of("r1").await;
        assert_eq!(bed.node("r1").unwrap().ended_by_hand_ms, before, "a stop of ours");
        assert_eq!(bed.room.refresh().await, Ok(0));
    });
}

#[test]
fn a_node_restarted_by_hand_is_never_seen_ended_and_left_alone() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![words(&["sleep", "1000"])];
        let node = Arc::new(node);
        bed.started(&node).await;
        let mut first = bed.start_of("r1");
        // The second time while a command of ours runs in it.
        for round in 0..2 {
            if round == 1 {
                let start = bed.start_of("r1");
                assert!(bed.room.begin(order(&node, NodeAction::Exec { index: 0, start })));
            }
            let host = bed.engine.host();
            let client = Command::new("docker").args(["-H", &host, "restart", "-t", "0", "clab-lab1-r1"]).spawn();
            let again = bed.until("it runs again", |bed| {
                let seen = bed.node("r1")?;
                let is_left_alone = matches!(seen.run, RunObserved::Ended { .. }) && seen.busy.is_none();
                assert!(!is_left_alone, "round {round}: {seen:?}");
                let RunObserved::Running { start, .. } = &seen.run else { return None };
                (*start != first && seen.busy.is_none()).then_some(seen)
            });
            let again = again.await;
            assert!(client.unwrap().wait().unwrap().success());
            assert!(again.ended_by_hand_ms.is_some(), "round {round}: {again:?}");
            first = bed.start_of("r1");
        }
        assert_eq!(bed.room.refresh().await, Ok(0));
    });
}

#[test]
fn what_an_engine_ends_on_its_way_is_no_end_of_the_nodes_own() {
    on_an_engine(async |bed| {
        // One is killed in the end, the other obeys at once.
        let nodes = [shell("r1", "sleep 1000"), shell("r2", "trap 'exit 0' TERM; while :; do sleep 0.1; done")];
        for node in &nodes {
            bed.started(node).await;
        }
        bed.engine.restart();
        for (node, name) in nodes.iter().zip(["r1", "r2"]) {
            assert_eq!(bed.exit_of(name).await, Exit::WithEngine, "{name}");
            bed.done(node, NodeAction::Start).await;
            assert!(is_running(&bed.run(name)), "{name}");
        }
        // The next end is its own.
        bed.engine.docker(["exec", "clab-lab1-r2", "kill", "-TERM", "1"]);
        assert_eq!(bed.exit_of("r2").await, Exit::Status { code: 0 });
    });
}

#[test]
fn a_start_that_hangs_holds_nobody_else_up_and_the_engine_stays_readable() {
    sandbox(|| {
        let dir = scratch_dir("engine");
        let runtime = dir.join("runtime");
        let script = "#!/bin/sh\nfor a; do [ \"$a\" = create ] && grep -q '\"hostname\":\"hang\"' config.json && sleep 1000; done\nexec runc \"$@\"\n";
        std::fs::write(&runtime, script).unwrap();
        archetype_testbed::run("chmod", ["755", runtime.to_str().unwrap()]);
        let engine = Engine::start(&dir, &[("slow", &runtime)]);
        engine.import_busybox(IMAGE);
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut bed = Bed::on(engine).await;
            (bed.room, bed.events) = open(&bed.engine, "slow", &bed.notes);
            bed.until("the engine is read", |bed| bed.room.show().known().map(|_| ())).await;
            let hang = ContainerBody { hostname: "hang".into(), cmd: Some(words(&["sleep", "1000"])), ..body() };
            let hang = Arc::new(spec("hang", hang));
            bed.done(&hang, NodeAction::Create).await;
            assert!(bed.room.begin(order(&hang, NodeAction::Start)));
            for name in ["r1", "r2", "r3", "r4", "r5"] {
                bed.started(&shell(name, "sleep 1000")).await;
                sleep(Duration::from_secs(1)).await;
                assert_eq!(bed.room.show().why(), None);
            }
            assert!(bed.node("hang").unwrap().busy.is_some());
        });
    });
}

#[test]
fn every_call_names_its_api_version() {
    sandbox(|| {
        let debug = EngineOptions { args: vec!["--debug".into()], ..EngineOptions::default() };
        let engine = Engine::start_with(scratch_dir("engine"), debug);
        engine.import_busybox(IMAGE);
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut bed = Bed::on(engine).await;
            bed.started(&shell("r1", "sleep 1000")).await;
            let api = bed.room.engine().known().unwrap().api.clone();
            let log = std::fs::read_to_string(bed.engine.log()).unwrap();
            for call in ["GET", "GET", "POST"].iter().zip(["/events", "/containers/json", "/containers/create"]) {
                let line = format!("Calling {} /v{api}{}", call.0, call.1);
                assert!(log.contains(&line), "{line} in {log}");
            }
        });
    });
}
