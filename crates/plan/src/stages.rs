//! The order of nodes across a lab: which stage of which node may begin, which commands are due,
//! and what each node waits for. Pure: what was reached before and what is seen now is handed in.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::observed::{Exit, RunObserved};
use archetype_model::report::ExecState;
use archetype_model::spec::{DesiredRun, HostSpec, LabSpec, LinkId, NodeSpec, WireShape};
use archetype_model::stages::BEFORE;
pub use archetype_model::stages::is_before;
use archetype_model::stages::{Passage, WaitSpec, When};
use archetype_model::topology::value::{ExecPhase, Stage};
use archetype_model::{ContainerName, LabName, NodeName};

use crate::diff::ExecMemory;

/// What is seen of a node, as far as its stages ask.
#[derive(Debug, Clone, Default)]
pub struct NodeSeen {
    /// What its process does; none when that could not be read.
    pub run: Option<RunObserved>,
    /// Whether a task works on it.
    pub busy: bool,
    /// Whether its own end of every link is as it is to be, or has had its time.
    pub attached: bool,
    /// Whether every link is proven, cannot be now, or has had its time.
    pub proven: bool,
    /// The commands of the present start, or of the one to come.
    pub execs: Option<ExecMemory>,
}

/// What follows for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Nodes that are not to be started yet.
    pub held: BTreeSet<ContainerName>,
    /// Wires whose node may not enter `create-links` yet, and that node.
    pub held_wires: HeldWires,
    /// The next command that is due, by node: its place and the start it belongs to.
    pub commands: BTreeMap<ContainerName, (usize, String)>,
    /// What each node waits for.
    pub waits: BTreeMap<ContainerName, Waits>,
    /// When a delay is over, in milliseconds of the Unix epoch.
    pub delays: Vec<u64>,
}

/// What a node waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// In words.
    pub words: String,
    /// The other nodes of its lab; none where it waits for time alone.
    pub nodes: BTreeSet<NodeName>,
}

/// Wires that stages hold down, each with the node that may not enter `create-links` yet.
pub type HeldWires = BTreeMap<(LabName, LinkId), ContainerName>;

/// All stages in their order.
const STAGES: [Stage; 5] = [Stage::Create, Stage::CreateLinks, Stage::Configure, Stage::Healthy, Stage::Exit];

/// Carries the passages of all nodes on to what is seen now, and says what follows. `ready` keeps
/// since when nothing but its delay holds a node.
pub fn advance(
    spec: &HostSpec,
    seen: &BTreeMap<ContainerName, NodeSeen>,
    passages: &mut BTreeMap<ContainerName, Passage>,
    ready: &mut BTreeMap<ContainerName, u64>,
    now_ms: u64,
) -> Order {
    let mut order = Order::default();
    passages.retain(|container, _| spec.node(container).is_some_and(|(lab, _)| has_stages(lab)));
    for lab in spec.present() {
        if has_stages(lab) {
            Lab { lab, seen, passages, ready, now_ms }.advance(&mut order);
        } else {
            plain(lab, seen, &mut order);
        }
    }
    ready.retain(|container, _| order.held.contains(container));
    order.held_wires = held_wires(spec, passages);
    order
}

/// Whether any node of the lab has stages, or a delay.
pub fn has_stages(lab: &LabSpec) -> bool {
    lab.nodes.iter().any(|node| !node.stages.is_empty())
}

/// A lab without stages: the list of each node that runs, once its links are proven.
fn plain(lab: &LabSpec, seen: &BTreeMap<ContainerName, NodeSeen>, order: &mut Order) {
    for node in lab.nodes.iter().filter(|node| !node.execs.is_empty()) {
        let Some(seen) = seen.get(&node.container).filter(|seen| seen.proven) else { continue };
        let Some(RunObserved::Running { start, .. }) = &seen.run else { continue };
        let next = (0..node.execs.len()).find(|index| !is_over(seen, start, *index));
        order.commands.extend(next.map(|index| (node.container.clone(), (index, start.clone()))));
    }
}

/// Whether the command at this place has ended in this start.
fn is_over(seen: &NodeSeen, start: &str, index: usize) -> bool {
    let memory = seen.execs.as_ref().filter(|memory| memory.start == start);
    let state = memory.and_then(|memory| memory.states.get(index));
    state.is_some_and(ExecState::is_over)
}

struct Lab<'a> {
    lab: &'a LabSpec,
    seen: &'a BTreeMap<ContainerName, NodeSeen>,
    passages: &'a mut BTreeMap<ContainerName, Passage>,
    ready: &'a mut BTreeMap<ContainerName, u64>,
    now_ms: u64,
}

