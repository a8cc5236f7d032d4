//! Published ports as `docker -p` writes them. Knows nothing of nodes.

use std::net::IpAddr;

use archetype_model::topology::{PortDecl, Protocol};

/// Reads `[[address:]host-port:]node-port[/protocol]`; both ports may be ranges of one length.
/// An error is the end of a sentence.
pub fn parse(text: &str) -> Result<Vec<PortDecl>, String> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, word)) => (rest, protocol(word)?),
        None => (text, Protocol::Tcp),
    };
    let (rest, node) = match rest.rsplit_once(':') {
        Some((rest, node)) => (Some(rest), node),
        None => (None, rest),
    };
    let (address, host) = match rest {
        None => (None, ""),
        Some(rest) => match rest.rsplit_once(':') {
            Some((address, host)) => (Some(address), host),
            None => (None, rest),
        },
    };
    let host_address = address.map(|text| text.trim_matches(['[', ']'])).filter(|text| !text.is_empty());
    let host_address = match host_address {
        Some(text) => Some(text.parse::<IpAddr>().map_err(|_| format!("has no valid address: {text:?}"))?),
        None => None,
    };
    let (first, last) = range(node)?;
    let node_ports = first..=last;
    if host.is_empty() {
        return Ok(node_ports
            .map(|node_port| PortDecl { host_address, host_port: None, node_port, protocol })
            .collect());
    }
    let (host_first, host_last) = range(host)?;
    if host_last - host_first != last - first {
        return Err("has ranges of different lengths".to_owned());
    }
    let pairs = node_ports.zip(host_first..=host_last);
    Ok(pairs.map(|(node_port, port)| PortDecl { host_address, host_port: Some(port), node_port, protocol }).collect())
}

fn protocol(word: &str) -> Result<Protocol, String> {
    match word.to_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(format!("has an unknown protocol {word:?}: tcp, udp and sctp are known")),
    }
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("has no valid port: {text:?} is not 1 to 65535")),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last {
        return Err(format!("has a range that ends before it begins: {text}"));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |p: PortDecl| format!("{:?} {:?} {} {:?}", p.host_address, p.host_port, p.node_port, p.protocol);
        match parse(text) {
            Ok(ports) => ports.into_iter().map(show).collect::<Vec<_>>().join(", "),
            Err(why) => why,
        }
    }

    #[test]
    fn every_form_of_a_port_is_read() {
        assert_eq!(shown("56180:80"), "None Some(56180) 80 Tcp");
        assert_eq!(shown("80"), "None None 80 Tcp");
        assert_eq!(shown("127.0.0.1:53:53/udp"), "Some(127.0.0.1) Some(53) 53 Udp");
        assert_eq!(shown("127.0.0.1::53"), "Some(127.0.0.1) None 53 Tcp");
        assert_eq!(shown("[::1]:53:53/SCTP"), "Some(::1) Some(53) 53 Sctp");
        assert_eq!(shown("1-2:3-4"), "None Some(1) 3 Tcp, None Some(2) 4 Tcp");
    }

    #[test]
    fn what_is_no_port_is_refused_with_words() {
        assert_eq!(shown("1-2:3"), "has ranges of different lengths");
        assert_eq!(shown("70000:1"), "has no valid port: \"70000\" is not 1 to 65535");
        assert_eq!(shown("1:2/ip"), "has an unknown protocol \"ip\": tcp, udp and sctp are known");
        assert_eq!(shown("a:1:2"), "has no valid address: \"a\"");
        assert_eq!(shown("5-4"), "has a range that ends before it begins: 5-4");
        assert_eq!(shown(""), "has no valid port: \"\" is not 1 to 65535");
    }
}
