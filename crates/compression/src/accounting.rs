//! What a payload costs: bits per parameter and how much less that is than sending the pseudo-gradient
//! dense.
//!
//! The headline "more than 146 times" of Covenant-72B (arXiv 2603.08163) is 32 bits against 14 bits for
//! one value of 64, upload only, without the tensors' headers. [`ModelCodec::payload_len`] counts those
//! too; these figures are for comparing index and value codings.
//!
//! [`ModelCodec::payload_len`]: crate::ModelCodec::payload_len

use crate::packing::{CODE_BITS, INDEX_BITS};

/// Bits of one entry in an `SLC1` frame.
pub const BITS_PER_ENTRY: u32 = INDEX_BITS + CODE_BITS;

/// A coding that keeps `k` of every `chunk_len` values at `bits_per_entry` bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// Entries kept of a chunk.
    pub k: u32,
    /// Values in a chunk; not zero.
    pub chunk_len: u32,
    /// Bits of an index and its value.
    pub bits_per_entry: u32,
}

impl Coding {
    /// Bits sent per parameter of the model.
    #[must_use]
    pub fn bits_per_parameter(&self) -> f64 {
        f64::from(self.bits_per_entry) * f64::from(self.k) / f64::from(self.chunk_len)
    }

    /// How many times smaller than a dense pseudo-gradient of `dense_bits` per parameter (32 or 16).
    #[must_use]
    pub fn ratio(&self, dense_bits: u32) -> f64 {
        f64::from(dense_bits) / self.bits_per_parameter()
    }

    /// Bytes of a payload for a model of that many parameters, without headers.
    #[must_use]
    pub fn payload_bytes(&self, parameters: f64) -> f64 {
        parameters * self.bits_per_parameter() / 8.0
    }

    /// The fewest bits per entry that any coding of the index sets could need:
    /// `log2(chunk_len choose k) / k`.
    #[must_use]
    pub fn index_entropy_bound(&self) -> f64 {
        let (n, k) = (f64::from(self.chunk_len), f64::from(self.k));
        (0..self.k)
            .map(f64::from)
            .map(|i| ((n - i) / (k - i)).log2())
            .sum::<f64>()
            / k
    }
}
