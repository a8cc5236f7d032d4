//! `check`: what is wrong with a topology file, found here without a controller.

use archetype_api::Checked;

use super::{print, print_json};
use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::failure::{Failure, print_problems};
use crate::lab_file;
use crate::paint::Paint;

/// Reads and checks the file.
pub fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let file = lab_file::find(args.topology.file.as_deref())?;
    let reading = archetype_topology::read(&file)?;
    let checked = Checked::new(reading.topology.as_ref(), reading.problems);
    if args.output.is_json() {
        print_json(&checked)?;
    } else {
        print_problems(&checked.problems, Paint::stderr());
        print(&summary(&checked))?;
    }
    Ok(if checked.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

fn summary(checked: &Checked) -> String {
    let name = checked.name.as_deref().unwrap_or("no lab could be read");
    let problems = match checked.problems.len() {
        0 => "no problems".to_owned(),
        number => counted(number, "problem"),
    };
    format!("{name}: {}, {}, {problems}", counted(checked.nodes.len(), "node"), counted(checked.links.len(), "link"))
}

/// `1 node`, `2 nodes`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
