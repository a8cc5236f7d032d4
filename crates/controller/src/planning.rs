//! From wishes to a target. Everything that changes what is wanted goes through one order here, so
//! that what was tried out is what is written.
//!
//! It decides nothing about a plan's content; that is `archetype_plan`'s.

mod answer;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archetype_model::LabName;
use archetype_model::topology::{Problem, RuntimeKind, Subject, Topology};
use archetype_plan::blueprint::{
    HostFacts, Known, LabInput, Overrides, PlanInput, PlanSettings, Planned, Wanted, plan_after,
};
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::bell::Bell;
use crate::now::{Board, Now, Planning};
use crate::port::AgentAccess;
use crate::store::{Appended, Draft, Note, Present, Store, StoreError, Target, Wish, Wishes};
use crate::working::{finished, try_in_place};

pub(crate) use answer::answer;

/// The label by which a node that is to be made again differs from what runs.
const RELOAD_LABEL: &str = "archetype.reload";
/// How long planning rests after the store failed.
const REST: Duration = Duration::from_secs(2);

/// Plans.
pub(crate) struct Planner {
    store: Arc<dyn Store>,
    board: Board,
    access: Arc<dyn AgentAccess>,
    bell: Bell,
    settings: PlanSettings,
    /// What is on the host that is not ours, as it was last told.
    facts: Mutex<HostFacts>,
    /// One at a time: between trying out and writing, nothing else changes what is wanted.
    order: Arc<tokio::sync::Mutex<()>>,
    work: Notify,
}

/// Why a wish was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken<E> {
    /// It cannot be wished as things are.
    Refused(E),
    /// It cannot be planned.
    Unplannable(Vec<Problem>),
    /// It could not be written.
    Store(StoreError),
}

