//! Given work on any device: inner steps from given weights with a fresh optimiser, and the packet that
//! comes of it without error feedback.
//!
//! Two honest devices that repeat the same work differ by rounding alone; `covey_scoring::replica` says how far
//! that may go, from what `cargo xtask bench adapters` measured with these lines natively and in a
//! browser.

use covey_protocol::{Round, run::RunSpec};
use serde::{Deserialize, Serialize};

use crate::{
    Device, TrainingError,
    data::Batch,
    inner::{InnerLoop, OptimiserState},
    outer::{codec, pseudo_gradient},
};

/// Work that any device can be given: one volunteer's sequences for the first round of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub spec: RunSpec,
    /// Sequences of `context + 1` tokens, in the order they are trained on; repeated when they do not
    /// suffice.
    pub sequences: Vec<Vec<u16>>,
    /// Numbers of inner steps; each gives a packet of its own from the same weights.
    pub steps: Vec<u32>,
}

/// What a device made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repeated {
    pub steps: u32,
    /// The payload as it would be uploaded.
    pub payload: Vec<u8>,
    /// Training loss of the first and the last inner step, in nats per token.
    pub first_loss: f32,
    pub last_loss: f32,
}

/// Does the work from `theta`, once for every number of steps.
///
/// # Errors
/// When the device fails or `theta` is not of the run's model.
pub async fn packets(
    work: &Work,
    theta: &[f32],
    device: &Device,
) -> Result<Vec<Repeated>, TrainingError> {
    let codec = codec(&work.spec)?;
    let none = vec![0.0; theta.len()];
    let mut repeated = Vec::with_capacity(work.steps.len());
    for steps in &work.steps {
        let mut inner = InnerLoop::new(&work.spec, device, &OptimiserState::default())?;
        inner.begin(Round(0), theta)?;
        let mut sequences = work.sequences.iter().cycle();
        for _ in 0..*steps {
            let mut batch = Batch::empty(work.spec.model.context);
            let drawn = sequences.by_ref().take(work.spec.inner.batch as usize);
            drawn.for_each(|sequence| batch.push(sequence));
            inner.step(&batch);
        }
        let losses = inner.read_losses().await?;
        let finished = inner.finish().await?;
        let delta = pseudo_gradient(theta, &finished.theta)?;
        repeated.push(Repeated {
            steps: *steps,
            payload: codec.compress(&delta, &none)?.payload,
            first_loss: losses.first().map_or(f32::NAN, |loss| loss.loss),
            last_loss: losses.last().map_or(f32::NAN, |loss| loss.loss),
        });
    }
    Ok(repeated)
}
