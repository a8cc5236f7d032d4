//! One connection: a reading and a writing task, calls under way, monitors being fed. Knows JSON-RPC, not what
//! the calls mean.
//!
//! The two tasks never wait for each other: a peer that stops reading while its answers pile up is normal, and
//! whoever writes without reading then blocks for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::{Error, Framer};

/// How many calls may be under way; further ones wait for a place in their order.
const WINDOW: usize = 32;
/// How many updates may wait for a monitor's owner before the monitor is given up.
const LONGEST_QUEUE: usize = 16_384;

/// A message's number in the order of arrival.
pub(crate) type Arrival = u64;

/// The answer to a call.
pub(crate) struct Reply {
    pub(crate) arrival: Arrival,
    pub(crate) result: Json,
}

/// A notification for a monitor.
pub(crate) struct Update {
    pub(crate) arrival: Arrival,
    pub(crate) updates: Json,
}

/// The receiving end of a monitor.
pub(crate) struct Feed {
    pub(crate) updates: mpsc::Receiver<Update>,
    /// Why no more updates come; set before the channel closes.
    pub(crate) end: Arc<OnceLock<Error>>,
}

struct Pending {
    method: &'static str,
    reply: oneshot::Sender<Result<Reply, Error>>,
    /// Kept here and not by the caller, so that an abandoned call holds its place until it is answered.
    _place: OwnedSemaphorePermit,
}

struct Watched {
    updates: mpsc::Sender<Update>,
    end: Arc<OnceLock<Error>>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    pending: HashMap<u64, Pending>,
    monitors: HashMap<String, Watched>,
}

/// What both tasks and all callers share.
pub(crate) struct Session {
    state: Mutex<State>,
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    window: Arc<Semaphore>,
    ended: watch::Sender<Option<Error>>,
}

