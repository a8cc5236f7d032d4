//! The node's own hosts file and resolver file: there before the engine binds them. What is in
//! them is the management network's to say; here only an absent one is begun: the engine makes a
//! folder of a missing one, and the node never starts again.

use std::fs;
use std::io;
use std::path::PathBuf;

use archetype_model::ContainerName;
use archetype_model::spec::{Bind, ContainerBody};

use crate::Place;
use crate::networks::resolvers;
use crate::place::make_way;

/// Begins the node's files where there are none, and names what is to be bound.
pub(super) fn prepare(place: &Place, container: &ContainerName, body: &ContainerBody) -> io::Result<Vec<Bind>> {
    if let Some(other) = &body.network_of {
        return Ok(of_another(place, other));
    }
    let hosts = place.hosts_file(container);
    make_way(&hosts)?;
    if !hosts.exists() {
        fs::write(&hosts, first_lines(body))?;
    }
    let mut files = vec![bind(hosts, "/etc/hosts")];
    let stated = &body.dns;
    // In the host's own namespace the host's own resolver answers, also one on the loopback.
    if stated.states_nothing() && !body.host_network {
        let resolver = place.resolver_file(container);
        make_way(&resolver)?;
        if !resolver.exists() {
            fs::write(&resolver, resolvers::text_of(stated, &resolvers::of_host()))?;
        }
        files.push(bind(resolver, "/etc/resolv.conf"));
    }
    Ok(files)
}

/// What a node has of the one whose network it uses, and which was made before it. A resolver that
/// the other's file states is the engine's to share.
fn of_another(place: &Place, other: &ContainerName) -> Vec<Bind> {
    let files = [(place.hosts_file(other), "/etc/hosts"), (place.resolver_file(other), "/etc/resolv.conf")];
    files.into_iter().filter(|(file, _)| file.exists()).map(|(file, target)| bind(file, target)).collect()
}

fn bind(source: PathBuf, target: &str) -> Bind {
    Bind { source, target: target.into(), options: None }
}

fn first_lines(body: &ContainerBody) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for line in &body.extra_hosts {
        if let Some((name, address)) = line.split_once(':') {
            text.push_str(&format!("{address}\t{name}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_host_may_have_an_ipv6_address() {
        let body = ContainerBody { extra_hosts: vec!["alpha:2001:db8::1".into()], ..Default::default() };
        assert!(first_lines(&body).ends_with("\n2001:db8::1\talpha\n"));
    }
}
