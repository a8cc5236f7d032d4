//! `node`: a node is started, stopped or restarted; the wish is kept.

use archetype_api::NodeAction;
use archetype_model::LabName;
use archetype_model::status::NodeState;

use super::wait::Standing;
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
    let look = async || standing(connection, &lab, &args).await;
    let end = wait::settled_with(connection, &accepted, args.wait.wait, async || match look().await {
        Standing::AsWished if !has_run_its_commands(connection, &lab, &args).await => Standing::UnderWay,
        standing => standing,
    });
    let end = end.await?;
    let exit = match wait::comes_true(end, look).await {
        true => Exit::Fine,
        false => wait::told(connection, &accepted, end, args.wait.wait).await,
    };
    if exit == Exit::Fine {
        print(&format!("{} {done}", args.node))?;
    }
    Ok(exit)
}

/// Whether a node that was started can be used.
async fn has_run_its_commands(connection: &Connection, lab: &LabName, args: &NodeArgs) -> bool {
    let Ok(shown) = connection.client().lab(lab).await else { return false };
    let node = shown.nodes.iter().find(|node| node.name == args.node);
    args.wish == NodeWish::Stop || node.is_some_and(|node| node.ready == Some(true))
}

/// How the node stands to what was wished of it.
async fn standing(connection: &Connection, lab: &LabName, args: &NodeArgs) -> Standing {
    // A controller that is away for a moment may be back for the next look.
    let Ok(shown) = connection.client().lab(lab).await else { return Standing::UnderWay };
    let node = shown.nodes.iter().find(|node| node.name == args.node);
    match (node.map(|node| node.state), args.wish) {
        (Some(NodeState::Running), NodeWish::Start | NodeWish::Restart)
        | (Some(NodeState::Stopped), NodeWish::Stop) => Standing::AsWished,
        (Some(NodeState::Starting | NodeState::Pending), _) | (Some(NodeState::Running), NodeWish::Stop) => {
            Standing::UnderWay
        }
        _ => Standing::Otherwise,
    }
}
