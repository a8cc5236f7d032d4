//! Waiting until a wish is judged, with what is being done shown meanwhile.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use archetype_api::progress::{Progress, Settled, Waited};
use archetype_api::{Accepted, ClientError, codes};
use archetype_model::LabName;
use archetype_model::status::{LinkState, NodeState};
use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::Connection;
use crate::duration;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::paint::{Paint, Tone};
use crate::progress::Display;
use crate::table;

/// How long to wait before a controller that went away is asked again.
const RETRY: Duration = Duration::from_millis(300);

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is nothing more to wait for.
    Settled(Settled),
    /// What was asked about is so; the rest of its lab may be long on its way.
    PartIsSo,
    /// The time was up.
    TimeUp,
}

/// A part of a lab whose rest is as wished within this is told with it.
const TOGETHER: Duration = Duration::from_secs(3);

/// So long at most what was asked about may still be on its way after a finding of something else: an engine gives a node
/// 10 s to stop.
const BESIDE: Duration = Duration::from_secs(15);

/// How one part of a lab stands to what was wished of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is so.
    AsWished,
    /// It is on its way there.
    UnderWay,
    /// It is not.
    Otherwise,
}

/// Whether the one part that was asked about comes to be as wished, whatever keeps the rest of its lab from being so: that
/// ended the waiting, and was not asked about. What is told of the rest says nothing of this part, which may take a moment
/// more then; where nothing comes of the lab any more, it is as it is.
pub async fn comes_true(end: End, look: impl AsyncFn() -> Standing) -> bool {
    let patience = match end {
        End::Settled(Settled::Finding) => BESIDE,
        End::Settled(Settled::AtRest) => Duration::ZERO,
        End::PartIsSo => return true,
        End::Settled(Settled::AsWanted | Settled::Gone | Settled::Overtaken) | End::TimeUp => return false,
    };
    let deadline = Instant::now() + patience;
    loop {
        match look().await {
            Standing::AsWished => return true,
            Standing::UnderWay if Instant::now() < deadline => sleep(RETRY).await,
            Standing::UnderWay | Standing::Otherwise => return false,
        }
    }
}

/// Waits until the accepted wish is judged, at most so long.
pub async fn settled(connection: &Connection, accepted: &Accepted, at_most: Duration) -> Result<End, Failure> {
    settled_or(connection, accepted, at_most, &Cell::new(false), std::future::pending()).await
}

/// The same for a wish about one part, which nothing else of its lab keeps waiting: that it is so ends the waiting, too.
pub async fn settled_with(
    connection: &Connection,
    accepted: &Accepted,
    at_most: Duration,
    look: impl AsyncFn() -> Standing,
) -> Result<End, Failure> {
    let told = Cell::new(false);
    let part = async {
        sleep(TOGETHER).await;
        while !told.get() || look().await != Standing::AsWished {
            sleep(RETRY).await;
        }
    };
    settled_or(connection, accepted, at_most, &told, part).await
}

async fn settled_or(
    connection: &Connection,
    accepted: &Accepted,
    at_most: Duration,
    told: &Cell<bool>,
    part: impl Future<Output = ()>,
) -> Result<End, Failure> {
    let deadline = Instant::now() + at_most;
    let mut display = Display::new();
    let end = tokio::select! {
        end = timeout_at(deadline, watch(connection, accepted, told, &mut display)) => end,
        () = part => Ok(Ok(End::PartIsSo)),
    };
    display.erase();
    match end {
        Ok(end) => end,
        Err(_) => Ok(at_last(connection, accepted).await),
    }
}

/// How it stands now that the time is up, which may have been too short to be told.
async fn at_last(connection: &Connection, accepted: &Accepted) -> End {
    let Accepted { lab, revision, .. } = accepted;
    match connection.client().wait(lab, *revision, Duration::ZERO).await {
        Ok(Waited { progress: Progress { settled: Some(settled), .. }, .. }) => End::Settled(settled),
        Err(ClientError::Refused(problem)) if problem.code == codes::LAB_UNKNOWN => End::Settled(Settled::Gone),
        _ => End::TimeUp,
    }
}

