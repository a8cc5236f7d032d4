//! A lab of two nodes joined by four links, of either sort of node, whose first node writes down what it sees; and what
//! a run can leave in a namespace. Knows nothing of what is claimed of it.

use std::time::Duration;

use crate::world::{World, eventually, run};

/// What runs the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The host's own programs in a namespace.
    Namespace,
    /// Docker containers of an image with busybox.
    Container,
}

impl Sort {
    /// The process id of the node's first process.
    pub fn pid(self, world: &World, node: &str) -> String {
        match self {
            Self::Container => {
                world.docker(["inspect", "-f", "{{.State.Pid}}", &format!("clab-box-{node}")]).trim().to_owned()
            }
            Self::Namespace => {
                let script = format!("cat /run/archetype/*/nodes/clab-box-{node}/run/pid.json");
                let started: serde_json::Value = serde_json::from_str(&run("sh", ["-c", &script])).unwrap();
                started["pid"].to_string()
            }
        }
    }
}

const LAB: &str = "\
name: box
topology:
  defaults:
    kind: linux
    SORT
  nodes:
    a:
      cmd: sh /srv/first.sh
      binds: [\"a:/srv\", \"fixed:/media:ro\"]
      env: {WORD: hello}
      exec:
        - sh -c 'echo one >> /srv/execs'
        - sh -c 'echo two >> /srv/execs; exit 5'
        - ip addr add 10.7.7.1/24 dev eth1
    b:
      cmd: sh -c 'trap \"exit 0\" TERM; while true; do sleep 0.2; done'
      exec: [ip addr add 10.7.7.2/24 dev eth1]
  links:
    - type: veth
      mtu: 4000
      endpoints: [{node: a, interface: eth1, mac: \"02:00:00:00:00:01\"}, {node: b, interface: eth1}]
    - endpoints: [\"a:eth2\", \"b:eth2\"]
    - endpoints: [\"a:eth3\", \"b:eth3\"]
    - endpoints: [\"a:eth4\", \"b:eth4\"]
";

/// The first process of `a`: notes what it finds, then lives until it is told to end.
const FIRST: &str = "\
cd /sys/class/net
{ for i in *; do echo $i $(cat $i/address) $(cat $i/mtu); done; ip -o addr; ip route; echo word=$WORD; } > /srv/seen
{ cat /media/note; echo x 2>/dev/null >/media/note || echo refused; } > /srv/read-only 2>/dev/null
echo begun
echo begun >> /srv/starts
[ -e /srv/short ] && exit 3
trap 'exit 0' TERM
while [ ! -e /srv/end ]; do sleep 0.2; done
rm /srv/end
exit 3
";

/// Deploys the lab with nodes of that sort, and waits until it is up and its commands have run.
pub fn deploy(world: &World, sort: Sort) {
    let sort = match sort {
        Sort::Namespace => "labels: {archetype.runtime: namespace}",
        Sort::Container => {
            world.engine.import_busybox("bb");
            "image: bb"
        }
    };
    world.write("box.clab.yml", &LAB.replace("SORT", sort));
    world.write("a/first.sh", FIRST);
    world.write("fixed/note", "content\n");
    world.cli(["deploy", "-t", "box.clab.yml", "--wait", "60s"]).fine();
    eventually(Duration::from_secs(15), "its commands have run", || {
        let lab = world.lab("box");
        let ended = |node: usize, count| lab["nodes"][node]["execs"][count]["state"] == "ended";
        (ended(0, 2) && ended(1, 0)).then_some(())
    });
}

fn inside(script: &str) -> String {
    run("nsenter", ["--net=/run/netns/clab-box-a", "sh", "-exc", script])
}

/// Leaves in the namespace of `a` what a run can leave there.
pub fn dirty() {
    inside(
        "ip addr add 198.18.0.1/32 dev lo; ip addr add 198.18.1.1/24 dev eth1; ip addr flush dev eth0
         ip -6 addr add 2001:db8:77::1/64 dev eth2
         ip route add blackhole 198.18.9.0/24 table 99; ip -6 route add unreachable 2001:db8:dead::/48
         ip nexthop add id 7 blackhole; ip route add 198.18.7.0/24 nhid 7
         ip rule add from 198.18.0.0/16 table 99 priority 50; ip -6 rule add fwmark 7 table 8
         ip neigh add 198.18.1.77 lladdr 02:00:00:00:00:77 dev eth1 nud permanent
         nft add table inet dirt; nft add chain inet dirt in '{ type filter hook input priority 0; policy drop; }'
         iptables-legacy -A INPUT -s 198.18.0.0/16 -j DROP
         ip link add br0 type bridge; ip link set eth2 master br0; ip link set br0 up
         ip link add vx0 type vxlan id 9 remote 198.18.1.9 dstport 4789 dev eth1; ip link set vx0 up
         tc qdisc add dev eth2 clsact
         sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.eth2.rp_filter=1
         sysctl -qw net.ipv4.tcp_syn_retries=3 net.ipv6.conf.default.accept_dad=0
         ip link set eth1 mtu 1300 address 02:00:00:00:00:99
         ip link set eth3 down; ip link set eth3 name renamed; ip link set eth2 down; ip link del eth4",
    );
}

/// Everything about the namespace of `a` that tools show, once it has come to rest.
pub fn dump() -> Vec<String> {
    eventually(Duration::from_secs(15), "carriers and addresses settle", || {
        let links = inside("ip -o link show up type veth");
        let local = inside("ip -o -6 addr show scope link");
        let is_settled = !links.contains("NO-CARRIER") && !local.contains("tentative");
        let is_addressed = inside("ip -o addr show dev eth1").contains("10.7.7.1");
        (is_settled && is_addressed && local.lines().count() == 5).then_some(())
    });
    let text = inside(
        "echo links; ip -d -o link; echo addresses; ip -o addr; echo routes; ip route show table all
         ip -6 route show table all; echo rules; ip rule; ip -6 rule; echo nexthops; ip nexthop; echo neighbours
         ip neigh show nud permanent; echo qdiscs; tc qdisc; echo nft; nft list ruleset; echo legacy
         iptables-legacy -S; echo settings; cd /proc/sys/net
         find ipv4 ipv6 -type f -perm -600 | sort | xargs grep -H '' 2>/dev/null || true",
    );
    // A device that has once been up keeps `noqueue` where a new one has `noop`; both hold nothing.
    let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with("qdisc noqueue")).map(steady).collect();
    lines.sort();
    lines
}

/// A line without what may differ between two starts: numbers of devices, and their state of the moment.
fn steady(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let is_number = |word: &str| word.trim_end_matches(':').parse::<u32>().is_ok();
    if words.first().is_some_and(|word| is_number(word)) && line.contains(": ") {
        words.remove(0);
    }
    words.retain(|word| !matches!(*word, "noop" | "noqueue"));
    words.iter().map(|word| word.split("@if").next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// Fails with the lines that are gone and those that are new.
#[track_caller]
pub fn same(what: &str, before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(gone.is_empty() && new.is_empty() && before == after, "{what}: gone: {gone:#?}\nnew: {new:#?}");
}
