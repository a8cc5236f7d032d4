//! What can go wrong with a management network, in words for a person.

use std::path::Path;

use archetype_model::NetworkName;
use archetype_model::spec::PublishedPort;
use archetype_model::step::StepError;

/// Why a management network could not be read, made or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A program that is needed is not installed.
    #[error("{program} is not installed")]
    ProgramMissing {
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program refused.
    #[error("{what}: {said}")]
    Program {
        /// What was being done.
        what: String,
        /// What the program printed.
        said: String,
    },
    /// The kernel refused.
    #[error("{what}: {said}")]
    Kernel {
        /// What was being done.
        what: String,
        /// What the kernel said.
        said: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {said}")]
    File {
        /// The file.
        path: String,
        /// What the kernel said.
        said: String,
    },
    /// The spec does not have the network.
    #[error("the spec has no management network {network}")]
    Unknown {
        /// The network.
        network: NetworkName,
    },
    /// The bridge's name belongs to something else.
    #[error("{device} of management network {network} exists already and is {holder}")]
    BridgeTaken {
        /// The network.
        network: NetworkName,
        /// The device.
        device: String,
        /// What it is.
        holder: String,
    },
    /// The network's name belongs to somebody else's Docker network.
    #[error("a Docker network {network} exists already: {holder}")]
    NameTaken {
        /// The name.
        network: NetworkName,
        /// Whose it is.
        holder: String,
    },
    /// The network's addresses belong to something else.
    #[error("subnet {subnet} of management network {network} overlaps {holder}")]
    SubnetTaken {
        /// The network.
        network: NetworkName,
        /// The subnet.
        subnet: String,
        /// What has it.
        holder: String,
    },
    /// A published port is somebody else's already.
    #[error("port {port} is taken by {holder}")]
    PortTaken {
        /// `[ADDRESS:]PORT/PROTOCOL`.
        port: String,
        /// Who listens there.
        holder: String,
    },
    /// Somebody else is on the network, so it stays.
    #[error("management network {network} stays: {} still on it", foreign.join(", "))]
    InUse {
        /// The network.
        network: NetworkName,
        /// Who.
        foreign: Vec<String>,
    },
    /// The Docker Engine refused or did not answer.
    #[error("{what}: {said}")]
    Engine {
        /// What was being done.
        what: String,
        /// What it said.
        said: String,
    },
    /// Another program holds the lock of a hosts file.
    #[error("another program keeps {path} locked")]
    Locked {
        /// The file.
        path: String,
    },
    /// The room took longer than it may.
    #[error("the kernel or the packet filter did not answer within {seconds} s")]
    TooSlow {
        /// How long it was given.
        seconds: u64,
    },
}

impl Error {
    /// The stable code of the finding this makes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProgramMissing { .. } => "program-missing",
            Self::BridgeTaken { .. } | Self::NameTaken { .. } => "network-name-taken",
            Self::SubnetTaken { .. } => "network-subnet-taken",
            Self::PortTaken { .. } => "port-taken",
            Self::InUse { .. } => "network-in-use",
            Self::Engine { .. } => "engine-refused",
            Self::Locked { .. } | Self::TooSlow { .. } => "network-too-slow",
            Self::Program { .. } | Self::Kernel { .. } | Self::File { .. } | Self::Unknown { .. } => "network-failed",
        }
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            Self::ProgramMissing { package, .. } => format!("install it: apt-get install {package}"),
            Self::BridgeTaken { .. } | Self::NameTaken { .. } => {
                "remove it, or choose another network with mgmt.network or --mgmt-network".into()
            }
            Self::SubnetTaken { .. } => "choose another subnet with mgmt.ipv4-subnet or --mgmt-subnet".into(),
            Self::PortTaken { .. } => "publish another port of the host, or stop what listens there".into(),
            Self::InUse { .. } => "it goes when these have left it".into(),
            Self::Locked { path } => {
                format!("`fuser -v {path}` shows which program; Archetype tries again by itself")
            }
            Self::Engine { .. } => "see the engine's own log; Archetype tries again by itself".into(),
            _ => "Archetype tries again by itself; the agent's log has more".into(),
        }
    }

    pub(super) fn file(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), said: error.to_string() }
    }

    pub(super) fn kernel(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Kernel { what: what.into(), said: error.to_string() }
    }

    pub(super) fn port(port: &PublishedPort, holder: impl Into<String>) -> Self {
        Self::PortTaken { port: super::ports::in_words(port), holder: holder.into() }
    }
}

/// What is wrong has a code and words of its own.
impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        Self { code: error.code().into(), message: error.to_string(), hint: error.hint() }
    }
}

impl From<archetype_netns::Error> for Error {
    fn from(error: archetype_netns::Error) -> Self {
        Self::kernel("management network", error)
    }
}
