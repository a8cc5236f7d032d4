//! What a topology says, without where it stands in its file: two that differ in nothing else ask for the same.

use serde::{Serialize, Serializer};

use super::{EndpointDecl, LinkDecl, NodeDecl, Source, Topology};

/// What counts of a topology. Borrowed: a large one would take longer to copy than to hash.
pub(super) fn topology(topology: &Topology) -> impl Serialize {
    let Topology { name, prefix, mgmt, settings, nodes, links, source, positions: _ } = topology;
    let Source { directory, file, shown: _, lab_directory, owner: _ } = source;
    let (nodes, links) = (Each(nodes, node), Each(links, link));
    (name, prefix, mgmt, settings, nodes, links, (directory, file, lab_directory))
}

fn node(node: &NodeDecl) -> impl Serialize {
    let NodeDecl {
        name,
        kind,
        definition,
        written,
        binds,
        volumes,
        ports,
        entrypoint,
        command,
        execs,
        stage_commands,
        env,
        position: _,
    } = node;
    (name, kind, definition, written, binds, volumes, ports, entrypoint, command, execs, stage_commands, env)
}

fn link(link: &LinkDecl) -> impl Serialize {
    let LinkDecl { kind, endpoints, mtu, labels, vars, position: _ } = link;
    (kind, Each(endpoints, end), mtu, labels, vars)
}

fn end(end: &EndpointDecl) -> impl Serialize {
    let EndpointDecl { place, node, interface, linux_interface, mac, ipv4, ipv6, vars, position: _ } = end;
    (place, node, interface, linux_interface, mac, ipv4, ipv6, vars)
}

/// A list, each of which counts as the function says.
struct Each<'a, T, F>(&'a [T], F);

impl<'a, T, F, S> Serialize for Each<'a, T, F>
where
    F: Fn(&'a T) -> S,
    S: Serialize,
{
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}
