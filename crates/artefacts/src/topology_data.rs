//! `topology-data.json`: nodes and links with their addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use archetype_model::NodeName;
use archetype_model::spec::{EndRef, Protocol, PublishedPort};
use archetype_model::topology::{DEFAULT_PREFIX, EndpointDecl, LinkDecl, LinkKind, Place, Subject};
use serde_json::Value;

use crate::json::{member, members, pretty, text};
use crate::{Lab, Row};

const KEYS: &str = "ssh-pub-keys";
const OBJECT: [char; 2] = ['{', '}'];
const LIST: [char; 2] = ['[', ']'];

/// The whole file.
pub fn write(lab: &Lab<'_>, rows: &[Row<'_>]) -> String {
    let prefix = lab.topology.prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
    let config = [member("prefix", text(prefix)), member("mgmt", management(lab))];
    let nodes = rows.iter().enumerate().map(|(index, row)| member(row.node.name.as_str(), node(lab, index, row)));
    let all = lab.topology.links.iter().enumerate();
    let links = all.filter(|(index, declared)| is_in(lab, *index, declared)).map(|(_, declared)| link(lab, declared));
    let file = [
        member("name", text(lab.topology.name.as_str())),
        member("type", text("clab")),
        member("clab", members(OBJECT, [member("config", members(OBJECT, config, 4))], 2)),
        member(KEYS, "[]"),
        member("nodes", members(OBJECT, nodes, 2)),
        member("links", members(LIST, links, 2)),
    ];
    members(OBJECT, file, 0) + "\n"
}

/// The file with the public keys of whoever deploys: they are known where that person is.
pub fn with_keys(written: &str, keys: &[String]) -> String {
    if keys.is_empty() {
        return written.to_owned();
    }
    let told = members(LIST, keys.iter().map(|key| text(key)), 2);
    written.replacen(&member(KEYS, "[]"), &member(KEYS, told), 1)
}

/// The management network: as it is planned, else as it is declared.
fn management(lab: &Lab<'_>) -> String {
    let (declared, planned) = (&lab.topology.mgmt, lab.network);
    let name = planned.map_or_else(|| declared.network_name(), |network| network.name.clone());
    let bridge = planned.map(|network| &network.bridge).or(declared.bridge.as_ref());
    let v4 = planned.and_then(|network| network.ipv4.as_ref());
    let v6 = planned.and_then(|network| network.ipv6.as_ref());
    let of_v4 = || declared.ipv4().filter(|_| planned.is_none()).map(|net| net.to_string());
    let of_v6 = || declared.ipv6().filter(|_| planned.is_none()).map(|net| net.to_string());
    let texts = [
        ("network", Some(name.to_string())),
        ("bridge", bridge.map(ToString::to_string)),
        ("ipv4-subnet", v4.map(|subnet| subnet.net.to_string()).or_else(of_v4)),
        ("ipv4-gw", v4.map(|subnet| subnet.gateway.to_string())),
        ("ipv4-range", declared.ipv4_range.map(|range| range.to_string())),
        ("ipv6-subnet", v6.map(|subnet| subnet.net.to_string()).or_else(of_v6)),
        ("ipv6-gw", v6.map(|subnet| subnet.gateway.to_string())),
        ("ipv6-range", declared.ipv6_range.map(|range| range.to_string())),
    ];
    let mut fields: Vec<String> =
        texts.into_iter().filter_map(|(key, value)| Some(member(key, text(&value?)))).collect();
    fields.extend(declared.mtu.map(|mtu| member("mtu", mtu)));
    fields.push(member("external-access", declared.external_access.unwrap_or(true)));
    if !declared.driver_opts.is_empty() {
        fields.push(member("driver-opts", pretty(&Value::from_iter(declared.driver_opts.clone()), 8)));
    }
    members(OBJECT, fields, 6)
}

fn node(lab: &Lab<'_>, index: usize, row: &Row<'_>) -> String {
    let name = &row.node.name;
    let definition = &row.node.definition;
    let stated = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
    let address = |address: Option<String>| text(&address.unwrap_or_default());
    let v4 = lab.network.and_then(|network| network.ipv4.as_ref()).filter(|_| row.ipv4.is_some());
    let v6 = lab.network.and_then(|network| network.ipv6.as_ref()).filter(|_| row.ipv6.is_some());
    let fields = [
        member("index", text(&index.to_string())),
        member("shortname", text(name.as_str())),
        member("longname", text(&row.long_name)),
        member("fqdn", text(&format!("{name}.{}.io", lab.topology.name))),
        member("group", stated(&definition.group)),
        member("labdir", text(&format!("{}/{name}", lab.topology.lab_directory()))),
        member("kind", text(&row.node.kind)),
        member("image", stated(&definition.image)),
        member("mgmt-net", text("")),
        member("mgmt-intf", text("")),
        member("mgmt-ipv4-address", address(row.ipv4.map(|address| address.to_string()))),
        member("mgmt-ipv4-prefix-length", v4.map_or(0, |subnet| subnet.net.prefix_len())),
        member("mgmt-ipv6-address", address(row.ipv6.map(|address| address.to_string()))),
        member("mgmt-ipv6-prefix-length", v6.map_or(0, |subnet| subnet.net.prefix_len())),
        member("mac-address", text("")),
        member("labels", pretty(&Value::from_iter(row.labels.clone()), 6)),
        member("port-bindings", members(LIST, ports(row.ports), 6)),
    ];
    members(OBJECT, fields, 4)
}

