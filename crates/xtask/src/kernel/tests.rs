//! Which tests run on the kernel's datapath, and the scripts that run them inside. Knows nothing of the machines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{cache, root};

/// One test program and what of it runs where nothing else is asked for.
struct Chosen {
    package: &'static str,
    program: &'static str,
    part: Part,
}

/// What of a program runs by itself. Words on the command line replace it.
enum Part {
    /// Every test.
    All,
    /// Tests whose name has one of these words.
    Named(&'static [&'static str]),
    /// No test, unless one is asked for.
    Asked,
}

/// Programs one after the other, beside the other lanes of the same machine: what one waits for, another one uses.
type Lane = &'static [Chosen];

/// A whole program's tests.
const fn all_of(package: &'static str, program: &'static str) -> Chosen {
    Chosen { package, program, part: Part::All }
}

/// Tests of a program whose names have one of the words.
const fn some_of(package: &'static str, program: &'static str, words: &'static [&'static str]) -> Chosen {
    Chosen { package, program, part: Part::Named(words) }
}

/// What depends on who moves the frames, and on what the machine's root may do, for one machine each. Claims that take
/// long and that the kernel's datapath has no part in are left to the ordinary run.
const MACHINES: [&[Lane]; 2] = [
    &[
        &[
            some_of("archetype-agent", "wires", WIRES),
            some_of("archetype-host", "containers", &["capability"]),
            some_of("archetype-agent", "live", &["100_ms", "a_lan_member"]),
        ],
        &[all_of("archetype-agent", "real")],
    ],
    &[
        &[some_of("archetype-cli", "frr01", &["once_deployed"])],
        &[some_of("archetype-cli", "truth", DRIFT)],
        &[Chosen { package: "archetype-cli", program: "nodes", part: Part::Asked }],
    ],
];

/// All but twenty deployments in a row, which are the agent's own work.
const WIRES: &[&str] = &["of_the_", "jumbo", "tcp_", "a_lan_", "a_member", "on_random", "the_bridges"];
/// What is done to port, bridge and switch behind our back, on the whole program; the agent alone has more of it.
const DRIFT: &[&str] = &["port_is_not_as_wanted", "switch_is_stopped"];

fn all() -> impl Iterator<Item = &'static Chosen> {
    MACHINES.into_iter().flatten().copied().flatten()
}

/// The processors of each machine. Two stop each other at every turn, and are worth it only where many programs wait for
/// each other, as routers and an engine do.
const PROCESSORS: [u32; MACHINES.len()] = [1, 2];

/// The scripts that were written, one for each machine, with how many processors it is to have.
pub fn jobs() -> impl Iterator<Item = (u32, PathBuf)> {
    PROCESSORS.into_iter().zip((0..MACHINES.len()).map(job)).filter(|(_, job)| job.exists())
}

/// The script that a machine runs.
fn job(machine: usize) -> PathBuf {
    cache().join(format!("job-{machine}.sh"))
}

/// Builds the tests and writes the scripts that run them: the chosen ones, or those whose names have one of the words.
///
/// # Errors
/// When something does not compile, when no test is meant, and when a script cannot be written.
pub fn write_jobs(words: &[String], slowness: u32) -> anyhow::Result<()> {
    let built = build()?;
    std::fs::create_dir_all(cache())?;
    let mut is_empty = true;
    for (number, lanes) in MACHINES.into_iter().enumerate() {
        let of_lane = |lane: &Lane| lane.iter().filter_map(|chosen| line(chosen, &built, words)).collect::<String>();
        let lanes: Vec<String> = lanes.iter().map(of_lane).filter(|lane| !lane.is_empty()).collect();
        let job = job(number);
        if lanes.is_empty() {
            // Of an earlier run.
            std::fs::remove_file(&job).or_else(|error| if job.exists() { Err(error) } else { Ok(()) })?;
            continue;
        }
        is_empty = false;
        std::fs::write(&job, script(&lanes, slowness)).with_context(|| format!("cannot write {}", job.display()))?;
    }
    if is_empty {
        bail!("no test has a name with one of these words: {}", words.join(", "));
    }
    Ok(())
}

/// The script of one machine.
fn script(lanes: &[String], slowness: u32) -> String {
    let mut script = include_str!("job.sh").to_owned();
    script.push_str(&format!("export ARCHETYPE_TEST_SLOWNESS={slowness}\n"));
    script.push_str(&format!("export ARCHETYPE_IMAGE_CACHE={}\n", quoted(&image_cache())));
    lanes.iter().for_each(|lane| script.push_str(&format!("{{\n{lane}}} &\n")));
    script.push_str("wait\nfinish\n");
    script
}

/// The script's line for one program; none where no test of it is meant.
fn line(chosen: &Chosen, built: &BTreeMap<String, PathBuf>, words: &[String]) -> Option<String> {
    let folder = chosen.package.trim_start_matches("archetype-");
    let name = format!("{folder}/{}", chosen.program);
    let program = built.get(&name)?;
    let words: Vec<&str> = match &chosen.part {
        _ if !words.is_empty() => words.iter().map(String::as_str).collect(),
        Part::All => Vec::new(),
        Part::Named(words) => words.to_vec(),
        Part::Asked => return None,
    };
    let words: Vec<String> = has_any(program, &words).then(|| words.iter().map(|word| quoted(word)).collect())?;
    let folder = root().join("crates").join(folder);
    Some(format!(
        "tests {} {} {} --test-threads 1 --nocapture --color never {}\n",
        quoted(&name),
        quoted(&folder.display().to_string()),
        quoted(&program.display().to_string()),
        words.join(" ")
    ))
}

/// Whether a program has a test of which the name has one of the words.
fn has_any(program: &Path, words: &[&str]) -> bool {
    let list = Command::new(program).args(["--list", "--format", "terse"]).args(words).output();
    list.is_ok_and(|list| !list.stdout.is_empty())
}

/// Builds the programs of which tests may be meant, and our runtime; answers where each lies. As parts of the whole
/// workspace: so what `make test` has built is taken as it is.
fn build() -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = |command: &mut Command| command.current_dir(root()).stderr(Stdio::inherit()).output();
    let runtime = build(Command::new(&cargo).args(["build", "--quiet", "--workspace", "--bin", "archetype-oci"]))?;
    let mut command = Command::new(&cargo);
    command.args(["test", "--quiet", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    for chosen in all() {
        command.args(["--test", chosen.program]);
    }
    let tests = build(&mut command)?;
    if !runtime.status.success() || !tests.status.success() {
        bail!("the tests could not be built, see above");
    }
    let messages = String::from_utf8_lossy(&tests.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = |message: Value| {
        let path = message["executable"].as_str()?;
        let is_test = message["profile"]["test"] == true;
        // Packages have programs of the same name.
        let package = Path::new(message["manifest_path"].as_str()?).parent()?.file_name()?.to_str()?;
        let name = format!("{package}/{}", message["target"]["name"].as_str()?);
        is_test.then(|| (name, path.into()))
    };
    Ok(messages.filter_map(program).collect())
}

/// Where `scripts/images.sh` keeps what the labs need; the same place as for every other test.
fn image_cache() -> String {
    let set = std::env::var("ARCHETYPE_IMAGE_CACHE");
    set.unwrap_or_else(|_| root().join(".cache/images").display().to_string())
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
