//! Where an OVSDB server listens. Knows the spelling of `ovs-vsctl --db`, not how to connect.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of an OVSDB server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A unix stream socket at this path.
    Unix(PathBuf),
    /// A TCP socket: host name or address (without brackets), and port.
    Tcp(String, u16),
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no OVSDB endpoint: {reason}; write unix:/path/to/db.sock, /path/to/db.sock or tcp:host:port")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    /// The endpoint of the unix socket at `path`.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let refuse = |reason| EndpointError { text: text.to_owned(), reason };
        if let Some(address) = text.strip_prefix("tcp:") {
            return parse_tcp(address).map_err(refuse);
        }
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if !path.starts_with('/') {
            return Err(refuse("the socket's path is not absolute"));
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }
}

/// `host:port`, where an IPv6 host stands in brackets.
fn parse_tcp(address: &str) -> Result<Endpoint, &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or("the port is no number from 1 to 65535")?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or("a bracket is not closed")?,
        None if host.contains(':') => return Err("an IPv6 address stands in brackets"),
        None => host,
    };
    if bare.is_empty() {
        return Err("the host is missing");
    }
    Ok(Endpoint::Tcp(bare.to_owned(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(out, "tcp:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(out, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_written_back() {
        for (text, written) in [
            ("unix:/run/db.sock", "unix:/run/db.sock"),
            ("/run/db.sock", "unix:/run/db.sock"),
            ("tcp:127.0.0.1:6640", "tcp:127.0.0.1:6640"),
            ("tcp:[::1]:6640", "tcp:[::1]:6640"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "unix:", "db.sock", "tcp:host", "tcp::6640", "tcp:host:0", "tcp:host:99999", "tcp:::1:6640"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
