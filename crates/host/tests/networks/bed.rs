//! What the tests stand on: a room, a spec, nodes as namespaces on the bridge, an outside.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use archetype_host::networks::{Networks, Settings};
use archetype_host::{Event, Place, Waker};
use archetype_model::observed::{NetworkObserved, Part, Reading};
use archetype_model::spec::{
    Attachment, ContainerBody, DesiredLink, DesiredRun, FORMAT, HostSpec, HostsLine, InterfaceSpec, LabSpec,
    NetworkSpec, NodeBody, NodeSpec, Presence, Protocol, PublishedPort, Subnet,
};
use archetype_model::{Generation, NetworkName};
use archetype_testbed::{eventually, run, sandbox, scratch};
use nix::sched::{CloneFlags, setns};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

pub const NETWORK: &str = "clab";
const WAIT: Duration = Duration::from_secs(3);

pub fn network() -> NetworkName {
    NETWORK.parse().unwrap()
}

/// Runs an async body in a sandbox.
#[track_caller]
pub fn in_sandbox<F: Future<Output = ()>>(body: F) {
    sandbox(|| tokio::runtime::Runtime::new().unwrap().block_on(body));
}

pub fn port(host_port: u16, node_port: u16) -> PublishedPort {
    PublishedPort { address: None, host_port, node_port, protocol: Protocol::Tcp }
}

/// The node `name` at `.number` of the network.
pub fn node(name: &str, number: u8, ports: Vec<PublishedPort>) -> NodeSpec {
    let eth0 = InterfaceSpec {
        name: "eth0".parse().unwrap(),
        port: None,
        mac: format!("aa:c1:ab:00:00:{number:02x}").parse().unwrap(),
        mtu: archetype_model::Mtu::new(1500).unwrap(),
        host_device: format!("aab1c2-{number}").parse().unwrap(),
        attachment: Attachment::Network {
            network: network(),
            ipv4: Some([100, 64, 9, number].into()),
            ipv6: Some(format!("fd00:9::{number}").parse().unwrap()),
            primary: true,
        },
        desired: DesiredLink::Up,
    };
    NodeSpec {
        name: name.parse().unwrap(),
        container: format!("clab-x-{name}").parse().unwrap(),
        kind: "linux".into(),
        body: NodeBody::Container(Box::new(ContainerBody { ports, ..ContainerBody::default() })),
        desired: DesiredRun::Running,
        restarts: 0,
        restart: Default::default(),
        stages: Default::default(),
        interfaces: vec![eth0],
        execs: Vec::new(),
    }
}

/// A host with one lab of these nodes on one network.
pub fn spec(nodes: Vec<NodeSpec>) -> HostSpec {
    let hosts = nodes.iter().flat_map(lines_of).collect();
    HostSpec {
        format: FORMAT,
        installation: "ab1c2".parse().unwrap(),
        host: "here".parse().unwrap(),
        generation: Generation { incarnation: "i".into(), number: 1 },
        networks: vec![NetworkSpec {
            name: network(),
            bridge: "aab1c2-m0".parse().unwrap(),
            mtu: archetype_model::Mtu::new(1500).unwrap(),
            ipv4: Some(Subnet {
                net: "100.64.9.0/24".parse().unwrap(),
                gateway: [100, 64, 9, 1].into(),
                guests: Some("100.64.9.128/25".parse().unwrap()),
            }),
            ipv6: Some(Subnet {
                net: "fd00:9::/64".parse().unwrap(),
                gateway: "fd00:9::1".parse().unwrap(),
                guests: Some("fd00:9::1:0:0/96".parse().unwrap()),
            }),
            external_access: true,
        }],
        labs: vec![LabSpec {
            name: "x".parse().unwrap(),
            presence: Presence::Present,
            nodes: nodes.into(),
            wires: Vec::new(),
            hosts,
        }],
    }
}

fn lines_of(node: &NodeSpec) -> Vec<HostsLine> {
    let names = vec![node.name.to_string(), node.container.to_string()];
    let Attachment::Network { ipv4, ipv6, .. } = &node.interfaces[0].attachment else { return Vec::new() };
    let addresses = [ipv4.map(Into::into), ipv6.map(Into::into)];
    addresses.into_iter().flatten().map(|address| HostsLine { address, names: names.clone() }).collect()
}

