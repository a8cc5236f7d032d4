//! `cargo xtask kernel`: tests of this workspace on Open vSwitch's datapath in the kernel, where the machine's own kernel
//! has none, and with every privilege, where the machine's root has not. A stock Debian kernel runs in an emulated
//! machine whose files are this machine's own, so that the tests are the ones built here.

mod cpio;
mod image;
mod machine;
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use archetype_testbed::{Sandbox, in_sandbox};
use clap::Args;

/// What to run, and how much of this machine to use for it.
#[derive(Debug, Args)]
pub struct Options {
    /// Tests whose name has one of these words, of all programs that are known here; without any: the chosen ones
    words: Vec<String>,
    /// Seconds after which the machine is switched off
    #[arg(long, default_value_t = 900)]
    limit: u64,
    /// Memory of the machine in MiB; what its programs write lies there
    #[arg(long, default_value_t = 3072)]
    memory: u32,
    /// How many times as long as usual everything may take inside
    #[arg(long, default_value_t = 6)]
    slowness: u32,
    /// What runs the machine's processors: `tcg` everywhere, `kvm` where that boots
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
        tests::write_job(&options.words, options.slowness)?;
    }
    let kernel = image::fetched()?;
    Sandbox::new().limit(Duration::from_secs(options.limit)).run_program(|| {
        let status = machine::boot(&kernel, &tests::job(), options);
        assert_eq!(status.as_deref(), Some("0"), "not every test has passed; what failed is told above");
    });
    Ok(())
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