impl Planner {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        board: Board,
        access: Arc<dyn AgentAccess>,
        bell: Bell,
        settings: PlanSettings,
    ) -> Self {
        Self {
            store,
            board,
            access,
            bell,
            settings,
            facts: Mutex::default(),
            order: Arc::default(),
            work: Notify::new(),
        }
    }

    /// What is on the host that is not ours, asked anew; what was last told where it cannot be.
    pub(crate) async fn refresh_facts(&self) -> HostFacts {
        match self.access.facts().await {
            Ok(facts) => *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = facts,
            Err(why) => tracing::warn!(why, "what else is on the host could not be read"),
        }
        self.facts()
    }

    /// Looks anew at no more than a wire may meet.
    pub(crate) async fn look_at_wires(&self) {
        let met = self.access.met_by_wires().await;
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        *facts = met.with(std::mem::take(&mut *facts));
    }

    fn facts(&self) -> HostFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for planning soon.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Plans when asked to, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            match self.plan_current().await {
                Ok(()) => self.work.notified().await,
                Err(error) => {
                    tracing::error!(%error, "planning could not be written");
                    tokio::time::sleep(REST).await;
                    self.look_again().await;
                }
            }
        }
    }

    /// Takes up what the store has: another controller may have moved the target.
    async fn look_again(&self) {
        let _order = self.order.lock().await;
        match self.store.target().await {
            Ok(Some(target)) => self.board.change(|now| {
                if now.target.as_ref().is_none_or(|held| held.digest != target.digest) {
                    now.take_target(target);
                }
            }),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the target could not be read"),
        }
    }

    /// Makes the target follow from what is wanted now.
    pub(crate) async fn plan_current(&self) -> Result<(), StoreError> {
        let _order = self.order.lock().await;
        let planned = self.try_out(None, None);
        self.write(planned).await
    }

    /// What a wish would come to, with nothing changed by it. A file in which nothing was wrong beside the facts
    /// `checked` is not checked again as long as those are still known.
    pub(crate) fn try_out(&self, wish: Option<(&LabName, &Wish)>, checked: Option<&HostFacts>) -> Planned {
        let now = self.board.look();
        let identity = self.store.identity();
        let wanted = inputs(&now, wish);
        let facts = self.facts();
        let is_sound = checked == Some(&facts);
        let input = PlanInput {
            installation: identity.installation.clone(),
            incarnation: identity.incarnation.clone(),
            host: now.host.clone(),
            settings: self.settings.clone(),
            labs: wanted.iter().map(Prepared::input).collect(),
            reported_gone: now.gone().into_iter().collect(),
            facts,
            parent: now.target.as_ref().map(|target| &*target.blueprint),
            port_key: archetype_kinds::port_key,
        };
        let known = Known {
            parent: now.target.as_ref().map(|target| target.digest.as_str()),
            sound: wish.map(|(lab, _)| lab).filter(|_| is_sound),
        };
        plan_after(&input, &known)
    }

    /// Takes a wish: it is durable when this returns, and the target follows it in a moment, before
    /// any other wish is taken.
    ///
    /// `wish` makes the draft from the picture; nothing else changes in between.
    pub(crate) async fn take<E: Send + 'static>(
        self: &Arc<Self>,
        wish: impl FnOnce(&Now) -> Result<(Draft, Note), E>,
    ) -> Result<Appended, NotTaken<E>> {
        let order = self.order.clone().lock_owned().await;
        let (draft, note) = wish(&self.board.look()).map_err(NotTaken::Refused)?;
        // A client that goes away takes its request along: a wish that is in the store and not on the board would
        // never be planned. So one whose turn has come is carried out.
        let planner = self.clone();
        finished(tokio::spawn(async move { planner.take_draft(order, draft, note, None).await })).await
    }

    /// The same within a task that goes on when the client goes away, of a file in which nothing was wrong beside the
    /// facts `checked`.
    pub(crate) async fn take_here<E>(
        self: &Arc<Self>,
        checked: Option<&HostFacts>,
        wish: impl FnOnce(&Now) -> Result<(Draft, Note), E>,
    ) -> Result<Appended, NotTaken<E>> {
        let order = self.order.clone().lock_owned().await;
        let (draft, note) = wish(&self.board.look()).map_err(NotTaken::Refused)?;
        self.take_draft(order, draft, note, checked).await
    }

    /// Tries a draft out while it is written, and keeps it if it can be planned.
    async fn take_draft<E>(
        self: &Arc<Self>,
        order: OwnedMutexGuard<()>,
        draft: Draft,
        note: Note,
        checked: Option<&HostFacts>,
    ) -> Result<Appended, NotTaken<E>> {
        let (lab, wish, store) = (draft.lab.clone(), draft.wish.clone(), self.store.clone());
        let writing = tokio::spawn(async move { store.append_undecided(draft.written(), note).await });
        let planned = try_in_place(|| self.try_out(Some((&lab, &wish)), checked));
        let written = finished(writing).await;
        if let Ok(appended) = &written
            && !appended.new
        {
            // Nothing is wished that was not: neither do problems of today count, nor is anything planned anew.
            return Ok(appended.clone());
        }
        let planned = match planned {
            Ok(mut planned) => match planned.problems.remove(&lab) {
                None => planned,
                Some(problems) => {
                    self.take_back(written).await;
                    return Err(NotTaken::Unplannable(problems));
                }
            },
            Err(broken) => {
                self.take_back(written).await;
                resume_unwind(broken)
            }
        };
        let appended = written.map_err(not_kept)?;
        self.store.keep();
        self.bell.ring();
        self.board.change(|now| drop(now.revisions.insert(lab, appended.revision.clone())));
        // Whoever wished is answered now; the next wish waits until the target is written.
        let planner = self.clone();
        tokio::spawn(async move {
            // This thread has the answer to send.
            tokio::task::yield_now().await;
            if let Err(error) = planner.write(planned).await {
                tracing::error!(%error, "the target could not be written");
                planner.wake();
            }
            drop(order);
        });
        Ok(appended)
    }

    /// Takes back what was written of a wish that is not kept. Where the store fails in that nobody sees it either, nor what
    /// came to the journal after it, and it is tried again.
    async fn take_back(self: &Arc<Self>, written: Result<Appended, StoreError>) {
        let Ok(Appended { revision, .. }) = written else { return };
        let planner = self.clone();
        let again = move || {
            let (planner, number) = (planner.clone(), revision.number);
            async move {
                let done = planner.store.take_back(number).await;
                planner.bell.ring();
                done.inspect_err(|error| tracing::error!(%error, "a wish that was refused is still in the store"))
            }
        };
        if again().await.is_err() {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(REST).await;
                    if again().await.is_ok() {
                        return;
                    }
                }
            });
        }
    }

    /// Makes a plan the target.
    async fn write(&self, planned: Planned) -> Result<(), StoreError> {
        let now = self.board.look();
        let moved = now.target.as_ref().is_none_or(|old| *old.blueprint != planned.blueprint);
        let target = moved.then(|| Target::new(planned.blueprint));
        if let Some(target) = &target {
            self.store.set_target(target).await?;
        }
        let problems = planned.problems;
        let plannings = now.revisions.values().map(|revision| {
            let problems = problems.get(&revision.lab).cloned().unwrap_or_default();
            (revision.lab.clone(), Planning { revision: revision.number, problems })
        });
        let plannings = plannings.collect();
        if moved || now.planned != plannings {
            self.board.change(|now| {
                now.planned = plannings;
                if let Some(target) = target {
                    now.take_target(target);
                }
            });
        }
        Ok(())
    }
}

