//! `link`: a link is set up or down, added or removed; the wish is kept.

use archetype_api::{ClientError, LinkAction, NewLink, Settled, codes};
use archetype_model::LabName;
use archetype_model::status::LinkState;

use super::wait::{End, Standing};
use super::{print, wait};
use crate::args::{LinkArgs, LinkWish, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;

/// Wishes and waits until the wish is judged.
pub async fn run(connection: &Connection, args: LinkArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(Some(&args.lab), &TopologyArgs::default())?;
    let client = connection.client();
    // Either end names the link; both together must be those of one.
    let named = match &args.other {
        Some(other) => format!("{}--{other}", args.end),
        None => args.end.clone(),
    };
    let accepted = match (args.wish, args.other) {
        (LinkWish::Add, Some(other)) => {
            let link = NewLink { endpoints: [args.end, other] };
            connection.ask(Some(&lab), &named, client.add_link(&lab, &link)).await?
        }
        (LinkWish::Add, None) => {
            return Err(Failure::usage("a link has two ends", "archetype link LAB add NODE:IF NODE:IF"));
        }
        (LinkWish::Rm, _) => connection.ask(Some(&lab), &named, client.remove_link(&lab, &named)).await?,
        (LinkWish::Up, _) => connection.ask(Some(&lab), &named, client.link(&lab, &named, LinkAction::Up)).await?,
        (LinkWish::Down, _) => connection.ask(Some(&lab), &named, client.link(&lab, &named, LinkAction::Down)).await?,
    };
    if args.wait.no_wait {
        return Ok(Exit::Fine);
    }
    let meanwhile = async || standing(connection, &lab, &named, (args.wish, End::TimeUp)).await;
    let end = wait::settled_with(connection, &accepted, args.wait.wait, meanwhile).await?;
    let look = async || standing(connection, &lab, &named, (args.wish, end)).await;
    let exit = match wait::comes_true(end, look).await {
        true => Exit::Fine,
        false => wait::told(connection, &accepted, end, args.wait.wait).await,
    };
    match (exit, args.wish) {
        (Exit::Fine, LinkWish::Rm) => print(&format!("{named} was removed"))?,
        (Exit::Fine, _) => {
            let link = connection.ask(Some(&lab), &named, client.explain(&lab, &named)).await?;
            let why = link.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            print(&format!("{} is {}{why}", link.link, link.state))?;
            // The lab is as wished; whether this link carries anything may lie with its nodes.
            if args.wish != LinkWish::Down && link.state != LinkState::Up {
                return Ok(Exit::Failed);
            }
        }
        _ => {}
    }
    Ok(exit)
}

/// How the link stands to what was wished of it.
async fn standing(connection: &Connection, lab: &LabName, named: &str, (wish, end): (LinkWish, End)) -> Standing {
    let found = match connection.client().explain(lab, named).await {
        Ok(link) => Some(link.state),
        Err(ClientError::Refused(problem)) if problem.code == codes::LINK_UNKNOWN => None,
        Err(_) => return Standing::UnderWay,
    };
    match (found, wish) {
        (Some(LinkState::Up), LinkWish::Add | LinkWish::Up) | (Some(LinkState::Down), LinkWish::Down) => {
            Standing::AsWished
        }
        // Where a finding stands, it may be of what is left of the link on the host.
        (None, LinkWish::Rm) if end == End::Settled(Settled::AtRest) => Standing::AsWished,
        (Some(LinkState::Creating | LinkState::Pending), _) | (Some(LinkState::Up), LinkWish::Down) => {
            Standing::UnderWay
        }
        _ => Standing::Otherwise,
    }
}
