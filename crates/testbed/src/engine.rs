//! A Docker Engine of one's own: dockerd and its containerd, with sockets, state and images in the sandbox.
//!
//! Only inside a sandbox: containers are ended by the end of its namespaces. Knows no container of its own.

use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::command::{attempt_command, run, run_command};
use crate::daemon::Daemon;
use crate::sandbox::{identity, in_sandbox};

const START: Duration = Duration::from_secs(40);
/// A stop ends every container first, each after its own time-out.
const END: Duration = Duration::from_secs(40);

/// How an engine is started.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// OCI runtimes beside runc: name and program.
    pub runtimes: Vec<(String, PathBuf)>,
    /// Whether the engine makes its bridge `docker0`, its networks and its iptables rules. Without it an engine is
    /// up sooner, and only `--network none` and `host` work.
    pub networks: bool,
    /// More arguments of dockerd.
    pub args: Vec<String>,
}

/// A running engine. Dropping it kills dockerd and containerd; containers end with the sandbox.
#[derive(Debug)]
pub struct Engine {
    dir: PathBuf,
    options: EngineOptions,
    daemons: Option<Daemons>,
}

/// Both parts of an engine, each started by us as a service manager does: a containerd that dockerd starts for itself
/// has 15 s to answer, which is too little for an emulated machine.
#[derive(Debug)]
struct Daemons {
    dockerd: Daemon,
    containerd: Daemon,
}

impl Engine {
    /// Starts an engine without networks, with `runtimes` (name, program) beside runc.
    ///
    /// # Panics
    /// Outside of a sandbox, and when it does not come up.
    #[track_caller]
    pub fn start(dir: impl AsRef<Path>, runtimes: &[(&str, &Path)]) -> Self {
        let runtimes = runtimes.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        Self::start_with(dir, EngineOptions { runtimes, ..EngineOptions::default() })
    }

    /// [`Engine::start`] with all options.
    ///
    /// # Panics
    /// Outside of a sandbox, and when it does not come up.
    #[track_caller]
    pub fn start_with(dir: impl AsRef<Path>, options: EngineOptions) -> Self {
        assert!(in_sandbox(), "an engine of one's own needs a sandbox around it");
        let dir = dir.as_ref().to_owned();
        std::fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let mut engine = Self { dir, options, daemons: None };
        if !engine.config().exists() {
            std::fs::write(engine.config(), "{}\n").expect("a folder just made takes a file");
        }
        engine.launch();
        engine
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    /// The API as `docker -H` and `DOCKER_HOST` name it: `unix://PATH`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The engine's settings, read at its start and at `SIGHUP`; empty at first. What is given as an argument
    /// (runtimes in [`EngineOptions`] too) must not stand here as well.
    pub fn config(&self) -> PathBuf {
        self.dir.join("daemon.json")
    }

    /// The engine's log file.
    pub fn log(&self) -> PathBuf {
        self.dir.join("dockerd.log")
    }

    /// Process id of dockerd.
    ///
    /// # Panics
    /// When it was stopped.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.running().pid()
    }

