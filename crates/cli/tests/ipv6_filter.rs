//! Where Docker filters IPv6 too (`--ip6tables`): the chain that it leaves to others is there for both families, and
//! the policy of `FORWARD` is to drop. The chain is made as an engine with that option makes it; everything else is
//! real.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod world;

use std::time::Duration;

use world::{World, attempt, eventually, on_a_machine, run};

const LIMIT: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);

const LAB: &str = "\
name: six
topology:
  defaults: {kind: linux, labels: {archetype.runtime: namespace}}
  nodes:
    a: {exec: [ip -6 address add fd64:9::1/64 dev eth1 nodad]}
    b: {exec: [ip -6 address add fd64:9::2/64 dev eth1 nodad]}
    br-lab: {kind: bridge}
  links:
    - endpoints: [\"a:eth1\", \"br-lab:lab-a\"]
    - endpoints: [\"b:eth1\", \"br-lab:lab-b\"]
";

/// Our rules in the chain.
fn rules() -> Vec<String> {
    let all = run("ip6tables", ["-w", "-S", "DOCKER-USER"]);
    all.lines().filter(|rule| rule.contains("archetype:")).map(str::to_owned).collect()
}

fn pings(to: &str) -> bool {
    attempt("ip", ["netns", "exec", "clab-six-a", "ping", "-6", "-c", "1", "-W", "1", to]).is_ok()
}

/// The other node by the host's bridge, and by the management network.
#[track_caller]
fn reach(world: &World, what: &str) {
    let management = world.lab("six")["nodes"][1]["management"]["ipv6"].as_str().unwrap().to_owned();
    for to in ["fd64:9::2", &management] {
        eventually(SOON, &format!("{what}: a reaches {to}"), || pings(to).then_some(()));
    }
}

#[test]
fn where_docker_filters_ipv6_nodes_reach_each_other_by_it_and_nothing_of_ours_stays() {
    on_a_machine(LIMIT, |world| {
        run("ip", ["link", "add", "br-lab", "type", "bridge"]);
        run("ip", ["link", "set", "br-lab", "up"]);
        run("sysctl", ["-qw", "net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1"]);
        run(
            "sh",
            [
                "-ec",
                "ip6tables -w -N DOCKER-USER || ip6tables -w -F DOCKER-USER; ip6tables -w -A DOCKER-USER -j RETURN
                 ip6tables -w -I FORWARD -j DOCKER-USER; ip6tables -w -P FORWARD DROP",
            ],
        );
        let before = run("ip6tables", ["-w", "-S"]);
        world.write("six.clab.yml", LAB);
        world.cli(["deploy", "-t", "six.clab.yml", "--wait", "30s"]).fine();
        reach(world, "deployed");
        assert_eq!(rules().len(), 4, "in and out, of the management network and of the bridge: {:?}", rules());

        // Without our rules nothing passes; they come back by themselves.
        world.serve.term();
        run("ip6tables", ["-w", "-F", "DOCKER-USER"]);
        assert!(!pings("fd64:9::2"), "the filter of this machine filters nothing");
        world.serve.start();
        reach(world, "after a start of serve");
        run("ip6tables", ["-w", "-F", "DOCKER-USER"]);
        reach(world, "flushed");
        eventually(SOON, "all rules are back", || (rules().len() == 4).then_some(()));
        world.until_up("six", SOON);

        world.cli(["destroy", "six", "--wait", "30s"]).fine();
        assert_eq!(rules(), [""; 0]);
        let after = run("ip6tables", ["-w", "-S"]);
        assert_eq!(after, before.replace("-A DOCKER-USER -j RETURN\n", ""), "what we flushed ourselves aside");
    });
}
