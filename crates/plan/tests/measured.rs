//! How planning grows. Nothing is asserted about time: the figures are printed with --nocapture.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]
mod declared;
use declared::{Far, Lab, Sort, World};

#[test]
fn planning_a_large_lab_takes_no_noticeable_time() {
    for (nodes, sort) in [(100, Sort::Namespace), (100, Sort::Container), (300, Sort::Container)] {
        let mut lab = Lab::new("large");
        lab.mgmt.ipv4_subnet = Some(archetype_model::topology::Subnet::Net("172.20.0.0/16".parse().unwrap()));
        let ids: Vec<u32> = (0..nodes).map(|_| lab.node(sort)).collect();
        for n in 0..2 * nodes {
            lab.link(ids[n % nodes], Far::Node(ids[(n * 7 + 1) % nodes]));
        }
        let world = World::default();
        let begun = std::time::Instant::now();
        let first = world.plan(std::slice::from_ref(&lab), None);
        let planned = begun.elapsed();
        assert!(first.problems.is_empty(), "{:?}", first.problems);
        let again = world.plan(std::slice::from_ref(&lab), Some(&first.blueprint));
        let both = begun.elapsed();
        assert_eq!(again.blueprint, first.blueprint);
        let bytes = serde_json::to_vec(&first.blueprint).unwrap().len();
        println!("{nodes} {sort:?}: {planned:?}, again {:?}, {bytes} bytes", both - planned);
    }
}
