//! An Open vSwitch of one's own: database server and switch, with every file in one folder.
//!
//! Runs in the network namespace of the caller and beside any number of others. Knows no bridge and no port of its own.

use std::ffi::OsStr;
use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::command::{attempt_command, run, run_command};
use crate::daemon::Daemon;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// The datapath that this run of the tests is to cover.
const DATAPATH: &str = "ARCHETYPE_TEST_DATAPATH";
const START: Duration = Duration::from_secs(20);
/// The userspace datapath closes its ports one by one at its end: seconds for hundreds.
const END: Duration = Duration::from_secs(30);

/// What a bridge of this Open vSwitch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datapaths {
    /// Real ones: the kernel's where there is one, and `datapath_type=netdev`.
    Real,
    /// Every port and bridge is pretended (`--enable-dummy=override`): the control plane at any size, no frame passes.
    Dummy,
}

/// A running Open vSwitch. Dropping it kills both processes.
#[derive(Debug)]
pub struct Ovs {
    dir: PathBuf,
    datapaths: Datapaths,
    switch: Option<Daemon>,
    database: Option<Daemon>,
}

impl Ovs {
    /// Makes an empty database in `dir` (or goes on with the one there) and starts both daemons.
    ///
    /// # Panics
    /// When a daemon does not come up.
    #[track_caller]
    pub fn start(dir: impl AsRef<Path>) -> Self {
        Self::start_with(dir, Datapaths::Real)
    }

    /// [`Ovs::start`] with a choice of datapaths.
    ///
    /// # Panics
    /// When a daemon does not come up.
    #[track_caller]
    pub fn start_with(dir: impl AsRef<Path>, datapaths: Datapaths) -> Self {
        let dir = dir.as_ref().to_owned();
        for name in ["run", "db", "log"] {
            std::fs::create_dir_all(dir.join(name)).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        }
        let mut ovs = Self { dir, datapaths, switch: None, database: None };
        ovs.start_database();
        ovs.vsctl(["--no-wait", "init"]);
        ovs.start_vswitchd();
        ovs
    }

