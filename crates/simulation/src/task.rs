//! What is learnt: a small vector that follows a moving target, in place of a language model.
//!
//! It is the least that makes scoring meaningful: honest work lowers the loss, on the worker's own data
//! more than elsewhere; noise, flipped signs and empty packets do not; packets of different workers share
//! few entries, as those of a real model do. Compression, checks, merge and outer step are the real ones.
//! The target moves so that there is work for thousands of rounds.

use covey_compression::{
    AggregateMode, CodecConfig, ModelCodec, SparseUpdate, TensorShape, aggregate::outer_step,
    generator::generate,
};
use covey_protocol::{Hash, Round};
use covey_scoring::{
    Evaluation,
    loss::{EVALUATION_SHARE, loss_score},
};

const SHAPE: [usize; 2] = [16, 64];
const COUNT: usize = SHAPE[0] * SHAPE[1];
/// How far a round's work goes towards what it sees.
const STEP: f32 = 0.3;
/// Loss at the target: what no training removes.
const FLOOR: f64 = 1.0;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Honest,
    Noise,
    Flipped,
    Scaled,
    Zeros,
    /// The payload of another packet.
    Same(Hash),
}

pub struct Task {
    codec: ModelCodec,
    seed: u64,
}

impl Task {
    pub fn new(seed: u64) -> Self {
        let tensor = TensorShape::new("w", SHAPE);
        let codec = ModelCodec::new(&[tensor], &CodecConfig::default());
        Self {
            codec: codec.expect("the shape can be cut"),
            seed,
        }
    }

    pub fn start() -> Vec<f32> {
        vec![0.0; COUNT]
    }

    /// Where the weights should be in a round: every one goes up and down at a pace of its own.
    fn target(&self, round: Round) -> Vec<f32> {
        let phases = generate(self.seed, COUNT, 1.0);
        phases
            .iter()
            .enumerate()
            .map(|(at, phase)| {
                let period = 200.0 + (at % 97) as f32 * 4.0;
                let turn = (round.0 % 1_000_000) as f32 / period + phase;
                let turn = turn - turn.floor();
                (4.0 * turn - 2.0).abs() - 1.0
            })
            .collect()
    }

    /// What is left to learn: weights minus target.
    fn error(&self, theta: &[f32], round: Round) -> Vec<f32> {
        theta
            .iter()
            .zip(self.target(round))
            .map(|(w, t)| w - t)
            .collect()
    }

    /// A worker's own view of the error: its data pull it elsewhere.
    fn own(&self, error: &[f32], worker: u64, round: Round, weight: f32) -> Vec<f32> {
        let seed = self.seed ^ worker.wrapping_mul(0x9E37_79B9) ^ round.0 << 24;
        let noise = generate(seed, COUNT, 2.6 * f64::from(size(error)));
        error
            .iter()
            .zip(noise)
            .map(|(x, n)| x + weight * n)
            .collect()
    }

    /// A payload made from weights `theta`.
    pub fn payload(&self, content: Content, worker: u64, theta: &[f32], round: Round) -> Vec<u8> {
        let error = self.error(theta, round);
        let honest = || self.own(&error, worker, round, 1.0);
        let delta: Vec<f32> = match content {
            Content::Honest => honest().iter().map(|x| STEP * x).collect(),
            Content::Flipped => honest().iter().map(|x| -STEP * x).collect(),
            Content::Scaled => honest().iter().map(|x| 20.0 * STEP * x).collect(),
            Content::Noise => generate(worker ^ round.0 << 20, COUNT, f64::from(size(&error))),
            Content::Zeros | Content::Same(_) => vec![0.0; COUNT],
        };
        let compressed = self.codec.compress(&delta, &vec![0.0; COUNT]);
        compressed.expect("small finite values").payload
    }

    pub fn decode(&self, payload: &[u8]) -> SparseUpdate {
        self.codec
            .decode(payload)
            .expect("a payload that was admitted")
    }

    /// What one update alone does to the loss, on the worker's data and elsewhere.
    pub fn evaluate(
        &self,
        theta: &[f32],
        update: &SparseUpdate,
        worker: u64,
        round: Round,
        probe: &Hash,
    ) -> Evaluation {
        let mut after = theta.to_vec();
        let rate = -(EVALUATION_SHARE as f32);
        update.add_into(&mut after, rate).expect("one model");
        let (before, after) = (self.error(theta, round), self.error(&after, round));
        let score = |worker: u64, weight: f32| {
            let before_own = self.own(&before, worker, round, weight);
            // The same data before and after, so the same pull.
            let pull = before_own.iter().zip(&before).map(|(own, x)| own - x);
            let after_own: Vec<f32> = after.iter().zip(pull).map(|(x, n)| x + n).collect();
            loss_score(loss(&before_own), loss(&after_own)).unwrap_or(f64::NEG_INFINITY)
        };
        let [a, b, c, d, ..] = probe.0;
        let elsewhere = u64::from(u32::from_le_bytes([a, b, c, d])) | 1 << 40;
        Evaluation {
            own: score(worker, 0.5),
            random: score(elsewhere, 0.2),
        }
    }

    /// The outer step with several updates; gives the new weights.
    pub fn merge(&self, theta: &[f32], updates: &[SparseUpdate]) -> Vec<f32> {
        let updates: Vec<&SparseUpdate> = updates.iter().collect();
        let merged = self.codec.aggregate(&updates, AggregateMode::MeanPresent);
        let mut theta = theta.to_vec();
        let delta = merged.expect("one model").delta;
        outer_step(&mut theta, &delta, 1.0).expect("one model");
        theta
    }

    /// The loss of weights in a round: how well the run is doing.
    pub fn loss(&self, theta: &[f32], round: Round) -> f64 {
        loss(&self.error(theta, round))
    }
}

fn loss(error: &[f32]) -> f64 {
    let squares = error.iter().map(|x| f64::from(*x) * f64::from(*x));
    FLOOR + 0.5 * squares.sum::<f64>() / COUNT as f64
}

/// Root of the mean square.
fn size(values: &[f32]) -> f32 {
    let squares: f32 = values.iter().map(|x| x * x).sum();
    (squares / COUNT as f32).sqrt().max(1e-3)
}
