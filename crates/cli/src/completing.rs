//! What may stand at a place of the command line that only the controller knows: labs, nodes, link
//! ends. Asked while somebody presses Tab, so it is quick and never complains.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use archetype_api::lab::Lab;
use archetype_api::{Client, Target};
use clap_complete::CompletionCandidate;

use crate::args::Settings;

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

/// What may stand for the end of a link: of one that is there, or behind `add` a node, whose
/// interface is still to be named.
pub fn ends_of_links() -> Vec<CompletionCandidate> {
    if !words().iter().any(|word| word == "add") {
        return ends();
    }
    let nodes = meant().into_iter().flat_map(|lab| lab.nodes);
    nodes.map(|node| CompletionCandidate::new(format!("{}:", node.name)).help(Some(node.kind.into()))).collect()
}

/// The words of the line that is being typed.
fn words() -> Vec<OsString> {
    // Shells name the program that they ask, then `--`, then the line.
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// What the line says behind an option, as `--name VALUE` or `--name=VALUE`.
fn said(words: &[OsString], option: &str) -> Option<PathBuf> {
    let apart = words.iter().position(|word| word == option).and_then(|at| words.get(at + 1));
    let joined = || {
        let mut all = words.iter().filter_map(|word| word.to_str());
        all.find_map(|word| word.strip_prefix(option)?.strip_prefix('='))
    };
    apart.map(PathBuf::from).or_else(|| joined().map(PathBuf::from))
}

/// The labs that the line may be about.
fn meant() -> Vec<Lab> {
    let words = words();
    let mut labs = asked();
    if labs.iter().any(|lab| words.iter().any(|word| word == lab.name.as_str())) {
        labs.retain(|lab| words.iter().any(|word| word == lab.name.as_str()));
    }
    labs
}

/// The socket that the command would use: by the line, the environment or the settings file; none where the command
/// would refuse its settings.
fn socket() -> Option<PathBuf> {
    let words = words();
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let stated = said(&words, "--socket").or_else(|| variable("ARCHETYPE_SOCKET"));
    let file = said(&words, "--config").or_else(|| variable("ARCHETYPE_CONFIG"));
    let settings = Settings::of_file(file.as_deref()).stated().ok()?;
    Some(stated.unwrap_or_else(|| settings.socket()))
}

/// What the controller tells; nothing where none answers in time.
fn asked() -> Vec<Lab> {
    let Some(socket) = socket() else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    runtime.block_on(async {
        let Ok(client) = Client::new(Target::Socket(socket)) else { return Vec::new() };
        let answer = tokio::time::timeout(PATIENCE, client.labs()).await;
        answer.ok().and_then(Result::ok).map(|labs| labs.labs).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_the_line_is_found_in_both_its_forms() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(said(&words("archetype inspect --socket /a lab"), "--socket"), Some("/a".into()));
        assert_eq!(said(&words("archetype --socket=/b inspect"), "--socket"), Some("/b".into()));
        assert_eq!(said(&words("archetype inspect --sock"), "--socket"), None);
    }
}
