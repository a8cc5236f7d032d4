//! The runtime's binary: where it comes from, and its way to its one fixed path.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{HostError, replace};

/// What became of the binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// It was there already, the very same.
    Same,
    /// It was there already, a newer one; it stays.
    Newer(String),
    /// It was put there.
    Fresh(String),
}

/// The runtime's binary as it is built together with this program.
pub fn beside_this_program() -> Result<PathBuf, HostError> {
    let here =
        std::env::current_exe().map_err(|source| HostError::File { path: PathBuf::from("/proc/self/exe"), source })?;
    Ok(here.with_file_name("archetype-oci"))
}

/// Puts the binary to its path by a rename, unless the same or a newer one is there.
pub fn install(source: &Path, target: &Path) -> Result<Installed, HostError> {
    let unusable = |why: String| HostError::Binary { path: source.to_owned(), why };
    let content = std::fs::read(source).map_err(|error| unusable(error.to_string()))?;
    let ours = version(source).map_err(unusable)?;
    if std::fs::read(target).is_ok_and(|there| there == content) {
        return Ok(Installed::Same);
    }
    // One that cannot tell its version is broken: every start of a node would fail with it.
    if let Ok(theirs) = version(target)
        && theirs > ours
    {
        return Ok(Installed::Newer(shown(theirs)));
    }
    replace(target, &content, 0o755)?;
    Ok(Installed::Fresh(shown(ours)))
}

type Version = (u64, u64, u64);

fn shown((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// The verb by which the runtime tells its own version; `--version` is runc's.
const VERSION_VERB: &str = "archetype-version";

/// What the binary tells of its version: the last word of the first line.
fn version(binary: &Path) -> Result<Version, String> {
    let output = Command::new(binary).arg(VERSION_VERB).stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or_default();
    parse(word).ok_or_else(|| format!("`{} {VERSION_VERB}` tells no version", binary.display()))
}

fn parse(word: &str) -> Option<Version> {
    // What stands behind `-` or `+` tells builds of one version apart; it is no order.
    let core = word.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(folder: &Path, name: &str, version: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho archetype-oci {version}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn an_older_one_is_replaced_and_a_newer_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (program(folder.path(), "old", "0.9.0"), program(folder.path(), "new", "0.10.0"));
        let target = folder.path().join("a/b/archetype-oci");
        assert_eq!(install(&old, &target).unwrap(), Installed::Fresh("0.9.0".into()));
        assert_eq!(install(&new, &target).unwrap(), Installed::Fresh("0.10.0".into()));
        assert_eq!(install(&new, &target).unwrap(), Installed::Same);
        assert_eq!(install(&old, &target).unwrap(), Installed::Newer("0.10.0".into()));
        assert_eq!(std::fs::read(&target).unwrap(), std::fs::read(&new).unwrap());
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn a_binary_without_a_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let broken = program(folder.path(), "broken", "");
        assert!(install(&broken, &folder.path().join("x")).is_err());
        assert!(install(&folder.path().join("missing"), &folder.path().join("x")).is_err());
    }
}
