//! What a run is: everything that must be equal for two machines to compute the same weights.
//!
//! The run's id is the hash of this description, so a tab that joins by id knows the model, the
//! data and the rules it is agreeing to. Defaults follow the published settings of SparseLoCo and
//! Covenant-72B scaled to what a browser tab can do (spec 1.7 and 8).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Hash, ProtocolError,
    limits::{MAX_CONTRIBUTIONS, MAX_INNER_STEPS, MAX_NAME},
    model::{ModelConfig, ModelError, TensorSpec},
};

/// The complete description of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Shown to volunteers.
    pub name: String,
    /// Seed of the initial weights and, with a volunteer and a round, of every data assignment.
    pub seed: Hash,
    pub model: ModelConfig,
    /// Hash of the corpus manifest.
    pub corpus: Hash,
    pub inner: InnerSpec,
    pub compression: CompressionSpec,
    pub outer: OuterSpec,
    pub rounds: RoundSpec,
}

/// The inner loop: AdamW on the volunteer's own data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InnerSpec {
    /// H, the inner steps of a full contribution.
    pub steps: u32,
    /// Sequences in one inner step.
    pub batch: u32,
    /// Shards a volunteer draws its sequences from in one round: bounds what it must download.
    pub shards: u32,
    /// Peak learning rate.
    pub peak_lr: f64,
    /// Inner steps of linear warm-up.
    pub warmup: u64,
    /// Inner steps of the cosine that follows.
    pub decay: u64,
    /// Learning rate at the cosine's end, as a fraction of the peak.
    pub floor: f64,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
    /// Largest global L2 norm of one step's gradients.
    pub clip: f32,
    /// Inner steps over which the learning rate ramps up for a volunteer whose optimiser state is
    /// empty.
    pub ramp: u64,
}

impl Default for InnerSpec {
    fn default() -> Self {
        Self {
            steps: 20,
            batch: 8,
            shards: 2,
            peak_lr: 1e-3,
            warmup: 100,
            decay: 20_000,
            floor: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
            ramp: 30,
        }
    }
}

/// How peers' updates are combined where they overlap (spec 1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Divide by all accepted peers: an absent entry counts as 0 (the paper).
    MeanR,
    /// Divide by the peers that sent the entry (Templar's code).
    #[default]
    MeanPresent,
}

/// The SparseLoCo codec's settings. Chunks of 4096, 2-bit values and the 6-sigma range are fixed by
/// the frame's version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionSpec {
    /// Entries kept of 4096.
    pub top_k: u16,
    /// Decay of the error feedback, beta.
    pub feedback_decay: f32,
    /// Largest absolute value a decoded entry may have.
    pub value_limit: f32,
}

impl Default for CompressionSpec {
    fn default() -> Self {
        Self {
            top_k: 64,
            feedback_decay: 0.95,
            value_limit: 10.0,
        }
    }
}

/// The outer step: plain SGD on the merged pseudo-gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OuterSpec {
    /// Learning rate alpha.
    pub lr: f32,
    pub averaging: Averaging,
}

impl Default for OuterSpec {
    fn default() -> Self {
        Self {
            lr: 1.0,
            averaging: Averaging::default(),
        }
    }
}

/// When a round closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoundSpec {
    /// Milliseconds from a round's first participant to its deadline.
    pub window_ms: u64,
    /// Milliseconds after the deadline in which an upload already under way is still taken.
    pub grace_ms: u64,
    /// Fewest contributions that may close a round before its deadline.
    pub min_contributions: u32,
    /// Most contributions merged in one round.
    pub max_contributions: u32,
    /// Rounds between checkpoints.
    pub checkpoint_every: u64,
}

impl Default for RoundSpec {
    fn default() -> Self {
        Self {
            window_ms: 60_000,
            grace_ms: 10_000,
            min_contributions: 1,
            max_contributions: 16,
            checkpoint_every: 5,
        }
    }
}

