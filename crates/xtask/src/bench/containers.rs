//! The floor of containers: the same create, start and remove calls through the same runtime, and nothing else. Their
//! namespaces are made before, and have nothing in them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use archetype_model::facts::{FACTS_FORMAT, NamespaceFacts};
use archetype_netns::{folder, pin};
use archetype_testbed::{scratch, scratch_dir};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::runtime::Runtime;

use super::size::INSTALLATION;

/// Calls at once: what the machine's two processors gain from.
const AT_ONCE: usize = 2;

/// The loop.
pub struct BareLoop<'r> {
    runtime: &'r Runtime,
    docker: Docker,
    body: ContainerCreateBody,
    pins: Vec<PathBuf>,
    /// Where the runtime finds what it is to know of each.
    facts: RefCell<Vec<PathBuf>>,
}

impl<'r> BareLoop<'r> {
    /// Prepares `count` containers that are made as the one of which `like` is the inspection.
    pub fn new(runtime: &'r Runtime, socket: &Path, like: &str, count: usize) -> anyhow::Result<Self> {
        let _guard = runtime.enter();
        let docker = Docker::connect_with_unix(&socket.display().to_string(), 120, API_DEFAULT_VERSION)?;
        let docker = runtime.block_on(docker.negotiate_version())?;
        let folder = scratch_dir("bare");
        let pins: Vec<PathBuf> = (0..count).map(|number| folder.join(format!("n{number}"))).collect();
        for made in pin::many(&pins) {
            made.context("make a namespace")?;
        }
        Ok(Self { runtime, docker, body: body(like)?, pins, facts: RefCell::default() })
    }

    /// Creates and starts them all.
    pub fn create_and_start(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let all = stream::iter(0..self.pins.len()).map(Ok).try_for_each_concurrent(AT_ONCE, |number| self.one(number));
        self.runtime.block_on(all)?;
        Ok(began.elapsed())
    }

    /// Removes them all, and before it what the runtime knows of them: it has nothing to do at their ends.
    pub fn remove(&self) -> anyhow::Result<Duration> {
        for path in self.facts.borrow_mut().drain(..) {
            folder::remove(&path)?;
        }
        let began = Instant::now();
        let all = stream::iter(0..self.pins.len()).map(Ok).try_for_each_concurrent(AT_ONCE, |number| async move {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            self.docker.remove_container(&name(number), Some(options)).await.map_err(anyhow::Error::from)
        });
        self.runtime.block_on(all)?;
        let took = began.elapsed();
        self.pins.iter().try_for_each(|path| pin::unpin(path))?;
        Ok(took)
    }

    async fn one(&self, number: usize) -> anyhow::Result<()> {
        let options = CreateContainerOptionsBuilder::default().name(&name(number)).build();
        let id = self.docker.create_container(Some(options), self.body.clone()).await?.id;
        let facts = NamespaceFacts {
            format: FACTS_FORMAT,
            installation: INSTALLATION.parse()?,
            node: name(number).parse()?,
            lab: "bare".parse()?,
            namespace: self.pins[number].clone(),
            host_namespace: None,
            interfaces: Vec::new(),
            routes: Vec::new(),
            sysctls: Default::default(),
        };
        let path = NamespaceFacts::container_path(&id);
        folder::write(&path, &facts)?;
        self.facts.borrow_mut().push(path);
        Ok(self.docker.start_container(&id, None::<StartContainerOptions>).await?)
    }
}

fn name(number: usize) -> String {
    format!("bare-n{number}")
}

/// What is given to create another container like the one inspected, without its name, labels and files.
fn body(inspected: &str) -> anyhow::Result<ContainerCreateBody> {
    let inspected: serde_json::Value = serde_json::from_str(inspected)?;
    let mut body = inspected[0]["Config"].clone();
    let mut host = inspected[0]["HostConfig"].clone();
    body["Labels"] = serde_json::json!({});
    body["Hostname"] = serde_json::json!("bare");
    let files = scratch().join("bare-file");
    std::fs::write(&files, "")?;
    let binds = host["Binds"].as_array().cloned().unwrap_or_default();
    let elsewhere = |bind: &serde_json::Value| {
        let inside = bind.as_str().and_then(|text| text.split(':').nth(1)).unwrap_or("/etc/hosts").to_owned();
        serde_json::json!(format!("{}:{inside}", files.display()))
    };
    host["Binds"] = binds.iter().map(elsewhere).collect();
    body["HostConfig"] = host;
    serde_json::from_value(body).context("what the engine inspects is not what it takes")
}
