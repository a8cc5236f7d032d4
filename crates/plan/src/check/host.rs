//! What of a topology its host does not run, whatever the topology is.

use archetype_model::topology::value::ExecTarget;
use archetype_model::topology::{NodeDecl, Problem, RuntimeKind, Subject, Topology, is_runnable};

use super::problem;
use crate::blueprint::{HostFacts, NoContainers};

/// What of a topology the host does not let in, although it could be planned. A lab that is there
/// already stays: what it may not do is not done.
pub fn not_let_in(topology: &Topology, facts: &HostFacts) -> Vec<Problem> {
    let commands = facts.refuses_commands.then(|| commands(topology)).into_iter().flatten();
    let containers = facts.no_containers.as_ref().map(|why| containers(topology, why)).into_iter().flatten();
    commands.chain(containers).collect()
}

/// One problem for each node that has commands on the host, where the host runs none.
fn commands(topology: &Topology) -> impl Iterator<Item = Problem> {
    let is_meant = |node: &&NodeDecl| node.stage_commands.iter().any(|command| command.target == ExecTarget::Host);
    topology.nodes.iter().filter(is_meant).map(|node| {
        let message = format!("node {}: its stages have commands for the host, which runs none", node.name);
        problem(topology, "host-commands-refused", topology.position_of_key(node, "stages"), message)
            .hint("take `target: host` out, or start `archetype serve` with `--host-commands allow`")
            .about(Subject::Node(node.name.clone()))
    })
}

/// One problem for each node that is a container, where the host starts none.
fn containers<'a>(topology: &'a Topology, why: &'a NoContainers) -> impl Iterator<Item = Problem> + 'a {
    let (why, hint) = match why {
        NoContainers::NoEngine => (
            "this host has no Docker Engine to use".to_owned(),
            "start `archetype serve` with `--docker SOCKET`, or give the node the label `archetype.runtime: namespace`",
        ),
        NoContainers::NoRuntime { name } => (
            format!("the engine does not know the runtime {name}, through which nodes start"),
            "run `archetype host setup` on this host",
        ),
    };
    // What does not run for its kind has that problem.
    let is_meant = |node: &&NodeDecl| node.runtime() == RuntimeKind::Container && is_runnable(node);
    topology.nodes.iter().filter(is_meant).map(move |node| {
        let message = format!("node {} is a container: {why}", node.name);
        problem(topology, "not-runnable-container", node.position, message)
            .hint(hint)
            .about(Subject::Node(node.name.clone()))
    })
}
