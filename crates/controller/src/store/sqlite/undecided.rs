//! The revision of which it is not decided whether it stays.

/// A revision that nobody sees.
#[derive(Debug, Clone)]
pub(super) struct Undecided {
    pub number: u64,
    /// Of the journal; nothing from it on is seen.
    pub entry: u64,
    /// The hashes of files that came with it.
    pub files: Vec<String>,
    /// It is to be taken back, and is there still.
    pub refused: bool,
}

/// At most one revision, and how often that changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Decision {
    changes: u64,
    revision: Option<Undecided>,
}

impl Decision {
    /// Another revision is undecided, or none.
    pub fn becomes(&mut self, revision: Option<Undecided>) {
        self.changes += 1;
        self.revision = revision;
    }

    /// The revision of this number is to be taken back, if it is undecided.
    pub fn refuse(&mut self, number: u64) {
        if let Some(revision) = self.revision.as_mut().filter(|revision| revision.number == number) {
            revision.refused = true;
        }
    }

    /// What is to be taken back.
    pub fn left_over(&self) -> Option<Undecided> {
        self.revision.clone().filter(|revision| revision.refused)
    }

    /// What is not to be seen. Where nothing is, numbers that no row has.
    pub fn hidden(&self) -> Undecided {
        const NONE: u64 = i64::MAX as u64;
        let none = Undecided { number: NONE, entry: NONE, files: Vec::new(), refused: false };
        self.revision.clone().unwrap_or(none)
    }

    /// Whether nothing was decided since `before`, and nothing to decide came.
    pub fn is(&self, before: &Self) -> bool {
        self.changes == before.changes
    }
}
