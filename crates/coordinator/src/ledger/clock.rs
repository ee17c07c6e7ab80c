//! The ledger's clock: blocks since its first entry.
//!
//! A block is no event here, only a span of `block_seconds`. A development run adds an offset that its
//! operator moved. What a reader would get wrong: the wall clock may be set back between two starts, so a
//! height is only ever used as "at least the last entry's".

use std::time::Duration;

use covey_ledger::{Height, state::State};

use crate::clock::Clock;

/// Turns the coordinator's clock into heights.
#[derive(Clone, Copy, Debug)]
pub struct LedgerClock {
    clock: Clock,
    /// Unix time of height 0 in milliseconds.
    started_ms: u64,
    block_ms: u64,
    /// Blocks by which a development run's clock was moved.
    pub offset: u64,
}

impl LedgerClock {
    /// The clock of a ledger. A development ledger that comes with later entries than the wall clock
    /// allows (imported, or its clock moved) goes on from its last entry.
    #[must_use]
    pub fn new(clock: Clock, state: &State, offset: u64) -> Self {
        let mut this = Self {
            clock,
            started_ms: state.started_ms,
            block_ms: u64::from(state.schedule.block_seconds.max(1)) * 1000,
            offset,
        };
        if state.development {
            let behind = state.height.saturating_sub(this.height());
            this.offset = this.offset.saturating_add(behind);
        } else {
            this.offset = 0;
        }
        this
    }

    /// The same clock after its ledger was read again.
    #[must_use]
    pub fn with_offset(&self, state: &State, offset: u64) -> Self {
        Self::new(self.clock, state, offset)
    }

    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The height now.
    #[must_use]
    pub fn height(&self) -> Height {
        let since = self.clock.now_ms().saturating_sub(self.started_ms);
        (since / self.block_ms).saturating_add(self.offset)
    }

    /// Time until the clock shows `height`; nothing if it does.
    #[must_use]
    pub fn until(&self, height: Height) -> Duration {
        Duration::from_millis(self.time_of(height).saturating_sub(self.clock.now_ms()))
    }

    /// Unix time in milliseconds at which the clock shows `height`. Past heights of a run whose clock was
    /// moved are dated earlier than they were.
    #[must_use]
    pub fn time_of(&self, height: Height) -> u64 {
        let blocks = height.saturating_sub(self.offset);
        self.started_ms
            .saturating_add(blocks.saturating_mul(self.block_ms))
    }
}
