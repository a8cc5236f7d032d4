//! A controller that serves, with its agent in the test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archetype_api::{Accepted, Client, ClientError, DeployRequest, JournalEntry, Lab, Problem, Target, TopologyText};
use archetype_controller::store::Store;
use archetype_controller::{Controller, FileReader, FileReading, Running, Settings};
use archetype_model::LabName;
use archetype_model::topology::Topology;
use archetype_plan::blueprint::PlanSettings;

use super::agent::{Agent, Host};

pub const TWO: &str = "name: two
topology:
  nodes:
    a:
      kind: linux
      image: alpine
      exec:
        - ip addr add 10.0.0.1/24 dev eth1
    b: {kind: linux, image: alpine}
  links:
    - endpoints: ['a:eth1', 'b:eth1']
";

pub struct Stand {
    pub agent: Arc<Agent>,
    pub client: Client,
    pub running: Running,
    pub directory: tempfile::TempDir,
}

/// The file beside the topology that names the nodes whose files were made last.
pub const PREPARED: &str = "prepared";

fn reader() -> FileReader {
    let reader = FileReader::new(|file| {
        let reading = archetype_topology::read_text(file.shown, file.directory, file.text, file.env);
        FileReading {
            topology: reading.topology,
            stated: reading.stated,
            problems: reading.problems,
            notes: reading.notes,
        }
    });
    let wants = |_: &Topology| true;
    reader.preparing(wants, |topology| {
        let names: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
        std::fs::write(PathBuf::from(&topology.source.directory).join(PREPARED), names.join(" ")).unwrap();
        Vec::new()
    })
}

fn settings(directory: &tempfile::TempDir, silent_after: Duration) -> Settings {
    Settings {
        data: directory.path().join("data"),
        socket: directory.path().join("run").join("a.sock"),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        reader: reader(),
        plan: PlanSettings::default(),
        silent_after,
    }
}

impl Stand {
    pub async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Duration::from_secs(60)).await
    }

    pub async fn on(directory: tempfile::TempDir, silent_after: Duration) -> Self {
        Self::on_a_host(directory, silent_after, |_| ()).await
    }

    /// On a host that is like this from the first moment.
    pub async fn on_a_host(directory: tempfile::TempDir, silent_after: Duration, host: impl FnOnce(&mut Host)) -> Self {
        let controller = Controller::open(settings(&directory, silent_after)).await.unwrap();
        Self::start(controller, directory, host).await
    }

    pub async fn with_store(store: Arc<dyn Store>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // What is kept is in the store; the token has a file of its own.
        std::fs::create_dir(directory.path().join("data")).unwrap();
        let controller = Controller::with_store(settings(&directory, Duration::from_secs(60)), store);
        Self::start(controller, directory, |_| ()).await
    }

    async fn start(controller: Controller, directory: tempfile::TempDir, host: impl FnOnce(&mut Host)) -> Self {
        let (agent, port) = Agent::new();
        agent.set(host);
        let running = controller.start(port).await.unwrap();
        let client = Client::new(Target::Socket(directory.path().join("run").join("a.sock"))).unwrap();
        Self { agent, client, running, directory }
    }

    pub fn request(&self, text: &str) -> DeployRequest {
        let topology = TopologyText {
            directory: self.directory.path().display().to_string(),
            file: "x.clab.yml".into(),
            shown: Some("./x.clab.yml".into()),
            text: text.into(),
            ..TopologyText::default()
        };
        DeployRequest { topology, partial: false, reload: Vec::new() }
    }

    /// Deploys, and waits until it is as wanted.
    pub async fn deploy(&self, text: &str) -> Accepted {
        let accepted = self.client.deploy(&self.request(text)).await.unwrap();
        let waited = self.client.wait(&accepted.lab, accepted.revision, Duration::from_secs(10)).await.unwrap();
        assert_eq!(waited.progress.settled, Some(archetype_api::Settled::AsWanted), "{waited:?}");
        accepted
    }

    /// Waits until a lab is as said, and shows it.
    pub async fn until(&self, name: &str, said: impl Fn(&Lab) -> bool) -> Lab {
        for _ in 0..500 {
            if let Ok(shown) = self.client.lab(&lab(name)).await
                && said(&shown)
            {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not come to be: {:?}", self.client.lab(&lab(name)).await);
    }

    /// Waits until the journal of a lab has such an entry, and reads all of it.
    pub async fn noted(&self, name: &str, said: impl Fn(&JournalEntry) -> bool) -> Vec<JournalEntry> {
        for _ in 0..500 {
            let entries = self.client.journal(Some(&lab(name)), Some(0)).await.unwrap().entries;
            if entries.iter().any(&said) {
                return entries;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it was not noted: {:#?}", self.client.journal(None, Some(0)).await);
    }

    pub fn listening(&self) -> SocketAddr {
        self.running.listening().unwrap()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("token")).unwrap().trim().to_string()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

pub fn lab(name: &str) -> LabName {
    name.parse().unwrap()
}

/// What a refusal says.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Problem {
    match result.unwrap_err() {
        ClientError::Refused(problem) => *problem,
        other => panic!("not a refusal: {other}"),
    }
}
