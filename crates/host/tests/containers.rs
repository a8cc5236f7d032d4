//! The Docker Engine's room against a real engine in a sandbox. The runtime is plain runc: what
//! happens to namespaces is another room's to prove.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use archetype_host::containers::{Containers, EngineError, ExecMade, ExecRequest, Order, Output, Settings};
use archetype_host::{Event, Place, TaskEnded, Waker};
use archetype_model::observed::{Exit, NodeObserved, Part, Reading, RunObserved};
use archetype_model::report::ExecState;
use archetype_model::spec::{ContainerBody, DesiredRun, NodeBody, NodeSpec, Privileges, PullPolicy};
use archetype_model::step::NodeAction;
use archetype_model::{ContainerName, LabName};
use archetype_testbed::{Engine, sandbox, scratch_dir};
use futures::StreamExt;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

const IMAGE: &str = "bb:latest";
const LONG: Duration = Duration::from_secs(30);

/// An engine, a room on it, and what the room told.
struct Bed {
    engine: Engine,
    room: Containers,
    events: UnboundedReceiver<Event>,
    notes: Arc<Mutex<Vec<String>>>,
}

/// Runs `body` in a sandbox with an engine, an image and a room.
fn on_an_engine(body: impl AsyncFnOnce(&mut Bed)) {
    sandbox(|| {
        let engine = Engine::start(scratch_dir("engine"), &[]);
        engine.import_busybox(IMAGE);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut bed = Bed::on(engine).await;
            body(&mut bed).await;
        });
    });
}

impl Bed {
    async fn on(engine: Engine) -> Self {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (room, events) = open(&engine, "runc", &notes);
        let bed = Self { engine, room, events, notes };
        bed.until("the engine is read", |bed| bed.room.show().known().cloned()).await;
        bed
    }

