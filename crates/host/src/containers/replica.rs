//! The room's copy of what the engine holds of ours. True for as long as the engine's events are
//! heard; unreadable from the moment they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use archetype_model::ContainerName;
use archetype_model::observed::{Busy, DaemonStart, Exit, Mark, NodeObserved, Outside, Reading, RunObserved};
use bollard::Docker;
use tokio_util::sync::CancellationToken;

use super::EngineFacts;
use super::hands::{Hands, ends_a_node};
use super::sight::Sight;

/// A connection that works: the client, and what is known of the engine behind it.
#[derive(Clone)]
pub(super) struct Link {
    pub client: Docker,
    pub facts: EngineFacts,
}

/// A task at work on a node.
#[derive(Debug, Clone)]
pub(super) struct Working {
    pub busy: Busy,
    /// Whose node it is, where the container may not be there to say.
    pub mark: Option<Mark>,
    /// What waits for the world outside, a pull or a command, gives up by it.
    pub given_up: CancellationToken,
    /// Whether it ends the node's run: then that is nobody's hand.
    pub ends_the_run: bool,
}

/// What the room knows.
pub(super) struct Replica {
    link: Reading<Link>,
    /// The connection of an engine that is late with an answer: it stands, and every event still comes by it.
    silent: Option<Link>,
    containers: BTreeMap<String, Sight>,
    /// How often each container was written: tells whether an event came between two reads.
    writes: BTreeMap<String, u64>,
    /// Starts whose end, though it looks like one that the engine missed, was announced by it.
    ends_seen: BTreeSet<String>,
    /// Which start of the engine was last connected to.
    engine: Option<DaemonStart>,
    /// Starts that were over when the engine came back from being away, or which it ended on its way.
    went_with_engine: BTreeSet<String>,
    hands: Hands,
    working: BTreeMap<ContainerName, Working>,
    /// Images that were just had for nodes which are to be made anew, by node.
    fetched: BTreeMap<ContainerName, String>,
    differences: u64,
}

impl Replica {
    /// Nothing known yet.
    pub(super) fn new() -> Self {
        Self {
            link: Reading::Unreadable("the Docker Engine was not reached yet".into()),
            silent: None,
            containers: BTreeMap::new(),
            writes: BTreeMap::new(),
            ends_seen: BTreeSet::new(),
            engine: None,
            went_with_engine: BTreeSet::new(),
            hands: Hands::default(),
            working: BTreeMap::new(),
            fetched: BTreeMap::new(),
            differences: 0,
        }
    }

    /// Every node with a container or a task.
    pub(super) fn show(&self) -> Reading<BTreeMap<ContainerName, NodeObserved>> {
        if let Reading::Unreadable(why) = &self.link {
            return Reading::Unreadable(why.clone());
        }
        let mut nodes: BTreeMap<_, _> =
            self.containers.values().map(|sight| (sight.name.clone(), self.node(sight))).collect();
        for (name, working) in &self.working {
            if let Some(node) = nodes.get_mut(name) {
                node.busy = Some(working.busy.clone());
            } else if let Some(mark) = &working.mark {
                nodes.insert(name.clone(), absent(mark, &working.busy));
            }
        }
        Reading::Known(nodes)
    }

    fn node(&self, sight: &Sight) -> NodeObserved {
        let mut node = sight.node.clone();
        node.ended_by_hand_ms = self.hands.last_end_ms(&node.id);
        node.busy = node.busy.or_else(|| self.hands.busy(&node.id));
        if let RunObserved::Ended { start, exit } = &mut node.run {
            if *exit != Exit::Lost && self.went_with_engine.contains(start) {
                *exit = Exit::WithEngine;
            } else if sight.doubtful_end && self.ends_seen.contains(start) {
                *exit = Exit::Status { code: 255 };
            }
        }
        node
    }

    /// The container of this name, if it is ours.
    pub(super) fn find(&self, name: &ContainerName) -> Option<&NodeObserved> {
        self.containers.values().find(|sight| &sight.name == name).map(|sight| &sight.node)
    }

