//! The controller as a whole: opened from a data directory, serving, and stopped without touching
//! a lab.

mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archetype_model::HostName;
use archetype_plan::blueprint::PlanSettings;
use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bell::Bell;
use crate::desk::Desk;
use crate::dispatch;
use crate::http::{Token, router};
use crate::intake::Intake;
use crate::now::{Board, Heard, Now};
use crate::planning::Planner;
use crate::port::AgentPort;
use crate::reader::FileReader;
use crate::store::{Identity, Sqlite, Store, StoreError};

/// How a controller works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it keeps everything; made 0700 when missing.
    pub data: PathBuf,
    /// The unix socket; made 0600. Who may connect to it may do everything.
    pub socket: PathBuf,
    /// Where it listens for HTTP with the token of `<data>/token`; none for nowhere. Loopback only.
    pub listen: Option<SocketAddr>,
    /// Reads the files that users send.
    pub reader: FileReader,
    /// How plans are made.
    pub plan: PlanSettings,
    /// After so long without a word from it, a host counts as silent.
    pub silent_after: Duration,
}

/// Why a controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot listen.
    #[error("cannot listen on {at}: {why}")]
    Listen {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// The token cannot be read or made.
    #[error("the token in {data} cannot be read or made: {why}")]
    Token {
        /// The data directory.
        data: String,
        /// Why.
        why: std::io::Error,
    },
}

/// A controller whose store is open. Its identity is known before an agent is made for it.
pub struct Controller {
    settings: Settings,
    store: Arc<dyn Store>,
}

/// A controller that serves.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    intake: tokio::task::JoinHandle<()>,
    socket: PathBuf,
    listening: Option<SocketAddr>,
}

impl Controller {
    /// Opens the store in the data directory.
    pub async fn open(settings: Settings) -> Result<Self, StartError> {
        let store = Arc::new(Sqlite::open(&settings.data).await?);
        Ok(Self { settings, store })
    }

    /// A controller on a store that is open already.
    pub fn with_store(settings: Settings, store: Arc<dyn Store>) -> Self {
        Self { settings, store }
    }

    /// Which installation this is.
    pub fn identity(&self) -> &Identity {
        self.store.identity()
    }

    /// Serves, with this agent for its host.
    pub async fn start(self, agent: AgentPort) -> Result<Running, StartError> {
        let Settings { data, socket, listen, reader, plan, silent_after } = self.settings;
        let token = match listen {
            Some(_) => {
                Some(Token::of(&data).map_err(|why| StartError::Token { data: data.display().to_string(), why })?)
            }
            None => None,
        };
        let unix = listen::unix(&socket)?;
        let tcp = match listen {
            Some(address) => Some(listen::tcp(address).await?),
            None => None,
        };
        let listening = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        let board = Board::new(now(&*self.store, agent.host.clone()).await?);
        let bell = Bell::default();
        let (store, access) = (self.store.clone(), agent.access.clone());
        let planner = Arc::new(Planner::new(store, board.clone(), access, bell.clone(), plan));
        let desk = Desk {
            store: self.store.clone(),
            board: board.clone(),
            planner: planner.clone(),
            access: agent.access.clone(),
            bell: bell.clone(),
            silent_after,
            reader,
        };
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let planner = planner.clone();
            async move {
                planner.refresh_facts().await;
                planner.run().await;
            }
        });
        tasks.spawn(dispatch::run(board.clone(), agent.access.clone()));
        tasks.spawn(serve_unix(unix, router(desk.clone(), None), stopped.clone()));
        if let Some(tcp) = tcp {
            tasks.spawn(serve_tcp(tcp, router(desk, token), stopped.clone()));
        }
        let intake = Intake { store: self.store, board, planner, access: agent.access, bell, silent_after };
        let intake = tokio::spawn(intake.run(agent.reports, stopped));
        Ok(Running { stop, tasks, intake, socket, listening })
    }
}

impl Running {
    /// Where it listens for HTTP, with the port that was given.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// Stops serving. No lab is touched; what was accepted is in the store.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // What streams would never end by itself: clients reconnect to the next life.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.tasks.shutdown().await;
        drop(self.intake.await);
        drop(std::fs::remove_file(&self.socket));
    }
}

async fn serve_unix(listener: tokio::net::UnixListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the unix socket is no longer served");
    }
}

async fn serve_tcp(listener: tokio::net::TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "HTTP is no longer served");
    }
}

/// The first picture, from the store.
async fn now(store: &dyn Store, host: HostName) -> Result<Now, StoreError> {
    let revisions = store.current().await?.into_iter().map(|revision| (revision.lab.clone(), revision)).collect();
    let kept = store.reports().await?.into_iter().find(|verified| verified.report.host == host);
    let heard = kept.map(|verified| Heard {
        all_read_at_ms: verified.report.unreadable.is_empty().then_some(verified.verified_at_ms),
        verified_at_ms: verified.verified_at_ms,
        report: Arc::new(verified.report),
        repairs: Vec::new(),
        received: None,
    });
    let mut now = Now {
        host,
        revisions,
        target: None,
        planned: Default::default(),
        since: Default::default(),
        heard,
        refusal: None,
    };
    if let Some(target) = store.target().await? {
        now.take_target(target);
    }
    Ok(now)
}
