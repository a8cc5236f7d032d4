//! What the controller knows right now, in memory: the one picture that requests are answered from.
//!
//! A picture is never changed; a change is a new picture, and everybody who waits sees it. All of
//! it can be made again from the store and the next report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use archetype_model::report::{Repair, Report};
use archetype_model::spec::{HostSpec, LabSpec, Presence};
use archetype_model::topology::Problem;
use archetype_model::{Generation, HostName, LabName};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::{Revision, Target, Wish};

/// The picture.
#[derive(Debug, Clone)]
pub struct Now {
    /// The host that runs everything.
    pub host: HostName,
    /// The current revision of each lab, those wanted gone included.
    pub revisions: BTreeMap<LabName, Arc<Revision>>,
    /// The blueprint that is handed out.
    pub target: Option<Target>,
    /// How planning went, by lab.
    pub planned: BTreeMap<LabName, Planning>,
    /// The generation since which each lab's part of the target is as it is.
    pub since: BTreeMap<LabName, u64>,
    /// What the host told last.
    pub heard: Option<Heard>,
    /// Why the host does not take its spec, if so.
    pub refusal: Option<String>,
}

/// How planning a lab went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planning {
    /// The revision that was planned.
    pub revision: u64,
    /// Why it keeps its former part; empty when the target has it.
    pub problems: Vec<Problem>,
}

/// What a host told.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its report.
    pub report: Arc<Report>,
    /// Repairs that it told and that may not be in the journal yet.
    pub repairs: Vec<Repair>,
    /// When all of it was read back, in milliseconds of the Unix epoch.
    pub verified_at_ms: u64,
    /// When it came; none for what was kept from the controller's last life.
    pub received: Option<Instant>,
    /// When everything could be read last, in milliseconds of the Unix epoch.
    pub all_read_at_ms: Option<u64>,
}

/// The picture, for those who change it and those who look.
#[derive(Debug, Clone)]
pub struct Board(watch::Sender<Arc<Now>>);

impl Board {
    /// A board with a first picture.
    pub fn new(now: Now) -> Self {
        Self(watch::Sender::new(Arc::new(now)))
    }

    /// The picture right now.
    pub fn look(&self) -> Arc<Now> {
        self.0.borrow().clone()
    }

    /// Puts up a changed picture.
    pub fn change(&self, change: impl FnOnce(&mut Now)) {
        self.0.send_modify(|now| change(Arc::make_mut(now)));
    }

    /// To be told of every change.
    pub fn watch(&self) -> watch::Receiver<Arc<Now>> {
        self.0.subscribe()
    }
}

impl Now {
    /// Everything wanted of the host.
    pub fn spec(&self) -> Option<&Arc<HostSpec>> {
        self.target.as_ref()?.blueprint.specs.get(&self.host)
    }

    /// What the target says of a lab.
    pub fn part(&self, lab: &LabName) -> Option<&LabSpec> {
        self.spec()?.lab(lab)
    }

    /// The current revision of a lab that is wanted, or of which something is left.
    pub fn revision(&self, lab: &LabName) -> Option<&Arc<Revision>> {
        self.revisions.get(lab).filter(|revision| self.is_shown(revision))
    }

    /// The labs that are wanted or of which something is left, by name.
    pub fn labs(&self) -> impl Iterator<Item = &Arc<Revision>> {
        self.revisions.values().filter(|revision| self.is_shown(revision))
    }

    /// A lab wanted gone is shown until the target has nothing of it.
    fn is_shown(&self, revision: &Revision) -> bool {
        *revision.wish != Wish::Gone || self.holds(&revision.lab)
    }

    /// Whether the target speaks of a lab or keeps something for it.
    pub fn holds(&self, lab: &LabName) -> bool {
        let kept = |target: &Target| target.blueprint.allocations.labs.contains_key(lab);
        self.part(lab).is_some() || self.target.as_ref().is_some_and(kept)
    }

    /// Whether planning has seen a revision; it follows the wish within a moment.
    pub fn is_planned(&self, revision: &Revision) -> bool {
        self.planned.get(&revision.lab).is_some_and(|planning| planning.revision == revision.number)
    }

    /// Whether the host has told of a generation in which the lab's part is as it is now.
    pub fn is_told(&self, lab: &LabName) -> bool {
        let (Some(spec), Some(heard)) = (self.spec(), &self.heard) else { return false };
        let told: &Generation = &heard.report.generation;
        let needed = self.since.get(lab).copied().unwrap_or(spec.generation.number);
        told.incarnation == spec.generation.incarnation && told.number >= needed
    }

    /// Whether the host was heard in this life of the controller, and then not for `after`.
    pub fn is_silent(&self, after: Duration) -> bool {
        let received = self.heard.as_ref().and_then(|heard| heard.received);
        received.is_some_and(|received| received.elapsed() > after)
    }

    /// Whether what is held of the host was told to a former life of the controller: how it is now nobody knows.
    pub fn is_kept(&self) -> bool {
        self.heard.as_ref().is_some_and(|heard| heard.received.is_none())
    }

    /// Labs wanted gone of which the host, having read all of itself, found nothing left.
    pub fn gone(&self) -> Vec<LabName> {
        let (Some(spec), Some(heard)) = (self.spec(), &self.heard) else { return Vec::new() };
        if heard.received.is_none() || !heard.report.unreadable.is_empty() {
            return Vec::new();
        }
        let left = |lab: &LabName| heard.report.leaving.contains_key(lab);
        spec.labs
            .iter()
            .filter(|lab| lab.presence == Presence::Gone && self.is_told(&lab.name) && !left(&lab.name))
            .map(|lab| lab.name.clone())
            .collect()
    }

    /// Takes up a new target: a lab whose part did not change keeps the generation since which it is so.
    pub fn take_target(&mut self, target: Target) {
        let before = self.target.replace(target);
        let old = before.as_ref().and_then(|target| target.blueprint.specs.get(&self.host));
        let old_since = std::mem::take(&mut self.since);
        let Some(spec) = self.spec() else { return };
        let generation = spec.generation.clone();
        let since = spec.labs.iter().map(|part| {
            let unchanged = old.as_ref().is_some_and(|old| {
                old.generation.incarnation == generation.incarnation && old.lab(&part.name) == Some(part)
            });
            let kept = old_since.get(&part.name).filter(|_| unchanged).copied();
            (part.name.clone(), kept.unwrap_or(generation.number))
        });
        self.since = since.collect();
    }
}
