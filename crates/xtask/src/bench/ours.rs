//! Our agent on the real host, in this process, with a stopwatch between the two.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use archetype_agent::{Agent, AgentSettings, Clock, Envelope, Handle, Ledger};
use archetype_host::{Host, LinuxHost, LinuxSettings, Place, ProbeOrder, Waker};
use archetype_model::observed::Observed;
use archetype_model::report::{Fault, ProbeResult};
use archetype_model::spec::HostSpec;
use archetype_model::status::LinkState;
use archetype_model::step::{Outcome, Step};
use archetype_plan::judge;
use archetype_testbed::{Ovs, scratch_dir};
use async_trait::async_trait;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::size::{BRIDGE, INSTALLATION, datapath};

const LIMIT: Duration = Duration::from_secs(60);

/// One call of the agent to its host.
#[derive(Debug, Clone)]
pub struct Call {
    pub what: String,
    pub began: Instant,
    pub ended: Instant,
}

/// The calls since somebody last asked.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    fn note(&self, what: String, began: Instant) {
        let call = Call { what, began, ended: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// Gives them, and forgets them.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The host, timed. Where no frame can pass (a pretended datapath) it answers probes itself.
#[derive(Clone)]
struct Timed {
    host: LinuxHost,
    calls: Calls,
    pretend: bool,
}

#[async_trait]
impl Host for Timed {
    async fn observe(&self) -> Observed {
        let began = Instant::now();
        let observed = self.host.observe().await;
        self.calls.note("observe".into(), began);
        observed
    }

    async fn full_read(&self) -> u64 {
        self.host.full_read().await
    }

    async fn apply(&self, spec: &Arc<HostSpec>, steps: &[Step]) -> Vec<Outcome> {
        let began = Instant::now();
        let outcomes = self.host.apply(spec, steps).await;
        let first = steps.first().map(ToString::to_string).unwrap_or_default();
        self.calls.note(format!("apply {}: {first}", steps.len()), began);
        outcomes
    }

    async fn probe(&self, orders: &[ProbeOrder]) -> Vec<ProbeResult> {
        if self.pretend {
            return orders.iter().map(|_| ProbeResult::Crossed).collect();
        }
        let began = Instant::now();
        let results = self.host.probe(orders).await;
        let lost = results.iter().filter(|result| !matches!(result, ProbeResult::Crossed)).count();
        self.calls.note(format!("probe {} (lost {lost})", orders.len()), began);
        results
    }
}

/// A running agent.
pub struct Ours<'r> {
    runtime: &'r Runtime,
    handle: Handle,
    reports: UnboundedReceiver<Envelope>,
    pub calls: Calls,
    pretend: bool,
}

impl<'r> Ours<'r> {
    /// Starts an agent with an empty ledger and lets its first pass go by.
    pub fn start(runtime: &'r Runtime, ovs: &Ovs, name: &str, pretend: bool) -> anyhow::Result<Self> {
        let _guard = runtime.enter();
        let (waker, events) = Waker::channel();
        let settings = LinuxSettings {
            place: Place::new(INSTALLATION.parse()?),
            datapath: archetype_host::datapath::DatapathSettings {
                endpoint: ovs.target().parse()?,
                bridge: BRIDGE.parse()?,
                kind: None,
                rundir: ovs.socket().parent().map(std::path::Path::to_path_buf),
            },
            docker_socket: None,
            docker_runtime: "archetype".into(),
            keep_exec: Arc::new(|_| Ok(())),
            known_exec: Arc::new(|_, _, _| None),
            hosts_path: None,
            supervisor: "/nonexistent".into(),
            host_commands: Default::default(),
        };
        let calls = Calls::default();
        let host = Arc::new(Timed { host: LinuxHost::open(settings, &waker)?, calls: calls.clone(), pretend });
        let settings =
            AgentSettings { datapath: datapath(), full_read_interval: Duration::from_secs(60), probe_interval: None };
        let ledger = Ledger::open(&scratch_dir(name))?;
        let (agent, handle, reports) = Agent::new(host, settings, ledger, Clock::system(), events);
        runtime.spawn(async move { agent.run().await });
        std::thread::sleep(Duration::from_millis(300));
        Ok(Self { runtime, handle, reports, calls, pretend })
    }

    /// Hands it a spec.
    pub fn accept(&self, spec: &Arc<HostSpec>) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.handle.accept(spec.clone()))?)
    }

    /// Waits for a report that holds; answers it, and when it came.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Envelope) -> bool) -> anyhow::Result<(Arc<Envelope>, Instant)> {
        let limit = tokio::time::Instant::now() + LIMIT;
        let mut last = None;
        loop {
            let next = self.runtime.block_on(async { tokio::time::timeout_at(limit, self.reports.recv()).await });
            match next {
                Ok(Some(envelope)) if holds(&envelope) => return Ok((Arc::new(envelope), Instant::now())),
                Ok(Some(envelope)) => last = Some(envelope.report),
                Ok(None) => bail!("the agent has ended while waiting: {what}"),
                Err(_) => {
                    let told = last.map(|report| (report.findings.clone(), report.leaving.clone()));
                    bail!("it did not come in time: {what}; last told: {told:?}")
                }
            }
        }
    }

    /// Accepts a spec and waits until every link is up; where no frame can pass, until all is wired.
    pub fn deploy(&mut self, spec: &Arc<HostSpec>) -> anyhow::Result<Duration> {
        self.calls.take();
        let began = Instant::now();
        self.accept(spec)?;
        let pretend = self.pretend;
        let done = |envelope: &Envelope| if pretend { all_wired(spec, envelope) } else { all_up(spec, envelope) };
        let (_, at) = self.until("every link is up", done)?;
        Ok(at - began)
    }

    /// Tells the agent that its repairs are in the journal.
    pub fn acknowledge(&self) {
        self.handle.acknowledge(u64::MAX);
    }

    /// Waits until it has been silent for a while.
    pub fn quiet(&mut self, silence: Duration) -> anyhow::Result<()> {
        loop {
            let next = self.runtime.block_on(async { tokio::time::timeout(silence, self.reports.recv()).await });
            match next {
                Ok(envelope) => drop(envelope.context("the agent has ended")?),
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Whether a report of this spec shows every link up.
pub fn all_up(spec: &HostSpec, envelope: &Envelope) -> bool {
    envelope.report.generation == spec.generation
        && spec.wires().all(|(lab, wire)| {
            let report = envelope.report.wires.get(&lab.name).and_then(|wires| wires.get(&wire.id));
            judge::link_status(wire, report).state == LinkState::Up
        })
}

/// Whether a report of this spec shows every link wired as far as a pretended datapath lets it be: it gives its ports
/// device numbers of its own.
fn all_wired(spec: &HostSpec, envelope: &Envelope) -> bool {
    let pretended = |fault: &Fault| matches!(fault, Fault::NotMade(why) if why.contains("holds another device"));
    let wires = || envelope.report.wires.values().flat_map(|wires| wires.values());
    envelope.report.generation == spec.generation
        && wires().count() == spec.wires().count()
        && wires().flat_map(|wire| &wire.ends).all(|end| end.port.is_some() && end.faults.iter().all(pretended))
}