impl Session {
    /// Starts the two tasks of a connection.
    pub(crate) fn start(
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Arc<Self> {
        let (outgoing, to_write) = mpsc::unbounded_channel();
        let session = Arc::new(Self {
            state: Mutex::default(),
            outgoing,
            window: Arc::new(Semaphore::new(WINDOW)),
            ended: watch::Sender::new(None),
        });
        tokio::spawn(run(Arc::clone(&session), read(Arc::clone(&session), reader)));
        tokio::spawn(run(Arc::clone(&session), write(to_write, writer)));
        session
    }

    /// Calls `method` and waits for the answer. A call that is dropped after it was sent is still carried out.
    pub(crate) async fn call(&self, method: &'static str, params: Json) -> Result<Reply, Error> {
        let place = Arc::clone(&self.window).acquire_owned().await.map_err(|_| self.why_ended())?;
        let (reply, answer) = oneshot::channel();
        self.send(method, params, Pending { method, reply, _place: place })?;
        answer.await.unwrap_or_else(|_| Err(self.why_ended()))
    }

    fn send(&self, method: &str, params: Json, pending: Pending) -> Result<(), Error> {
        let mut state = self.lock();
        // Looked at under the lock: `end` sets it before it takes the lock to empty the table of calls.
        if let Some(error) = self.ended.borrow().clone() {
            return Err(error);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.pending.insert(id, pending);
        // Sent under the lock, so that the order of ids is the order on the wire.
        self.write(&json!({"method": method, "params": params, "id": id}));
        Ok(())
    }

    /// Queues a message for the writing task. A closed queue means that the session has ended.
    fn write(&self, message: &Json) {
        let _ = self.outgoing.send(message.to_string().into_bytes());
    }

    /// Begins to gather updates for the monitor `id`; to be done before the server is asked for it.
    pub(crate) fn watch(&self, id: &str) -> Feed {
        let (sender, updates) = mpsc::channel(LONGEST_QUEUE);
        let end = Arc::new(OnceLock::new());
        let mut state = self.lock();
        if let Some(error) = self.ended.borrow().clone() {
            let _ = end.set(error);
        } else {
            state.monitors.insert(id.to_owned(), Watched { updates: sender, end: Arc::clone(&end) });
        }
        Feed { updates, end }
    }

    /// Stops gathering updates for the monitor `id` and tells the server, whose answer nobody needs.
    pub(crate) fn unwatch(&self, id: &str) {
        if self.lock().monitors.remove(id).is_some() {
            self.cancel(id);
        }
    }

    /// Tells the server that the monitor `id` is not wanted any more.
    fn cancel(&self, id: &str) {
        self.write(&json!({"method": "monitor_cancel", "params": [id], "id": format!("cancel-{id}")}));
    }

    /// Ends the session once and for all: every call under way fails, every monitor's stream closes.
    pub(crate) fn end(&self, error: Error) {
        let first = self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| error.clone());
            first
        });
        if !first {
            return;
        }
        self.window.close();
        let (pending, monitors) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.pending), std::mem::take(&mut state.monitors))
        };
        for call in pending.into_values() {
            let _ = call.reply.send(Err(error.clone()));
        }
        for monitor in monitors.into_values() {
            let _ = monitor.end.set(error.clone());
        }
    }

    /// Tells when the session has ended, and why.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<Error>> {
        self.ended.subscribe()
    }

    fn why_ended(&self) -> Error {
        self.ended.borrow().clone().unwrap_or_else(|| Error::lost("the session is over"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in one message from the server.
    fn receive(&self, arrival: Arrival, mut message: Json) -> Result<(), Error> {
        let id = message.get_mut("id").map(Json::take).unwrap_or_default();
        let method = message.get("method").and_then(Json::as_str).map(str::to_owned);
        let params = message.get_mut("params").map(Json::take);
        match (method.as_deref(), params) {
            (Some("echo"), params) => self.write(&json!({"id": id, "result": params, "error": null})),
            (Some("update2"), Some(Json::Array(params))) => self.feed(arrival, params)?,
            (Some("monitor_canceled"), Some(Json::Array(params))) => {
                if let Some(monitor) = params.first().and_then(Json::as_str) {
                    self.close_monitor(monitor, Error::Cancelled);
                }
            }
            (Some(method), _) if id.is_null() => tracing::debug!(method, "an unknown notification is ignored"),
            (Some(_), _) => self.write(&json!({"id": id, "result": null, "error": "unknown method"})),
            (None, _) => self.answer(arrival, &id, message),
        }
        Ok(())
    }

    fn answer(&self, arrival: Arrival, id: &Json, mut message: Json) {
        let call = id.as_u64().and_then(|id| self.lock().pending.remove(&id));
        let Some(call) = call else {
            tracing::debug!(%id, "an answer that nobody waits for is ignored");
            return;
        };
        let answer = match message.get("error") {
            Some(error) if !error.is_null() => Err(refused(call.method, error)),
            _ => Ok(Reply { arrival, result: message.get_mut("result").map(Json::take).unwrap_or_default() }),
        };
        let _ = call.reply.send(answer);
    }

    fn feed(&self, arrival: Arrival, params: Vec<Json>) -> Result<(), Error> {
        let Ok([Json::String(id), updates]) = <[Json; 2]>::try_from(params) else {
            return Err(Error::protocol("an update2 has not a monitor's id and updates"));
        };
        let lagging = match self.lock().monitors.get(&id) {
            Some(monitor) => monitor.updates.try_send(Update { arrival, updates }).is_err(),
            None => false,
        };
        if lagging {
            self.close_monitor(&id, Error::Lagged { waiting: LONGEST_QUEUE });
            self.cancel(&id);
        }
        Ok(())
    }

    fn close_monitor(&self, id: &str, error: Error) {
        if let Some(monitor) = self.lock().monitors.remove(id) {
            let _ = monitor.end.set(error);
        }
    }
}

/// The error of a whole call: an object with details, or anything.
pub(crate) fn refused(method: &str, error: &Json) -> Error {
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), |text| text.trim_end().to_owned());
    Error::Refused {
        method: method.to_owned(),
        error: text(error.get("error").unwrap_or(error)),
        details: error.get("details").map(text).unwrap_or_default(),
    }
}

/// Runs one of the two tasks until it fails or the session ends otherwise.
async fn run(session: Arc<Session>, task: impl Future<Output = Error>) {
    let mut ended = session.ended();
    tokio::select! {
        error = task => session.end(error),
        _ = ended.wait_for(Option::is_some) => {}
    }
}

async fn read(session: Arc<Session>, mut reader: impl AsyncRead + Unpin) -> Error {
    let mut framer = Framer::new();
    let mut chunk = vec![0; 64 << 10];
    let mut arrival = 0;
    loop {
        match reader.read(&mut chunk).await {
            Ok(0) if framer.is_mid_message() => return Error::lost("the server closed it in the middle of a message"),
            Ok(0) => return Error::lost("the server closed it"),
            Ok(length) => framer.push(&chunk[..length]),
            Err(error) => return Error::lost(error.to_string()),
        }
        loop {
            let received = match framer.pull() {
                Ok(None) => break,
                Ok(Some(message)) => session.receive(arrival, message),
                Err(error) => Err(Error::protocol(error.to_string())),
            };
            arrival += 1;
            if let Err(error) = received {
                return error;
            }
        }
    }
}

