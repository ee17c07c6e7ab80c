//! Everything that can go wrong in this crate, by what a caller can do about it: fix the run's settings,
//! fix its own arithmetic, or refuse a peer's bytes.

use thiserror::Error;

/// Why an operation of this crate failed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CompressionError {
    /// A setting of the run is outside its range.
    #[error("compression settings: {0}")]
    Config(&'static str),
    /// A model without tensors, or with absurdly many.
    #[error("a model needs 1 to {limit} tensors, got {count}")]
    TensorCount {
        /// Tensors given.
        count: usize,
        /// Most tensors a model may have.
        limit: usize,
    },
    /// A tensor that the codec cannot cut into chunks.
    #[error("tensor {tensor}: shape {shape:?} {problem}")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// Its shape as given.
        shape: Vec<usize>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A vector or payload of the wrong length.
    #[error("{what}: expected length {expected}, got {actual}")]
    Length {
        /// Which input.
        what: &'static str,
        /// The length that the model's geometry demands.
        expected: usize,
        /// The length given.
        actual: usize,
    },
    /// NaN or an infinity where a number is needed.
    #[error("{what} is not finite at position {position}")]
    NonFinite {
        /// Which input.
        what: &'static str,
        /// Its first offending position.
        position: usize,
    },
    /// Values too large for any peer to accept; training has diverged.
    #[error("tensor {tensor}: a value of magnitude {magnitude} is beyond the limit of {limit}")]
    TooLarge {
        /// The tensor's name.
        tensor: String,
        /// The magnitude that would be sent.
        magnitude: f32,
        /// The run's limit.
        limit: f32,
    },
    /// Indices or codes that cannot be packed.
    #[error("packing: {0}")]
    Packing(&'static str),
    /// A peer's payload is malformed.
    #[error("payload, tensor {tensor}: {fault}")]
    Frame {
        /// The tensor whose frame it is.
        tensor: String,
        /// What is wrong.
        fault: FrameFault,
    },
    /// An aggregate of nobody.
    #[error("nothing to aggregate: no update was given")]
    NoUpdates,
    /// An update, or its weights, that belongs to another model.
    #[error("update {position} does not have this model's geometry")]
    GeometryMismatch {
        /// Its position among the updates given.
        position: usize,
    },
}

/// What is wrong with one `SLC1` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// The bytes are more or fewer than the geometry demands.
    #[error("wrong length")]
    Length,
    /// It does not begin with `SLC1`.
    #[error("not an SLC1 frame")]
    Magic,
    /// A header field differs from what the run's model implies.
    #[error("header field {0} is not what the model implies")]
    Geometry(&'static str),
    /// NaN or an infinity among the quantiser's numbers.
    #[error("a quantiser parameter is not finite")]
    NonFinite,
    /// The quantiser's step is outside `1e-12..=1e4` in magnitude.
    #[error("the quantiser's step is out of range")]
    Step,
    /// A dequantised value would exceed the run's limit.
    #[error("a value is beyond the run's limit")]
    Value,
    /// Indices of a chunk are not strictly ascending, or run past its end.
    #[error("indices are not strictly ascending inside their chunk")]
    Indices,
    /// Unused bits of the last byte of codes are set.
    #[error("padding bits are set")]
    Padding,
}
