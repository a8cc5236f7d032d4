//! What the room's tests stand on: an engine in a sandbox, a room on it, nodes to make.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use archetype_host::containers::{Containers, ExecMade, Order, Output, Pieces, Settings};
use archetype_host::{Event, Place, TaskEnded, Waker};
use archetype_model::observed::{Exit, NodeObserved, RunObserved};
use archetype_model::spec::{ContainerBody, DesiredRun, NodeBody, NodeSpec, PullPolicy};
use archetype_model::step::NodeAction;
use archetype_model::{ContainerName, LabName};
use archetype_testbed::{Engine, sandbox, scratch_dir};
use futures::StreamExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

pub const IMAGE: &str = "bb:latest";
pub const LONG: Duration = Duration::from_secs(30);

/// An engine, a room on it, and what the room told.
pub struct Bed {
    /// The engine.
    pub engine: Engine,
    /// The room on it.
    pub room: Containers,
    /// What the room rings.
    pub events: UnboundedReceiver<Event>,
    /// What was handed out: facts and exec ids.
    pub notes: Arc<Mutex<Vec<String>>>,
}

/// Runs `body` in a sandbox with an engine, an image and a room.
pub fn on_an_engine(body: impl AsyncFnOnce(&mut Bed)) {
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
    pub async fn on(engine: Engine) -> Self {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (room, events) = open(&engine, "runc", &notes);
        let bed = Self { engine, room, events, notes };
        bed.until("the engine is read", |bed| bed.room.show().known().cloned()).await;
        bed
    }

    pub async fn until<T>(&self, what: &str, fact: impl Fn(&Self) -> Option<T>) -> T {
        for _ in 0..3000 {
            if let Some(found) = fact(self) {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: not within 30 s; {:?}", self.room.show());
    }

    pub fn node(&self, name: &str) -> Option<NodeObserved> {
        self.room.show().known()?.get(&container(name)).cloned()
    }

    pub fn run(&self, name: &str) -> Option<RunObserved> {
        self.node(name).map(|node| node.run)
    }

    pub fn start_of(&self, name: &str) -> String {
        match self.run(name) {
            Some(RunObserved::Running { start, .. }) => start,
            other => panic!("{name} does not run: {other:?}"),
        }
    }

    /// Does one thing and waits for its end.
    pub async fn does(&mut self, node: &Arc<NodeSpec>, action: NodeAction) -> TaskEnded {
        assert!(self.room.begin(order(node, action)), "{} is busy", node.container);
        self.task_ended(&node.container).await
    }

    /// The same for what must not fail.
    pub async fn done(&mut self, node: &Arc<NodeSpec>, action: NodeAction) -> TaskEnded {
        let ended = self.does(node, action).await;
        assert_eq!(ended.error, None);
        ended
    }

    pub async fn started(&mut self, node: &Arc<NodeSpec>) {
        self.done(node, NodeAction::Create).await;
        self.done(node, NodeAction::Start).await;
    }

    pub async fn task_ended(&mut self, name: &ContainerName) -> TaskEnded {
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

    pub async fn exit_of(&self, name: &str) -> Exit {
        self.until("the node ended", |bed| match bed.run(name)? {
            RunObserved::Ended { exit, .. } => Some(exit),
            _ => None,
        })
        .await
    }

    pub async fn unreadable(&self, within: Duration) -> String {
        let wait = self.until("the engine is unreadable", |bed| bed.room.show().why().map(str::to_owned));
        timeout(within, wait).await.unwrap_or_else(|_| panic!("still readable after {within:?}"))
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

pub fn open(engine: &Engine, runtime: &str, notes: &Arc<Mutex<Vec<String>>>) -> (Containers, UnboundedReceiver<Event>) {
    let (waker, events) = Waker::channel();
    (Containers::open(settings(engine, runtime, notes), waker), events)
}

pub fn settings(engine: &Engine, runtime: &str, notes: &Arc<Mutex<Vec<String>>>) -> Settings {
    let note = |text: String, notes: &Arc<Mutex<Vec<String>>>| notes.lock().unwrap().push(text);
    let (one, two, three) = (Arc::clone(notes), Arc::clone(notes), Arc::clone(notes));
    Settings {
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
        host_commands: Default::default(),
    }
}

pub fn container(node: &str) -> ContainerName {
    format!("clab-lab1-{node}").parse().unwrap()
}

pub fn order(node: &Arc<NodeSpec>, action: NodeAction) -> Order {
    let lab: LabName = "lab1".parse().unwrap();
    Order::new(lab, Arc::clone(node), action)
}

/// A node that runs a shell line.
pub fn shell(name: &str, line: &str) -> Arc<NodeSpec> {
    Arc::new(spec(name, ContainerBody { cmd: Some(words(&["sh", "-c", line])), ..body() }))
}

pub fn body() -> ContainerBody {
    ContainerBody { image: IMAGE.into(), hostname: "host1".into(), pull: PullPolicy::Never, ..Default::default() }
}

pub fn spec(name: &str, body: ContainerBody) -> NodeSpec {
    NodeSpec {
        name: name.parse().unwrap(),
        container: container(name),
        kind: "linux".into(),
        body: NodeBody::Container(Box::new(body)),
        desired: DesiredRun::Running,
        restarts: 0,
        restart: Default::default(),
        stages: Default::default(),
        interfaces: Vec::new(),
        execs: Vec::new(),
    }
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn is_running(run: &Option<RunObserved>) -> bool {
    matches!(run, Some(RunObserved::Running { pid: Some(_), .. }))
}

/// Everything that comes, until it ends.
pub async fn all(pieces: &mut Pieces) -> String {
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
