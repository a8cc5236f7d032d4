//! The whole product: from a user's command to proven links, beside the floor program and beside bare calls to the
//! Docker Engine.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use archetype_testbed::{Datapaths, Engine, EngineOptions, Ovs, scratch_dir};
use tokio::runtime::Runtime;

use super::containers::BareLoop;
use super::deploy::floor_once;
use super::floor::Floor;
use super::numbers::{Timings, ms};
use super::served::{LAB, Nodes, Served, program};
use super::size::Size;
use super::switch::Switch;
use super::table::{Table, Target};

const FLOOR_TAG: i64 = 3000;
const WATCHED: Duration = Duration::from_secs(5);
/// After so long Open vSwitch has done everything that a link more made it do.
const AT_REST: Duration = Duration::from_millis(1500);
const SYNCS: usize = 100;
const BETWEEN_SYNCS: Duration = Duration::from_millis(100);
/// What the store keeps of a revision with 200 links, in bytes.
const REVISION: usize = 76_000;
const PLUGGED_WITHIN: Duration = Duration::from_secs(120);

/// Namespace nodes, by the user's commands and by the API.
pub fn namespaces(runtime: &Runtime, size: Size, runs: usize, more: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut floor, mut ours, mut gone, mut destroyed) = <(Timings, Timings, Timings, Timings)>::default();
    for run in 0..runs {
        floor.push(floor_once(runtime, size, 100 + run, Datapaths::Real)?.total);
        let ovs = Ovs::start(scratch_dir(&format!("whole-ovs{run}")));
        let served = Served::start(&format!("whole{run}"), &ovs, None)?;
        served.write(size, Nodes::Namespaces)?;
        let took = served.command(&["deploy", "-t", "bench.clab.yml"])?;
        println!("archetype deploy: {} ms", ms(took));
        ours.push(took);
        if run == 0 {
            standing(runtime, &served, &ovs, size, more, table)?;
        }
        let (kernel, all) = destroy(&served)?;
        println!("archetype destroy: kernel {} ms, all {} ms", ms(kernel), ms(all));
        gone.push(kernel);
        destroyed.push(all);
    }
    let name = |what: &str| format!("archetype {what}, {} namespaces, {} links", size.nodes, size.links);
    table.timings(&name("deploy"), &ours, Some(&floor), Target::Ratio(1.5));
    table.timings(&name("destroy: kernel objects gone"), &gone, None, Target::Median(Duration::from_millis(500)));
    table.timings(&name("destroy: command"), &destroyed, None, Target::None);
    Ok(())
}

/// What is measured on a lab that stands.
fn standing(
    runtime: &Runtime,
    served: &Served,
    ovs: &Ovs,
    size: Size,
    more: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    std::thread::sleep(Duration::from_secs(1));
    let before = served.processor_time()?;
    std::thread::sleep(WATCHED);
    let used = served.processor_time()? - before;
    let mib = served.memory()? as f64 / 1024.0;
    table.value("memory of archetype serve, 200 links", &format!("{mib:.1} MiB"), "< 40 MiB", Some(mib < 40.0));
    let share = 100.0 * used.as_secs_f64() / WATCHED.as_secs_f64();
    table.value("processor of archetype serve at rest", &format!("{share:.2} %"), "", None);
    let mut again = Timings::default();
    for _ in 0..10 {
        again.push(served.command(&["deploy", "-t", "bench.clab.yml"])?);
    }
    table.timings("archetype deploy, same file again", &again, None, Target::Median(Duration::from_millis(100)));
    one_link_more(runtime, served, ovs, size, more, table)
}

/// One link more, again and again, each taken away before the next: the lab is always as large.
fn one_link_more(
    runtime: &Runtime,
    served: &Served,
    ovs: &Ovs,
    size: Size,
    more: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    let mut floor = Floor::new(Switch::connect(runtime, ovs, true)?, "h");
    floor.add_nodes(2)?;
    floor.open_sockets()?;
    let with_one_more = Size { links: size.links + 1, ..size };
    let (mut bare, mut durable, mut proven) = <(Timings, Timings, Timings)>::default();
    let (mut alone, mut synced) = <(Timings, Timings)>::default();
    let rest = || std::thread::sleep(AT_REST);
    for number in 0..more {
        bare.push(floor.add_link((0, 1), number + 1, FLOOR_TAG)?);
        rest();
        floor.take_last_away()?;
        rest();
        let (kept, done) = served.deploy(&served.write(with_one_more, Nodes::Namespaces)?)?;
        durable.push(kept);
        proven.push(done);
        rest();
        served.deploy(&served.write(size, Nodes::Namespaces)?)?;
        rest();
        let ends = ["n0:more1", "n1:more1"].map(str::to_owned);
        let (kept_alone, _) = served.add_link(ends)?;
        println!("one link more: durable {} ms, proven {} ms, by itself {} ms", ms(kept), ms(done), ms(kept_alone));
        alone.push(kept_alone);
        rest();
        served.remove_link("n0:more1")?;
        rest();
    }
    let mut log = File::create(scratch_dir("synced").join("log"))?;
    for _ in 0..SYNCS {
        synced.push(sync(&mut log)?);
        std::thread::sleep(BETWEEN_SYNCS);
    }
    let limit = Target::P99(Duration::from_millis(10));
    table.timings("one link more in the file: revision durable", &durable, None, limit);
    table.timings("one link more in the file: proven", &proven, Some(&bare), Target::Ratio(1.5));
    table.timings("one link more by itself: revision durable", &alone, None, limit);
    table.timings("as many bytes appended to a file and synced", &synced, None, Target::None);
    floor.remove()
}

