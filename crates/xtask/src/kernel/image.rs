//! The kernel: Debian's own package of the running release, fetched once and kept; and the small first root that it
//! boots into. Knows no test.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use archetype_testbed::attempt;
use archetype_testbed::command::run_command;

use super::cache;
use super::cpio::Archive;

/// Depends on the newest kernel for virtual machines, which has all the modules that the tests need.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// What the first root loads to reach its files, each after what it needs.
const FIRST_MODULES: [&str; 3] = ["virtio_pci", "virtiofs", "overlay"];

/// A kernel that was fetched.
#[derive(Debug)]
pub struct Kernel {
    root: PathBuf,
    release: String,
}

impl Kernel {
    /// The kernel itself.
    pub fn file(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Its modules, in a folder for each release.
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/modules")
    }

    /// The first root: busybox, the script that mounts the real one, and the modules that this takes.
    pub fn first_root(&self) -> Vec<u8> {
        let mut archive = Archive::default();
        ["bin", "modules"].iter().for_each(|folder| archive.folder(folder));
        let busybox = std::fs::read("/bin/busybox").expect("the package busybox-static is installed");
        archive.program("bin/busybox", &busybox);
        archive.program("init", include_bytes!("init.sh"));
        for (number, path) in (100..).zip(self.first_modules()) {
            archive.program(&format!("modules/{number}"), &unpacked(&path));
        }
        archive.finish()
    }

    /// The files of the first modules, in the order in which they are to be loaded.
    fn first_modules(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = Vec::new();
        for module in FIRST_MODULES {
            let mut modprobe = Command::new("modprobe");
            modprobe.arg("-d").arg(&self.root).args(["-S", &self.release, "--show-depends", module]);
            let shown = run_command(&mut modprobe);
            let paths = shown.lines().filter_map(|line| line.strip_prefix("insmod ")).map(|path| path.trim().into());
            let new: Vec<PathBuf> = paths.filter(|path| !files.contains(path)).collect();
            files.extend(new);
        }
        files
    }
}

/// A module as busybox can load it.
fn unpacked(path: &Path) -> Vec<u8> {
    let packed = path.extension().is_some_and(|extension| extension == "xz");
    if !packed {
        return std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let output = Command::new("busybox").arg("xzcat").arg(path).output().expect("busybox can be started");
    assert!(output.status.success(), "{} cannot be unpacked", path.display());
    output.stdout
}

/// The kernel in the cache.
///
/// # Errors
/// When there is none.
pub fn fetched() -> anyhow::Result<Kernel> {
    let root = cache().join("root");
    let releases = std::fs::read_dir(root.join("lib/modules")).with_context(|| format!("no kernel in {root:?}"))?;
    let mut names = releases.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let release = names.next().with_context(|| format!("no modules in {root:?}"))?;
    Ok(Kernel { root, release })
}

/// Sees to it that there is a kernel in the cache. Quick, and without network, when there is one.
///
/// # Errors
/// When Debian's package cannot be found, fetched or unpacked.
pub fn fetch() -> anyhow::Result<()> {
    if fetched().is_ok() {
        return Ok(());
    }
    if std::env::consts::ARCH != "x86_64" {
        bail!("the emulated machine is an x86_64 one: run this on a machine of that kind");
    }
    std::fs::create_dir_all(cache())?;
    let work = tempfile::tempdir_in(cache())?;
    let package = newest_package()?;
    println!("kernel: fetching {package}");
    let mut download = Command::new("apt-get");
    run_command(download.args(["download", "-qq", "-o", "APT::Sandbox::User=root", &package]).current_dir(&work));
    let mut files = std::fs::read_dir(&work)?.filter_map(Result::ok).map(|entry| entry.path());
    let deb = files.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let root = work.path().join("root");
    run_command(Command::new("dpkg-deb").arg("-x").arg(deb.context("apt-get download left no package")?).arg(&root));
    // Newer packages leave the way by /lib to the system's own link.
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    }
    let found = std::fs::read_dir(root.join("lib/modules"))?.next().context("the package has no modules")??;
    run_command(Command::new("depmod").arg("-b").arg(&root).arg(found.file_name()));
    std::fs::rename(&root, cache().join("root")).context("the kernel cannot be put into the cache")
}

/// The package that the release's newest kernel is in.
fn newest_package() -> anyhow::Result<String> {
    let asked = || attempt("apt-cache", ["depends", "--important", PACKAGE]).unwrap_or_default();
    let named = |text: String| text.lines().find_map(|line| Some(line.trim().strip_prefix("Depends: ")?.to_owned()));
    if let Some(package) = named(asked()) {
        return Ok(package);
    }
    attempt("apt-get", ["update", "-qq"]).map_err(anyhow::Error::msg)?;
    named(asked()).with_context(|| format!("Debian has no package {PACKAGE} here"))
}
