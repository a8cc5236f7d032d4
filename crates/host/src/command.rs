//! A command of a node's stages that runs on the host itself, as root and as it is: what a node may
//! do there is for who deploys to decide.

use std::path::Path;
use std::process::{Command, Stdio};

use archetype_model::report::ExecState;
use archetype_model::spec::NodeSpec;
use archetype_model::topology::value::ExecTarget;

use crate::processes::status;

/// How much of a command's output is kept: its end.
const KEPT: usize = 4096;

/// Runs the node's command at `index` if it is one for the host, in the topology's folder, and
/// waits for it.
pub(crate) fn run_on_host(node: &NodeSpec, index: usize) -> Option<ExecState> {
    let command = node.commands().get(index).copied().filter(|command| command.target == ExecTarget::Host)?;
    Some(run(command.words, &node.stages.folder))
}

fn run(words: &[String], folder: &Path) -> ExecState {
    let failed = |why: String| ExecState::Ended { code: 127, output: why };
    let Some((program, words)) = words.split_first() else { return failed("no command".into()) };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    if folder.is_dir() {
        command.current_dir(folder);
    }
    match command.output() {
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            ExecState::Ended { code: status(output.status), output: end_of(&text) }
        }
        Err(error) => failed(format!("{program}: {error}")),
    }
}

/// The end of a text, as much as is kept of it.
pub(crate) fn end_of(text: &str) -> String {
    let from = text.len().saturating_sub(KEPT);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[from..].to_string()
}

/// What becomes of a command for the inside of a node that does not run.
pub(crate) fn not_running() -> ExecState {
    ExecState::Ended { code: 126, output: "the node does not run at this point".into() }
}
