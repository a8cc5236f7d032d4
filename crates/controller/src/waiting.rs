//! How far a lab is, and when there is nothing more to wait for.

use std::time::Duration;

use archetype_api::progress::{Progress, Settled};
use archetype_model::LabName;
use archetype_model::status::{LabState, LinkState, NodeState};
use archetype_plan::judge::ToCome;
use tokio::time::Instant;

use crate::judging::Judged;
use crate::now::Now;
use crate::store::Revision;
use crate::view::LabView;

/// A finding that goes away by itself within this time keeps nobody from waiting on.
const GRACE: Duration = Duration::from_secs(3);

/// So long links may stay wrong, with nothing else to come, until they count as staying so: they are tried again and
/// again meanwhile.
const TRIES: Duration = Duration::from_secs(15);

/// Somebody waits for a revision.
pub(crate) struct Waiting {
    lab: LabName,
    revision: u64,
    silent_after: Duration,
    /// What seems to end the waiting, and since when.
    ending: Option<(Settled, Instant)>,
}

impl Waiting {
    /// Waits for `revision` of `lab` to be settled.
    pub fn new(lab: LabName, revision: u64, silent_after: Duration) -> Self {
        Self { lab, revision, silent_after, ending: None }
    }

    /// How far it is by this picture. To be asked again at each change, and at the latest after
    /// [`Self::patience`].
    pub fn look(&mut self, now: &Now) -> Progress {
        match now.revision(&self.lab) {
            None => self.gone(now),
            Some(revision) => {
                let view = LabView::of(now, revision, self.silent_after);
                let settled = self.settled(now, revision, &view.judged);
                let told = is_fresh(now) && now.is_planned(revision) && now.is_told(&self.lab);
                Progress { told, settled, ..progress(revision, &view.judged) }
            }
        }
    }

    /// How long a picture may be taken for still true by itself.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// The lab is not there: it left, or it never was.
    fn gone(&self, now: &Now) -> Progress {
        let revision = now.revisions.get(&self.lab).map_or(0, |revision| revision.number);
        Progress {
            lab: self.lab.clone(),
            revision,
            state: LabState::Destroying,
            reason: Some("nothing of it is left".into()),
            nodes_ready: 0,
            nodes: 0,
            links_ready: 0,
            links: 0,
            doing: Vec::new(),
            told: true,
            settled: Some(if revision > self.revision { Settled::Overtaken } else { Settled::Gone }),
        }
    }

    fn settled(&mut self, now: &Now, revision: &Revision, judged: &Judged) -> Option<Settled> {
        if revision.number > self.revision {
            return Some(Settled::Overtaken);
        }
        if revision.number < self.revision {
            // It is still to come, if it ever does.
            return None;
        }
        let fresh = is_fresh(now);
        // What was planned before this revision says nothing of it.
        let planned = now.is_planned(revision);
        if planned && now.planned.get(&self.lab).is_some_and(|planning| !planning.problems.is_empty()) {
            return Some(Settled::Finding);
        }
        if fresh && planned && matches!(judged.state.state, LabState::Up | LabState::Down) && judged.execs_done {
            return Some(Settled::AsWanted);
        }
        let ending = (fresh && planned && now.is_told(&self.lab)).then(|| ending(judged)).flatten();
        let Some((settled, after)) = ending else {
            self.ending = None;
            return None;
        };
        let since = match self.ending {
            Some((before, since)) if before == settled => since,
            _ => Instant::now(),
        };
        self.ending = Some((settled, since));
        (since.elapsed() >= after).then_some(settled)
    }
}

/// What ends the waiting for a lab that is not as wanted, once it has been so for a time.
fn ending(judged: &Judged) -> Option<(Settled, Duration)> {
    if judged.findings.iter().any(|finding| finding.lab.is_some()) {
        return Some((Settled::Finding, GRACE));
    }
    match judged.to_come {
        ToCome::More => None,
        ToCome::Tries => Some((Settled::AtRest, TRIES)),
        // What is wrong with the host as a whole may be mended in a moment.
        ToCome::Nothing if !judged.findings.is_empty() => Some((Settled::AtRest, GRACE)),
        ToCome::Nothing => Some((Settled::AtRest, Duration::ZERO)),
    }
}

/// Whether the host was heard in this life: nobody's waiting ends by what was kept from before a restart.
fn is_fresh(now: &Now) -> bool {
    now.heard.as_ref().is_some_and(|heard| heard.received.is_some())
}

/// How far a lab is, as it is judged; what follows from that is not in it.
fn progress(revision: &Revision, judged: &Judged) -> Progress {
    let node_ready = |state: &NodeState| matches!(state, NodeState::Running | NodeState::Stopped);
    let link_ready = |state: &LinkState| matches!(state, LinkState::Up | LinkState::Down);
    Progress {
        lab: revision.lab.clone(),
        revision: revision.number,
        state: judged.state.state,
        reason: judged.state.reason.clone(),
        nodes_ready: judged.nodes.iter().filter(|(_, status)| node_ready(&status.state)).count(),
        nodes: judged.nodes.len(),
        links_ready: judged.links.iter().filter(|(_, status)| link_ready(&status.state)).count(),
        links: judged.links.len(),
        doing: judged.doing.clone(),
        told: false,
        settled: None,
    }
}
