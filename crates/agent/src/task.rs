//! The agent's task: one loop that wakes, passes and reports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use archetype_host::event::TaskError;
use archetype_host::{Event, Host, TaskEnded};
use archetype_model::observed::Part;
use archetype_model::report::{ExecState, Repair, Report};
use archetype_model::spec::HostSpec;
use archetype_model::step::{NodeAction, Resource};
use archetype_model::{ContainerName, LabName};
use archetype_plan::diff::DatapathSettings;
use archetype_plan::resources::Wanted;
use archetype_plan::stages;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::{Ledger, Refusal};
use crate::memory::{Memory, task_failed};
use crate::pass::{Pass, Passed};
use crate::probes::Proofs;

/// While tasks work on nodes, passes that nobody asked for begin no sooner than this after the one
/// before: a hundred nodes that end their starts one by one are looked at together. A change of the
/// switch is never held back, for that is where drift of wires shows.
const GATHER: Duration = Duration::from_millis(25);
/// One more of that for each so many nodes under way: a pass looks at everything, and takes its time
/// from the tasks that it waits for.
const CROWD: u32 = 8;
/// And no more of it than this.
const LONGEST_GATHER: u32 = 16;

/// How an agent works.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The host's datapath.
    pub datapath: DatapathSettings,
    /// Every so often everything is read from its source, whatever events said.
    pub full_read_interval: Duration,
    /// Every so often every wire is probed again; none switches the slow round off.
    pub probe_interval: Option<Duration>,
}

/// What may be asked of an agent.
#[derive(Debug)]
pub enum Command {
    /// Take this spec.
    Accept(Arc<HostSpec>, oneshot::Sender<Result<(), Refusal>>),
    /// Read everything, forget the proofs of one lab or of all, pass, and answer when it has reported.
    Verify(Option<LabName>, oneshot::Sender<()>),
    /// The controller has these repairs in its journal.
    Acknowledge(u64),
    /// Begin to run commands in the engine under this id.
    ExecBegun {
        /// The node.
        container: ContainerName,
        /// Which start of it.
        start: String,
        /// The command's place.
        index: usize,
        /// The engine's id.
        id: String,
        /// Told when it is written down.
        written: oneshot::Sender<()>,
    },
}

/// What an agent tells after each pass.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The report; the same [`Arc`] while nothing changed.
    pub report: Arc<Report>,
    /// When all of it was read back, in milliseconds of the Unix epoch.
    pub verified_at_ms: u64,
    /// Repairs not acknowledged yet, oldest first.
    pub repairs: Vec<Repair>,
    /// Steps taken by the pass.
    pub writes: usize,
}

/// The way to talk to a running agent.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
}

/// An agent, ready to run.
#[derive(Debug)]
pub struct Agent<H> {
    host: Arc<H>,
    settings: AgentSettings,
    ledger: Ledger,
    memory: Memory,
    proofs: Proofs,
    clock: Clock,
    opened_here: BTreeSet<Resource>,
    events: mpsc::UnboundedReceiver<Event>,
    commands: mpsc::UnboundedReceiver<Command>,
    reports: mpsc::UnboundedSender<Envelope>,
    last: Option<Arc<Report>>,
    /// Nodes on which tasks worked at the end of the last pass and have not ended since.
    busy: BTreeSet<ContainerName>,
    /// What woke it is not to wait for what may come along.
    urgent: bool,
    passed: Instant,
}

impl Handle {
    /// Hands the agent a spec and waits until it is accepted or refused.
    pub async fn accept(&self, spec: Arc<HostSpec>) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        drop(self.commands.send(Command::Accept(spec, answer)));
        answered.await.unwrap_or_else(|_| Err(Refusal::NotWritten("the agent has ended".into())))
    }

    /// Has everything read and probed anew, and waits until that is reported. False when the agent has ended.
    pub async fn verify(&self, lab: Option<LabName>) -> bool {
        let (answer, answered) = oneshot::channel();
        drop(self.commands.send(Command::Verify(lab, answer)));
        answered.await.is_ok()
    }

    /// Tells that repairs up to this number are in the journal.
    pub fn acknowledge(&self, number: u64) {
        drop(self.commands.send(Command::Acknowledge(number)));
    }

    /// Has the engine's id of a command written down, and waits for it.
    pub async fn exec_begun(&self, container: ContainerName, start: String, index: usize, id: String) {
        let (written, done) = oneshot::channel();
        drop(self.commands.send(Command::ExecBegun { container, start, index, id, written }));
        drop(done.await);
    }
}

