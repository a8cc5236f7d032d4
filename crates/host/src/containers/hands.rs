//! What somebody has the engine do to containers by hand, as its events tell it: `docker stop`, `kill` and `restart`.

use std::collections::BTreeMap;
use std::time::Duration;

use archetype_model::observed::Busy;

/// A run that ends later than this after somebody's signal ended by itself: `docker stop` gives a node time first.
const OBEYS_WITHIN: Duration = Duration::from_secs(900);

/// An engine that is told to end gives its containers 15 s, and ends some seconds later.
const GOES_WITHIN: Duration = Duration::from_secs(20);

/// What was done by hand, by the full ids of containers. Times are the engine's, since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// When somebody last had the engine tell a run to end.
    told: BTreeMap<String, Duration>,
    /// The last end upon that.
    ended: BTreeMap<String, Ended>,
}

#[derive(Debug)]
struct Ended {
    at: Duration,
    /// Which start ended, where that was known.
    start: Option<String>,
    /// Whether whoever ended it may still be about to start it.
    is_open: bool,
}

impl Hands {
    /// Somebody had the engine tell the container's run to end.
    pub fn told(&mut self, id: &str, at: Duration) {
        self.told.insert(id.to_owned(), at);
    }

    /// What ends the container's run from here on is ours.
    pub fn not_told(&mut self, id: &str) {
        self.told.remove(id);
    }

    /// The container's run ended. Says whether by somebody's hand, who may start it again: it is to be looked at a while
    /// later, and then told by [`Hands::is_over`].
    pub fn ended(&mut self, id: &str, start: Option<&str>, at: Duration) -> bool {
        let told = self.told.remove(id);
        let is_by_hand = told.is_some_and(|told| at.saturating_sub(told) <= OBEYS_WITHIN);
        if is_by_hand {
            let start = start.map(str::to_owned);
            self.ended.insert(id.to_owned(), Ended { at, start, is_open: true });
        }
        is_by_hand
    }

    /// The container runs; in another start than the one that was ended nothing more is to come.
    pub fn runs(&mut self, id: &str, start: &str) {
        if let Some(ended) = self.ended.get_mut(id).filter(|ended| ended.start.as_deref() != Some(start)) {
            ended.is_open = false;
        }
    }

    /// Nothing more comes of the end at this time.
    pub fn is_over(&mut self, id: &str, at: Duration) {
        if let Some(ended) = self.ended.get_mut(id).filter(|ended| ended.at == at) {
            ended.is_open = false;
        }
    }

    /// The engine went, and whoever had it do something with it. What was ended just before it ended on its way: gives
    /// the starts of those.
    pub fn engine_went(&mut self, now: Duration) -> Vec<String> {
        self.told.clear();
        let on_its_way = |ended: &Ended| ended.is_open || now.saturating_sub(ended.at) <= GOES_WITHIN;
        let gone = self.ended.extract_if(.., |_, ended| on_its_way(ended));
        gone.filter_map(|(_, ended)| ended.start).collect()
    }

    /// The container is gone.
    pub fn forget(&mut self, id: &str) {
        self.told.remove(id);
        self.ended.remove(id);
    }

    /// When a run of the container last ended by hand, in milliseconds; told when nothing more comes of it.
    pub fn last_end_ms(&self, id: &str) -> Option<u64> {
        self.ended.get(id).filter(|ended| !ended.is_open).map(|ended| ms(ended.at))
    }

    /// What is under way at the container.
    pub fn busy(&self, id: &str) -> Option<Busy> {
        let ended = self.ended.get(id).filter(|ended| ended.is_open)?;
        Some(Busy { doing: "ended by hand".into(), since_ms: ms(ended.at), outside: None })
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a signal is one by which people and the engine end a node: the node's own stop signal, INT, QUIT, KILL, TERM,
/// and the real-time ones (systemd's). Others say something to what runs.
pub(super) fn ends_a_node(signal: i32, stop_signal: Option<i32>) -> bool {
    let usual = matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGKILL | libc::SIGTERM) || signal >= 32;
    usual || stop_signal == Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_end_upon_somebodys_signal_is_under_way_until_another_start_runs_or_nothing_comes() {
        let mut hands = Hands::default();
        hands.told(ID, at(10));
        assert!(hands.ended(ID, Some("first"), at(20)));
        hands.runs(ID, "first");
        assert_eq!(hands.busy(ID).map(|busy| busy.since_ms), Some(20_000), "an older look");
        hands.runs(ID, "second");
        assert_eq!(hands.busy(ID), None);
        hands.told(ID, at(30));
        assert!(hands.ended(ID, Some("second"), at(30)));
        hands.is_over(ID, at(20));
        assert!(hands.busy(ID).is_some() && hands.last_end_ms(ID).is_none(), "that was the end before");
        hands.is_over(ID, at(30));
        assert_eq!((hands.busy(ID), hands.last_end_ms(ID)), (None, Some(30_000)));
    }

    #[test]
    fn an_end_by_itself_is_nobodys() {
        let mut hands = Hands::default();
        assert!(!hands.ended(ID, None, at(1)));
        hands.told(ID, at(10));
        assert!(!hands.ended(ID, None, at(1000)), "it went on for long");
        hands.told(ID, at(1001));
        hands.not_told(ID);
        assert!(!hands.ended(ID, None, at(1001)), "we did it");
        hands.told(ID, at(1001));
        assert!(hands.engine_went(at(1001)).is_empty(), "nothing has ended");
        assert!(!hands.ended(ID, None, at(1002)));
        hands.told(ID, at(1003));
        assert!(hands.ended(ID, Some("first"), at(1003)));
        assert_eq!(hands.engine_went(at(1003)), ["first"], "the engine ends its nodes before it goes");
        assert_eq!((hands.busy(ID), hands.last_end_ms(ID)), (None, None));
        hands.told(ID, at(1004));
        assert!(hands.ended(ID, Some("second"), at(1004)));
        hands.is_over(ID, at(1004));
        assert!(hands.engine_went(at(1100)).is_empty(), "that was long before");
    }

    #[test]
    fn a_signal_that_says_something_ends_nothing_unless_it_is_the_nodes_own() {
        assert!(ends_a_node(15, None) && ends_a_node(37, None));
        assert!(!ends_a_node(1, None) && !ends_a_node(28, Some(15)));
        assert!(ends_a_node(28, Some(28)));
    }
}
