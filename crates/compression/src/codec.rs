//! One tensor: top-k of every chunk, one quantiser over all that was kept, and what stays behind.
//!
//! The error feedback `e' = a - sent` keeps both the dropped entries and the error of the kept ones, so
//! nothing is lost, only delayed. What a reader would get wrong: there is no learning rate in it
//! (SparseLoCo, and the Templar code; an earlier research code had one and so applied it twice).

use crate::chunking::{Chunking, MAX_BLOCK_SIDE, effective_k};
use crate::config::{CodecConfig, TensorShape};
use crate::error::{CompressionError, FrameFault};
use crate::frame::{FrameGeometry, check_quantiser};
use crate::quantiser::Quantiser;
use crate::topk::TopK;

/// `a = beta * feedback + delta`, in f32 with two roundings per value.
///
/// # Errors
/// Different lengths, or a value that is not finite among the inputs or the sums.
pub fn accumulate(
    delta: &[f32],
    feedback: &[f32],
    beta: f32,
) -> Result<Vec<f32>, CompressionError> {
    if feedback.len() != delta.len() {
        return Err(CompressionError::Length {
            what: "error feedback",
            expected: delta.len(),
            actual: feedback.len(),
        });
    }
    check_finite("delta", delta)?;
    check_finite("error feedback", feedback)?;
    let accumulated: Vec<f32> = feedback
        .iter()
        .zip(delta)
        .map(|(e, d)| beta * e + d)
        .collect();
    check_finite("accumulated delta", &accumulated)?;
    Ok(accumulated)
}

pub(crate) fn check_finite(what: &'static str, values: &[f32]) -> Result<(), CompressionError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(CompressionError::NonFinite { what, position }),
        None => Ok(()),
    }
}

/// Buffers that [`TensorCodec::encode`] reuses from tensor to tensor.
#[derive(Debug, Default)]
pub struct Scratch {
    chunk: Vec<f32>,
    top: TopK,
    indices: Vec<u16>,
    kept: Vec<f32>,
    codes: Vec<u8>,
}

/// How one tensor of a run is compressed.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorCodec {
    name: String,
    chunking: Chunking,
    geometry: FrameGeometry,
    value_limit: f32,
}

impl TensorCodec {
    /// The codec of a tensor under a run's settings.
    ///
    /// # Errors
    /// A shape that is empty, has neither one nor two dimensions, is too large to address, or whose
    /// chunks would hold a single value.
    pub fn new(tensor: &TensorShape, config: &CodecConfig) -> Result<Self, CompressionError> {
        let refuse = |problem| CompressionError::Shape {
            tensor: tensor.name.clone(),
            shape: tensor.shape.clone(),
            problem,
        };
        let size = tensor
            .shape
            .iter()
            .try_fold(1usize, |size, dim| size.checked_mul(*dim));
        let size = size
            .filter(|size| *size <= crate::model::MAX_PARAMETERS)
            .ok_or_else(|| refuse("is too large"))?;
        let chunking = match tensor.shape.as_slice() {
            [len] => Chunking::vector(*len, config.one_d.run_limit()),
            [rows, cols] => Chunking::matrix(*rows, *cols, MAX_BLOCK_SIDE),
            _ => return Err(refuse("has neither one nor two dimensions")),
        };
        if size == 0 {
            return Err(refuse("holds no value"));
        }
        let chunk_len = chunking.chunk_len();
        if chunk_len < 2 {
            return Err(refuse(
                "has no divisor to cut it by: make its dimensions multiples of 64",
            ));
        }
        let k = effective_k(chunk_len, usize::from(config.k), config.scale_k);
        let (Ok(chunks), Ok(chunk_len), Ok(k)) = (
            u32::try_from(chunking.chunks()),
            u16::try_from(chunk_len),
            u16::try_from(k),
        ) else {
            return Err(refuse("is too large"));
        };
        let geometry = FrameGeometry {
            chunks,
            chunk_len,
            k,
            one_d: config.one_d,
        };
        Ok(Self {
            name: tensor.name.clone(),
            chunking,
            geometry,
            value_limit: config.value_limit,
        })
    }

    /// The tensor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is cut.
    #[must_use]
    pub const fn chunking(&self) -> &Chunking {
        &self.chunking
    }

    /// What its frames look like.
    #[must_use]
    pub const fn geometry(&self) -> &FrameGeometry {
        &self.geometry
    }

    /// Appends the frame of `accumulated` (row-major, finite) to `payload` and subtracts what the frame
    /// stands for from `feedback`, which holds a copy of `accumulated` on entry.
    ///
    /// # Errors
    /// Wrong lengths, or values so large that every decoder of this run would refuse the frame.
    pub fn encode(
        &self,
        accumulated: &[f32],
        scratch: &mut Scratch,
        payload: &mut Vec<u8>,
        feedback: &mut [f32],
    ) -> Result<(), CompressionError> {
        for actual in [accumulated.len(), feedback.len()] {
            if actual != self.chunking.len() {
                return Err(CompressionError::Length {
                    what: "tensor",
                    expected: self.chunking.len(),
                    actual,
                });
            }
        }
        let Scratch {
            chunk,
            top,
            indices,
            kept,
            codes,
        } = scratch;
        indices.clear();
        kept.clear();
        codes.clear();
        let k = usize::from(self.geometry.k);
        for number in 0..self.chunking.chunks() {
            self.chunking.gather(accumulated, number, chunk);
            let first = indices.len();
            top.select(chunk, k, indices);
            let chosen = indices.iter().skip(first);
            kept.extend(chosen.filter_map(|index| chunk.get(usize::from(*index))));
        }
        let quantiser = Quantiser::fit(kept, codes);
        check_quantiser(&quantiser, self.value_limit).map_err(|_| self.too_large(kept))?;
        self.geometry.write(&quantiser, indices, codes, payload)?;
        self.for_each_entry(&quantiser, indices, codes, |position, value| {
            if let Some(entry) = feedback.get_mut(position) {
                *entry -= value;
            }
        });
        Ok(())
    }

    fn too_large(&self, kept: &[f32]) -> CompressionError {
        let magnitude = kept
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        CompressionError::TooLarge {
            tensor: self.name.clone(),
            magnitude,
            limit: self.value_limit,
        }
    }

    /// Reads this tensor's frame, appending its entries to `indices` and `codes`.
    ///
    /// # Errors
    /// A malformed frame.
    pub fn decode(
        &self,
        frame: &[u8],
        indices: &mut Vec<u16>,
        codes: &mut Vec<u8>,
    ) -> Result<Quantiser, CompressionError> {
        self.geometry
            .read(frame, self.value_limit, indices, codes)
            .map_err(|fault| self.fault(fault))
    }

    pub(crate) fn fault(&self, fault: FrameFault) -> CompressionError {
        CompressionError::Frame {
            tensor: self.name.clone(),
            fault,
        }
    }

    /// Calls `visit` with the row-major position and dequantised value of every entry, in frame order.
    pub(crate) fn for_each_entry(
        &self,
        quantiser: &Quantiser,
        indices: &[u16],
        codes: &[u8],
        mut visit: impl FnMut(usize, f32),
    ) {
        let values = quantiser.values();
        let k = usize::from(self.geometry.k);
        for (number, (indices, codes)) in indices.chunks(k).zip(codes.chunks(k)).enumerate() {
            let origin = self.chunking.origin(number);
            for (index, code) in indices.iter().zip(codes) {
                if let Some(value) = values.get(usize::from(*code)) {
                    visit(origin + self.chunking.offset(usize::from(*index)), *value);
                }
            }
        }
    }
}
