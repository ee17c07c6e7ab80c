//! What a caller can have got wrong: every formula refuses numbers that would spread NaN through ratings.

use thiserror::Error;

/// Why a formula has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScoringError {
    /// NaN or an infinity.
    #[error("{0} must be finite")]
    NonFinite(&'static str),
    /// A number outside its range.
    #[error("{what} must be {range}")]
    OutOfRange {
        /// Which input.
        what: &'static str,
        /// The range in words.
        range: &'static str,
    },
    /// Nothing was given where something is needed.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// Lists that belong together have different lengths.
    #[error("{what}: expected {expected} values, got {actual}")]
    Length {
        /// Which list.
        what: &'static str,
        /// The other list's length.
        expected: usize,
        /// Its own.
        actual: usize,
    },
}

pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), ScoringError> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(ScoringError::NonFinite(what))
    }
}

/// Refuses a value outside `0..=1`.
pub(crate) fn share(what: &'static str, value: f64) -> Result<(), ScoringError> {
    let inside = (0.0..=1.0).contains(&value);
    if inside {
        Ok(())
    } else {
        Err(ScoringError::OutOfRange {
            what,
            range: "between 0 and 1",
        })
    }
}
