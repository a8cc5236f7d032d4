//! A node's cold boot: one namespace with its interfaces is made as declared again and again, after runs that left
//! nothing and after runs that left a lot.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use archetype_model::facts::{FACTS_FORMAT, InterfaceFacts, NamespaceFacts, PeerFacts};
use archetype_model::{Mac, Mtu};
use archetype_netns::rtnl::Socket;
use archetype_netns::{Namespace, VethOrder, cold_boot, pin, quiesce, veth};
use archetype_testbed::{run as run_tool, scratch_dir};

use super::numbers::{Timings, ms};
use super::table::{Table, Target};

const INTERFACES: u8 = 8;
const AIM: Duration = Duration::from_millis(10);

/// What a run leaves: an address, routes, a rule, a packet filter, traffic control, devices of its own, changed settings,
/// an interface renamed and two shut.
const LEFT: &str = "ip addr add 192.0.2.1/24 dev eth1; ip route add 198.51.100.0/24 via 192.0.2.9; \
     ip -6 route add 2001:db8:aa::/48 dev eth2; ip rule add from 192.0.2.7 table 100; \
     ip neigh add 192.0.2.8 lladdr 02:00:00:00:00:08 dev eth1; \
     nft add table inet left; nft add chain inet left in '{ type filter hook input priority 0; }'; \
     tc qdisc add dev eth2 root tbf rate 1mbit burst 10k latency 50ms; \
     ip link add br0 type bridge; ip link set eth3 master br0; \
     ip link add vx0 type vxlan id 7 dstport 4789 dev eth1; \
     sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.eth1.rp_filter=0; \
     ip link set eth4 down; ip link set eth4 name was4; ip link set eth5 down";

/// Measures `times` rounds: a run that leaves nothing, one that leaves a lot, and one that leaves as much and whose end
/// nobody made clean.
pub fn run(times: usize, table: &mut Table) -> anyhow::Result<()> {
    let folder = scratch_dir("boot");
    let facts = facts(&folder)?;
    let _node = made(&facts)?;
    ensure!(cold_boot(&facts)?.is_first, "the namespace is new");
    let pin = format!("--net={}", facts.namespace.display());
    let leave = || drop(run_tool("nsenter", [pin.as_str(), "sh", "-ec", LEFT]));
    let [mut boots, mut ends, mut full_ends, mut full_boots] = [(); 4].map(|()| Timings::default());
    for _ in 0..times {
        timed(&mut ends, || quiesce(&facts))?;
        timed(&mut boots, || cold_boot(&facts))?;
        leave();
        timed(&mut full_ends, || quiesce(&facts))?;
        timed(&mut boots, || cold_boot(&facts))?;
        leave();
        timed(&mut full_boots, || cold_boot(&facts))?;
    }
    println!(
        "cold boot: {:?} ms, {:?} after a run that left a lot",
        boots.median().map(ms),
        full_boots.median().map(ms)
    );
    let what = format!("namespace with {INTERFACES} interfaces");
    table.timings(&format!("{what}: cold boot"), &boots, None, Target::Median(AIM));
    table.timings(&format!("{what}: end of a run, to dead on the wire and clean"), &ends, None, Target::None);
    table.timings(&format!("{what}: end of a run that left a lot"), &full_ends, None, Target::None);
    table.timings(&format!("{what}: cold boot after such a run that nobody ended"), &full_boots, None, Target::None);
    Ok(())
}

fn timed<T>(took: &mut Timings, work: impl FnOnce() -> archetype_netns::Result<T>) -> anyhow::Result<()> {
    let begun = Instant::now();
    work()?;
    took.push(begun.elapsed());
    Ok(())
}

fn facts(folder: &Path) -> anyhow::Result<NamespaceFacts> {
    Ok(NamespaceFacts {
        format: FACTS_FORMAT,
        installation: "bench".parse()?,
        node: "clab-bench-boot".parse()?,
        lab: "bench".parse()?,
        namespace: folder.join("namespace"),
        host_namespace: None,
        interfaces: (1..=INTERFACES).map(interface).collect::<anyhow::Result<_>>()?,
        routes: Vec::new(),
        sysctls: Default::default(),
    })
}

fn interface(number: u8) -> anyhow::Result<InterfaceFacts> {
    Ok(InterfaceFacts {
        name: format!("eth{number}").parse()?,
        altnames: Vec::new(),
        mac: Mac::new([0xaa, 0xc1, 0xab, 0, 1, number])?,
        mtu: Mtu::new(9500)?,
        peer: PeerFacts {
            name: format!("boot{number}").parse()?,
            index: None,
            mtu: Mtu::LARGEST,
            alias: format!("bench boot {number}"),
            group: 77,
            master: None,
        },
        addresses: Vec::new(),
        tx_checksum_offload: false,
        up: true,
    })
}

/// The namespace with its pairs, as an agent makes them.
fn made(facts: &NamespaceFacts) -> anyhow::Result<Namespace> {
    let node = pin::make(&facts.namespace)?;
    let orders: Vec<_> = facts.interfaces.iter().map(|one| VethOrder::of(one, node.as_fd(), None)).collect();
    for pair in veth::create(&mut Socket::open()?, &orders)? {
        pair.context("make a pair")?;
    }
    Ok(node)
}
