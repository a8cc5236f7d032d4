//! Binds of nodes that run, looked at from outside: whether a node still sees what its bind names.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use archetype_model::spec::Bind;
use archetype_netns::other_root;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;

/// Sources of binds at which something else is now than what the process `pid` sees: what was there when it was started
/// is gone, or has another name. What cannot be read is not told.
pub(crate) fn replaced(pid: u32, binds: &[Bind]) -> Vec<PathBuf> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let inside = |target: &Path| fstat(other_root::open(&root, target, OFlag::O_PATH).ok()?).ok();
    let is_replaced = |bind: &&Bind| {
        let Ok(source) = fs::metadata(&bind.source) else { return false };
        inside(&bind.target).is_some_and(|seen| (seen.st_dev, seen.st_ino) != (source.dev(), source.ino()))
    };
    binds.iter().filter(is_replaced).map(|bind| bind.source.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends by panic")]

    use super::*;

    #[test]
    fn a_source_that_became_another_file_is_told_and_one_that_was_written_in_place_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::write(&source, "one").unwrap();
        fs::hard_link(&source, &target).unwrap();
        let bind = Bind { source: source.clone(), target, options: None };
        fs::write(&source, "two").unwrap();
        assert_eq!(replaced(std::process::id(), std::slice::from_ref(&bind)), Vec::<PathBuf>::new());
        fs::write(folder.path().join("new"), "three").unwrap();
        fs::rename(folder.path().join("new"), &source).unwrap();
        assert_eq!(replaced(std::process::id(), &[bind]), [source]);
    }
}