    async fn until<T>(&self, what: &str, fact: impl Fn(&Self) -> Option<T>) -> T {
        for _ in 0..3000 {
            if let Some(found) = fact(self) {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: not within 30 s; {:?}", self.room.show());
    }

    fn node(&self, name: &str) -> Option<NodeObserved> {
        self.room.show().known()?.get(&container(name)).cloned()
    }

    fn run(&self, name: &str) -> Option<RunObserved> {
        self.node(name).map(|node| node.run)
    }

    fn start_of(&self, name: &str) -> String {
        match self.run(name) {
            Some(RunObserved::Running { start, .. }) => start,
            other => panic!("{name} does not run: {other:?}"),
        }
    }

    /// Does one thing and waits for its end.
    async fn does(&mut self, node: &Arc<NodeSpec>, action: NodeAction) -> TaskEnded {
        assert!(self.room.begin(order(node, action)), "{} is busy", node.container);
        self.task_ended(&node.container).await
    }

    /// The same for what must not fail.
    async fn done(&mut self, node: &Arc<NodeSpec>, action: NodeAction) -> TaskEnded {
        let ended = self.does(node, action).await;
        assert_eq!(ended.error, None);
        ended
    }

    async fn started(&mut self, node: &Arc<NodeSpec>) {
        self.done(node, NodeAction::Create).await;
        self.done(node, NodeAction::Start).await;
    }

    async fn task_ended(&mut self, name: &ContainerName) -> TaskEnded {
        let wait = async {
            loop {
                match self.events.recv().await.expect("the room lives") {
                    Event::TaskEnded(ended) if &ended.container == name => return ended,
                    _ => {}
                }
            }
        };
        timeout(LONG, wait).await.expect("a task ends")
    }

    async fn exit_of(&self, name: &str) -> Exit {
        self.until("the node ended", |bed| match bed.run(name)? {
            RunObserved::Ended { exit, .. } => Some(exit),
            _ => None,
        })
        .await
    }

    async fn unreadable(&self, within: Duration) -> String {
        let wait = self.until("the engine is unreadable", |bed| bed.room.show().why().map(str::to_owned));
        timeout(within, wait).await.unwrap_or_else(|_| panic!("still readable after {within:?}"))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

fn open(engine: &Engine, runtime: &str, notes: &Arc<Mutex<Vec<String>>>) -> (Containers, UnboundedReceiver<Event>) {
    let (waker, events) = Waker::channel();
    let note = |text: String, notes: &Arc<Mutex<Vec<String>>>| notes.lock().unwrap().push(text);
    let (one, two, three) = (Arc::clone(notes), Arc::clone(notes), Arc::clone(notes));
    let settings = Settings {
        socket: engine.socket(),
        runtime: runtime.into(),
        place: Place::new("ab1c2".parse().unwrap()),
        deadline: Duration::from_secs(5),
        write_facts: Arc::new(move |node: &NodeSpec, id: &str| {
            note(format!("facts {} {}", node.container, id.len()), &one);
            Ok(())
        }),
        remove_facts: Arc::new(move |id: &str| {
            note(format!("no facts {}", id.len()), &two);
            Ok(())
        }),
        keep_exec: Arc::new(move |made: &ExecMade| {
            note(format!("exec {} {} {}", made.container, made.index, made.id), &three);
            Ok(())
        }),
    };
    (Containers::open(settings, waker), events)
}

fn container(node: &str) -> ContainerName {
    format!("clab-lab1-{node}").parse().unwrap()
}

fn order(node: &Arc<NodeSpec>, action: NodeAction) -> Order {
    let lab: LabName = "lab1".parse().unwrap();
    Order::new(lab, Arc::clone(node), action)
}

/// A node that runs a shell line.
fn shell(name: &str, line: &str) -> Arc<NodeSpec> {
    Arc::new(spec(name, ContainerBody { cmd: Some(words(&["sh", "-c", line])), ..body() }))
}

fn body() -> ContainerBody {
    ContainerBody { image: IMAGE.into(), hostname: "host1".into(), pull: PullPolicy::Never, ..Default::default() }
}

fn spec(name: &str, body: ContainerBody) -> NodeSpec {
    NodeSpec {
        name: name.parse().unwrap(),
        container: container(name),
        kind: "linux".into(),
        body: NodeBody::Container(Box::new(body)),
        desired: DesiredRun::Running,
        restarts: 0,
        interfaces: Vec::new(),
        execs: Vec::new(),
        hosts: Vec::new(),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn is_running(run: &Option<RunObserved>) -> bool {
    matches!(run, Some(RunObserved::Running { pid: Some(_), .. }))
}

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
        assert_eq!(bed.notes().iter().filter(|note| note.starts_with("no facts 64")).count(), 1);
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
        let words = bed.node("r1").unwrap().privileges.unwrap();
        let bounding = bed.engine.docker(["exec", "clab-lab1-r1", "grep", "CapBnd", "/proc/1/status"]);
        assert_eq!(words == "privileged", granted, "{words}");
        assert_eq!(words.starts_with("confined: all capabilities but "), !granted, "{words}");
        let count = u64::from_str_radix(bounding.trim_start_matches("CapBnd:").trim(), 16).unwrap().count_ones();
        assert!(count as usize >= engine.grant.unwrap().capabilities.len(), "{bounding}");
        bed.engine.docker(["exec", "clab-lab1-r1", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        bed.engine.docker(["exec", "clab-lab1-r1", "mount", "-t", "tmpfs", "t", "/tmp"]);

        let demand = ContainerBody { privileges: Privileges::Demanded, ..body() };
        let ended = bed.does(&Arc::new(spec("r2", demand)), NodeAction::Create).await;
        assert_eq!(ended.error.map(|error| error.code), (!granted).then_some("privileged-refused"));
    });
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
fn a_command_has_its_output_and_status_and_its_id_is_kept_before_it_runs() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![
            words(&["sh", "-c", "echo out; echo err >&2; exit 4"]),
            words(&["sh", "-c", "sleep 1000 & echo left"]),
            words(&["no-such-program"]),
        ];
        let node = Arc::new(node);
        bed.started(&node).await;
        let start = bed.start_of("r1");
        let exec = |index| NodeAction::Exec { index, start: start.clone() };

        let Some(ExecState::Ended { code: 4, output }) = bed.done(&node, exec(0)).await.exec else {
            panic!("status 4")
        };
        assert!(output.contains("out\n") && output.contains("err\n"), "{output:?}");
        assert_eq!(bed.notes().iter().filter(|note| note.starts_with("exec clab-lab1-r1 0 ")).count(), 1);

        let Some(ExecState::Ended { code: 0, output }) = bed.done(&node, exec(1)).await.exec else {
            panic!("status 0")
        };
        assert_eq!(output, "left\n", "a process left behind does not hold the list up");

        let Some(ExecState::Ended { code, .. }) = bed.done(&node, exec(2)).await.exec else { panic!("it ended") };
        assert!(code == 126 || code == 127, "{code}");

        let over = NodeAction::Exec { index: 0, start: "an earlier one".into() };
        assert_eq!(bed.does(&node, over).await.error.map(|error| error.code), Some("exec-start-over"));
    });
}

#[test]
fn a_command_of_an_earlier_life_is_taken_up_where_it_was_left() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![words(&["sh", "-c", "echo once >> /tmp/ran; sleep 1; exit 5"])];
        let node = Arc::new(node);
        bed.started(&node).await;
        let exec = NodeAction::Exec { index: 0, start: bed.start_of("r1") };

        assert!(bed.room.begin(order(&node, exec.clone())));
        let note =
            bed.until("its id is kept", |bed| bed.notes().into_iter().find(|note| note.starts_with("exec "))).await;
        let id = note.rsplit(' ').next().unwrap().to_owned();
        sleep(Duration::from_millis(300)).await;
        let (second, mut events) = open(&bed.engine, "runc", &bed.notes);
        bed.until("it is read", |_| second.show().known().map(|_| ())).await;
        assert!(second.begin(order(&node, exec.clone()).adopting(Some(id))));
        let ended = loop {
            if let Event::TaskEnded(ended) = events.recv().await.unwrap() {
                break ended;
            }
        };
        assert!(matches!(ended.exec, Some(ExecState::Ended { code: 5, .. })), "{ended:?}");
        assert_eq!(bed.engine.docker(["exec", "clab-lab1-r1", "cat", "/tmp/ran"]), "once\n");

        bed.task_ended(&node.container).await;
        assert!(bed.room.begin(order(&node, exec).adopting(Some("0".repeat(64)))));
        assert_eq!(bed.task_ended(&node.container).await.exec, Some(ExecState::Unknown));
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
        for _ in 0..50 {
            if bed.does(&node, NodeAction::Create).await.error.is_none() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        bed.done(&node, NodeAction::Start).await;
        assert!(bed.room.engine().known().unwrap().runtime_registered);
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
fn a_person_gets_a_terminal_inside_a_node_and_its_log() {
    on_an_engine(async |bed| {
        let node = shell("r1", "echo first; echo second; sleep 1000");
        bed.started(&node).await;
        let request = ExecRequest {
            command: words(&["sh"]),
            tty: true,
            stdin: true,
            size: Some((33, 101)),
            ..Default::default()
        };
        let mut session = bed.room.exec(&node.container, request).await.unwrap();
        session.input.write_all(b"stty size; exit 6\n").await.unwrap();
        let text = all(&mut session.output).await;
        assert!(text.contains("33 101"), "{text:?}");
        assert_eq!(session.exit_code().await, Ok(Some(6)));

        let request = ExecRequest { command: words(&["cat"]), stdin: true, ..Default::default() };
        let mut session = bed.room.exec(&node.container, request).await.unwrap();
        session.input.write_all(b"to and fro").await.unwrap();
        session.input.shutdown().await.unwrap();
        assert_eq!(all(&mut session.output).await, "to and fro");
        assert_eq!(session.exit_code().await, Ok(Some(0)));

        let mut log = bed.room.logs(&node.container, false, None).unwrap();
        assert_eq!(all(&mut log).await, "first\r\nsecond\r\n");
        let mut log = bed.room.logs(&node.container, false, Some(1)).unwrap();
        assert_eq!(all(&mut log).await, "second\r\n");
    });
}

async fn all(pieces: &mut archetype_host::containers::Pieces) -> String {
    let mut text = Vec::new();
    let read = async {
        while let Some(piece) = pieces.next().await {
            match piece.unwrap() {
                Output::Out(bytes) | Output::Error(bytes) => text.extend(bytes),
            }
        }
    };
    timeout(LONG, read).await.expect("the output ends");
    String::from_utf8_lossy(&text).into_owned()
}
