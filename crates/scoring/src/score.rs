//! The final score: skill times honesty times freshness.

use crate::computation::Computation;
use crate::error::{ScoringError, finite, share};
use crate::rating::Rating;

/// `ordinal * computation * sync`, where the computation factor is already gated by `threshold`.
///
/// It is negative for a peer that is rated below zero; such a peer earns nothing.
///
/// # Errors
/// Numbers that are not finite, or a sync score outside `0..=1`.
pub fn final_score(
    rating: &Rating,
    computation: &Computation,
    threshold: f64,
    sync: f64,
) -> Result<f64, ScoringError> {
    finite("rating", &[rating.mu, rating.sigma])?;
    finite("computation", &[computation.average, threshold])?;
    share("sync score", sync)?;
    Ok(rating.ordinal() * computation.factor(threshold) * sync)
}
