//! From the peers' updates to the next weights: clip, average, outer step.
//!
//! Per tensor, every peer is scaled down to the lower median of the norms (never up), then the peers are
//! averaged. Without the clip a single peer that sends 64 times too much destroys the model; with it the
//! same peer costs almost nothing. The outer step is plain SGD: local error feedback takes the place of
//! outer momentum (SparseLoCo, arXiv 2508.15706).
//!
//! What a reader would get wrong: all of this must give the same bits on every machine. Sums are f64 in
//! the caller's order of peers (ascending id), with one rounding to f32; the outer step rounds twice in
//! f32. Do not reorder, vectorise across peers or fuse.

use crate::codec::check_finite;
use crate::error::CompressionError;
use crate::model::{Layout, ModelCodec, Placed};
use crate::quantiser::BINS;
use crate::update::{SparseUpdate, TensorUpdate};

/// Keeps the clip factor finite when a peer sends zeros.
const NORM_EPSILON: f64 = 1e-8;

/// Most updates one aggregate takes.
pub const MAX_UPDATES: usize = 4096;

/// What an entry is divided by. The two differ by about the number of peers, since an entry is usually
/// sent by one peer: the outer learning rates of the two are not comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateMode {
    /// By the number of peers; an absent entry counts as zero (the paper).
    MeanR,
    /// By the number of peers that sent the entry (the Templar code).
    MeanPresent,
}

/// The merged pseudo-gradient of a round and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Dense and flat, of the model's length.
    pub delta: Vec<f32>,
    /// Norm of each peer's tensor before the clip: per tensor, per peer.
    pub norms: Vec<Vec<f64>>,
    /// What each peer's tensor was multiplied by, in `0..=1`: per tensor, per peer.
    pub clip: Vec<Vec<f64>>,
}

/// Element `(n - 1) / 2` of the sorted values; `None` of nothing. With an even count it is the smaller of
/// the two middle values, so half of the peers being hostile does not raise it.
#[must_use]
pub fn lower_median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The factor that brings each norm down to the lower median: `min(1, median / (norm + 1e-8))`.
#[must_use]
pub fn clip_factors(norms: &[f64]) -> Vec<f64> {
    let median = lower_median(norms).unwrap_or(0.0);
    norms
        .iter()
        .map(|norm| (median / (norm + NORM_EPSILON)).min(1.0))
        .collect()
}

impl ModelCodec {
    /// Merges the accepted updates of a round, which the caller gives in ascending order of peer id.
    ///
    /// # Errors
    /// No update, more than [`MAX_UPDATES`], or one of another model.
    pub fn aggregate(
        &self,
        updates: &[&SparseUpdate],
        mode: AggregateMode,
    ) -> Result<Aggregate, CompressionError> {
        self.check_updates(updates)?;
        let per_peer: Vec<Vec<f64>> = updates.iter().map(|update| update.norms()).collect();
        let norms: Vec<Vec<f64>> = (0..self.layout.tensors.len())
            .map(|tensor| {
                per_peer
                    .iter()
                    .filter_map(|norms| norms.get(tensor))
                    .copied()
                    .collect()
            })
            .collect();
        let clip: Vec<Vec<f64>> = norms.iter().map(|norms| clip_factors(norms)).collect();
        let delta = self.weighted_mean(updates, &clip, mode)?;
        Ok(Aggregate { delta, norms, clip })
    }

    /// The average with weights of the caller's choice (per tensor, per peer) in place of the clip.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate); also weights of the wrong shape or not finite.
    pub fn weighted_mean(
        &self,
        updates: &[&SparseUpdate],
        weights: &[Vec<f64>],
        mode: AggregateMode,
    ) -> Result<Vec<f32>, CompressionError> {
        self.check_updates(updates)?;
        let wrong = |expected, actual| CompressionError::Length {
            what: "weights",
            expected,
            actual,
        };
        if weights.len() != self.layout.tensors.len() {
            return Err(wrong(self.layout.tensors.len(), weights.len()));
        }
        let mut delta = vec![0.0f32; self.layout.parameters];
        for (number, (placed, weights)) in self.layout.tensors.iter().zip(weights).enumerate() {
            if weights.len() != updates.len() {
                return Err(wrong(updates.len(), weights.len()));
            }
            if let Some(position) = weights.iter().position(|weight| !weight.is_finite()) {
                return Err(CompressionError::NonFinite {
                    what: "weights",
                    position,
                });
            }
            let peers: Vec<Weighted<'_>> = updates
                .iter()
                .zip(weights)
                .filter_map(|(update, weight)| Some(Weighted::new(update.tensor(number)?, *weight)))
                .collect();
            let share = delta.get_mut(placed.parameters.clone()).unwrap_or_default();
            mean_tensor(placed, &peers, mode, share);
        }
        Ok(delta)
    }

