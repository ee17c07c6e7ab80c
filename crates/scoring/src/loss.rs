//! The loss score: how much one peer's update, alone and scaled down, lowers the loss.
//!
//! The paper takes the difference `L(theta) - L(theta - c * alpha * update)`; the Templar code, followed
//! here, divides it by the loss before, so that scores of different windows compare. The update is clipped
//! to the peers' median norm first, or shouting would pay.

use crate::error::{ScoringError, finite};

/// Share of the outer learning rate with which a single update is tried (the paper's c, below 1).
pub const EVALUATION_SHARE: f64 = 0.2;

/// What a peer that sent nothing is ranked with: below anything that can be earned.
pub const MISSING_SCORE: f64 = -99.0;

/// `(before - after) / before`; positive when the update helped.
///
/// # Errors
/// A loss that is not finite, or a loss before that is not positive.
pub fn loss_score(before: f64, after: f64) -> Result<f64, ScoringError> {
    finite("loss", &[before, after])?;
    if before <= 0.0 {
        return Err(ScoringError::OutOfRange {
            what: "loss before",
            range: "positive",
        });
    }
    Ok((before - after) / before)
}
