//! Commands in nodes, over a WebSocket.

use archetype_api::Problem;
use archetype_api::codes;
use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish, STDERR, STDIN, STDOUT};
use archetype_model::{LabName, NodeName};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;

use super::extract::Segments;
use super::failure::Failure;
use crate::desk::{Desk, node};
use crate::port::Attached;

/// Run a command in a node
///
/// A WebSocket. The client's first frame is text, an `ExecStart`. After it, binary frames carry
/// bytes behind one byte that names the channel (0 to the command, 1 its output, 2 its error
/// output), text frames carry an `ExecWish`; the server's last frame is text, an `ExecEnd`.
#[utoipa::path(get, path = "/labs/{lab}/nodes/{node}/exec", tag = "nodes",
    params(("lab" = String, Path), ("node" = String, Path)),
    responses((status = 101, description = "The WebSocket is open."), (status = 404, body = Problem)))]
pub(super) async fn exec(
    State(desk): State<Desk>,
    Segments((lab, name)): Segments<(LabName, NodeName)>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|error| Failure::unreadable(error.body_text()))?;
    node(&desk.board.look(), &lab, &name)?;
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        if let Some(end) = serve(&mut socket, &desk, &lab, &name).await {
            let text = serde_json::to_string(&end).unwrap_or_default();
            drop(socket.send(Message::text(text)).await);
        }
        drop(socket.send(Message::Close(None)).await);
    }))
}

/// Serves one command; none when the client has gone.
async fn serve(socket: &mut WebSocket, desk: &Desk, lab: &LabName, name: &NodeName) -> Option<ExecEnd> {
    let start = match first(socket).await? {
        Ok(start) => start,
        Err(why) => return Some(failed(Failure::unreadable(why).0)),
    };
    let found = node(&desk.board.look(), lab, name).cloned();
    let attached = match found {
        Ok(spec) => desk.access.exec(&spec, start).await,
        Err(problem) => Err(problem),
    };
    match attached {
        Ok(attached) => pump(socket, attached).await,
        Err(problem) => Some(failed(problem)),
    }
}

async fn first(socket: &mut WebSocket) -> Option<Result<ExecStart, String>> {
    loop {
        return match socket.recv().await?.ok()? {
            Message::Text(text) => Some(serde_json::from_str(&text).map_err(|error| error.to_string())),
            Message::Binary(_) => Some(Err("the first frame must say what to run".to_string())),
            Message::Close(_) => None,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
    }
}

/// Carries frames both ways until the command ends or the client goes; dropping `attached` then
/// tells the host, whose sort of node says what becomes of the command.
async fn pump(socket: &mut WebSocket, attached: Attached) -> Option<ExecEnd> {
    let Attached { input, mut output } = attached;
    // What the command has no room for yet. Its output goes on meanwhile: who waits for that to be taken takes no input.
    let mut waiting: Option<ExecInput> = None;
    loop {
        // Cancel safe: each arm takes one message, or room for one.
        tokio::select! {
            output = output.recv() => match output {
                Some(ExecOutput::Stdout(bytes)) => send(socket, STDOUT, &bytes).await?,
                Some(ExecOutput::Stderr(bytes)) => send(socket, STDERR, &bytes).await?,
                Some(ExecOutput::End(end)) => return Some(end),
                None => return Some(failed(Box::new(lost()))),
            },
            room = input.reserve(), if waiting.is_some() => {
                // A command that no longer reads loses what is sent to it, as everywhere.
                if let (Ok(room), Some(wish)) = (room, waiting.take()) {
                    room.send(wish);
                }
            }
            frame = socket.recv(), if waiting.is_none() => match frame?.ok()? {
                Message::Close(_) => return None,
                Message::Binary(bytes) => match bytes.split_first() {
                    Some((&STDIN, rest)) => waiting = Some(ExecInput::Stdin(rest.to_vec())),
                    _ => return Some(failed(Failure::unreadable("a frame of an unknown channel came").0)),
                },
                Message::Text(text) => match serde_json::from_str::<ExecWish>(&text) {
                    Ok(wish) => waiting = Some(ExecInput::Wish(wish)),
                    Err(error) => return Some(failed(Failure::unreadable(error).0)),
                },
                Message::Ping(_) | Message::Pong(_) => {}
            },
        }
    }
}

async fn send(socket: &mut WebSocket, channel: u8, bytes: &[u8]) -> Option<()> {
    socket.send(Message::binary([&[channel], bytes].concat())).await.ok()
}

fn failed(problem: Box<Problem>) -> ExecEnd {
    ExecEnd::Failed(problem)
}

fn lost() -> Problem {
    Problem::new(502, codes::EXEC_FAILED, "the command could no longer be followed").hint("see whether its node runs")
}