async fn write(mut messages: mpsc::UnboundedReceiver<Vec<u8>>, mut writer: impl AsyncWrite + Unpin) -> Error {
    while let Some(mut bytes) = messages.recv().await {
        while let Ok(more) = messages.try_recv() {
            bytes.extend_from_slice(&more);
        }
        if let Err(error) = writer.write_all(&bytes).await {
            return Error::lost(error.to_string());
        }
    }
    Error::lost("nobody uses it any more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::DuplexStream;
    use tokio::time::timeout;

    /// The server's side of a connection, played by the test.
    struct Peer {
        stream: DuplexStream,
        framer: Framer,
    }

    impl Peer {
        fn connected() -> (Arc<Session>, Self) {
            let (ours, stream) = tokio::io::duplex(1 << 20);
            let (reader, writer) = tokio::io::split(ours);
            (Session::start(reader, writer), Self { stream, framer: Framer::new() })
        }

        async fn next(&mut self) -> Json {
            loop {
                if let Some(message) = self.framer.pull().unwrap() {
                    return message;
                }
                self.framer.push(&[self.stream.read_u8().await.unwrap()]);
            }
        }

        async fn is_silent(&mut self) -> bool {
            timeout(Duration::from_millis(50), self.next()).await.is_err()
        }

        async fn say(&mut self, message: Json) {
            self.stream.write_all(message.to_string().as_bytes()).await.unwrap();
        }
    }

    fn call(session: &Arc<Session>) -> tokio::task::JoinHandle<Result<Reply, Error>> {
        let session = Arc::clone(session);
        tokio::spawn(async move { session.call("echo", json!([])).await })
    }

    #[tokio::test]
    async fn no_more_calls_than_the_window_are_under_way_even_if_some_were_abandoned() {
        let (session, mut peer) = Peer::connected();
        let calls: Vec<_> = (0..=WINDOW).map(|_| call(&session)).collect();
        let mut ids = Vec::new();
        for _ in 0..WINDOW {
            ids.push(peer.next().await["id"].take());
        }
        calls[..WINDOW].iter().for_each(tokio::task::JoinHandle::abort);
        assert!(peer.is_silent().await);
        peer.say(json!({"id": ids[7], "result": [], "error": null})).await;
        let last = peer.next().await["id"].take();
        peer.say(json!({"id": last, "result": [1], "error": null})).await;
        assert_eq!(calls.into_iter().next_back().unwrap().await.unwrap().unwrap().result, json!([1]));
    }

    #[tokio::test]
    async fn an_echo_is_answered_with_its_params_while_calls_wait() {
        let (session, mut peer) = Peer::connected();
        let _calls: Vec<_> = (0..2 * WINDOW).map(|_| call(&session)).collect();
        for _ in 0..WINDOW {
            peer.next().await;
        }
        peer.say(json!({"id": "echo", "method": "echo", "params": [3]})).await;
        assert_eq!(peer.next().await, json!({"id": "echo", "result": [3], "error": null}));
    }

    #[tokio::test]
    async fn a_monitor_that_is_not_read_is_given_up() {
        let (session, mut peer) = Peer::connected();
        let mut feed = session.watch("m");
        for _ in 0..=LONGEST_QUEUE {
            peer.say(json!({"id": null, "method": "update2", "params": ["m", {}]})).await;
        }
        assert_eq!(peer.next().await["method"], "monitor_cancel");
        assert!(matches!(feed.end.get(), Some(Error::Lagged { .. })));
        let mut taken = 0;
        while feed.updates.recv().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, LONGEST_QUEUE);
    }

    #[tokio::test]
    async fn rubbish_or_an_end_within_a_message_ends_the_session() {
        let (session, mut peer) = Peer::connected();
        let waiting = call(&session);
        peer.next().await;
        peer.stream.write_all(b"HTTP").await.unwrap();
        assert!(matches!(waiting.await.unwrap(), Err(Error::Protocol { .. })));

        let (session, mut peer) = Peer::connected();
        let waiting = call(&session);
        peer.next().await;
        peer.stream.write_all(b"{\"id\":0,").await.unwrap();
        drop(peer);
        let error = waiting.await.unwrap().err().unwrap();
        assert!(error.to_string().contains("middle of a message"), "{error}");
        assert!(session.call("echo", json!([])).await.is_err());
    }

    #[tokio::test]
    async fn a_cancelled_monitor_says_so() {
        let (session, mut peer) = Peer::connected();
        let mut feed = session.watch("m");
        peer.say(json!({"id": null, "method": "monitor_canceled", "params": ["m"]})).await;
        assert!(feed.updates.recv().await.is_none());
        assert!(matches!(feed.end.get(), Some(Error::Cancelled)));
    }
}
