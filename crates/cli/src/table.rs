//! Labs, journals and facts as calm tables for people. Knows the answers, not where they come from.

use archetype_api::journal::JournalEntry;
use archetype_api::lab::{Endpoint, Exec, Finding, Lab, Link, Node};
use archetype_api::{Explanation, Fact, Reconciled};
use archetype_model::status::{LabState, LinkState, NodeState};
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::paint::{Paint, Tone};

/// What stands for a value that is absent.
pub const NONE: &str = "-";

/// `1 node`, `2 nodes`.
pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// One lab: its state, its nodes, its links, and what is to be said beside them.
pub fn lab(lab: &Lab, paint: Paint) -> String {
    let mut text = format!("{} is {}", paint.tone(Tone::Strong, &lab.name), state(lab.state, paint));
    if let Some(reason) = &lab.reason {
        text.push_str(&format!(": {reason}"));
    }
    // A lab that is being destroyed has no file any more.
    let file = if lab.file.is_empty() { String::new() } else { format!(", {}", lab.file) };
    text.push_str(&paint.tone(Tone::Quiet, format!("  (revision {}{file})", lab.revision)));
    text.push_str(&format!("\n\n{}\n", nodes(&lab.nodes, paint)));
    if !lab.links.is_empty() {
        text.push_str(&format!("\n{}\n", links(&lab.links, paint)));
    }
    text.push_str(&remarks(lab, paint));
    text
}

