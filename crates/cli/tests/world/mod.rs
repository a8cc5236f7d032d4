//! A whole machine for the tests of this package: Open vSwitch, a Docker Engine with our runtime, and `archetype
//! serve`, in a sandbox that takes all of it along. Knows no lab.
//!
//! ```ignore
//! mod world;
//! #[test]
//! fn a_claim() {
//!     world::on_a_machine(Duration::from_secs(200), |world| {
//!         world.write("small.clab.yml", LAB);
//!         world.cli(["deploy", "-t", "small.clab.yml"]).fine();
//!     });
//! }
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]
#![allow(dead_code, reason = "each test program uses a part of this")]
#![allow(unused_imports, reason = "each test program uses a part of this")]

mod serve;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use archetype_testbed::{Engine, EngineOptions, Ovs, Sandbox, in_sandbox, need_lab_images, scratch, scratch_dir};
use serde_json::Value;

pub use archetype_testbed::{attempt, eventually, run, slowly};
pub use serve::Serve;

/// The program under test.
pub const ARCHETYPE: &str = env!("CARGO_BIN_EXE_archetype");

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; 128 and above for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Output {
    /// The same, where it ended with 0.
    #[track_caller]
    pub fn fine(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// What it printed, as JSON, where it ended with 0.
    #[track_caller]
    pub fn json(self) -> Value {
        let ended = self.fine();
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }
}

/// The machine. Its parts are public: a test stops, kills and starts them as it likes.
pub struct World {
    /// Its Open vSwitch.
    pub ovs: Ovs,
    /// Its Docker Engine, with networks and with our runtime as `archetype`.
    pub engine: Engine,
    /// `archetype serve`, running.
    pub serve: Serve,
    /// The folder in which commands run.
    pub folder: PathBuf,
}

impl World {
    fn start(runtimes: Vec<(String, PathBuf)>) -> Self {
        let ovs = Ovs::start(scratch_dir("ovs"));
        let options = EngineOptions { runtimes, networks: true, args: Vec::new() };
        let engine = Engine::start_with(scratch_dir("engine"), options);
        let hosts = scratch().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        let environment = [
            ("ARCHETYPE_OVSDB", ovs.target()),
            ("ARCHETYPE_DOCKER", engine.host()),
            ("ARCHETYPE_DATA", scratch_dir("data").display().to_string()),
            ("ARCHETYPE_SOCKET", scratch().join("archetype.sock").display().to_string()),
            ("ARCHETYPE_HOSTS_FILE", hosts.display().to_string()),
            ("ARCHETYPE_LISTEN", "none".to_owned()),
            ("ARCHETYPE_HOST", "h1".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let serve = Serve::start_first(environment, scratch().join("serve.log"));
        Self { ovs, engine, serve, folder: scratch_dir("labs") }
    }

    /// `archetype ARGS` in the machine's folder. A time after `--wait`, in seconds, is that of an ordinary machine.
    pub fn cli<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Output {
        self.cli_of(&self.serve, args)
    }

    /// [`World::cli`] of another `serve` than the machine's own.
    pub fn cli_of<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, serve: &Serve, args: I) -> Output {
        let mut command = Command::new(ARCHETYPE);
        let mut args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        if let Some(time) = args.iter().position(|arg| arg == "--wait").and_then(|at| args.get_mut(at + 1)) {
            let seconds = time.to_str().and_then(|text| text.strip_suffix('s')?.parse().ok()).map(Duration::from_secs);
            *time = seconds.map_or(time.clone(), |time| format!("{}s", slowly(time).as_secs()).into());
        }
        command.args(args).current_dir(&self.folder).stdin(Stdio::null());
        ended(serve.with_environment(&mut command))
    }

    /// A second installation on the machine: its own data, socket, hosts file and management network, and the same
    /// Open vSwitch and engine. It runs.
    pub fn second_serve(&self, settings: &[(&str, &str)]) -> Serve {
        let folder = scratch_dir("second");
        let hosts = folder.join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let own = [
            ("ARCHETYPE_DATA", path("data")),
            ("ARCHETYPE_SOCKET", path("archetype.sock")),
            ("ARCHETYPE_HOSTS_FILE", path("hosts")),
            ("ARCHETYPE_MGMT_NETWORK", "second".to_owned()),
            ("ARCHETYPE_MGMT_SUBNET", "auto".to_owned()),
        ];
        let mut environment = self.serve.environment().to_vec();
        let given = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in own.into_iter().chain(given) {
            environment.retain(|(known, _)| known != name);
            environment.push((name.to_owned(), value));
        }
        Serve::start_first(environment, folder.join("serve.log"))
    }

    /// `archetype exec LAB NODE -- COMMAND`, the command's words given with spaces between them.
    pub fn exec(&self, lab: &str, node: &str, command: &str) -> Output {
        self.cli(["exec", lab, node, "--"].into_iter().chain(command.split(' ')))
    }

    /// What `inspect` says of all labs.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        self.cli(["inspect", "--format", "json"]).json()
    }

    /// What `inspect` says of the lab; null where there is none of that name.
    #[track_caller]
    pub fn lab(&self, name: &str) -> Value {
        let all = self.inspect();
        all["labs"].as_array().unwrap().iter().find(|lab| lab["name"] == name).cloned().unwrap_or_default()
    }

    /// What `inspect` says of a node; null where there is none of that name.
    #[track_caller]
    pub fn node(&self, lab: &str, name: &str) -> Value {
        let lab = self.lab(lab);
        let mut nodes = lab["nodes"].as_array().into_iter().flatten();
        nodes.find(|node| node["name"] == name).cloned().unwrap_or_default()
    }

    /// Waits until the lab is `up`, and answers what `inspect` says of it.
    #[track_caller]
    pub fn until_up(&self, lab: &str, limit: Duration) -> Value {
        eventually(limit, "the lab is up", || {
            let seen = self.cli(["inspect", lab, "--format", "json"]);
            let seen: Value = serde_json::from_str(&seen.stdout).ok()?;
            (seen["labs"][0]["state"] == "up").then(|| seen["labs"][0].clone())
        })
    }

    /// What the API answers to a GET below `/api/v1`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.ask("GET", path)
    }

    /// Has everything of a lab read from its source, and every link probed again.
    #[track_caller]
    pub fn look_again(&self, lab: &str) {
        self.ask("POST", &format!("/labs/{lab}/interface-mappings/sync"));
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str) -> Value {
        use std::io::{Read as _, Write as _};
        let mut socket = std::os::unix::net::UnixStream::connect(scratch().join("archetype.sock")).unwrap();
        write!(socket, "{method} /api/v1{path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.lines().next().unwrap().contains(" 200 "), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap()
    }

    /// Where `ovs-ofctl` reaches the bridge.
    pub fn management(&self) -> String {
        format!("unix:{}", scratch_dir("ovs").join("run/arch-ovs.mgmt").display())
    }

    /// `docker ARGS` on the machine's engine, where it ends well.
    #[track_caller]
    pub fn docker<const N: usize>(&self, args: [&str; N]) -> String {
        self.engine.docker(args)
    }

    /// Writes a file into the machine's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Copies a lab of this repository's `labs/containerlab` into the machine's folder, and answers where it is.
    pub fn copy_lab(&self, path: &str) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/containerlab").join(path);
        run("cp", [OsStr::new("-r"), from.as_os_str(), self.folder.as_os_str()]);
        self.folder.join(from.file_name().unwrap())
    }

    /// The hosts file that stands for the machine's `/etc/hosts`.
    pub fn hosts_file(&self) -> PathBuf {
        scratch().join("hosts")
    }

    /// The data directory of `serve`.
    pub fn data(&self) -> PathBuf {
        scratch().join("data")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- inspect:\n{}", self.cli(["inspect"]).stdout);
            eprintln!("--- journal ends:\n{}", last_lines(&self.cli(["journal"]).stdout));
            let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
            eprintln!("--- serve's log ends:\n{}", last_lines(&read(self.serve.log())));
            eprintln!("--- the engine's log ends:\n{}", last_lines(&read(&self.engine.log())));
        }
    }
}

