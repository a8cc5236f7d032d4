//! What an agent with a lab takes while nothing happens: memory and processor time. Measured in a process of its own,
//! since this one has built many things before.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use archetype_testbed::{Datapaths, Ovs, scratch_dir};
use tokio::runtime::Runtime;

use super::ours::Ours;
use super::size::{Size, spec};
use super::table::Table;

const WATCHED: Duration = Duration::from_secs(5);

/// The part that runs in the process of its own: prints memory in KiB and processor time in microseconds a second.
pub fn child(runtime: &Runtime, size: Size) -> anyhow::Result<()> {
    let dummy = size.links > 400;
    let datapaths = if dummy { Datapaths::Dummy } else { Datapaths::Real };
    let ovs = Ovs::start_with(scratch_dir(&format!("rest-ovs{}", size.links)), datapaths);
    let mut agent = Ours::start(runtime, &ovs, &format!("rest-ledger{}", size.links), dummy)?;
    let wanted = Arc::new(spec(size, 1));
    agent.deploy(&wanted)?;
    agent.quiet(Duration::from_secs(1))?;
    let before = processor_time(std::process::id())?;
    std::thread::sleep(WATCHED);
    let used = processor_time(std::process::id())? - before;
    println!("rest {} {}", memory(std::process::id())?, used.as_micros() / u128::from(WATCHED.as_secs()));
    // The next child finds an empty host.
    super::deploy::destroy(&mut agent, &wanted).map(drop)
}

/// Measures in a process of its own.
pub fn run(size: Size, aim_mib: u64, table: &mut Table) -> anyhow::Result<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["bench", "rest-child", "--nodes", &size.nodes.to_string(), "--links", &size.links.to_string()]);
    let output = child.output().context("start a process of its own")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("rest "));
    let (memory, time) = line
        .and_then(|line| line.split_once(' '))
        .with_context(|| format!("it said: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let (memory, time): (u64, u64) = (memory.parse()?, time.parse()?);
    let mib = memory as f64 / 1024.0;
    let what = format!("memory of agent and host rooms, {} links", size.links);
    table.value(&what, &format!("{mib:.1} MiB"), &format!("< {aim_mib} MiB"), Some(mib < aim_mib as f64));
    let share = format!("{:.3} %", time as f64 / 10_000.0);
    table.value(&format!("processor at rest, {} links", size.links), &share, "", None);
    Ok(())
}

/// What a process holds in memory, in KiB.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Processor time that a process has used.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything; fields are counted behind its closing bracket.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // SAFETY: sysconf takes no pointer.
    let second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Ok(Duration::from_millis(ticks * 1000 / second))
}
