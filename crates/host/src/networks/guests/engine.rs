//! The engine's side: reading its networks, hearing its events, making and removing ours.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use archetype_model::NetworkName;
use archetype_model::spec::NetworkSpec;
use bollard::Docker;
use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest};
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt;
use nix::sys::socket::{getsockopt, sockopt};
use tokio::time::{Instant, interval, sleep, timeout};

use super::{Engine, GuestNetwork, Shared, can_lay, labels};
use crate::networks::{Error, mark};

/// How often everything is read although no event came.
const FULL_READ: Duration = Duration::from_secs(5);
/// How often an engine that is not there is looked for.
const LOOK: Duration = Duration::from_secs(1);
/// Events of one change come in a row.
const GATHER: Duration = Duration::from_millis(10);

/// Keeps the replica for ever.
pub(super) async fn keep(shared: std::sync::Arc<Shared>) {
    let Some(socket) = shared.socket.clone() else { return };
    let mut pause = Duration::from_millis(100);
    loop {
        if !socket.exists() || !shares_namespace(&socket) {
            shared.tell_now(Engine::Absent);
            sleep(LOOK).await;
            continue;
        }
        let began = Instant::now();
        if let Err(error) = session(&shared).await {
            shared.tell_now(Engine::Unreadable(error.to_string()));
        }
        pause = if began.elapsed() > LOOK { Duration::from_millis(100) } else { (pause * 2).min(LOOK) };
        sleep(pause).await;
    }
}

/// Whether the engine at this socket and we are in one network namespace. A socket made by systemd
/// for the engine is judged by systemd's.
fn shares_namespace(socket: &Path) -> bool {
    let credentials = UnixStream::connect(socket).ok().and_then(|s| getsockopt(&s, sockopt::PeerCredentials).ok());
    let Some(pid) = credentials.map(|credentials| credentials.pid()) else {
        // Nobody answers: an engine on its way; what it is shows when it is there.
        return true;
    };
    let namespace = |pid: &str| std::fs::metadata(format!("/proc/{pid}/ns/net")).map(|meta| (meta.dev(), meta.ino()));
    match (namespace(&pid.to_string()), namespace("thread-self")) {
        (Ok(engine), Ok(own)) => engine == own,
        _ => false,
    }
}

/// One connection: from the first full read until an event stream ends or a read fails.
async fn session(shared: &Shared) -> Result<(), Error> {
    let docker = connect(shared).await?;
    let filters = HashMap::from([("type".to_owned(), vec!["network".to_owned()])]);
    let mut events = Box::pin(docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build())));
    let mut timer = interval(FULL_READ);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(_)) => sleep(GATHER).await,
                Some(Err(error)) => return Err(refused("hear the Docker Engine's events", error)),
                None => return Err(refused("hear the Docker Engine's events", "it ended them")),
            },
            _ = timer.tick() => {}
        }
        let reading = shared.begin_reading();
        shared.tell(reading, read(shared, &docker).await?);
    }
}

/// Reads everything over a connection of its own.
pub(super) async fn read_again(shared: &Shared) -> Result<(), Error> {
    let docker = connect(shared).await?;
    let reading = shared.begin_reading();
    shared.tell(reading, read(shared, &docker).await?);
    Ok(())
}

async fn connect(shared: &Shared) -> Result<Docker, Error> {
    let what = "connect to the Docker Engine";
    let path = shared.socket.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned();
    let seconds = shared.deadline.as_secs().max(1);
    let docker = Docker::connect_with_unix(&path, seconds, bollard::API_DEFAULT_VERSION);
    let docker = docker.map_err(|error| refused(what, error))?;
    within(shared, what, docker.negotiate_version()).await
}

async fn read(shared: &Shared, docker: &Docker) -> Result<Engine, Error> {
    let what = "list the Docker Engine's networks";
    let all = within(shared, what, docker.list_networks(None)).await?;
    let mut networks = std::collections::BTreeMap::new();
    for network in all {
        let mut guest = guest_of(network);
        if guest.is_of(&shared.installation) {
            match docker.inspect_network(&guest.id, None).await {
                Ok(told) => {
                    let names = told.containers.unwrap_or_default().into_values().filter_map(|c| c.name);
                    guest.containers = names.collect();
                    guest.containers.sort();
                }
                // Removed since it was listed.
                Err(error) if status(&error) == Some(404) => continue,
                Err(error) => return Err(refused(what, error)),
            }
        }
        networks.insert(guest.name.clone(), guest);
    }
    Ok(Engine::Known(networks))
}

