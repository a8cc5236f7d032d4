//! Whatever the text, reading it as a topology file ends with a topology or a problem, each problem has a place in the
//! text, and a topology that is stored and read back is the same.
#![no_main]

use std::path::Path;

use archetype_model::topology::Topology;
use archetype_topology::{Environment, read_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let variables = [("A", "x: ["), ("B", "\n"), ("HOME", "/nowhere")];
    let environment: Environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let reading = read_text("any.clab.yml", Path::new("/nowhere"), text, &environment);
    assert!(
        reading.topology.is_some() || !reading.problems.is_empty(),
        "it says neither what is read nor what is wrong"
    );
    for problem in reading.problems.iter().chain(&reading.notes) {
        assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
        assert!(problem.line as usize <= text.lines().count() + 1, "{problem}");
    }
    if let Some(topology) = reading.topology {
        let stored = serde_json::to_string(&topology).expect("a topology can be stored");
        let back: Topology = serde_json::from_str(&stored).expect("what was stored can be read");
        assert!(back == topology, "it came back another: {stored}");
    }
});
