//! Each command has a page in `docs/commands/`, and what the page shows of `--help` is what the
//! program says. `UPDATE=1 cargo test -p archetype-cli --test command_pages` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands before the part of a page that is written by the program.
const MARK: &str = "## All of it\n";

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands")
}

fn help(command: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_archetype")).args(command).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{command:?} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below one, as its help lists them.
fn below(command: &[&str]) -> Vec<String> {
    let help = help(command);
    let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
    let names = listed.lines().take_while(|line| !line.trim().is_empty());
    // A name stands two columns in; what it does, and its further lines, stand further in.
    let names = names.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_string).collect()
}

/// What the program says of a command and of those below it.
fn told(command: &str) -> String {
    let mut text = format!("\n```text\n$ archetype {command} --help\n{}```\n", help(&[command]));
    for inner in below(&[command]) {
        text += &format!("\n```text\n$ archetype {command} {inner} --help\n{}```\n", help(&[command, &inner]));
    }
    text
}

#[test]
fn every_command_has_a_page_that_shows_its_help() {
    let mut old = Vec::new();
    for command in below(&[]) {
        let path = pages().join(format!("{command}.md"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("docs/commands/{command}.md is missing"));
        let (words, _) = page.split_once(MARK).unwrap_or_else(|| panic!("docs/commands/{command}.md has no {MARK:?}"));
        let wanted = format!("{words}{MARK}{}", told(&command));
        if page != wanted {
            old.push(command.clone());
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, wanted).unwrap();
            }
        }
    }
    assert!(old.is_empty() || std::env::var_os("UPDATE").is_some(), "old pages, write them with UPDATE=1: {old:?}");
}

#[test]
fn every_page_is_of_a_command_and_is_listed() {
    let commands: BTreeSet<String> = below(&[]).into_iter().map(|name| format!("{name}.md")).collect();
    let listing = std::fs::read_to_string(pages().join("README.md")).unwrap();
    for entry in std::fs::read_dir(pages()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || commands.contains(&name), "{name} is of no command");
        assert!(name == "README.md" || listing.contains(&format!("({name})")), "{name} is not listed");
    }
}
