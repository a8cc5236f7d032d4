//! Reading topology files, handed in: the controller knows no file format.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archetype_model::topology::{Problem, Topology};

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
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// Reads the text of a topology file. May look at files that the topology names, so it may block.
#[derive(Clone)]
pub struct FileReader(Arc<dyn Fn(FileText<'_>) -> FileReading + Send + Sync>);

impl FileReader {
    /// A reader that reads as `read` does.
    pub fn new(read: impl Fn(FileText<'_>) -> FileReading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads a file's text.
    pub fn read(&self, file: FileText<'_>) -> FileReading {
        (self.0)(file)
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileReader")
    }
}
