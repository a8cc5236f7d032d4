//! Who listens on a port of the host, told by the kernel and by `/proc`. Knows nothing of what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use archetype_model::spec::{Protocol, PublishedPort};
use archetype_netns::rtnl::{Request, Socket};

use super::survey::HeldPort;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP_LISTEN: u32 = 10;

/// A socket that waits for others to speak first.
struct Listener {
    protocol: Protocol,
    address: IpAddr,
    port: u16,
    inode: String,
}

/// Which of `ports` anybody listens on by another socket than those of `held`, by their numbers, with who it is:
/// `NAME (pid N)`. SCTP is not told by `/proc` everywhere and is left out where it is not.
pub(super) fn of(ports: &[PublishedPort], held: &BTreeSet<String>) -> Vec<(PublishedPort, String)> {
    let mut found = read();
    found.retain(|listener| ports.iter().any(|port| meets(port, listener)));
    let found = named(found, held);
    let holder = |port| found.iter().find(|(listener, _)| meets(port, listener)).map(|(_, holder)| holder.clone());
    ports.iter().filter_map(|port| Some((port.clone(), holder(port)?))).collect()
}

/// Who holds each socket that was seen, in words; none where it holds a published port. A socket's number is
/// its own for as long as it lives, and who holds it takes a look at every file of every process.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<(Protocol, IpAddr, u16, String), Option<String>>);

/// Everything on which anybody listens by another socket than those of `held`. Sockets that were seen before are not asked
/// after again.
pub(super) fn all(known: &mut Holders, held: &BTreeSet<String>) -> Vec<HeldPort> {
    let found = read();
    let key = |listener: &Listener| (listener.protocol, listener.address, listener.port, listener.inode.clone());
    let all: BTreeSet<_> = found.iter().map(key).collect();
    known.0.retain(|socket, _| all.contains(socket));
    if known.0.len() < all.len() {
        let owners = owners();
        known.0 = found.iter().map(|listener| (key(listener), holder(&owners, listener, held))).collect();
    }
    let port = |listener: Listener| {
        Some(HeldPort {
            holder: known.0.get(&key(&listener))?.clone()?,
            address: Some(listener.address).filter(|address| !address.is_unspecified()),
            port: listener.port,
            protocol: listener.protocol,
        })
    };
    found.into_iter().filter_map(port).collect()
}

/// Every listener of this network namespace.
fn read() -> Vec<Listener> {
    let mut found = of_tcp().unwrap_or_else(|_| table(Protocol::Tcp, ["tcp", "tcp6"]));
    found.extend(table(Protocol::Udp, ["udp", "udp6"]));
    found
}

/// What `/proc` shows of a protocol.
fn table(protocol: Protocol, names: [&str; 2]) -> Vec<Listener> {
    // A thread's own view: the process's main thread may be in another namespace.
    let read = |name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let lines = |text: String| text.lines().skip(1).filter_map(|line| parse(protocol, line)).collect::<Vec<_>>();
    names.into_iter().flat_map(|name| lines(read(name))).collect()
}

/// TCP's listeners as the kernel tells them when asked for those alone: for the same `/proc` walks
/// through its whole table of connections, which takes 5 ms and more on a machine with much memory.
fn of_tcp() -> archetype_netns::Result<Vec<Listener>> {
    let mut socket = Socket::open_protocol(libc::NETLINK_SOCK_DIAG)?;
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        // Family, protocol, no extensions; the wanted states; any pair of addresses.
        let mut wanted = [0u8; 56];
        (wanted[0], wanted[1]) = (family as u8, libc::IPPROTO_TCP as u8);
        wanted[4..8].copy_from_slice(&(1u32 << TCP_LISTEN).to_ne_bytes());
        let request = Request::new(SOCK_DIAG_BY_FAMILY, 0, &wanted);
        let told = socket.dump("list the listening sockets", &request)?;
        found.extend(told.iter().filter_map(|message| told_listener(&message.body)));
    }
    Ok(found)
}

/// A message of the kernel's about a socket: family and state, its port at 4, its address at 8, both
/// in network order, its inode at 68.
fn told_listener(body: &[u8]) -> Option<Listener> {
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let address = match i32::from(*body.first()?) {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(body.get(8..12)?).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(body.get(8..24)?).ok()?),
    };
    let inode = u32::from_ne_bytes(body.get(68..72)?.try_into().ok()?);
    Some(Listener { protocol: Protocol::Tcp, address, port, inode: inode.to_string() })
}