impl Lab<'_> {
    fn advance(mut self, order: &mut Order) {
        for node in &self.lab.nodes {
            let passage = self.passages.entry(node.container.clone()).or_default();
            if self.seen.get(&node.container).is_some_and(begins_anew) {
                *passage = Passage::default();
            }
        }
        // One step of one node may be what another waits for; there are no circles.
        while self.lab.nodes.iter().map(|node| self.step(node)).fold(false, |any, moved| any | moved) {}
        for node in &self.lab.nodes {
            self.follow(node, order);
        }
    }

    /// Carries one node on; whether anything changed.
    fn step(&mut self, node: &NodeSpec) -> bool {
        let before = self.passages.get(&node.container).cloned().unwrap_or_default();
        let mut after = before.clone();
        for stage in STAGES {
            if !after.through.contains(&stage)
                && self.open_waits(node, stage).is_empty()
                && self.delay_is_over(node, stage)
            {
                after.through.insert(stage);
            }
        }
        let seen = self.seen.get(&node.container).cloned().unwrap_or_default();
        after.done.extend(finished(node, &seen, &after));
        let moved = after != before;
        self.passages.insert(node.container.clone(), after);
        moved
    }

    /// The delay counts from when everything else was there.
    fn delay_is_over(&mut self, node: &NodeSpec, stage: Stage) -> bool {
        if stage != Stage::Create || node.stages.delay == 0 {
            return true;
        }
        let since = *self.ready.entry(node.container.clone()).or_insert(self.now_ms);
        self.now_ms >= due(since, node)
    }

    /// What is waited for before a stage and is not there yet. A node that is not on this host or
    /// has no process (a bridge) is waited for by nobody.
    fn open_waits<'n>(&self, node: &'n NodeSpec, stage: Stage) -> Vec<&'n WaitSpec> {
        let is_open = |wait: &&WaitSpec| {
            let other = self.lab.node(&wait.node);
            other
                .is_some_and(|other| !self.passages.get(&other.container).is_some_and(|p| p.done.contains(&wait.stage)))
        };
        node.stages.waits_of(stage).iter().filter(is_open).collect()
    }

    /// What follows for one node.
    fn follow(&self, node: &NodeSpec, order: &mut Order) {
        let (Some(passage), Some(seen)) = (self.passages.get(&node.container), self.seen.get(&node.container)) else {
            return;
        };
        let name = &node.container;
        order.commands.extend(next_command(node, seen, passage).map(|next| (name.clone(), next)));
        let runs = matches!(seen.run, Some(RunObserved::Running { .. }));
        let waits = !passage.through.contains(&Stage::Create) || next_before(node, seen, passage).is_some();
        if !runs && node.desired == DesiredRun::Running && waits {
            order.held.insert(name.clone());
        }
        order.delays.extend(self.ready.get(name).map(|since| due(*since, node)));
        order.waits.extend(self.waits(node, passage).map(|waits| (name.clone(), waits)));
    }

    /// What keeps the node from its next stage.
    fn waits(&self, node: &NodeSpec, passage: &Passage) -> Option<Waits> {
        let stage = STAGES.into_iter().find(|stage| !passage.through.contains(stage))?;
        let waits = self.open_waits(node, stage);
        if waits.is_empty() {
            let words = format!("waits {} s before its start (startup-delay)", node.stages.delay);
            return Some(Waits { words, nodes: BTreeSet::new() });
        }
        let nodes = waits.iter().map(|wait| wait.node.clone()).collect();
        let waits: Vec<String> = waits.iter().map(|wait| format!("{} ({})", wait.node, wait.stage)).collect();
        Some(Waits { words: format!("{stage} waits for {}", waits.join(", ")), nodes })
    }
}

/// Wires that have no carrier yet: those of nodes that may not enter `create-links`. A LAN goes on
/// without the member that waits.
pub fn held_wires(spec: &HostSpec, passages: &BTreeMap<ContainerName, Passage>) -> HeldWires {
    let is_held = |node: &&NodeSpec| {
        let through = passages.get(&node.container).is_some_and(|p| p.through.contains(&Stage::CreateLinks));
        !node.stages.waits_of(Stage::CreateLinks).is_empty() && !through
    };
    let held = spec.wires().filter(|(_, wire)| wire.shape == WireShape::Cable).filter_map(|(lab, wire)| {
        let node = wire.ends.iter().filter_map(|end| lab.node(&end.node)).find(is_held)?;
        Some(((lab.name.clone(), wire.id.clone()), node.container.clone()))
    });
    held.collect()
}

/// Whether the node is to go through all stages: it was never there, or the host was lost.
fn begins_anew(seen: &NodeSeen) -> bool {
    match &seen.run {
        Some(RunObserved::Absent) => !seen.busy,
        Some(RunObserved::Ended { exit, .. }) => *exit == Exit::Lost,
        _ => false,
    }
}

/// How many commands come before the start.
fn before_start(node: &NodeSpec) -> usize {
    let is_first = |when: When| when == When::Stage(Stage::Create, ExecPhase::OnEnter);
    node.commands().iter().take_while(|command| is_first(command.when)).count()
}

