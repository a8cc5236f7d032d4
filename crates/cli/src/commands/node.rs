//! `node`: a node is started, stopped or restarted; the wish is kept.

use archetype_api::{NodeAction, Settled};
use archetype_model::LabName;
use archetype_model::status::NodeState;

use super::wait::End;
use super::{print, wait};
use crate::args::{NodeArgs, NodeWish, TopologyArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::lab_file;

/// Wishes and waits until the wish is judged.
pub async fn run(connection: &Connection, args: NodeArgs) -> Result<Exit, Failure> {
    let lab = lab_file::lab(Some(&args.lab), &TopologyArgs::default())?;
    let (wish, done) = match args.wish {
        NodeWish::Start => (NodeAction::Start, "runs"),
        NodeWish::Stop => (NodeAction::Stop, "is stopped"),
        NodeWish::Restart => (NodeAction::Restart, "was started again"),
    };
    let asked = connection.client().node(&lab, &args.node, wish);
    let accepted = connection.ask(Some(&lab), args.node.as_str(), asked).await?;
    if args.wait.no_wait {
        return Ok(Exit::Fine);
    }
    let end = wait::settled(connection, &accepted, args.wait.wait).await?;
    let exit = match end {
        // What keeps other nodes from being as wished was not asked about.
        End::Settled(Settled::AtRest) if is_as_wished(connection, &lab, &args).await => Exit::Fine,
        end => wait::told(connection, &accepted, end, args.wait.wait).await,
    };
    if exit == Exit::Fine {
        print(&format!("{} {done}", args.node))?;
    }
    Ok(exit)
}

/// Whether the node is as was wished of it, whatever became of the rest of its lab.
async fn is_as_wished(connection: &Connection, lab: &LabName, args: &NodeArgs) -> bool {
    let wanted = match args.wish {
        NodeWish::Start | NodeWish::Restart => NodeState::Running,
        NodeWish::Stop => NodeState::Stopped,
    };
    let shown = connection.client().lab(lab).await;
    shown.is_ok_and(|shown| shown.nodes.iter().any(|node| node.name == args.node && node.state == wanted))
}