/// The room and what belongs to it.
pub struct Bed {
    pub room: Networks,
    pub place: Place,
    pub hosts: PathBuf,
    events: UnboundedReceiver<Event>,
    socket: Option<PathBuf>,
}

impl Bed {
    pub fn without_engine() -> Self {
        Self::on(None)
    }

    pub fn on(socket: Option<PathBuf>) -> Self {
        let hosts = scratch().join("etc-hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n# somebody's\n").unwrap();
        let place = Place::new("ab1c2".parse().unwrap());
        let (room, events) = open(&place, &hosts, socket.clone());
        Self { room, place, hosts, events, socket }
    }

    /// Another agent on the same host.
    pub fn reopen(&mut self) {
        let (waker, _) = Waker::channel();
        let nothing = Settings { docker_socket: None, ..Settings::new(Place::new("zz9zz".parse().unwrap())) };
        // The old one lets its ports go first.
        self.room = Networks::open(nothing, waker);
        (self.room, self.events) = open(&self.place, &self.hosts, self.socket.clone());
    }

    pub async fn show(&self) -> BTreeMap<NetworkName, NetworkObserved> {
        match self.room.show().await {
            Reading::Known(shown) => shown,
            Reading::Unreadable(why) => panic!("{why}"),
        }
    }

    /// As the plan judges it.
    pub async fn looks_right(&self, spec: &HostSpec) -> bool {
        let shown = self.show().await;
        let Some(seen) = shown.get(&network()) else { return false };
        let gateways = ["100.64.9.1".parse().unwrap(), "fd00:9::1".parse().unwrap()];
        seen.bridge.is_some()
            && seen.ours
            && gateways.iter().all(|gateway| seen.addresses.contains(gateway))
            && seen.guests == Reading::Known(true)
            && seen.rules.as_ref() == Some(&spec.network_rules_digest(&network()))
            && seen.hosts.as_ref() == Some(&spec.network_hosts_digest(&network()))
    }

    pub async fn is_right(&self, spec: &HostSpec) {
        if !self.looks_right(spec).await {
            panic!("not as wanted: {:#?}", self.show().await);
        }
    }

    /// Waits until it looks right, setting it again and again as an agent would.
    pub async fn becomes_right(&self, spec: &HostSpec) {
        let mut last = Ok(());
        for _ in 0..500 {
            if self.looks_right(spec).await {
                return;
            }
            last = self.room.apply_set(spec, &network()).await;
            sleep(Duration::from_millis(20)).await;
        }
        panic!("never became right, {last:?}: {:#?}", self.show().await);
    }

    /// Takes what rang up to now.
    pub async fn quiet(&mut self) {
        sleep(Duration::from_millis(100)).await;
        while self.events.try_recv().is_ok() {}
    }

    /// Waits for the bell.
    pub async fn rung(&mut self) {
        let event = timeout(WAIT, self.events.recv()).await.expect("the bell rings");
        assert_eq!(event, Some(Event::Changed(Part::Networks)));
    }

