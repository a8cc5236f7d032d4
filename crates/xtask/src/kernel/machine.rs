//! The emulated machine: QEMU on a kernel, with this machine's files as its own, its console passed on, and a time after
//! which the sandbox around it ends it. Knows nothing of what runs inside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use archetype_testbed::daemon::Daemon;
use archetype_testbed::{eventually, scratch};

use super::Options;
use super::image::Kernel;

/// Debian 12 has the server in QEMU's own package and in C, Debian 13 in one of its own and in Rust.
const FILE_SERVERS: [(&str, &[&str]); 2] = [
    ("/usr/lib/qemu/virtiofsd", &["-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"]),
    ("/usr/libexec/virtiofsd", &["--shared-dir=/", "--cache=always", "--sandbox=chroot"]),
];

/// Boots the kernel into the job, passes on what it prints, and answers what it says at its end; nothing where it did
/// not come to it.
///
/// # Panics
/// When a program of the machine cannot be started.
pub fn boot(kernel: &Kernel, job: &Path, options: &Options) -> Option<String> {
    let first_root = scratch().join("first-root");
    std::fs::write(&first_root, kernel.first_root()).expect("the sandbox's folder takes a file");
    let (_files, socket) = serve_files();
    let mut command = emulator(kernel, job, options);
    command.arg("-initrd").arg(first_root);
    command.arg("-chardev").arg(format!("socket,id=files,path={}", socket.display()));
    let mut emulator = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    pass_on(emulator.stdout.take().expect("its output was asked for"));
    emulator.wait().expect("our own child can be waited for");
    let told = std::fs::read_to_string(told()).ok()?.trim().to_owned();
    (!told.is_empty()).then_some(told)
}

/// What the job says last.
fn told() -> PathBuf {
    scratch().join("told")
}

/// Serves this machine's files, from its root on, to be read.
fn serve_files() -> (Daemon, PathBuf) {
    let found = FILE_SERVERS.iter().find(|(path, _)| Path::new(path).exists());
    let (program, arguments) = found.expect("a virtiofsd is installed (scripts/setup.sh packages-kernel)");
    let socket = scratch().join("files.sock");
    let mut command = Command::new(program);
    command.arg(format!("--socket-path={}", socket.display())).args(*arguments);
    let mut daemon = Daemon::start(&mut command, &scratch().join("files.log"));
    daemon.until(Duration::from_secs(10), "virtiofsd listens", || socket.exists().then_some(()));
    eventually(Duration::from_secs(10), "its socket is there", || socket.exists().then_some(()));
    (daemon, socket)
}

fn emulator(kernel: &Kernel, job: &Path, options: &Options) -> Command {
    let memory = options.memory;
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", &options.accelerator, "-cpu", "max", "-smp", "2", "-m", &memory.to_string()]);
    // Its memory is shared with the file server.
    command.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={memory}M,share=on"));
    command.args(["-numa", "node,memdev=memory", "-display", "none", "-nodefaults", "-no-reboot"]);
    command.args(["-device", "vhost-user-fs-pci,chardev=files,tag=archetype-root,queue-size=1024"]);
    command.args(["-serial", "stdio", "-serial"]).arg(format!("file:{}", told().display()));
    // All emulated processors have the one clock of this machine, which their kernel does not believe by itself: each
    // look at another clock would leave the emulated code.
    command.arg("-kernel").arg(kernel.file()).arg("-append").arg(format!(
        "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable clocksource=tsc archetype.modules={} archetype.job={}",
        kernel.modules().display(),
        job.display()
    ));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Prints each line as it comes.
fn pass_on(console: impl std::io::Read) {
    let mut out = std::io::stdout();
    for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        // Nobody who reads any more is no reason to end the tests.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
