//! `archetype check` on large files, as a user waits for it: the whole process, from the start to the last line.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use archetype_testbed::scratch_dir;

use super::numbers::{Timings, ms};
use super::served::program;
use super::table::{Table, Target};

const NODES: usize = 2_000;
const RUNS: usize = 10;
const AIM: Duration = Duration::from_secs(1);

/// Files of 2,000 nodes: a ring, the same with every key inherited or stated at each node, each node waiting for the one
/// before it, and one in which no link ends at a node that there is.
pub fn run(table: &mut Table) -> anyhow::Result<()> {
    let folder = scratch_dir("read");
    for (what, nodes, links, status) in [
        ("a ring", plain as fn(usize) -> String, ring as fn(usize) -> String, 0),
        ("many keys", many_keys, ring, 0),
        ("stages in a row", waiting, ring, 0),
        ("every name wrong", plain, strangers, 1),
    ] {
        let file = folder.join(format!("{}.clab.yml", what.replace(' ', "-")));
        std::fs::write(&file, text(nodes, links))?;
        let mut took = Timings::default();
        for _ in 0..RUNS {
            let mut command = Command::new(program("archetype")?);
            let command = command.args(["check", "--format", "json", "-t"]).arg(&file).stdin(Stdio::null());
            let began = Instant::now();
            let ended = command.output()?;
            took.push(began.elapsed());
            ensure!(ended.status.code() == Some(status), "check of {what} ended with {}", ended.status);
        }
        println!("archetype check, {what}: {:?} ms", took.median().map(ms));
        table.timings(&format!("archetype check, {NODES} nodes, {what}"), &took, None, Target::Median(AIM));
    }
    Ok(())
}

fn text(node: fn(usize) -> String, link: fn(usize) -> String) -> String {
    let nodes = (0..NODES).map(|number| format!("    node{number}: {}\n", node(number)));
    let links = (0..NODES).map(|number| format!("    - endpoints: [{}]\n", link(number)));
    let (nodes, links): (String, String) = (nodes.collect(), links.collect());
    let head = "name: large\ntopology:\n  defaults: {kind: linux, image: bb, env: {A: a}}\n";
    format!("{head}  nodes:\n{nodes}  links:\n{links}")
}

fn plain(_: usize) -> String {
    "{}".into()
}

fn many_keys(number: usize) -> String {
    format!(
        "{{cmd: sleep {number}, env: {{B: b{number}}}, labels: {{rack: r{number}}}, binds: [\"/etc:/mnt:ro\"], \
         exec: [ip link, ip route], sysctls: {{net.ipv4.ip_forward: 1}}, memory: 64MiB}}"
    )
}

fn waiting(number: usize) -> String {
    match number.checked_sub(1) {
        None => plain(number),
        Some(before) => format!("{{stages: {{create: {{wait-for: [{{node: node{before}, stage: create}}]}}}}}}"),
    }
}

fn ring(number: usize) -> String {
    format!("\"node{number}:eth1\", \"node{}:eth2\"", (number + 1) % NODES)
}

fn strangers(number: usize) -> String {
    format!("\"nobody{number}:eth1\", \"nodes{}:eth2\"", (number + 1) % NODES)
}
