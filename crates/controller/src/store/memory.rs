//! The store's in-memory twin: the same behaviour for the life of a process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archetype_api::JournalEntry;
use archetype_model::report::Repair;
use archetype_model::{HostName, LabName};
use async_trait::async_trait;

use super::{
    Appended, Identity, JOURNAL_KEPT, Leave, Note, Revision, Store, StoreError, Stretch, Target, Verified, Written,
    entry_of, note_of,
};
use crate::chance;

/// Keeps everything in memory.
#[derive(Debug)]
pub struct Memory {
    identity: Identity,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    revisions: Vec<Arc<Revision>>,
    current: BTreeMap<LabName, Arc<Revision>>,
    files: BTreeMap<String, Vec<u8>>,
    target: Option<Target>,
    reports: BTreeMap<HostName, Verified>,
    repairs: BTreeSet<(HostName, u64)>,
    journal: VecDeque<JournalEntry>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { identity: chance::identity(), state: Mutex::default() }
    }
}

impl Memory {
    /// No method panics while it holds the lock, so a poisoned state is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, note: Note) -> JournalEntry {
        let entry = entry_of(self.journal.back().map_or(1, |last| last.id + 1), note);
        self.journal.push_back(entry.clone());
        if self.journal.len() as u64 > JOURNAL_KEPT {
            self.journal.pop_front();
        }
        entry
    }
}

#[async_trait]
impl Store for Memory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn append_revision_if(
        &self,
        written: Written,
        note: Note,
        leave: Leave,
    ) -> Result<Option<Appended>, StoreError> {
        if !leave.await {
            return Ok(None);
        }
        let Written { draft, digest, .. } = written;
        let mut state = self.state();
        if let Some(current) = state.current.get(&draft.lab)
            && current.digest == digest
        {
            return Ok(Some(Appended { revision: current.clone(), new: false }));
        }
        let revision = Arc::new(Revision {
            number: state.revisions.len() as u64 + 1,
            lab: draft.lab.clone(),
            wish: draft.wish,
            digest,
            created_at_ms: note.at_ms,
        });
        state.files.extend(draft.files);
        state.revisions.push(revision.clone());
        state.current.insert(draft.lab, revision.clone());
        state.note(note);
        Ok(Some(Appended { revision, new: true }))
    }

    async fn revision(&self, number: u64) -> Result<Option<Arc<Revision>>, StoreError> {
        Ok(self.state().revisions.iter().find(|revision| revision.number == number).cloned())
    }

    async fn current(&self) -> Result<Vec<Arc<Revision>>, StoreError> {
        Ok(self.state().current.values().cloned().collect())
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().files.get(hash).cloned())
    }

    async fn target(&self) -> Result<Option<Target>, StoreError> {
        Ok(self.state().target.clone())
    }

    async fn set_target(&self, target: &Target) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.target.as_ref().map(|target| &target.digest) != target.blueprint.parent.as_ref() {
            return Err(StoreError::Overtaken);
        }
        state.target = Some(target.clone());
        Ok(())
    }

    async fn take_report(
        &self,
        verified: &Verified,
        repairs: &[Repair],
        notes: Vec<Note>,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let mut state = self.state();
        let host = &verified.report.host;
        let fresh: Vec<_> =
            repairs.iter().filter(|repair| state.repairs.insert((host.clone(), repair.number))).collect();
        state.reports.insert(host.clone(), verified.clone());
        let notes = fresh.into_iter().map(|repair| note_of(host, repair)).chain(notes);
        Ok(notes.map(|note| state.note(note)).collect())
    }

    async fn reports(&self) -> Result<Vec<Verified>, StoreError> {
        Ok(self.state().reports.values().cloned().collect())
    }

    async fn append_journal(&self, notes: Vec<Note>) -> Result<Vec<JournalEntry>, StoreError> {
        let mut state = self.state();
        Ok(notes.into_iter().map(|note| state.note(note)).collect())
    }

    async fn journal(&self, stretch: &Stretch) -> Result<Vec<JournalEntry>, StoreError> {
        let state = self.state();
        let limit = stretch.limit as usize;
        let is_of_host = |entry: &JournalEntry| stretch.with_host && entry.lab.is_none() && entry.kind == "repair";
        let is_asked_for =
            |entry: &JournalEntry| stretch.lab.is_none() || entry.lab == stretch.lab || is_of_host(entry);
        let is_later = |entry: &JournalEntry| stretch.since.is_none_or(|since| entry.id > since);
        let mut found = state.journal.iter().filter(|entry| is_asked_for(entry) && is_later(entry));
        if stretch.since.is_some() {
            return Ok(found.by_ref().take(limit).cloned().collect());
        }
        let found: Vec<_> = found.cloned().collect();
        Ok(found[found.len().saturating_sub(limit)..].to_vec())
    }

    async fn newest_entry(&self) -> Result<u64, StoreError> {
        Ok(self.state().journal.back().map_or(0, |entry| entry.id))
    }
}
