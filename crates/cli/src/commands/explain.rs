//! `explain`: every fact behind a link's status.

use super::{print, print_json};
use crate::args::{ExplainArgs, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;
use crate::paint::Paint;
use crate::table;

/// Prints the facts, each with the command that shows it.
pub async fn run(connection: &Connection, args: ExplainArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(Some(&args.lab), &TopologyArgs::default())?;
    let asked = connection.client().explain(&lab, &args.end);
    let explanation = connection.ask(Some(&lab), &args.end, asked).await?;
    if args.output.is_json() {
        print_json(&explanation)?;
    } else {
        print(&table::explanation(&explanation, Paint::stdout()))?;
    }
    Ok(Exit::Fine)
}
