//! A decoded payload: the sparse pseudo-gradient of one peer.
//!
//! Entries stay as 16-bit indices and codes (three bytes each), because a round holds one update per
//! peer: sixteen peers of a 125 M model take 94 MB this way. Values are looked up where they are used.

use std::sync::Arc;

use crate::codec::TensorCodec;
use crate::error::CompressionError;
use crate::model::{Layout, Placed};
use crate::quantiser::{BINS, Quantiser};

/// One peer's update; made by [`ModelCodec::decode`](crate::ModelCodec::decode), so it is well-formed.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseUpdate {
    pub(crate) layout: Arc<Layout>,
    pub(crate) quantisers: Vec<Quantiser>,
    pub(crate) indices: Vec<u16>,
    pub(crate) codes: Vec<u8>,
}

/// One tensor of an update.
#[derive(Clone, Copy, Debug)]
pub struct TensorUpdate<'a> {
    /// The tensor's codec.
    pub codec: &'a TensorCodec,
    /// What the codes stand for.
    pub quantiser: &'a Quantiser,
    /// Indices inside the chunks: k per chunk, ascending.
    pub indices: &'a [u16],
    /// One 2-bit code per index.
    pub codes: &'a [u8],
}

impl TensorUpdate<'_> {
    /// Euclidean norm of the dequantised values. Counting codes first makes it exact but for a few
    /// roundings, and independent of the order of entries.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let mut counts = [0u32; BINS];
        for code in self.codes {
            if let Some(count) = counts.get_mut(usize::from(*code)) {
                *count += 1;
            }
        }
        let squares = counts
            .iter()
            .zip(self.quantiser.values())
            .map(|(count, value)| {
                let value = f64::from(value);
                f64::from(*count) * (value * value)
            });
        squares.sum::<f64>().sqrt()
    }

    /// Indices and dequantised values, chunk by chunk.
    fn chunks(&self, k: usize) -> impl Iterator<Item = impl Iterator<Item = (u16, f64)>> {
        let values = self.quantiser.values().map(f64::from);
        let chunks = self.indices.chunks(k).zip(self.codes.chunks(k));
        chunks.map(move |(indices, codes)| {
            let values = codes
                .iter()
                .map(move |code| values.get(usize::from(*code)).copied().unwrap_or_default());
            indices.iter().copied().zip(values)
        })
    }

    fn for_each_entry(&self, visit: impl FnMut(usize, f32)) {
        self.codec
            .for_each_entry(self.quantiser, self.indices, self.codes, visit);
    }
}

