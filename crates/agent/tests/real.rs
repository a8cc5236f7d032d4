//! The agent on a real host: real namespaces, real Open vSwitch, real frames. Needs root.

#![allow(clippy::unwrap_used, reason = "a test says so by ending")]

mod lab;

use std::sync::Arc;
use std::time::{Duration, Instant};

use archetype_agent::{Agent, AgentSettings, Clock, Envelope, Handle, Ledger};
use archetype_host::datapath::DatapathSettings;
use archetype_host::{Host as _, LinuxHost, LinuxSettings, Place, Waker};
use archetype_model::ContainerName;
use archetype_model::observed::{Mark, NodeObserved, RunObserved};
use archetype_model::spec::{Attachment, HostSpec, Presence, WireShape};
use archetype_model::status::{LinkState, Status};
use archetype_model::step::{NodeAction, Resource, Step};
use archetype_plan::judge;
use archetype_testbed::{Ovs, Verdict, attempt, run, sandbox, scratch_dir, slowly, xdp_program, xdp_set};
use lab::{Shape, datapath, generation, spec_of};
use tokio::sync::mpsc::UnboundedReceiver;

/// Something done behind the agent's back, with its name.
type Disturbance = (&'static str, Box<dyn Fn(&Bench)>);

struct Bench {
    ovs: Ovs,
    handle: Handle,
    reports: UnboundedReceiver<Envelope>,
    spec: Arc<HostSpec>,
}

impl Bench {
    fn new(spec: HostSpec) -> Self {
        let ovs = Ovs::start(scratch_dir("ovs"));
        let (handle, reports) = agent(&ovs, "ledger");
        Self { ovs, handle, reports, spec: Arc::new(spec) }
    }

    async fn deploy(spec: HostSpec) -> Self {
        let mut bench = Self::new(spec);
        bench.handle.accept(bench.spec.clone()).await.unwrap();
        bench.all_up().await;
        bench.ovs.kernel_moves_frames_of("arch-ovs");
        bench
    }

    /// Waits for a report that `holds`.
    async fn until(&mut self, what: &str, holds: impl Fn(&Envelope) -> bool) -> Envelope {
        let mut last = None;
        let until = Instant::now() + slowly(Duration::from_secs(20));
        while let Ok(Some(envelope)) =
            tokio::time::timeout(until.saturating_duration_since(Instant::now()), self.reports.recv()).await
        {
            if holds(&envelope) {
                return envelope;
            }
            last = Some(envelope);
        }
        panic!("{what}: {:#?}", last.map(|last| last.report))
    }

    async fn all_up(&mut self) -> Envelope {
        let spec = self.spec.clone();
        self.until("every link is up", |envelope| {
            envelope.report.generation == spec.generation
                && links(&spec, envelope).iter().all(|state| *state == LinkState::Up)
        })
        .await
    }

    async fn not_up(&mut self) -> Envelope {
        let spec = self.spec.clone();
        self.until("a link is not up", |envelope| links(&spec, envelope).iter().any(|state| *state != LinkState::Up))
            .await
    }

    fn signal_database(&self, signal: &str) {
        let pid = std::fs::read_to_string(scratch_dir("ovs").join("run/ovsdb-server.pid")).unwrap();
        run("kill", [signal, pid.trim()]);
    }

    /// The database's side of every connection to it.
    fn connections(&self) -> Vec<String> {
        let socket = self.ovs.socket().display().to_string();
        let all = run("ss", ["-xnH", "state", "established"]);
        // How much is on its way is left out: an echo may be.
        let whose = |line: &str| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
        let mut all: Vec<String> = all.lines().filter(|line| line.contains(&socket)).map(whose).collect();
        all.sort();
        all
    }

    /// Changes what the switch itself is told, past its database.
    fn ofctl<const N: usize>(&self, args: [&str; N]) {
        self.ovs.tool("ovs-ofctl", args);
    }

    /// Makes the device a port of a Linux bridge of somebody else. Where the kernel moves frames it is the switch's for good.
    fn onto_another_bridge(&self) {
        run("sh", ["-c", "ip link show theirs >/dev/null 2>&1 || ip link add theirs type bridge"]);
        run("ip", ["link", "set", "theirs", "up"]);
        let device = self.device();
        if attempt("ip", ["link", "set", &device, "master", "theirs"]).is_err() {
            assert!(self.ovs.kernel_moves_frames_of("arch-ovs"), "{device} becomes a port");
            run("ip", ["link", "set", &device, "down"]);
        }
    }

    fn set_interface(&self, value: &str) {
        self.ovs.vsctl(["set", "interface", &self.device(), value]);
    }

    fn second_interface(&self) {
        let device = self.device();
        let make = ["--id=@i", "create", "interface", "name=second", "type=internal"];
        let add = ["--", "add", "port", &device, "interfaces", "@i"];
        self.ovs.vsctl(["--no-wait", "--"].into_iter().chain(make).chain(add));
    }

    fn other_datapath(&self) {
        let now = self.ovs.vsctl(["get", "bridge", "arch-ovs", "datapath_type"]);
        let other = if now.trim() == "netdev" { "system" } else { "netdev" };
        self.ovs.vsctl(["--no-wait", "set", "bridge", "arch-ovs", &format!("datapath_type={other}")]);
    }

    fn device(&self) -> String {
        self.spec.nodes().next().unwrap().1.interfaces[1].host_device.to_string()
    }
}

fn host(ovs: &Ovs, waker: &Waker) -> LinuxHost {
    let settings = LinuxSettings {
        place: Place::new("ab1c2".parse().unwrap()),
        datapath: DatapathSettings {
            endpoint: ovs.target().parse().unwrap(),
            bridge: datapath().bridge,
            kind: None,
            rundir: Some(ovs.socket().parent().unwrap().to_path_buf()),
        },
        docker_socket: None,
        docker_runtime: "archetype".into(),
        keep_exec: Arc::new(|_| Ok(())),
        known_exec: Arc::new(|_, _, _| None),
        hosts_path: None,
        supervisor: "/nonexistent".into(),
        host_commands: Default::default(),
    };
    LinuxHost::open(settings, waker).unwrap()
}

fn agent(ovs: &Ovs, ledger: &str) -> (Handle, UnboundedReceiver<Envelope>) {
    let (waker, events) = Waker::channel();
    let host = Arc::new(host(ovs, &waker));
    let settings =
        AgentSettings { datapath: datapath(), full_read_interval: Duration::from_secs(60), probe_interval: None };
    let ledger = Ledger::open(&scratch_dir(ledger)).unwrap();
    let (agent, handle, reports) = Agent::new(host, settings, ledger, Clock::system(), events);
    tokio::spawn(async move { agent.run().await });
    (handle, reports)
}

fn links(spec: &HostSpec, envelope: &Envelope) -> Vec<LinkState> {
    statuses(spec, envelope).into_iter().map(|status| status.state).collect()
}

fn statuses(spec: &HostSpec, envelope: &Envelope) -> Vec<Status<LinkState>> {
    spec.wires()
        .map(|(lab, wire)| {
            let report = envelope.report.wires.get(&lab.name).and_then(|wires| wires.get(&wire.id));
            judge::link_status(wire, report)
        })
        .collect()
}

/// A spec without a management network.
fn bare(shape: &Shape, number: u64) -> HostSpec {
    let mut spec = spec_of(shape, number);
    spec.networks.clear();
    for node in spec.labs.iter_mut().flat_map(|lab| &mut lab.nodes) {
        node.interfaces.retain(|interface| matches!(interface.attachment, Attachment::Wire { .. }));
        node.execs.clear();
    }
    spec
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// A pair with a spare interface first, so that `device()` is a wire's.
fn pair() -> HostSpec {
    bare(&Shape::ring(), 1)
}

#[test]
fn namespace_nodes_come_up_wired_and_proven() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(pair()).await;
            let tags = bench.ovs.vsctl(["--columns=name,tag,vlan_mode", "list", "port"]);
            assert!(tags.contains("dot1q-tunnel"), "{tags}");
            let inside = run("ip", ["-n", "clab-lab0-n0", "-br", "link"]);
            assert!(inside.contains("UP"), "{inside}");
        });
    });
}

