//! Commands to a running daemon of Open vSwitch over its control socket, as `ovs-appctl` sends them. Knows none
//! of the commands.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::session::refused;
use crate::{Error, Framer};

/// Runs `command` in the daemon that listens at `socket`, and returns what it prints. No time limit: a daemon
/// carries out one command at a time, and some wait.
///
/// # Errors
/// [`Error::Connect`], [`Error::Lost`], [`Error::Refused`] with the daemon's words, [`Error::Protocol`].
pub async fn call(socket: &Path, command: &str, args: &[&str]) -> Result<String, Error> {
    let refuse = |source: io::Error| Error::Connect {
        endpoint: format!("the control socket {}", socket.display()),
        source: Arc::new(source),
    };
    let lost = |error: io::Error| Error::lost(error.to_string());
    let mut stream = UnixStream::connect(socket).await.map_err(refuse)?;
    let request = json!({"id": 0, "method": command, "params": args}).to_string();
    stream.write_all(request.as_bytes()).await.map_err(lost)?;

    let (mut framer, mut chunk) = (Framer::new(), vec![0; 16 << 10]);
    loop {
        let length = stream.read(&mut chunk).await.map_err(lost)?;
        if length == 0 {
            return Err(Error::lost(format!("the daemon closed it before it answered `{command}`")));
        }
        framer.push(&chunk[..length]);
        if let Some(reply) = framer.pull().map_err(|error| Error::protocol(error.to_string()))? {
            return read_reply(command, reply);
        }
    }
}

fn read_reply(command: &str, mut reply: Json) -> Result<String, Error> {
    match (reply.get_mut("error").map(Json::take), reply.get_mut("result").map(Json::take)) {
        (None | Some(Json::Null), Some(Json::String(text))) => Ok(text),
        (None | Some(Json::Null), _) => Err(Error::protocol(format!("`{command}` answers no text"))),
        (Some(error), _) => Err(refused(command, &error)),
    }
}

/// Where `daemon` (such as `ovs-vswitchd`) listens: `<rundir>/<daemon>.<pid>.ctl`, with the pid from its pid file.
///
/// # Errors
/// [`Error::Connect`] if the pid file cannot be read, as when the daemon is not running.
pub async fn socket_of(rundir: &Path, daemon: &str) -> Result<PathBuf, Error> {
    let file = rundir.join(format!("{daemon}.pid"));
    let refuse = |source| Error::Connect { endpoint: file.display().to_string(), source: Arc::new(source) };
    let text = tokio::fs::read_to_string(&file).await.map_err(refuse)?;
    let pid: u32 = text.trim().parse().map_err(|error| refuse(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Ok(rundir.join(format!("{daemon}.{pid}.ctl")))
}
