//! The laws of the pass, on a host in memory: R1, R2, R3, R4, and repair.

#![allow(clippy::unwrap_used, reason = "a test says so by ending")]

mod lab;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use archetype_agent::{Envelope, Handle};
use archetype_host::fake::{FakeHost, State};
use archetype_host::{Host, Waker};
use archetype_model::observed::{BridgeObserved, Busy, Exit, Outside, Part, Reading, RunObserved};
use archetype_model::report::{ExecState, NodeReport, RepairOutcome};
use archetype_model::spec::{DesiredRun, HostSpec, NodeBody, NodeSpec, Presence, PullPolicy};
use archetype_model::stages::StageCommand;
use archetype_model::status::{LinkState, NodeState};
use archetype_model::step::{NodeAction, Resource, Step};
use archetype_model::topology::value::{ExecPhase, ExecTarget, Stage};
use archetype_model::{ContainerName, RestartRule};
use archetype_plan::diff::{Memory, diff};
use archetype_plan::judge::{self, ToCome};
use archetype_plan::resources::Wanted;
use lab::{Shape, agent_on, arbitrary_shape, datapath, generation, spec_of};
use proptest::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

/// An agent on a host in memory, with its reports.
struct Bench {
    host: Arc<FakeHost>,
    handle: Handle,
    reports: UnboundedReceiver<Envelope>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (waker, events) = Waker::channel();
        let host = Arc::new(FakeHost::new(datapath().bridge, waker));
        let folder = tempfile::tempdir().unwrap();
        Self::start(host, events, folder)
    }

    fn start(host: Arc<FakeHost>, events: UnboundedReceiver<archetype_host::Event>, folder: tempfile::TempDir) -> Self {
        let (handle, reports) = agent_on(host.clone(), events, folder.path());
        Self { host, handle, reports, folder }
    }

    /// How many steps whose words begin so the host has taken.
    fn taken(&self, beginning: &str) -> usize {
        self.host.with(|state| state.writes.iter().filter(|step| step.to_string().starts_with(beginning)).count())
    }

    /// Waits until the agent has nothing to do for a moment.
    async fn still(&mut self) {
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(400), self.reports.recv()).await {}
    }

    /// The report after everything that is under way has been seen through.
    async fn settled(&mut self) -> Envelope {
        lab::settled(&mut self.reports).await
    }
}

fn all_links(spec: &HostSpec, envelope: &Envelope) -> Vec<LinkState> {
    spec.wires()
        .map(|(lab, wire)| {
            judge::link_status(wire, envelope.report.wires.get(&lab.name).and_then(|w| w.get(&wire.id))).state
        })
        .collect()
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// R1 and R2: a pass makes the host as wanted, and the next pass writes nothing.
    #[test]
    fn a_pass_makes_it_so_and_the_next_one_writes_nothing(shape in arbitrary_shape()) {
        paused().block_on(async {
            let spec = Arc::new(spec_of(&shape, 1));
            let mut bench = Bench::new();
            bench.handle.accept(spec.clone()).await.unwrap();
            let envelope = bench.settled().await;
            prop_assert!(all_links(&spec, &envelope).iter().all(|state| *state == LinkState::Up), "{envelope:#?}");
            let observed = bench.host.observe().await;
            let rest = diff(&spec, &Wanted::of(&spec), &observed, &datapath(), &Memory::default());
            prop_assert!(rest.is_empty(), "{:#?}", rest.phases);
            let before = bench.host.with(|state| state.writes.len());
            bench.handle.verify(None).await;
            prop_assert_eq!(bench.host.with(|state| state.writes.len()), before);
            Ok(())
        })?;
    }

    /// R4: a part that cannot be read yields no step, whatever else is wrong.
    #[test]
    fn an_unreadable_part_yields_no_step_for_it(shape in arbitrary_shape(), other in arbitrary_shape()) {
        paused().block_on(async {
            let mut bench = Bench::new();
            bench.handle.accept(Arc::new(spec_of(&shape, 1))).await.unwrap();
            bench.settled().await;
            let wanted = spec_of(&other, 2);
            for part in [Part::Datapath, Part::Devices, Part::Namespaces, Part::Engine, Part::Processes, Part::Networks] {
                bench.host.with(|state| state.unreadable.insert(part));
                let observed = bench.host.observe().await;
                bench.host.with(|state| state.unreadable.remove(&part));
                let found = diff(&wanted, &Wanted::of(&wanted), &observed, &datapath(), &Memory::default());
                for step in found.steps() {
                    prop_assert!(!lab::parts_of(&wanted, step).contains(&part), "{part}: {step}");
                }
            }
            Ok(())
        })?;
    }

    /// R3: nothing without our mark, and nothing of a lab the spec does not speak for, is removed;
    /// an empty spec deletes nothing.
    #[test]
    fn what_is_not_spoken_for_stays(shape in arbitrary_shape()) {
        paused().block_on(async {
            let mut bench = Bench::new();
            bench.handle.accept(Arc::new(spec_of(&shape, 1))).await.unwrap();
            bench.settled().await;
            let mut empty = spec_of(&shape, 2);
            empty.labs.clear();
            empty.networks.clear();
            let observed = bench.host.observe().await;
            let found = diff(&empty, &Wanted::of(&empty), &observed, &datapath(), &Memory::default());
            prop_assert!(found.is_empty(), "{:#?}", found.phases);
            Ok(())
        })?;
    }

    /// A lab that is to be gone leaves nothing of it, and nothing else is touched.
    #[test]
    fn a_gone_lab_leaves_nothing(shape in arbitrary_shape()) {
        paused().block_on(async {
            let mut bench = Bench::new();
            let mut spec = spec_of(&shape, 1);
            bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
            bench.settled().await;
            spec.generation = generation(2);
            let gone = spec.labs[0].name.clone();
            spec.labs[0].presence = Presence::Gone;
            spec.labs[0].nodes.clear();
            spec.labs[0].wires.clear();
            bench.handle.accept(Arc::new(spec)).await.unwrap();
            let envelope = bench.settled().await;
            prop_assert_eq!(envelope.report.leaving.get(&gone), None);
            bench.host.with(|state| {
                assert!(state.devices.values().all(|d| d.mark.as_ref().is_none_or(|m| m.lab != gone)));
                assert!(state.datapath.ports.values().all(|p| p.mark.as_ref().is_none_or(|m| m.lab != gone)));
            });
            Ok(())
        })?;
    }
}

