//! Time as the agent knows it: handed in, so that tests can pause it.

use tokio::time::Instant;

/// A wall clock that moves with tokio's time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch_ms: u64,
    start: Instant,
}

impl Clock {
    /// A clock that shows `epoch_ms` milliseconds of the Unix epoch now.
    pub fn starting_at(epoch_ms: u64) -> Self {
        Self { epoch_ms, start: Instant::now() }
    }

    /// A clock that shows the system's time.
    pub fn system() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds of the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.epoch_ms + u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment at which the clock will show `at_ms`.
    pub fn instant(&self, at_ms: u64) -> Instant {
        self.start + std::time::Duration::from_millis(at_ms.saturating_sub(self.epoch_ms))
    }
}
