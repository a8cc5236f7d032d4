//! Hands the host its spec whenever it has not taken the one that is wanted.

use std::sync::Arc;
use std::time::Duration;

use archetype_model::Generation;

use crate::now::Board;
use crate::port::AgentAccess;

/// How long a refused spec rests before it is offered again.
const REST: Duration = Duration::from_secs(5);

/// Dispatches, for ever.
pub(crate) async fn run(board: Board, access: Arc<dyn AgentAccess>) {
    let mut watch = board.watch();
    let mut taken: Option<Generation> = None;
    loop {
        let now = watch.borrow_and_update().clone();
        let spec = now.spec().filter(|spec| Some(&spec.generation) != taken.as_ref());
        let refused = match spec {
            None => false,
            Some(spec) => {
                let answer = access.accept(spec.clone()).await;
                let refusal = answer.err();
                match &refusal {
                    None => taken = Some(spec.generation.clone()),
                    Some(why) => tracing::warn!(host = %spec.host, why, "the host refuses its spec"),
                }
                if now.refusal != refusal {
                    board.change(|now| now.refusal = refusal.clone());
                }
                refusal.is_some()
            }
        };
        // Cancel safe: a change that is missed here is seen by the next round's look.
        tokio::select! {
            changed = watch.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REST), if refused => {}
        }
    }
}
