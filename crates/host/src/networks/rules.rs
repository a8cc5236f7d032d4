//! The packet rules of a management network: one nft table of ours, replaced as a whole in one
//! transaction. It serves published ports and the way out; it knows nothing of Docker's rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::take;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use archetype_model::network::{NetworkWanted, PortWanted};
use archetype_model::spec::Protocol;
use archetype_model::{InstallationId, NetworkName};
use serde_json::Value;

use super::Error;

/// The name of a network's table, of family inet.
pub(super) fn table(installation: &InstallationId, network: &NetworkName) -> String {
    format!("archetype_{installation}_{network}")
}

/// The transaction that makes the table new, whatever it was before.
pub(super) fn text(installation: &InstallationId, wanted: &NetworkWanted) -> String {
    let table = table(installation, &wanted.network.name);
    let mut text = format!("add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n");
    // Writing to a string cannot fail.
    let _ = write!(text, "{}{}{}", maps(&wanted.ports), PUBLISH, ways(wanted));
    text.push_str("}\n");
    text
}

/// Which port of the host leads where; a node may serve one of the two families only.
fn maps(ports: &[PortWanted]) -> String {
    let mut any = [Vec::new(), Vec::new()];
    let mut bound = [Vec::new(), Vec::new()];
    let mut held = BTreeSet::new();
    let mut held_at = [BTreeSet::new(), BTreeSet::new()];
    for wanted in ports {
        let key = format!("{} . {}", protocol(wanted.port.protocol), wanted.port.host_port);
        match wanted.port.address.filter(|address| !address.is_unspecified()) {
            None => held.insert(key.clone()),
            Some(address) => held_at[usize::from(address.is_ipv6())].insert(format!("{address} . {key}")),
        };
        for (family, node) in [wanted.ipv4.map(IpAddr::V4), wanted.ipv6.map(IpAddr::V6)].into_iter().enumerate() {
            let Some(node) = node else { continue };
            let to = format!("{node} . {}", wanted.port.node_port);
            match wanted.port.address {
                Some(address) if address.is_ipv4() != node.is_ipv4() => {}
                Some(address) if !address.is_unspecified() => bound[family].push(format!("{address} . {key} : {to}")),
                _ => any[family].push(format!("{key} : {to}")),
            }
        }
    }
    let port = "inet_proto . inet_service";
    let mut text = set("set held", port, held);
    for (family, address) in ["ipv4_addr", "ipv6_addr"].into_iter().enumerate() {
        let number = if family == 0 { 4 } else { 6 };
        let to = format!("{address} . inet_service");
        text += &set(&format!("set held{number}"), &format!("{address} . {port}"), take(&mut held_at[family]));
        text += &set(&format!("map ports{number}"), &format!("{port} : {to}"), take(&mut any[family]));
        text += &set(&format!("map bound{number}"), &format!("{address} . {port} : {to}"), take(&mut bound[family]));
    }
    text
}

fn set(head: &str, kind: &str, elements: impl IntoIterator<Item = String>) -> String {
    let elements: Vec<String> = elements.into_iter().collect();
    let elements =
        if elements.is_empty() { String::new() } else { format!("elements = {{ {} }}", elements.join(", ")) };
    format!("{head} {{\ntype {kind}\n{elements}\n}}\n")
}

/// Published ports, from outside, from the host itself and from other nodes. What reaches the
/// host's own socket at such a port was not led on (`::1`, a family the node lacks): our socket
/// never answers, so the sender is told at once. Of a port that is published at one address the others are anybody's.
const PUBLISH: &str = "\
chain publish {
dnat ip to ip daddr . meta l4proto . th dport map @bound4
dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
dnat ip to meta l4proto . th dport map @ports4
dnat ip6 to meta l4proto . th dport map @ports6
}
chain prerouting {
type nat hook prerouting priority -105; policy accept;
fib daddr type local jump publish
}
chain output {
type nat hook output priority -105; policy accept;
ip6 daddr ::1 return
fib daddr type local jump publish
}
chain input {
type filter hook input priority 0; policy accept;
meta l4proto . th dport @held reject
ip daddr . meta l4proto . th dport @held4 reject
ip6 daddr . meta l4proto . th dport @held6 reject
}
";

/// The way back from a published port and the way out; and, where the file closes the network to
/// the outside, what may come in.
fn ways(wanted: &NetworkWanted) -> String {
    let bridge = &wanted.network.bridge;
    let mut text = format!(
        "chain postrouting {{\ntype nat hook postrouting priority 95; policy accept;\n\
         iifname \"{bridge}\" oifname \"{bridge}\" ct status dnat masquerade\n\
         oifname \"{bridge}\" ip saddr 127.0.0.0/8 masquerade\n"
    );
    let nets = [
        wanted.network.ipv4.as_ref().map(|subnet| format!("ip saddr {}", subnet.net.trunc())),
        wanted.network.ipv6.as_ref().map(|subnet| format!("ip6 saddr {}", subnet.net.trunc())),
    ];
    for net in nets.into_iter().flatten() {
        let _ = writeln!(text, "{net} oifname != \"{bridge}\" masquerade");
    }
    text += "}\n";
    if !wanted.network.external_access {
        let _ = write!(
            text,
            "chain forward {{\ntype filter hook forward priority 0; policy accept;\n\
             iifname != \"{bridge}\" oifname \"{bridge}\" ct state new ct status & dnat == 0 drop\n}}\n"
        );
    }
    text
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// Applies a transaction: all of it or nothing.
pub(super) fn apply(text: &str) -> Result<(), Error> {
    nft(&["-f", "-"], text).map(drop)
}

/// Removes a table. One that is not there is no error.
pub(super) fn remove(table: &str) -> Result<(), Error> {
    apply(&format!("add table inet {table}\ndelete table inet {table}\n"))
}

/// The digest of a table as the kernel has it; none when it is not there. Equal tables give equal
/// digests whatever the order in which the kernel tells a set's elements.
pub(super) fn read(table: &str) -> Result<Option<String>, Error> {
    let told = match nft(&["-j", "list", "table", "inet", table], "") {
        Ok(told) => told,
        Err(Error::Program { said, .. }) if said.contains("No such file or directory") => return Ok(None),
        Err(error) => return Err(error),
    };
    let unreadable = |error| Error::Program { what: format!("read nft table {table}"), said: format!("{error}") };
    let mut value: Value = serde_json::from_str(&told).map_err(unreadable)?;
    settle(&mut value);
    Ok(Some(archetype_model::digest(&value)))
}

/// Takes out what differs between equal tables: handles, counters of the program, element order.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("handle");
            fields.remove("metainfo");
            if let Some(Value::Array(elements)) = fields.get_mut("elem") {
                elements.sort_by_key(Value::to_string);
            }
            fields.values_mut().for_each(settle);
        }
        Value::Array(values) => values.iter_mut().for_each(settle),
        _ => {}
    }
}

fn nft(arguments: &[&str], input: &str) -> Result<String, Error> {
    run(Command::new("nft").args(arguments), input, "nftables", || format!("nft {}", arguments.join(" ")))
}

/// Runs a program with `input` and gives what it printed.
pub(super) fn run(
    command: &mut Command,
    input: &str,
    package: &'static str,
    what: impl Fn() -> String,
) -> Result<String, Error> {
    let failed = |error: std::io::Error| Error::Program { what: what(), said: error.to_string() };
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::ProgramMissing { program, package });
        }
        child => child.map_err(failed)?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading has said why; that is told below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Program { what: what(), said })
}