    fn check_updates(&self, updates: &[&SparseUpdate]) -> Result<(), CompressionError> {
        if updates.is_empty() {
            return Err(CompressionError::NoUpdates);
        }
        if updates.len() > MAX_UPDATES {
            return Err(CompressionError::Length {
                what: "updates",
                expected: MAX_UPDATES,
                actual: updates.len(),
            });
        }
        match updates
            .iter()
            .position(|update| !Layout::same(&update.layout, &self.layout))
        {
            Some(position) => Err(CompressionError::GeometryMismatch { position }),
            None => Ok(()),
        }
    }
}

/// One peer's tensor with its weight already multiplied into the four values that occur.
struct Weighted<'a> {
    tensor: TensorUpdate<'a>,
    values: [f64; BINS],
}

impl<'a> Weighted<'a> {
    fn new(tensor: TensorUpdate<'a>, weight: f64) -> Self {
        Self {
            tensor,
            values: tensor
                .quantiser
                .values()
                .map(|value| weight * f64::from(value)),
        }
    }
}

/// Averages one tensor chunk by chunk: chunks share no entry, so the f64 sums of one fit the cache, and a
/// model of any size needs no dense f64 copy.
fn mean_tensor(placed: &Placed, peers: &[Weighted<'_>], mode: AggregateMode, out: &mut [f32]) {
    let chunking = placed.codec.chunking();
    let k = usize::from(placed.codec.geometry().k);
    let mut sums = vec![0.0f64; chunking.chunk_len()];
    let mut senders = vec![0u16; chunking.chunk_len()];
    let everyone = peers.len() as f64;
    for chunk in 0..chunking.chunks() {
        sums.fill(0.0);
        senders.fill(0);
        let entries = chunk * k..(chunk + 1) * k;
        for Weighted { tensor, values } in peers {
            let indices = tensor.indices.get(entries.clone()).unwrap_or_default();
            let codes = tensor.codes.get(entries.clone()).unwrap_or_default();
            for (index, code) in indices.iter().zip(codes) {
                let index = usize::from(*index);
                if let (Some(sum), Some(count), Some(value)) = (
                    sums.get_mut(index),
                    senders.get_mut(index),
                    values.get(usize::from(*code)),
                ) {
                    *sum += value;
                    *count += 1;
                }
            }
        }
        let mut means = sums.iter().zip(&senders).map(|(sum, count)| match mode {
            _ if *count == 0 => 0.0,
            AggregateMode::MeanR => (sum / everyone) as f32,
            AggregateMode::MeanPresent => (sum / f64::from(*count)) as f32,
        });
        for row in chunking.rows(chunk) {
            for (entry, mean) in out
                .get_mut(row)
                .unwrap_or_default()
                .iter_mut()
                .zip(means.by_ref())
            {
                *entry = mean;
            }
        }
    }
}

/// The outer step `theta -= alpha * delta`: plain SGD, two f32 roundings per weight.
///
/// # Errors
/// Different lengths, or a learning rate or delta that is not finite; `theta` is then unchanged.
pub fn outer_step(theta: &mut [f32], delta: &[f32], alpha: f32) -> Result<(), CompressionError> {
    if theta.len() != delta.len() {
        return Err(CompressionError::Length {
            what: "delta",
            expected: theta.len(),
            actual: delta.len(),
        });
    }
    check_finite("outer learning rate", &[alpha])?;
    check_finite("delta", delta)?;
    for (weight, change) in theta.iter_mut().zip(delta) {
        *weight -= alpha * change;
    }
    Ok(())
}
