//! What each setting's text means, and its default.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use archetype_host::HostCommands;
use archetype_model::topology::{MgmtDecl, Subnet};
use archetype_model::{HostName, VlanTag};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{SOCKET, Settings};
use crate::args::ServeArgs;
use crate::duration;

/// Where the Docker Engine listens, unless something else is said.
pub const ENGINE: &str = "unix:///var/run/docker.sock";

/// Where Open vSwitch's database listens, unless something else is said.
pub const OVSDB: &str = "unix:/run/openvswitch/db.sock";

/// The settings of `serve`; none when something is wrong, which is noted.
pub(super) fn serve(settings: &mut Settings) -> Option<ServeArgs> {
    // Every value is read before the first `?`: all that is wrong is told at once.
    let data = settings.value("data", "/var/lib/archetype", absolute);
    let socket = settings.value("socket", SOCKET, absolute);
    let listen = settings.value("listen", "127.0.0.1:7070", |text| unless_none(text, address));
    let bridge = settings.value("bridge", "arch-ovs", parsed);
    let ovsdb = settings.value("ovsdb", OVSDB, parsed);
    let docker = settings.value("docker", ENGINE, |text| unless_none(text, engine_socket));
    let docker_runtime = settings.value("docker-runtime", "archetype", runtime_name);
    let mgmt_network = settings.value("mgmt-network", MgmtDecl::default().network_name().as_str(), parsed);
    let subnets = settings.value("mgmt-subnet", "", subnets);
    let tags = settings.value("tags", "1-4094", tag_range);
    let reserve_tags = settings.value("reserve-tags", "", tag_set);
    let full_read_interval = settings.value("full-read-interval", "30s", interval);
    let probe_interval = settings.value("probe-interval", "none", |text| unless_none(text, interval));
    let host = settings.value("host", "", host_name);
    let hosts_file = settings.value("hosts-file", "/etc/hosts", |text| unless_none(text, absolute));
    let allowed = settings.value("host-commands", "allow", allowed);
    let limit = settings.value("host-command-limit", "10m", interval);
    let (mgmt_ipv4, mgmt_ipv6) = subnets?;
    Some(ServeArgs {
        data: data?,
        socket: socket?,
        listen: listen?,
        bridge: bridge?,
        ovsdb: ovsdb?,
        docker: docker?,
        docker_runtime: docker_runtime?,
        mgmt_network: mgmt_network?,
        mgmt_ipv4,
        mgmt_ipv6,
        tags: tags?,
        reserve_tags: reserve_tags?,
        full_read_interval: full_read_interval?,
        probe_interval: probe_interval?,
        host: host?,
        hosts_file: hosts_file?,
        host_commands: HostCommands { allowed: allowed?, limit: limit? },
    })
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn unless_none<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == "none" { Ok(None) } else { read(text).map(Some) }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty".into());
    }
    std::path::absolute(text).map_err(|error| format!("{text:?} is no path: {error}"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address with a port; write 127.0.0.1:7070, [::1]:7070 or none"))
}

/// The path of an engine's unix socket, `unix://PATH` or the path alone.
pub(super) fn engine_socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.starts_with('/') {
        Ok(PathBuf::from(path))
    } else {
        Err(format!("{text:?} is no unix socket; write unix:///var/run/docker.sock"))
    }
}

fn runtime_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no name of a runtime: letters, digits, \"-\", \"_\" and \".\" are allowed"))
    }
}

type Subnets = (Option<Subnet<Ipv4Net>>, Option<Subnet<Ipv6Net>>);

/// One IPv4 and one IPv6 subnet, or `auto` for the family that is not named.
fn subnets(text: &str) -> Result<Subnets, String> {
    if text.is_empty() {
        return Ok((Some(Subnet::Net(MgmtDecl::IPV4_SUBNET)), Some(Subnet::Net(MgmtDecl::IPV6_SUBNET))));
    }
    let (mut ipv4, mut ipv6) = (Subnet::Auto, Subnet::Auto);
    for word in text.split(',').map(str::trim).filter(|word| *word != "auto") {
        let refuse = || format!("{word:?} is no subnet; write 172.30.0.0/24, 172.30.0.0/24,fd00:30::/64 or auto");
        let net: IpNet = word.parse().map_err(|_| refuse())?;
        if net.trunc() != net {
            return Err(format!("{net} has bits behind its prefix; write {}", net.trunc()));
        }
        match net {
            IpNet::V4(net) if ipv4 == Subnet::Auto => ipv4 = Subnet::Net(net),
            IpNet::V6(net) if ipv6 == Subnet::Auto => ipv6 = Subnet::Net(net),
            _ => return Err(format!("{net} is the second subnet of its family")),
        }
    }
    Ok((Some(ipv4), Some(ipv6)))
}

/// `A-B`, or one tag.
fn tag_range(text: &str) -> Result<(VlanTag, VlanTag), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let tag = |word: &str| -> Result<VlanTag, String> {
        let number: u16 = word.trim().parse().map_err(|_| format!("{text:?} is no range of tags; write 100-199"))?;
        VlanTag::new(number).map_err(|error| error.to_string())
    };
    let (first, last) = (tag(first)?, tag(last)?);
    if first > last { Err(format!("the range {text} ends before it begins")) } else { Ok((first, last)) }
}

fn tag_set(text: &str) -> Result<BTreeSet<VlanTag>, String> {
    let mut tags = BTreeSet::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty() && *word != "none") {
        let (first, last) = tag_range(word)?;
        tags.extend((first.get()..=last.get()).filter_map(|tag| VlanTag::new(tag).ok()));
    }
    Ok(tags)
}

fn allowed(text: &str) -> Result<bool, String> {
    match text {
        "allow" => Ok(true),
        "refuse" => Ok(false),
        _ => Err(format!("{text:?} is no rule; write allow or refuse")),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse(text)?;
    if interval < Duration::from_millis(100) {
        return Err(format!("{text} is too short; 100ms is the shortest"));
    }
    Ok(interval)
}

/// A name for this host; empty means what the system calls it, up to the first dot.
fn host_name(text: &str) -> Result<HostName, String> {
    if !text.is_empty() {
        return parsed(text);
    }
    let system = nix::unistd::gethostname().map_err(|error| format!("the system tells no host name: {error}"))?;
    let system = system.to_string_lossy();
    let short = system.split('.').next().unwrap_or_default();
    HostName::new(short).map_err(|error| format!("{error}; give one with --host"))
}
