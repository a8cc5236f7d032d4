//! Deploying and destroying a lab, beside the floor program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use archetype_testbed::{Datapaths, Ovs, scratch_dir};
use tokio::runtime::Runtime;

use super::floor::{Floor, Phases};
use super::numbers::{Timings, ms};
use super::ours::{Call, Ours};
use super::size::{Size, gone, spec};
use super::switch::Switch;
use super::table::{Table, Target};

/// What another such program once took for the same size on a machine of this class when quiet, in milliseconds.
const REFERENCE: &str = "nodes 47  veths 125  commit 18  up 115  settle 187  frames 82  total 654";

/// The floor program alone.
pub fn floor_only(runtime: &Runtime, size: Size, runs: usize) -> anyhow::Result<()> {
    println!("floor, {} nodes and {} links, milliseconds", size.nodes, size.links);
    for run in 0..runs {
        tell_phases(&floor_once(runtime, size, run, Datapaths::Real)?);
    }
    println!("  reference: {REFERENCE}");
    Ok(())
}

fn tell_phases(phases: &Phases) {
    println!(
        "  nodes {}  veths {}  commit {}  up {}  settle {}  frames {}  total {}",
        ms(phases.nodes),
        ms(phases.veths),
        ms(phases.commit),
        ms(phases.up),
        ms(phases.settle),
        ms(phases.frames),
        ms(phases.total)
    );
}

/// The floor program once, on an Open vSwitch of its own.
pub fn floor_once(runtime: &Runtime, size: Size, run: usize, datapaths: Datapaths) -> anyhow::Result<Phases> {
    let ovs = Ovs::start_with(scratch_dir(&format!("floor-ovs{run}")), datapaths);
    let real = datapaths == Datapaths::Real;
    let mut floor = Floor::new(Switch::connect(runtime, &ovs, false)?, &format!("f{run}x"));
    let phases = floor.build(size, "netdev", real)?;
    floor.remove()?;
    Ok(phases)
}

/// Both, turn by turn; and the destruction of ours.
pub fn run(runtime: &Runtime, size: Size, runs: usize, dummy: bool, table: &mut Table) -> anyhow::Result<()> {
    let datapaths = if dummy { Datapaths::Dummy } else { Datapaths::Real };
    let (mut floor, mut ours, mut kernel, mut whole) = <(Timings, Timings, Timings, Timings)>::default();
    for run in 0..runs {
        let phases = floor_once(runtime, size, run, datapaths)?;
        print!("floor:");
        tell_phases(&phases);
        floor.push(phases.total);
        let ovs = Ovs::start_with(scratch_dir(&format!("ovs{run}")), datapaths);
        let mut agent = Ours::start(runtime, &ovs, &format!("ledger{run}"), dummy)?;
        let wanted = Arc::new(spec(size, 1));
        let began = Instant::now();
        let took = agent.deploy(&wanted)?;
        println!("ours: {} ms", ms(took));
        tell_calls(&agent.calls.take(), began);
        ours.push(took);
        agent.quiet(Duration::from_millis(500))?;
        let (devices, all) = destroy(&mut agent, &wanted)?;
        kernel.push(devices);
        whole.push(all);
    }
    let name = |what: &str| {
        format!("{what} {} nodes, {} links{}", size.nodes, size.links, if dummy { " (dummy)" } else { "" })
    };
    let target = if dummy { Target::None } else { Target::Ratio(1.5) };
    table.timings(&name("deploy"), &ours, Some(&floor), target);
    let target = if dummy { Target::None } else { Target::Median(Duration::from_millis(500)) };
    table.timings(&name("destroy, kernel objects gone:"), &kernel, None, target);
    table.timings(&name("destroy, reported gone:"), &whole, None, Target::None);
    Ok(())
}

/// Tells when each call began, after what was measured began, and how long it took.
pub fn tell_calls(calls: &[Call], began: Instant) {
    for call in calls {
        let at = call.began.saturating_duration_since(began);
        println!("    at {:>6} took {:>6}  {}", ms(at), ms(call.ended - call.began), call.what);
    }
}

/// Has the lab removed; answers when the kernel had nothing of it any more, and when the agent said so.
pub fn destroy(agent: &mut Ours<'_>, wanted: &archetype_model::spec::HostSpec) -> anyhow::Result<(Duration, Duration)> {
    let none = Arc::new(gone(wanted, wanted.generation.number + 1));
    agent.calls.take();
    let began = Instant::now();
    agent.accept(&none)?;
    let devices = loop {
        if !anything_left()? {
            break began.elapsed();
        }
        anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "devices stay");
        std::thread::sleep(Duration::from_millis(2));
    };
    let lab = &none.labs[0].name;
    let (_, at) = agent.until("the lab is gone", |envelope| {
        envelope.report.generation == none.generation && !envelope.report.leaving.contains_key(lab)
    })?;
    println!("destroy: kernel {} ms, all {} ms", ms(devices), ms(at - began));
    tell_calls(&agent.calls.take(), began);
    Ok((devices, at - began))
}

/// Whether any device of ours or name of a namespace is there.
fn anything_left() -> anyhow::Result<bool> {
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(&format!("a{}-", super::size::INSTALLATION));
    // /sys is mounted for the sandbox's own network namespace.
    for entry in std::fs::read_dir("/sys/class/net")? {
        if ours(&entry?.file_name()) {
            return Ok(true);
        }
    }
    Ok(std::fs::read_dir("/run/netns").is_ok_and(|mut names| names.next().is_some()))
}