/// The store failed.
fn not_kept<E>(error: StoreError) -> NotTaken<E> {
    // Whoever wished may not be there any more.
    tracing::error!(%error, "the revision could not be written");
    NotTaken::Store(error)
}

/// One lab's input to a plan, with what it owns.
struct Prepared<'a> {
    name: &'a LabName,
    wish: Option<(Cow<'a, Topology>, Overrides)>,
}

impl Prepared<'_> {
    fn input(&self) -> LabInput<'_> {
        let wanted = match &self.wish {
            Some((topology, overrides)) => Wanted::Present { topology, overrides: overrides.clone() },
            None => Wanted::Gone,
        };
        LabInput { name: self.name.clone(), wanted }
    }
}

/// Every lab that is wanted, or of which the target still speaks; `wish` replaces its lab's.
fn inputs<'a>(now: &'a Now, wish: Option<(&'a LabName, &'a Wish)>) -> Vec<Prepared<'a>> {
    let replaced = wish.map(|(lab, _)| lab);
    let others = now.revisions.values().filter(|revision| Some(&revision.lab) != replaced);
    let all = others.map(|revision| (&revision.lab, &*revision.wish)).chain(wish);
    let needed = all.filter(|(lab, wish)| **wish != Wish::Gone || now.holds(lab));
    needed.map(|(name, wish)| Prepared { name, wish: wish.present().map(prepare) }).collect()
}

fn prepare(present: &Present) -> (Cow<'_, Topology>, Overrides) {
    let wishes = &present.wishes;
    let mut overrides = Overrides {
        stopped: wishes.stopped.clone(),
        restarts: wishes.restarts.clone(),
        links_down: wishes.links_down.clone(),
        left_out: left_out(wishes),
    };
    let mut topology = Cow::Borrowed(&present.topology);
    for (name, count) in &wishes.reloads {
        let Some(node) = topology.node(name.as_str()) else { continue };
        if node.runtime() == RuntimeKind::Container {
            let nodes = &mut topology.to_mut().nodes;
            let reloaded = nodes.iter_mut().filter(|node| &node.name == name);
            reloaded.for_each(|node| {
                node.definition.labels.insert(RELOAD_LABEL.into(), count.to_string());
            });
        } else {
            // A namespace node takes over changed files at each start.
            *overrides.restarts.entry(name.clone()).or_default() += count;
        }
    }
    (topology, overrides)
}

/// The parts that are left out, as planning wants them.
pub(crate) fn left_out(wishes: &Wishes) -> BTreeSet<Subject> {
    wishes.left_out.iter().map(|part| part.subject.clone()).collect()
}