/// Follows the progress, and notes in `told` once what is told is of this wish. A controller that goes away is asked again:
/// the wish is durable.
async fn watch(
    connection: &Connection,
    accepted: &Accepted,
    told: &Cell<bool>,
    display: &mut Display,
) -> Result<End, Failure> {
    let Accepted { lab, revision, .. } = accepted;
    let mut is_away = false;
    loop {
        match connection.client().progress(lab, *revision).await {
            Ok(events) => {
                is_away = false;
                let mut events = pin!(events);
                while let Some(Ok(progress)) = events.next().await {
                    display.show(&progress);
                    told.set(progress.told && progress.revision == *revision);
                    if let Some(settled) = progress.settled {
                        return Ok(End::Settled(settled));
                    }
                }
            }
            Err(ClientError::Refused(problem)) if problem.code == codes::LAB_UNKNOWN => {
                return Ok(End::Settled(Settled::Gone));
            }
            Err(error @ ClientError::Refused(_)) => return Err(error.into()),
            Err(_) if is_away => {}
            Err(error) => {
                is_away = true;
                display.remark(&format!("{error}; waiting for it"));
            }
        }
        sleep(RETRY).await;
    }
}

/// Tells how waiting ended, and what stands in the way; gives the exit that says so.
pub async fn told(connection: &Connection, accepted: &Accepted, end: End, at_most: Duration) -> Exit {
    let Accepted { lab, revision, .. } = accepted;
    let paint = Paint::stderr();
    match end {
        End::Settled(Settled::AsWanted | Settled::Gone) | End::PartIsSo => Exit::Fine,
        End::Settled(Settled::Overtaken) => {
            eprintln!("{lab}: a newer wish took the place of revision {revision}");
            Exit::Failed
        }
        End::Settled(Settled::Finding) => {
            tell_findings(connection, lab, *revision, paint).await;
            Exit::Failed
        }
        End::Settled(Settled::AtRest) => {
            tell_findings(connection, lab, *revision, paint).await;
            tell_states(connection, lab).await;
            let word = paint.tone(Tone::Bad, "error:");
            eprintln!("{word} {lab} is not as wished, and nothing more comes of it by itself");
            eprintln!("  hint: look with `archetype inspect {lab}`");
            Exit::Failed
        }
        End::TimeUp => {
            tell_findings(connection, lab, *revision, paint).await;
            let word = paint.tone(Tone::Bad, "error:");
            eprintln!("{word} {lab} is not as wished after {}; it is still being worked on", duration::show(at_most));
            eprintln!("  hint: look with `archetype inspect {lab}`, or wait longer with --wait");
            Exit::NotConverged
        }
    }
}

/// What keeps the lab from being as wished, of its nodes and links.
async fn tell_states(connection: &Connection, lab: &LabName) {
    let Ok(lab) = connection.client().lab(lab).await else { return };
    let say = |what: String, why: Option<&str>| {
        eprintln!("{what}{}", why.map(|why| format!(": {why}")).unwrap_or_default());
    };
    for node in lab.nodes.iter().filter(|node| !matches!(node.state, NodeState::Running | NodeState::Stopped)) {
        say(format!("node {} is {}", node.name, node.state), node.reason.as_deref());
    }
    for link in lab.links.iter().filter(|link| !matches!(link.actual_state, LinkState::Up | LinkState::Down)) {
        say(format!("link {} is {}", link.id, link.actual_state), link.reason.as_deref());
    }
}

async fn tell_findings(connection: &Connection, lab: &LabName, revision: u64, paint: Paint) {
    let Ok(waited) = connection.client().wait(lab, revision, Duration::ZERO).await else { return };
    table::findings(&waited.findings, paint).iter().for_each(|finding| eprintln!("{finding}"));
    let Progress { doing, .. } = waited.progress;
    doing.iter().for_each(|what| eprintln!("in progress: {what}"));
}
