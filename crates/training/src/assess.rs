//! What one packet alone would do to the loss: the measurement behind Gauntlet's loss score and its
//! proof of computation (arXiv 2505.21684; spec 2.2 and 2.7).
//!
//! A packet is tried on a copy of the weights, `theta - c * alpha * update`, clipped to the norms the
//! merge would clip it to. The loss is taken before and after on two small batches: sequences the
//! volunteer was assigned and says it trained on, and held-out sequences nobody was assigned, the same
//! for everyone in a round.
//!
//! What a reader would get wrong: the seed of both draws must be unknown while volunteers train, or a
//! lazy one would train on just the few sequences that are looked at. Nothing here decides anything; it
//! measures, and `covey-scoring` judges.

use burn::tensor::{Device, Int, Tensor, TensorData};
use covey_compression::{AggregateMode, ModelCodec, SparseUpdate, aggregate::clip_factors};
use covey_protocol::{Hash, model::ModelConfig};

use crate::{
    TrainingError,
    data::{Batch, sequences_in},
    inner::read_all,
    model::Transformer,
    sampling::{EVALUATION, assign},
};

/// Sequences of each kind that a packet is measured on.
pub const SEQUENCES: usize = 8;

/// Models above this many parameters are measured on fewer sequences, in proportion.
const FULL_SAMPLE_PARAMETERS: u64 = 4_000_000;

/// How many sequences of each kind a packet of this model is measured on: eight, but fewer where a
/// forward pass costs seconds.
#[must_use]
pub fn sequences_for(config: &ModelConfig) -> usize {
    let all = SEQUENCES as u64;
    let affordable = all * FULL_SAMPLE_PARAMETERS / config.parameters().max(1);
    usize::try_from(affordable.clamp(1, all)).unwrap_or(1)
}

/// At most `count` held-out sequences drawn with `seed`.
///
/// # Errors
/// When the tokens hold no whole sequence.
pub fn held_out_sample(
    held_out: &[u16],
    context: usize,
    count: usize,
    seed: &Hash,
) -> Result<Batch, TrainingError> {
    let available = sequences_in(held_out.len(), context) as u64;
    let mut batch = Batch::empty(context);
    for number in assign(EVALUATION, &seed.0, b"random", 0, available, count) {
        let start = number as usize * context;
        batch.push(held_out.get(start..start + context + 1).unwrap_or_default());
    }
    if batch.sequences == 0 {
        return Err(TrainingError::NoSequences(context + 1));
    }
    Ok(batch)
}

/// Mean cross-entropy of one batch in nats per token, before and after a packet. `after` may be
/// infinite or NaN: that is what a hostile packet can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    pub before: f64,
    pub after: f64,
}

/// What was measured of one packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// On the volunteer's own sequences.
    pub own: Losses,
    /// On the held-out sequences.
    pub random: Losses,
}

/// A packet to try.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    pub update: &'a SparseUpdate,
    /// Sequences of its volunteer.
    pub own: &'a Batch,
}

/// Tries packets of one run's model on one device.
pub struct Assessor {
    config: ModelConfig,
    codec: ModelCodec,
    device: Device,
    model: Transformer,
}

impl Assessor {
    /// `codec` is the run's.
    #[must_use]
    pub fn new(config: &ModelConfig, codec: &ModelCodec, device: &Device) -> Self {
        Self {
            config: config.clone(),
            codec: codec.clone(),
            device: device.clone(),
            model: Transformer::new(config, config.context, device),
        }
    }

    /// Measures packets in the order given, each alone, with a step of `rate` (`c * alpha`). Before
    /// each one `go_on` is asked, which may let others have their turn; once it says no, the rest is
    /// `None`. `theta` is never changed.
    ///
    /// # Errors
    /// When the device fails or the weights are not of this model; a packet cannot cause an error.
    pub async fn measure(
        &self,
        theta: &[f32],
        rate: f32,
        trials: &[Trial<'_>],
        random: &Batch,
        mut go_on: impl AsyncFnMut() -> bool,
    ) -> Result<Vec<Option<Measured>>, TrainingError> {
        let clip = clip(trials);
        let shared = Transformer::load(&self.config, theta, &self.device)?;
        let random_before = self.loss(&shared, random).await?;
        let mut measured = Vec::with_capacity(trials.len());
        for (trial, clip) in trials.iter().zip(clip) {
            if !go_on().await {
                break;
            }
            let delta = self
                .codec
                .weighted_mean(&[trial.update], &clip, AggregateMode::MeanR)?;
            let tried: Vec<f32> = theta
                .iter()
                .zip(&delta)
                .map(|(weight, change)| weight - rate * change)
                .collect();
            let tried = Transformer::load(&self.config, &tried, &self.device)?;
            measured.push(Some(Measured {
                own: Losses {
                    before: self.loss(&shared, trial.own).await?,
                    after: self.loss(&tried, trial.own).await?,
                },
                random: Losses {
                    before: random_before,
                    after: self.loss(&tried, random).await?,
                },
            }));
        }
        measured.resize(trials.len(), None);
        Ok(measured)
    }

    async fn loss(&self, parameters: &[Tensor<2>], batch: &Batch) -> Result<f64, TrainingError> {
        let shape = [batch.sequences, batch.context];
        let tensor = |tokens: &[i32]| -> Tensor<2, Int> {
            Tensor::from_data(TensorData::new(tokens.to_vec(), shape), &self.device)
        };
        let loss = self
            .model
            .loss(parameters, tensor(&batch.inputs), tensor(&batch.targets));
        let loss = read_all(vec![loss]).await?.concat();
        Ok(loss.first().copied().map_or(f64::NAN, f64::from))
    }
}

/// Each packet's clip factors as the merge of all of them would have them: per packet, per tensor, in
/// the shape that a merge of one takes.
fn clip(trials: &[Trial<'_>]) -> Vec<Vec<Vec<f64>>> {
    let norms: Vec<Vec<f64>> = trials.iter().map(|trial| trial.update.norms()).collect();
    let tensors = norms.first().map_or(0, Vec::len);
    let by_tensor: Vec<Vec<f64>> = (0..tensors)
        .map(|tensor| {
            let of_all: Vec<f64> = norms
                .iter()
                .map(|norms| norms.get(tensor).copied().unwrap_or_default())
                .collect();
            clip_factors(&of_all)
        })
        .collect();
    (0..trials.len())
        .map(|peer| {
            let factor = |factors: &Vec<f64>| vec![factors.get(peer).copied().unwrap_or(1.0)];
            by_tensor.iter().map(factor).collect()
        })
        .collect()
}