/// Listeners with who they are; those of `held` are left out.
fn named(found: Vec<Listener>, held: &BTreeSet<String>) -> Vec<(Listener, String)> {
    if found.is_empty() {
        return Vec::new();
    }
    let owners = owners();
    found.into_iter().filter_map(|listener| holder(&owners, &listener, held).map(|holder| (listener, holder))).collect()
}

/// Who holds a listener's socket, in words; none where it is one of `held`.
fn holder(owners: &BTreeMap<String, (u32, String)>, listener: &Listener, held: &BTreeSet<String>) -> Option<String> {
    match owners.get(&listener.inode) {
        _ if held.contains(&listener.inode) => None,
        Some((pid, name)) => Some(format!("{name} (pid {pid})")),
        None => Some("a process that cannot be named".to_owned()),
    }
}

fn meets(port: &PublishedPort, listener: &Listener) -> bool {
    port.protocol == listener.protocol && port.host_port == listener.port && overlap(port.address, listener.address)
}

fn overlap(wanted: Option<IpAddr>, there: IpAddr) -> bool {
    let Some(wanted) = wanted else { return true };
    let dual = there == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let unspecified = (wanted.is_unspecified() || there.is_unspecified()) && wanted.is_ipv4() == there.is_ipv4();
    wanted == there || unspecified || dual
}

/// A line of `/proc/net/tcp`: number, local, remote, state, …, inode as the tenth word.
fn parse(protocol: Protocol, line: &str) -> Option<Listener> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let waits = match protocol {
        Protocol::Tcp => *words.get(3)? == "0A",
        _ => words.get(2)?.ends_with(":0000"),
    };
    let (address, port) = words.get(1)?.split_once(':')?;
    let listener = Listener {
        protocol,
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: (*words.get(9)?).to_owned(),
    };
    waits.then_some(listener)
}

/// Addresses stand there as words of 32 bits in the machine's own byte order.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut octets = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    let v4 = <[u8; 4]>::try_from(octets.as_slice()).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    v4.or_else(|_| <[u8; 16]>::try_from(octets.as_slice()).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))).ok()
}

/// Every socket's process, by the socket's inode.
fn owners() -> BTreeMap<String, (u32, String)> {
    let mut owners = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return owners };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode {
                owners.entry(inode.to_owned()).or_insert_with(|| (pid, name_of(&process.path())));
            }
        }
    }
    owners
}

fn name_of(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_is_read_with_its_address() {
        let line =
            "   0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   102        0 16210 1 0";
        let listener = parse(Protocol::Tcp, line).unwrap();
        assert_eq!((listener.address, listener.port), ("127.0.0.53".parse().unwrap(), 53));
        assert_eq!(listener.inode, "16210");
        assert!(parse(Protocol::Tcp, &line.replace(" 0A ", " 01 ")).is_none());
    }

    #[test]
    fn the_kernel_tells_the_listeners_that_proc_shows() {
        let mine = [std::net::TcpListener::bind("127.0.0.1:0"), std::net::TcpListener::bind("[::1]:0")];
        let mine: Vec<_> =
            mine.into_iter().flatten().map(|listener| (listener.local_addr().unwrap(), listener)).collect();
        // A kernel may lack what tells them; then `/proc` does.
        let Ok(told) = of_tcp() else { return };
        let shown = table(Protocol::Tcp, ["tcp", "tcp6"]);
        let inode = |found: &[Listener], at: &std::net::SocketAddr| {
            found.iter().find(|one| (one.address, one.port) == (at.ip(), at.port())).map(|one| one.inode.clone())
        };
        for (address, _) in &mine {
            assert!(inode(&told, address).is_some(), "{address}");
            assert_eq!(inode(&told, address), inode(&shown, address));
        }
    }

    #[test]
    fn a_port_on_every_address_meets_a_listener_on_one() {
        let one: IpAddr = "127.0.0.53".parse().unwrap();
        assert!(overlap(None, one));
        assert!(overlap(Some("0.0.0.0".parse().unwrap()), one));
        assert!(!overlap(Some("192.0.2.1".parse().unwrap()), one));
        assert!(overlap(Some("192.0.2.1".parse().unwrap()), "::".parse().unwrap()));
    }
}
