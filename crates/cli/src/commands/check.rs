//! `check`: what is wrong with a topology file, found here without a controller.

use std::collections::BTreeSet;

use archetype_api::Checked;
use archetype_model::topology::{Position, Topology};
use archetype_plan::blueprint::HostFacts;
use archetype_plan::check::{beyond_reading, bridges, notes};

use super::{print, print_json};
use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::failure::{Failure, print_note, print_notes, print_problems};
use crate::lab_file;
use crate::paint::Paint;
use crate::table::counted;

/// Reads and checks the file.
pub fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    if args.expanded && !args.output.is_json() {
        return Err(Failure::usage("--expanded is for programs, and needs --format json", "add -f json"));
    }
    let reading = match lab_file::open(&args.topology) {
        Ok(opened) => opened.read(),
        Err(Failure::File(problems)) if args.output.is_json() => {
            print_json(&Checked { problems, ..Checked::new(None, [], []) })?;
            return Ok(Exit::Failed);
        }
        Err(failure) => return Err(failure),
    };
    let facts = facts();
    let (mut problems, mut noted) = (reading.problems, reading.notes);
    if let Some(topology) = &reading.topology {
        let places: BTreeSet<Position> = problems.iter().map(|problem| problem.position()).collect();
        problems.extend(beyond_reading(topology, &reading.stated, &problems, &facts));
        problems.sort_by_key(|problem| problem.position());
        // What is wrong with a key matters more than that nothing comes of it.
        noted.extend(notes(topology, &BTreeSet::new()).into_iter().filter(|note| !places.contains(&note.position())));
        noted.sort_by_key(|note| note.position());
    }
    let mut checked = Checked::new(reading.topology.as_ref(), problems, noted);
    if let (true, Some(topology)) = (args.expanded, &reading.topology) {
        checked.expand(topology);
    }
    checked.name_as_stated(reading.topology.as_ref(), reading.stated);
    if args.output.is_json() {
        print_json(&checked)?;
    } else {
        print_problems(&checked.problems, Paint::stderr());
        print_notes(&checked.notes, Paint::stderr());
        reading.topology.iter().for_each(|topology| print_lans(topology, &facts, Paint::stderr()));
        print(&summary(&checked))?;
    }
    Ok(if checked.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// What can be known of this host without a controller: its bridges. What else is on it may well
/// be ours, and the controller knows that at `plan`.
fn facts() -> HostFacts {
    let devices = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let bridges = devices.filter(|device| device.path().join("bridge").is_dir());
    HostFacts {
        bridges: bridges.map(|device| device.file_name().to_string_lossy().into_owned()).collect(),
        ..HostFacts::default()
    }
}

/// A bridge that this host does not have is made a LAN, which the file does not say.
fn print_lans(topology: &Topology, facts: &HostFacts, paint: Paint) {
    for (node, _) in bridges(topology, facts).into_iter().filter(|(_, is_of_the_host)| !is_of_the_host) {
        print_note(&format!("this host has no bridge {node}; the node becomes a LAN of the lab"), paint);
    }
}

fn summary(checked: &Checked) -> String {
    let is_read = !checked.nodes.is_empty() || !checked.links.is_empty();
    let name = checked.name.as_deref().unwrap_or(if is_read { "a lab without a name" } else { "no lab could be read" });
    let problems = match checked.problems.len() {
        0 => "no problems".to_owned(),
        number => counted(number, "problem"),
    };
    format!("{name}: {}, {}, {problems}", counted(checked.nodes.len(), "node"), counted(checked.links.len(), "link"))
}