/// As an agent leaves it that dies between the pin of a namespace and the mark of its node.
#[test]
fn a_namespace_that_bears_no_mark_is_made_anew_and_goes_with_its_lab() {
    sandbox(|| {
        block_on(async {
            let spec = pair();
            let place = Place::new("ab1c2".parse().unwrap());
            let pins: Vec<_> = spec.nodes().map(|(_, node)| place.pin(&node.container)).collect();
            std::fs::create_dir_all(place.pins()).unwrap();
            for pin in &pins {
                std::fs::write(pin, "").unwrap();
                run("unshare", [&format!("--net={}", pin.display()), "true"]);
            }
            let mut bench = Bench::deploy(spec.clone()).await;
            let mut gone = spec;
            (gone.generation, gone.labs[0].presence) = (generation(2), Presence::Gone);
            gone.labs[0].nodes.clear();
            gone.labs[0].wires.clear();
            bench.handle.accept(Arc::new(gone)).await.unwrap();
            bench
                .until("nothing is left", |envelope| {
                    envelope.report.leaving.is_empty() && envelope.report.generation == generation(2)
                })
                .await;
            assert!(pins.iter().all(|pin| !pin.exists()), "{pins:?}");
        });
    });
}

/// The kernel tells of no mark that is put on a device which is down.
#[test]
fn a_pair_that_is_made_down_bears_its_mark_at_the_next_look() {
    sandbox(|| {
        block_on(async {
            let ovs = Ovs::start(scratch_dir("ovs"));
            let (waker, _events) = Waker::channel();
            let host = host(&ovs, &waker);
            let spec = Arc::new(pair());
            // A first look, so that the rest is what the watch tells.
            host.observe().await;
            let nodes = || spec.nodes().map(|(_, node)| node);
            let spaces: Vec<Step> =
                nodes().map(|node| Step::MakeNamespace { container: node.container.clone() }).collect();
            let pairs = nodes().flat_map(|node| node.interfaces.iter().map(move |one| (node, one)));
            let pairs: Vec<Step> = pairs
                .map(|(node, one)| Step::MakePair {
                    container: node.container.clone(),
                    interface: one.name.clone(),
                    device: one.host_device.clone(),
                    up: false,
                })
                .collect();
            for outcome in host.apply(&spec, &spaces).await.into_iter().chain(host.apply(&spec, &pairs).await) {
                assert!(outcome.error.is_none(), "{outcome:?}");
            }
            let observed = host.observe().await;
            let devices = observed.devices.known().unwrap();
            for one in nodes().flat_map(|node| &node.interfaces) {
                assert!(devices[&one.host_device].mark.is_some(), "{devices:?}");
            }
        });
    });
}

