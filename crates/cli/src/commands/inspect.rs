//! `inspect`: labs, their nodes and links, as judged from what was read back.

use archetype_api::Labs;

use super::{print, print_json};
use crate::args::InspectArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;
use crate::paint::Paint;
use crate::table;

/// Shows one lab, or all.
pub async fn run(connection: &Connection, args: InspectArgs) -> Result<Exit, Failure> {
    let is_one = args.lab.is_some() || args.topology.file.is_some();
    let labs = if is_one {
        let name = lab_file::lab(args.lab.as_deref(), &args.topology)?;
        let lab = connection.ask(Some(&name), "", connection.client().lab(&name)).await?;
        Labs { labs: vec![lab], findings: Vec::new() }
    } else {
        connection.client().labs().await?
    };
    if args.output.is_json() {
        print_json(&labs)?;
        return Ok(Exit::Fine);
    }
    let paint = Paint::stdout();
    match labs.labs.as_slice() {
        [] => print("there are no labs")?,
        [lab] => print(&table::lab(lab, paint))?,
        labs => print(&format!("{}\n\n`archetype inspect LAB` shows one", table::labs(labs, paint)))?,
    }
    for finding in table::findings(&labs.findings, paint) {
        print(&finding)?;
    }
    Ok(Exit::Fine)
}
