//! The Linux bridge of a management network: made, addressed, read back. Which devices are its
//! ports is the business of another room.

use std::net::IpAddr;
use std::path::PathBuf;

use archetype_model::observed::Mark;
use archetype_model::spec::NetworkSpec;
use archetype_model::{BridgeName, InterfaceName, Mac};
use archetype_netns::rtnl::link::LinkKind;
use archetype_netns::rtnl::network::{address_request, route_addition};
use archetype_netns::rtnl::{Address, Link, LinkChange, LinkKey, NewLink, Socket};
use ipnet::IpNet;

use super::Error;
use super::mark::BridgeMark;

/// A bridge and its addresses as the kernel has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bridge {
    /// The device of that name, whatever it is.
    pub link: Link,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// The networks that the host reaches through it.
    reached: Vec<IpNet>,
}

impl Bridge {
    /// The device of this name; none when there is none.
    pub fn read(socket: &mut Socket, name: &BridgeName) -> Result<Option<Self>, Error> {
        let Some(link) = socket.link(&key(name))? else { return Ok(None) };
        let addresses = socket.addresses()?.into_iter().filter(|address| address.index == link.index);
        let addresses = addresses.map(|Address { net, .. }| net).collect();
        let routes = socket.routes_of(link.index)?;
        let reached = routes.into_iter().filter(|route| route.via.is_none()).filter_map(|route| route.to).collect();
        Ok(Some(Self { link, addresses, reached }))
    }

    /// Whose it is.
    pub fn mark(&self) -> Option<BridgeMark> {
        BridgeMark::parse(&self.link.alias)
    }

    /// Whether it is exactly as wanted.
    pub fn is_right(&self, mark: &BridgeMark, network: &NetworkSpec) -> bool {
        self.link.kind == "bridge"
            && self.link.is_up()
            && self.link.mtu == network.mtu.get()
            && self.mark().as_ref() == Some(mark)
            && gateways(network).all(|gateway| self.addresses.contains(&gateway) && self.reaches(gateway))
            && settings(network).iter().all(|(path, value)| read_setting(path).as_deref() == Some(*value))
    }

    /// Whether the host's way to the network leads here. A bridge that is in a VRF has its routes in another table.
    fn reaches(&self, gateway: IpNet) -> bool {
        self.link.master.is_some() || self.reached.contains(&gateway.trunc())
    }

    /// The ports that no node of any installation has.
    pub fn foreign_ports(&self, socket: &mut Socket) -> Result<Vec<String>, Error> {
        let ports = socket.links()?.into_iter().filter(|link| link.master == Some(self.link.index));
        Ok(ports.filter(|port| port.alias.parse::<Mark>().is_err()).map(|port| port.name).collect())
    }
}

/// Makes the bridge as wanted, or mends it; gives its index. Writes nothing when it is right.
pub(super) fn set(socket: &mut Socket, mark: &BridgeMark, network: &NetworkSpec) -> Result<u32, Error> {
    let name = &network.bridge;
    let there = Bridge::read(socket, name)?;
    if let Some(bridge) = there.as_ref().filter(|bridge| bridge.is_right(mark, network)) {
        return Ok(bridge.link.index);
    }
    let unreached: Vec<IpNet> = match &there {
        Some(bridge) if bridge.link.is_up() => gateways(network).filter(|gateway| !bridge.reaches(*gateway)).collect(),
        _ => Vec::new(),
    };
    let (index, addresses) = match there {
        Some(bridge) => (bridge.link.index, bridge.addresses),
        None => (socket.create(&new(name, mark))?, Vec::new()),
    };
    // An MTU set by hand stays: a bridge left alone takes the smallest of its ports.
    let change = LinkChange::new(LinkKey::Index(index), Some(true)).mtu(network.mtu).alias(&mark.to_string());
    socket.change(&change)?;
    // The kernel makes the way to a network with the address, and not again when it is taken away alone.
    for gateway in unreached.into_iter().filter(|gateway| addresses.contains(gateway)) {
        let what = format!("lead {} to {name}", gateway.trunc());
        socket.request(&what, &route_addition(Some(gateway.trunc()), None, index))?;
    }
    for gateway in gateways(network).filter(|gateway| !addresses.contains(gateway)) {
        if gateway.addr().is_ipv6() {
            set_setting(&per_device("ipv6", name, "disable_ipv6"), "0")?;
        }
        socket.request(&format!("give {name} the address {gateway}"), &address_request(index, gateway))?;
    }
    // Addresses of ours that are no longer wanted; an engine's link-local one is not ours.
    for old in addresses.iter().filter(|old| !is_link_local(old.addr()) && !gateways(network).any(|new| new == **old)) {
        remove_address(socket, index, *old)?;
    }
    apply_settings(network)?;
    Ok(index)
}

