//! containerlab's own frr01, unchanged.

use std::path::Path;

#[test]
fn frr01_is_read_without_a_problem() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs/containerlab/lab-examples/frr01");
    let reading = archetype_topology::read(&path).unwrap();
    assert_eq!(reading.problems, []);
    let topology = reading.topology.unwrap();
    assert_eq!(topology.nodes.len(), 6);
    assert_eq!(topology.links.len(), 6);
}
