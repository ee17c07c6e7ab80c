//! What is learnt: a small vector that follows a moving target, in place of a language model.
//!
//! It is the least that makes scoring meaningful: honest work lowers the loss, on the worker's own data
//! more than elsewhere; noise, flipped signs and empty packets do not; packets of different workers share
//! few entries, as those of a real model do. Compression, checks, merge and outer step are the real ones.
//! The target moves so that there is work for thousands of rounds.

use std::rc::Rc;

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
    /// Where in its turn each weight's target begins.
    phases: Vec<f32>,
}

/// What there is to learn in one round from given weights; worked out once for all who look at it.
pub struct Lesson {
    round: Round,
    theta: Rc<Vec<f32>>,
    target: Vec<f32>,
    /// What is left to learn: weights minus target.
    error: Vec<f32>,
    size: f32,
}

/// How a round's packets are tried, each with the same data of nobody.
pub struct Trial<'a> {
    task: &'a Task,
    lesson: &'a Lesson,
    elsewhere: Pull,
}

/// Data, as what they add to the error, and the loss on them before an update.
struct Pull {
    pull: Vec<f32>,
    before: f64,
}

impl Task {
    pub fn new(seed: u64) -> Self {
        let tensor = TensorShape::new("w", SHAPE);
        let codec = ModelCodec::new(&[tensor], &CodecConfig::default());
        Self {
            codec: codec.expect("the shape can be cut"),
            seed,
            phases: generate(seed, COUNT, 1.0),
        }
    }

    pub fn start() -> Vec<f32> {
        vec![0.0; COUNT]
    }

    /// Where the weights should be in a round: every one goes up and down at a pace of its own.
    fn target(&self, round: Round) -> Vec<f32> {
        self.phases
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

    pub fn lesson(&self, theta: &Rc<Vec<f32>>, round: Round) -> Lesson {
        let target = self.target(round);
        let error = minus(theta, &target);
        Lesson {
            round,
            theta: Rc::clone(theta),
            target,
            size: size(&error),
            error,
        }
    }

    /// A worker's own view of the error: its data pull it elsewhere.
    fn own(&self, lesson: &Lesson, worker: u64, weight: f32) -> Vec<f32> {
        let seed = self.seed ^ worker.wrapping_mul(0x9E37_79B9) ^ lesson.round.0 << 24;
        let noise = generate(seed, COUNT, 2.6 * f64::from(lesson.size));
        let own = lesson.error.iter().zip(noise);
        own.map(|(x, n)| x + weight * n).collect()
    }

    /// A payload made from a lesson's weights.
    pub fn payload(&self, content: Content, worker: u64, lesson: &Lesson) -> Vec<u8> {
        let honest = || self.own(lesson, worker, 1.0);
        let delta: Vec<f32> = match content {
            Content::Honest => honest().iter().map(|x| STEP * x).collect(),
            Content::Flipped => honest().iter().map(|x| -STEP * x).collect(),
            Content::Scaled => honest().iter().map(|x| 20.0 * STEP * x).collect(),
            Content::Noise => {
                let seed = worker ^ lesson.round.0 << 20;
                generate(seed, COUNT, f64::from(lesson.size))
            }
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

    /// The trial of a round's packets, on the data of their workers and on other data that `probe` decides.
    pub fn trial<'a>(&'a self, lesson: &'a Lesson, probe: &Hash) -> Trial<'a> {
        let [a, b, c, d, ..] = probe.0;
        let elsewhere = u64::from(u32::from_le_bytes([a, b, c, d])) | 1 << 40;
        Trial {
            task: self,
            lesson,
            elsewhere: self.pull(lesson, elsewhere, 0.2),
        }
    }

    fn pull(&self, lesson: &Lesson, worker: u64, weight: f32) -> Pull {
        let own = self.own(lesson, worker, weight);
        Pull {
            before: loss(&own),
            pull: minus(&own, &lesson.error),
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
        loss(&minus(theta, &self.target(round)))
    }
}

impl Lesson {
    pub fn is_of(&self, theta: &Rc<Vec<f32>>, round: Round) -> bool {
        self.round == round && Rc::ptr_eq(&self.theta, theta)
    }
}

impl Trial<'_> {
    /// What one update alone does to the loss, on the worker's data and elsewhere.
    pub fn evaluate(&self, update: &SparseUpdate, worker: u64) -> Evaluation {
        let mut after = self.lesson.theta.to_vec();
        let rate = -(EVALUATION_SHARE as f32);
        update.add_into(&mut after, rate).expect("one model");
        let after = minus(&after, &self.lesson.target);
        let score = |data: &Pull| {
            // The same data before and after, so the same pull.
            let after = after.iter().zip(&data.pull);
            let after: Vec<f32> = after.map(|(x, n)| x + n).collect();
            loss_score(data.before, loss(&after)).unwrap_or(f64::NEG_INFINITY)
        };
        Evaluation {
            own: score(&self.task.pull(self.lesson, worker, 0.5)),
            random: score(&self.elsewhere),
        }
    }
}

fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
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
