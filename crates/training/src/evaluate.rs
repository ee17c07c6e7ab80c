//! Held-out loss: how good the shared weights are on text nobody trains on.

use burn::tensor::{Device, Int, Tensor, TensorData};
use covey_protocol::model::ModelConfig;

use crate::{
    TrainingError,
    data::{Batch, sequences_in},
    inner::read_all,
    model::Transformer,
};

/// Sequences evaluated together; bounds the memory of the logits.
const BATCH: usize = 8;

/// A fixed sample of held-out sequences, spread evenly over the text, on one device.
pub struct Evaluator {
    config: ModelConfig,
    device: Device,
    model: Transformer,
    batches: Vec<Batch>,
}

impl Evaluator {
    /// Takes at most `sequences` sequences of the held-out tokens.
    pub fn new(
        config: &ModelConfig,
        tokens: &[u16],
        sequences: usize,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let context = config.context;
        let available = sequences_in(tokens.len(), context);
        let wanted = sequences.min(available);
        if wanted == 0 {
            return Err(TrainingError::NoSequences(context + 1));
        }
        let mut batches = Vec::new();
        for group in (0..wanted).collect::<Vec<_>>().chunks(BATCH) {
            let mut batch = Batch::empty(context);
            for i in group {
                let start = i * available / wanted * context;
                batch.push(tokens.get(start..start + context + 1).unwrap_or_default());
            }
            batches.push(batch);
        }
        Ok(Self {
            model: Transformer::new(config, context, device),
            config: config.clone(),
            device: device.clone(),
            batches,
        })
    }

    /// Mean cross-entropy over the sample, in nats per token.
    pub async fn loss(&self, theta: &[f32]) -> Result<f32, TrainingError> {
        let parameters = Transformer::load(&self.config, theta, &self.device)?;
        let mut total = 0f64;
        let mut count = 0usize;
        for batch in &self.batches {
            let shape = [batch.sequences, batch.context];
            let tensor = |tokens: &[i32]| -> Tensor<2, Int> {
                Tensor::from_data(TensorData::new(tokens.to_vec(), shape), &self.device)
            };
            let loss = self
                .model
                .loss(&parameters, tensor(&batch.inputs), tensor(&batch.targets));
            let loss = read_all(vec![loss]).await?.concat();
            total += f64::from(loss.first().copied().unwrap_or(f32::NAN)) * batch.tokens() as f64;
            count += batch.tokens();
        }
        let loss = (total / count.max(1) as f64) as f32;
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(TrainingError::NotFinite("the held-out loss"))
        }
    }
}
