//! The engine's ids of commands under way: from the room that makes them to the ledger, before the
//! command runs, and back after a restart.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use archetype_agent::Handle;
use archetype_agent::ledger::Done;
use archetype_host::containers::ExecMade;
use archetype_model::ContainerName;
use archetype_model::report::ExecState;

type Key = (ContainerName, String, usize);

/// The book.
#[derive(Debug)]
pub(super) struct ExecBook {
    ids: Mutex<BTreeMap<Key, String>>,
    agent: OnceLock<Handle>,
}

impl ExecBook {
    /// What the ledger knows from a former life.
    pub(super) fn of(done: &Done) -> Self {
        let mut ids = BTreeMap::new();
        for (container, (start, states)) in &done.execs {
            for (index, state) in states.iter().enumerate() {
                if let ExecState::Running { id: Some(id) } = state {
                    ids.insert((container.clone(), start.clone(), index), id.clone());
                }
            }
        }
        Self { ids: Mutex::new(ids), agent: OnceLock::new() }
    }

    /// Whom to tell.
    pub(super) fn tell(&self, agent: Handle) {
        // Set once, at the start.
        drop(self.agent.set(agent));
    }

    /// Has an id written down. Blocks until it is.
    pub(super) fn keep(&self, made: &ExecMade) -> io::Result<()> {
        let agent = self.agent.get().ok_or_else(|| io::Error::other("the agent does not run yet"))?;
        let written = agent.exec_begun(made.container.clone(), made.start.clone(), made.index, made.id.clone());
        futures::executor::block_on(written);
        self.ids().insert((made.container.clone(), made.start.clone(), made.index), made.id.clone());
        Ok(())
    }

    /// The id of a command that was made before, if it was.
    pub(super) fn known(&self, container: &ContainerName, start: &str, index: usize) -> Option<String> {
        self.ids().get(&(container.clone(), start.to_string(), index)).cloned()
    }

    fn ids(&self) -> MutexGuard<'_, BTreeMap<Key, String>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