    /// Every file of the place, and the host's hosts file, with the time of its last change.
    pub fn files(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        let mut found = Vec::new();
        let mut folders = vec![self.place.root().join("nodes"), self.place.root().join("networks")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(changed(&entry.path())) }
            }
        }
        let host = std::fs::read_to_string(&self.hosts).unwrap();
        if host.contains("archetype") {
            found.push(changed(&self.hosts));
        }
        found.sort();
        found
    }

    /// Puts each node of the spec on the bridge, as a namespace.
    pub fn plug(&self, spec: &HostSpec) {
        for (lab, node) in spec.nodes() {
            let (name, interface) = (node.container.as_str(), &node.interfaces[0]);
            let Attachment::Network { ipv4, ipv6, .. } = &interface.attachment else { continue };
            let device = interface.host_device.as_str();
            ip(&format!("netns add {name}"));
            ip(&format!("link add {device} type veth peer name eth0 netns {name}"));
            ip(&format!("link set {device} alias archetype:ab1c2:{}:{}:eth0", lab.name, node.name));
            ip(&format!("link set {device} master aab1c2-m0 up"));
            ip(&format!("-n {name} link set lo up"));
            ip(&format!("-n {name} link set eth0 address {} up", interface.mac));
            ip(&format!("-n {name} addr add {}/24 dev eth0", ipv4.unwrap()));
            ip(&format!("-n {name} addr add {}/64 dev eth0 nodad", ipv6.unwrap()));
            ip(&format!("-n {name} route add default via 100.64.9.1"));
            ip(&format!("-n {name} route add default via fd00:9::1"));
        }
    }

    /// A namespace `out` beyond the host that knows nothing of the network.
    pub fn outside(&self) {
        ip("netns add out");
        ip("link add up0 type veth peer name eth0 netns out");
        for (place, number, device) in [("", 1, "up0"), ("-n out ", 2, "eth0")] {
            ip(&format!("{place}link set {device} up"));
            ip(&format!("{place}addr add 198.18.0.{number}/24 dev {device}"));
            ip(&format!("{place}addr add fd00:99::{number}/64 dev {device} nodad"));
        }
        ip("-n out link set lo up");
    }
}

fn open(place: &Place, hosts: &Path, socket: Option<PathBuf>) -> (Networks, UnboundedReceiver<Event>) {
    let (waker, events) = Waker::channel();
    let settings = Settings { docker_socket: socket, hosts_path: hosts.to_owned(), ..Settings::new(place.clone()) };
    (Networks::open(settings, waker), events)
}

fn changed(path: &Path) -> (PathBuf, std::time::SystemTime) {
    (path.to_owned(), std::fs::metadata(path).unwrap().modified().unwrap())
}

/// Runs `ip` with these words.
#[track_caller]
pub fn ip(words: &str) {
    run("ip", words.split(' '));
}

/// Runs `work` on a thread in a namespace (none: the host's).
fn inside<T: Send + 'static>(namespace: Option<&str>, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = namespace.map(|name| std::fs::File::open(format!("/run/netns/{name}")).unwrap());
    let thread = std::thread::spawn(move || {
        namespace.iter().for_each(|file| setns(file, CloneFlags::CLONE_NEWNET).unwrap());
        work()
    });
    thread.join().unwrap()
}

/// Serves TCP in a namespace until the sandbox ends, telling each guest who serves and who asks.
pub fn serve(namespace: &'static str, port: u16) {
    let listener = inside(Some(namespace), move || TcpListener::bind(("::", port)).unwrap());
    std::thread::spawn(move || {
        for guest in listener.incoming().flatten() {
            let peer = guest.peer_addr().map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default();
            drop((&guest).write_all(format!("{namespace} asked by {peer}").as_bytes()));
        }
    });
}

/// Asks by TCP from a namespace.
pub fn ask(from: Option<&str>, at: &str) -> std::io::Result<String> {
    let at: SocketAddr = at.parse().unwrap();
    inside(from, move || {
        let mut stream = TcpStream::connect_timeout(&at, WAIT)?;
        stream.set_read_timeout(Some(WAIT))?;
        let mut told = String::new();
        stream.read_to_string(&mut told)?;
        Ok(told)
    })
}

/// Sends a datagram and gives the answer to it.
pub fn datagram(at: &str, port: u16, from: Option<&str>, to: &str) -> Result<String, String> {
    let server = inside(Some(at), move || UdpSocket::bind(("0.0.0.0", port)).unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 16];
        let (length, peer) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], peer).unwrap();
    });
    let to: SocketAddr = to.parse().unwrap();
    inside(from, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(b"hello", to).unwrap();
        let mut buffer = [0; 16];
        let answer = socket.recv_from(&mut buffer).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&buffer[..answer.0]).into_owned())
    })
}

/// Another program that listens on a TCP port.
pub fn other_listener(port: u16) -> Child {
    let child = Command::new("busybox").args(["nc", "-l", "-p", &port.to_string()]).spawn().unwrap();
    eventually(WAIT, "busybox listens", || {
        let told = run("ss", ["-Hltn", &format!("sport = :{port}")]);
        (!told.is_empty()).then_some(())
    });
    child
}