/// Makes namespaces and facts of a spec's nodes, and starts them.
async fn started(host: &LinuxHost, spec: &Arc<HostSpec>) {
    let of = |step: fn(ContainerName) -> Step| -> Vec<Step> {
        spec.nodes().map(|(_, node)| step(node.container.clone())).collect()
    };
    for steps in [
        of(|container| Step::MakeNamespace { container }),
        of(|container| Step::WriteFacts { container }),
        of(|container| Step::Node { container, action: NodeAction::Start }),
    ] {
        for outcome in host.apply(spec, &steps).await {
            assert!(outcome.error.is_none(), "{outcome:?}");
        }
    }
    let until = Instant::now() + slowly(Duration::from_secs(20));
    let is_idle = |seen: &NodeObserved| seen.busy.is_none() && matches!(seen.run, RunObserved::Running { .. });
    while !host.observe().await.processes.known().unwrap().values().all(is_idle) {
        assert!(Instant::now() < until, "the nodes start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A start sets up the namespace first, and is noted as over last: in between the node is not known to run.
#[test]
fn a_pair_that_is_made_for_a_node_whose_start_is_nearly_over_is_set_up_inside() {
    sandbox(|| {
        block_on(async {
            let ovs = Ovs::start(scratch_dir("ovs"));
            let (waker, _events) = Waker::channel();
            let host = host(&ovs, &waker);
            let spec = Arc::new(pair());
            started(&host, &spec).await;
            let (_, node) = spec.nodes().next().unwrap();
            let (one, container) = (&node.interfaces[0], &node.container);
            run("ip", ["link", "del", one.host_device.as_str()]);
            let note = Place::new("ab1c2".parse().unwrap()).run_folder(container).join("node.json");
            let noted = std::fs::read_to_string(&note).unwrap();
            std::fs::write(&note, noted.replace("\"stopped\":false", "\"stopped\":true")).unwrap();
            host.observe().await;
            let make = Step::MakePair {
                container: container.clone(),
                interface: one.name.clone(),
                device: one.host_device.clone(),
                up: true,
            };
            let is_up = || {
                let all = run("ip", ["-n", container.as_str(), "-o", "link", "show", "up"]);
                all.contains(&format!(": {}@", one.name))
            };
            let outcome = host.apply(&spec, std::slice::from_ref(&make)).await;
            assert!(outcome[0].error.is_none(), "{outcome:?}");
            assert!(is_up(), "the namespace is set up, so the node is about to run");
            for end in ["lo", one.name.as_str()] {
                run("ip", ["-n", container.as_str(), "link", "set", end, "down"]);
            }
            run("ip", ["link", "del", one.host_device.as_str()]);
            host.observe().await;
            let outcome = host.apply(&spec, &[make]).await;
            assert!(outcome[0].error.is_none(), "{outcome:?}");
            assert!(!is_up(), "a node that does not run is dead on the wire");
            let seen = host.observe().await;
            let mark = seen.devices.known().unwrap()[&one.host_device].mark.clone().unwrap();
            assert_eq!(mark.interface.as_ref(), Some(one.port()), "nothing is left to be done");
        });
    });
}

/// As an agent leaves it that dies after it has made a pair for a node that runs, and before it has set up its end inside.
#[test]
fn a_pair_that_a_former_agent_did_not_set_up_inside_is_set_up() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(pair()).await;
            let device = bench.device();
            let Bench { ovs, handle, reports, spec } = bench;
            drop((handle, reports));
            tokio::time::sleep(Duration::from_millis(300)).await;
            ovs.vsctl(["del-port", &device]);
            run("ip", ["link", "del", &device]);
            let (lab, node) = spec.nodes().next().unwrap();
            let one = &node.interfaces[1];
            {
                let (waker, _events) = Waker::channel();
                let host = host(&ovs, &waker);
                host.observe().await;
                let facts = Place::new("ab1c2".parse().unwrap()).facts_file(&node.container);
                let right = std::fs::read(&facts).unwrap();
                std::fs::write(&facts, "nothing can be set up by this").unwrap();
                let make = Step::MakePair {
                    container: node.container.clone(),
                    interface: one.name.clone(),
                    device: one.host_device.clone(),
                    up: true,
                };
                let outcome = host.apply(&spec, &[make]).await;
                assert!(outcome[0].error.is_some(), "{outcome:?}");
                std::fs::write(&facts, right).unwrap();
            }
            let left = run("ip", ["-n", node.container.as_str(), "link", "show", one.name.as_str()]);
            assert!(left.contains("state DOWN"), "{left}");
            let (handle, reports) = agent(&ovs, "ledger");
            let mut bench = Bench { ovs, handle, reports, spec: spec.clone() };
            bench.all_up().await;
            let shown = run("ip", ["link", "show", &device]);
            assert!(shown.contains(&Mark::of_port(&spec, lab, node, one).to_string()), "{shown}");
        });
    });
}

