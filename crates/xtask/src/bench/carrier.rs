//! Carrier follows the cable: how long a far end goes on without the news that an interface was shut inside its
//! neighbour, that the neighbour's process ended, or that either is back. On a LAN the far end of a member's cable is the
//! switch, so it is the host's end of the member that is watched.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use archetype_testbed::{Inside, Ovs, eventually, run, scratch_dir};

use super::numbers::{Timings, ms};
use super::served::{LAB, Served};
use super::table::{Table, Target};

/// What a far end may wait.
const AIM: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
/// A look at an interface costs a microsecond or two.
const BETWEEN_LOOKS: Duration = Duration::from_micros(200);
/// Between two trials the news of the one before comes to rest.
const QUIET: Duration = Duration::from_millis(150);
/// How often a node is ended for each time that an interface is shut: a node takes a second and more to come back.
const SHUT_PER_END: usize = 5;

const TOPOLOGY: &str = "\
name: bench
topology:
  defaults: {kind: linux}
  kinds: {linux: {network-mode: none, labels: {archetype.runtime: namespace}, cmd: CMD}}
  nodes: {near: {}, far: {}, member: {}, other: {}, third: {}, lan: {kind: bridge}}
  links:
    - endpoints: [\"near:eth1\", \"far:eth1\"]
    - endpoints: [\"member:eth1\", \"lan:p1\"]
    - endpoints: [\"other:eth1\", \"lan:p2\"]
    - endpoints: [\"third:eth1\", \"lan:p3\"]
";

/// Something that ends at `SIGTERM` at once and does nothing else.
const COMMAND: &str = "\"sh -c 'trap exit TERM; sleep 1000000 & wait'\"";

/// Where carrier is watched.
enum Watched {
    /// An interface inside the neighbour.
    Far(Inside),
    /// The host's end of a LAN's member, by its folder in `/sys/class/net`.
    SwitchEnd(PathBuf),
}

impl Watched {
    /// A shut device has no carrier that could be read.
    fn has_carrier(&self) -> bool {
        match self {
            Self::Far(inside) => inside.has_carrier(),
            Self::SwitchEnd(device) => std::fs::read_to_string(device.join("carrier")).is_ok_and(|text| text == "1\n"),
        }
    }

    /// Waits until it is so; answers when that was seen.
    fn until(&self, carrier: bool) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        while self.has_carrier() != carrier {
            ensure!(begun.elapsed() < PATIENCE, "carrier stays {}", !carrier);
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Ok(Instant::now())
    }
}

/// Measures all of it, `trials` times each.
pub fn run_part(trials: usize, table: &mut Table) -> anyhow::Result<()> {
    let ovs = Ovs::start(scratch_dir("carrier-ovs"));
    let served = Served::start("carrier", &ovs, None)?;
    served.deploy_text(&TOPOLOGY.replace("CMD", COMMAND))?;
    let far = Watched::Far(Inside::of(&container("far"), "eth1"));
    each_way(&served, "cable", "near", &far, trials, table)?;
    let beside = Inside::of(&container("other"), "eth1");
    let switch_end = Watched::SwitchEnd(host_end("member")?);
    each_way(&served, "LAN's member", "member", &switch_end, trials, table)?;
    ensure!(beside.has_carrier(), "another member of the LAN has lost its carrier");
    Ok(())
}

/// An interface shut and opened, a node ended and back.
fn each_way(
    served: &Served,
    what: &str,
    node: &str,
    watched: &Watched,
    trials: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    let near = Inside::of(&container(node), "eth1");
    watched.until(true)?;
    let (mut taken, mut given, mut ended, mut back) = <(Timings, Timings, Timings, Timings)>::default();
    for _ in 0..trials {
        std::thread::sleep(QUIET);
        let begun = Instant::now();
        near.set(false);
        taken.push(watched.until(false)? - begun);
        std::thread::sleep(QUIET);
        let begun = Instant::now();
        near.set(true);
        given.push(watched.until(true)? - begun);
    }
    for _ in 0..trials.div_ceil(SHUT_PER_END) {
        std::thread::sleep(QUIET);
        ended.push(stopped(served, node, watched)?);
        std::thread::sleep(QUIET);
        back.push(started(served, node, &near, watched)?);
    }
    let rows = [
        ("interface shut: carrier taken", &taken),
        ("interface opened: carrier given back", &given),
        ("node stopped: carrier taken after its process ended", &ended),
        ("node started: carrier given back after its interface is up", &back),
    ];
    for (name, timings) in rows {
        let told = |time: Option<Duration>| time.map(ms).unwrap_or_default();
        let (p50, p99, max) = (told(timings.median()), told(timings.p99()), told(timings.quantile(1.0)));
        println!("{what}, {name}: p50 {p50} ms, p99 {p99} ms, max {max} ms of {}", timings.count());
        table.timings(&format!("{what}, {name}"), timings, None, Target::P99(AIM));
    }
    Ok(())
}

/// Stops the node by the user's command; answers how long the far end had carrier after the end of its process.
fn stopped(served: &Served, node: &str, watched: &Watched) -> anyhow::Result<Duration> {
    let pid = pid_of(node)?;
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| until_ended(&pid));
        let gone = scope.spawn(|| watched.until(false));
        served.command(&["node", LAB, node, "stop"])?;
        let joined = "a thread that watches does not break";
        Ok(gone.join().expect(joined)?.saturating_duration_since(ended.join().expect(joined)?))
    })
}

/// Starts it again; answers how long the far end had no carrier after the node's interface was up.
fn started(served: &Served, node: &str, near: &Inside, watched: &Watched) -> anyhow::Result<Duration> {
    std::thread::scope(|scope| {
        let up = scope.spawn(|| until_up(near));
        let back = scope.spawn(|| watched.until(true));
        served.command(&["node", LAB, node, "start"])?;
        let joined = "a thread that watches does not break";
        Ok(back.join().expect(joined)?.saturating_duration_since(up.join().expect(joined)?))
    })
}

/// Waits for the end of a process.
fn until_ended(pid: &str) -> anyhow::Result<Instant> {
    let begun = Instant::now();
    while archetype_testbed::process_runs(pid) {
        ensure!(begun.elapsed() < PATIENCE, "process {pid} goes on");
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(Instant::now())
}

fn container(node: &str) -> String {
    format!("clab-{LAB}-{node}")
}

/// The process id of the node's own process.
fn pid_of(node: &str) -> anyhow::Result<String> {
    let started = eventually(PATIENCE, "the node's process is there", || {
        let folders = std::fs::read_dir("/run/archetype").ok()?.filter_map(Result::ok);
        let file = |folder: PathBuf| folder.join("nodes").join(container(node)).join("run/pid.json");
        folders.filter_map(|folder| std::fs::read_to_string(file(folder.path())).ok()).next()
    });
    let started: serde_json::Value = serde_json::from_str(&started)?;
    Ok(started["pid"].as_u64().context("a node's file has no process id")?.to_string())
}

/// Waits until the interface has been set up inside.
fn until_up(near: &Inside) -> anyhow::Result<Instant> {
    let begun = Instant::now();
    while !near.is_up() {
        ensure!(begun.elapsed() < 4 * PATIENCE, "the node does not start again");
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Ok(Instant::now())
}

/// The host's end of a node's interface `eth1`.
fn host_end(node: &str) -> anyhow::Result<PathBuf> {
    let shown = run("ip", ["-n", &container(node), "-o", "link", "show", "eth1"]);
    let peer = shown.split_once("eth1@if").and_then(|(_, rest)| rest.split(':').next());
    let peer = peer.with_context(|| format!("eth1 has no other end: {shown}"))?;
    for device in std::fs::read_dir("/sys/class/net")? {
        let device = device?.path();
        if std::fs::read_to_string(device.join("ifindex")).is_ok_and(|number| number.trim() == peer) {
            return Ok(device);
        }
    }
    bail!("no device has the number {peer}")
}
