//! `cargo xtask kernel`: tests of this workspace on Open vSwitch's datapath in the kernel, where the machine's own kernel
//! has none, and with every privilege, where the machine's root has not. A stock Debian kernel runs in emulated machines
//! whose files are this machine's own, so that the tests are the ones built here.

mod cpio;
mod image;
mod machine;
mod tests;
mod times;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use archetype_testbed::{Sandbox, in_sandbox};
use clap::Args;

use self::image::Kernel;
use self::times::Times;

/// What to run, and how much of this machine to use for it.
#[derive(Debug, Args)]
pub struct Options {
    /// Tests whose name has one of these words, of all programs that are known here; without any: the chosen ones
    words: Vec<String>,
    /// Seconds after which the machines are switched off
    #[arg(long, default_value_t = 900)]
    limit: u64,
    /// Memory of each machine in MiB; what its programs write lies there
    #[arg(long, default_value_t = 3072)]
    memory: u32,
    /// How many times as long as usual everything may take inside
    #[arg(long, default_value_t = 6)]
    slowness: u32,
    /// What runs the machines' processors: `tcg` everywhere, `kvm` where that boots
    #[arg(long, default_value = "tcg")]
    accelerator: String,
}

/// Builds what is missing, boots, runs the tests, and answers when all of them have passed.
///
/// # Errors
/// What could not be prepared. Tests that fail end the program, after what they printed.
pub fn run(options: &Options) -> anyhow::Result<()> {
    // The owner of the sandbox has the network; what runs in there finds everything prepared.
    if !in_sandbox() {
        image::fetch()?;
        tests::write_jobs(&options.words, options.slowness)?;
    }
    let kernel = image::fetched()?;
    Sandbox::new().limit(Duration::from_secs(options.limit)).run_program(|| {
        let times = Mutex::new(Times::default());
        let all_passed = run_machines(&kernel, options, &times);
        print!("{}", lock(&times).told());
        assert!(all_passed, "not every test has passed; what failed is told above");
    });
    Ok(())
}

/// Boots a machine for each job, side by side, and says whether every one has told that its tests have passed.
fn run_machines(kernel: &Kernel, options: &Options, times: &Mutex<Times>) -> bool {
    let first_root = kernel.first_root();
    let run = |number: usize, processors: u32, job: &Path| {
        let hear = |line: &str| hear(times, line);
        machine::boot(kernel, number, processors, &first_root, job, options, hear).as_deref() == Some("0")
    };
    std::thread::scope(|scope| {
        let run = &run;
        let jobs = tests::jobs().enumerate();
        let started = jobs.map(|(number, (processors, job))| scope.spawn(move || run(number, processors, &job)));
        let ended: Vec<_> = started.collect::<Vec<_>>().into_iter().map(|machine| machine.join()).collect();
        ended.into_iter().all(|passed| passed.unwrap_or(false))
    })
}

/// Takes a line of a machine, and prints it. Nobody who reads any more is no reason to end the tests.
fn hear(times: &Mutex<Times>, line: &str) {
    lock(times).hear(line);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn lock(times: &Mutex<Times>) -> std::sync::MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Where kernels and jobs are kept: `ARCHETYPE_KERNEL_CACHE`, else beside the images.
fn cache() -> PathBuf {
    std::env::var_os("ARCHETYPE_KERNEL_CACHE").map_or_else(|| root().join(".cache/kernel"), PathBuf::from)
}

/// The repository.
fn root() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    above.expect("this crate lies two folders below the repository").to_owned()
}