#[test]
fn drift_of_every_sort_takes_a_link_from_up_and_is_mended() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let device = bench.device();
            let disturb: Vec<Disturbance> = vec![
                ("tag", Box::new(|b: &Bench| drop(b.ovs.vsctl(["set", "port", &b.device(), "tag=4000"])))),
                ("port deleted", Box::new(|b: &Bench| drop(b.ovs.vsctl(["del-port", &b.device()])))),
                ("veth gone", Box::new(|b: &Bench| drop(run("ip", ["link", "del", &b.device()])))),
                ("mark gone", Box::new(|b: &Bench| drop(run("ip", ["link", "set", &b.device(), "alias", ""])))),
                (
                    "mark overwritten",
                    Box::new(|b: &Bench| drop(run("ip", ["link", "set", &b.device(), "alias", "theirs"]))),
                ),
                ("host end small", Box::new(|b: &Bench| drop(run("ip", ["link", "set", &b.device(), "mtu", "1400"])))),
                ("host end down", Box::new(|b: &Bench| drop(run("ip", ["link", "set", &b.device(), "down"])))),
                ("fail_mode", Box::new(|b: &Bench| drop(b.ovs.vsctl(["set-fail-mode", "arch-ovs", "secure"])))),
                (
                    "a flow that drops",
                    Box::new(|b: &Bench| b.ofctl(["add-flow", "arch-ovs", "priority=100,actions=drop"])),
                ),
                ("no flow at all", Box::new(|b: &Bench| b.ofctl(["del-flows", "arch-ovs"]))),
                ("another flow alone", Box::new(|b: &Bench| b.ofctl(["add-flow", "arch-ovs", "actions=flood"]))),
                ("no forward", Box::new(|b: &Bench| b.ofctl(["mod-port", "arch-ovs", &b.device(), "no-forward"]))),
                ("no receive", Box::new(|b: &Bench| b.ofctl(["mod-port", "arch-ovs", &b.device(), "no-receive"]))),
                ("no flood", Box::new(|b: &Bench| b.ofctl(["mod-port", "arch-ovs", &b.device(), "no-flood"]))),
                ("two interfaces", Box::new(|b: &Bench| b.second_interface())),
                ("datapath_type", Box::new(|b: &Bench| b.other_datapath())),
                ("mtu_request", Box::new(|b: &Bench| b.set_interface("mtu_request=500"))),
                ("kpkts", Box::new(|b: &Bench| b.set_interface("ingress_policing_kpkts_rate=1"))),
                ("another bridge", Box::new(|b: &Bench| b.onto_another_bridge())),
                ("lldp", Box::new(|b: &Bench| b.set_interface("lldp:enable=true"))),
                ("cfm", Box::new(|b: &Bench| b.set_interface("cfm_mpid=5"))),
                ("bfd", Box::new(|b: &Bench| b.set_interface("bfd:enable=true"))),
                ("bridge gone", Box::new(|b: &Bench| drop(b.ovs.vsctl(["del-br", "arch-ovs"])))),
            ];
            for (what, disturb) in disturb {
                eprintln!("disturb: {what}");
                while bench.reports.try_recv().is_ok() {}
                disturb(&bench);
                let spec = bench.spec.clone();
                bench
                    .until("mended, told as a repair, and proven again", |envelope| {
                        !envelope.repairs.is_empty()
                            && links(&spec, envelope).iter().all(|state| *state == LinkState::Up)
                    })
                    .await;
                // What the switch answers late may be mended by another repair.
                let handle = bench.handle.clone();
                handle.acknowledge(u64::MAX);
                let acknowledged = |envelope: &Envelope| {
                    let is_so = envelope.repairs.is_empty();
                    (!is_so).then(|| handle.acknowledge(u64::MAX));
                    is_so
                };
                bench.until("acknowledged", acknowledged).await;
            }
            assert!(!device.is_empty());
        });
    });
}

