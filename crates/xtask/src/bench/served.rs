//! The product itself: `archetype serve` as a process, with its commands and its API.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use archetype_api::Accepted;
use archetype_api::client::{Client, ClientError, Target};
use archetype_api::progress::{Settled, Waited};
use archetype_api::request::{DeployRequest, NewLink, TopologyText};
use archetype_testbed::{Engine, Ovs, scratch_dir};
use tokio::runtime::Runtime;

use super::rest::{memory, processor_time};
use super::size::Size;

const START: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(300);
/// The lab's name.
pub const LAB: &str = "bench";

/// What the nodes of a topology are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// Namespaces, without management network.
    Namespaces,
    /// Containers, with it.
    Containers,
}

/// A running `serve`. Dropping it kills it.
pub struct Served {
    runtime: Runtime,
    environment: Vec<(&'static str, String)>,
    folder: PathBuf,
    child: Child,
    client: Client,
}

/// The program, which lies beside this one.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    let hint = "build it first: cargo build --release -p archetype-cli -p archetype-oci";
    ensure!(path.exists(), "{} is not there; {hint}", path.display());
    Ok(path)
}

impl Served {
    /// Starts it on that Open vSwitch and engine, with data of its own.
    pub fn start(name: &str, ovs: &Ovs, engine: Option<&Engine>) -> anyhow::Result<Self> {
        let folder = scratch_dir(name);
        let (socket, hosts) = (folder.join("api.sock"), folder.join("hosts"));
        std::fs::write(&hosts, "127.0.0.1 localhost\n")?;
        let environment = vec![
            ("ARCHETYPE_OVSDB", ovs.target()),
            ("ARCHETYPE_DOCKER", engine.map_or("none".into(), Engine::host)),
            ("ARCHETYPE_DATA", folder.join("data").display().to_string()),
            ("ARCHETYPE_SOCKET", socket.display().to_string()),
            ("ARCHETYPE_HOSTS_FILE", hosts.display().to_string()),
            ("ARCHETYPE_LISTEN", "none".into()),
            ("ARCHETYPE_HOST", "h1".into()),
            ("NO_COLOR", "1".into()),
        ];
        let log = File::create(folder.join("serve.log"))?;
        let mut command = Command::new(program("archetype")?);
        command.arg("serve").envs(environment.iter().cloned()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        // As the user's commands have it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = Client::new(Target::Socket(socket))?;
        let served = Self { runtime, environment, folder, child, client };
        let until = Instant::now() + START;
        while served.runtime.block_on(served.client.version()).is_err() {
            ensure!(Instant::now() < until, "serve does not answer: {}", served.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(served)
    }

    /// Writes the topology's file, and answers its text.
    pub fn write(&self, size: Size, nodes: Nodes) -> anyhow::Result<String> {
        let text = topology(size, nodes);
        std::fs::write(self.folder.join("bench.clab.yml"), &text)?;
        Ok(text)
    }

    /// Deploys a topology of that text by the user's command, and waits until every link is proven.
    pub fn deploy_text(&self, text: &str) -> anyhow::Result<Duration> {
        std::fs::write(self.folder.join("bench.clab.yml"), text)?;
        self.command(&["deploy", "-t", "bench.clab.yml"])
    }

    /// Runs a command of the user's to its end; answers how long it took.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let mut command = Command::new(program("archetype")?);
        command.args(arguments).envs(self.environment.iter().cloned()).current_dir(&self.folder).stdin(Stdio::null());
        let began = Instant::now();
        let output = command.output()?;
        let took = began.elapsed();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            bail!("archetype {arguments:?}: {}{}{}", said(&output.stdout), said(&output.stderr), self.log());
        }
        Ok(took)
    }

    /// Sends a topology to the API; answers how long it took until the wish was durable, and until every link was
    /// proven.
    pub fn deploy(&self, text: &str) -> anyhow::Result<(Duration, Duration)> {
        let directory = self.folder.display().to_string();
        let topology =
            TopologyText { directory, file: "bench.clab.yml".into(), text: text.into(), ..TopologyText::default() };
        let request = DeployRequest { topology, ..DeployRequest::default() };
        self.wished(self.client.deploy(&request))
    }

    /// The same of one link more, without a file.
    pub fn add_link(&self, endpoints: [String; 2]) -> anyhow::Result<(Duration, Duration)> {
        let lab = LAB.parse()?;
        self.wished(self.client.add_link(&lab, &NewLink { endpoints }))
    }

    /// Takes such a link away again, and waits until it is gone.
    pub fn remove_link(&self, link: &str) -> anyhow::Result<()> {
        let lab = LAB.parse()?;
        self.wished(self.client.remove_link(&lab, link)).map(drop)
    }

    fn wished(
        &self,
        wish: impl Future<Output = Result<Accepted, ClientError>>,
    ) -> anyhow::Result<(Duration, Duration)> {
        let began = Instant::now();
        let accepted = self.runtime.block_on(wish)?;
        let durable = began.elapsed();
        let Waited { progress, findings } =
            self.runtime.block_on(self.client.wait(&accepted.lab, accepted.revision, PATIENCE))?;
        let proven = began.elapsed();
        ensure!(progress.settled == Some(Settled::AsWanted), "not as wanted: {progress:?} {findings:?}");
        Ok((durable, proven))
    }

    /// Its memory in KiB.
    pub fn memory(&self) -> anyhow::Result<u64> {
        memory(self.child.id())
    }

    /// Its processor time so far.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        processor_time(self.child.id())
    }

    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn topology(size: Size, nodes: Nodes) -> String {
    let mut text = format!("name: {LAB}\ntopology:\n  defaults:\n    kind: linux\n");
    text.push_str(match nodes {
        Nodes::Namespaces => "    network-mode: none\n    labels:\n      archetype.runtime: namespace\n",
        Nodes::Containers => "    image: bench:latest\n    cmd: sleep 1000000\n",
    });
    text.push_str("  nodes:\n");
    let nodes: Vec<String> = (0..size.nodes).map(|node| format!("    n{node}: {{}}\n")).collect();
    text.push_str(&nodes.concat());
    text.push_str("  links:\n");
    let mut used = vec![0; size.nodes];
    for link in 0..size.links {
        let (a, b) = size.ends(link);
        used[a] += 1;
        used[b] += 1;
        text.push_str(&format!("    - endpoints: [\"n{a}:eth{}\", \"n{b}:eth{}\"]\n", used[a], used[b]));
    }
    text
}
