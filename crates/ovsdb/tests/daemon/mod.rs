//! A real ovsdb-server, and if wanted a real ovs-vswitchd on its in-memory datapath, in a directory of their own.
//! Both need no privileges, and die with the test.
#![allow(dead_code)] // Each test binary uses a part.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use archetype_ovsdb::{Client, Endpoint, insert, vswitch};
use nix::sys::{prctl, signal::Signal};
use tempfile::TempDir;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A child process that is killed when this is dropped, or when the thread that started it dies.
pub struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let die_with_us = || prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from);
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        let command = unsafe { command.pre_exec(die_with_us) };
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("Open vSwitch is installed"))
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A running ovsdb-server with an Open_vSwitch database that has a root row.
pub struct Server {
    pub daemon: Daemon,
    switch: Option<Daemon>,
    dir: TempDir,
}

impl Server {
    /// Starts one with the root row that `ovs-vsctl init` would make.
    pub async fn start() -> Self {
        let server = Self::start_empty();
        let root = vec![insert(vswitch::ROOT).into()];
        server.client().await.transact(vswitch::DATABASE, root).await.expect("the root row goes in");
        server
    }

    /// Starts one with an empty database.
    pub fn start_empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let created = Command::new("ovsdb-tool").arg("create").arg(path("conf.db")).arg(SCHEMA).status().unwrap();
        assert!(created.success());
        let daemon = Daemon::start(
            Command::new("ovsdb-server")
                .env("OVS_RUNDIR", dir.path())
                .args(["--pidfile", "--remote=db:Open_vSwitch,Open_vSwitch,manager_options"])
                .arg(format!("--remote=punix:{}", path("db.sock").display()))
                .arg(path("conf.db")),
        );
        let server = Self { daemon, switch: None, dir };
        wait_for(&server.path("db.sock"));
        server
    }

    /// Starts ovs-vswitchd on this database, with a datapath that touches nothing of the host.
    pub fn start_switch(&mut self) {
        let daemon = Daemon::start(
            Command::new("ovs-vswitchd")
                .env("OVS_RUNDIR", self.dir.path())
                .args(["--pidfile", "--enable-dummy=override", "--disable-system", "--disable-system-route"])
                .arg(format!("unix:{}", self.path("db.sock").display())),
        );
        self.switch = Some(daemon);
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new connection.
    pub async fn client(&self) -> Client {
        Client::connect(&Endpoint::unix(self.path("db.sock"))).await.expect("the server listens")
    }
}

/// Waits until something listens at `path`: a socket's file is there a moment before it takes connections.
pub fn wait_for(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(path).is_err() {
        assert!(Instant::now() < deadline, "{} does not listen", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
