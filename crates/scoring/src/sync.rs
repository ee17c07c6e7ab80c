//! Sync score: how far a peer's weights are behind, measured in outer steps from a few samples.
//!
//! The difference of a sampled weight is divided by how much that weight usually moves per step. The
//! interquartile mean keeps one wild weight from deciding.

use crate::error::{ScoringError, finite};

/// Steps behind at which the score reaches zero.
pub const MAX_STEPS_BEHIND: f64 = 3.0;

/// A weight that never moves would divide by zero.
const MIN_CHANGE: f64 = 1e-9;

/// Interquartile mean of `|mine - theirs| / typical change`, over samples in the same order.
///
/// # Errors
/// No samples, lists of different lengths, numbers that are not finite, or a negative typical change.
pub fn steps_behind(
    mine: &[f64],
    theirs: &[f64],
    typical_change: &[f64],
) -> Result<f64, ScoringError> {
    for (what, list) in [
        ("their weights", theirs),
        ("typical changes", typical_change),
    ] {
        if list.len() != mine.len() {
            return Err(ScoringError::Length {
                what,
                expected: mine.len(),
                actual: list.len(),
            });
        }
    }
    for (what, list) in [
        ("weights", mine),
        ("weights", theirs),
        ("typical changes", typical_change),
    ] {
        finite(what, list)?;
    }
    if typical_change.iter().any(|change| *change < 0.0) {
        return Err(ScoringError::OutOfRange {
            what: "typical change",
            range: "zero or more",
        });
    }
    let steps = mine.iter().zip(theirs).zip(typical_change);
    let steps =
        steps.map(|((mine, theirs), change)| (mine - theirs).abs() / change.max(MIN_CHANGE));
    interquartile_mean(steps.collect()).ok_or(ScoringError::Empty("weights"))
}

/// Mean of the values between the quartiles (interpolated, bounds included); of all values where none
/// lies between, which happens with two.
fn interquartile_mean(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&values, 0.25)?, quantile(&values, 0.75)?);
    let middle: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| (low..=high).contains(value))
        .collect();
    mean(&middle).or_else(|| mean(&values))
}

/// Linear interpolation between the neighbours in a sorted list.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = sorted.len().checked_sub(1)? as f64 * share;
    let (below, above) = (
        sorted.get(position.floor() as usize)?,
        sorted.get(position.ceil() as usize)?,
    );
    Some(below + (above - below) * position.fract())
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// `(1 - min(steps, 3) / 3)^2.5`: 1 in step, 0 from three steps behind.
///
/// # Errors
/// A number of steps that is negative or NaN. Infinitely many are allowed and score zero.
pub fn sync_score(steps: f64) -> Result<f64, ScoringError> {
    if steps.is_nan() || steps < 0.0 {
        return Err(ScoringError::OutOfRange {
            what: "steps behind",
            range: "zero or more",
        });
    }
    let left = 1.0 - steps.min(MAX_STEPS_BEHIND) / MAX_STEPS_BEHIND;
    // The power 2.5 without `powf`, whose last bit depends on the platform.
    Ok(left * left * left.sqrt())
}
