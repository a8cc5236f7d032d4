//! Paths as who has another root sees them: links on them lead where they lead there, and never out. What lies there is
//! that one's to choose.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

/// Opens a path for who has this root.
///
/// # Errors
/// When there is nothing, or no such root.
pub fn open(root: &Path, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let root = nix::fcntl::open(root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root, path, how)
}

/// The names in a folder for who has this root.
///
/// # Errors
/// When there is no such folder.
pub fn names_in(root: &Path, folder: &Path) -> std::io::Result<Vec<OsString>> {
    let folder = open(root, folder, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    Ok(entries.flatten().map(|entry| entry.file_name()).collect())
}