/// Published ports by the node's port; one at every address of the host is two, one of each family.
fn ports(ports: &[PublishedPort]) -> Vec<String> {
    let mut all: Vec<(u16, &str, IpAddr, u16)> = Vec::new();
    for port in ports {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        let every = || vec![IpAddr::from([0, 0, 0, 0]), IpAddr::from([0; 16])];
        let addresses = port.address.map_or_else(every, |address| vec![address]);
        all.extend(addresses.into_iter().map(|address| (port.node_port, protocol, address, port.host_port)));
    }
    all.sort();
    let binding = |(node_port, protocol, address, host_port): (u16, &str, IpAddr, u16)| {
        let fields = [
            member("host-ip", text(&address.to_string())),
            member("host-port", host_port),
            member("port", node_port),
            member("protocol", text(protocol)),
        ];
        members(OBJECT, fields, 8)
    };
    all.into_iter().map(binding).collect()
}

/// Whether neither the link nor a node at an end of it is left out.
fn is_in(lab: &Lab<'_>, index: usize, link: &LinkDecl) -> bool {
    let is_out = |end: &EndpointDecl| {
        let node = NodeName::new(end.node.as_str());
        end.place == Place::Node && node.is_ok_and(|node| lab.left_out.contains(&Subject::Node(node)))
    };
    !lab.left_out.contains(&Subject::Link(index)) && !link.endpoints.iter().any(is_out)
}

fn link(lab: &Lab<'_>, link: &LinkDecl) -> String {
    let mut ends: Vec<&EndpointDecl> = link.endpoints.iter().collect();
    // The bridge comes first, wherever the file has it.
    if link.kind == LinkKind::MgmtNet {
        ends.sort_by_key(|end| end.place != Place::MgmtNet);
    }
    let ends: Vec<String> = match ends.as_slice() {
        [a, z] => vec![member("a", end(lab, a, Some(z), "z")), member("z", end(lab, z, Some(a), "a"))],
        others => others.iter().map(|only| member("a", end(lab, only, None, "dummy"))).collect(),
    };
    let vars = (!link.vars.is_empty()).then(|| member("vars", pretty(&free(&link.vars), 6)));
    let fields = std::iter::once(member("endpoints", members(OBJECT, ends, 6))).chain(vars);
    members(OBJECT, fields, 4)
}

fn end(lab: &Lab<'_>, end: &EndpointDecl, far: Option<&EndpointDecl>, peer: &str) -> String {
    let bridge = lab.network.filter(|_| end.place == Place::MgmtNet).map(|network| network.bridge.to_string());
    let node = match end.place {
        Place::Node => end.node.clone(),
        Place::MgmtNet => bridge.unwrap_or_else(|| end.node.clone()),
        Place::Host | Place::MacvlanParent => "host".to_owned(),
    };
    let interface = end.linux_interface.as_ref().map_or(end.interface.as_str(), |name| name.as_str());
    let planned = end_ref(end).and_then(|end| Some(lab.part?.interface(&end)?.1.mac));
    let outside = || lab.seen.outside.get(&far.and_then(end_ref)?).copied();
    let mac = planned.or_else(outside).or(end.mac);
    let mut fields = vec![
        member("node", text(&node)),
        member("interface", text(interface)),
        member("mac", text(&mac.map(|mac| mac.to_string()).unwrap_or_default())),
    ];
    fields.extend(end.ipv4.map(|address| member("ipv4", text(&address.to_string()))));
    fields.extend(end.ipv6.map(|address| member("ipv6", text(&address.to_string()))));
    if !end.vars.is_empty() {
        fields.push(member("vars", pretty(&free(&end.vars), 10)));
    }
    fields.push(member("peer", text(peer)));
    members(OBJECT, fields, 8)
}

/// An end that is an interface of a node.
fn end_ref(end: &EndpointDecl) -> Option<EndRef> {
    let node = NodeName::new(end.node.as_str()).ok().filter(|_| end.place == Place::Node)?;
    Some(EndRef { node, interface: end.linux_interface.clone()? })
}

fn free(vars: &BTreeMap<String, Value>) -> Value {
    Value::from_iter(vars.clone())
}
