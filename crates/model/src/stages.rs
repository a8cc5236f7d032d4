//! Stages: what a node waits for before it goes on, and the commands that belong to each stage.
//! Says what is wanted and what was reached; what follows from both is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::NodeName;
use crate::topology::value::{ExecPhase, ExecTarget, Stage};

/// What the file says of a node's stages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StagesSpec {
    /// Seconds between the last thing that the first start waits for and that start.
    pub delay: u64,
    /// Stages of other nodes that are waited for before a stage is entered.
    pub waits: BTreeMap<Stage, Vec<WaitSpec>>,
    /// Commands, in the order of their stages and phases, then as written.
    pub commands: Vec<StageCommand>,
    /// Where commands on the host run.
    pub folder: PathBuf,
}

/// A stage of another node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WaitSpec {
    /// The node.
    pub node: NodeName,
    /// The stage that it is to have finished.
    pub stage: Stage,
}

/// A command of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCommand {
    /// The stage.
    pub stage: Stage,
    /// Its begin or its end.
    pub phase: ExecPhase,
    /// In the node or on its host.
    pub target: ExecTarget,
    /// Its words; magic variables are replaced.
    pub words: Vec<String>,
}

/// A command that belongs to a start of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// When it is due.
    pub when: When,
    /// In the node or on its host.
    pub target: ExecTarget,
    /// Its words.
    pub words: &'a [String],
}

/// When a command is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At the begin or the end of a stage.
    Stage(Stage, ExecPhase),
    /// After `configure`: the node's list `exec`.
    Listed,
}

/// How a start that has not come yet is named among starts: by the one before it.
pub const BEFORE: &str = "before:";

/// Whether commands under this name belong to a start that had not come yet.
pub fn is_before(start: &str) -> bool {
    start.starts_with(BEFORE)
}

/// How far a node has come. What it once has reached it keeps until it is made anew or the host
/// was lost: a node that starts again waits for nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Passage {
    /// Stages that it may enter: what they wait for was there.
    pub through: BTreeSet<Stage>,
    /// Stages that it has finished.
    pub done: BTreeSet<Stage>,
}

impl StagesSpec {
    /// Whether the file says nothing.
    pub fn is_empty(&self) -> bool {
        self.delay == 0 && self.waits.is_empty() && self.commands.is_empty()
    }

    /// What is waited for before `stage`.
    pub fn waits_of(&self, stage: Stage) -> &[WaitSpec] {
        self.waits.get(&stage).map_or(&[], Vec::as_slice)
    }

    /// The commands of one start with those of the list among them, in their order.
    pub fn with<'a>(&'a self, list: &'a [Vec<String>]) -> Vec<Command<'a>> {
        let is_before = |command: &&StageCommand| command.stage <= Stage::Configure;
        let of_stage = |command: &'a StageCommand| Command {
            when: When::Stage(command.stage, command.phase),
            target: command.target,
            words: &command.words,
        };
        let listed = list.iter().map(|words| Command { when: When::Listed, target: ExecTarget::Container, words });
        let before = self.commands.iter().filter(is_before).map(of_stage);
        let after = self.commands.iter().filter(|command| !is_before(command)).map(of_stage);
        before.chain(listed).chain(after).collect()
    }
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listed => f.write_str("exec"),
            Self::Stage(stage, ExecPhase::OnEnter) => write!(f, "{stage} on-enter"),
            Self::Stage(stage, ExecPhase::OnExit) => write!(f, "{stage} on-exit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_stands_between_configure_and_healthy() {
        let command = |stage, phase| StageCommand { stage, phase, target: ExecTarget::Host, words: vec!["x".into()] };
        let stages = StagesSpec {
            commands: vec![
                command(Stage::Create, ExecPhase::OnEnter),
                command(Stage::Configure, ExecPhase::OnExit),
                command(Stage::Healthy, ExecPhase::OnEnter),
            ],
            ..StagesSpec::default()
        };
        let list = [vec!["y".to_owned()]];
        let order: Vec<String> = stages.with(&list).iter().map(|command| command.when.to_string()).collect();
        assert_eq!(order, ["create on-enter", "configure on-exit", "exec", "healthy on-enter"]);
    }
}