    /// Sends dockerd a signal (`SIGSTOP` makes it hang, `SIGHUP` read its settings again).
    ///
    /// # Panics
    /// When it was stopped.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.running().signal(signal);
    }

    /// Ends the engine in good order, which stops all containers.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(Daemons { dockerd, containerd }) = self.daemons.take() {
            dockerd.stop(END);
            containerd.stop(END);
        }
    }

    /// Kills dockerd and its containerd (`SIGKILL`); the containers' processes go on.
    #[track_caller]
    pub fn kill9(&mut self) {
        drop(self.daemons.take());
    }

    /// Starts an engine that was stopped or killed, on what it left.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn launch(&mut self) {
        if self.daemons.is_some() {
            return;
        }
        let containerd = self.launch_containerd();
        let mut command = Command::new("dockerd");
        command.args(self.arguments());
        let mut dockerd = Daemon::start(&mut command, &self.log());
        dockerd.until(START, "dockerd answers", || {
            UnixStream::connect(self.socket()).ok()?;
            self.try_docker(["version"]).ok()
        });
        self.daemons = Some(Daemons { dockerd, containerd });
    }

    #[track_caller]
    fn launch_containerd(&self) -> Daemon {
        let (settings, socket) = (self.dir.join("containerd.toml"), self.dir.join("containerd.sock"));
        // What Kubernetes asks of it is left out; its own default is to offer it.
        std::fs::write(&settings, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n")
            .expect("a folder just made takes a file");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(settings).arg("--address").arg(&socket).args(["--log-level", "warn"]);
        command.arg("--root").arg(self.dir.join("containerd")).arg("--state").arg(self.dir.join("containerd-state"));
        let mut containerd = Daemon::start(&mut command, &self.dir.join("containerd.log"));
        containerd.until(START, "containerd answers", || UnixStream::connect(&socket).ok());
        containerd
    }

    /// Ends the engine in good order and starts it again.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    /// Runs `docker` on this engine.
    ///
    /// # Panics
    /// When it fails, with its output.
    #[track_caller]
    pub fn docker<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        run_command(self.client().args(args))
    }

    /// [`Engine::docker`] that may fail.
    ///
    /// # Errors
    /// The client's output when it fails.
    pub fn try_docker<I, S>(&self, args: I) -> Result<String, String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        attempt_command(self.client().args(args))
    }

    /// Makes the image `name` of the static busybox and a link for each of its programs, running `/bin/sh`.
    ///
    /// # Panics
    /// When the package busybox-static is missing or the import fails.
    #[track_caller]
    pub fn import_busybox(&self, name: &str) {
        let root = self.dir.join("busybox-root");
        if !root.exists() {
            make_busybox_root(&root);
        }
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&root).args(["-c", "."]).stdout(Stdio::piped());
        let mut tar = tar.spawn().expect("tar is on every Debian");
        let archive = tar.stdout.take().expect("its output was asked for");
        let import = self.client().args(["import", "-c", "CMD [\"/bin/sh\"]", "-", name]).stdin(archive).output();
        let import = import.unwrap_or_else(|error| panic!("cannot start docker: {error}"));
        let packed = tar.wait().expect("our own child can be waited for");
        assert!(packed.success() && import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    }

    fn client(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.host()]).env_remove("DOCKER_HOST").env_remove("DOCKER_CONTEXT");
        command
    }

    fn running(&self) -> &Daemon {
        &self.daemons.as_ref().expect("the engine was not stopped").dockerd
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut list: Vec<String> = vec![
            format!("--data-root={}", path("data")),
            format!("--exec-root={}", path("exec")),
            format!("--pidfile={}", path("docker.pid")),
            format!("--config-file={}", path("daemon.json")),
            format!("--host={}", self.host()),
            format!("--containerd={}", path("containerd.sock")),
            // The janitor of the sandbox removes the group of this name.
            format!("--cgroup-parent=/{}", identity()),
            // The other driver asks the machine's systemd, which is outside.
            "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
            "--userland-proxy=false".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        if !self.options.networks {
            let off =
                ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];
            list.extend(off.map(str::to_owned));
        }
        let runtimes = self.options.runtimes.iter();
        list.extend(runtimes.map(|(name, path)| format!("--add-runtime={name}={}", path.display())));
        list.extend(self.options.args.iter().cloned());
        list
    }
}

fn make_busybox_root(root: &Path) {
    let bin = root.join("bin");
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "var"] {
        std::fs::create_dir_all(root.join(folder)).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    }
    run("cp", [OsStr::new("/bin/busybox"), bin.as_os_str()]);
    for program in run("/bin/busybox", ["--list"]).lines().filter(|name| *name != "busybox") {
        std::os::unix::fs::symlink("busybox", bin.join(program)).expect("an empty folder takes links");
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("a folder just made");
    std::fs::write(root.join("etc/group"), "root:x:0:\n").expect("a folder just made");
}
