//! Repairs that somebody undoes again and again: each by itself is mended at once, and together they
//! would be a tug of war that fills the journal and keeps a processor busy. From some number on
//! they are mended ever more seldom, and told.

use std::collections::{BTreeMap, VecDeque};

use archetype_model::report::Finding;
use archetype_model::step::Resource;

/// So many repairs of one thing within [`WITHIN_MS`] are somebody's hand, or a script's.
const MANY: usize = 40;
const WITHIN_MS: u64 = 60_000;
/// So long without a repair, and it is over.
const OVER_MS: u64 = 120_000;
/// No repair is put off for longer.
const LONGEST_WAIT_MS: u64 = 60_000;

/// Which repairs are undone.
#[derive(Debug, Default)]
pub(crate) struct Undone(BTreeMap<Resource, Tug>);

#[derive(Debug, Default)]
struct Tug {
    /// When it was repaired, oldest first, within [`WITHIN_MS`].
    times: VecDeque<u64>,
    /// Repairs since there were many; none while there are not.
    strikes: u32,
    last_ms: u64,
    found: String,
}

impl Undone {
    /// Notes a repair that was begun.
    pub(crate) fn note(&mut self, resource: &Resource, found: &str, now_ms: u64) {
        let tug = self.0.entry(resource.clone()).or_default();
        tug.times.push_back(now_ms);
        while tug.times.front().is_some_and(|at| at + WITHIN_MS < now_ms) {
            tug.times.pop_front();
        }
        if tug.strikes > 0 || tug.times.len() > MANY {
            tug.strikes += 1;
        }
        tug.last_ms = now_ms;
        found.clone_into(&mut tug.found);
    }

    /// Forgets what is over.
    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        self.0.retain(|_, tug| {
            let kept = if tug.strikes > 0 { OVER_MS } else { WITHIN_MS };
            tug.last_ms + kept > now_ms
        });
    }

    /// Forgets all: somebody asked for a look at everything.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    fn tugs(&self) -> impl Iterator<Item = (&Resource, &Tug)> {
        self.0.iter().filter(|(_, tug)| tug.strikes > 0)
    }

    /// When each resource that is undone may be repaired again.
    pub(crate) fn not_before(&self) -> impl Iterator<Item = (Resource, u64)> {
        self.tugs().map(|(resource, tug)| {
            let wait = (1_000u64 << (tug.strikes - 1).min(6)).min(LONGEST_WAIT_MS);
            (resource.clone(), tug.last_ms + wait)
        })
    }

    /// When the first of them is over.
    pub(crate) fn over_ms(&self) -> Option<u64> {
        self.tugs().map(|(_, tug)| tug.last_ms + OVER_MS).min()
    }

    /// What a report says of them.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.tugs().map(|(resource, tug)| Finding {
            code: "steps-without-end".into(),
            lab: None,
            resource: Some(resource.clone()),
            message: format!(
                "{}: mended again and again, more than {MANY} times within a minute; now more seldom",
                tug.found
            ),
            hint: "something else on this host undoes it; look for who changes it, then `archetype reconcile LAB`"
                .into(),
        })
    }
}
