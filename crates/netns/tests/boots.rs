//! The law of the cold boot, on a real kernel: whatever a run leaves, the next start finds the
//! namespace as the first one did.

#![allow(clippy::unwrap_used)] // a test has nobody to hand an error to

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use archetype_model::facts::{FACTS_FORMAT, InterfaceFacts, NamespaceFacts, PeerFacts, RouteFacts};
use archetype_model::{Mac, Mtu};
use archetype_netns::rtnl::{LinkChange, LinkKey, Socket};
use archetype_netns::{Namespace, VethOrder, apply, cold_boot, folder, pin, plug, quiesce, veth};
use archetype_testbed::{Verdict, attempt, eventually, run, sandbox, xdp_program};

const FACTS: &str = "/run/archetype/facts/n1.json";

fn interface(number: u8) -> InterfaceFacts {
    InterfaceFacts {
        name: format!("eth{number}").parse().unwrap(),
        altnames: if number == 1 { vec!["Ethernet1/1".into(), "ge-1".into()] } else { vec![] },
        mac: Mac::new([0xaa, 0xc1, 0xab, 0, 0, number]).unwrap(),
        mtu: Mtu::new(1500 + u32::from(number)).unwrap(),
        peer: PeerFacts {
            name: format!("h{number}").parse().unwrap(),
            index: None,
            mtu: Mtu::LARGEST,
            alias: format!("archetype:test:{number}"),
            group: 77,
            master: None,
        },
        addresses: vec![
            format!("100.64.{number}.1/24").parse().unwrap(),
            format!("2001:db8:{number}::1/64").parse().unwrap(),
        ],
        tx_checksum_offload: number != 1,
        up: number != 3,
    }
}

fn facts(interfaces: u8) -> NamespaceFacts {
    let route = |dst: Option<&str>, via: &str, dev: &str| RouteFacts {
        dst: dst.map(|net| net.parse().unwrap()),
        via: via.parse().unwrap(),
        dev: dev.parse().unwrap(),
    };
    NamespaceFacts {
        format: FACTS_FORMAT,
        installation: "ab1c2".parse().unwrap(),
        node: "clab-x-n1".parse().unwrap(),
        lab: "x".parse().unwrap(),
        namespace: "/run/archetype/ns/n1".into(),
        host_namespace: None,
        interfaces: (1..=interfaces).map(interface).collect(),
        routes: vec![route(None, "100.64.1.254", "eth1"), route(Some("2001:db8:ff::/48"), "2001:db8:2::9", "eth2")],
        sysctls: BTreeMap::from([("net.ipv4.ip_forward".to_owned(), "1".to_owned())]),
    }
}

/// The namespace with its pairs, as an agent makes them.
fn made(facts: &NamespaceFacts) -> Namespace {
    let node = pin::make(&facts.namespace).unwrap();
    let orders: Vec<_> = facts.interfaces.iter().map(|one| VethOrder::of(one, node.as_fd(), None)).collect();
    veth::create(&mut Socket::open().unwrap(), &orders).unwrap().into_iter().for_each(|pair| {
        pair.unwrap();
    });
    folder::write(Path::new(FACTS), facts).unwrap();
    node
}

fn inside(script: &str) -> String {
    run("nsenter", ["--net=/run/archetype/ns/n1", "sh", "-exc", script])
}

/// Waits until the kernel has noticed every carrier and tried every address of its own making.
fn settle() {
    eventually(std::time::Duration::from_secs(5), "carriers and addresses settle", || {
        let links = inside("ip -o link show up type veth");
        let local = inside("ip -o -6 addr show scope link");
        let is_settled = !links.contains("NO-CARRIER") && !local.contains("tentative");
        (is_settled && links.lines().count() == local.lines().count()).then_some(())
    });
}

/// Everything about the namespace that tools show, as lines.
fn dump() -> Vec<String> {
    settle();
    let text = inside(
        "echo links; ip -d -o link; echo addresses; ip -o addr; echo routes; ip route show table all; \
         ip -6 route show table all; echo rules; ip rule; ip -6 rule; echo nexthops; ip nexthop; echo neighbours; \
         ip neigh show nud permanent; ip neigh show proxy; bridge fdb; echo qdiscs; tc qdisc; tc -d filter show dev eth1; \
         echo nft; nft list ruleset; echo legacy; iptables-legacy -S; ip6tables-legacy -S; echo ipsec; ip xfrm state; \
         ip xfrm policy; echo labels; ip addrlabel; echo tracked; conntrack -L 2>/dev/null; echo features; ethtool -k eth1; ethtool -k eth2; \
         echo settings; cd /proc/sys/net; find . -type f -perm -600 | sort | xargs grep -H '' 2>/dev/null || true",
    );
    // A device that has once been up keeps `noqueue` where a new one has `noop`; both hold nothing.
    let is_steady = |line: &&str| !line.starts_with("qdisc noqueue") && !line.contains("33:33:00:00:00:01 dev eth3");
    text.lines().filter(is_steady).map(steady).collect()
}