#[test]
fn a_mark_that_somebody_wrote_over_comes_back_and_the_node_keeps_its_interface_as_it_set_it() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let spec = bench.spec.clone();
            let (lab, node) = spec.nodes().next().unwrap();
            let (container, one) = (node.container.to_string(), &node.interfaces[0]);
            let (name, device) = (one.name.to_string(), one.host_device.to_string());
            let mark = Mark::of_port(&spec, lab, node, one).to_string();
            let (_, other) = spec.nodes().nth(1).unwrap();
            let of_another = Mark::of_port(&spec, lab, other, &other.interfaces[0]).to_string();
            let of_no_lab = mark.replace(&format!(":{}:", lab.name), ":gone:");
            run("ip", ["-n", &container, "link", "set", &name, "mtu", "1300"]);
            run("ip", ["-n", &container, "addr", "add", "198.51.100.1/24", "dev", &name]);
            // An address of IPv6 is looked for on the wire for a moment.
            let inside = || run("ip", ["-n", &container, "addr", "show", &name]).replace(" tentative", "");
            let before = inside();
            for alias in ["theirs", "", &of_another, &of_no_lab] {
                bench.handle.acknowledge(u64::MAX);
                bench.until("nothing is told", |envelope| envelope.repairs.is_empty()).await;
                run("ip", ["link", "set", &device, "alias", alias]);
                let is_told = |envelope: &Envelope| {
                    !envelope.repairs.is_empty() && links(&spec, envelope).iter().all(|state| *state == LinkState::Up)
                };
                let envelope = bench.until("marked again, and told as a repair", is_told).await;
                let mended: Vec<&Resource> = envelope.repairs.iter().map(|repair| &repair.resource).collect();
                assert_eq!(mended, [&Resource::Device(one.host_device.clone())], "nothing else, after {alias:?}");
                assert!(run("ip", ["link", "show", &device]).contains(&mark), "after {alias:?}");
                assert_eq!(inside(), before, "after {alias:?}");
            }
        });
    });
}

