//! `cargo xtask bench`: our times beside those of a floor program that does the same and nothing else, in one run, so
//! that ratios hold on a machine whose absolute times do not. Everything happens in a sandbox of its own.

mod boot;
mod carrier;
mod change;
mod containers;
mod deploy;
mod floor;
mod frames;
mod mininet;
mod numbers;
mod ours;
mod read;
mod rest;
mod served;
mod size;
mod stolen;
mod switch;
mod table;
mod whole;

use std::time::Duration;

use archetype_testbed::Sandbox;
use clap::{Args, ValueEnum};
use size::Size;
use stolen::ProcessorTime;
use table::Table;

/// The large lab, beyond what a userspace datapath carries.
const LARGE: Size = Size { nodes: 500, links: 1000 };

/// What to measure, and how often.
#[derive(Debug, Args)]
pub struct Options {
    /// Parts to measure; all when none is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// How often labs are deployed
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Nodes of the lab
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// Links of the lab
    #[arg(long, default_value_t = 200)]
    links: usize,
    /// How often a tag is changed behind our back, an interface is shut, and a namespace is booted
    #[arg(long, default_value_t = 100)]
    trials: usize,
    /// How many links are added one by one
    #[arg(long, default_value_t = 10)]
    more: usize,
    /// Containers of the lab of containers, with twice as many links
    #[arg(long, default_value_t = 100)]
    containers: usize,
    /// Ends the whole after so many seconds
    #[arg(long, default_value_t = 1200)]
    limit: u64,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The floor program alone, with its phases
    Floor,
    /// Deploy and destroy
    Deploy,
    /// Mininet making as many nodes and links, where it is installed: a remark
    Mininet,
    /// The same spec again, a link more, a tag changed behind our back
    Change,
    /// Carrier taken and given back when an interface is shut, a node ends, and either comes back
    Carrier,
    /// Cold boots of one namespace, and ends of its runs
    Boot,
    /// Memory and processor time while nothing happens
    Rest,
    /// `archetype serve` and its commands, namespace nodes
    Whole,
    /// The same with containers, beside a bare loop of the same calls to the engine
    Containers,
    /// The part of `rest` in a process of its own
    #[value(hide = true)]
    RestChild,
    /// `archetype check` on files of 2,000 nodes
    Check,
    /// The control plane alone at 1,000 links, on a pretended datapath
    Grow,
}

/// Measures, and prints the table.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!(
            "bench: this is a debug build; its times say little (cargo run --release -p archetype-xtask -- bench)"
        );
    }
    let mut result = Ok(());
    Sandbox::new().limit(Duration::from_secs(options.limit)).run_program(|| result = measure(options));
    result
}

fn measure(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let size = Size { nodes: options.nodes, links: options.links };
    let mut table = Table::default();
    if options.parts.contains(&Part::RestChild) {
        return rest::child(&runtime, size);
    }
    let chosen = |part: Part| options.parts.contains(&part) || (options.parts.is_empty() && part != Part::Floor);
    let containers = Size { nodes: options.containers, links: 2 * options.containers };
    let mut failures = Vec::new();
    for part in Part::value_variants().iter().copied().filter(|part| chosen(*part)) {
        let before = ProcessorTime::now();
        let done = match part {
            Part::Floor => deploy::floor_only(&runtime, size, options.runs),
            Part::Deploy => deploy::run(&runtime, size, options.runs, false, &mut table),
            Part::Mininet => mininet::run(size, options.runs, &mut table),
            Part::Change => change::run(&runtime, size, options.more, options.trials, &mut table),
            Part::Carrier => carrier::run_part(options.trials, &mut table),
            Part::Boot => boot::run(options.trials, &mut table),
            Part::Rest => rest::run(size, 40, &mut table).and_then(|()| rest::run(LARGE, 60, &mut table)),
            Part::Whole => whole::namespaces(&runtime, size, options.runs, options.more, &mut table),
            Part::Containers => whole::containers(&runtime, containers, options.runs, &mut table),
            Part::Grow => {
                deploy::run(&runtime, LARGE, 1, true, &mut table).and_then(|()| whole::large(LARGE, &mut table))
            }
            Part::Check => read::run(&mut table),
            Part::RestChild => Ok(()),
        };
        if let Some(share) = before.and_then(ProcessorTime::stolen_since) {
            table.value(&format!("{part:?}: stolen of the processor time"), &share, "", None);
        }
        // The others are measured all the same.
        failures.extend(done.err().map(|error| format!("{part:?}: {error:#}")));
    }
    table.print();
    anyhow::ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
