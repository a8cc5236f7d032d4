//! The variables `__gitBranch__` and `__gitHash__` of a lab's name: which branch and commit the
//! directory of the topology file has checked out. Reads git's own files; runs nothing.

use std::path::{Path, PathBuf};

/// What stands for a branch or a commit where there is none.
const NONE: &str = "none";

/// `name` with the branch (its `/` become `-`) and the first 7 characters of the commit.
pub fn replace(name: &str, directory: &Path) -> String {
    let (branch, hash) = checked_out(directory).unwrap_or((NONE.into(), NONE.into()));
    name.replace("__gitBranch__", &branch.replace('/', "-")).replace("__gitHash__", &hash)
}

/// The branch and the short hash of `directory`, when it is the top of a git working tree.
fn checked_out(directory: &Path) -> Option<(String, String)> {
    let git = git_directory(directory)?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let short = |hash: &str| hash.trim().get(..7).unwrap_or(NONE).to_owned();
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(("HEAD".to_owned(), short(&head)));
    };
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned();
    let hash = commit(&git, reference).map_or(NONE.to_owned(), |hash| short(&hash));
    Some((branch, hash))
}

/// `.git`, or the directory that a file of that name points to, as in a linked working tree.
fn git_directory(directory: &Path) -> Option<PathBuf> {
    let path = directory.join(".git");
    if path.is_dir() {
        return Some(path);
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some(directory.join(text.trim().strip_prefix("gitdir: ")?))
}

fn commit(git: &Path, reference: &str) -> Option<String> {
    // A linked working tree keeps its branches in the main one's directory.
    let common = std::fs::read_to_string(git.join("commondir")).map(|text| git.join(text.trim()));
    [Some(git.to_owned()), common.ok()].into_iter().flatten().find_map(|git| {
        let loose = std::fs::read_to_string(git.join(reference)).ok();
        loose.or_else(|| {
            let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
            let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, name)| name == reference))?;
            Some(line.to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn a_name_carries_branch_and_commit() {
        let here = tempfile::tempdir().unwrap();
        assert_eq!(replace("a-__gitBranch__-__gitHash__", here.path()), "a-none-none");
        let git = here.path().join(".git");
        std::fs::create_dir_all(git.join("refs/heads/topic")).unwrap();
        std::fs::write(git.join("HEAD"), "ref: refs/heads/topic/x\n").unwrap();
        assert_eq!(replace("__gitBranch__-__gitHash__", here.path()), "topic-x-none");
        std::fs::write(git.join("packed-refs"), "# pack\n89abcdef01234567 refs/heads/topic/x\n").unwrap();
        assert_eq!(replace("__gitHash__", here.path()), "89abcde");
        std::fs::write(git.join("refs/heads/topic/x"), "0123456789abcdef\n").unwrap();
        assert_eq!(replace("__gitHash__", here.path()), "0123456");
        std::fs::write(git.join("HEAD"), "fedcba9876543210\n").unwrap();
        assert_eq!(replace("__gitBranch__-__gitHash__", here.path()), "HEAD-fedcba9");
    }
}
