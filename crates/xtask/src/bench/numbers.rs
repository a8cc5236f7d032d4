//! Many timings of one thing, and how they are told.

use std::time::Duration;

/// Timings, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub struct Timings(Vec<Duration>);

impl Timings {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest timing that is not exceeded by this share (0 to 1) of them; with few timings the 99th percentile
    /// is the largest.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(at.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied()
    }

    /// The middle one.
    pub fn median(&self) -> Option<Duration> {
        self.quantile(0.5)
    }

    /// The 99th percentile.
    pub fn p99(&self) -> Option<Duration> {
        self.quantile(0.99)
    }
}

/// Milliseconds, with as many decimals as say something.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.2}")
    } else if ms < 100.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_of_few_timings_is_the_largest() {
        let mut timings = Timings::default();
        (1..=9).for_each(|n| timings.push(Duration::from_millis(n)));
        assert_eq!(timings.median(), Some(Duration::from_millis(5)));
        assert_eq!(timings.p99(), Some(Duration::from_millis(9)));
    }
}
