//! SparseLoCo's codec (arXiv 2508.15706): how a volunteer's pseudo-gradient becomes a few kilobytes,
//! and how the coordinator and every tab turn those bytes back into one and the same outer step.
//!
//! One round, in the order in which data meets the modules:
//!
//! 1. [`chunking`] cuts each tensor into chunks of at most 4096 values.
//! 2. [`codec`] adds the error feedback, `a = beta * e + delta`, and [`topk`] keeps the k largest
//!    magnitudes of each chunk.
//! 3. [`quantiser`] turns all kept values of one tensor into 2-bit codes and a four-entry table.
//! 4. [`packing`] and [`frame`] write them as `SLC1` bytes; [`model`] concatenates the frames of all
//!    tensors into one payload, and reads it back strictly.
//! 5. [`update`] is a decoded payload; [`aggregate`] clips each peer to the median norm, averages, and
//!    takes the outer step.
//!
//! What a reader would get wrong: only decoding, aggregation and the outer step have to agree bit for
//! bit between machines, because every tab hashes the weights they produce. Those paths use scalar IEEE
//! arithmetic in a fixed order, no fused multiply-add and no library function but `sqrt`. Encoding is
//! free to differ: the sender's bytes are what counts.
//!
//! This crate does no I/O, has no clock and no randomness but a passed seed ([`generator`]).

pub mod accounting;
pub mod aggregate;
pub mod chunking;
pub mod codec;
pub mod config;
pub mod error;
pub mod frame;
pub mod generator;
pub mod model;
pub mod packing;
pub mod quantiser;
pub mod topk;
pub mod update;

pub use aggregate::{Aggregate, AggregateMode, outer_step};
pub use config::{CodecConfig, OneDRule, TensorShape};
pub use error::{CompressionError, FrameFault};
pub use model::{Compressed, ModelCodec};
pub use quantiser::Quantiser;
pub use update::{Similarity, SparseUpdate};
