//! Where the copy of the ledger is, and the run's clock.

use covey_ledger::{Height, Ledger};
use serde::Serialize;

/// See `Head` in `types.js`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The run's id, hex.
    pub chain: String,
    pub development: bool,
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last one, hex.
    pub head: String,
    /// Height of the last one.
    pub height: Height,
    pub block_seconds: u32,
    /// Blocks per epoch.
    pub tempo: u64,
    pub next_epoch: Height,
    /// Unix time of height 0, milliseconds.
    pub started_ms: u64,
    pub unlock_cliff: u64,
    pub unlock_release: u64,
    pub takeover_notice: u64,
}

impl Head {
    /// The head of a ledger.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        let state = ledger.state();
        Self {
            chain: state.chain.to_string(),
            development: state.development,
            entries: ledger.len(),
            head: ledger.head().to_string(),
            height: state.height,
            block_seconds: state.schedule.block_seconds,
            tempo: state.schedule.tempo,
            next_epoch: ledger.next_epoch(),
            started_ms: state.started_ms,
            unlock_cliff: state.rules.unlock_cliff,
            unlock_release: state.rules.unlock_release,
            takeover_notice: state.rules.takeover_notice,
        }
    }
}