impl SparseUpdate {
    /// The tensors in the model's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorUpdate<'_>> {
        self.placed().map(|(_, tensor)| tensor)
    }

    /// One tensor by its number in the model's order.
    #[must_use]
    pub fn tensor(&self, number: usize) -> Option<TensorUpdate<'_>> {
        let (placed, quantiser) = (
            self.layout.tensors.get(number)?,
            self.quantisers.get(number)?,
        );
        Some(self.view(placed, quantiser))
    }

    fn view<'a>(&'a self, placed: &'a Placed, quantiser: &'a Quantiser) -> TensorUpdate<'a> {
        let indices = self.indices.get(placed.entries.clone()).unwrap_or_default();
        let codes = self.codes.get(placed.entries.clone()).unwrap_or_default();
        TensorUpdate {
            codec: &placed.codec,
            quantiser,
            indices,
            codes,
        }
    }

    fn placed(&self) -> impl Iterator<Item = (&Placed, TensorUpdate<'_>)> {
        self.layout
            .tensors
            .iter()
            .zip(&self.quantisers)
            .map(|(placed, quantiser)| (placed, self.view(placed, quantiser)))
    }

    /// Euclidean norm of each tensor.
    #[must_use]
    pub fn norms(&self) -> Vec<f64> {
        self.tensors().map(|tensor| tensor.norm()).collect()
    }

    /// Adds `scale` times this update to a flat vector of the model's length: with `scale = -c * alpha`
    /// the weights after this peer alone, as the Gauntlet's loss score needs them.
    ///
    /// # Errors
    /// A vector of another length.
    pub fn add_into(&self, target: &mut [f32], scale: f32) -> Result<(), CompressionError> {
        if target.len() != self.layout.parameters {
            return Err(CompressionError::Length {
                what: "target",
                expected: self.layout.parameters,
                actual: target.len(),
            });
        }
        for (placed, tensor) in self.placed() {
            let share = target
                .get_mut(placed.parameters.clone())
                .unwrap_or_default();
            tensor.for_each_entry(|position, value| {
                if let Some(entry) = share.get_mut(position) {
                    *entry += scale * value;
                }
            });
        }
        Ok(())
    }

    /// The dense flat vector that this update stands for.
    #[must_use]
    pub fn decompress(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.layout.parameters];
        for (placed, tensor) in self.placed() {
            let share = dense.get_mut(placed.parameters.clone()).unwrap_or_default();
            tensor.for_each_entry(|position, value| {
                if let Some(entry) = share.get_mut(position) {
                    *entry = value;
                }
            });
        }
        dense
    }

    /// The payload this update was decoded from: the encoding is canonical, so these are the same bytes.
    ///
    /// # Errors
    /// None for an update that was decoded; the type says what packing may refuse.
    pub fn encode(&self) -> Result<Vec<u8>, CompressionError> {
        let mut payload = Vec::with_capacity(self.layout.payload_len);
        for tensor in self.tensors() {
            tensor.codec.geometry().write(
                tensor.quantiser,
                tensor.indices,
                tensor.codes,
                &mut payload,
            )?;
        }
        Ok(payload)
    }

    /// The share of entries that two updates have in common, in `0..=1`; high overlap betrays a copy
    /// (Gauntlet, arXiv 2505.21684). Updates of different models share nothing.
    #[must_use]
    pub fn index_overlap(&self, other: &Self) -> f64 {
        if !Layout::same(&self.layout, &other.layout) || self.indices.is_empty() {
            return 0.0;
        }
        let mut shared = 0usize;
        for (mine, theirs) in self.tensors().zip(other.tensors()) {
            let k = usize::from(mine.codec.geometry().k);
            let chunks = mine.indices.chunks(k).zip(theirs.indices.chunks(k));
            shared += chunks
                .map(|(mine, theirs)| common(mine, theirs))
                .sum::<usize>();
        }
        shared as f64 / self.indices.len() as f64
    }

    /// [`index_overlap`](Self::index_overlap) and how far the values at shared entries agree: a copy
    /// that was rescaled or slightly disturbed still points the same way.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> Similarity {
        if !Layout::same(&self.layout, &other.layout) || self.indices.is_empty() {
            return Similarity::default();
        }
        let (mut shared, mut dot, mut mine_squared, mut theirs_squared) = (0usize, 0.0, 0.0, 0.0);
        for (mine, theirs) in self.tensors().zip(other.tensors()) {
            let k = usize::from(mine.codec.geometry().k);
            for (mine, theirs) in mine.chunks(k).zip(theirs.chunks(k)) {
                let mut theirs = theirs.peekable();
                for (index, value) in mine {
                    while theirs.next_if(|(other, _)| *other < index).is_some() {}
                    if let Some((_, other)) = theirs.next_if(|(other, _)| *other == index) {
                        shared += 1;
                        dot += value * other;
                        mine_squared += value * value;
                        theirs_squared += other * other;
                    }
                }
            }
        }
        let norms = (mine_squared * theirs_squared).sqrt();
        Similarity {
            overlap: shared as f64 / self.indices.len() as f64,
            cosine: if norms > 0.0 {
                (dot / norms).clamp(-1.0, 1.0)
            } else {
                0.0
            },
        }
    }
}

/// How alike two updates are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Similarity {
    /// Share of entries that both have, in `0..=1`.
    pub overlap: f64,
    /// Cosine of the values at those entries, in `-1..=1`; 0 where there are none or all are 0.
    pub cosine: f64,
}

/// How many numbers two ascending slices have in common.
fn common(left: &[u16], right: &[u16]) -> usize {
    let mut right = right.iter().peekable();
    left.iter()
        .filter(|index| {
            while right.next_if(|other| other < index).is_some() {}
            right.next_if_eq(index).is_some()
        })
        .count()
}
