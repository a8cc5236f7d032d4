//! What can go wrong with a network namespace, in words for a person.

use std::io;
use std::path::PathBuf;

use crate::rtnl::Refusal;

/// Why something about a network namespace could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{what}: {error}")]
    System {
        /// What was being done, for instance "open a netlink socket".
        what: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// The kernel refused a netlink request.
    #[error("{what}: {refusal}")]
    Refused {
        /// What was being done, with the device's or object's name.
        what: String,
        /// The kernel's error number and its own words.
        #[source]
        refusal: Refusal,
    },
    /// The path does not lead to a network namespace.
    #[error("{path} is not a network namespace: {why}; make the namespace anew (after a reboot the agent does)")]
    NotANamespace {
        /// The path as it was given.
        path: PathBuf,
        /// What was found there.
        why: String,
    },
    /// The namespace is the host's own or the caller's own; nothing is ever reset there.
    #[error(
        "{path} is the network namespace of the host itself, not of a node; refused so that the host keeps its network"
    )]
    HostNamespace {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Something that was wanted is not there.
    #[error("{what}")]
    Missing {
        /// What is missing and what to do, as a sentence.
        what: String,
    },
}

/// What this crate's functions answer.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failed system call: `what` was being done when it failed with `error`.
    pub fn system(what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), error: error.into() }
    }

    /// The kernel's last error, for `what`.
    pub fn last(what: impl Into<String>) -> Self {
        Self::system(what, io::Error::last_os_error())
    }

    /// The kernel's error number (`ENODEV` and so on), when it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::System { error, .. } => error.raw_os_error(),
            Self::Refused { refusal, .. } => Some(refusal.errno),
            _ => None,
        }
    }

    /// Whether the kernel said that there is one already.
    pub fn is_taken(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether the kernel said that the thing is not there.
    pub fn is_absent(&self) -> bool {
        self.errno().is_some_and(|e| matches!(e, libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL))
    }
}