#[test]
fn an_address_put_into_the_switchs_table_by_hand_is_taken_away_and_told() {
    sandbox(|| {
        block_on(async {
            let mut spec = pair();
            spec.labs[0].wires.iter_mut().for_each(|wire| wire.shape = WireShape::Lan);
            let mut bench = Bench::deploy(spec).await;
            let tag = bench.spec.wires().next().unwrap().1.tag.to_string();
            let table = |bench: &Bench| bench.ovs.tool("ovs-appctl", ["fdb/show", "arch-ovs"]);
            bench.ovs.tool("ovs-appctl", ["fdb/add", "arch-ovs", &bench.device(), &tag, "02:00:00:00:00:99"]);
            assert!(table(&bench).contains("static"), "{}", table(&bench));
            while bench.reports.try_recv().is_ok() {}
            // Nothing tells of it: it is found when everything is read.
            bench.handle.verify(None).await;
            let spec = bench.spec.clone();
            bench
                .until("taken away, told as a repair, and proven again", |envelope| {
                    !envelope.repairs.is_empty() && links(&spec, envelope).iter().all(|state| *state == LinkState::Up)
                })
                .await;
            assert!(!table(&bench).contains("static"), "{}", table(&bench));
        });
    });
}

/// How many links are told as wired and carrying nothing.
fn carry_nothing(spec: &HostSpec, envelope: &Envelope) -> usize {
    let lost = |status: &Status<LinkState>| {
        let reason = status.reason.as_deref().unwrap_or_default();
        status.state == LinkState::Error && reason.starts_with("wired, carries nothing")
    };
    statuses(spec, envelope).iter().filter(|status| lost(status)).count()
}

