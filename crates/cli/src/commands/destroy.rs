//! `destroy`: nothing of a lab is left.

use super::{print, wait};
use crate::args::DestroyArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;

/// Wishes the lab gone and waits until it is.
pub async fn run(connection: &Connection, args: DestroyArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(args.lab.as_deref(), &args.topology)?;
    let accepted = connection.ask(Some(&lab), "", connection.client().destroy(&lab)).await?;
    if args.wait.no_wait {
        print(&format!("{lab} is being taken down"))?;
        return Ok(Exit::Fine);
    }
    let end = wait::settled(connection, &accepted, args.wait.wait).await?;
    let exit = wait::told(connection, &accepted, end, args.wait.wait).await;
    if exit == Exit::Fine {
        print(&format!("{lab} is gone"))?;
    }
    Ok(exit)
}
