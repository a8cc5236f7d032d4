//! resolv.conf for nodes: what the file states, else what the host itself asks. A resolver on the
//! host's loopback is of no use inside a node and never handed on.

use std::path::Path;

use archetype_model::spec::DnsSpec;

use super::Error;
use crate::place::make_way;

/// Where systemd-resolved keeps the real resolvers behind its stub on the loopback.
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// The host's own resolver settings, without resolvers on its loopback.
pub(crate) fn of_host() -> DnsSpec {
    let read = |path: &str| parse(&std::fs::read_to_string(path).unwrap_or_default());
    let own = read("/etc/resolv.conf");
    if own.servers.is_empty() { DnsSpec { servers: read(BEHIND_STUB).servers, ..own } } else { own }
}

fn parse(text: &str) -> DnsSpec {
    let mut dns = DnsSpec::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (first, rest) = (words.next(), words.map(str::to_owned));
        match first {
            Some("nameserver") => dns.servers.extend(rest.take(1).filter(|server| !is_loopback(server))),
            // The last of several lines counts (resolv.conf(5)).
            Some("search" | "domain") => dns.search = rest.collect(),
            Some("options") => dns.options.extend(rest.filter(|option| option != "trust-ad")),
            _ => {}
        }
    }
    dns
}

fn is_loopback(server: &str) -> bool {
    server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The text of a node's file: each part from the node's own settings, else from the host's.
pub(crate) fn text_of(own: &DnsSpec, host: &DnsSpec) -> String {
    let pick = |own: &Vec<String>, host: &Vec<String>| if own.is_empty() { host.clone() } else { own.clone() };
    let mut text = String::new();
    for server in pick(&own.servers, &host.servers) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    for (word, values) in [("search", pick(&own.search, &host.search)), ("options", pick(&own.options, &host.options))]
    {
        if !values.is_empty() {
            text.push_str(&format!("{word} {}\n", values.join(" ")));
        }
    }
    text
}

/// Writes a node's file in place. What a node itself writes there later is the node's.
pub(super) fn set_node(path: &Path, text: &str) -> Result<(), Error> {
    make_way(path).and_then(|()| std::fs::write(path, text)).map_err(|error| Error::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_on_the_loopback_is_never_handed_on() {
        let host = parse("# x\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nsearch a b\noptions edns0 trust-ad\n");
        assert_eq!(text_of(&DnsSpec::default(), &host), "nameserver 192.0.2.53\nsearch a b\noptions edns0\n");
    }

    #[test]
    fn what_the_file_states_wins_part_by_part() {
        let own = DnsSpec { servers: vec!["10.0.0.53".into()], ..DnsSpec::default() };
        let host = parse("nameserver 192.0.2.53\nsearch a\n");
        assert_eq!(text_of(&own, &host), "nameserver 10.0.0.53\nsearch a\n");
    }
}
