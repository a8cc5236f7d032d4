//! How long a wish takes on a large lab, from request to durable. Measured only when asked to, in a
//! release build: `cargo test --release -p archetype-controller --test api size -- --ignored --nocapture`.

use std::fmt::Write;
use std::time::{Duration, Instant};

use archetype_controller::store::{Draft, Note, Present, Sqlite, Store, Wish, Wishes};
use archetype_model::topology::Topology;

use super::stand::{Stand, lab};

const NODES: usize = 100;
const LINKS: usize = 200;
const ROUNDS: usize = 30;

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

fn draft(topology: &Topology) -> (Draft, Note) {
    let present = Present { topology: topology.clone(), wishes: Wishes::default(), files: Default::default() };
    let lab = lab("large");
    let note = Note {
        at_ms: 0,
        lab: Some(lab.clone()),
        kind: "deploy",
        subject: None,
        message: String::new(),
        detail: serde_json::json!({}),
    };
    (Draft::new(lab, Wish::Present(Box::new(present)), Default::default()), note)
}

fn told(what: &str, mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    let [middle, most] = [taken[taken.len() / 2], taken[taken.len() - 1]];
    println!("{what}: p50 {middle:.2?}, most {most:.2?} of {}", taken.len());
    middle
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; a release build tells the truth"]
async fn the_same_file_is_taken_in_100_ms_and_one_link_more_too() {
    let stand = Stand::new().await;
    let first = Instant::now();
    stand.deploy(&file(LINKS)).await;
    println!("the first deployment until it is as wanted: {:.2?}", first.elapsed());
    let (mut same, mut more, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let text = file(LINKS + round % 2);
        let begin = Instant::now();
        let again = stand.client.deploy(&stand.request(&text)).await.unwrap();
        if round > 0 {
            assert!(again.changed);
            more.push(begin.elapsed());
        }
        stand.client.wait(&lab("large"), again.revision, Duration::from_secs(10)).await.unwrap();
        settled.push(begin.elapsed());
        let begin = Instant::now();
        let again = stand.client.deploy(&stand.request(&text)).await.unwrap();
        assert!(!again.changed);
        same.push(begin.elapsed());
    }
    let same = told("the same file again", same);
    let more = told("one link more or less, until it is durable and the target", more);
    told("one link more or less, until it is as wanted", settled);
    let (begin, shown) = (Instant::now(), stand.client.lab(&lab("large")).await);
    shown.unwrap();
    println!("the lab, shown: {:.2?}", begin.elapsed());
    if !cfg!(debug_assertions) {
        assert!(same.max(more) < Duration::from_millis(100), "{same:?}, {more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; a release build tells the truth"]
async fn most_revisions_are_durable_in_10_ms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path()).await.unwrap();
    let topologies = [LINKS, LINKS + 1].map(|links| {
        let text = file(links);
        archetype_topology::read_text("x.clab.yml", directory.path(), &text, &Default::default()).topology.unwrap()
    });
    let mut taken = Vec::new();
    for round in 0..200 {
        let (draft, note) = draft(&topologies[round % 2]);
        let written = draft.written();
        let begin = Instant::now();
        assert!(store.append_revision(written, note).await.unwrap().new);
        taken.push(begin.elapsed());
    }
    taken.sort();
    let p99 = taken[taken.len() * 99 / 100];
    let middle = told("a revision, until it is durable", taken);
    // The slowest are the disk's and the machine's: shown, and judged by who runs it.
    println!("p99 {p99:.2?}");
    if !cfg!(debug_assertions) {
        assert!(middle < Duration::from_millis(10), "{middle:?}");
    }
}
