//! `logs`: what a node printed, byte for byte.

use std::pin::pin;

use futures::StreamExt;

use super::write_out;
use crate::args::{LogsArgs, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;

/// Prints what the node printed; with `--follow` until the node or the reader ends.
pub async fn run(connection: &Connection, args: LogsArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(Some(&args.lab), &TopologyArgs::default())?;
    let asked = connection.client().logs(&lab, &args.node, args.follow);
    let mut pieces = pin!(connection.ask(Some(&lab), args.node.as_str(), asked).await?);
    while let Some(piece) = pieces.next().await {
        if !write_out(std::io::stdout(), &piece?)? {
            break;
        }
    }
    Ok(Exit::Fine)
}
