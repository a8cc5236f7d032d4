//! What wakes an agent. An event may narrow what is read again, never what is concluded.

use archetype_model::ContainerName;
use archetype_model::observed::Part;
use archetype_model::report::ExecState;
use archetype_model::step::NodeAction;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Something happened on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part may have changed and is to be read again.
    Changed(Part),
    /// A task on a node ended.
    TaskEnded(TaskEnded),
    /// What made tasks fail under this code is gone: whatever waits for its next try need not.
    Cured(&'static str),
}

/// How a task on a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnded {
    /// The node.
    pub container: ContainerName,
    /// What the task was to do.
    pub action: NodeAction,
    /// What went wrong, in words for people; none when it was done.
    pub error: Option<TaskError>,
    /// For an exec: what became of the command.
    pub exec: Option<ExecState>,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TaskError {
    /// The code of the finding it makes (`image-pull-failed`, `node-start-refused`, …).
    pub code: &'static str,
    /// What went wrong.
    pub message: String,
    /// What a person can do.
    pub hint: String,
}

impl TaskError {
    /// The code of a command that was not run, for the start of the node that it belongs to is over.
    pub const START_OVER: &str = "exec-start-over";
    /// The code of a pull that was given up, for nothing is to be made of the image any more.
    pub const PULL_STOPPED: &str = "image-pull-stopped";

    /// A task that ended by a fault of ours, with the fault's own words.
    pub(crate) fn crashed(words: &str) -> Self {
        Self {
            code: "task-crashed",
            message: format!("the work on the node ended by a fault of ours: {words}"),
            hint: "it is tried again; please tell us".into(),
        }
    }
}

/// The rooms' end of the agent's bell. Cheap to clone; ringing never blocks.
#[derive(Debug, Clone)]
pub struct Waker(UnboundedSender<Event>);

impl Waker {
    /// A bell and its listener.
    pub fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Rings. An agent that is gone hears nothing, and that is fine.
    pub fn ring(&self, event: Event) {
        drop(self.0.send(event));
    }
}
