//! The lab's names: lines for a hosts file, and entries for an ssh client. In the order of the
//! nodes' names.

use std::fmt::Write as _;
use std::net::IpAddr;

use archetype_model::LabName;

use crate::Row;

/// A block of lines for a hosts file: IPv4 first.
pub fn hosts(lab: &LabName, rows: &[Row<'_>]) -> String {
    let v4 = rows.iter().filter_map(|row| Some((IpAddr::V4(row.ipv4?), row)));
    let v6 = rows.iter().filter_map(|row| Some((IpAddr::V6(row.ipv6?), row)));
    let mut text = format!("###### CLAB-{lab}-START ######\n");
    for (address, row) in v4.chain(v6) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{address}\t{}\t# Kind: {}", names(row), row.node.kind);
    }
    text + &format!("###### CLAB-{lab}-END ######\n")
}

/// Entries for an ssh client. Host keys are made anew with each node, so that none is remembered.
pub fn ssh_config(lab: &LabName, rows: &[Row<'_>]) -> String {
    let entries: Vec<String> = rows.iter().map(entry).collect();
    format!("# Containerlab SSH Config for the {lab} lab\n{}", entries.join("\n"))
}

fn entry(row: &Row<'_>) -> String {
    let mut text = format!("Host {}\n", names(row));
    if !row.login.username.is_empty() {
        text += &format!("\tUser {}\n", row.login.username);
    }
    let credentials = row.node.definition.credentials.as_ref();
    if let Some(key) = credentials.and_then(|credentials| credentials.identity_file.as_ref()) {
        text += &format!("\tIdentityFile \"{key}\"\n");
    }
    text += "\tStrictHostKeyChecking=no\n\tUserKnownHostsFile=/dev/null\n";
    let ssh = archetype_kinds::find(&row.node.kind).and_then(|kind| kind.login.as_ref());
    if let Some(mode) = ssh.and_then(|login| login.public_keys.as_ref()) {
        text += &format!("\tPubkeyAuthentication={mode}\n");
    }
    text
}

/// The name on the host, and the container's id.
fn names(row: &Row<'_>) -> String {
    let names: Vec<&str> = std::iter::once(row.long_name.as_str()).chain(row.id).collect();
    names.join(" ")
}
