//! The whole model: where each tensor lies in the flat vector and each frame in the payload.
//!
//! A model's weights travel through this crate as one flat f32 vector: the tensors row-major, one after
//! the other, in the order given to [`ModelCodec::new`]. A payload is their `SLC1` frames in the same
//! order, without separators, because geometry fixes every length.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{Scratch, TensorCodec, accumulate};
use crate::config::{CodecConfig, TensorShape};
use crate::error::{CompressionError, FrameFault};
use crate::update::SparseUpdate;

/// Most parameters a model may have here. Every length in bytes then fits 32 bits, so that a tab computes
/// with the same numbers as a server.
pub const MAX_PARAMETERS: usize = 1 << 30;

/// Most tensors a model may have.
pub const MAX_TENSORS: usize = 1 << 14;

/// A tensor and its share of the flat vector, of all entries, and of the payload.
#[derive(Debug, PartialEq)]
pub(crate) struct Placed {
    pub codec: TensorCodec,
    pub parameters: Range<usize>,
    pub entries: Range<usize>,
    pub frame: Range<usize>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub config: CodecConfig,
    pub tensors: Vec<Placed>,
    pub parameters: usize,
    pub entries: usize,
    pub payload_len: usize,
}

impl Layout {
    /// Whether two updates belong to the same model; nearly always the very same `Arc`.
    pub fn same(left: &Arc<Self>, right: &Arc<Self>) -> bool {
        Arc::ptr_eq(left, right) || left == right
    }
}

/// The codec of one run's model; cloning shares the geometry.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCodec {
    pub(crate) layout: Arc<Layout>,
}

/// What a volunteer keeps and sends after one round. All vectors have the model's length.
#[derive(Clone, Debug, PartialEq)]
pub struct Compressed {
    /// The frames to upload.
    pub payload: Vec<u8>,
    /// Error feedback to keep once the payload was accepted: accumulated minus sent.
    pub sent_feedback: Vec<f32>,
    /// Error feedback to keep if the payload was not accepted, since then nothing was sent: accumulated.
    pub unsent_feedback: Vec<f32>,
}

impl ModelCodec {
    /// Places the tensors of a model, in the order that every peer of the run uses.
    ///
    /// # Errors
    /// Settings out of range, no tensors or too many, a shape that cannot be cut, or a model of more
    /// than [`MAX_PARAMETERS`].
    pub fn new(tensors: &[TensorShape], config: &CodecConfig) -> Result<Self, CompressionError> {
        config.check()?;
        if tensors.is_empty() || tensors.len() > MAX_TENSORS {
            return Err(CompressionError::TensorCount {
                count: tensors.len(),
                limit: MAX_TENSORS,
            });
        }
        let (mut parameters, mut entries, mut payload_len) = (0, 0, 0);
        let mut placed = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let codec = TensorCodec::new(tensor, config)?;
            let size = codec.chunking().len();
            if size > MAX_PARAMETERS - parameters {
                return Err(CompressionError::Shape {
                    tensor: tensor.name.clone(),
                    shape: tensor.shape.clone(),
                    problem: "makes the model too large",
                });
            }
            let next = Placed {
                parameters: advance(&mut parameters, size),
                entries: advance(&mut entries, codec.geometry().entries()),
                frame: advance(&mut payload_len, codec.geometry().frame_len()),
                codec,
            };
            placed.push(next);
        }
        let layout = Layout {
            config: config.clone(),
            tensors: placed,
            parameters,
            entries,
            payload_len,
        };
        Ok(Self {
            layout: Arc::new(layout),
        })
    }

    /// The run's settings.
    #[must_use]
    pub fn config(&self) -> &CodecConfig {
        &self.layout.config
    }

    /// Values in the model's flat vector.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layout.parameters
    }

    /// Entries that every update has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.layout.entries
    }

    /// Exact length of every payload in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.layout.payload_len
    }

    /// The tensors in order, each with its share of the flat vector.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&TensorCodec, Range<usize>)> {
        self.layout
            .tensors
            .iter()
            .map(|placed| (&placed.codec, placed.parameters.clone()))
    }

    /// Compresses a pseudo-gradient `delta = theta_before - theta_after` (it points up the loss).
    ///
    /// # Errors
    /// Wrong lengths, values that are not finite, or so large that the run's decoders would refuse them.
    pub fn compress(
        &self,
        delta: &[f32],
        error_feedback: &[f32],
    ) -> Result<Compressed, CompressionError> {
        self.check_len("delta", delta.len())?;
        self.check_len("error feedback", error_feedback.len())?;
        let accumulated = accumulate(delta, error_feedback, self.layout.config.beta)?;
        let mut feedback = accumulated.clone();
        let mut payload = Vec::with_capacity(self.layout.payload_len);
        let mut scratch = Scratch::default();
        for Placed {
            codec, parameters, ..
        } in &self.layout.tensors
        {
            let own = accumulated.get(parameters.clone()).unwrap_or_default();
            let kept = feedback.get_mut(parameters.clone()).unwrap_or_default();
            codec.encode(own, &mut scratch, &mut payload, kept)?;
        }
        Ok(Compressed {
            payload,
            sent_feedback: feedback,
            unsent_feedback: accumulated,
        })
    }

    /// Reads a payload, strictly. Its length is checked before anything is allocated, and what is then
    /// allocated depends on the run's model alone.
    ///
    /// # Errors
    /// Any deviation from what [`compress`](Self::compress) of this run could have written.
    pub fn decode(&self, payload: &[u8]) -> Result<SparseUpdate, CompressionError> {
        if payload.len() != self.layout.payload_len {
            return Err(CompressionError::Length {
                what: "payload",
                expected: self.layout.payload_len,
                actual: payload.len(),
            });
        }
        let mut quantisers = Vec::with_capacity(self.layout.tensors.len());
        let mut indices = Vec::with_capacity(self.layout.entries);
        let mut codes = Vec::with_capacity(self.layout.entries);
        for Placed { codec, frame, .. } in &self.layout.tensors {
            let frame = payload
                .get(frame.clone())
                .ok_or_else(|| codec.fault(FrameFault::Length))?;
            quantisers.push(codec.decode(frame, &mut indices, &mut codes)?);
        }
        Ok(SparseUpdate {
            layout: Arc::clone(&self.layout),
            quantisers,
            indices,
            codes,
        })
    }

    fn check_len(&self, what: &'static str, actual: usize) -> Result<(), CompressionError> {
        let expected = self.layout.parameters;
        if actual == expected {
            Ok(())
        } else {
            Err(CompressionError::Length {
                what,
                expected,
                actual,
            })
        }
    }
}

fn advance(position: &mut usize, by: usize) -> Range<usize> {
    let start = *position;
    *position += by;
    start..*position
}
