//! Time for the rounds: milliseconds since 1970 that never jump.
//!
//! Deadlines must survive a system clock that is set while the process runs, so the wall clock is read
//! once and a monotonic clock counts from there.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that starts at the wall clock's time and only runs forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_ms: u64,
}

impl Clock {
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_ms: millis(since_epoch),
        }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.started_ms
            .saturating_add(millis(self.started.elapsed()))
    }

    /// The instant at which [`now_ms`](Self::now_ms) reaches `at_ms`.
    #[must_use]
    pub fn instant_of(&self, at_ms: u64) -> Instant {
        let offset = Duration::from_millis(at_ms.saturating_sub(self.started_ms));
        // A year ahead stands in for "never" where the platform cannot represent more.
        self.started
            .checked_add(offset)
            .unwrap_or(self.started + Duration::from_secs(31_536_000))
    }

    /// How long the process has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_converts_to_the_instant_at_which_it_is_reached() {
        let clock = Clock::start();
        let at = clock.now_ms() + 5_000;
        let left = clock.instant_of(at).duration_since(Instant::now());
        assert!(left <= Duration::from_millis(5_001));
        assert!(clock.instant_of(u64::MAX) > Instant::now());
        assert!(clock.instant_of(0) <= Instant::now());
    }
}
