//! Small changes to a lab that stands: the same spec again, a link more, a tag changed behind our back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use archetype_testbed::{Ovs, scratch_dir};
use tokio::runtime::Runtime;

use super::deploy::{destroy, tell_calls};
use super::floor::Floor;
use super::numbers::{Timings, ms};
use super::ours::{Ours, all_up};
use super::size::{Size, spec};
use super::switch::Switch;
use super::table::{Table, Target};

/// A tag that no link has.
const WRONG: i64 = 3900;
/// Tags of the floor program's links, beyond those of the lab.
const FLOOR_TAGS: i64 = 3000;
const QUIET: Duration = Duration::from_millis(400);

/// A lab of ours, and beside it on the same bridge two nodes of the floor program.
struct Bench<'r> {
    agent: Ours<'r>,
    floor: Floor<'r>,
    switch: Switch<'r>,
    size: Size,
    generation: u64,
}

/// Everything about small changes.
pub fn run(runtime: &Runtime, size: Size, links: usize, trials: usize, table: &mut Table) -> anyhow::Result<()> {
    let ovs = Ovs::start(scratch_dir("change-ovs"));
    let mut agent = Ours::start(runtime, &ovs, "change-ledger", false)?;
    agent.deploy(&Arc::new(spec(size, 1)))?;
    let mut floor = Floor::new(Switch::connect(runtime, &ovs, true)?, "g");
    floor.add_nodes(2)?;
    floor.open_sockets()?;
    agent.quiet(QUIET)?;
    let mut bench = Bench { agent, floor, switch: Switch::connect(runtime, &ovs, true)?, size, generation: 1 };
    bench.floor.add_link((0, 1), 1, FLOOR_TAGS)?;
    bench.agent.acknowledge();
    bench.agent.quiet(QUIET)?;
    tags(&mut bench, trials, table)?;
    same_again(&mut bench, table)?;
    more_links(&mut bench, links, table)?;
    let wanted = spec(bench.size, bench.generation);
    destroy(&mut bench.agent, &wanted)?;
    bench.floor.remove()
}

fn same_again(bench: &mut Bench<'_>, table: &mut Table) -> anyhow::Result<()> {
    let wanted = Arc::new(spec(bench.size, bench.generation));
    let (mut took, mut writes) = (Timings::default(), 0);
    for _ in 0..20 {
        let began = Instant::now();
        bench.agent.accept(&wanted)?;
        let (envelope, at) = bench.agent.until("the same spec reported", |envelope| all_up(&wanted, envelope))?;
        took.push(at - began);
        writes += envelope.writes;
        bench.agent.quiet(Duration::from_millis(20))?;
    }
    table.timings("same spec again, agent alone", &took, None, Target::Median(Duration::from_millis(100)));
    table.value("same spec again, writes", &writes.to_string(), "0", Some(writes == 0));
    Ok(())
}

fn more_links(bench: &mut Bench<'_>, links: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut ours, mut floor) = <(Timings, Timings)>::default();
    for number in 0..links {
        floor.push(bench.floor.add_link((0, 1), number + 2, FLOOR_TAGS + 1 + number as i64)?);
        bench.agent.quiet(QUIET)?;
        bench.size.links += 1;
        bench.generation += 1;
        let began = Instant::now();
        ours.push(bench.agent.deploy(&Arc::new(spec(bench.size, bench.generation)))?);
        bench.agent.quiet(QUIET)?;
        if number == 0 {
            println!("one link more:");
            tell_calls(&bench.agent.calls.take(), began);
        }
    }
    table.timings("one link more", &ours, Some(&floor), Target::Ratio(1.5));
    Ok(())
}

/// What one trial with a tag took.
struct Mended {
    /// When a bare monitor had it.
    heard: Duration,
    noticed: Duration,
    row: Duration,
    proven: Duration,
}

fn tags(bench: &mut Bench<'_>, trials: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut noticed, mut row, mut proven, mut floor) = <(Timings, Timings, Timings, Timings)>::default();
    let mut heard = Timings::default();
    for trial in 0..trials {
        floor.push(bench.floor.change_tag_twice("g0", WRONG + 1)?);
        bench.agent.quiet(Duration::from_millis(15))?;
        let mended = change_tag(bench, trial)?;
        heard.push(mended.heard);
        noticed.push(mended.noticed);
        row.push(mended.row);
        proven.push(mended.proven);
    }
    let limit = |ms: u64| Target::P99(Duration::from_millis(ms));
    table.timings("tag changed: noticed", &noticed, Some(&heard), limit(10));
    table.timings("tag changed: row right again", &row, None, limit(50));
    table.timings("tag changed: applied and proven", &proven, Some(&floor), Target::Ratio(1.5));
    Ok(())
}

fn change_tag(bench: &mut Bench<'_>, trial: usize) -> anyhow::Result<Mended> {
    let wanted = spec(bench.size, bench.generation);
    let port = format!("a{}-{}", super::size::INSTALLATION, (trial * 7) % (2 * bench.size.links));
    let (uuid, right) = bench.switch.seen().ports.get(&port).copied().context("a port of the lab is missing")?;
    bench.switch.take_tags();
    bench.agent.calls.take();
    let began = Instant::now();
    bench.switch.set_tag(uuid, WRONG)?;
    let (_, at) =
        bench.agent.until("mended and proven", |envelope| !envelope.repairs.is_empty() && all_up(&wanted, envelope))?;
    let calls = bench.agent.calls.take();
    if trial < 3 {
        println!("tag changed: {} ms", ms(at - began));
        tell_calls(&calls, began);
    }
    let step = format!("set port {port}");
    let step = calls.iter().position(|call| call.what.contains(&step)).context("no step for the port")?;
    // The reading that the step came from.
    let read = calls[..step].iter().rfind(|call| call.what == "observe").context("no reading before the step")?;
    let seen = bench.switch.take_tags();
    let mut back = seen.iter().filter(|seen| seen.port == port).skip_while(|seen| seen.tag != Some(WRONG));
    let heard = back.next().context("the change was never heard")?.at - began;
    let row = back.filter(|seen| seen.tag == right).map(|seen| seen.at - began).next();
    bench.agent.acknowledge();
    bench.agent.until("acknowledged", |envelope| envelope.repairs.is_empty())?;
    Ok(Mended {
        heard,
        noticed: read.ended - began,
        row: row.context("the row was never right again")?,
        proven: at - began,
    })
}
