//! Topology files in: containerlab's format, unchanged. Every problem of a file is named at once,
//! each with its line and column. Knows nothing of hosts beyond the one the file lies on, and
//! changes nothing there.
//!
//! A file passes through stages: the template (`template`), environment variables (`environment`), YAML to a tree that keeps texts and places
//! (`tree`), typed values (`definition`, `links`, `management`), inheritance (`merge`),
//! what follows on this host (`resolve`), and checks (`check`).

mod check;
mod definition;
mod engine;
mod env_file;
pub mod environment;
mod files;
mod free;
mod git;
mod kinds;
mod links;
mod management;
mod merge;
mod ports;
mod reading;
mod resolve;
mod scalar;
mod source;
mod suggest;
mod template;
mod tree;
mod walk;

use std::path::{Path, PathBuf};

use archetype_model::topology::{Problem, Stated, Topology};

pub use environment::Environment;
pub use files::bounded;
pub use kinds::alike as kinds_alike;
pub use reading::OWNER;

/// What was read, and everything that is wrong with it. There is a topology whenever the file
/// could be read at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The topology, as far as it could be read.
    pub topology: Option<Topology>,
    /// What of the file the topology cannot hold.
    pub stated: Stated,
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// What containerlab reads and ignores, so that it is not wrong, in the order of the file.
    pub notes: Vec<Problem>,
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or it may not be read.
    #[error("cannot read topology file {path}: {source}")]
    Unreadable {
        /// The file as named.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("topology file {path} is not UTF-8 text, from byte {byte} on")]
    NotText {
        /// The file as named.
        path: PathBuf,
        /// The first byte that is none.
        byte: usize,
    },
    /// A directory holds no topology file.
    #[error("there is no *.clab.yml or *.clab.yaml file in {0}; name one with -t")]
    NoneHere(PathBuf),
    /// A directory holds several topology files.
    #[error("there are several topology files in {directory}: {}; name one with -t", names.join(", "))]
    SeveralHere {
        /// The directory as named.
        directory: PathBuf,
        /// The files in it.
        names: Vec<String>,
    },
}

/// The topology file that `path` means: itself, or the only `*.clab.yml` or `*.clab.yaml` in it.
pub fn find(path: &Path) -> Result<PathBuf, ReadError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let unreadable = |source| ReadError::Unreadable { path: path.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".clab.yml") || name.ends_with(".clab.yaml") {
            names.push(name);
        }
    }
    names.sort();
    match names.as_slice() {
        [] => Err(ReadError::NoneHere(path.to_owned())),
        [only] => Ok(path.join(only)),
        _ => Err(ReadError::SeveralHere { directory: path.to_owned(), names }),
    }
}

/// Reads a topology file, or the only one in a directory, with the environment of this process and
/// files of template variables; those beside the file when none is named.
pub fn read(path: &Path, variables: &[PathBuf]) -> Result<Reading, ReadError> {
    let path = find(path)?;
    let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
    let bytes = files::bounded(&path).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| ReadError::NotText { path: path.clone(), byte: error.utf8_error().valid_up_to() })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.canonicalize().map_err(unreadable)?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(read_with(&path.to_string_lossy(), &directory, &text, &environment, variables))
}

/// Reads the text of a topology file that the user calls `name` and that lies in `directory`
/// (absolute), with the environment given.
pub fn read_text(name: &str, directory: &Path, text: &str, environment: &Environment) -> Reading {
    read_with(name, directory, text, environment, &[])
}

/// The text of a topology file once its template is expanded, before environment variables are; or
/// what is wrong with it.
pub fn rendered(name: &str, directory: &Path, text: &str, variables: &[PathBuf]) -> Result<String, Vec<Problem>> {
    let mut problems = Vec::new();
    let with = template::Surroundings { name, directory, variables };
    let rendered = template::rendered(text, &with, &mut problems);
    rendered.map(|text| text.as_str().to_owned()).ok_or(problems)
}

/// As `read_text`, with files of template variables; of a variable that several have, the last
/// one's value is taken. Without any, those beside the file are taken.
pub fn read_with(
    name: &str,
    directory: &Path,
    text: &str,
    environment: &Environment,
    variables: &[PathBuf],
) -> Reading {
    reading::read(name, directory, text, environment, variables)
}