/// Why a run cannot be started as described.
#[derive(Debug, Error, PartialEq)]
pub enum RunError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{field} is out of range: {detail}")]
    Range {
        field: &'static str,
        detail: &'static str,
    },
}

impl RunSpec {
    /// The run's id: hash of the canonical JSON.
    pub fn id(&self) -> Hash {
        Hash::of(&self.to_json())
    }

    /// Canonical JSON: fields in declaration order, no white space.
    pub fn to_json(&self) -> Vec<u8> {
        // Only strings, numbers and structs: serde_json has no way to fail on them.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses and validates a description.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let spec: Self = serde_json::from_slice(bytes)
            .map_err(|error| ProtocolError::malformed("a run description", error))?;
        spec.validate()
            .map_err(|error| ProtocolError::malformed("a run description", error))?;
        Ok(spec)
    }

    /// Tensors of the model in canonical order.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        self.model.tensors()
    }

    /// Checks every range, so that no later code needs to.
    pub fn validate(&self) -> Result<(), RunError> {
        self.model.validate()?;
        let (inner, rounds, compression) = (&self.inner, &self.rounds, &self.compression);
        let unit = |x: f32| (0.0..1.0).contains(&x);
        let checks = [
            (
                !self.name.is_empty() && self.name.len() <= MAX_NAME,
                "name",
                "1 to 64 bytes",
            ),
            (
                (1..=MAX_INNER_STEPS).contains(&inner.steps),
                "inner.steps",
                "1 to 10000",
            ),
            (
                (1..=4096).contains(&inner.batch),
                "inner.batch",
                "1 to 4096",
            ),
            ((1..=64).contains(&inner.shards), "inner.shards", "1 to 64"),
            (
                inner.peak_lr.is_finite() && inner.peak_lr > 0.0,
                "inner.peak_lr",
                "above 0",
            ),
            (inner.decay > 0, "inner.decay", "above 0"),
            ((0.0..=1.0).contains(&inner.floor), "inner.floor", "0 to 1"),
            (unit(inner.beta1), "inner.beta1", "0 to below 1"),
            (unit(inner.beta2), "inner.beta2", "0 to below 1"),
            (
                inner.eps.is_finite() && inner.eps > 0.0,
                "inner.eps",
                "above 0",
            ),
            (
                unit(inner.weight_decay),
                "inner.weight_decay",
                "0 to below 1",
            ),
            (
                inner.clip.is_finite() && inner.clip > 0.0,
                "inner.clip",
                "above 0",
            ),
            (
                (2..=4096).contains(&compression.top_k) && compression.top_k.is_multiple_of(2),
                "compression.top_k",
                "even, 2 to 4096",
            ),
            (
                unit(compression.feedback_decay),
                "compression.feedback_decay",
                "0 to below 1",
            ),
            (
                compression.value_limit.is_finite() && compression.value_limit > 0.0,
                "compression.value_limit",
                "above 0",
            ),
            (
                self.outer.lr.is_finite() && self.outer.lr > 0.0,
                "outer.lr",
                "above 0",
            ),
            (
                (1_000..=86_400_000).contains(&rounds.window_ms),
                "rounds.window_ms",
                "1 s to 1 day",
            ),
            (
                rounds.grace_ms <= 600_000,
                "rounds.grace_ms",
                "up to 10 minutes",
            ),
            (
                (1..=MAX_CONTRIBUTIONS as u32).contains(&rounds.max_contributions),
                "rounds.max_contributions",
                "1 to 20",
            ),
            (
                (1..=rounds.max_contributions).contains(&rounds.min_contributions),
                "rounds.min_contributions",
                "1 to rounds.max_contributions",
            ),
            (
                (1..=10_000).contains(&rounds.checkpoint_every),
                "rounds.checkpoint_every",
                "1 to 10000",
            ),
        ];
        match checks.into_iter().find(|(ok, ..)| !ok) {
            Some((_, field, detail)) => Err(RunError::Range { field, detail }),
            None => Ok(()),
        }
    }
}
