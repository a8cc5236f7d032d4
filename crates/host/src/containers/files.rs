//! The node's own hosts file and resolver file: there before the engine binds them. What is in
//! them is the management network's to say; here only an absent one is begun.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use archetype_model::ContainerName;
use archetype_model::spec::{Bind, ContainerBody};

use crate::Place;

/// Begins the node's hosts file where there is none, and names what is to be bound.
pub(super) fn prepare(place: &Place, container: &ContainerName, body: &ContainerBody) -> io::Result<Vec<Bind>> {
    let hosts = place.hosts_file(container);
    make_way(&hosts)?;
    if !hosts.exists() {
        fs::write(&hosts, first_lines(body))?;
    }
    let mut files = vec![bind(hosts, "/etc/hosts")];
    let resolver = place.resolver_file(container);
    make_way(&resolver)?;
    let stated = &body.dns;
    if stated.servers.is_empty() && stated.search.is_empty() && stated.options.is_empty() && resolver.exists() {
        files.push(bind(resolver, "/etc/resolv.conf"));
    }
    Ok(files)
}

fn bind(source: PathBuf, target: &str) -> Bind {
    Bind { source, target: target.into(), options: None }
}

/// The folder above; and no folder of that name, which the engine makes of a missing source when
/// somebody starts the container first after a reboot.
fn make_way(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    if file.is_dir() {
        fs::remove_dir(file)?;
    }
    Ok(())
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