fn key_before(seen: &NodeSeen) -> String {
    match &seen.run {
        Some(RunObserved::Ended { start, .. }) => format!("{BEFORE}{start}"),
        _ => BEFORE.to_owned(),
    }
}

/// The stages that a node has finished, as far as can be seen of it now.
fn finished(node: &NodeSpec, seen: &NodeSeen, passage: &Passage) -> Vec<Stage> {
    let commands = node.commands();
    let over = |start: &str, from: usize, stage: Stage| {
        let until = |when: When| match when {
            When::Stage(of, _) => of <= stage,
            When::Listed => stage >= Stage::Healthy,
        };
        commands.iter().enumerate().skip(from).take_while(|(_, c)| until(c.when)).all(|(i, _)| is_over(seen, start, i))
    };
    match &seen.run {
        Some(RunObserved::Running { start, health, .. }) => {
            let healthy = health.as_deref().is_none_or(|health| health == "healthy");
            let from = before_start(node);
            let reached = |stage: &Stage| {
                let milestone = match stage {
                    Stage::Create => true,
                    Stage::CreateLinks | Stage::Configure => seen.attached,
                    Stage::Healthy => seen.attached && healthy,
                    Stage::Exit => false,
                };
                milestone && passage.through.contains(stage) && over(start, from, *stage)
            };
            STAGES.into_iter().take_while(reached).collect()
        }
        Some(RunObserved::Ended { start, exit }) if *exit != Exit::Lost && !seen.busy => {
            let of_end = |when: When| when == When::Stage(Stage::Exit, ExecPhase::OnExit);
            let open = |(index, _): (usize, _)| !is_over(seen, start, index);
            let is_open = commands.iter().enumerate().filter(|(_, command)| of_end(command.when)).any(open);
            if is_open { Vec::new() } else { vec![Stage::Exit] }
        }
        _ => Vec::new(),
    }
}

/// The next command that may run, with the start that it belongs to.
fn next_command(node: &NodeSpec, seen: &NodeSeen, passage: &Passage) -> Option<(usize, String)> {
    let commands = node.commands();
    match seen.run.as_ref()? {
        RunObserved::Running { start, health, .. } => {
            let next = (before_start(node)..commands.len()).find(|index| !is_over(seen, start, *index))?;
            let healthy = health.as_deref().is_none_or(|health| health == "healthy");
            let through = |stage| passage.through.contains(&stage);
            let configured = seen.attached && through(Stage::CreateLinks) && through(Stage::Configure);
            let due = match commands.get(next)?.when {
                When::Stage(Stage::Create, _) => true,
                When::Stage(Stage::CreateLinks, ExecPhase::OnEnter) => through(Stage::CreateLinks),
                When::Stage(Stage::CreateLinks, ExecPhase::OnExit) => seen.attached && through(Stage::CreateLinks),
                When::Stage(Stage::Configure, _) => configured,
                When::Listed => configured && seen.proven,
                When::Stage(Stage::Healthy, ExecPhase::OnEnter) => configured && through(Stage::Healthy),
                When::Stage(Stage::Healthy, ExecPhase::OnExit) => configured && through(Stage::Healthy) && healthy,
                When::Stage(Stage::Exit, ExecPhase::OnEnter) => {
                    through(Stage::Exit) && passage.done.contains(&Stage::Healthy)
                }
                When::Stage(Stage::Exit, ExecPhase::OnExit) => false,
            };
            due.then(|| (next, start.clone()))
        }
        RunObserved::Ended { start, exit } if *exit != Exit::Lost && !passage.done.contains(&Stage::Exit) => {
            let of_end = |index: &usize| {
                commands.get(*index).is_some_and(|c| c.when == When::Stage(Stage::Exit, ExecPhase::OnExit))
            };
            let next = (0..commands.len()).filter(of_end).find(|index| !is_over(seen, start, *index));
            next.map(|index| (index, start.clone())).or_else(|| first_command(node, seen, passage))
        }
        _ => first_command(node, seen, passage),
    }
}

/// When the delay of a node is over for which everything else was there at `since`, in milliseconds.
fn due(since: u64, node: &NodeSpec) -> u64 {
    since.saturating_add(node.stages.delay.saturating_mul(1000))
}

/// The next command before the first start, when it may run.
fn first_command(node: &NodeSpec, seen: &NodeSeen, passage: &Passage) -> Option<(usize, String)> {
    let wanted = node.desired == DesiredRun::Running && passage.through.contains(&Stage::Create);
    next_before(node, seen, passage).filter(|_| wanted)
}

/// The next command before the first start, which is not begun before they are over. A node that
/// starts again does not enter `create` again.
fn next_before(node: &NodeSpec, seen: &NodeSeen, passage: &Passage) -> Option<(usize, String)> {
    let start = key_before(seen);
    let next = (0..before_start(node)).find(|index| !is_over(seen, &start, *index))?;
    (!passage.done.contains(&Stage::Create)).then_some((next, start))
}