/// Runs the test on a machine of its own, for at most `limit`.
///
/// # Panics
/// When the test does, when the limit is over, and when a part of the machine cannot be made.
#[track_caller]
pub fn on_a_machine<F: FnOnce(&mut World)>(limit: Duration, test: F) {
    in_a_sandbox::<F>(limit, || test(&mut World::start(vec![("archetype".to_owned(), runtime())])));
}

/// [`on_a_machine`] whose engine does not know our runtime.
///
/// # Panics
/// As [`on_a_machine`].
#[track_caller]
pub fn on_a_machine_without_the_runtime<F: FnOnce(&mut World)>(limit: Duration, test: F) {
    in_a_sandbox::<F>(limit, || test(&mut World::start(Vec::new())));
}

/// [`on_a_machine`] whose engine has the images that the example labs name.
///
/// # Panics
/// As [`on_a_machine`], and when the images can neither be pulled nor built.
#[track_caller]
pub fn on_a_machine_with_images<F: FnOnce(&mut World)>(limit: Duration, test: F) {
    need_lab_images();
    in_a_sandbox::<F>(limit, || {
        let mut world = World::start(vec![("archetype".to_owned(), runtime())]);
        world.engine.load_lab_images();
        test(&mut world);
    });
}

/// `Test` is the closure that stands in the test: its type has the test's name, wherever the test's thread has none.
#[track_caller]
fn in_a_sandbox<Test>(limit: Duration, body: impl FnOnce()) {
    if !in_sandbox() {
        build_the_runtime();
    }
    let path = std::any::type_name::<Test>().replace("::{{closure}}", "");
    let (_, name) = path.split_once("::").expect("a closure stands in a function of a crate");
    Sandbox::new().limit(limit).test_name(name).run(body);
}

/// The runtime lies beside `archetype`.
pub fn runtime() -> PathBuf {
    Path::new(ARCHETYPE).with_file_name("archetype-oci")
}

/// Cargo builds the binaries of one package for its tests; the runtime is of another. Nothing where the environment
/// says that everything is built (`ARCHETYPE_TEST_BUILT`).
fn build_the_runtime() {
    if std::env::var_os("ARCHETYPE_TEST_BUILT").is_some() {
        return;
    }
    let profile = Path::new(ARCHETYPE).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "archetype-oci"]).env("CARGO_TARGET_DIR", profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
}

fn ended(command: &mut Command) -> Output {
    use std::os::unix::process::ExitStatusExt;
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let code = output.status.code().or_else(|| Some(128 + output.status.signal()?)).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
