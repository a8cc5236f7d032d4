//! The engine's socket: who listens there, which API it speaks, what its process may do. Knows no
//! container.
//!
//! The greeting is spoken by hand because it must carry no API version: an engine answers a
//! versioned path only when it knows that version, and which it knows is the question.

use std::path::Path;

use archetype_model::observed::DaemonStart;
use bollard::{ClientVersion, Docker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::error::EngineError;

/// The newest API this room was written for.
const NEWEST: (usize, usize) = (1, 47);
/// More than any answer to a greeting holds.
const ANSWER: u64 = 64 * 1024;

/// What an engine says of itself before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    /// The newest API it speaks, as (major, minor).
    pub api: (usize, usize),
    /// The process that listens.
    pub daemon: Option<DaemonStart>,
}

/// Asks the engine behind `socket` for a sign of life. The caller sets the time limit.
pub(super) async fn greet(socket: &Path) -> Result<Greeting, EngineError> {
    let unreachable = |error: std::io::Error| EngineError::unreachable(format!("{}: {error}", socket.display()));
    let mut stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n").await.map_err(unreachable)?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer).await.map_err(unreachable)?;
    let api = api_version(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| EngineError::unreachable(format!("{}: no Docker Engine answers there", socket.display())))?;
    Ok(Greeting { api, daemon: pid.and_then(|pid| daemon_start(pid, socket)) })
}

/// A client that speaks the newest API which both sides know, and says so in each call: without a
/// version in its path a call means whatever the engine thinks newest.
pub(super) fn client(socket: &Path, seconds: u64, engine: (usize, usize)) -> Result<Docker, EngineError> {
    let version = common_version(engine);
    let client = Docker::connect_with_unix(&socket.to_string_lossy(), seconds, &version)?;
    let prefix = format!("/v{}.{}", version.major_version, version.minor_version);
    Ok(client.with_request_modifier(move |mut request| {
        let (scheme, host) = (request.uri().scheme_str(), request.uri().authority());
        let path = request.uri().path_and_query().map(|path| path.as_str()).unwrap_or_default();
        if let (Some(scheme), Some(host), false) = (scheme, host, path.starts_with("/v1."))
            && let Ok(versioned) = format!("{scheme}://{host}{prefix}{path}").parse()
        {
            *request.uri_mut() = versioned;
        }
        request
    }))
}

/// The API version to use with an engine that speaks up to `engine`.
fn common_version(engine: (usize, usize)) -> ClientVersion {
    let (major_version, minor_version) = engine.min(NEWEST);
    ClientVersion { major_version, minor_version }
}

fn api_version(answer: &str) -> Option<(usize, usize)> {
    let mut lines = answer.lines();
    if !lines.next()?.contains(" 200 ") {
        return None;
    }
    let value = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("api-version").then(|| value.trim())
    })?;
    let (major, minor) = value.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The engine's own process. Where another process made the socket for it (socket activation) the
/// engine's pid file tells, for the usual socket.
fn daemon_start(listener: i32, socket: &Path) -> Option<DaemonStart> {
    let usual = socket.ends_with("run/docker.sock");
    let noted = || std::fs::read_to_string("/run/docker.pid").ok()?.trim().parse().ok();
    let pid = match (listener, usual) {
        (0, _) => return None,
        (1, true) => noted().unwrap_or(1),
        (pid, _) => pid.unsigned_abs(),
    };
    Some(DaemonStart { pid, ticks: start_ticks(pid)? })
}

fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; fields are counted after its closing bracket, the third first.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_version_is_read_from_the_header_in_any_case() {
        let answer = "HTTP/1.0 200 OK\r\nServer: x\r\nApi-Version: 1.41\r\n\r\nOK";
        assert_eq!(api_version(answer), Some((1, 41)));
        assert_eq!(api_version(&answer.to_lowercase().replace("ok", "OK")), Some((1, 41)));
        assert_eq!(api_version("HTTP/1.0 404 Not Found\r\nApi-Version: 1.41\r\n\r\n"), None);
        assert_eq!(api_version("HTTP/1.0 200 OK\r\n\r\nApi-Version: 1.41"), None);
        assert_eq!(api_version(""), None);
    }

    #[test]
    fn an_old_engine_is_spoken_to_in_its_own_version() {
        assert_eq!(common_version((1, 41)).minor_version, 41);
        assert_eq!(common_version((1, 99)).minor_version, NEWEST.1);
    }

    #[test]
    fn a_process_has_a_start() {
        assert!(start_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
    }
}
