//! The inventories of Ansible and Nornir: nodes by kind, with the login where the file or the kind
//! states one.

use std::collections::BTreeMap;

use crate::Row;
use crate::login::{Level, Login};

const ANSIBLE_HEAD: &str = "\
all:
  vars:
    # The generated inventory is assumed to be used from the clab host.
    # Hence no http proxy should be used. Therefore we make sure the http
    # module does not attempt using any global http proxy.
    ansible_httpapi_use_proxy: false
";

/// Nodes of one kind, and which of them state their own login.
struct OfKind<'r, 'a> {
    kind: &'r str,
    rows: Vec<&'r Row<'a>>,
    username: Told,
    password: Told,
}

/// How a part of the login is told.
struct Told {
    /// For all of the kind; empty when there is none.
    common: String,
    /// Whether each node has its own, whatever it states.
    each: bool,
}

fn by_kind<'r, 'a>(rows: &'r [Row<'a>]) -> Vec<OfKind<'r, 'a>> {
    let mut kinds: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        kinds.entry(row.node.kind.as_str()).or_default().push(row);
    }
    let of_kind = |(kind, rows): (&'r str, Vec<&'r Row<'a>>)| OfKind {
        kind,
        username: told(&rows, |login| &login.username),
        password: told(&rows, |login| &login.password),
        rows,
    };
    kinds.into_iter().map(of_kind).collect()
}

/// A common value is told once; nodes that differ, and those of which some are told by the
/// defaults and some by something nearer, are told one by one.
fn told(rows: &[&Row<'_>], part: fn(&Login) -> &String) -> Told {
    let is_by = |level: Level| move |row: &&&Row<'_>| row.login.stated == Some(level);
    let of_kind = rows.iter().find(is_by(Level::Kind)).map(|row| part(&row.login).clone());
    let by_defaults = rows.iter().any(|row| is_by(Level::Defaults)(&row));
    let by_nearer = rows.iter().any(|row| row.login.stated.is_some_and(|level| level != Level::Defaults));
    let mut values = rows.iter().map(|row| part(&row.login));
    let first = values.next().cloned().unwrap_or_default();
    let are_one = values.all(|value| *value == first);
    let common = of_kind.filter(|value| !value.is_empty());
    let common = common.or_else(|| (are_one && !by_defaults).then_some(first)).unwrap_or_default();
    Told { common, each: !are_one || by_defaults && by_nearer }
}

impl Told {
    /// Whether this node's own is told.
    fn is_own(&self, row: &Row<'_>) -> bool {
        self.each || matches!(row.login.stated, Some(Level::Node | Level::Group))
    }
}

/// `ansible-inventory.yml`: groups by kind, then those that the label `ansible-group` names.
pub fn ansible(rows: &[Row<'_>]) -> String {
    let mut text = ANSIBLE_HEAD.to_owned();
    let defaults = rows.iter().find(|row| row.login.stated == Some(Level::Defaults)).map(|row| &row.login);
    if let Some(login) = defaults {
        text += &line(4, "ansible_user", &login.username, false);
        text += &line(4, "ansible_password", &login.password, false);
    }
    text += "  children:\n";
    let kinds = by_kind(rows);
    for kind in &kinds {
        text += &format!("    {}:\n{}      hosts:\n", kind.kind, vars(kind));
        kind.rows.iter().for_each(|row| text += &host(kind, row));
    }
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for row in rows {
        let group = row.labels.get("ansible-group").filter(|group| !group.is_empty());
        let kind = kinds.iter().find(|kind| kind.kind == row.node.kind);
        if let Some((group, kind)) = group.zip(kind) {
            *groups.entry(group).or_default() += &host(kind, row);
        }
    }
    groups.into_iter().for_each(|(group, hosts)| text += &format!("    {group}:\n      hosts:\n{hosts}"));
    text
}

/// What holds for all nodes of a kind.
fn vars(kind: &OfKind<'_, '_>) -> String {
    let ansible = archetype_kinds::find(kind.kind).and_then(|kind| kind.ansible.as_ref());
    let mut text = String::new();
    if let Some(ansible) = ansible {
        text += &line(8, "ansible_network_os", &ansible.network_os, false);
        text += "        # default connection type for nodes of this kind\n";
        text += "        # feel free to override this in your inventory\n";
        text += &line(8, "ansible_connection", &ansible.connection, false);
    }
    let (user, password) = (&kind.username.common, &kind.password.common);
    if ansible.is_none() && !(user.is_empty() && password.is_empty()) {
        text += "        # ansible_connection: set ansible_connection variable if required\n";
    }
    text += &line(8, "ansible_user", user, false);
    text += &line(8, "ansible_password", password, false);
    if text.is_empty() { text } else { format!("      vars:\n{text}") }
}

fn host(kind: &OfKind<'_, '_>, row: &Row<'_>) -> String {
    let mut text = format!("        {}:\n", row.long_name);
    if row.labels.get("ansible-no-host-var").is_none_or(|value| value != "true") {
        text += &line(10, "ansible_host", &address(row), true);
    }
    if kind.username.is_own(row) {
        text += &line(10, "ansible_user", &row.login.username, true);
    }
    if kind.password.is_own(row) {
        text += &line(10, "ansible_password", &row.login.password, true);
    }
    text
}

/// `nornir-simple-inventory.yml`: by kind, nodes by their short names.
pub fn nornir(rows: &[Row<'_>]) -> String {
    let mut text = "---\n".to_owned();
    for kind in by_kind(rows) {
        for row in &kind.rows {
            let username = if kind.username.is_own(row) { &row.login.username } else { &kind.username.common };
            let password = if kind.password.is_own(row) { &row.login.password } else { &kind.password.common };
            text += &format!("{}:\n", row.node.name);
            text += &line(4, "username", username, true);
            text += &line(4, "password", password, true);
            text += &line(4, "platform", kind.kind, true);
            text += &line(4, "hostname", &address(row), true);
            text += &groups(row);
        }
    }
    text
}

/// The values of the labels that begin with `nornir-group`.
fn groups(row: &Row<'_>) -> String {
    let labels = row.labels.iter().filter(|(key, _)| key.starts_with("nornir-group"));
    let mut groups: Vec<&String> = labels.map(|(_, value)| value).collect();
    groups.sort();
    let lines: String = groups.into_iter().map(|group| format!("      - {}\n", scalar(group))).collect();
    if lines.is_empty() { lines } else { format!("    groups:\n{lines}") }
}

fn address(row: &Row<'_>) -> String {
    row.ipv4.map(|address| address.to_string()).unwrap_or_default()
}

/// A line `key: value`; one without a value only where it is always there.
fn line(indent: usize, key: &str, value: &str, always: bool) -> String {
    match value.is_empty() && !always {
        true => String::new(),
        false => format!("{}{key}: {}\n", " ".repeat(indent), scalar(value)),
    }
}

/// A text in YAML: as it is, and quoted where it would be read as something else than one text.
fn scalar(text: &str) -> String {
    let breaks = text.contains(": ") || text.contains(" #") || text.ends_with(':') || text.trim() != text;
    let begins =
        text.starts_with(|c: char| "[]{},&*!|>'\"%@`#".contains(c)) || ["- ", "? "].iter().any(|s| text.starts_with(s));
    match breaks || begins || text.chars().any(char::is_control) {
        true => crate::json::text(text),
        false => text.to_owned(),
    }
}
