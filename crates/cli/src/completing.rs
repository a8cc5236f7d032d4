//! What may stand at a place of the command line that only the controller knows: labs, nodes, link
//! ends. Asked while somebody presses Tab, so it is quick and never complains.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use archetype_api::lab::Lab;
use archetype_api::{Client, Target};
use clap_complete::CompletionCandidate;

use crate::args::SOCKET;

/// Nobody waits longer for a completion.
const PATIENCE: Duration = Duration::from_millis(700);

/// The labs.
pub fn labs() -> Vec<CompletionCandidate> {
    let labs = asked().into_iter();
    labs.map(|lab| CompletionCandidate::new(lab.name.to_string()).help(Some(lab.state.to_string().into()))).collect()
}

/// The nodes of the lab that the line names; of every lab where it names none.
pub fn nodes() -> Vec<CompletionCandidate> {
    let nodes = meant().into_iter().flat_map(|lab| lab.nodes);
    nodes.map(|node| CompletionCandidate::new(node.name.to_string()).help(Some(node.kind.into()))).collect()
}

/// The ends of links of the lab that the line names, as `node:interface`.
pub fn ends() -> Vec<CompletionCandidate> {
    let links = meant().into_iter().flat_map(|lab| lab.links);
    let ends = links.flat_map(|link| link.endpoints);
    ends.map(|end| CompletionCandidate::new(format!("{}:{}", end.node, end.interface))).collect()
}

/// The labs that the line may be about.
fn meant() -> Vec<Lab> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut labs = asked();
    if labs.iter().any(|lab| words.iter().any(|word| word == lab.name.as_str())) {
        labs.retain(|lab| words.iter().any(|word| word == lab.name.as_str()));
    }
    labs
}

/// What the controller tells; nothing where none answers in time.
fn asked() -> Vec<Lab> {
    let socket = std::env::var_os("ARCHETYPE_SOCKET").map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(async {
        let Ok(client) = Client::new(Target::Socket(socket)) else { return Vec::new() };
        let answer = tokio::time::timeout(PATIENCE, client.labs()).await;
        answer.ok().and_then(Result::ok).map(|labs| labs.labs).unwrap_or_default()
    })
}
