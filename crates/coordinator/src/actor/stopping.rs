//! The graceful end: everyone is told when to come back, and what was accepted gets its receipt.
//!
//! Each volunteer is given another delay. If thousands returned at once, the restarted coordinator's
//! first act would be to drown.

use std::sync::atomic::Ordering;

use covey_protocol::socket::ServerFrame;
use tokio::sync::oneshot;

use super::Coordinator;
use crate::secret::random;

/// The first volunteer comes back after this long.
const FIRST_MS: u64 = 1_000;
/// Time between one volunteer's return and the next one's.
const APART_MS: u64 = 50;
/// The returns are spread over at least this long, however few there are.
const SPREAD_MS: u64 = 3_000;
/// How long a volunteer is asked to keep trying.
const TRY_FOR_MS: u64 = 600_000;

/// The farewell to volunteer `number` of `count`. `jitter` shifts it inside its own slot.
pub(super) fn farewell(number: usize, count: usize, jitter: u64) -> ServerFrame {
    let (number, count) = (number as u64, (count as u64).max(1));
    let slot = (SPREAD_MS / count).max(APART_MS);
    ServerFrame::Restarting {
        reconnect_in_ms: FIRST_MS
            .saturating_add(number.saturating_mul(slot))
            .saturating_add(jitter % slot),
        try_for_ms: TRY_FOR_MS,
    }
}

impl Coordinator {
    pub(super) fn stop(&mut self, stopped: oneshot::Sender<()>) {
        tracing::info!(
            volunteers = self.sessions.len(),
            jobs = self.jobs.open(),
            "stopping"
        );
        let count = self.sessions.len();
        // Without entropy the slots alone keep the returns apart.
        let noise = random().unwrap_or_default();
        self.sessions.close_all(|number| {
            let jitter = noise.get(number % noise.len()).copied().unwrap_or_default();
            farewell(number, count, u64::from(jitter) * 4)
        });
        self.assessing.stopping.store(true, Ordering::Relaxed);
        self.stopped = Some(stopped);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everyone_is_given_another_delay() {
        for count in [1, 2, 7, 1000] {
            let delays: BTreeSet<u64> = (0..count)
                .map(|number| match farewell(number, count, number as u64 * 37) {
                    ServerFrame::Restarting {
                        reconnect_in_ms, ..
                    } => reconnect_in_ms,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(delays.len(), count);
            assert!(delays.first() >= Some(&FIRST_MS));
        }
    }
}
