//! What the engine's events tell of how runs ended, and the engine itself does not keep.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A run that ends later than this after somebody's signal ended by itself: `docker stop` gives a node time first.
const OBEYS_WITHIN: Duration = Duration::from_secs(120);

/// Of which starts it was told how they ended. A start's name begins with the short id of its container.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Starts whose end, though it looks like one that the engine missed, was announced by it.
    seen: BTreeSet<String>,
    /// When somebody had the engine signal a start to end, in time since the Unix epoch.
    signalled: BTreeMap<String, Duration>,
    by_hand: BTreeSet<String>,
}

impl Ends {
    /// Somebody had the engine send `signal` to the run.
    pub fn signalled(&mut self, start: &str, signal: Option<i32>, at: Duration) {
        if signal.is_none_or(ends_a_node) {
            self.signalled.insert(start.to_owned(), at);
        }
    }

    /// The engine announced the end of the run.
    pub fn announced(&mut self, start: &str, at: Duration) {
        self.seen.insert(start.to_owned());
        let signalled = self.signalled.remove(start);
        if signalled.is_some_and(|signalled| at.saturating_sub(signalled) <= OBEYS_WITHIN) {
            self.by_hand.insert(start.to_owned());
        }
    }

    /// Whether the engine announced that the run ended.
    pub fn was_seen(&self, start: &str) -> bool {
        self.seen.contains(start)
    }

    /// Whether somebody had the engine end the run.
    pub fn was_by_hand(&self, start: &str) -> bool {
        self.by_hand.contains(start)
    }

    /// Nobody is in the middle of anything any more: the engine went, and whoever asked it for something with it.
    pub fn forget_hands(&mut self) {
        self.signalled.clear();
        self.by_hand.clear();
    }

    /// Forgets all of a container but its present start.
    pub fn keep_only(&mut self, short_id: &str, present: Option<&str>) {
        let stays = |start: &str| present == Some(start) || !start.starts_with(short_id);
        self.seen.retain(|start| stays(start));
        self.signalled.retain(|start, _| stays(start));
        self.by_hand.retain(|start| stays(start));
    }
}

/// Whether a signal is one by which people and the engine end a node: INT, QUIT, KILL, TERM, and the real-time ones
/// (systemd's). Others say something to what runs.
fn ends_a_node(signal: i32) -> bool {
    matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGKILL | libc::SIGTERM) || signal >= 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "0123456789ab@1";

    fn ends(signal: i32, after_s: u64) -> Ends {
        let mut ends = Ends::default();
        ends.signalled(START, Some(signal), Duration::from_secs(1000));
        ends.announced(START, Duration::from_secs(1000 + after_s));
        ends
    }

    #[test]
    fn a_run_that_ends_upon_somebodys_signal_ended_by_hand() {
        assert!(ends(15, 10).was_by_hand(START));
        assert!(ends(37, 0).was_by_hand(START));
        assert!(!ends(1, 0).was_by_hand(START), "told to read its configuration again");
        assert!(!ends(15, 600).was_by_hand(START), "it went on for long");
        let mut crashed = Ends::default();
        crashed.announced(START, Duration::from_secs(1));
        assert!(crashed.was_seen(START) && !crashed.was_by_hand(START));
    }

    #[test]
    fn what_was_told_of_earlier_starts_is_forgotten_and_of_other_containers_is_not() {
        let mut ends = ends(15, 0);
        ends.keep_only("cdef", None);
        ends.keep_only("0123456789ab", Some(START));
        assert!(ends.was_seen(START) && ends.was_by_hand(START));
        ends.keep_only("0123456789ab", Some("0123456789ab@2"));
        assert!(!ends.was_seen(START) && !ends.was_by_hand(START));
    }
}
