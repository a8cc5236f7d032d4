//! `journal`: what happened, and with `--follow` what happens.

use std::pin::pin;

use archetype_api::JournalEntry;
use futures::StreamExt;

use super::{print, print_json, write_out};
use crate::args::{JournalArgs, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;
use crate::paint::Paint;
use crate::table;

/// Prints the journal. For programs `--follow` prints one JSON object a line.
pub async fn run(connection: &Connection, args: JournalArgs) -> Result<Exit, Failure> {
    let lab = args.lab.as_deref().map(|lab| lab_file::lab(Some(lab), &TopologyArgs::default())).transpose()?;
    let client = connection.client();
    let paint = Paint::stdout();
    if !args.follow {
        let journal = connection.ask(lab.as_ref(), "", client.journal(lab.as_ref(), args.since)).await?;
        if args.output.is_json() {
            print_json(&journal)?;
        } else if !journal.entries.is_empty() {
            print(&journal.entries.iter().map(|entry| table::entry(entry, paint) + "\n").collect::<String>())?;
        }
        return Ok(Exit::Fine);
    }
    let json = args.output.is_json();
    let since = match args.since {
        Some(since) => since,
        None => {
            let newest = connection.ask(lab.as_ref(), "", client.journal(lab.as_ref(), None)).await?.entries;
            for entry in &newest {
                if !tell(entry, json, paint)? {
                    return Ok(Exit::Fine);
                }
            }
            newest.last().map_or(0, |entry| entry.id)
        }
    };
    let asked = client.follow_journal(lab.as_ref(), since);
    let mut entries = pin!(connection.ask(lab.as_ref(), "", asked).await?);
    while let Some(entry) = entries.next().await {
        if !tell(&entry?, json, paint)? {
            return Ok(Exit::Fine);
        }
    }
    Err(Failure::plain("the controller ended the journal"))
}

/// Prints one entry as a line, and says whether somebody is there to read more.
fn tell(entry: &JournalEntry, json: bool, paint: Paint) -> Result<bool, Failure> {
    let line = match json {
        false => Ok(table::entry(entry, paint)),
        true => serde_json::to_string(entry),
    };
    let line = line.map_err(|error| Failure::plain(format!("an entry cannot be written as JSON: {error}")))?;
    write_out(std::io::stdout(), format!("{line}\n").as_bytes())
}
