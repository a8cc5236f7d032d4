//! Mininet beside it, as a remark: it makes as many nodes and links in its own way, and proves none.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::numbers::Timings;
use super::size::Size;
use super::table::{Table, Target};

const SCRIPT: &str = include_str!("mininet.py");
/// Debian's own: another one does not find its modules.
const PYTHON: &str = "/usr/bin/python3";
const PROGRAM: &str = "/usr/bin/mnexec";

/// Measures `runs` labs where Mininet is installed, and says so where it is not.
pub fn run(size: Size, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    if !Path::new(PROGRAM).exists() {
        println!("mininet: not installed (Debian: apt install mininet), so it is not measured");
        return Ok(());
    }
    let (mut started, mut stopped) = (Timings::default(), Timings::default());
    for _ in 0..runs {
        let (start, stop) = one(size)?;
        started.push(start);
        stopped.push(stop);
    }
    let Size { nodes, links } = size;
    table.timings(&format!("Mininet: {nodes} nodes, {links} links made, no switch"), &started, None, Target::None);
    table.timings("Mininet: the same stopped", &stopped, None, Target::None);
    Ok(())
}

fn one(size: Size) -> anyhow::Result<(Duration, Duration)> {
    let mut command = Command::new(PYTHON);
    command.args(["-c", SCRIPT, &size.nodes.to_string(), &size.links.to_string()]);
    let ended = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("run Mininet")?;
    ensure!(ended.status.success(), "Mininet ended with {}", ended.status);
    let text = String::from_utf8_lossy(&ended.stdout);
    let took = |word: &str| word.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let words: Vec<Duration> =
        text.lines().last().into_iter().flat_map(str::split_whitespace).filter_map(took).collect();
    let [start, stop] = words[..] else { anyhow::bail!("Mininet printed {text:?}") };
    Ok((start, stop))
}