async fn settled_pair() -> (Bench, Arc<HostSpec>) {
    let spec = Arc::new(spec_of(&Shape::pair(), 1));
    let mut bench = Bench::new();
    bench.handle.accept(spec.clone()).await.unwrap();
    bench.settled().await;
    (bench, spec)
}

#[tokio::test(start_paused = true)]
async fn a_tag_changed_behind_our_back_is_mended_and_told_once() {
    let (mut bench, spec) = settled_pair().await;
    let right = bench.host.with(|state| state.datapath.clone());
    bench.host.disturb(Part::Datapath, |state| {
        let port = state.datapath.ports.values_mut().next().unwrap();
        port.tag = Some(4000);
    });
    let envelope = bench.settled().await;
    assert_eq!(bench.host.with(|state| state.datapath.clone()), right);
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
    assert_eq!(envelope.repairs.len(), 1, "{:#?}", envelope.repairs);
    assert_eq!(envelope.repairs[0].outcome, RepairOutcome::Mended);
    assert_eq!(envelope.repairs[0].number, 1, "0 is what is acknowledged before any");
    bench.handle.acknowledge(envelope.repairs[0].number);
    bench.handle.verify(None).await;
    assert!(bench.settled().await.repairs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_swallows_frames_is_never_up() {
    let spec = Arc::new(spec_of(&Shape::pair(), 1));
    let mut bench = Bench::new();
    let device = spec.nodes().next().unwrap().1.interfaces[1].host_device.clone();
    bench.host.with(|state| state.swallowing.insert(device.clone()));
    bench.handle.accept(spec.clone()).await.unwrap();
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Error]);
    bench.host.with(|state| state.swallowing.remove(&device));
    tokio::time::sleep(Duration::from_secs(10)).await;
    bench.handle.verify(None).await;
    let mut last = envelope;
    while let Ok(envelope) = bench.reports.try_recv() {
        last = envelope;
    }
    assert_eq!(all_links(&spec, &last), [LinkState::Up]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_came_back_under_its_old_name_is_plugged_anew() {
    let (mut bench, spec) = settled_pair().await;
    let device = spec.nodes().next().unwrap().1.interfaces[1].host_device.clone();
    bench.host.disturb(Part::Devices, |state| {
        let gone = state.devices.remove(&device).unwrap();
        for space in state.namespaces.values_mut() {
            if let archetype_model::observed::Reading::Known(inside) = &mut space.inside {
                inside.remove(&gone.ifindex);
            }
        }
    });
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
    let port = bench.host.with(|state| state.datapath.ports[&device].clone());
    let now = bench.host.with(|state| state.devices[&device].ifindex);
    assert_eq!(port.plugged_ifindex, Some(now));
}

/// The node has moved it where nobody can look.
#[tokio::test(start_paused = true)]
async fn a_cable_that_came_apart_for_good_is_an_error_also_when_it_is_verified() {
    let (mut bench, spec) = settled_pair().await;
    let (_, node) = spec.nodes().next().unwrap();
    bench.host.disturb(Part::Namespaces, |state| {
        let space = state.namespaces.get_mut(&node.container).unwrap();
        space.inside = archetype_model::observed::Reading::Known(Default::default());
    });
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Error]);
    bench.handle.verify(None).await;
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Error]);
}

