//! The verbs that are ours: at `create` the node's namespace is cold booted and the container put
//! into it, at `delete` the namespace is made dead on the wire. Then runc does its work.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use archetype_model::facts::NamespaceFacts;
use archetype_netns::folder::{self, LOCK_PATIENCE};
use archetype_netns::{Lock, cold_boot, quiesce};

use crate::arguments::Arguments;
use crate::bundle::{self, BundleError};
use crate::report::refuse;

/// Where runc is looked for when it is not in `PATH`, as in an engine's sparse environment.
const USUAL: [&str; 4] = ["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc"];

/// Why a container is not started.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// runc itself is missing.
    #[error("archetype: runc is neither in PATH nor at /usr/sbin/runc; install it (package runc)")]
    NoRunc,
    /// The command line lacks what is needed.
    #[error("archetype: create was called without a usable container id")]
    NoId,
    /// Nobody has written facts for this container.
    #[error(
        "archetype: no facts for container {id}: it was not made by an Archetype agent, or its agent has not written \
         them again since the machine was booted; start the agent, or use another runtime for this container"
    )]
    NoFacts {
        /// The container's full id.
        id: String,
    },
    /// The namespace could not be made as the facts declare it.
    #[error("archetype: {node}: {error}")]
    Namespace {
        /// The node's name on the host.
        node: String,
        /// Why.
        #[source]
        error: archetype_netns::Error,
    },
    /// The facts could not be read or locked.
    #[error("archetype: {0}")]
    Facts(#[source] archetype_netns::Error),
    /// The container's configuration could not be changed.
    #[error("archetype: {0}")]
    Bundle(#[from] BundleError),
}

/// Carries out a command line of runc.
pub fn main(all: &[OsString]) -> ExitCode {
    let arguments = Arguments::parse(all);
    let Some(runc) = find_runc() else { return fail(&arguments, &Refusal::NoRunc.to_string()) };
    match arguments.verb.as_str() {
        "create" | "run" => match prepare(&arguments) {
            // The lock is let go by becoming runc: from then on the node may be looked at.
            Ok(_lock) => become_runc(&runc, all, &arguments),
            Err(refusal) => fail(&arguments, &refusal.to_string()),
        },
        "delete" => delete(&runc, all, &arguments),
        _ => become_runc(&runc, all, &arguments),
    }
}

fn fail(arguments: &Arguments, message: &str) -> ExitCode {
    refuse(arguments.log.as_deref(), message);
    ExitCode::FAILURE
}

fn become_runc(runc: &Path, all: &[OsString], arguments: &Arguments) -> ExitCode {
    let error = Command::new(runc).args(all).exec();
    fail(arguments, &format!("archetype: {} cannot be run: {error}", runc.display()))
}

/// runc as `PATH` has it, else at its usual places.
fn find_runc() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::current_exe().ok();
    let candidates = std::env::split_paths(&path).map(|folder| folder.join("runc"));
    let mut candidates = candidates.chain(USUAL.iter().map(PathBuf::from));
    // Somebody may have given us runc's name.
    candidates.find(|path| path.is_file() && path.canonicalize().ok() != own)
}

/// The facts of the container and where they stand; nothing when nobody wrote any.
fn facts_of(id: &str) -> Result<Option<(PathBuf, NamespaceFacts)>, Refusal> {
    let path = NamespaceFacts::container_path(id);
    let facts = folder::read(&path).map_err(Refusal::Facts)?;
    Ok(facts.map(|facts| (path, facts)))
}

/// An id as engines make them: it becomes part of a file's name.
fn checked(id: Option<&str>) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    id.filter(|id| !id.is_empty() && !id.starts_with('.') && id.chars().all(is_plain))
}

/// Makes the namespace as declared and the bundle point to it. Gives the lock, still held.
fn prepare(arguments: &Arguments) -> Result<Lock, Refusal> {
    let id = checked(arguments.id.as_deref()).ok_or(Refusal::NoId)?;
    let absent = || Refusal::NoFacts { id: id.to_owned() };
    let (path, _) = facts_of(id)?.ok_or_else(absent)?;
    let lock = Lock::take(&path, LOCK_PATIENCE).map_err(Refusal::Facts)?;
    // Whoever held the lock may have changed them.
    let (_, facts) = facts_of(id)?.ok_or_else(absent)?;
    cold_boot(&facts).map_err(|error| Refusal::Namespace { node: facts.node.to_string(), error })?;
    bundle::join(arguments.bundle.as_deref().unwrap_or(Path::new(".")), &facts.namespace)?;
    Ok(lock)
}

/// Makes the node dead on the wire and has runc delete it. A forced deletion also ends the
/// processes; then what they do until their end is undone after it.
fn delete(runc: &Path, all: &[OsString], arguments: &Arguments) -> ExitCode {
    silence(arguments);
    if !arguments.force {
        return become_runc(runc, all, arguments);
    }
    let status = Command::new(runc).args(all).status();
    silence(arguments);
    match status {
        Ok(status) => ExitCode::from(status.code().unwrap_or(128 + status.signal().unwrap_or(0)) as u8),
        Err(error) => fail(arguments, &format!("archetype: {} cannot be run: {error}", runc.display())),
    }
}

/// Never fails the deletion: a node of which the namespace is gone is as dead as can be, and an
/// engine whose runtime cannot delete keeps the container for ever.
fn silence(arguments: &Arguments) {
    let Some(id) = checked(arguments.id.as_deref()) else { return };
    let quiet = facts_of(id).and_then(|found| {
        let Some((path, facts)) = found else { return Ok(()) };
        let _lock = Lock::take(&path, LOCK_PATIENCE).map_err(Refusal::Facts)?;
        quiesce(&facts).map_err(|error| Refusal::Namespace { node: facts.node.to_string(), error })
    });
    if let Err(refusal) = quiet {
        refuse(None, &refusal.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_would_leave_the_folder_of_facts_is_refused() {
        assert_eq!(checked(Some("00ff-a_b.c")), Some("00ff-a_b.c"));
        for id in ["", "..", "../x", "a/b", ".x"] {
            assert_eq!(checked(Some(id)), None, "{id}");
        }
    }
}