/// A line without what may differ between two starts: indexes and life-times.
fn steady(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let is_number = |word: &str| word.trim_end_matches(':').parse::<u32>().is_ok();
    if words.first().is_some_and(|word| is_number(word)) && line.contains(": ") {
        words.remove(0);
    }
    // The operational state follows within a second.
    let state = words.iter().position(|word| *word == "state");
    state.filter(|at| words.len() > at + 1).map(|at| words.remove(at + 1));
    let none = words.iter().position(|word| matches!(*word, "noop" | "noqueue"));
    none.map(|at| words.remove(at));
    words.iter().map(|word| word.split("@if").next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

fn assert_same(before: &[String], after: &[String]) {
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    let (before, after) = (sorted(before), sorted(after));
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty() && before == after, "gone: {gone:#?}\nnew: {new:#?}");
}

fn host_indexes() -> Vec<(String, u32)> {
    let links = Socket::open().unwrap().links().unwrap();
    links.into_iter().filter(|link| link.group == 77).map(|link| (link.name, link.index)).collect()
}

fn boot(facts: &NamespaceFacts) -> archetype_netns::Boot {
    cold_boot(facts).unwrap()
}

const DIRT: &str = "
    ip addr add 198.18.0.1/32 dev lo; ip addr add 198.18.1.1/24 dev eth1; ip addr del 100.64.1.1/24 dev eth1
    ip -6 addr add 2001:db8:77::1/64 dev eth2
    ip addrlabel add prefix 2001:db8::/32 label 99; ip addrlabel del prefix 2002::/16 label 2
    ip link set eth1 mode dormant; ip link set eth1 state dormant; ip link set eth2 broadcast 03:00:00:00:00:01
    ip link set eth2 gro_max_size 32768; ip link property add dev lo altname another
    ip nexthop add id 7 blackhole; ip nexthop add id 9 group 7
    ip route add blackhole 198.18.9.0/24 table 99; ip -6 route add unreachable 2001:db8:dead::/48
    ip route del default; ip route add 198.18.8.0/24 via 100.64.2.9; ip route add 198.18.7.0/24 nhid 7
    ip rule add from 198.18.0.0/16 table 99 priority 50; ip rule del priority 32767; ip -6 rule add fwmark 7 table 8
    ip neigh add 100.64.2.77 lladdr 02:00:00:00:00:77 dev eth2 nud permanent; ip neigh add proxy 100.64.2.78 dev eth2
    bridge fdb add 02:00:00:00:00:78 dev eth2 self
    nft add table inet dirt; nft add chain inet dirt in '{ type filter hook input priority 0; policy drop; }'
    iptables-legacy -A INPUT -s 198.18.0.0/16 -j DROP; iptables-legacy -P FORWARD DROP; iptables-legacy -N mine
    iptables-legacy -t nat -A POSTROUTING -j MASQUERADE; ip6tables-legacy -A INPUT -j DROP
    ip xfrm policy add src 198.18.0.0/24 dst 198.18.9.0/24 dir out tmpl proto esp mode tunnel
    conntrack -I -s 198.18.0.1 -d 198.18.0.2 -p udp --sport 1 --dport 2 -t 1000
    ip link add br0 type bridge; ip link set eth2 master br0; ip link set br0 up
    ip link add vx0 type vxlan id 9 remote 100.64.2.9 dstport 4789; ip link set vx0 up
    ip link add va type veth peer name vb; ip link add mv0 link eth3 type macvlan
    tc qdisc add dev eth2 root tbf rate 1mbit burst 32k latency 50ms; tc qdisc add dev eth2 clsact
    tc filter add dev eth2 ingress matchall action drop || true
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.eth2.rp_filter=1
    sysctl -qw net.ipv6.conf.eth2.accept_ra=0 net.ipv4.tcp_syn_retries=3 net.ipv4.neigh.eth2.gc_stale_time=99
    sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_local_port_range='5000 6000'
    sysctl -qw net.netfilter.nf_conntrack_udp_timeout=77 net.ipv4.conf.all.log_martians=1 net.ipv4.conf.lo.rp_filter=2
    sysctl -qw net.ipv4.ip_local_reserved_ports=5001,5003,5005,5007,5009,5011,5013,5015,5017,5019
    sysctl -qw net.ipv4.tcp_fastopen_key=00000001-00000002-00000003-00000004
    sysctl -qw net.ipv6.conf.eth1.stable_secret=2001:db8::1 net.ipv6.conf.eth1.addr_gen_mode=2
    ethtool -K eth2 tso off gro on; ethtool -K eth1 tx on
    ip link set eth2 mtu 1300 promisc on allmulticast on arp off txqueuelen 50 group 1634886504 alias dirt
    ip link property add dev eth2 altname other; ip link property del dev eth1 altname ge-1
    ip link set lo mtu 1400 down; ip link set eth3 up
";

#[test]
fn whatever_a_run_left_is_gone_at_the_next_start() {
    sandbox(|| {
        let facts = facts(8);
        let _node = made(&facts);
        assert!(boot(&facts).is_first);
        let (first, ends) = (dump(), host_indexes());
        inside(DIRT);
        // Names exchanged, one shut, one deleted.
        inside(
            "ip link set eth4 down; ip link set eth5 down; ip link set eth4 name x; ip link set eth5 name eth4; \
                ip link set x name eth5; ip link set eth6 down; ip link set eth6 address 02:00:00:00:00:01; \
                ip link set eth7 down; ip link set eth7 name renamed; ip link del eth8",
        );
        let begun = Instant::now();
        let second = boot(&facts);
        eprintln!("dirty cold boot with 8 devices: {:?}", begun.elapsed());
        assert!(!second.is_first);
        assert_eq!(second.remade, ["eth8".parse().unwrap()]);
        assert_same(&first, &dump());
        let kept = |ends: Vec<(String, u32)>| ends.into_iter().filter(|(name, _)| name != "h8").collect::<Vec<_>>();
        assert_eq!(kept(ends), kept(host_indexes()));
    });
}

#[test]
fn a_node_that_has_ended_is_dead_on_the_wire_and_starts_as_new() {
    sandbox(|| {
        let facts = facts(3);
        let _node = made(&facts);
        boot(&facts);
        let first = dump();
        assert!(attempt("nsenter", ["--net=/run/archetype/ns/n1", "ping", "-c1", "-W1", "100.64.1.1"]).is_ok());
        inside(DIRT);
        quiesce(&facts).unwrap();
        let links = Namespace::open(&facts.namespace).unwrap().rtnl().unwrap().links().unwrap();
        assert_eq!(links.iter().filter(|link| link.is_up()).count(), 0);
        assert_eq!(links.iter().filter(|link| link.kind == "veth").count(), 3);
        for interface in &facts.interfaces {
            let host = Socket::open().unwrap().link(&LinkKey::Name(interface.peer.name.clone())).unwrap().unwrap();
            assert!(host.is_up() && !host.has_carrier());
        }
        assert_eq!(inside("ip route show table all; ip -6 route show table all; nft list ruleset").trim(), "");
        boot(&facts);
        assert_same(&first, &dump());
    });
}

#[test]
fn a_node_made_anew_in_a_used_namespace_starts_from_cold_too() {
    sandbox(|| {
        let facts = facts(2);
        made(&facts);
        assert!(boot(&facts).is_first);
        let first = dump();
        inside("ip addr add 198.18.0.1/32 dev lo; sysctl -qw net.ipv4.tcp_syn_retries=3");
        folder::remove(Path::new(FACTS)).unwrap();
        folder::write(Path::new("/run/archetype/facts/other.json"), &facts).unwrap();
        assert!(!boot(&facts).is_first);
        assert_same(&first, &dump());
        pin::unpin(&facts.namespace).unwrap();
        assert_eq!(std::fs::read_dir("/run/archetype/recorded").unwrap().count(), 0);
    });
}

#[test]
fn a_program_on_an_interface_is_taken_off_whichever_way_it_sits_there() {
    sandbox(|| {
        let facts = facts(2);
        let node = made(&facts);
        boot(&facts);
        let program = xdp_program(Verdict::Pass);
        // The driver takes no program while its peer may send more than a page.
        run("ip", ["link", "set", "h2", "mtu", "1500"]);
        for (name, mode) in [("eth1", 2u32), ("eth2", 4)] {
            let attach = LinkChange::new(LinkKey::Name(name.parse().unwrap()), None).raw(|r| {
                r.nest(43, |r| {
                    r.put_u32(1, program.as_raw_fd() as u32).put_u32(3, mode);
                })
            });
            node.rtnl().unwrap().change(&attach).unwrap();
        }
        let with_program =
            || node.rtnl().unwrap().links().unwrap().iter().filter(|link| link.xdp_program.is_some()).count();
        assert_eq!(with_program(), 2);
        boot(&facts);
        assert_eq!(with_program(), 0);
    });
}

#[test]
fn an_interface_that_a_child_namespace_took_is_made_again_at_the_next_start() {
    sandbox(|| {
        let facts = facts(2);
        let _node = made(&facts);
        boot(&facts);
        let first = dump();
        run("ip", ["netns", "add", "child"]);
        inside("ip link set eth2 netns /run/netns/child");
        // While the node runs that is its right.
        apply(&facts).unwrap();
        assert!(run("ip", ["-n", "child", "-o", "link"]).contains("eth2"));
        assert_eq!(boot(&facts).remade, ["eth2".parse().unwrap()]);
        assert_same(&first, &dump());
    });
}

#[test]
fn an_interface_that_is_added_while_the_node_runs_leaves_the_rest_alone() {
    sandbox(|| {
        let before = facts(2);
        let _node = made(&before);
        boot(&before);
        inside("ip addr add 198.18.1.1/24 dev eth1; sysctl -qw net.ipv4.ip_forward=0");
        let after = facts(4);
        plug(&after, &"eth4".parse().unwrap()).unwrap();
        let now = inside("ip -o addr show dev eth1; cat /proc/sys/net/ipv4/ip_forward; ip -o link");
        assert!(now.contains("198.18.1.1") && now.contains("\n0\n") && now.contains("eth4") && !now.contains("eth3"));
        inside("sysctl -qw net.ipv4.conf.eth4.rp_filter=2 net.ipv4.conf.default.rp_filter=2");
        boot(&after);
        assert_eq!(inside("sysctl -n net.ipv4.conf.eth4.rp_filter net.ipv4.conf.default.rp_filter").trim(), "0\n0");
    });
}

#[test]
fn a_host_device_without_our_mark_is_never_deleted() {
    sandbox(|| {
        let facts = facts(1);
        pin::make(&facts.namespace).unwrap();
        run("ip", ["link", "add", "h1", "type", "veth", "peer", "name", "foreign"]);
        let error = cold_boot(&facts).unwrap_err();
        assert!(error.to_string().contains("device h1 on the host is not ours"), "{error}");
        assert!(Path::new("/sys/class/net/foreign").exists() || run("ip", ["-o", "link"]).contains("foreign"));
    });
}

#[test]
fn a_declared_setting_that_is_not_the_networks_is_refused() {
    sandbox(|| {
        let mut facts = facts(1);
        facts.sysctls.insert("kernel.hostname".into(), "x".into());
        made(&facts);
        let error = cold_boot(&facts).unwrap_err();
        assert!(error.to_string().contains("only net.* can be set"), "{error}");
    });
}

#[test]
fn the_lock_keeps_others_out_and_survives_that_the_facts_are_replaced() {
    sandbox(|| {
        let path = PathBuf::from(FACTS);
        let lock = folder::Lock::take(&path, folder::LOCK_PATIENCE).unwrap();
        folder::write(&path, &facts(1)).unwrap();
        assert!(folder::Lock::attempt(&path).unwrap().is_none());
        let error = folder::Lock::take(&path, std::time::Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("is the agent hanging?"), "{error}");
        drop(lock);
        assert!(folder::Lock::attempt(&path).unwrap().is_some());
        assert_eq!(folder::read(&path).unwrap(), Some(facts(1)));
        folder::remove(&path).unwrap();
        assert_eq!(folder::read(&path).unwrap(), None);
    });
}

#[test]
#[ignore = "prints times, claims none"]
fn times() {
    sandbox(|| {
        let facts = facts(8);
        let _node = made(&facts);
        let took = |what: &str| {
            let begun = Instant::now();
            boot(&facts);
            eprintln!("{what}: {:?}", begun.elapsed());
        };
        took("first start");
        took("clean cold boot");
        took("clean cold boot");
        inside(DIRT);
        took("dirty cold boot");
        took("clean cold boot");
        let begun = Instant::now();
        quiesce(&facts).unwrap();
        eprintln!("quiesce: {:?}", begun.elapsed());
        took("cold boot after quiesce");
    });
}
