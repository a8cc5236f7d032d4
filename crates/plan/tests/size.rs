//! How long planning takes on a large lab. Measured only when asked to, in a release build:
//! `cargo test --release -p archetype-plan --test size -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use archetype_model::blueprint::Blueprint;
use archetype_model::topology::Topology;
use archetype_plan::blueprint::{HostFacts, LabInput, Overrides, PlanInput, PlanSettings, Wanted, plan};

const NODES: usize = 100;
const LINKS: usize = 200;
const ROUNDS: u32 = 20;

/// A lab of 100 containers and `links` links, each node to its next ones.
fn file(links: usize) -> String {
    let mut text = "name: large\ntopology:\n  nodes:\n".to_owned();
    for node in 0..NODES {
        writeln!(text, "    n{node}: {{kind: linux, image: alpine}}").unwrap();
    }
    text.push_str("  links:\n");
    let mut interfaces = [0; NODES];
    for link in 0..links {
        let ends = [link % NODES, (link + link / NODES + 1) % NODES].map(|node| {
            interfaces[node] += 1;
            format!("'n{node}:eth{}'", interfaces[node])
        });
        writeln!(text, "    - endpoints: [{}]", ends.join(", ")).unwrap();
    }
    text
}

fn read(links: usize) -> Topology {
    let reading = archetype_topology::read_text("large.clab.yml", Path::new("/labs"), &file(links), &BTreeMap::new());
    assert_eq!(reading.problems, []);
    reading.topology.unwrap()
}

fn planned(topology: &Topology, parent: Option<&Blueprint>) -> Blueprint {
    let wanted = Wanted::Present { topology, overrides: Overrides::default() };
    let planned = plan(&PlanInput {
        installation: "x7k2p".parse().unwrap(),
        incarnation: "i".into(),
        host: "here".parse().unwrap(),
        settings: PlanSettings::default(),
        labs: vec![LabInput { name: topology.name.clone(), wanted }],
        reported_gone: BTreeSet::new(),
        facts: HostFacts::default(),
        parent,
        port_key: archetype_plan::blueprint::port_by_name,
    });
    assert_eq!(planned.problems, BTreeMap::new());
    planned.blueprint
}

/// The mean time of a round.
fn timed<T>(what: &str, mut round: impl FnMut() -> T) -> Duration {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(round());
    }
    let mean = begin.elapsed() / ROUNDS;
    println!("{what}: {mean:.2?}");
    mean
}

#[test]
#[ignore = "measures; a release build tells the truth"]
fn one_link_more_is_planned_in_30_ms() {
    let (before, after) = (read(LINKS), read(LINKS + 1));
    let parent = planned(&before, None);
    let next = planned(&after, Some(&parent));
    let spec = next.specs.values().next().unwrap();
    let lab = &spec.labs[0];
    println!("spec: {} KB", serde_json::to_vec(spec).unwrap().len() / 1000);
    println!("blueprint: {} KB", serde_json::to_vec(&next).unwrap().len() / 1000);
    timed("reading the file", || read(LINKS));
    timed("check", || archetype_plan::check::check(&after, &BTreeSet::new(), &HostFacts::default()));
    timed("digest of the topology", || after.digest());
    timed("digest of the blueprint", || next.digest());
    timed("digests of resources", || archetype_plan::resources::Wanted::of(spec));
    timed("changes, for people", || {
        archetype_plan::changes::changes(parent.specs.values().next().map(std::sync::Arc::as_ref), spec, &lab.name)
    });
    timed("the same again", || planned(&before, Some(&parent)));
    let whole = timed("one link more", || planned(&after, Some(&parent)));
    if !cfg!(debug_assertions) {
        assert!(whole < Duration::from_millis(30), "{whole:?}");
    }
}
