//! Work that takes its time, and tasks that go on when whoever asked for them has gone.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle, block_in_place};

/// Work ended early, by a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("it ended early; the output of `archetype serve` tells where")]
pub(crate) struct Broken;

/// Does work that takes its time on the thread that asked for it; other tasks go on elsewhere meanwhile. Nobody waits
/// until a thread for it is awake, nor until this one is again: on a busy machine either may take longer than the work.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}

/// The same of work that may break without breaking what asked for it.
pub(crate) fn try_in_place<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    catch_unwind(AssertUnwindSafe(|| in_place(work)))
}

/// What a task came to. It is not waited for any more once the process ends.
pub(crate) async fn finished<T>(task: JoinHandle<T>) -> T {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => std::future::pending().await,
    }
}
