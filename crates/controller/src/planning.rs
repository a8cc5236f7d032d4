//! From wishes to a target. Everything that changes what is wanted goes through one order here, so
//! that what was tried out is what is written.
//!
//! It decides nothing about a plan's content; that is `archetype_plan`'s.

mod answer;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archetype_model::LabName;
use archetype_model::topology::{Problem, RuntimeKind, Subject, Topology};
use archetype_plan::blueprint::{
    HostFacts, Known, LabInput, Overrides, PlanInput, PlanSettings, Planned, Wanted, plan_after,
};
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::bell::Bell;
use crate::now::{Board, Now, Planning};
use crate::port::AgentAccess;
use crate::store::{Appended, Draft, Note, Present, Store, StoreError, Target, Wish, Wishes};

pub(crate) use answer::answer;

/// The label by which a node that is to be made again differs from what runs.
const RELOAD_LABEL: &str = "archetype.reload";
/// How often it is looked whether what kept a lab from being planned is still on the host.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
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
                Ok(()) => self.until_there_is_work().await,
                Err(error) => {
                    tracing::error!(%error, "planning could not be written");
                    tokio::time::sleep(REST).await;
                    self.look_again().await;
                }
            }
        }
    }

    /// Waits until planning is asked for. While a lab cannot be planned, what else is on the host is looked at again and
    /// again: nobody tells that a port or a name was given back.
    async fn until_there_is_work(&self) {
        while self.board.look().planned.values().any(|planning| !planning.problems.is_empty()) {
            if tokio::time::timeout(LOOK_AGAIN, self.work.notified()).await.is_ok() {
                return;
            }
            let before = self.facts();
            if self.refresh_facts().await != before {
                return;
            }
        }
        self.work.notified().await;
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
    fn try_out(&self, wish: Option<(&LabName, &Wish)>, checked: Option<&HostFacts>) -> Planned {
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

    /// The same on a thread that may take its time.
    pub(crate) async fn try_out_on_a_thread(
        self: &Arc<Self>,
        lab: &LabName,
        wish: &Arc<Wish>,
        checked: Option<HostFacts>,
    ) -> Planned {
        finished(self.trying_out(lab, wish, checked)).await
    }

    fn trying_out(
        self: &Arc<Self>,
        lab: &LabName,
        wish: &Arc<Wish>,
        checked: Option<HostFacts>,
    ) -> JoinHandle<Planned> {
        let (planner, lab, wish) = (self.clone(), lab.clone(), wish.clone());
        tokio::task::spawn_blocking(move || planner.try_out(Some((&lab, &wish)), checked.as_ref()))
    }

    /// Takes a wish: it is durable when this returns, and the target follows it in a moment, before
    /// any other wish is taken.
    ///
    /// `wish` makes the draft from the picture; nothing else changes in between.
    pub(crate) async fn take<E: Send + 'static>(
        self: &Arc<Self>,
        checked: Option<HostFacts>,
        wish: impl FnOnce(&Now) -> Result<(Draft, Note), E>,
    ) -> Result<Appended, NotTaken<E>> {
        let order = self.order.clone().lock_owned().await;
        let (draft, note) = wish(&self.board.look()).map_err(NotTaken::Refused)?;
        // A client that goes away takes its request along: a wish that is in the store and not on the board would
        // never be planned. So one whose turn has come is carried out.
        finished(tokio::spawn(self.clone().take_draft(order, draft, note, checked))).await
    }

    /// Tries a draft out while it is written, and keeps it if it can be planned.
    async fn take_draft<E>(
        self: Arc<Self>,
        order: OwnedMutexGuard<()>,
        draft: Draft,
        note: Note,
        checked: Option<HostFacts>,
    ) -> Result<Appended, NotTaken<E>> {
        let lab = draft.lab.clone();
        let planning = self.trying_out(&lab, &draft.wish, checked);
        let written = draft.written();
        if self.board.look().revisions.get(&lab).is_some_and(|current| current.digest == written.digest) {
            let appended = self.store.append_revision(written, note).await;
            // No more than one plan that nobody needs at a time.
            tokio::spawn(async move {
                drop(planning.await);
                drop(order);
            });
            return appended.inspect(|appended| self.tell(appended)).map_err(not_kept);
        }
        let (leave, left) = oneshot::channel();
        let planned = async {
            let mut planned = finished(planning).await;
            let problems = planned.problems.remove(&lab);
            // A store that failed does not wait for it.
            let _ = leave.send(problems.is_none());
            (planned, problems)
        };
        let leave = Box::pin(async { left.await.unwrap_or(false) });
        let (kept, (planned, problems)) = tokio::join!(self.store.append_revision_if(written, note, leave), planned);
        if let Some(problems) = problems {
            return Err(NotTaken::Unplannable(problems));
        }
        let Some(appended) = kept.map_err(not_kept)? else {
            return Err(not_kept(StoreError::Failed { what: "write a revision", why: "it was taken back".into() }));
        };
        self.tell(&appended);
        self.board.change(|now| drop(now.revisions.insert(lab, appended.revision.clone())));
        // Whoever wished is answered now; the next wish waits until the target is written.
        tokio::spawn(async move {
            // This thread has the answer to send.
            tokio::task::yield_now().await;
            let has_problems = !planned.problems.is_empty();
            let written = self.write(planned).await;
            if let Err(error) = &written {
                tracing::error!(%error, "the target could not be written");
            }
            if written.is_err() || has_problems {
                self.wake();
            }
            drop(order);
        });
        Ok(appended)
    }

    /// Tells those who follow the journal of a revision that was written.
    fn tell(&self, appended: &Appended) {
        if appended.new {
            self.bell.ring();
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

/// What a task came to. It is not waited for any more once the process ends.
async fn finished<T>(task: JoinHandle<T>) -> T {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => std::future::pending().await,
    }
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