impl<H: Host> Agent<H> {
    /// An agent for `host`, woken by `events`, with the way to talk to it and its reports.
    pub fn new(
        host: Arc<H>,
        settings: AgentSettings,
        ledger: Ledger,
        clock: Clock,
        events: mpsc::UnboundedReceiver<Event>,
    ) -> (Self, Handle, mpsc::UnboundedReceiver<Envelope>) {
        let (commands, asked) = mpsc::unbounded_channel();
        let (reports, told) = mpsc::unbounded_channel();
        let agent = Self {
            host,
            settings,
            ledger,
            memory: Memory::default(),
            proofs: Proofs::default(),
            clock,
            opened_here: BTreeSet::new(),
            events,
            commands: asked,
            reports,
            last: None,
            busy: BTreeSet::new(),
            urgent: true,
            passed: Instant::now(),
        };
        (agent, Handle { commands }, told)
    }

    /// Runs until every [`Handle`] is gone. The first pass comes at once, from the ledger.
    pub async fn run(mut self) {
        let mut next = Instant::now();
        let mut full_read = Instant::now() + self.settings.full_read_interval;
        let mut slow_probe = self.settings.probe_interval.map(|every| Instant::now() + every);
        let mut verified: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            let wake = [Some(next), Some(full_read), slow_probe].into_iter().flatten().min().unwrap_or(next);
            // Cancel safe: every arm only takes a message, or waits.
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.take_command(command, &mut verified).await,
                    None => return,
                },
                Some(event) = self.events.recv() => self.take_event(event),
                () = self.proofs.next_ended(self.clock) => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            self.gather(&mut verified).await;
            // What came along with the first wake-up is part of the same pass.
            while let Ok(event) = self.events.try_recv() {
                self.take_event(event);
            }
            while let Ok(command) = self.commands.try_recv() {
                self.take_command(command, &mut verified).await;
            }
            let now = Instant::now();
            if now >= full_read {
                let differences = self.host.full_read().await;
                if differences > 0 {
                    tracing::warn!(differences, "replicas were not what their sources said");
                }
                full_read = now + self.settings.full_read_interval;
            }
            if let (Some(at), Some(every)) = (slow_probe, self.settings.probe_interval)
                && now >= at
            {
                self.proofs.renew(None);
                slow_probe = Some(now + every);
            }
            let again = self.pass().await;
            next = again.map_or(full_read, |at| self.clock.instant(at).max(Instant::now() + Duration::from_millis(5)));
            // Who asked for a look at everything waits for what the probes show.
            let told = if self.proofs.is_idle() { verified.len() } else { 0 };
            for waiting in verified.drain(..told) {
                waiting.send(()).unwrap_or_default();
            }
        }
    }

    /// Waits a moment for what may come along, while tasks are under way.
    async fn gather(&mut self, verified: &mut Vec<oneshot::Sender<()>>) {
        loop {
            let crowd = u32::try_from(self.busy.len()).unwrap_or(u32::MAX) / CROWD;
            let until = self.passed + GATHER * (1 + crowd).min(LONGEST_GATHER);
            if self.urgent || self.busy.is_empty() || Instant::now() >= until {
                return;
            }
            // Cancel safe: every arm only takes a message, or waits.
            tokio::select! {
                Some(command) = self.commands.recv() => self.take_command(command, verified).await,
                Some(event) = self.events.recv() => self.take_event(event),
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    async fn pass(&mut self) -> Option<u64> {
        let spec = self.ledger.spec().cloned()?;
        let pass = Pass {
            host: &self.host,
            settings: &self.settings.datapath,
            ledger: &mut self.ledger,
            memory: &mut self.memory,
            proofs: &mut self.proofs,
            clock: self.clock,
            events: &self.events,
            opened_here: &mut self.opened_here,
        };
        let Passed { report, again_ms, writes } = pass.run(&spec).await;
        tracing::debug!(generation = %spec.generation, writes, converged = report.converged, "pass");
        let report = match &self.last {
            Some(last) if **last == report => last.clone(),
            _ => Arc::new(report),
        };
        let busy = report.nodes.iter().filter(|(_, node)| node.busy.is_some());
        self.busy = busy.map(|(container, _)| container.clone()).collect();
        self.passed = Instant::now();
        self.urgent = false;
        self.last = Some(report.clone());
        let repairs = self.ledger.done().closed.clone();
        drop(self.reports.send(Envelope { report, verified_at_ms: self.clock.now_ms(), repairs, writes }));
        let was_written = self.ledger.unwritten().is_none();
        self.ledger.write_late().await;
        // What could not be written is told by the next pass.
        let is_to_tell = was_written && self.ledger.unwritten().is_some();
        if is_to_tell { Some(self.clock.now_ms()) } else { again_ms }
    }

    async fn take_command(&mut self, command: Command, verified: &mut Vec<oneshot::Sender<()>>) {
        self.urgent = true;
        match command {
            Command::Accept(spec, answer) => {
                let mut wanted = None;
                let accepted = self.ledger.accept(spec.clone(), || wanted = Some(Arc::new(Wanted::of(&spec)))).await;
                if accepted == Ok(true) {
                    wanted.into_iter().for_each(|wanted| self.memory.wants(&spec, wanted));
                    self.memory.forget_waits();
                }
                drop(answer.send(accepted.map(|_| ())));
            }
            Command::Verify(lab, answer) => {
                self.host.full_read().await;
                self.proofs.renew(lab.as_ref());
                self.memory.forget_waits();
                verified.push(answer);
            }
            Command::Acknowledge(number) => {
                self.ledger.note(|done| done.closed.retain(|repair| repair.number > number));
            }
            Command::ExecBegun { container, start, index, id, written } => {
                self.ledger.note(|done| {
                    if let Some((of, states)) = done.execs.get_mut(&container)
                        && *of == start
                        && let Some(state) = states.get_mut(index)
                    {
                        *state = ExecState::Running { id: Some(id) };
                    }
                });
                written.send(()).unwrap_or_default();
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Changed(part) => self.urgent |= part == Part::Datapath,
            Event::Cured(code) => self.memory.forget_waits_of(code),
            Event::TaskEnded(ended) => {
                self.busy.remove(&ended.container);
                self.task_ended(ended);
            }
        }
    }

    fn task_ended(&mut self, ended: TaskEnded) {
        let resource = Resource::Node(ended.container.clone());
        // The end of a start may be told after the first command was begun: that one is not over with it.
        let begun = ended.action.happens_once().then(|| self.memory.begun.remove(&ended.container)).flatten();
        if let NodeAction::Exec { index, start } = &ended.action {
            let state = match ended.exec.unwrap_or_else(|| of_failed(ended.error.as_ref())) {
                // The start that it is for is still to come, and is not to come without it.
                ExecState::GivenUp { .. } if stages::is_before(start) => ExecState::Waiting,
                state => state,
            };
            self.ledger.note(|done| {
                if let Some((of, states)) = done.execs.get_mut(&ended.container)
                    && of == start
                    && let Some(held) = states.get_mut(*index)
                {
                    *held = state;
                }
            });
            return;
        }
        match &ended.error {
            // Nothing came of it either way.
            Some(error) if error.code == TaskError::PULL_STOPPED => {}
            Some(error) => self.memory.failed(resource.clone(), task_failed(&resource, error), self.clock.now_ms()),
            None => drop(self.memory.failed.remove(&resource)),
        }
        if let (NodeAction::Restart, None, Some(begun)) = (ended.action, ended.error, begun) {
            self.ledger.note(|done| {
                done.restarts.insert(ended.container, begun.restarts);
            });
        }
    }
}

/// What became of a command that could not be run.
fn of_failed(error: Option<&TaskError>) -> ExecState {
    let output = error.map(|error| error.message.clone()).unwrap_or_default();
    match error {
        // Its node ended before it had its turn.
        Some(error) if error.code == TaskError::START_OVER => ExecState::GivenUp { output },
        _ => ExecState::Ended { code: -1, output },
    }
}
