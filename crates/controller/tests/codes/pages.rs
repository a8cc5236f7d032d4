//! The pages of `docs/problems`, one a code: what it means, what is printed and what to do, out of the lists of codes
//! and of what the tests saw printed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use archetype_api::codes::{self, Code};

use super::{root, texts};

/// Codes of what is told and keeps nothing out.
const NOTES: [&str; 3] = ["bind-replaced", "ignored-value", "no-effect"];

/// Where codes of one list are met.
struct Family {
    title: &'static str,
    /// One sentence for the pages of its codes.
    met: &'static str,
    list: &'static [Code],
}

const FAMILIES: [Family; 5] = [
    Family {
        title: "Topology files",
        met: "What is wrong with a topology file by itself: `archetype check`, `plan` and `deploy` tell it with its \
              place in the file, and `deploy` builds nothing.",
        list: archetype_model::topology::codes::CODES,
    },
    Family {
        title: "Planning",
        met: "What keeps a lab from being planned although its file is sound: it does not fit the host, the settings or \
              other labs. `archetype plan` and `deploy` tell it with its place in the file, `check` too where it can be \
              known without a controller; the lab keeps what it had, and the others go on.",
        list: archetype_plan::codes::CODES,
    },
    Family {
        title: "Requests",
        met: "An answer of the controller to a request: a command ends with 1 and tells it, and the HTTP API answers \
              with it as a problem of RFC 9457.",
        list: codes::CONTROLLER,
    },
    Family {
        title: "Hosts",
        met: "A finding: something of a lab, or of its host, is not as wanted and has not been mended. `archetype inspect` \
              and `archetype journal` tell it with what happened; it goes when the difference is gone.",
        list: codes::HOST,
    },
    Family {
        title: "Settings",
        met: "What is wrong with the settings of `archetype serve`, which then does not start.",
        list: codes::SETTINGS,
    },
];

/// A problem as the tests saw it.
struct Seen {
    place: String,
    message: String,
    hint: Option<String>,
}

/// The first problem of each code that a test of reading or planning saw.
fn seen() -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    for krate in ["topology", "plan"] {
        let mut files = BTreeMap::new();
        texts(&root().join("crates").join(krate).join("tests"), &mut |path, text| {
            files.insert(path.to_owned(), text);
        });
        for text in files.values() {
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let Some((code, seen)) = problem(line, lines.get(at + 1).copied().unwrap_or_default()) else {
                    continue;
                };
                found.entry(code).or_insert(seen);
            }
        }
    }
    found
}

/// Reads `file:line:column: message [code]`, and the hint on the line below.
fn problem(line: &str, below: &str) -> Option<(String, Seen)> {
    let (_, line) = line.rsplit_once("@\"").unwrap_or(("", line));
    let (told, code) = line.trim().trim_end_matches("\");").strip_suffix(']')?.rsplit_once(" [")?;
    let (place, message) = told.split_once(": ")?;
    let is_place = place.split(':').count() == 3 && place.ends_with(|last: char| last.is_ascii_digit());
    let hint = below.trim().strip_prefix("hint: ").map(|hint| hint.trim_end_matches("\");").to_owned());
    is_place.then(|| (code.to_owned(), Seen { place: place.to_owned(), message: message.to_owned(), hint }))
}

/// The problem as `archetype` prints it, without the line of the file.
fn printed(code: &str, Seen { place, message, hint }: &Seen) -> String {
    let hint = hint.as_deref();
    if NOTES.contains(&code) {
        return format!("note: {place}: {message}{}", hint.map(|hint| format!(" ({hint})")).unwrap_or_default());
    }
    let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    format!("error: {message} [{code}]\n  at {place}{hint}")
}

/// All pages by their file's name.
fn pages() -> BTreeMap<String, String> {
    let seen = seen();
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Problems and findings\n\nEvery code that Archetype answers with; each has a page, which `archetype serve` \
         shows under `/docs/problems/CODE` too. A code never changes its meaning and never goes away.\n",
    );
    for Family { title, met, list } in &FAMILIES {
        write!(index, "\n## {title}\n\n{met}\n\n").unwrap();
        for Code { code, meaning, remedy } in *list {
            writeln!(index, "- [{code}]({code}.md): {meaning}").unwrap();
            let mut page = format!("# {code}\n\n{meaning}\n\n## Where it is met\n\n{met}\n");
            if NOTES.contains(code) {
                let of = if *code == "bind-replaced" { "plan`" } else { "check`, `plan` and `deploy`" };
                page = page.replace(met, &format!("A note of `archetype {of}: nothing is refused for it."));
            }
            if let Some(seen) = seen.get(*code) {
                write!(page, "\nFor instance:\n\n```text\n{}\n```\n", printed(code, seen)).unwrap();
            }
            write!(page, "\n## What to do\n\n{remedy}\n\n[All codes](README.md)\n").unwrap();
            let before = pages.insert(format!("{code}.md"), page);
            assert!(before.is_none(), "{code} is in two lists");
        }
    }
    pages.insert("README.md".to_owned(), index);
    pages
}

/// `UPDATE=1 cargo test -p archetype-controller --test codes` writes the pages anew.
#[test]
fn every_code_has_its_page() {
    let (pages, folder) = (pages(), root().join("docs/problems"));
    if std::env::var_os("UPDATE").is_some() {
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        pages.iter().for_each(|(name, page)| fs::write(folder.join(name), page).unwrap());
    }
    let mut held = BTreeMap::new();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        held.insert(name, fs::read_to_string(&path).unwrap());
    }
    let names = pages.keys().chain(held.keys());
    let old: Vec<&String> = names.filter(|name| pages.get(*name) != held.get(*name)).collect();
    assert!(old.is_empty(), "docs/problems is old ({old:?}): run with UPDATE=1 to write it anew");
}

#[test]
fn the_page_of_everything_that_a_file_can_have_wrong_shows_what_is_printed() {
    let seen = seen();
    let missing: Vec<&str> = FAMILIES[..2]
        .iter()
        .flat_map(|family| family.list)
        .map(|known| known.code)
        .filter(|code| !seen.contains_key(*code))
        .collect();
    assert!(missing.is_empty(), "no test shows what is printed of {missing:?}");
}