/// Appends as many bytes as a revision of such a lab takes, and has them on disk.
fn sync(log: &mut File) -> anyhow::Result<Duration> {
    let bytes = vec![0; REVISION];
    let began = Instant::now();
    log.write_all(&bytes)?;
    log.sync_data()?;
    Ok(began.elapsed())
}

/// Destroys by the user's command; answers when the kernel had nothing of the lab any more, and when the command ended.
fn destroy(served: &Served) -> anyhow::Result<(Duration, Duration)> {
    let over = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let command = scope.spawn(|| {
            let done = served.command(&["destroy", LAB]);
            over.store(true, Ordering::Relaxed);
            done
        });
        let mut kernel = None;
        while kernel.is_none() && !over.load(Ordering::Relaxed) {
            kernel = (!anything_left()).then(|| began.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        let all = command.join().map_err(|_| anyhow::anyhow!("the command's thread broke"))??;
        Ok((kernel.unwrap_or_else(|| began.elapsed()), all))
    })
}

/// Whether a device of an installation or a name of a namespace is there.
fn anything_left() -> bool {
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('a') && name.to_string_lossy().contains('-');
    let devices = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    devices.map(|entry| entry.file_name()).any(|name| name != *super::size::BRIDGE && ours(&name)) || names.count() > 0
}

/// Memory with so many links as no userspace datapath carries: on a pretended one, where no frame passes.
pub fn large(size: Size, table: &mut Table) -> anyhow::Result<()> {
    let ovs = Ovs::start_with(scratch_dir("large-ovs"), Datapaths::Dummy);
    let served = Served::start("large", &ovs, None)?;
    served.write(size, Nodes::Namespaces)?;
    served.command(&["deploy", "--no-wait", "-t", "bench.clab.yml"])?;
    let until = Instant::now() + PLUGGED_WITHIN;
    while ovs.vsctl(["list-ports", super::size::BRIDGE]).lines().count() < 2 * size.links {
        anyhow::ensure!(Instant::now() < until, "the ports are not there after {} s", PLUGGED_WITHIN.as_secs());
        std::thread::sleep(Duration::from_secs(1));
    }
    std::thread::sleep(WATCHED);
    let mib = served.memory()? as f64 / 1024.0;
    let what = format!("memory of archetype serve, {} links", size.links);
    table.value(&what, &format!("{mib:.1} MiB"), "< 60 MiB", Some(mib < 60.0));
    served.command(&["destroy", LAB]).map(drop)
}

/// Containers, management network included, beside bare loops over the same calls.
pub fn containers(runtime: &Runtime, size: Size, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let ovs = Ovs::start(scratch_dir("containers-ovs"));
    let runtimes = vec![("archetype".to_owned(), program("archetype-oci")?)];
    let engine =
        Engine::start_with(scratch_dir("engine"), EngineOptions { runtimes, networks: true, args: Vec::new() });
    engine.import_busybox("bench:latest");
    let (mut create, mut remove, mut bare_create, mut bare_remove) = <(Timings, Timings, Timings, Timings)>::default();
    for run in 0..=runs {
        let served = Served::start(&format!("containers{run}"), &ovs, Some(&engine))?;
        served.write(size, Nodes::Containers)?;
        let took = served.command(&["deploy", "-t", "bench.clab.yml"])?;
        let like = engine.docker(["inspect", &format!("clab-{LAB}-n0")]);
        let gone = served.command(&["destroy", LAB])?;
        drop(served);
        let bare = BareLoop::new(runtime, &engine.socket(), &like, size.nodes).context("prepare the bare loop")?;
        let (made, removed) = (bare.create_and_start()?, bare.remove()?);
        println!("containers: {} and {} ms, bare {} and {} ms", ms(took), ms(gone), ms(made), ms(removed));
        // The first of both finds the engine cold, and is not counted.
        if run > 0 {
            create.push(took);
            remove.push(gone);
            bare_create.push(made);
            bare_remove.push(removed);
        }
    }
    let name = |what: &str| format!("archetype {what}, {} containers, {} links", size.nodes, size.links);
    table.timings(&name("deploy"), &create, Some(&bare_create), Target::Ratio(1.15));
    table.timings(&name("destroy"), &remove, Some(&bare_remove), Target::Ratio(1.15));
    Ok(())
}