#[test]
fn a_packet_filter_at_a_hosts_end_has_its_link_proven_again_and_one_that_drops_frames_takes_it_from_up() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let device = bench.device();
            let nft = |words: &str| run("nft", [words]);
            nft("add table netdev people");
            let hook = format!("type filter hook egress device {device} priority 0;");
            nft(&format!("add chain netdev people out {{ {hook} policy drop; }}"));
            let spec = bench.spec.clone();
            let is_told = |envelope: &Envelope| carry_nothing(&spec, envelope) == 1;
            bench.until("it carries nothing", is_told).await;
            nft("add rule netdev people out accept");
            bench.all_up().await;
            nft("flush chain netdev people out");
            bench.until("it carries nothing again", is_told).await;
            nft("delete table netdev people");
            bench.all_up().await;
        });
    });
}

#[test]
fn a_program_on_a_hosts_end_has_its_link_proven_again_and_one_that_drops_frames_takes_it_from_up() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let device = bench.device();
            let programs = [Verdict::Drop, Verdict::Pass].map(xdp_program);
            let put = |program: Option<&std::os::fd::OwnedFd>| xdp_set(&device, program);
            let spec = bench.spec.clone();
            let is_told = |envelope: &Envelope| carry_nothing(&spec, envelope) == 1;
            for _ in 0..2 {
                put(Some(&programs[0]));
                bench.until("it carries nothing", is_told).await;
                put(Some(&programs[1]));
                bench.all_up().await;
            }
            put(Some(&programs[0]));
            bench.until("it carries nothing again", is_told).await;
            put(None);
            bench.all_up().await;
        });
    });
}

/// A discipline that swallows everything, on the host's end; people put others there to make a link slow.
#[test]
fn traffic_control_on_a_hosts_end_has_its_link_proven_again_and_one_that_swallows_frames_takes_it_from_up() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let device = bench.device();
            let tc = |words: &[&str]| run("tc", ["qdisc"].into_iter().chain(words.iter().copied()));
            tc(&["add", "dev", &device, "root", "handle", "1:", "pfifo", "limit", "0"]);
            let spec = bench.spec.clone();
            let is_told = |envelope: &Envelope| carry_nothing(&spec, envelope) == 1;
            bench.until("it carries nothing", is_told).await;
            tc(&["replace", "dev", &device, "root", "handle", "1:", "pfifo", "limit", "100"]);
            bench.all_up().await;
            tc(&["replace", "dev", &device, "root", "handle", "1:", "pfifo", "limit", "0"]);
            bench.until("it carries nothing again", is_told).await;
            tc(&["del", "dev", &device, "root"]);
            bench.all_up().await;
        });
    });
}

#[test]
fn a_switch_that_speaks_another_protocol_is_unreadable_in_words_that_name_the_column() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            bench.ovs.vsctl(["set", "bridge", "arch-ovs", "protocols=OpenFlow15"]);
            let spec = bench.spec.clone();
            let is_told = |status: &Status<LinkState>| {
                let reason = status.reason.as_deref().unwrap_or_default();
                status.state == LinkState::Unknown && reason.contains("column `protocols`")
            };
            bench.until("it is told", |envelope| statuses(&spec, envelope).iter().all(is_told)).await;
            bench.ovs.vsctl(["clear", "bridge", "arch-ovs", "protocols"]);
            bench.all_up().await;
        });
    });
}

