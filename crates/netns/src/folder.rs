//! Facts files on disk: read, replaced in one step, locked.
//!
//! What the facts mean is told in [`archetype_model::facts`].

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use archetype_model::facts::NamespaceFacts;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

/// How long a lock is waited for before the holder is taken to hang.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(20);

/// Reads the facts at `path`; nothing when there is no such file.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn read(path: &Path) -> Result<Option<NamespaceFacts>> {
    match fs::read_to_string(path) {
        Ok(text) => NamespaceFacts::from_json(&text)
            .map(Some)
            .map_err(|error| Error::Missing { what: format!("{}: {error}", path.display()) }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::system(format!("read {}", path.display()), error)),
    }
}

/// Writes the facts at `path`, in one step and for root alone; a missing folder is made.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, facts: &NamespaceFacts) -> Result<()> {
    replace(path, facts.to_json().as_bytes())
}

/// Removes the facts at `path` with their lock. Files that are not there are no error.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    for file in [path.to_owned(), NamespaceFacts::lock_path(path)] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::system(format!("remove {}", file.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts `content` at `path` in one step, readable by root alone; a folder that is missing is made.
/// A reader finds the old file or the new one, whole; after a power cut either may be gone.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error| Error::system(format!("write {}", path.display()), error);
    make_folder(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}

fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::system(format!("make the folder {}", folder.display()), error))
}

/// The lock of one namespace's facts. While it is held nobody else changes that namespace's
/// inside, judges it or probes it. It goes with the value, and with the process in any case.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock of the facts at `facts`, waiting up to `patience`.
    ///
    /// # Errors
    /// When it is still held after that, or its file cannot be opened.
    pub fn take(facts: &Path, patience: Duration) -> Result<Self> {
        let begun = Instant::now();
        loop {
            if let Some(lock) = Self::attempt(facts)? {
                return Ok(lock);
            }
            if begun.elapsed() >= patience {
                let path = NamespaceFacts::lock_path(facts);
                let what = format!("{} has been locked for {patience:?}: is the agent hanging?", path.display());
                return Err(Error::Missing { what });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes the lock of the facts at `facts` if it is free.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn attempt(facts: &Path) -> Result<Option<Self>> {
        let path = NamespaceFacts::lock_path(facts);
        make_folder(&path)?;
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|error| Error::system(format!("open {}", path.display()), error))?;
        let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
        // The file may have been removed between opening and locking; then it locks nobody out.
        let same = |there: fs::Metadata, ours: fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        let is_there = fs::metadata(&path).is_ok_and(|there| lock.metadata().is_ok_and(|ours| same(there, ours)));
        Ok(is_there.then_some(Self { _file: lock }))
    }
}
