//! `host`: this machine is prepared for nodes that are containers, and the other way round. Needs
//! no controller.

mod binary;
mod engine;
mod registration;
mod reset;
mod setup;

use std::path::{Path, PathBuf};

use crate::args::HostCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::table::counted;

/// The engine's name of our runtime.
const RUNTIME: &str = "archetype";
/// Where the runtime is, below the root. Outside of every checkout and data directory: the engine
/// calls it for exec, stop, kill and delete of every running node.
const BINARY: &str = "usr/local/libexec/archetype/archetype-oci";
/// The engine's settings, below the root, unless the engine was told another file.
const SETTINGS: &str = "etc/docker/daemon.json";

/// Runs `host setup` or `host reset` for the engine behind this socket.
pub fn run(command: HostCommand, socket: PathBuf) -> Result<Exit, Failure> {
    let lines = match command {
        HostCommand::Setup(args) => {
            let source = args.runtime_binary.map_or_else(binary::beside_this_program, Ok)?;
            setup::run(&Place::below(&args.engine.root), &socket, &source)?
        }
        HostCommand::Reset(args) => reset::run(&Place::below(&args.root), &socket)?,
    };
    lines.iter().try_for_each(|line| super::print(line))?;
    Ok(Exit::Fine)
}

/// Where things are on this machine.
#[derive(Debug)]
struct Place {
    binary: PathBuf,
    settings: PathBuf,
}

impl Place {
    fn below(root: &Path) -> Self {
        Self { binary: root.join(BINARY), settings: root.join(SETTINGS) }
    }
}

/// Why the machine could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The runtime's binary is not where it was looked for, or cannot be run.
    #[error("the runtime's binary {path} cannot be used: {why}")]
    Binary {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine's settings cannot be understood, and are left alone.
    #[error("the engine's settings cannot be understood: {why}\n  at {}:{line}:{column}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character, from 1.
        column: usize,
        /// What is wrong.
        why: String,
    },
    /// The engine was given its runtimes as arguments: it would refuse settings that name more.
    #[error("the engine was started with --add-runtime: it takes no runtimes from {}", path.display())]
    Arguments {
        /// The settings file.
        path: PathBuf,
        /// The argument that would do it.
        argument: String,
    },
    /// No engine answers.
    #[error("no Docker Engine answers at {}: {why}", socket.display())]
    NoEngine {
        /// Its socket.
        socket: PathBuf,
        /// What the attempt met.
        why: String,
    },
    /// The engine's process is not known, so that it cannot be told to read its settings again.
    #[error("the process of the engine at {} cannot be found", socket.display())]
    NoProcess {
        /// Its socket.
        socket: PathBuf,
    },
    /// The engine read its settings again and still does not list the runtime.
    #[error("the engine does not list the runtime {RUNTIME} although {} names it", path.display())]
    NotListed {
        /// The settings file.
        path: PathBuf,
    },
    /// Containers use the runtime: without it they cannot be stopped.
    #[error("{} of the engine use the runtime {RUNTIME}: {}", counted(containers.len(), "container"), containers.join(", "))]
    InUse {
        /// Their names.
        containers: Vec<String>,
    },
    /// The engine uses the runtime unless something else is said.
    #[error("{RUNTIME} is the engine's default runtime")]
    IsDefault,
}

impl HostError {
    /// What a person can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Binary { .. } => "name it with --runtime-binary PATH".to_owned(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => "be root".to_owned(),
            Self::File { .. } => return None,
            Self::Settings { .. } => "mend the file; nothing of it was changed".to_owned(),
            Self::Arguments { argument, .. } => format!("start dockerd with {argument} as well, or without any"),
            Self::NoEngine { .. } => "start it, or name its socket with --docker; then do this again".to_owned(),
            Self::NoProcess { .. } => {
                "let it read its settings: `systemctl reload docker`; then do this again".to_owned()
            }
            Self::NotListed { .. } => "look at the engine's log, or restart it".to_owned(),
            Self::InUse { .. } => "destroy the labs (`archetype destroy LAB`) or remove these containers".to_owned(),
            Self::IsDefault => "take default-runtime out of the engine's settings and restart it".to_owned(),
        };
        Some(hint)
    }
}

/// Replaces a file by a rename: whoever opens it sees the old one or the new one, whole.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
    use std::io::Write;
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

    let failed = |source| HostError::File { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
        file.write_all(content)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&fresh, path)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        // What was begun is of no use to anybody.
        let _ = std::fs::remove_file(&fresh);
        failed(source)
    })
}
