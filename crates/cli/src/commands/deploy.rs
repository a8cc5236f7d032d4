//! `deploy`: a lab is made as its file says.

use archetype_api::Labs;

use super::{plan, print, print_json, wait};
use crate::args::DeployArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::paint::{Paint, Tone};
use crate::table;

/// Wishes, waits until the wish is judged, and shows the lab.
pub async fn run(connection: &Connection, args: DeployArgs) -> Result<Exit, Failure> {
    let request = plan::request(args.wish)?;
    let accepted = connection.ask(None, "", connection.client().deploy(&request)).await?;
    let paint = Paint::stderr();
    for left in &accepted.left_out {
        let word = paint.tone(Tone::Waiting, "left out:");
        eprintln!("{word} {} {}: {} [{}]", left.what, left.name, left.why.message, left.why.code);
    }
    let exit = if args.wait.no_wait {
        Exit::Fine
    } else {
        let end = wait::settled(connection, &accepted, args.wait.wait).await?;
        wait::told(connection, &accepted, end, args.wait.wait).await
    };
    let lab = connection.ask(Some(&accepted.lab), "", connection.client().lab(&accepted.lab)).await?;
    if args.output.is_json() {
        print_json(&Labs { labs: vec![lab], findings: Vec::new() })?;
    } else {
        print(&table::lab(&lab, Paint::stdout()))?;
    }
    Ok(exit)
}
