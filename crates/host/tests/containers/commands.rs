//! Commands inside nodes: those of the exec list, and a person's.

use std::sync::Arc;
use std::time::Duration;

use archetype_host::containers::{Containers, ExecMade, ExecRequest, Settings};
use archetype_host::{Event, Waker};
use archetype_model::report::ExecState;
use archetype_model::spec::ContainerBody;
use archetype_model::step::NodeAction;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::bed::{Bed, LONG, all, body, on_an_engine, open, order, settings, shell, spec, words};

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
fn a_command_whose_id_cannot_be_kept_does_not_run() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![words(&["touch", "/tmp/ran"])];
        let node = Arc::new(node);
        bed.started(&node).await;
        let exec = NodeAction::Exec { index: 0, start: bed.start_of("r1") };
        let refuse = |_: &ExecMade| Err(std::io::Error::other("no space"));
        let settings = Settings { keep_exec: Arc::new(refuse), ..settings(&bed.engine, "runc", &bed.notes) };
        let (waker, events) = Waker::channel();
        (bed.room, bed.events) = (Containers::open(settings, waker), events);
        bed.until("the engine is read", |bed| bed.room.show().known().map(|_| ())).await;
        let error = bed.does(&node, exec).await.error.expect("it is refused");
        assert!(error.message.contains("no space"), "{error}");
        assert!(bed.engine.try_docker(["exec", "clab-lab1-r1", "test", "-e", "/tmp/ran"]).is_err());
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
        assert_eq!(session.control.exit_code().await, Ok(Some(6)));

        let request = ExecRequest { command: words(&["cat"]), stdin: true, ..Default::default() };
        let mut session = bed.room.exec(&node.container, request).await.unwrap();
        session.input.write_all(b"to and fro").await.unwrap();
        session.input.shutdown().await.unwrap();
        assert_eq!(all(&mut session.output).await, "to and fro");
        assert_eq!(session.control.exit_code().await, Ok(Some(0)));

        let mut log = bed.room.logs(&node.container, false, None).unwrap();
        assert_eq!(all(&mut log).await, "first\r\nsecond\r\n");
        let mut log = bed.room.logs(&node.container, false, Some(1)).unwrap();
        assert_eq!(all(&mut log).await, "second\r\n");
    });
}

#[test]
fn a_command_runs_once_and_its_end_is_told_however_long_the_engine_is_silent() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![words(&["sh", "-c", "echo x >> /tmp/ran; sleep 1; exit 5"])];
        let node = Arc::new(node);
        bed.started(&node).await;
        let exec = NodeAction::Exec { index: 0, start: bed.start_of("r1") };
        let engine = bed.engine.pid();
        // It falls silent as it is asked to start the command.
        let falls_silent = move |_: &ExecMade| {
            kill(Pid::from_raw(engine), Signal::SIGSTOP).unwrap();
            Ok(())
        };
        let silent = Settings {
            keep_exec: Arc::new(falls_silent),
            deadline: Duration::from_millis(300),
            ..settings(&bed.engine, "runc", &bed.notes)
        };
        let (waker, events) = Waker::channel();
        (bed.room, bed.events) = (Containers::open(silent, waker), events);
        bed.until("the engine is read", |bed| bed.room.show().known().map(|_| ())).await;
        assert!(bed.room.begin(order(&node, exec.clone())));
        bed.unreadable(LONG).await;
        bed.engine.signal(Signal::SIGCONT);
        let ran = |bed: &Bed| bed.engine.try_docker(["exec", "clab-lab1-r1", "cat", "/tmp/ran"]).ok();
        bed.until("the command runs", ran).await;
        // And again while the command runs.
        bed.engine.signal(Signal::SIGSTOP);
        bed.unreadable(LONG).await;
        bed.engine.signal(Signal::SIGCONT);
        let ended = bed.task_ended(&node.container).await;
        assert!(matches!(ended.exec, Some(ExecState::Ended { code: 5, .. })), "{ended:?}");
        assert_eq!(ran(bed).as_deref(), Some("x\n"));
    });
}

#[test]
fn a_command_that_is_begun_while_the_engine_is_silent_waits_for_it_or_is_given_up() {
    on_an_engine(async |bed| {
        let mut node = spec("r1", ContainerBody { cmd: Some(words(&["sleep", "1000"])), ..body() });
        node.execs = vec![words(&["sh", "-c", "exit 5"])];
        let node = Arc::new(node);
        bed.started(&node).await;
        let exec = NodeAction::Exec { index: 0, start: bed.start_of("r1") };
        bed.engine.signal(Signal::SIGSTOP);
        bed.unreadable(LONG).await;
        assert!(bed.room.begin(order(&node, exec.clone())));
        bed.room.give_up(&node.container);
        assert!(matches!(bed.task_ended(&node.container).await.exec, Some(ExecState::GivenUp { .. })));
        assert!(bed.room.begin(order(&node, exec)));
        bed.engine.signal(Signal::SIGCONT);
        let ended = bed.task_ended(&node.container).await;
        assert!(matches!(ended.exec, Some(ExecState::Ended { code: 5, .. })), "{ended:?}");
    });
}
