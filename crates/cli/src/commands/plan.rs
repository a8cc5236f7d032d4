//! `plan`: what a deployment of a file would change.

use archetype_api::{Change, ChangeKind, DeployRequest, PlanAnswer};

use super::{print, print_json};
use crate::args::{PlanArgs, WishArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, print_notes, print_problems};
use crate::lab_file;
use crate::paint::{Paint, Tone};
use crate::table::counted;

/// Asks for the plan and prints it.
pub async fn run(connection: &Connection, args: PlanArgs) -> Result<Exit, Failure> {
    let request = request(args.wish)?;
    let plan = connection.ask(None, "", connection.client().plan(&request)).await?;
    if args.output.is_json() {
        print_json(&plan)?;
    } else {
        print_problems(&plan.problems, Paint::stderr());
        print_notes(&plan.notes, Paint::stderr());
        let shown = shown(&plan, Paint::stdout());
        if !shown.is_empty() {
            print(&shown)?;
        }
    }
    Ok(if plan.problems.is_empty() { Exit::Fine } else { Exit::Failed })
}

/// The wish as the controller takes it.
pub(super) fn request(wish: WishArgs) -> Result<DeployRequest, Failure> {
    let topology = lab_file::open(&wish.topology)?.sent()?;
    Ok(DeployRequest { topology, partial: wish.partial, reload: wish.reload })
}

fn shown(plan: &PlanAnswer, paint: Paint) -> String {
    let mut text = String::new();
    for left in &plan.left_out {
        let word = paint.tone(Tone::Waiting, "left out:");
        text.push_str(&format!("{word} {left}\n"));
    }
    for Change { change, what, name, why } in &plan.changes {
        let (sign, tone) = match change {
            ChangeKind::Add => ("+ add", Tone::Good),
            ChangeKind::Remove => ("- remove", Tone::Bad),
            ChangeKind::Change => ("~ change", Tone::Waiting),
            ChangeKind::Recreate => ("! make again", Tone::Waiting),
        };
        let why = why.as_ref().map(|why| format!("  ({why})")).unwrap_or_default();
        text.push_str(&format!("{} {what} {name}{why}\n", paint.tone(tone, sign)));
    }
    if !plan.problems.is_empty() {
        // What is refused changes nothing, and what would is not known.
        return text;
    }
    let lab = plan.lab.as_deref().unwrap_or("the lab");
    let (nodes, links) = (counted(plan.nodes_untouched, "node"), counted(plan.links_untouched, "link"));
    let untouched = format!("{nodes} and {links} untouched");
    match plan.changes.len() {
        0 => text.push_str(&format!("{lab}: nothing would change, {untouched}")),
        number => text.push_str(&format!("{lab}: {}, {untouched}", counted(number, "change"))),
    }
    text
}
