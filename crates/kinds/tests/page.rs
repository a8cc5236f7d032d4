//! The page about kinds says what their files say.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::path::Path;

use archetype_kinds::{Kind, Packaging, Pattern, all};

const OPENING: &str = "\
# What the ports of each kind are called

A port has a name on the device (`GigabitEthernet2`) and one in Linux, on the interface that stands for it (`eth1`).
`archetype inspect`, `explain` and the API show both; `archetype kinds NAME` shows a kind. X, Y and Z stand for numbers;
one port may have another number in another column, as its first ports show.

- **In a topology file** an end of a link is written by a Linux name of the second column, which the interface then has as
  written, or by a name of the third column, for which it has the first of the second. Each name that containerlab takes
  for a port means the same interface here. A name of no port is a problem whose hint says what to write. (containerlab's
  patterns also fit parts of longer names for some kinds; such a name is taken as it is there, and no port is known by it.)
  Some names that the vendor itself uses containerlab refuses, and files here may have them: `Et1` and `Ethernet2/3` of
  cEOS, `Ethernet1` and `Et1` of vEOS, `GigabitEthernet0/0/0/0` and `Gi0/0/0/0` of XRd, `Et0/1` of IOL, and `Ethernet 0/1`
  with a space. Whoever copies a port from the device's own configuration is to be understood. A file that containerlab is
  to read as well has one of its spellings instead: `eth1`, `eth2_3`, `Ethernet1/1`, `Gi0-0-0-0`, `Ethernet0/1`.
- **On the command line** (`archetype explain LAB NODE:INTERFACE`) any name of a row will do, in upper or lower case.
- Two names of one port are one port: used for two links of one file they are a problem that names both lines. A file that
  spells a port in another way changes its name and nothing else: MAC address, tag, device and port on the host and a wish
  (`link down`) stay. Where the new name is the same in Linux, nothing is written at all; where it is another one, a node
  that runs keeps the one that it knows until its next start (`name_now` of its interface in the API tells it).
- **The interface for management** is on the management network, and no link can end there unless the node is not
  (`network-mode: none`, where the kind allows it). What a device keeps for itself is not for links either.

Written from the files in `crates/kinds/kinds`.
";

fn code(name: &str) -> String {
    format!("`{name}`")
}

fn patterns(patterns: &[Pattern]) -> String {
    let shown: Vec<String> = patterns.iter().map(|pattern| code(&pattern.shown())).collect();
    if shown.is_empty() { "–".to_owned() } else { shown.join(" ") }
}

fn about(kind: &Kind) -> String {
    let packaging = match kind.packaging {
        Packaging::Container => "a container",
        Packaging::Machine => "a virtual machine in a container",
        Packaging::Outside => "no image",
    };
    let mut text = format!("{}; {packaging}.", kind.title);
    if !kind.aliases.is_empty() {
        let aliases: Vec<String> = kind.aliases.iter().map(|alias| code(alias)).collect();
        text.push_str(&format!(" Also {}.", aliases.join(", ")));
    }
    if let Some(management) = &kind.management {
        let vendor = management.vendor.as_ref().map(|vendor| format!(", on the device `{vendor}`"));
        let also: Vec<String> = management.also.iter().map(|name| format!(" or {}", code(name))).collect();
        let named = vendor.unwrap_or_default();
        text.push_str(&format!(" For management: `{}`{named}{}.", management.linux, also.concat()));
    }
    for reserved in &kind.reserved {
        let names: Vec<String> = reserved.names.iter().map(|name| code(name)).collect();
        text.push_str(&format!(" Reserved: {} ({}).", names.join(", "), reserved.why));
    }
    if kind.any {
        text.push_str(" A file may use any name that Linux takes.");
    }
    text
}

fn section(kind: &Kind) -> String {
    let mut text = format!("\n## {}\n\n{}\n", kind.name, about(kind));
    if kind.ports.is_empty() {
        return text;
    }
    text.push_str(
        "\n| on the device | in Linux | also in files | also understood | first ports |\n|---|---|---|---|---|\n",
    );
    for ports in &kind.ports {
        let vendor = ports.vendor.as_ref().or(ports.linux.first()).unwrap();
        let examples: Vec<String> =
            ports.examples().iter().map(|(vendor, linux)| format!("`{vendor}` = `{linux}`")).collect();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            code(&vendor.shown()),
            patterns(&ports.linux),
            patterns(&ports.file),
            patterns(&ports.said),
            examples.join(", ")
        ));
    }
    text
}

#[test]
fn the_page_of_kinds_is_what_their_files_say() {
    let page = OPENING.to_owned() + &all().iter().map(section).collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kinds.md");
    if std::env::var_os("ARCHETYPE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "run this test with ARCHETYPE_WRITE_DOCS=1 to write {}", path.display());
}
