//! Proof of computation: a peer that trained on its assigned data helps more there than elsewhere.
//!
//! Each evaluation is one yes or no, so its size cannot be gamed; a slow average of it becomes a factor of
//! the score. It starts at zero: three wins in a row lift it above the threshold.

use serde::{Deserialize, Serialize};

use crate::error::{ScoringError, finite, share};

/// Weight of the newest evaluation.
pub const ALPHA: f64 = 0.05;

/// Averages below this count as zero once the peer is known well enough.
pub const THRESHOLD: f64 = 0.10;

/// Windows before the threshold applies.
pub const GRACE_WINDOWS: u32 = 10;

/// A peer's moving average of wins (+1) and losses (-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Computation {
    /// The average, in `-1..=1`; 0 for a new peer.
    #[serde(with = "crate::stored::bits")]
    pub average: f64,
    /// Evaluations so far.
    pub windows: u32,
}

impl Computation {
    /// The average after one more evaluation: `own` and `random` are the improvements on assigned and on
    /// random data. A draw is a loss.
    ///
    /// # Errors
    /// Numbers that are not finite, or an `alpha` outside `0..=1`.
    pub fn observe(self, own: f64, random: f64, alpha: f64) -> Result<Self, ScoringError> {
        finite("improvement", &[own, random])?;
        share("alpha", alpha)?;
        let sign = if own > random { 1.0 } else { -1.0 };
        Ok(Self {
            average: (1.0 - alpha) * self.average + alpha * sign,
            windows: self.windows.saturating_add(1),
        })
    }

    /// The factor in the score: never negative, and zero below `threshold` after the grace windows.
    #[must_use]
    pub fn factor(&self, threshold: f64) -> f64 {
        let doubted = self.windows >= GRACE_WINDOWS && self.average < threshold;
        if doubted { 0.0 } else { self.average.max(0.0) }
    }
}