/// Removes a bridge. One that is not there is no error.
pub(super) fn remove(socket: &mut Socket, name: &BridgeName) -> Result<(), Error> {
    match socket.delete(&key(name)) {
        Err(error) if error.is_absent() => Ok(()),
        answer => Ok(answer?),
    }
}

/// The name as the key of a device: both follow the same rule.
fn key(name: &BridgeName) -> LinkKey {
    LinkKey::Name(device(name))
}

fn device(name: &BridgeName) -> InterfaceName {
    InterfaceName::new(name.as_str()).expect("a bridge's name is a device's name")
}

fn new(name: &BridgeName, mark: &BridgeMark) -> NewLink {
    let mut new = NewLink::new(device(name), LinkKind::Bridge);
    new.alias = mark.to_string();
    new.mac = own_mac(mark);
    new
}

/// An address of its own, the same each time: a bridge without one takes a port's, and nodes would
/// lose their gateway whenever a port comes or goes.
fn own_mac(mark: &BridgeMark) -> Option<Mac> {
    let digest = archetype_model::digest(&mark.to_string());
    let octet = |at: usize| u8::from_str_radix(digest.get(at..at + 2)?, 16).ok();
    Mac::new([0x02, octet(0)?, octet(2)?, octet(4)?, octet(6)?, octet(8)?]).ok()
}

/// The host's addresses on the network.
fn gateways(network: &NetworkSpec) -> impl Iterator<Item = IpNet> + use<> {
    let v4 = network.ipv4.as_ref().map(|s| IpNet::new_assert(IpAddr::V4(s.gateway), s.net.prefix_len()));
    let v6 = network.ipv6.as_ref().map(|s| IpNet::new_assert(IpAddr::V6(s.gateway), s.net.prefix_len()));
    v4.into_iter().chain(v6)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn remove_address(socket: &mut Socket, index: u32, net: IpNet) -> Result<(), Error> {
    use archetype_netns::rtnl::network::Table;
    let what = format!("take the address {net} from device number {index}");
    for message in socket.table(Table::Addresses)? {
        let of_device = message.body.get(4..8) == Some(&index.to_ne_bytes());
        let prefix = message.body.get(1) == Some(&net.prefix_len());
        let octets = match net.addr() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let same =
            message.attributes(Table::Addresses.fixed()).any(|a| a.kind == libc::IFA_ADDRESS && a.value == octets);
        if of_device && prefix && same {
            socket.request(&what, &Table::Addresses.delete_request(&message.body))?;
        }
    }
    Ok(())
}

// === settings of the kernel ===

/// What the kernel is to be set to for this network, by file under /proc/sys.
fn settings(network: &NetworkSpec) -> Vec<(PathBuf, &'static str)> {
    let mut settings = Vec::new();
    if network.ipv4.is_some() {
        settings.push((setting("net/ipv4/ip_forward"), "1"));
        // 127.0.0.1 of the host may be led to a published port's node.
        settings.push((per_device("ipv4", &network.bridge, "route_localnet"), "1"));
    }
    if network.ipv6.is_some() {
        settings.push((setting("net/ipv6/conf/all/forwarding"), "1"));
        settings.push((per_device("ipv6", &network.bridge, "disable_ipv6"), "0"));
    }
    settings
}

fn setting(path: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(path)
}

fn per_device(family: &str, device: &BridgeName, name: &str) -> PathBuf {
    setting(&format!("net/{family}/conf")).join(device.as_str()).join(name)
}

fn read_setting(path: &PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn set_setting(path: &PathBuf, value: &str) -> Result<(), Error> {
    if read_setting(path).as_deref() == Some(value) {
        return Ok(());
    }
    std::fs::write(path, value).map_err(|error| Error::file(path, error))
}

fn apply_settings(network: &NetworkSpec) -> Result<(), Error> {
    for (path, value) in settings(network) {
        if path.ends_with("ipv6/conf/all/forwarding") && read_setting(&path).as_deref() == Some("0") {
            keep_router_advertisements();
        }
        set_setting(&path, value)?;
    }
    Ok(())
}

/// A host that forwards stops listening to routers on devices with `accept_ra=1`, and would lose
/// its own way out; 2 means "also when forwarding". A device that refuses is left as it is.
fn keep_router_advertisements() {
    let Ok(devices) = std::fs::read_dir(setting("net/ipv6/conf")) else { return };
    for device in devices.flatten() {
        let name = device.file_name();
        let path = device.path().join("accept_ra");
        if name != "all" && name != "default" && read_setting(&path).as_deref() == Some("1") {
            let _ = std::fs::write(&path, "2");
        }
    }
}