/// Whoever moved it there is no node's software: the host's own namespace, or another node's.
#[tokio::test(start_paused = true)]
async fn an_interface_in_another_nodes_namespace_is_made_anew_in_its_own() {
    let (mut bench, spec) = settled_pair().await;
    let [one, other] = [0, 1].map(|at| spec.nodes().nth(at).unwrap().1.container.clone());
    let before = bench.host.with(|state| state.namespaces[&one].inside.known().unwrap().clone());
    bench.host.disturb(Part::Namespaces, |state| {
        let lost = std::mem::replace(
            &mut state.namespaces.get_mut(&one).unwrap().inside,
            archetype_model::observed::Reading::Known(Default::default()),
        );
        let archetype_model::observed::Reading::Known(found) = &mut state.namespaces.get_mut(&other).unwrap().inside
        else {
            panic!("it is read")
        };
        found.extend(lost.known().unwrap().clone());
    });
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
    let after = bench.host.with(|state| state.namespaces[&one].inside.known().unwrap().clone());
    assert_eq!(after.len(), before.len());
    assert!(after.keys().all(|device| !before.contains_key(device)), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_keeps_ending_is_started_again_ever_more_slowly() {
    let (mut bench, spec) = settled_pair().await;
    let (_, node) = spec.nodes().next().unwrap();
    let (first, began) = (bench.taken("start "), tokio::time::Instant::now());
    for round in 0..5 {
        bench.host.disturb(Part::Processes, |state| {
            let seen = state.processes.get_mut(&node.container).unwrap();
            let RunObserved::Running { start, .. } = &seen.run else { panic!("round {round}: {:?}", seen.run) };
            let start = start.clone();
            seen.run = RunObserved::Ended { start, exit: Exit::Signal { signal: 9 } };
        });
        bench.settled().await;
    }
    assert_eq!(bench.taken("start "), first + 5);
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(1 + 2 + 4 + 8), "paused time: {waited:?}");
}

/// As the engine's room tells of `docker restart` and `docker stop`: the one is a restart like ours, the other is drift.
#[tokio::test(start_paused = true)]
async fn a_node_restarted_by_hand_is_no_drift_and_one_that_stays_ended_is() {
    let (mut bench, spec) = settled_pair().await;
    let (_, node) = spec.nodes().next().unwrap();
    let become_so = |bench: &Bench, run: RunObserved, busy: bool| {
        bench.host.disturb(Part::Processes, |state| {
            let seen = state.processes.get_mut(&node.container).unwrap();
            seen.run = run;
            seen.busy = busy.then(|| Busy { doing: "ended by hand".into(), since_ms: 0, outside: None });
        });
    };
    let ended = |start: &str| RunObserved::Ended { start: start.into(), exit: Exit::Signal { signal: 15 } };
    let starts = bench.taken("start ");
    for round in 0..6 {
        become_so(&bench, ended(&format!("start {round}")), true);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let running = RunObserved::Running { pid: Some(7), start: format!("start {}", round + 1), health: None };
        become_so(&bench, running, false);
        let told = bench.settled().await;
        assert!(told.repairs.is_empty(), "round {round}: {:#?}", told.repairs);
        assert_eq!(told.report.nodes[&node.container].ended, None, "round {round}");
    }
    become_so(&bench, ended("start 6"), true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.taken("start "), starts, "whoever ended it starts it");
    become_so(&bench, ended("start 6"), false);
    let told = bench.settled().await;
    assert_eq!((bench.taken("start "), told.repairs.len()), (starts + 1, 1), "{:#?}", told.repairs);
    assert!(told.repairs[0].found.contains("does not run (to have it stopped:"), "{:#?}", told.repairs);
}

/// As `docker restart` does it, again and again: what runs waits for no start, and its own next start does.
#[tokio::test(start_paused = true)]
async fn commands_of_a_node_that_somebody_else_started_again_do_not_wait_as_its_start_would() {
    let (mut bench, spec) = settled_pair().await;
    let (_, node) = spec.nodes().next().unwrap();
    let become_so = |bench: &Bench, run: RunObserved| {
        bench.host.disturb(Part::Processes, |state| state.processes.get_mut(&node.container).unwrap().run = run);
    };
    for round in 0..6 {
        let RunObserved::Running { start, .. } = bench.host.with(|state| state.processes[&node.container].run.clone())
        else {
            panic!("round {round}: it does not run")
        };
        become_so(&bench, RunObserved::Ended { start, exit: Exit::Signal { signal: 15 } });
        tokio::time::sleep(Duration::from_millis(100)).await;
        while bench.reports.try_recv().is_ok() {}
        let (before, began) = (bench.taken("run command"), tokio::time::Instant::now());
        become_so(&bench, RunObserved::Running { pid: Some(7), start: format!("by hand {round}"), health: None });
        bench.settled().await;
        assert_eq!(bench.taken("run command"), before + 1, "round {round}");
        assert!(began.elapsed() < Duration::from_millis(500), "round {round}: after {:?}", began.elapsed());
    }
    become_so(&bench, RunObserved::Ended { start: "by hand 5".into(), exit: Exit::Signal { signal: 15 } });
    tokio::time::sleep(Duration::from_secs(10)).await;
    let run = bench.host.with(|state| state.processes[&node.container].run.clone());
    assert!(matches!(run, RunObserved::Ended { .. }), "its seventh end has it wait for longer: {run:?}");
}

/// A pass may find a node running and begin its first command before it hears that the start is over; and that the
/// command is over may be seen before it is heard.
#[tokio::test(start_paused = true)]
async fn a_command_runs_once_although_the_end_of_its_start_is_told_late() {
    let mut bench = Bench::new();
    let spec = Arc::new(spec_of(&Shape::pair(), 1));
    let (_, node) = spec.nodes().next().unwrap();
    bench.host.with(|state| state.untold = Some(VecDeque::new()));
    bench.handle.accept(spec.clone()).await.unwrap();
    while bench.taken("run command") == 0 {
        bench.reports.recv().await.unwrap();
        bench.host.disturb(Part::Processes, |_| {});
    }
    bench.still().await;
    for start in 0..2 {
        assert!(bench.host.tell_end(), "the command was begun before any start was told: {start}");
    }
    bench.still().await;
    bench.host.disturb(Part::Processes, |state| state.node_mut(&node.container).unwrap().busy = None);
    bench.reports.recv().await.unwrap();
    assert!(bench.host.tell_end(), "the command's end");
    bench.still().await;
    assert!(!bench.host.tell_end(), "something was begun anew");
    assert_eq!(bench.taken("run command"), 1);
}

/// What became of a command is told of that command, and not of another that now stands in its place.
#[tokio::test(start_paused = true)]
async fn commands_that_are_changed_under_a_running_node_are_of_its_next_start() {
    let (mut bench, spec) = settled_pair().await;
    let node = spec.nodes().next().unwrap().1.container.clone();
    let ran = bench.taken("run command");
    let mut told = Vec::new();
    for (number, restarts) in [(2, 0), (3, 1)] {
        let mut next = HostSpec { generation: generation(number), ..(*spec).clone() };
        let changed = next.labs[0].nodes.iter_mut().next().unwrap();
        changed.execs = vec![vec!["false".into()], vec!["true".into()]];
        changed.restarts = restarts;
        bench.handle.accept(Arc::new(next)).await.unwrap();
        let report = bench.settled().await.report;
        let states = report.nodes[&node].execs.iter();
        told.push((bench.taken("run command") - ran, states.map(|exec| exec.state.clone()).collect::<Vec<_>>()));
    }
    let ended = ExecState::Ended { code: 0, output: String::new() };
    let next = ExecState::NextStart;
    assert_eq!(told, [(0, vec![next.clone(), next]), (2, vec![ended.clone(), ended])]);
}

/// What is not begun before the first start need not wait for the next one.
#[tokio::test(start_paused = true)]
async fn commands_that_are_changed_before_a_nodes_first_start_run_in_it() {
    let mut bench = Bench::new();
    let accepted = async |number: u64, before: [&str; 2], execs: &[&str]| {
        let mut spec = spec_of(&Shape::pair(), number);
        let node = spec.labs[0].nodes.iter_mut().next().unwrap();
        let command = |word: &str| StageCommand {
            stage: Stage::Create,
            phase: ExecPhase::OnEnter,
            target: ExecTarget::Host,
            words: vec![word.into()],
        };
        node.stages.commands = before.map(command).into();
        node.execs = execs.iter().map(|word| vec![(*word).to_owned()]).collect();
        let name = node.container.clone();
        bench.handle.accept(Arc::new(spec)).await.unwrap();
        name
    };
    bench.host.with(|state| state.untold = Some(VecDeque::new()));
    accepted(1, ["p", "q"], &["a"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.taken("run command"), 1, "the command before the start is under way");
    let node = accepted(2, ["p", "r"], &["b", "c"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.host.with(|state| state.node_mut(&node).unwrap().busy = None);
    while bench.host.tell_end() {}
    bench.host.with(|state| state.untold = None);
    let report = bench.settled().await.report;
    let execs: Vec<_> = report.nodes[&node].execs.iter().map(|exec| (&exec.command[0], exec.state.is_over())).collect();
    let told: Vec<_> = execs.iter().map(|(word, is_over)| (word.as_str(), *is_over)).collect();
    assert_eq!(told, [("p", true), ("r", true), ("b", true), ("c", true)]);
    assert!(report.nodes[&node].execs.iter().all(|exec| exec.state != ExecState::NextStart), "{report:#?}");
    assert_eq!(bench.taken("run command"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_running_node_that_waits_for_another_before_its_links_are_made_has_more_to_come() {
    let mut bench = Bench::new();
    let spec = Arc::new(spec_of(&Shape::pair(), 1));
    bench.handle.accept(spec.clone()).await.unwrap();
    let mut nodes = bench.settled().await.report.nodes.clone();
    let to_come = |nodes: &BTreeMap<ContainerName, NodeReport>| {
        let told = spec.nodes().map(|(_, node)| (node, nodes.get(&node.container)));
        judge::to_come(told, [LinkState::Pending])
    };
    let [first, second] = &spec.labs[0].nodes[..] else { panic!("a pair") };
    assert_eq!(to_come(&nodes), ToCome::Nothing, "both run, and nothing waits");
    nodes.get_mut(&second.container).unwrap().waits_for.insert(first.name.clone());
    assert_eq!(to_come(&nodes), ToCome::More);
    let ended = nodes.get_mut(&first.container).unwrap();
    ended.run = Some(RunObserved::Ended { start: "1".into(), exit: Exit::Status { code: 1 } });
    ended.at_rest = true;
    assert_eq!(to_come(&nodes), ToCome::Nothing, "it waits for one that ended for good");
}

/// Stopped, its pair taken behind our back and made anew, started: one repair, of the pair.
#[tokio::test(start_paused = true)]
async fn a_pair_made_again_while_its_node_is_stopped_goes_up_at_its_start_without_a_second_repair() {
    let mut bench = Bench::new();
    let mut spec = spec_of(&Shape::pair(), 1);
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    bench.settled().await;
    let device = spec.labs[0].nodes[0].interfaces[1].host_device.clone();
    (spec.generation, spec.labs[0].nodes[0].desired) = (generation(2), DesiredRun::Stopped);
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    bench.settled().await;
    bench.host.disturb(Part::Devices, |state| drop(state.devices.remove(&device)));
    let mended = bench.settled().await;
    bench.handle.acknowledge(mended.repairs.last().map_or(0, |repair| repair.number));
    assert!(bench.host.with(|state| !state.devices[&device].up), "nobody is there to notice carrier");
    (spec.generation, spec.labs[0].nodes[0].desired) = (generation(3), DesiredRun::Running);
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    let started = bench.settled().await;
    assert!(bench.host.with(|state| state.devices[&device].up));
    assert!(started.repairs.is_empty(), "{:?}", started.repairs);
}

#[tokio::test(start_paused = true)]
async fn ports_of_a_lab_wait_for_its_crowd_of_starting_containers_and_others_do_not() {
    let mut bench = Bench::new();
    let mut spec = spec_of(&Shape::crowd(), 1);
    // Commands wait for links.
    spec.labs.iter_mut().flat_map(|lab| &mut lab.nodes).for_each(|node| node.execs.clear());
    let spec = Arc::new(spec);
    bench.handle.accept(spec.clone()).await.unwrap();
    bench.settled().await;
    let places = |lab: usize, is_meant: &dyn Fn(&Step) -> bool| -> Vec<usize> {
        let lab = &spec.labs[lab];
        let is_of = |step: &Step| match step.resource() {
            Resource::Node(container) => lab.nodes.iter().any(|node| node.container == container),
            Resource::Port(port) => lab.nodes.iter().flat_map(|node| &node.interfaces).any(|i| i.host_device == port),
            _ => false,
        };
        bench.host.with(|state| {
            let writes = state.writes.iter().enumerate();
            writes.filter(|(_, step)| is_of(step) && is_meant(step)).map(|(at, _)| at).collect()
        })
    };
    let starts = |step: &Step| matches!(step, Step::Node { action: NodeAction::Start, .. });
    let adds = |step: &Step| matches!(step, Step::AddPort { .. });
    let (few, crowd) = (places(0, &adds), places(1, &adds));
    let (first, last) = (places(1, &starts)[0], *places(1, &starts).last().unwrap());
    assert_eq!((few.len(), crowd.len()), (2, 20));
    assert!(few.iter().all(|at| *at < first), "{few:?} {first}");
    assert!(crowd.iter().all(|at| *at > last), "{crowd:?} {last}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_again_writes_nothing() {
    let (bench, spec) = settled_pair().await;
    let Bench { host, handle, reports, folder } = bench;
    drop((handle, reports));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = host.with(|state| state.writes.len());
    let (_waker, events) = Waker::channel();
    let mut bench = Bench::start(host, events, folder);
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
    assert_eq!(bench.host.with(|state| state.writes.len()), before);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_changed_while_there_was_no_agent_is_repaired_and_told() {
    let (bench, spec) = settled_pair().await;
    let device = spec.nodes().next().unwrap().1.interfaces[1].host_device.clone();
    let Bench { host, handle, reports, folder } = bench;
    drop((handle, reports));
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.with(|state| state.devices.get_mut(&device).unwrap().mtu = 1000);
    let (_waker, events) = Waker::channel();
    let mut bench = Bench::start(host, events, folder);
    let envelope = bench.settled().await;
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
    let repaired: Vec<_> = envelope.repairs.iter().map(|repair| &repair.resource).collect();
    assert_eq!(repaired, [&Resource::Device(device)]);
}

/// As an agent leaves it that dies after it has made the pair of a link that was added, and before it has set up the end
/// inside; beside it an interface that the node's own software has shut, which stays as it is.
#[tokio::test(start_paused = true)]
async fn a_pair_that_a_former_agent_did_not_set_up_inside_is_set_up_and_one_that_its_node_shut_is_not() {
    for is_unfinished in [true, false] {
        let (bench, spec) = settled_pair().await;
        let Bench { host, handle, reports, folder } = bench;
        drop((handle, reports));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (_, node) = spec.nodes().next().unwrap();
        let name = node.interfaces[1].host_device.clone();
        host.with(|state| {
            let device = state.devices.get_mut(&name).unwrap();
            if is_unfinished {
                device.mark.as_mut().unwrap().interface = None;
                state.datapath.ports.remove(&name);
            }
            let Reading::Known(inside) = &mut state.namespaces.get_mut(&node.container).unwrap().inside else {
                panic!()
            };
            inside.get_mut(&device.ifindex).unwrap().up = false;
        });
        let (_waker, events) = Waker::channel();
        let mut bench = Bench::start(host, events, folder);
        let envelope = bench.settled().await;
        let expected = if is_unfinished { LinkState::Up } else { LinkState::Down };
        assert_eq!(all_links(&spec, &envelope), [expected], "{envelope:#?}");
        let made = bench.taken("make eth1");
        assert_eq!(made, 2, "the pair is finished, and not made anew");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wanted_stop_is_no_end_by_itself() {
    let (mut bench, spec) = settled_pair().await;
    let mut wanted = (*spec).clone();
    for number in 2..6 {
        wanted.generation = generation(number);
        let stopped = number % 2 == 0;
        wanted.labs[0].nodes[0].desired = if stopped { DesiredRun::Stopped } else { DesiredRun::Running };
        bench.handle.accept(Arc::new(wanted.clone())).await.unwrap();
        let envelope = bench.settled().await;
        assert_eq!(envelope.report.nodes[&wanted.labs[0].nodes[0].container].ended, None);
    }
    // Four times the shortest wait would show.
    let began = tokio::time::Instant::now();
    bench.handle.verify(None).await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_somebody_undoes_each_time_is_told_until_they_stop() {
    let (mut bench, spec) = settled_pair().await;
    let device = spec.nodes().next().unwrap().1.interfaces[1].host_device.clone();
    let port = Resource::Port(device.clone());
    bench.host.disturb(Part::Datapath, |state| {
        state.datapath.ports.get_mut(&device).unwrap().tag = Some(4000);
        state.undone.insert(port.clone());
    });
    let told = bench.reports.recv().await.unwrap().report;
    let finding = told.findings.iter().find(|finding| finding.code == "steps-without-end").unwrap();
    assert_eq!(finding.resource.as_ref(), Some(&port));
    assert!(finding.message.contains(device.as_str()) && finding.message.contains("again and again"), "{finding:?}");
    assert!(finding.hint.contains("something else on this host"), "{finding:?}");
    bench.host.with(|state| state.undone.clear());
    let envelope = bench.settled().await;
    assert_eq!(envelope.report.findings, []);
    assert_eq!(all_links(&spec, &envelope), [LinkState::Up]);
}

/// A script that sets a tag whenever it is mended: no single pass sees that it never ends.
#[tokio::test(start_paused = true)]
async fn a_thing_that_is_changed_again_and_again_is_mended_ever_more_seldom_and_told_until_it_is_over() {
    let (mut bench, spec) = settled_pair().await;
    let device = bench.host.with(|state| state.datapath.ports.keys().next().unwrap().clone());
    let began = tokio::time::Instant::now();
    let mut told = 0;
    for _ in 0..50 {
        bench.host.disturb(Part::Datapath, |state| {
            state.datapath.ports.get_mut(&device).unwrap().tag = Some(4000);
        });
        loop {
            let envelope = bench.reports.recv().await.unwrap();
            told += envelope.report.findings.iter().filter(|finding| finding.code == "steps-without-end").count();
            let is_mended = bench.host.with(|state| state.datapath.ports[&device].tag != Some(4000));
            if is_mended && all_links(&spec, &envelope) == [LinkState::Up] {
                break;
            }
        }
    }
    assert!(told > 0, "somebody is told");
    // 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 + … seconds.
    assert!(began.elapsed() > Duration::from_secs(180), "{:?}", began.elapsed());
    let envelope = bench.settled().await;
    assert_eq!(envelope.report.findings, [], "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_is_told_while_the_node_runs_on() {
    let (mut bench, spec) = settled_pair().await;
    let mut wanted = (*spec).clone();
    wanted.generation = generation(2);
    wanted.labs[0].nodes[0].desired = DesiredRun::Stopped;
    let node = Resource::Node(wanted.labs[0].nodes[0].container.clone());
    bench.host.with(|state| state.failing.insert(node.clone()));
    bench.handle.accept(Arc::new(wanted)).await.unwrap();
    for _ in 0..4 {
        bench.handle.verify(None).await;
        let mut last = None;
        while let Ok(envelope) = bench.reports.try_recv() {
            last = Some(envelope.report);
        }
        let findings = &last.unwrap().findings;
        assert!(findings.iter().any(|finding| finding.resource.as_ref() == Some(&node)), "{findings:?}");
    }
    bench.host.with(|state| state.failing.clear());
    let envelope = bench.settled().await;
    assert_eq!(envelope.report.findings, []);
}

#[tokio::test(start_paused = true)]
async fn what_failed_says_nothing_of_a_node_whose_image_is_to_be_had_in_another_way() {
    let mut spec = spec_of(&Shape::containers(), 1);
    let node = spec.labs[0].nodes[0].container.clone();
    let mut bench = Bench::new();
    bench.host.with(|state| state.failing.insert(Resource::Node(node.clone())));
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    // Long enough for the next try to be far off.
    tokio::time::sleep(Duration::from_secs(20)).await;
    bench.still().await;
    bench.host.with(|state| state.failing.clear());
    spec.generation = generation(2);
    let NodeBody::Container(body) = &mut spec.labs[0].nodes[0].body else { panic!("it is a container") };
    body.pull = PullPolicy::Never;
    bench.handle.accept(Arc::new(spec)).await.unwrap();
    let begun = tokio::time::Instant::now();
    loop {
        let report = bench.reports.recv().await.unwrap().report;
        if report.generation != generation(2) {
            continue;
        }
        assert_eq!(report.findings, []);
        if matches!(report.nodes[&node].run, Some(RunObserved::Running { .. })) {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// While the image for its next body is pulled, and when that body is made.
#[tokio::test(start_paused = true)]
async fn what_works_on_a_node_does_not_hide_that_it_ended() {
    let mut bench = Bench::new();
    let spec = spec_of(&Shape::containers(), 1);
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    let envelope = bench.settled().await;
    let (lab, node) = spec.nodes().next().unwrap();
    let state = |desired, restart, busy: (&str, Option<Outside>)| {
        let (doing, outside) = (busy.0.to_owned(), busy.1);
        let node = NodeSpec { desired, restart, ..node.clone() };
        let report = NodeReport {
            run: Some(RunObserved::Ended { start: "one".into(), exit: Exit::Signal { signal: 9 } }),
            busy: Some(Busy { doing, since_ms: 0, outside }),
            outdated: true,
            ..envelope.report.nodes[&node.container].clone()
        };
        judge::node_state(&lab.name, &node, Some(&report), &[]).state
    };
    let (pulling, removing) = (("pulling", Some(Outside::Image("next".into()))), ("removing", None));
    let (wanted, stopped) = (DesiredRun::Running, DesiredRun::Stopped);
    assert_eq!(state(wanted, RestartRule::Always, pulling.clone()), NodeState::Exited);
    assert_eq!(state(wanted, RestartRule::Always, removing.clone()), NodeState::Starting);
    assert_eq!(state(wanted, RestartRule::No, pulling.clone()), NodeState::Starting, "it is not missed");
    assert_eq!(state(stopped, RestartRule::Always, pulling), NodeState::Stopped);
    assert_eq!(state(stopped, RestartRule::Always, removing), NodeState::Stopped);
}

/// Somebody, or a pass that was not seen by this one, put another container in the place of the first.
#[tokio::test(start_paused = true)]
async fn a_node_that_shares_with_a_container_that_was_made_anew_is_made_anew_too() {
    let mut spec = spec_of(&Shape::containers(), 1);
    let [first, second] = [0, 1].map(|number| spec.labs[0].nodes[number].container.clone());
    let NodeBody::Container(body) = &mut spec.labs[0].nodes[1].body else { panic!("it is a container") };
    body.pid_mode = Some(format!("container:{first}"));
    let mut bench = Bench::new();
    bench.handle.accept(Arc::new(spec)).await.unwrap();
    bench.settled().await;
    bench.host.disturb(Part::Engine, |state| {
        state.containers.get_mut(&first).unwrap().id = "another".into();
        let seen = state.containers.get_mut(&second).unwrap();
        seen.run = RunObserved::Ended { start: "killed".into(), exit: Exit::Signal { signal: 9 } };
    });
    bench.settled().await;
    let seen = bench.host.with(|state| state.containers[&second].clone());
    assert!(matches!(seen.run, RunObserved::Running { .. }), "{seen:?}");
    assert_eq!(seen.shares_with, ["another".to_owned()].into());
}

/// The Docker network over it takes its time, and the first try fails.
#[tokio::test(start_paused = true)]
async fn a_network_that_was_never_seen_whole_is_made_and_not_repaired() {
    let spec = spec_of(&Shape::containers(), 1);
    let name = spec.networks[0].name.clone();
    let mut bench = Bench::new();
    bench.host.with(|state| state.guests = Reading::Unreadable("the Docker network is being laid over it".into()));
    bench.handle.accept(Arc::new(spec)).await.unwrap();
    bench.settled().await;
    bench.host.disturb(Part::Networks, |state| {
        state.guests = Reading::Known(true);
        state.networks.get_mut(&name).unwrap().guests = Reading::Known(false);
    });
    let envelope = bench.settled().await;
    assert_eq!(bench.host.with(|state| state.networks[&name].guests.clone()), Reading::Known(true));
    assert_eq!(envelope.repairs, []);
    bench.host.disturb(Part::Networks, |state| state.networks.get_mut(&name).unwrap().guests = Reading::Known(false));
    let envelope = bench.settled().await;
    assert_eq!(envelope.repairs.len(), 1, "what was seen whole and is not any more is repaired");
}

/// Open vSwitch writes all flags of a device that it takes over, as it read them before, and so shuts what was opened
/// meanwhile.
#[tokio::test(start_paused = true)]
async fn a_device_that_the_switch_shuts_while_it_takes_it_over_is_opened_and_not_repaired() {
    let spec = Arc::new(spec_of(&Shape::pair(), 1));
    let device = spec.nodes().next().unwrap().1.interfaces[1].host_device.clone();
    let shut = |state: &mut State| state.devices.get_mut(&device).unwrap().up = false;
    let mut bench = Bench::new();
    bench.host.with(|state| state.slow_switch = true);
    bench.handle.accept(spec.clone()).await.unwrap();
    let host = bench.host.clone();
    let is_open = || host.with(|state| state.devices.get(&device).is_some_and(|found| found.up));
    tokio::time::timeout(Duration::from_secs(1), async {
        while !is_open() {
            bench.reports.recv().await;
        }
    })
    .await
    .expect("it is opened while the switch takes it over");
    bench.host.disturb(Part::Datapath, |state| {
        shut(state);
        state.datapath.settled = true;
        for (number, port) in (1..).zip(state.datapath.ports.values_mut()) {
            (port.ofport, port.settled) = (Some(number), true);
        }
    });
    let mut envelope = bench.settled().await;
    while all_links(&spec, &envelope) != [LinkState::Up] {
        envelope = bench.settled().await;
    }
    assert_eq!(envelope.repairs, []);
    bench.host.disturb(Part::Devices, shut);
    let envelope = bench.settled().await;
    assert_eq!(envelope.repairs.len(), 1, "one that is shut later is repaired");
}

#[tokio::test(start_paused = true)]
async fn a_bridge_on_which_somebody_else_has_set_what_harms_is_repaired_each_time_and_each_is_told() {
    let (mut bench, _) = settled_pair().await;
    let set = |state: &mut State, change: fn(&mut BridgeObserved)| change(state.datapath.bridge.as_mut().unwrap());
    bench.host.disturb(Part::Datapath, |state| set(state, |bridge| bridge.harmful = vec!["stp_enable".into()]));
    bench.still().await;
    for number in 1..=2 {
        bench.host.disturb(Part::Datapath, |state| set(state, |bridge| bridge.fail_mode = "secure".into()));
        let told = async {
            loop {
                let repairs = bench.reports.recv().await.expect("the agent reports").repairs;
                if repairs.len() == number {
                    return repairs;
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), told).await.expect("each is told");
        assert!(told.iter().all(|repair| repair.resource == Resource::Bridge), "{told:#?}");
    }
}

/// Whoever has a repair in the journal says so with its number, for it and all before it.
#[tokio::test(start_paused = true)]
async fn a_repair_that_takes_longer_than_one_found_after_it_is_told_too() {
    let spec = Arc::new(spec_of(&Shape::ring(), 1));
    let mut bench = Bench::new();
    bench.handle.accept(spec.clone()).await.unwrap();
    bench.settled().await;
    let all: Vec<_> = bench.host.with(|state| state.datapath.ports.keys().cloned().collect());
    // Of two nodes: where a step fails, others for that node wait.
    let ports = [all.first().unwrap().clone(), all.last().unwrap().clone()];
    bench.host.disturb(Part::Datapath, |state| {
        state.failing.insert(Resource::Port(ports[0].clone()));
        ports.iter().for_each(|port| state.datapath.ports.get_mut(port).unwrap().tag = Some(4000));
    });
    let (mut told, mut noted) = (Vec::new(), 0);
    while told.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(300), bench.reports.recv()).await;
        let repairs = next.expect("both are told").expect("the agent reports").repairs;
        told.extend(repairs.iter().filter(|repair| repair.number > noted).map(|repair| repair.resource.clone()));
        if let Some(last) = repairs.iter().map(|repair| repair.number).max().filter(|last| *last > noted) {
            noted = last;
            bench.handle.acknowledge(noted);
        }
        if told == [Resource::Port(ports[1].clone())] {
            bench.host.with(|state| state.failing.clear());
        }
    }
    assert_eq!(told, [Resource::Port(ports[1].clone()), Resource::Port(ports[0].clone())]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_started_again_while_there_was_no_agent_is_told() {
    let (bench, spec) = settled_pair().await;
    // The one without commands: their ends would be told to the former agent.
    let node = spec.nodes().last().unwrap().1.container.clone();
    let Bench { host, handle, reports, folder } = bench;
    drop((handle, reports));
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.with(|state| match &mut state.processes.get_mut(&node).unwrap().run {
        RunObserved::Running { start, .. } => start.push_str(" again"),
        other => panic!("{other:?}"),
    });
    let (_waker, events) = Waker::channel();
    let mut bench = Bench::start(host, events, folder);
    let envelope = bench.settled().await;
    let told: Vec<_> = envelope.report.nodes.iter().filter(|(_, report)| report.started_unseen_ms.is_some()).collect();
    assert_eq!(told.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [&node]);
    assert_eq!(envelope.repairs, []);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_an_agent_saw_is_not_told_by_the_next_one_whatever_else_is_not_as_wanted() {
    let (mut bench, spec) = settled_pair().await;
    let node = spec.nodes().last().unwrap().1.container.clone();
    bench.host.disturb(Part::Datapath, |state| {
        let (device, port) = state.datapath.ports.iter_mut().next().unwrap();
        port.tag = Some(4000);
        state.failing.insert(Resource::Port(device.clone()));
    });
    bench.still().await;
    bench.host.disturb(Part::Processes, |state| match &mut state.processes.get_mut(&node).unwrap().run {
        RunObserved::Running { start, .. } => start.push_str(" again"),
        other => panic!("{other:?}"),
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let Bench { host, handle, reports, folder } = bench;
    drop((handle, reports));
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.with(|state| state.failing.clear());
    let (_waker, events) = Waker::channel();
    let mut bench = Bench::start(host, events, folder);
    let envelope = bench.settled().await;
    assert!(envelope.report.nodes.values().all(|report| report.started_unseen_ms.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_network_of_which_only_the_engine_has_something_left_is_waited_for() {
    let spec = spec_of(&Shape::containers(), 1);
    let name = spec.networks[0].name.clone();
    let mut bench = Bench::new();
    bench.handle.accept(Arc::new(spec.clone())).await.unwrap();
    bench.settled().await;
    bench.host.with(|state| {
        let network = state.networks.get_mut(&name).unwrap();
        (network.leaving, network.busy, network.rules, network.hosts) = (true, true, None, None);
    });
    let mut gone = HostSpec { generation: generation(2), networks: Vec::new(), ..spec };
    gone.labs.iter_mut().for_each(|lab| lab.presence = Presence::Gone);
    bench.handle.accept(Arc::new(gone)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let removals =
        |state: &mut State| state.writes.iter().filter(|step| matches!(step, Step::RemoveNetwork { .. })).count();
    assert_eq!(bench.host.with(removals), 0, "the engine is at it, and says when it is done");
    bench.host.disturb(Part::Networks, |state| state.networks.get_mut(&name).unwrap().busy = false);
    bench.settled().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.host.with(removals), 1);
    assert!(bench.host.with(|state| state.networks.is_empty()));
}
