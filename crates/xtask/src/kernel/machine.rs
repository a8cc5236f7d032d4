//! An emulated machine: QEMU on a kernel, with this machine's files as its own, its console handed on line by line, and a
//! time after which the sandbox around it ends it. Knows nothing of what runs inside.

use std::io::{BufRead as _, BufReader};
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

/// What makes the processor emulated here slow and no test needs. Copies byte by byte (`erms`), a fifth level of page
/// tables, and a guard around each look into user space are all free in a real processor, and dear here.
const WITHOUT: &str = "-erms,-la57,-smap,-smep";
/// Beside what the job is told: programs lie at the same addresses each time they start, for code is translated anew
/// wherever it lies (three times as fast); and all processors have the one clock of this machine, which their kernel does
/// not believe by itself (each look at another clock would leave the emulated code).
const KERNEL_WORDS: &str = "console=ttyS0 quiet panic=-1 mitigations=off norandmaps init_on_alloc=0 \
     randomize_kstack_offset=off rcupdate.rcu_expedited=1 tsc=reliable clocksource=tsc";

/// Boots the kernel into the job, hands on what it prints, line by line, and answers what it says at its end; nothing
/// where it did not come to it. `number` tells machines apart that run beside each other.
///
/// # Panics
/// When a program of the machine cannot be started.
pub fn boot(
    kernel: &Kernel,
    number: usize,
    processors: u32,
    first_root: &[u8],
    job: &Path,
    options: &Options,
    hear: impl FnMut(&str),
) -> Option<String> {
    let archive = of_machine(number, "first-root");
    std::fs::write(&archive, first_root).expect("the sandbox's folder takes a file");
    let (_files, socket) = serve_files(number);
    let mut command = emulator(kernel, number, processors, job, options);
    command.arg("-initrd").arg(archive);
    command.arg("-chardev").arg(format!("socket,id=files,path={}", socket.display()));
    let mut emulator = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    hand_on(emulator.stdout.take().expect("its output was asked for"), hear);
    emulator.wait().expect("our own child can be waited for");
    let told = std::fs::read_to_string(told(number)).ok()?.trim().to_owned();
    (!told.is_empty()).then_some(told)
}

/// A file of one machine.
fn of_machine(number: usize, name: &str) -> PathBuf {
    scratch().join(format!("{name}-{number}"))
}

/// What the job says last.
fn told(number: usize) -> PathBuf {
    of_machine(number, "told")
}

/// Serves this machine's files, from its root on, to be read.
fn serve_files(number: usize) -> (Daemon, PathBuf) {
    let found = FILE_SERVERS.iter().find(|(path, _)| Path::new(path).exists());
    let (program, arguments) = found.expect("a virtiofsd is installed (scripts/setup.sh packages-kernel)");
    let socket = of_machine(number, "files.sock");
    let mut command = Command::new(program);
    command.arg(format!("--socket-path={}", socket.display())).args(*arguments);
    let mut daemon = Daemon::start(&mut command, &of_machine(number, "files.log"));
    daemon.until(Duration::from_secs(10), "virtiofsd listens", || socket.exists().then_some(()));
    eventually(Duration::from_secs(10), "its socket is there", || socket.exists().then_some(()));
    (daemon, socket)
}

fn emulator(kernel: &Kernel, number: usize, processors: u32, job: &Path, options: &Options) -> Command {
    let memory = options.memory;
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-accel", &options.accelerator, "-smp", &processors.to_string(), "-m", &memory.to_string()]);
    command.args(["-cpu", &format!("max,{WITHOUT}")]);
    // Its memory is shared with the file server.
    command.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={memory}M,share=on"));
    command.args(["-numa", "node,memdev=memory", "-display", "none", "-nodefaults", "-no-reboot"]);
    command.args(["-device", "vhost-user-fs-pci,chardev=files,tag=archetype-root,queue-size=1024"]);
    command.args(["-serial", "stdio", "-serial"]).arg(format!("file:{}", told(number).display()));
    command.arg("-kernel").arg(kernel.file()).arg("-append").arg(format!(
        "{KERNEL_WORDS} archetype.modules={} archetype.job={}",
        kernel.modules().display(),
        job.display()
    ));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Hands on each line as it comes.
fn hand_on(console: impl std::io::Read, mut hear: impl FnMut(&str)) {
    for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
        hear(String::from_utf8_lossy(&line).trim_end());
    }
}
