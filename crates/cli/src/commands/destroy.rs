//! `destroy`: nothing of a lab is left.

use std::path::{Path, PathBuf};

use archetype_model::LabName;

use super::{print, wait};
use crate::args::DestroyArgs;
use crate::artefacts::{self, Place};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;

/// Wishes the lab gone and waits until it is.
pub async fn run(connection: &Connection, args: DestroyArgs, place: Option<Place>) -> Result<Exit, Failure> {
    if args.cleanup && place.is_none() {
        return Err(Failure::usage("--cleanup does not say in which folder", "name it with --artefacts DIR"));
    }
    let lab = lab_file::lab(args.which.lab.as_deref(), &args.which.topology)?;
    let withdrawn = match place {
        Some(place) => Some(folder_of(connection, &lab, &place).await?),
        None => None,
    };
    let withdraw = || withdrawn.iter().try_for_each(|place| artefacts::withdraw(&lab, place, args.cleanup));
    let accepted = connection.ask(Some(&lab), "", connection.client().destroy(&lab)).await?;
    if args.wait.no_wait {
        withdraw()?;
        print(&format!("{lab} is being taken down"))?;
        return Ok(Exit::Fine);
    }
    let end = wait::settled(connection, &accepted, args.wait.wait).await?;
    let exit = wait::told(connection, &accepted, end, args.wait.wait).await;
    if exit == Exit::Fine {
        withdraw()?;
        print(&format!("{lab} is gone"))?;
    }
    Ok(exit)
}

/// Where the files of a lab are that still is.
async fn folder_of(connection: &Connection, lab: &LabName, place: &Place) -> Result<PathBuf, Failure> {
    let shown = connection.ask(Some(lab), "", connection.client().lab(lab)).await?;
    Ok(place.for_file_in(Path::new(&shown.file).parent().unwrap_or(Path::new("/"))))
}