/// Ports that somebody plugs by hand, each with what it hears: the links whose tags it hears are not
/// up for as long as it is there, and say why; no other link minds.
#[test]
fn a_port_of_somebody_else_that_hears_a_wire_takes_it_from_up_and_is_named_until_it_is_gone() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let spec = bench.spec.clone();
            let tags: Vec<String> = spec.wires().map(|(_, wire)| wire.tag.to_string()).collect();
            let one = format!("tag={}", tags[0]);
            let trunks = format!("trunks={},{}", tags[0], tags[2]);
            for (name, set, heard) in [
                ("fport", one.as_str(), vec![0]),
                ("a-name-longer-than-a-device-may-have", &one, vec![0]),
                ("fport", &trunks, vec![0, 2]),
                ("fport", "vlan_mode=trunk", vec![0, 1, 2]),
                ("fport", "vlan_mode=access", vec![]),
            ] {
                let interface = ["--", "set", "interface", name, "type=patch", "options:peer=nobody"];
                let port = ["--", "set", "port", name, set];
                bench.ovs.vsctl(["--no-wait", "add-port", "arch-ovs", name].into_iter().chain(interface).chain(port));
                let is_as_heard = |envelope: &Envelope| {
                    let states = statuses(&spec, envelope);
                    let wrong = |(at, status): (usize, &Status<LinkState>)| {
                        let is_told = status.reason.as_ref().is_some_and(|reason| reason.contains(name));
                        (status.state == LinkState::Error && is_told).then_some(at)
                    };
                    states.iter().enumerate().filter_map(wrong).eq(heard.iter().copied())
                        && states.iter().filter(|status| status.state == LinkState::Up).count() == 3 - heard.len()
                };
                bench.until(&format!("{name} {set}: it is told"), is_as_heard).await;
                bench.ovs.vsctl(["--no-wait", "del-port", name]);
                bench.all_up().await;
            }
        });
    });
}

#[test]
fn a_stopped_or_restarted_switch_takes_links_from_up_and_they_are_proven_again() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            bench.ovs.stop_vswitchd();
            bench.not_up().await;
            bench.ovs.start_vswitchd();
            bench.all_up().await;
            bench.ovs.restart_vswitchd();
            bench.until("up again after a restart", |_| true).await;
            bench.all_up().await;
        });
    });
}

#[test]
fn a_database_that_is_late_makes_links_unknown_until_it_answers_on_the_same_connection() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let connections = bench.connections();
            assert!(connections.len() >= 2, "the switch and the agent: {connections:?}");
            bench.signal_database("-STOP");
            let spec = bench.spec.clone();
            bench.until("unknown", |told| links(&spec, told).contains(&LinkState::Unknown)).await;
            bench.signal_database("-CONT");
            assert_eq!(bench.all_up().await.writes, 0);
            assert_eq!(bench.connections(), connections);
        });
    });
}

#[test]
fn a_started_again_agent_writes_nothing_and_proves_all_anew() {
    sandbox(|| {
        block_on(async {
            let bench = Bench::deploy(pair()).await;
            let Bench { ovs, handle, reports, spec } = bench;
            drop((handle, reports));
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (handle, reports) = agent(&ovs, "ledger");
            let mut bench = Bench { ovs, handle, reports, spec };
            let spec = bench.spec.clone();
            let envelope = bench
                .until("up", |envelope| {
                    assert_eq!(envelope.writes, 0);
                    links(&spec, envelope).iter().all(|state| *state == LinkState::Up)
                })
                .await;
            assert!(envelope.repairs.is_empty());
        });
    });
}

#[test]
fn a_gone_lab_leaves_nothing_on_the_host() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(pair()).await;
            let mut spec = (*bench.spec).clone();
            spec.generation = generation(2);
            spec.labs[0].presence = Presence::Gone;
            spec.labs[0].nodes.clear();
            spec.labs[0].wires.clear();
            let lab = spec.labs[0].name.clone();
            bench.handle.accept(Arc::new(spec)).await.unwrap();
            bench
                .until("gone", |envelope| {
                    envelope.report.generation.number == 2 && !envelope.report.leaving.contains_key(&lab)
                })
                .await;
            assert_eq!(run("ip", ["-o", "link", "show", "type", "veth"]), "");
            assert_eq!(run("ip", ["netns", "list"]), "");
            assert_eq!(bench.ovs.vsctl(["list-ports", "arch-ovs"]), "");
        });
    });
}