    /// The database's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/db.sock")
    }

    /// The database as Open vSwitch's tools name it: `unix:PATH`.
    pub fn target(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// The switch's log file.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log/ovs-vswitchd.log")
    }

    /// Runs `ovs-vsctl` on this database. Beware: it says 0 for a port whose device is missing.
    ///
    /// # Panics
    /// When it fails, with its output.
    #[track_caller]
    pub fn vsctl<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        run_command(&mut self.vsctl_command(args))
    }

    /// [`Ovs::vsctl`] that may fail.
    ///
    /// # Errors
    /// The tool's output when it fails.
    pub fn try_vsctl<I, S>(&self, args: I) -> Result<String, String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        attempt_command(&mut self.vsctl_command(args))
    }

    /// Runs another of Open vSwitch's tools (`ovs-ofctl`, `ovs-appctl`) with this one's run folder.
    ///
    /// # Panics
    /// When it fails, with its output.
    #[track_caller]
    pub fn tool<I, S>(&self, program: &str, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        run_command(self.command(program).args(args))
    }

    /// Has the running switch carry out a command of `ovs-appctl` that takes no words and answers none, without a
    /// program of its own: for tests that do so often.
    ///
    /// # Panics
    /// When the switch does not take it, with its answer.
    #[track_caller]
    pub fn command_switch(&self, command: &str) {
        let socket = self.dir.join(format!("run/ovs-vswitchd.{}.ctl", self.vswitchd_pid()));
        let mut stream = UnixStream::connect(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        let asked = write!(stream, "{{\"id\":0,\"method\":\"{command}\",\"params\":[]}}");
        let mut answer = Vec::new();
        let mut bytes = BufReader::new(stream).bytes().map_while(Result::ok);
        while !answer.ends_with(b"}") {
            answer.push(bytes.next().unwrap_or_else(|| panic!("{command}: the switch has gone ({asked:?})")));
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("\"error\":null"), "{command}: {answer}");
    }

    /// Says whether the kernel's datapath moves the frames of this bridge, else it is the switch itself.
    ///
    /// # Panics
    /// When there is no such bridge, and when `ARCHETYPE_TEST_DATAPATH` is set and names the other (`kernel` or
    /// `userspace`): a run that is to cover one must not pass on the other.
    #[track_caller]
    pub fn kernel_moves_frames_of(&self, bridge: &str) -> bool {
        let shown = self.tool("ovs-appctl", ["dpif/show"]);
        let above =
            shown.split_once(&format!("  {bridge}:\n")).unwrap_or_else(|| panic!("no bridge {bridge}: {shown}"));
        let datapath = above.0.lines().rfind(|line| !line.starts_with(' ')).unwrap_or_default();
        let found = if datapath.starts_with("system@") { "kernel" } else { "userspace" };
        if let Ok(wanted) = std::env::var(DATAPATH) {
            assert_eq!(found, wanted, "{DATAPATH} asks for it; Open vSwitch shows {shown}");
        }
        found == "kernel"
    }

    /// The switch's process id.
    ///
    /// # Panics
    /// When it was stopped.
    #[track_caller]
    pub fn vswitchd_pid(&self) -> i32 {
        self.running_switch().pid()
    }

    /// Sends the switch a signal (`SIGSTOP` makes it hang, `SIGCONT` go on).
    ///
    /// # Panics
    /// When it was stopped.
    #[track_caller]
    pub fn signal_vswitchd(&self, signal: Signal) {
        self.running_switch().signal(signal);
    }

    /// Ends the switch in good order; the database stays.
    #[track_caller]
    pub fn stop_vswitchd(&mut self) {
        if let Some(switch) = self.switch.take() {
            switch.stop(END);
        }
    }

    /// Ends the switch by `SIGKILL`.
    #[track_caller]
    pub fn kill_vswitchd(&mut self) {
        drop(self.switch.take());
    }

    /// Starts the switch, if it is not running, and waits until it has taken over the database's content.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start_vswitchd(&mut self) {
        if self.switch.is_some() {
            return;
        }
        let mut command = self.command("ovs-vswitchd");
        command.arg(self.target()).args(self.common_flags("ovs-vswitchd"));
        if self.datapaths == Datapaths::Dummy {
            command.arg("--enable-dummy=override");
        }
        let mut switch = Daemon::start(&mut command, &self.dir.join("log/ovs-vswitchd.out"));
        // A transaction that waits for the switch ends only when it has read what is in the database.
        let told = switch.until(START, "ovs-vswitchd takes over its database", || {
            self.try_vsctl(["-t", "2", "set", "open_vswitch", ".", "external_ids:testbed-started=yes"]).ok()
        });
        drop(told);
        self.switch = Some(switch);
    }

    /// Ends the switch in good order and starts it again.
    #[track_caller]
    pub fn restart_vswitchd(&mut self) {
        self.stop_vswitchd();
        self.start_vswitchd();
    }

    /// Ends the database server in good order; the switch goes on without it.
    #[track_caller]
    pub fn stop_database(&mut self) {
        if let Some(database) = self.database.take() {
            database.stop(END);
        }
    }

    /// Starts the database server, if it is not running.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start_database(&mut self) {
        if self.database.is_some() {
            return;
        }
        let file = self.dir.join("db/conf.db");
        if !file.exists() {
            run("ovsdb-tool", [OsStr::new("create"), file.as_os_str(), OsStr::new(SCHEMA)]);
        }
        let mut command = self.command("ovsdb-server");
        command.arg(&file).arg(format!("--remote=p{}", self.target())).args(self.common_flags("ovsdb-server"));
        let mut database = Daemon::start(&mut command, &self.dir.join("log/ovsdb-server.out"));
        database.until(START, "ovsdb-server answers", || {
            self.socket().exists().then(|| self.try_vsctl(["-t", "2", "--no-wait", "show"]).ok()).flatten()
        });
        self.database = Some(database);
    }

    fn running_switch(&self) -> &Daemon {
        self.switch.as_ref().expect("the switch was not stopped")
    }

    fn common_flags(&self, name: &str) -> [String; 4] {
        [
            format!("--pidfile={}", self.dir.join("run").join(name).with_extension("pid").display()),
            format!("--log-file={}", self.dir.join("log").join(name).with_extension("log").display()),
            "-vconsole:off".to_owned(),
            "-vsyslog:off".to_owned(),
        ]
    }

    fn vsctl_command<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command("ovs-vsctl");
        command.arg(format!("--db={}", self.target())).args(["-t", "20"]).args(args);
        command
    }

    /// A command whose every default path lies in this one's folder.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, folder) in
            [("OVS_RUNDIR", "run"), ("OVS_DBDIR", "db"), ("OVS_LOGDIR", "log"), ("OVS_SYSCONFDIR", "db")]
        {
            command.env(name, self.dir.join(folder));
        }
        command
    }
}
