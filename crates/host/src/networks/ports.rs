//! Published ports on the host's side: each is bound and kept bound, so that it is nobody else's,
//! and so that one that is somebody else's is never led away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use archetype_model::spec::{Protocol, PublishedPort};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};
use nix::sys::stat::fstat;

use super::{Error, listeners};

/// One port of the host on one address (none: on all of them).
pub(super) type Key = (Protocol, u16, Option<IpAddr>);

/// The ports held by this process. Dropping it frees them.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<Key, Vec<OwnedFd>>);

impl Held {
    /// Holds exactly the ports of `wanted`: frees others, binds what is not held.
    ///
    /// # Errors
    /// [`Error::PortTaken`] for the first that is somebody else's; all others are held.
    pub fn set(&mut self, wanted: &[PublishedPort]) -> Result<(), Error> {
        let keys: BTreeMap<Key, &PublishedPort> = wanted.iter().map(|port| (key(port), port)).collect();
        self.0.retain(|key, _| keys.contains_key(key));
        let mut taken = None;
        for (key, port) in keys {
            // What could not be bound for want of its address or family is tried again.
            if self.0.get(&key).is_some_and(|sockets| !sockets.is_empty()) {
                continue;
            }
            match hold(key) {
                Ok(sockets) => drop(self.0.insert(key, sockets)),
                Err(Errno::EADDRINUSE) if self.is_ours(port) => drop(self.0.insert(key, Vec::new())),
                Err(errno) => {
                    self.0.remove(&key);
                    taken.get_or_insert((port, errno));
                }
            }
        }
        let Some((port, errno)) = taken else { return Ok(()) };
        if errno != Errno::EADDRINUSE {
            return Err(Error::kernel(format!("bind published port {}", in_words(port)), errno));
        }
        let holder = listeners::of(std::slice::from_ref(port), &self.sockets()).pop().map(|(_, who)| who);
        Err(Error::port(port, holder.unwrap_or_else(|| "a process that cannot be named".into())))
    }

    /// Whether what stands in the way of a port is our own hold on it for another address.
    fn is_ours(&self, port: &PublishedPort) -> bool {
        let same = |(protocol, number, _): &Key| (*protocol, *number) == (port.protocol, port.host_port);
        self.0.iter().any(|(key, sockets)| same(key) && !sockets.is_empty())
            && listeners::of(std::slice::from_ref(port), &self.sockets()).is_empty()
    }

    /// The numbers of the sockets that hold them.
    pub fn sockets(&self) -> BTreeSet<String> {
        let number = |socket: &OwnedFd| fstat(socket).ok().map(|meta| meta.st_ino.to_string());
        self.0.values().flatten().filter_map(number).collect()
    }

    /// Whether this one is held.
    pub fn has(&self, port: &PublishedPort) -> bool {
        self.0.contains_key(&key(port))
    }

    /// Whether exactly these are held.
    pub fn is(&self, wanted: &[PublishedPort]) -> bool {
        self.0.keys().copied().collect::<BTreeSet<_>>() == wanted.iter().map(key).collect()
    }
}

/// What tells a port of the host from another one.
pub(super) fn key(port: &PublishedPort) -> Key {
    (port.protocol, port.host_port, port.address)
}

/// `[ADDRESS:]PORT/PROTOCOL`, as Docker writes it.
pub(super) fn in_words(port: &PublishedPort) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    let place = port.address.map(|address| SocketAddr::new(address, port.host_port).to_string());
    format!("{}/{protocol}", place.unwrap_or_else(|| port.host_port.to_string()))
}

/// Binds a port: one socket for each family it is wanted on. A family or protocol that the kernel
/// lacks has no listeners either, and an address that the host has not got yet is not held.
fn hold((protocol, port, address): Key) -> Result<Vec<OwnedFd>, Errno> {
    let places = match address {
        Some(address) => vec![address],
        None => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    let mut sockets = Vec::new();
    for place in places {
        match open(protocol, SocketAddr::new(place, port)) {
            Ok(socket) => sockets.push(socket),
            Err(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT | Errno::EADDRNOTAVAIL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(sockets)
}

fn open(protocol: Protocol, address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = match protocol {
        Protocol::Tcp => socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?,
        Protocol::Udp => socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::Udp)?,
        Protocol::Sctp => sctp(family)?,
    };
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if protocol == Protocol::Udp {
        // Nothing is ever read here; the kernel keeps as little as it can.
        setsockopt(&fd, sockopt::RcvBuf, &0)?;
    } else {
        // Connections of an earlier listener that still time out are no reason to refuse.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    if protocol != Protocol::Udp {
        // Two sockets that may share a port cannot both listen: this is what keeps it ours.
        listen(&fd, Backlog::new(0)?)?;
    }
    Ok(fd)
}

/// nix does not know SCTP.
fn sctp(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers only.
    let fd = Errno::result(unsafe { libc::socket(family as libc::c_int, kind, libc::IPPROTO_SCTP) })?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str, host_port: u16) -> PublishedPort {
        PublishedPort { address: Some(text.parse().unwrap()), host_port, node_port: 1, protocol: Protocol::Tcp }
    }

    #[test]
    fn a_port_of_somebody_else_is_named_and_the_others_are_held() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = port("127.0.0.1", other.local_addr().unwrap().port());
        let free = {
            let probe = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
            port("127.0.0.2", probe.local_addr().unwrap().port())
        };
        let mut held = Held::default();
        let error = held.set(&[taken.clone(), free.clone()]).unwrap_err();
        assert!(matches!(&error, Error::PortTaken { .. }), "{error}");
        assert!(held.is(std::slice::from_ref(&free)));
        std::net::TcpListener::bind(("127.0.0.2", free.host_port)).unwrap_err();
        held.set(&[]).unwrap();
        std::net::TcpListener::bind(("127.0.0.2", free.host_port)).unwrap();
    }

    #[test]
    fn a_port_on_all_addresses_and_on_one_is_no_conflict_with_itself() {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let one = port("127.0.0.1", probe.local_addr().unwrap().port());
        let all = PublishedPort { address: None, ..one.clone() };
        drop(probe);
        let mut held = Held::default();
        held.set(std::slice::from_ref(&one)).unwrap();
        held.set(&[one.clone(), all.clone()]).unwrap();
        assert!(held.has(&one) && held.has(&all));
        held.set(std::slice::from_ref(&all)).unwrap();
        std::net::TcpListener::bind(("0.0.0.0", one.host_port)).unwrap_err();
    }

    #[test]
    fn a_port_is_written_as_docker_writes_it() {
        let mut port = PublishedPort { address: None, host_port: 53, node_port: 1, protocol: Protocol::Udp };
        assert_eq!(in_words(&port), "53/udp");
        port.address = Some("::1".parse().unwrap());
        assert_eq!(in_words(&port), "[::1]:53/udp");
    }
}
