//! The inner loop: H AdamW steps from the shared weights on a volunteer's own data.
//!
//! The device is asked for nothing during a step. Losses pile up as device tensors and are read
//! together every few steps; weights and moments are read once, in one transaction, at the round's
//! end. Dropping the loop frees the device's copies.

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};
use covey_protocol::{Round, run::RunSpec};

use crate::{
    TrainingError,
    adamw::{AdamW, AdamWConfig, clip},
    data::Batch,
    model::{Transformer, matrix_shapes},
    schedule::{Schedule, ramp},
};

/// Training loss of one inner step, in nats per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLoss {
    /// Counted within the round.
    pub step: u32,
    pub loss: f32,
}

/// What is left on the host after a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Local weights, flat, in canonical order.
    pub theta: Vec<f32>,
    pub optimiser: OptimiserState,
}

/// AdamW's memory between rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimiserState {
    /// First then second moments, flat; empty when no step was taken.
    pub moments: Vec<f32>,
    pub steps: u64,
}

/// One volunteer's inner loop on one device.
pub struct InnerLoop {
    spec: RunSpec,
    device: Device,
    model: Transformer,
    schedule: Schedule,
    optimiser: AdamW,
    parameters: Vec<Tensor<2>>,
    round: Round,
    step: u32,
    unread: Vec<(u32, Tensor<1>)>,
}

impl InnerLoop {
    /// Prepares the loop; `state` continues an earlier one.
    pub fn new(
        spec: &RunSpec,
        device: &Device,
        state: &OptimiserState,
    ) -> Result<Self, TrainingError> {
        let config = AdamWConfig::of(&spec.inner);
        let optimiser = if state.moments.is_empty() {
            AdamW::new(config)
        } else {
            let shapes = matrix_shapes(&spec.model);
            AdamW::restore(config, state.steps, &state.moments, &shapes, device)?
        };
        Ok(Self {
            // Constants of the model take no part in differentiation.
            model: Transformer::new(&spec.model, spec.model.context, device),
            schedule: Schedule::of(&spec.inner),
            spec: spec.clone(),
            device: device.clone(),
            optimiser,
            parameters: Vec::new(),
            round: Round(0),
            step: 0,
            unread: Vec::new(),
        })
    }

    /// Starts a round from the shared weights. The optimiser's state is kept.
    pub fn begin(&mut self, round: Round, theta: &[f32]) -> Result<(), TrainingError> {
        self.parameters = Transformer::load(&self.spec.model, theta, &self.device)?;
        self.round = round;
        self.step = 0;
        self.unread.clear();
        Ok(())
    }

    /// Inner steps taken in this round.
    pub fn steps(&self) -> u32 {
        self.step
    }

    /// One inner step: forward, backward, clip, AdamW. Queues work; reads nothing.
    pub fn step(&mut self, batch: &Batch) {
        let (loss, gradients) = self.gradients(batch);
        let gradients = clip(gradients, self.spec.inner.clip);
        let global = self.round.0 * u64::from(self.spec.inner.steps) + u64::from(self.step);
        let lr = self.schedule.at(global) * ramp(self.optimiser.steps(), self.spec.inner.ramp);
        let parameters = std::mem::take(&mut self.parameters);
        self.parameters = self.optimiser.step(parameters, gradients, lr);
        self.unread.push((self.step, loss));
        self.step += 1;
    }

    /// Loss and gradients at the current weights, all on the device.
    fn gradients(&self, batch: &Batch) -> (Tensor<1>, Vec<Tensor<2>>) {
        let leaves: Vec<Tensor<2>> = self
            .parameters
            .iter()
            .map(|parameter| parameter.clone().autodiff().require_grad())
            .collect();
        let (inputs, targets) = self.upload(batch);
        let loss = self
            .model
            .loss(&leaves, inputs.autodiff(), targets.autodiff());
        let mut gradients = loss.backward();
        let gradients = leaves
            .iter()
            .zip(&self.parameters)
            .map(|(leaf, parameter)| {
                leaf.grad_remove(&mut gradients)
                    .unwrap_or_else(|| parameter.zeros_like())
            })
            .collect();
        (loss.inner(), gradients)
    }

    fn upload(&self, batch: &Batch) -> (Tensor<2, Int>, Tensor<2, Int>) {
        let shape = [batch.sequences, batch.context];
        let tensor = |tokens: &[i32]| {
            Tensor::from_data(TensorData::new(tokens.to_vec(), shape), &self.device)
        };
        (tensor(&batch.inputs), tensor(&batch.targets))
    }

    /// Reads the losses of all steps since the last call, in one transaction.
    pub async fn read_losses(&mut self) -> Result<Vec<StepLoss>, TrainingError> {
        let unread = std::mem::take(&mut self.unread);
        let (steps, tensors): (Vec<u32>, Vec<Tensor<1>>) = unread.into_iter().unzip();
        let values = read(tensors).await?;
        let losses: Vec<StepLoss> = steps
            .into_iter()
            .zip(values)
            .map(|(step, loss)| StepLoss { step, loss })
            .collect();
        if losses.iter().any(|l| !l.loss.is_finite()) {
            return Err(TrainingError::NotFinite("the training loss"));
        }
        Ok(losses)
    }

    /// Ends the round: local weights and moments, read in one transaction.
    pub async fn finish(&mut self) -> Result<Finished, TrainingError> {
        let parameters = std::mem::take(&mut self.parameters);
        let count = parameters.len();
        let moments = self.optimiser.tensors();
        let mut values = read_all(parameters.into_iter().chain(moments).collect()).await?;
        let moments: Vec<f32> = values.split_off(count.min(values.len())).concat();
        let theta = values.concat();
        if !theta.iter().all(|value| value.is_finite()) {
            return Err(TrainingError::NotFinite("the local weights"));
        }
        Ok(Finished {
            theta,
            optimiser: OptimiserState {
                moments,
                steps: self.optimiser.steps(),
            },
        })
    }

    /// Loss and flat gradients for a batch without taking a step: for checks.
    pub async fn probe(&self, batch: &Batch) -> Result<(f32, Vec<f32>), TrainingError> {
        let (loss, gradients) = self.gradients(batch);
        let gradients = read_all(gradients).await?.concat();
        let loss = read(vec![loss]).await?.first().copied().unwrap_or(f32::NAN);
        Ok((loss, gradients))
    }
}

/// Reads scalars together.
async fn read(tensors: Vec<Tensor<1>>) -> Result<Vec<f32>, TrainingError> {
    Ok(read_all(tensors).await?.concat())
}

/// Reads tensors in one transaction.
pub(crate) async fn read_all<const D: usize>(
    tensors: Vec<Tensor<D>>,
) -> Result<Vec<Vec<f32>>, TrainingError> {
    if tensors.is_empty() {
        return Ok(Vec::new());
    }
    let transaction = tensors
        .into_iter()
        .fold(Transaction::default(), |all, tensor| all.register(tensor));
    transaction
        .execute_async()
        .await
        .map_err(|error| TrainingError::Device(format!("{error:?}")))?
        .into_iter()
        .map(|data| {
            data.try_into_vec::<f32>()
                .map_err(|error| TrainingError::Device(format!("{error:?}")))
        })
        .collect()
}
