//! Reading topology files, handed in: the controller knows no file format.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archetype_model::topology::{Problem, Stated, Topology};

/// A file as a user sent it.
#[derive(Debug, Clone, Copy)]
pub struct FileText<'a> {
    /// How the user calls the file; problems name it so.
    pub shown: &'a str,
    /// Its folder on the user's machine, absolute.
    pub directory: &'a Path,
    /// Its text.
    pub text: &'a str,
    /// The environment that it is expanded with.
    pub env: &'a BTreeMap<String, String>,
    /// Files of template variables; those beside the file when there are none.
    pub variables: &'a [PathBuf],
}

/// What a file declares, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct FileReading {
    /// What it declares, as far as it could be read.
    pub topology: Option<Topology>,
    /// What it states and the topology cannot hold.
    pub stated: Stated,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// What it states and nothing comes of.
    pub notes: Vec<Problem>,
}

type Read = dyn Fn(FileText<'_>) -> FileReading + Send + Sync;
type Wants = dyn Fn(&Topology) -> bool + Send + Sync;
type Prepare = dyn Fn(&Topology) -> Vec<Problem> + Send + Sync;

/// Reads the text of a topology file, and makes the files that its nodes will bind. May look at
/// files that the topology names, so it may block.
#[derive(Clone)]
pub struct FileReader {
    read: Arc<Read>,
    wants: Arc<Wants>,
    prepare: Arc<Prepare>,
    /// One at a time: two that make one lab's files would take each other's halves for what was there before.
    preparing: Arc<Mutex<()>>,
}

impl FileReader {
    /// A reader that reads as `read` does and makes no files.
    pub fn new(read: impl Fn(FileText<'_>) -> FileReading + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            wants: Arc::new(|_| false),
            prepare: Arc::new(|_| Vec::new()),
            preparing: Arc::default(),
        }
    }

    /// The same reader, making by `prepare` the files of a topology that is to be deployed and, by `wants`, has any; what
    /// `prepare` answers is why that cannot be.
    pub fn preparing(
        self,
        wants: impl Fn(&Topology) -> bool + Send + Sync + 'static,
        prepare: impl Fn(&Topology) -> Vec<Problem> + Send + Sync + 'static,
    ) -> Self {
        Self { wants: Arc::new(wants), prepare: Arc::new(prepare), ..self }
    }

    /// Reads a file's text.
    pub fn read(&self, file: FileText<'_>) -> FileReading {
        (self.read)(file)
    }

    /// Whether nodes of `topology` will bind files that are made for them.
    pub fn prepares(&self, topology: &Topology) -> bool {
        (self.wants)(topology)
    }

    /// Makes the files that the nodes of `topology` will bind and that are not there yet.
    pub fn prepare(&self, topology: &Topology) -> Vec<Problem> {
        let _one = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        (self.prepare)(topology)
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileReader")
    }
}