    // --- the engine ---

    /// The working connection, or why there is none.
    pub(super) fn link(&self) -> &Reading<Link> {
        &self.link
    }

    /// A connection works, and this is everything there is.
    pub(super) fn connected(&mut self, link: Link, containers: Vec<Sight>) {
        let start = link.facts.start;
        if start.is_some() && start == self.engine {
            // It was there all the time, and only not heard.
            self.went_with_engine.clear();
        }
        self.engine = start;
        (self.link, self.silent) = (Reading::Known(link), None);
        self.containers = containers.into_iter().map(|sight| (sight.node.id.clone(), sight)).collect();
        // What runs on outlived the engine: its end, when it comes, is its own.
        let ended: BTreeSet<&str> = starts(&self.containers, |run| matches!(run, RunObserved::Ended { .. })).collect();
        self.went_with_engine.retain(|start| ended.contains(start.as_str()));
    }

    /// Nothing can be known any more. Says whether that is news.
    pub(super) fn lost(&mut self, why: String) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.went_with_engine.extend(self.hands.engine_went(now));
        let running = starts(&self.containers, |run| matches!(run, RunObserved::Running { .. }));
        self.went_with_engine.extend(running.map(str::to_owned));
        self.unreadable(why)
    }

    fn unreadable(&mut self, why: String) -> bool {
        let news = self.link.why() != Some(&why);
        (self.link, self.silent) = (Reading::Unreadable(why), None);
        news
    }

    /// The engine is late with an answer: nothing can be known until it is there. Says whether that is news.
    pub(super) fn silent(&mut self, why: String) -> bool {
        let link = self.link.known().cloned().or_else(|| self.silent.take());
        let news = self.unreadable(why);
        self.silent = link;
        news
    }

    /// The engine has answered. Says whether it was late.
    pub(super) fn answers(&mut self) -> bool {
        let Some(link) = self.silent.take() else { return false };
        self.link = Reading::Known(link);
        true
    }

    /// Whether the engine knows the runtime. Says whether that is news.
    pub(super) fn set_runtime_registered(&mut self, registered: bool) -> bool {
        match &mut self.link {
            Reading::Known(link) => std::mem::replace(&mut link.facts.runtime_registered, registered) != registered,
            Reading::Unreadable(_) => false,
        }
    }

    // --- containers ---

    /// One container was read (none: it is gone). Says whether it differs from before.
    pub(super) fn write(&mut self, id: &str, sight: Option<Sight>) -> bool {
        *self.writes.entry(id.to_owned()).or_default() += 1;
        let differs = match sight {
            Some(sight) => self.containers.insert(id.to_owned(), sight.clone()).as_ref() != Some(&sight),
            None => self.containers.remove(id).is_some(),
        };
        if let Some(RunObserved::Running { start, .. }) = run_of(&self.containers, id) {
            self.hands.runs(id, start);
        }
        if !self.containers.contains_key(id) {
            self.writes.remove(id);
            self.hands.forget(id);
            let of_it = format!("{}@", id.get(..12).unwrap_or(id));
            self.ends_seen.retain(|start| !start.starts_with(&of_it));
        }
        differs
    }

    /// The engine announced the end of a container's run with the status it also gives where it
    /// saw none.
    pub(super) fn end_announced(&mut self, id: &str) {
        if let Some(RunObserved::Running { start, .. }) = run_of(&self.containers, id) {
            self.ends_seen.insert(start.clone());
        }
    }

    // --- what people have the engine do ---

    /// Somebody had the engine send a signal to a container, at this time of the engine's. What a task of ours has it do
    /// is nobody's hand.
    pub(super) fn signalled(&mut self, id: &str, signal: i32, at: Duration) {
        let Some(sight) = self.containers.get(id) else { return };
        let is_ours = self.working.get(&sight.name).is_some_and(|working| working.ends_the_run);
        if !is_ours && ends_a_node(signal, sight.stop_signal) {
            self.hands.told(id, at);
        }
    }

    /// A container's run ended, at this time of the engine's. Says whether by somebody's hand: see [`Hands::ended`].
    pub(super) fn ended(&mut self, id: &str, at: Duration) -> bool {
        let start = run_of(&self.containers, id).and_then(RunObserved::start);
        self.hands.ended(id, start, at)
    }

    /// Nothing more comes of the end that somebody brought about at this time of the engine's.
    pub(super) fn hand_is_over(&mut self, id: &str, at: Duration) {
        self.hands.is_over(id, at);
    }

    /// The containers as they are, each with how often it was written.
    pub(super) fn snapshot(&self) -> BTreeMap<String, (u64, Sight)> {
        let count = |id: &String| self.writes.get(id).copied().unwrap_or_default();
        self.containers.iter().map(|(id, sight)| (id.clone(), (count(id), sight.clone()))).collect()
    }

    /// How many differences full reads have found so far.
    pub(super) fn differences(&self) -> u64 {
        self.differences
    }

    /// A full read found `count` more.
    pub(super) fn add_differences(&mut self, count: u64) {
        self.differences += count;
    }

    // --- tasks ---

    /// A task takes the node. False when another has it.
    pub(super) fn take(&mut self, name: &ContainerName, working: Working) -> bool {
        if self.working.contains_key(name) {
            return false;
        }
        if let Some(node) = self.find(name).filter(|_| working.ends_the_run) {
            let id = node.id.clone();
            self.hands.not_told(&id);
        }
        self.working.insert(name.clone(), working);
        true
    }

    /// Whatever the node's task waits for outside is given up.
    pub(super) fn give_up(&mut self, name: &ContainerName) {
        if let Some(working) = self.working.get_mut(name) {
            working.given_up.cancel();
            working.busy.outside = None;
        }
    }

    /// The task has the image that it waited for, and from here on ends the run.
    pub(super) fn has_image(&mut self, name: &ContainerName, image: &str) {
        self.fetched.insert(name.clone(), image.to_owned());
        self.waits_for(name, None);
        if let Some(id) = self.find(name).map(|node| node.id.clone()) {
            self.hands.not_told(&id);
        }
        if let Some(working) = self.working.get_mut(name) {
            working.ends_the_run = true;
        }
    }

    /// Whether the image was just had for the node; that is told once.
    pub(super) fn take_fetched(&mut self, name: &ContainerName, image: &str) -> bool {
        self.fetched.remove(name).is_some_and(|fetched| fetched == image)
    }

    /// The task begins to wait for something outside, or does not any more.
    pub(super) fn waits_for(&mut self, name: &ContainerName, outside: Option<Outside>) {
        if let Some(working) = self.working.get_mut(name) {
            working.busy.outside = outside.filter(|_| !working.given_up.is_cancelled());
        }
    }

    /// The task's work goes on as `doing`.
    pub(super) fn doing(&mut self, name: &ContainerName, doing: String) {
        if let Some(working) = self.working.get_mut(name) {
            working.busy.doing = doing;
        }
    }

    /// The task is over.
    pub(super) fn release(&mut self, name: &ContainerName) {
        self.working.remove(name);
    }
}

/// The starts of those containers whose run is so.
fn starts(containers: &BTreeMap<String, Sight>, is_so: fn(&RunObserved) -> bool) -> impl Iterator<Item = &str> {
    containers.values().map(|sight| &sight.node.run).filter(move |run| is_so(run)).filter_map(RunObserved::start)
}

fn run_of<'c>(containers: &'c BTreeMap<String, Sight>, id: &str) -> Option<&'c RunObserved> {
    containers.get(id).map(|sight| &sight.node.run)
}

fn absent(mark: &Mark, busy: &Busy) -> NodeObserved {
    NodeObserved {
        id: String::new(),
        mark: mark.clone(),
        made_from: String::new(),
        run: RunObserved::Absent,
        busy: Some(busy.clone()),
        privileges: None,
        image: None,
        stand_in: false,
        shares_with: BTreeSet::new(),
        ended_by_hand_ms: None,
    }
}
