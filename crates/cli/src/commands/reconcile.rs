//! `reconcile`: every link of a lab looked at again, and mended.

use archetype_api::Reconciled;

use super::{print, print_json};
use crate::args::ReconcileArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;
use crate::paint::Paint;
use crate::table;

/// Has every link read and probed anew, and prints what came of it.
pub async fn run(connection: &Connection, args: ReconcileArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(args.which.lab.as_deref(), &args.which.topology)?;
    let found = connection.ask(Some(&lab), "", connection.client().reconcile(&lab)).await?;
    if args.output.is_json() {
        print_json(&found)?;
    } else {
        print(&table::reconciled(&found, Paint::stdout()))?;
        let Reconciled { checked, valid, repaired, errors, pending, .. } = found;
        print(&format!(
            "{checked} checked: {valid} valid, {repaired} repaired, {pending} pending, {errors} with errors"
        ))?;
    }
    Ok(if found.errors == 0 { Exit::Fine } else { Exit::Failed })
}
