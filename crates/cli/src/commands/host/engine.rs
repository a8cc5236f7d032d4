//! The Docker Engine behind a socket: what it says of runtimes and containers, and its process.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::HostError;

/// The most an answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// Where the engine writes its process id.
const PID_FILE: &str = "/var/run/docker.pid";

/// An engine that answers.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// A runtime as the engine lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    runtimes: BTreeMap<String, Listed>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: String,
    host_config: HostConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    runtime: String,
}

/// The engine's process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    arguments: Vec<String>,
}

impl Engine {
    /// The engine behind the socket, if it answers.
    pub fn connect(socket: &Path) -> Result<Self, HostError> {
        let away = |why: String| HostError::NoEngine { socket: socket.to_owned(), why };
        UnixStream::connect(socket).map_err(|error| away(error.to_string()))?;
        let http = reqwest::Client::builder().unix_socket(socket).timeout(ANSWER).build();
        let http = http.map_err(|error| away(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| away(error.to_string()))?;
        Ok(Self { socket: socket.to_owned(), http, runtime })
    }

    /// The path at which the engine has a runtime; none when it does not list it.
    pub fn runtime_path(&self, name: &str) -> Result<Option<String>, HostError> {
        let mut info: Info = self.get("/info")?.unwrap_or(Info { runtimes: BTreeMap::new() });
        Ok(info.runtimes.remove(name).map(|listed| listed.path.unwrap_or_default()))
    }

    /// The names of all containers of a runtime, stopped ones too.
    pub fn containers_of(&self, runtime: &str) -> Result<Vec<String>, HostError> {
        let all: Vec<Summary> = self.get("/containers/json?all=true")?.unwrap_or_default();
        let mut names = Vec::new();
        for Summary { id } in all {
            // One that is gone by now uses nothing.
            let Some(container) = self.get::<Container>(&format!("/containers/{id}/json"))? else { continue };
            if container.host_config.runtime == runtime {
                names.push(container.name.trim_start_matches('/').to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The engine's process.
    pub fn process(&self) -> Result<Process, HostError> {
        // Where systemd holds the socket, the other end of it is systemd.
        let peer = UnixStream::connect(&self.socket)
            .ok()
            .and_then(|stream| getsockopt(&stream, sockopt::PeerCredentials).ok())
            .map(|peer| peer.pid());
        let written = std::fs::read_to_string(PID_FILE).ok().and_then(|text| text.trim().parse().ok());
        let found = peer.into_iter().chain(written).find_map(dockerd);
        found.ok_or_else(|| HostError::NoProcess { socket: self.socket.clone() })
    }

    /// An answer of the engine; none when it says that there is no such thing.
    fn get<A: DeserializeOwned>(&self, path: &str) -> Result<Option<A>, HostError> {
        let answer = self.runtime.block_on(async {
            let answer = self.http.get(format!("http://docker{path}")).send().await?;
            if answer.status() == reqwest::StatusCode::NOT_FOUND {
                return Ok(None);
            }
            answer.error_for_status()?.json().await.map(Some)
        });
        answer.map_err(|error: reqwest::Error| HostError::NoEngine {
            socket: self.socket.clone(),
            why: format!("{path}: {error}"),
        })
    }
}

impl Process {
    /// The settings file that the engine was told to read.
    pub fn settings_file(&self) -> Option<PathBuf> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if let Some(file) = argument.strip_prefix("--config-file") {
                return file.strip_prefix('=').map(PathBuf::from).or_else(|| arguments.next().map(PathBuf::from));
            }
        }
        None
    }

    /// Whether its runtimes are arguments: then its settings must name none.
    pub fn has_runtime_arguments(&self) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with("--add-runtime"))
    }

    /// Tells it to read its settings again.
    pub fn reload(&self, socket: &Path) -> Result<(), HostError> {
        kill(self.pid, Signal::SIGHUP).map_err(|_| HostError::NoProcess { socket: socket.to_owned() })
    }
}

/// The process of this id, if it is an engine: any other could die of our signal.
fn dockerd(pid: i32) -> Option<Process> {
    let of = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    if of("comm")? != b"dockerd\n" {
        return None;
    }
    let line = of("cmdline")?;
    let arguments = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    Some(Process { pid: Pid::from_raw(pid), arguments: arguments.collect() })
}
