//! Health checks of namespace nodes: what Docker does for its containers, in the same words. One
//! task per start of a node that has a check; it ends with that start.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use archetype_model::ContainerName;
use archetype_model::observed::{NodeObserved, Part, RunObserved};
use archetype_model::spec::{HealthcheckSpec, NodeBody, NodeSpec};
use tokio::time::Instant;

use super::{Inner, run, state};
use crate::event::Event;

/// What Docker takes where the file states none.
const INTERVAL: u64 = 30;
const TIMEOUT: u64 = 30;
const RETRIES: u64 = 3;
/// Nothing takes longer: so much can be added to any time.
const LONGEST: u64 = 100 * 365 * 86400;
/// How often a check under way is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What the checks of one start found so far.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    start: String,
    /// None where the node has no check.
    word: Option<&'static str>,
}

/// Tells the health of the nodes that have a check, and sees to it that they are checked.
pub(super) fn show(inner: &Arc<Inner>, nodes: &mut BTreeMap<ContainerName, NodeObserved>) {
    let mut known = inner.health();
    let running = |container: &ContainerName| {
        matches!(nodes.get(container), Some(NodeObserved { run: RunObserved::Running { .. }, .. }))
    };
    known.retain(|container, _| running(container));
    for (container, node) in nodes {
        let RunObserved::Running { start, health, .. } = &mut node.run else { continue };
        if known.get(container).is_none_or(|checked| checked.start != *start) {
            let checked = state::started(&inner.place, container).and_then(|started| started.checked);
            let word = checked.is_some().then_some("starting");
            known.insert(container.clone(), Checked { start: start.clone(), word });
            if let Some(spec) = checked {
                begin(inner, spec, start.clone());
            }
        }
        *health = known.get(container).and_then(|checked| checked.word).map(str::to_owned);
    }
}

fn begin(inner: &Arc<Inner>, node: Box<NodeSpec>, start: String) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let NodeBody::Namespace(body) = &node.body else { return };
    let Some(check) = body.healthcheck.clone() else { return };
    let inner = Arc::clone(inner);
    runtime.spawn(async move { watch(&inner, &node, &check, &start).await });
}

/// Checks until the start is over. A first failure counts only after the start period; the first
/// success ends that period.
async fn watch(inner: &Arc<Inner>, node: &NodeSpec, check: &HealthcheckSpec, start: &str) {
    let begun = Instant::now();
    let or = |stated: u64, default: u64| if stated == 0 { default } else { stated.min(LONGEST) };
    let (mut failures, mut was_healthy) = (0, false);
    loop {
        tokio::time::sleep(Duration::from_secs(or(check.interval, INTERVAL))).await;
        let test = (Arc::clone(inner), node.clone(), check.test.clone());
        let limit = Duration::from_secs(or(check.timeout, TIMEOUT));
        let passed =
            tokio::task::spawn_blocking(move || passes(&test.0, &test.1, &test.2, limit)).await.unwrap_or(false);
        let spared = !was_healthy && begun.elapsed() < Duration::from_secs(check.start_period);
        failures = if passed || spared { 0 } else { failures + 1 };
        was_healthy |= passed;
        let word = match passed {
            true => "healthy",
            false if failures >= or(check.retries, RETRIES) => "unhealthy",
            false if was_healthy => "healthy",
            false => "starting",
        };
        {
            let mut known = inner.health();
            let Some(checked) = known.get_mut(&node.container).filter(|checked| checked.start == start) else { return };
            if checked.word == Some(word) {
                continue;
            }
            checked.word = Some(word);
        }
        inner.waker.ring(Event::Changed(Part::Processes));
    }
}

/// Runs the test once: Docker's form, `CMD` and words or `CMD-SHELL` and a line.
fn passes(inner: &Inner, node: &NodeSpec, test: &[String], limit: Duration) -> bool {
    let shell = ["sh".to_owned(), "-c".to_owned()];
    let words: Vec<String> = match test.split_first() {
        Some((form, rest)) if form == "CMD-SHELL" => shell.into_iter().chain(rest.iter().cloned()).collect(),
        Some((form, rest)) if form == "CMD" => rest.to_vec(),
        _ => return false,
    };
    let Some((program, words)) = words.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let NodeBody::Namespace(body) = &node.body {
        command.envs(&body.env);
    }
    let Ok(mut child) = run::spawn_inside(&inner.place, node, command, run::Inside::default()) else { return false };
    let until = std::time::Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if std::time::Instant::now() < until => std::thread::sleep(LOOK),
            _ => {
                // Whether it could be killed or not, it did not pass.
                drop(child.kill());
                drop(child.wait());
                return false;
            }
        }
    }
}
