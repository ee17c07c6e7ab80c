//! What a run fixes once for all its peers: the compression settings and the tensors' shapes.
//!
//! Both are part of the run's manifest and never travel with a payload: a decoder that believed the
//! sender's geometry could be made to allocate anything. Defaults are those of Covenant-72B
//! (arXiv 2603.08163): k = 64 of 4096, beta = 0.95.

use crate::error::CompressionError;

/// How a one-dimensional tensor (a norm's gain, a bias) is cut; byte 13 of an `SLC1` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OneDRule {
    /// Runs of 4096 values, as in the SparseLoCo paper; byte value 0.
    Paper,
    /// Runs of at most 64 values, as in the Templar code: with an unscaled k of 64 such tensors are in
    /// effect sent whole; byte value 1.
    Templar,
}

impl OneDRule {
    /// The byte that names the rule in a frame.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Paper => 0,
            Self::Templar => 1,
        }
    }

    /// The longest run a one-dimensional tensor may be cut into.
    #[must_use]
    pub const fn run_limit(self) -> usize {
        match self {
            Self::Paper => crate::chunking::MAX_CHUNK_LEN,
            Self::Templar => crate::chunking::MAX_BLOCK_SIDE,
        }
    }
}

/// Settings every peer of a run shares.
#[derive(Clone, Debug, PartialEq)]
pub struct CodecConfig {
    /// Entries kept of a full chunk of 4096 values.
    pub k: u16,
    /// How one-dimensional tensors are cut.
    pub one_d: OneDRule,
    /// Whether a chunk shorter than 4096 keeps proportionally fewer entries (`true`) or `min(k, len)`.
    pub scale_k: bool,
    /// Decay of the error feedback, in `[0, 1]`.
    pub beta: f32,
    /// Largest magnitude a dequantised value may have; a frame with a larger one is refused.
    pub value_limit: f32,
}

impl Default for CodecConfig {
    /// Covenant-72B's settings. The value limit is ours: AdamW moves a weight by about its learning
    /// rate per step, so an honest pseudo-gradient with its feedback stays far below 100.
    fn default() -> Self {
        Self {
            k: 64,
            one_d: OneDRule::Paper,
            scale_k: true,
            beta: 0.95,
            value_limit: 100.0,
        }
    }
}

impl CodecConfig {
    pub(crate) fn check(&self) -> Result<(), CompressionError> {
        if self.k < 2 || usize::from(self.k) > crate::chunking::MAX_CHUNK_LEN {
            return Err(CompressionError::Config("k must lie in 2..=4096"));
        }
        if !(0.0..=1.0).contains(&self.beta) {
            return Err(CompressionError::Config("beta must lie in 0..=1"));
        }
        if !(self.value_limit.is_finite() && self.value_limit > 0.0) {
            return Err(CompressionError::Config(
                "the value limit must be positive and finite",
            ));
        }
        Ok(())
    }
}

/// One tensor of the model. The caller's order of tensors is the order of the flat vector and of the
/// frames, so every peer must use the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Used in error messages only; it does not travel.
    pub name: String,
    /// One or two dimensions, row-major.
    pub shape: Vec<usize>,
}

impl TensorShape {
    /// A named shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }
}