/// Several labs, one line each.
pub fn labs(labs: &[Lab], paint: Paint) -> String {
    let mut table = table(&["LAB", "STATE", "NODES", "LINKS", "REASON"], paint);
    for lab in labs {
        let running = lab.nodes.iter().filter(|node| node.state == NodeState::Running).count();
        let up = lab.links.iter().filter(|link| link.actual_state == LinkState::Up).count();
        table.add_row([
            Cell::new(&lab.name),
            coloured(lab.state, lab_tone(lab.state)),
            Cell::new(format!("{running}/{} running", lab.nodes.len())),
            Cell::new(format!("{up}/{} up", lab.links.len())),
            Cell::new(lab.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.trim_fmt()
}

fn nodes(nodes: &[Node], paint: Paint) -> String {
    let mut table = table(&["NODE", "KIND", "RUNTIME", "STATE", "IMAGE", "MANAGEMENT", "REASON"], paint);
    for node in nodes {
        let image = node.image.as_deref().unwrap_or(NONE);
        let stand_in = if node.stand_in { " (stand-in)" } else { "" };
        let management = node.management.as_ref();
        let addresses: Vec<&str> = management.iter().flat_map(|m| [&m.ipv4, &m.ipv6]).flatten().map(|a| &**a).collect();
        table.add_row([
            Cell::new(&node.name),
            Cell::new(&node.kind),
            Cell::new(&node.runtime),
            coloured(node.state, node_tone(node.state)),
            Cell::new(format!("{image}{stand_in}")),
            Cell::new(if addresses.is_empty() { NONE.to_owned() } else { addresses.join(" ") }),
            Cell::new(node_remark(node)),
        ]);
    }
    table.trim_fmt()
}

/// Why a node is in its state, how often it ended, and which of its commands did not go well.
fn node_remark(node: &Node) -> String {
    // The reason of a node that has ended says so itself.
    let ended = (node.ended_times > 0 && node.state != NodeState::Exited).then(|| {
        let how = node.ended_how.as_deref().unwrap_or("by itself");
        let times = if node.ended_times == 1 { "once".to_owned() } else { format!("{} times", node.ended_times) };
        format!("ended {times}, last: {how}")
    });
    let health = node.health.as_ref().filter(|health| *health != "healthy").map(|health| format!("health: {health}"));
    let execs = node.execs.iter().filter_map(exec_remark);
    node.reason.clone().into_iter().chain(ended).chain(health).chain(execs).collect::<Vec<_>>().join("; ")
}

fn exec_remark(exec: &Exec) -> Option<String> {
    let command = archetype_api::words::shown(&exec.command);
    match (exec.state.as_str(), exec.code) {
        ("ended", Some(0)) | ("waiting", _) => None,
        ("ended", Some(code)) => Some(format!("exec `{command}` gave {code}")),
        (state, _) => Some(format!("exec `{command}`: {state}")),
    }
}

fn links(links: &[Link], paint: Paint) -> String {
    let mut table = table(&["LINK", "STATE", "PORTS", "TAG", "VERIFIED", "REASON"], paint);
    for link in links {
        let shown = |show: fn(&Endpoint) -> String, between: &str| {
            link.endpoints.iter().map(show).collect::<Vec<_>>().join(between)
        };
        table.add_row([
            Cell::new(shown(|end| format!("{}:{}", end.node, end.interface), " -- ")),
            coloured(link.actual_state, link_tone(link.actual_state)),
            Cell::new(shown(|end| end.ovs_port.clone().unwrap_or_else(|| NONE.into()), " ")),
            Cell::new(tags(&link.endpoints)),
            Cell::new(link.last_verified_at.map_or_else(|| NONE.to_owned(), clock)),
            Cell::new(link.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.trim_fmt()
}

/// Every link after a look at it.
pub fn reconciled(found: &Reconciled, paint: Paint) -> String {
    let mut table = table(&["LINK", "STATE", "REASON"], paint);
    for link in &found.links {
        table.add_row([
            Cell::new(&link.id),
            coloured(link.state, link_tone(link.state)),
            Cell::new(link.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.trim_fmt()
}

/// The tag of a link's ports: one where both have the same.
fn tags(ends: &[Endpoint]) -> String {
    let mut tags: Vec<String> =
        ends.iter().map(|end| end.vlan_tag.map_or_else(|| NONE.to_owned(), |tag| tag.to_string())).collect();
    tags.dedup();
    tags.join(" ")
}

/// What was left out, and what remains different from what is wanted.
fn remarks(lab: &Lab, paint: Paint) -> String {
    let mut text = String::new();
    for left in &lab.left_out {
        let word = paint.tone(Tone::Waiting, "left out:");
        text.push_str(&format!("\n{word} {left}"));
    }
    for finding in findings(&lab.findings, paint) {
        text.push_str(&format!("\n{finding}"));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Findings with what a person can do. Those of one cause are one, with all that they are about.
pub fn findings(findings: &[Finding], paint: Paint) -> Vec<String> {
    let mut causes: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for finding in findings {
        let is_same = |(other, _): &&mut (&Finding, _)| {
            (&other.code, &other.message, &other.hint) == (&finding.code, &finding.message, &finding.hint)
        };
        match causes.iter_mut().find(is_same) {
            Some((_, about)) => about.extend(finding.subject.as_deref()),
            None => causes.push((finding, finding.subject.as_deref().into_iter().collect())),
        }
    }
    causes.iter().map(|(finding, about)| self::finding(finding, about, paint)).collect()
}

/// As many are named of what one cause is about.
const NAMED: usize = 8;

fn finding(finding: &Finding, about: &[&str], paint: Paint) -> String {
    let more = about.len().checked_sub(NAMED).filter(|more| *more > 0);
    let more = more.map(|more| format!(" and {more} more")).unwrap_or_default();
    let named = about.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let subject = if about.is_empty() { String::new() } else { format!("{named}{more}: ") };
    let word = paint.tone(Tone::Bad, "finding:");
    let code = paint.tone(Tone::Quiet, format!("[{}]", finding.code));
    let hint = if finding.hint.is_empty() { String::new() } else { format!("\n  hint: {}", finding.hint) };
    format!("{word} {subject}{} {code}{hint}", finding.message)
}

/// The facts behind a link's status.
pub fn explanation(explanation: &Explanation, paint: Paint) -> String {
    let Explanation { lab, link, endpoints, state, reason, last_verified_at, facts } = explanation;
    let mut text = format!("{lab} {} is {}", paint.tone(Tone::Strong, link), link_state(*state, paint));
    if let Some(reason) = reason {
        text.push_str(&format!(": {reason}"));
    }
    if let Some(at) = last_verified_at {
        text.push_str(&paint.tone(Tone::Quiet, format!("  (read back at {})", clock(*at))));
    }
    for end in endpoints {
        if let Some(vendor) = end.vendor_interface.as_ref().filter(|vendor| **vendor != end.interface) {
            text.push_str(&format!("\n{}:{} is {vendor} on the device", end.node, end.interface));
        }
    }
    let mut table = table(&["", "ABOUT", "FACT", "SHOWN BY"], paint);
    for Fact { about, fact, good, command } in facts {
        let mark = match good {
            Some(true) => coloured("ok", Tone::Good),
            Some(false) => coloured("no", Tone::Bad),
            None => coloured("?", Tone::Waiting),
        };
        table.add_row([mark, Cell::new(about), Cell::new(fact), Cell::new(command.as_deref().unwrap_or(NONE))]);
    }
    format!("{text}\n\n{}", table.trim_fmt())
}

/// One line of the journal.
pub fn entry(entry: &JournalEntry, paint: Paint) -> String {
    let at = entry.at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let lab = entry.lab.as_ref().map_or(NONE, |lab| lab.as_str());
    let subject = entry.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    let tone = if entry.kind == "repair" || entry.kind == "finding" { Tone::Waiting } else { Tone::Strong };
    let kind = paint.tone(tone, format!("{:<10}", entry.kind));
    format!("{}  {lab:<12}  {kind}  {subject}{}", paint.tone(Tone::Quiet, at), entry.message)
}

/// The state of a lab in its colour.
pub fn state(state: LabState, paint: Paint) -> String {
    paint.tone(lab_tone(state), state)
}

fn link_state(state: LinkState, paint: Paint) -> String {
    paint.tone(link_tone(state), state)
}

fn lab_tone(state: LabState) -> Tone {
    match state {
        LabState::Up => Tone::Good,
        LabState::Degraded | LabState::Unknown => Tone::Bad,
        LabState::Pending | LabState::Converging | LabState::Destroying => Tone::Waiting,
        LabState::Down => Tone::Quiet,
    }
}

fn node_tone(state: NodeState) -> Tone {
    match state {
        NodeState::Running => Tone::Good,
        NodeState::Pending | NodeState::Starting => Tone::Waiting,
        NodeState::Stopped => Tone::Quiet,
        NodeState::Exited | NodeState::Error | NodeState::Unknown => Tone::Bad,
    }
}

fn link_tone(state: LinkState) -> Tone {
    match state {
        LinkState::Up => Tone::Good,
        LinkState::Pending | LinkState::Creating => Tone::Waiting,
        LinkState::Down => Tone::Quiet,
        LinkState::Unknown | LinkState::Error => Tone::Bad,
    }
}

fn coloured(word: impl std::fmt::Display, tone: Tone) -> Cell {
    let cell = Cell::new(word);
    match tone {
        Tone::Good => cell.fg(Color::Green),
        Tone::Waiting => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Quiet => cell.fg(Color::DarkGrey),
        Tone::Strong => cell,
    }
}

/// An empty table without lines; as wide as the terminal, and as its content where there is none.
pub fn table(header: &[&str], paint: Paint) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().map(|word| coloured(word, Tone::Quiet)));
    if table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    if !paint.is_on() {
        table.force_no_tty();
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table
}

fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests;
