//! The client's end of an exec: frames over a WebSocket.

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, handshake::client::Request};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{ClientError, Target, chain};
use crate::exec::{ExecInput, ExecOutput, ExecStart, STDERR, STDIN, STDOUT};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Socket = WebSocketStream<Box<dyn Duplex>>;

/// Sends to a running command.
pub struct ExecSender(SplitSink<Socket, Message>);

/// Receives from a running command.
pub struct ExecReceiver {
    frames: SplitStream<Socket>,
    at: String,
}

impl ExecSender {
    /// Sends; an error means that the connection is gone.
    pub async fn send(&mut self, input: ExecInput) -> Result<(), ClientError> {
        let message = match input {
            ExecInput::Stdin(bytes) => Message::binary([&[STDIN], bytes.as_slice()].concat()),
            ExecInput::Wish(wish) => Message::text(serde_json::to_string(&wish).unwrap_or_default()),
        };
        let gone = |error: Error| ClientError::Unreachable { at: "the command".into(), why: chain(&error) };
        self.0.send(message).await.map_err(gone)
    }
}

impl ExecReceiver {
    /// The next piece; none when the connection closed without an [`ExecOutput::End`].
    pub async fn next(&mut self) -> Option<Result<ExecOutput, ClientError>> {
        loop {
            let strange = |why: String| ClientError::Strange { at: self.at.clone(), why };
            return Some(match self.frames.next().await? {
                Ok(Message::Binary(bytes)) => match bytes.split_first() {
                    Some((&STDOUT, rest)) => Ok(ExecOutput::Stdout(rest.to_vec())),
                    Some((&STDERR, rest)) => Ok(ExecOutput::Stderr(rest.to_vec())),
                    _ => Err(strange("a frame of an unknown channel came".into())),
                },
                Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                    Ok(end) => Ok(ExecOutput::End(end)),
                    Err(error) => Err(strange(error.to_string())),
                },
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(error @ (Error::Io(_) | Error::ConnectionClosed | Error::Protocol(_))) => {
                    Err(ClientError::BrokenOff { at: self.at.clone(), why: chain(&error) })
                }
                Err(error) => Err(strange(chain(&error))),
            });
        }
    }
}

/// Opens the WebSocket and sends what is to be run.
pub(super) async fn open(
    target: &Target,
    path: &str,
    start: &ExecStart,
) -> Result<(ExecSender, ExecReceiver), ClientError> {
    let at = target.to_string();
    let unreachable = |why: String| ClientError::Unreachable { at: at.clone(), why };
    let stream: Box<dyn Duplex> = match target {
        Target::Socket(socket) => Box::new(UnixStream::connect(socket).await.map_err(|e| unreachable(e.to_string()))?),
        Target::Http { address, .. } => {
            Box::new(TcpStream::connect(address).await.map_err(|e| unreachable(e.to_string()))?)
        }
    };
    let request = upgrade(target, path).map_err(|error| unreachable(chain(&error)))?;
    let (socket, _) = client_async(request, stream).await.map_err(|error| refused(error, &at))?;
    let (mut sender, frames) = socket.split();
    let first = Message::text(serde_json::to_string(start).unwrap_or_default());
    sender.send(first).await.map_err(|error| unreachable(chain(&error)))?;
    Ok((ExecSender(sender), ExecReceiver { frames, at: at.clone() }))
}

fn upgrade(target: &Target, path: &str) -> Result<Request, Error> {
    let (authority, token) = match target {
        Target::Socket(_) => ("localhost".to_string(), None),
        Target::Http { address, token } => (address.to_string(), Some(token)),
    };
    let mut request = format!("ws://{authority}{path}").into_client_request()?;
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|e| Error::HttpFormat(e.into()))?;
        request.headers_mut().insert("authorization", value);
    }
    Ok(request)
}

/// A refused upgrade brings a problem like every other refusal.
fn refused(error: Error, at: &str) -> ClientError {
    if let Error::Http(answer) = &error {
        let body = answer.body().as_deref().unwrap_or_default();
        if let Ok(problem) = serde_json::from_slice(body) {
            return ClientError::Refused(Box::new(problem));
        }
    }
    ClientError::Strange { at: at.to_string(), why: chain(&error) }
}
