//! Times that are a claim ("within 100 ms"), measured many times, each beside what the machine makes just then of a
//! piece of work: a machine on which many tests run at once is slower, and no correct program is to fail for that.
//!
//! What is judged is the median, and so less than the claim, which is about nearly every time: a rarer slow one may be
//! the machine's (work of others that comes and goes within a trial is not seen beside it), so a percentile near the end
//! would make correct programs fail now and then. It is told with each run, for people, and claims about it belong
//! to the bench on a machine that does nothing else.

use std::time::{Duration, Instant};

use crate::command::slowly;
use nix::time::{ClockId, clock_gettime};

/// The piece of work: so much of a processor's time.
const WORK: Duration = Duration::from_millis(5);
/// Up to here the machine does nothing else worth the name.
const ALONE: f64 = 1.1;

/// Times of one thing that happened again and again.
pub struct Trials {
    what: String,
    aim: Duration,
    times: Vec<Duration>,
    crowded: Vec<f64>,
}

impl Trials {
    /// None yet, of something that may take as long as `aim` on a machine that does nothing else.
    pub fn of(what: &str, aim: Duration) -> Self {
        Self { what: what.to_owned(), aim, times: Vec::new(), crowded: vec![crowded()] }
    }

    /// Another trial, which took `time` and has just ended.
    pub fn add(&mut self, time: Duration) {
        self.times.push(time);
        self.crowded.push(crowded());
    }

    /// Tells the times, and judges their median.
    ///
    /// # Panics
    /// When half of them took longer than they may; on a machine that does other things too, twice as much longer as
    /// those made a piece of work, for several programs in a row have waited for a processor; and in an emulated machine
    /// as much longer as everything ([`slowly`]): there the times are told for comparison.
    #[track_caller]
    pub fn half_in_time(self) {
        let Self { what, aim, mut times, crowded } = self;
        times.sort();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        let within = times.iter().filter(|time| **time <= aim).count();
        let crowded = crowded.iter().sum::<f64>() / crowded.len() as f64;
        eprintln!(
            "{what}: p50 {:?}, p99 {:?}, max {:?}, of {} {within} within {aim:?}; other work took {crowded:.1} times as \
             long as alone",
            at(50),
            at(99),
            at(100),
            times.len(),
        );
        let slack = if crowded < ALONE { 1.0 } else { 2.0 * crowded };
        assert!(
            at(50) <= slowly(aim.mul_f64(slack)),
            "{what}: {times:?}; other work took {crowded:.1} times as long as alone"
        );
    }
}

/// How many times as long as alone a piece of work takes here and now; 1 on a machine that does nothing else.
fn crowded() -> f64 {
    let spent = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("each thread has that clock"));
    let (begun, before) = (Instant::now(), spent());
    while spent() - before < WORK {}
    (begun.elapsed().as_secs_f64() / (spent() - before).as_secs_f64()).max(1.0)
}
