//! `deploy`: a lab is made as its file says.

use std::path::Path;

use archetype_api::Labs;

use super::{plan, print, print_json, wait};
use crate::args::DeployArgs;
use crate::artefacts::{self, Place};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, print_notes};
use crate::paint::{Paint, Tone};
use crate::table;

/// Wishes, waits until the wish is judged, and shows the lab.
pub async fn run(connection: &Connection, args: DeployArgs, place: Option<Place>) -> Result<Exit, Failure> {
    let request = plan::request(args.wish)?;
    let place = place.map(|place| place.for_file_in(Path::new(&request.topology.directory)));
    place.as_deref().map(artefacts::make_ready).transpose()?;
    let accepted = connection.ask(None, "", connection.client().deploy(&request)).await?;
    let paint = Paint::stderr();
    for left in &accepted.left_out {
        let word = paint.tone(Tone::Waiting, "left out:");
        eprintln!("{word} {left}");
    }
    print_notes(&accepted.notes, paint);
    // Addresses are known now, whatever becomes of the wait; ids of containers only after it.
    if let Some(place) = &place {
        artefacts::write(connection, &accepted.lab, place).await?;
    }
    let exit = if args.wait.no_wait {
        Exit::Fine
    } else {
        let end = wait::settled(connection, &accepted, args.wait.wait).await?;
        wait::told(connection, &accepted, end, args.wait.wait).await
    };
    if let Some(place) = place.filter(|_| !args.wait.no_wait) {
        artefacts::write(connection, &accepted.lab, &place).await?;
    }
    let lab = connection.ask(Some(&accepted.lab), "", connection.client().lab(&accepted.lab)).await?;
    if args.output.is_json() {
        print_json(&Labs { labs: vec![lab], findings: Vec::new() })?;
    } else {
        print(&table::lab(&lab, Paint::stdout()))?;
    }
    Ok(exit)
}
