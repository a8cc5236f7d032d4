//! Who listens on a port of the host, told by `/proc`. Knows nothing of what is published.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use archetype_model::spec::{Protocol, PublishedPort};

use super::survey::HeldPort;

/// A socket that waits for others to speak first.
struct Listener {
    protocol: Protocol,
    address: IpAddr,
    port: u16,
    inode: String,
}

/// Which of `ports` somebody other than this process listens on, with who it is: `NAME (pid N)`.
/// SCTP is not told by `/proc` everywhere and is left out where it is not.
pub(super) fn of(ports: &[PublishedPort]) -> Vec<(PublishedPort, String)> {
    let mut found = read();
    found.retain(|listener| ports.iter().any(|port| meets(port, listener)));
    let found = named(found);
    let holder = |port| found.iter().find(|(listener, _)| meets(port, listener)).map(|(_, holder)| holder.clone());
    ports.iter().filter_map(|port| Some((port.clone(), holder(port)?))).collect()
}

/// Everything on which somebody other than this process listens.
pub(super) fn all() -> Vec<HeldPort> {
    let held = |(listener, holder): (Listener, String)| HeldPort {
        address: Some(listener.address).filter(|address| !address.is_unspecified()),
        port: listener.port,
        protocol: listener.protocol,
        holder,
    };
    named(read()).into_iter().map(held).collect()
}

/// Every listener of this network namespace.
fn read() -> Vec<Listener> {
    let tables = [(Protocol::Tcp, "tcp"), (Protocol::Tcp, "tcp6"), (Protocol::Udp, "udp"), (Protocol::Udp, "udp6")];
    let mut found = Vec::new();
    for (protocol, table) in tables {
        // A thread's own view: the process's main thread may be in another namespace.
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| parse(protocol, line)));
    }
    found
}

/// Listeners with who they are; our own are left out.
fn named(found: Vec<Listener>) -> Vec<(Listener, String)> {
    if found.is_empty() {
        return Vec::new();
    }
    let (owners, own) = (owners(), std::process::id());
    let holder = |listener: &Listener| match owners.get(&listener.inode) {
        Some((pid, _)) if *pid == own => None,
        Some((pid, name)) => Some(format!("{name} (pid {pid})")),
        None => Some("a process that cannot be named".to_owned()),
    };
    found.into_iter().filter_map(|listener| holder(&listener).map(|holder| (listener, holder))).collect()
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
    fn a_port_on_every_address_meets_a_listener_on_one() {
        let one: IpAddr = "127.0.0.53".parse().unwrap();
        assert!(overlap(None, one));
        assert!(overlap(Some("0.0.0.0".parse().unwrap()), one));
        assert!(!overlap(Some("192.0.2.1".parse().unwrap()), one));
        assert!(overlap(Some("192.0.2.1".parse().unwrap()), "::".parse().unwrap()));
    }
}
