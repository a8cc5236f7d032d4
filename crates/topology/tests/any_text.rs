//! Whatever the text, reading it ends with an answer.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_topology::{Environment, read_text};
use proptest::prelude::*;

fn reads(text: &str) {
    let environment: Environment = [("A".to_owned(), "x: [".to_owned()), ("B".to_owned(), "\n".to_owned())].into();
    let reading = read_text("any.clab.yml", Path::new("/nowhere"), text, &environment);
    assert!(reading.topology.is_some() || !reading.problems.is_empty());
    for problem in &reading.problems {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(problem.line as usize <= text.lines().count() + 1, "{problem}");
    }
    if let Some(topology) = &reading.topology {
        let json = serde_json::to_string(topology).unwrap();
        let back: archetype_model::topology::Topology = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, topology);
    }
}

/// Pieces that topology files are made of, so that random files are often nearly right.
const PIECES: &[&str] = &[
    "name: ",
    "topology:\n",
    "  nodes:\n",
    "    r1:\n",
    "      kind: linux\n",
    "      image: x\n",
    "  links:\n",
    "    - endpoints: [\"r1:eth1\", \"r2:eth1\"]\n",
    "  defaults:\n",
    "  kinds: {linux: {cpu: 1.5}}\n",
    "mgmt:\n",
    "  mtu: ",
    "  ipv4-subnet: ",
    "172.20.20.0/24\n",
    "auto\n",
    "9000\n",
    "-1\n",
    "0x1f\n",
    "~\n",
    "&a ",
    "*a\n",
    "<<: *a\n",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "- ",
    "\n",
    "  ",
    "\"",
    "'",
    "|\n",
    "$A",
    "${A:-b}",
    "${",
    "$$",
    "é",
    "\u{1F600}",
    "\t",
    "#",
    "? ",
    "!!str ",
    "---\n",
    "...\n",
    "    - type: dummy\n",
    "      endpoint: {node: r1, interface: d}\n",
    "stages:",
    "binds:",
    "a:b:c",
    "{{ range $i := seq 2 }}",
    "{{ if .a }}",
    "{{- else }}",
    "{{- end }}",
    "{{ add 1 2 -}}",
    "{{ printf \"r%d\" 1 }}",
    "{{ strings.Split \",\" \"a,b\" }}",
    "{{ index (slice 1) 5 }}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in "\\PC*") {
        reads(&text);
    }

    #[test]
    fn any_pieces_get_an_answer(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        reads(&pieces.concat());
    }
}

#[test]
fn any_beginning_of_a_real_file_gets_an_answer() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/containerlab/tests/01-smoke/01-linux-nodes.clab.yml");
    let text = std::fs::read_to_string(file).unwrap();
    for (at, _) in text.char_indices().step_by(3) {
        reads(&text[..at]);
        reads(&format!("{}{}", &text[..at], &text[(at + 7).min(text.len())..]));
    }
}
