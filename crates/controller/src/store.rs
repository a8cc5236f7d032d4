//! What the controller keeps: revisions, the target, the latest reports, the journal.
//!
//! A seam: [`Sqlite`] keeps it on disk, [`Memory`] for the life of a process; both stand under one
//! suite. The store knows nothing of planning or judging; it keeps what it is given, or says that
//! it could not.

mod memory;
mod sqlite;
mod wish;

use std::sync::Arc;

use archetype_api::JournalEntry;
use archetype_model::blueprint::Blueprint;
use archetype_model::report::{Repair, Report};
use archetype_model::{HostName, InstallationId, LabName};
use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use memory::Memory;
pub use sqlite::Sqlite;
pub(crate) use wish::link_id;
pub use wish::{Draft, LeftOutPart, Present, Revision, Wish, Wishes, Written};

/// How many blueprints before the target are kept, to look back at.
const BLUEPRINTS_KEPT: u64 = 20;

/// Which installation a store is of, and which life of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Part of every name made on a host; drawn when the store is made.
    pub installation: InstallationId,
    /// Tells generations of this store from those of a lost or restored one.
    pub incarnation: String,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// The revision that is current now.
    pub revision: Arc<Revision>,
    /// Whether it was written; not when the current one says the same.
    pub new: bool,
}

/// Says whether a revision may be kept.
pub type Leave = BoxFuture<'static, bool>;

/// The blueprint that is handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Names it as a parent: that of its text as it was first written.
    pub digest: String,
    /// The blueprint.
    pub blueprint: Arc<Blueprint>,
}

impl Target {
    /// A blueprint with its digest.
    pub fn new(blueprint: Blueprint) -> Self {
        Self { digest: blueprint.digest(), blueprint: Arc::new(blueprint) }
    }
}

/// A report, and when what it says was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The report.
    pub report: Report,
    /// In milliseconds of the Unix epoch.
    pub verified_at_ms: u64,
}

/// So many entries of the journal are kept, the newest: whatever happens again and again fills no disk.
pub const JOURNAL_KEPT: u64 = 100_000;

/// Something for the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// When it happened, in milliseconds of the Unix epoch.
    pub at_ms: u64,
    /// The lab, if it concerns one.
    pub lab: Option<LabName>,
    /// What sort of thing happened, one of the words of [`JournalEntry::kind`].
    pub kind: &'static str,
    /// What it is about.
    pub subject: Option<String>,
    /// What happened, in a sentence. Never a secret.
    pub message: String,
    /// More, for programs. Never a secret.
    pub detail: serde_json::Value,
}

/// Which entries of the journal are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Only those of this lab.
    pub lab: Option<LabName>,
    /// And repairs that are of no lab alone.
    pub with_host: bool,
    /// Only those after this id, the oldest first; without it, the newest.
    pub since: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "{directory} is in use by another controller ({holder}); stop that one, or name another directory by --data"
    )]
    InUse {
        /// The data directory.
        directory: String,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// Somebody else moved the target meanwhile: plan again.
    #[error("the target was moved by somebody else meanwhile")]
    Overtaken,
    /// It was written by a newer version.
    #[error("{path} was written by a newer version of Archetype; run that one")]
    Newer {
        /// The file.
        path: String,
    },
    /// It holds something it never wrote.
    #[error("the store holds {what} that cannot be read: {why}; restore a backup of the data directory")]
    Damaged {
        /// What cannot be read.
        what: String,
        /// Why.
        why: String,
    },
    /// The disk or the database refused.
    #[error("the store failed to {what}: {why}; look at free space and permissions of the data directory")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What it met.
        why: String,
    },
}

/// The controller's store. Whatever a method accepted survives the end of the process at any
/// moment (the in-memory twin excepted).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Which installation and which life of it.
    fn identity(&self) -> &Identity;

    /// Makes a draft the lab's current revision, with a note in the journal, in one transaction.
    /// A draft that says the same as the current revision writes nothing.
    async fn append_revision(&self, written: Written, note: Note) -> Result<Appended, StoreError> {
        let always = Box::pin(std::future::ready(true));
        // What may always be kept is kept.
        let kept = self.append_revision_if(written, note, always).await?;
        kept.ok_or(StoreError::Failed { what: "write a revision", why: "nobody let it".into() })
    }

    /// The same if `leave` says so; without it nothing of it stays, and before it nobody sees any of it.
    async fn append_revision_if(
        &self,
        written: Written,
        note: Note,
        leave: Leave,
    ) -> Result<Option<Appended>, StoreError>;

    /// One revision, also a former one.
    async fn revision(&self, number: u64) -> Result<Option<Arc<Revision>>, StoreError>;

    /// The current revision of each lab, those wanted gone included, by name.
    async fn current(&self) -> Result<Vec<Arc<Revision>>, StoreError>;

    /// The content of a file that a revision names by its hash.
    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The blueprint that is handed out.
    async fn target(&self) -> Result<Option<Target>, StoreError>;

    /// Makes `target` the target if its parent is the target now, else [`StoreError::Overtaken`].
    async fn set_target(&self, target: &Target) -> Result<(), StoreError>;

    /// Keeps a host's latest report, takes up the repairs that are not in the journal yet, and
    /// appends `notes`, in one transaction. Answers with what was added to the journal.
    async fn take_report(
        &self,
        verified: &Verified,
        repairs: &[Repair],
        notes: Vec<Note>,
    ) -> Result<Vec<JournalEntry>, StoreError>;

    /// The latest report of each host.
    async fn reports(&self) -> Result<Vec<Verified>, StoreError>;

    /// Appends to the journal in one transaction.
    async fn append_journal(&self, notes: Vec<Note>) -> Result<Vec<JournalEntry>, StoreError>;

    /// A stretch of the journal, in the order of ids.
    async fn journal(&self, stretch: &Stretch) -> Result<Vec<JournalEntry>, StoreError>;

    /// The id of the newest entry; 0 when there is none.
    async fn newest_entry(&self) -> Result<u64, StoreError>;
}

/// A repair as the journal tells it.
fn note_of(host: &HostName, repair: &Repair) -> Note {
    use archetype_model::report::RepairOutcome;
    let done = match (repair.done.is_empty(), &repair.outcome) {
        (_, RepairOutcome::Failed { why }) => format!("failed to mend it: {why}"),
        (_, RepairOutcome::FoundMended) | (true, _) => "found mended".to_string(),
        (false, RepairOutcome::Mended) => repair.done.join(", "),
    };
    Note {
        at_ms: repair.at_ms,
        lab: repair.lab.clone(),
        kind: "repair",
        subject: Some(repair.resource.to_string()),
        message: format!("{}; {done}", repair.found),
        detail: serde_json::json!({ "host": host, "number": repair.number, "outcome": repair.outcome }),
    }
}

/// A note that got its id.
fn entry_of(id: u64, note: Note) -> JournalEntry {
    JournalEntry {
        id,
        at: timestamp(note.at_ms),
        lab: note.lab,
        kind: note.kind.to_string(),
        subject: note.subject,
        message: note.message,
        detail: note.detail,
    }
}

/// Milliseconds of the Unix epoch as a time; the end of time for what lies beyond it.
pub(crate) fn timestamp(ms: u64) -> jiff::Timestamp {
    i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or(jiff::Timestamp::MAX)
}
