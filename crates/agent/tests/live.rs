//! Carrier on a real host: what a node's own software does to an interface is felt at the far end, as with a cable.

#![allow(clippy::unwrap_used, reason = "a test says so by ending")]

mod bench;

use std::time::{Duration, Instant};

use archetype_model::spec::{Carrier, DesiredLink, DesiredRun, EndRef, HostSpec};
use archetype_model::status::LinkState;
use archetype_testbed::{Inside, Trials, run, sandbox, slowly};
use bench::plan::Plan;
use bench::{Bench, block_on, links};

/// How often carrier is taken and given back when its latency is measured.
const TRIALS: usize = 60;
/// What a far end may wait for it.
const AIM: Duration = Duration::from_millis(100);

/// An interface inside a node.
fn inside(node: usize, interface: &str) -> Inside {
    Inside::of(&format!("clab-lab0-n{node}"), interface)
}

/// How long it takes until there is carrier, or none.
async fn until(inside: &Inside, carrier: bool) -> Duration {
    let begun = Instant::now();
    while inside.has_carrier() != carrier {
        assert!(begun.elapsed() < slowly(Duration::from_secs(10)), "carrier stays {}", !carrier);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}

/// The reasons of the links that are not up.
fn reasons(spec: &HostSpec, envelope: &archetype_agent::Envelope) -> Vec<String> {
    let links = links(spec, envelope).into_iter();
    links.filter_map(|(_, status)| Some(format!("{}: {}", status.state, status.reason?))).collect()
}

#[test]
fn a_shut_interface_takes_the_far_ends_carrier_within_100_ms_and_gives_it_back() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::cables(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]).spec(1)).await;
            let (near, far, other) = (inside(0, "eth1"), inside(1, "eth1"), inside(2, "eth1"));
            let (mut taken, mut given) = (Trials::of("carrier taken", AIM), Trials::of("carrier given back", AIM));
            for _ in 0..TRIALS {
                near.set(false);
                taken.add(until(&far, false).await);
                near.set(true);
                given.add(until(&far, true).await);
                until(&near, true).await;
                assert!(other.has_carrier());
            }
            taken.half_in_time();
            given.half_in_time();
            bench.all_up().await;
        });
    });
}

#[test]
fn a_link_shut_at_one_end_says_so_and_is_proven_again_when_it_is_back() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
            let ends = bench.spec.labs[0].wires[0].ends.clone();
            run("ip", ["-n", "clab-lab0-n0", "link", "set", "eth1", "down"]);
            let down = bench.links_are(&[(&ends[0], LinkState::Down)]).await;
            assert!(reasons(&bench.spec, &down).iter().all(|why| why == "down: eth1 is shut inside n0"), "{down:?}");
            until(&inside(1, "eth1"), false).await;
            run("ip", ["-n", "clab-lab0-n0", "link", "set", "eth1", "up"]);
            let proven = bench.all_up().await;
            assert!(proven.repairs.is_empty(), "what follows the far end is no repair: {:?}", proven.repairs);
            until(&inside(1, "eth1"), true).await;
        });
    });
}

#[test]
fn a_node_that_stops_takes_the_carrier_of_its_neighbours_and_gives_it_back_when_it_starts() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::cables(2, &[(0, 1)]).spec(1)).await;
            let ends = bench.spec.labs[0].wires[0].ends.clone();
            let far = inside(1, "eth1");
            for (number, desired) in [(2, DesiredRun::Stopped), (3, DesiredRun::Running)] {
                let mut spec = (*bench.spec).clone();
                spec.generation.number = number;
                spec.labs[0].nodes[0].desired = desired;
                bench.tell(spec).await;
                until(&far, desired == DesiredRun::Running).await;
                let state = if desired == DesiredRun::Running { LinkState::Up } else { LinkState::Pending };
                let told = bench.links_are(&[(&ends[1], state)]).await;
                assert!(told.repairs.is_empty(), "{:?}", told.repairs);
            }
        });
    });
}

#[test]
fn a_lan_members_shut_interface_takes_nobody_elses_carrier_and_a_cut_member_loses_its_own() {
    sandbox(|| {
        block_on(async {
            let mut bench = Bench::deploy(Plan::lan(3).spec(1)).await;
            let [first, second, third] = <[EndRef; 3]>::try_from(bench.spec.labs[0].wires[0].ends.clone()).unwrap();
            let insides = [0, 1, 2].map(|node| inside(node, "eth1"));
            insides[0].set(false);
            bench.links_are(&[(&first, LinkState::Down), (&second, LinkState::Up), (&third, LinkState::Up)]).await;
            assert!(insides[1].has_carrier() && insides[2].has_carrier());
            insides[0].set(true);
            bench.all_up().await;
            let mut spec = (*bench.spec).clone();
            spec.generation.number = 2;
            spec.labs[0].nodes[0].interfaces[0].desired = DesiredLink::Down;
            bench.tell(spec).await;
            bench.links_are(&[(&first, LinkState::Down), (&second, LinkState::Up), (&third, LinkState::Up)]).await;
            until(&insides[0], false).await;
            assert!(insides[1].has_carrier() && insides[2].has_carrier());
        });
    });
}

#[test]
fn a_link_that_keeps_its_carrier_keeps_it() {
    sandbox(|| {
        block_on(async {
            let mut spec = Plan::cables(2, &[(0, 1)]).spec(1);
            spec.labs[0].wires[0].carrier = Carrier::Keep;
            let mut bench = Bench::deploy(spec).await;
            let ends = bench.spec.labs[0].wires[0].ends.clone();
            inside(0, "eth1").set(false);
            bench.links_are(&[(&ends[0], LinkState::Down)]).await;
            assert!(inside(1, "eth1").has_carrier());
        });
    });
}