fn guest_of(network: Network) -> GuestNetwork {
    let mut labels = network.labels.unwrap_or_default();
    let options = network.options.unwrap_or_default();
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    GuestNetwork {
        id: network.id.unwrap_or_default(),
        name: network.name.unwrap_or_default(),
        bridge: options.get("com.docker.network.bridge.name").and_then(|name| name.parse().ok()),
        by_containerlab: labels.contains_key("containerlab"),
        installation: labels.remove(mark::LABEL_INSTALLATION),
        digest: labels.remove(mark::LABEL_DIGEST),
        subnets: configs.iter().filter_map(|config| config.subnet.as_deref()?.parse().ok()).collect(),
        ranges: configs.iter().filter_map(|config| config.ip_range.as_deref()?.parse().ok()).collect(),
        containers: Vec::new(),
    }
}

/// Makes the Docker network; one of ours that is not as wanted is made anew.
pub(super) async fn lay(shared: &Shared, network: &NetworkSpec) -> Result<(), Error> {
    let docker = connect(shared).await?;
    let Engine::Known(there) = read(shared, &docker).await? else { return Ok(()) };
    if !can_lay(network) || shared.is_right(&there, network) {
        return Ok(());
    }
    if let Some(old) = there.get(network.name.as_str()) {
        if !old.is_of(&shared.installation) {
            return Err(Error::NameTaken { network: network.name.clone(), holder: old.holder() });
        }
        if !old.containers.is_empty() {
            return Err(Error::InUse { network: network.name.clone(), foreign: old.containers.clone() });
        }
        let what = format!("remove the Docker network {}", network.name);
        within(shared, &what, docker.remove_network(&old.id)).await?;
    }
    let what = format!("lay the Docker network {} over {}", network.name, network.bridge);
    within(shared, &what, docker.create_network(request(shared, network))).await.map(drop)
}

fn request(shared: &Shared, network: &NetworkSpec) -> NetworkCreateRequest {
    let v4 = network
        .ipv4
        .as_ref()
        .and_then(|s| Some((s.net.trunc().to_string(), s.gateway.to_string(), s.guests?.to_string())));
    let v6 = network
        .ipv6
        .as_ref()
        .and_then(|s| Some((s.net.trunc().to_string(), s.gateway.to_string(), s.guests?.to_string())));
    let enable_ipv6 = v6.is_some();
    let config = |(subnet, gateway, range): (String, String, String)| IpamConfig {
        subnet: Some(subnet),
        gateway: Some(gateway),
        ip_range: Some(range),
        auxiliary_addresses: None,
    };
    let options = HashMap::from([
        ("com.docker.network.bridge.name".to_owned(), network.bridge.to_string()),
        ("com.docker.network.driver.mtu".to_owned(), network.mtu.to_string()),
    ]);
    NetworkCreateRequest {
        name: network.name.to_string(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(enable_ipv6),
        ipam: Some(Ipam { config: Some(v4.into_iter().chain(v6).map(config).collect()), ..Ipam::default() }),
        options: Some(options),
        labels: Some(labels(&shared.installation, network).into_iter().collect()),
        ..NetworkCreateRequest::default()
    }
}

/// Removes our Docker network, unless somebody joined it meanwhile. One that is gone is no error.
pub(super) async fn remove(shared: &Shared, network: &NetworkName, id: &str) -> Result<(), Error> {
    let docker = connect(shared).await?;
    let what = format!("remove the Docker network {network}");
    let removed = timeout(shared.deadline, docker.remove_network(id)).await;
    match removed.map_err(|_| too_slow(shared))? {
        Err(error) if status(&error) != Some(404) => Err(refused(&what, error)),
        _ => Ok(()),
    }
}

async fn within<T>(
    shared: &Shared,
    what: &str,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, Error> {
    let answer = timeout(shared.deadline, call).await.map_err(|_| too_slow(shared))?;
    answer.map_err(|error| refused(what, error))
}

fn too_slow(shared: &Shared) -> Error {
    refused("ask the Docker Engine", format!("no answer within {} s", shared.deadline.as_secs()))
}

fn refused(what: &str, said: impl std::fmt::Display) -> Error {
    Error::Engine { what: what.to_owned(), said: said.to_string() }
}

fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
