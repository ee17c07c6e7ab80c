//! A sample of text from the current weights, one token at a time.
//!
//! No key-value cache: a sample is a few hundred tokens on demand, and recomputing a window keeps the
//! model's code the only forward pass there is. Windows are padded to a few lengths so that a device
//! compiles few shapes.

use burn::tensor::{Device, Int, Tensor, TensorData};
use covey_compression::generator::SplitMix64;
use covey_protocol::model::ModelConfig;

use crate::{TrainingError, inner::read_all, model::Transformer};

/// Draws tokens that follow a prompt.
pub struct Sampler {
    config: ModelConfig,
    device: Device,
    parameters: Vec<Tensor<2>>,
    /// Models for the window lengths in use, shortest first.
    models: Vec<(usize, Transformer)>,
    tokens: Vec<u16>,
    temperature: f32,
    random: SplitMix64,
}

impl Sampler {
    /// An empty prompt starts from token 0.
    pub fn new(
        config: &ModelConfig,
        theta: &[f32],
        prompt: Vec<u16>,
        temperature: f32,
        seed: u64,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let tokens: Vec<u16> = prompt
            .into_iter()
            .filter(|token| usize::from(*token) < config.vocabulary)
            .collect();
        Ok(Self {
            parameters: Transformer::load(config, theta, device)?,
            models: Vec::new(),
            config: config.clone(),
            device: device.clone(),
            tokens: if tokens.is_empty() { vec![0] } else { tokens },
            temperature: if temperature.is_finite() {
                temperature.clamp(0.0, 2.0)
            } else {
                1.0
            },
            random: SplitMix64::new(seed),
        })
    }

    /// Prompt and everything drawn so far.
    pub fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// Draws the next token.
    pub async fn next(&mut self) -> Result<u16, TrainingError> {
        let start = self.tokens.len().saturating_sub(self.config.context);
        let window = self.tokens.get(start..).unwrap_or_default();
        let used = window.len();
        let length = used
            .next_power_of_two()
            .clamp(16, self.config.context.max(16));
        let mut padded: Vec<i32> = window.iter().map(|t| i32::from(*t)).collect();
        // Padding stands after the last real token, where the causal mask hides it.
        padded.resize(length, 0);
        let position = self.models.iter().position(|(known, _)| *known == length);
        let index = position.unwrap_or_else(|| {
            self.models
                .push((length, Transformer::new(&self.config, length, &self.device)));
            self.models.len() - 1
        });
        let Some((_, model)) = self.models.get(index) else {
            return Err(TrainingError::Device("no model for this length".into()));
        };
        let input: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(padded, [1, length]), &self.device);
        let logits = model
            .forward(&self.parameters, input)
            .narrow(0, used - 1, 1);
        let logits = read_all(vec![logits]).await?.concat();
        let token = self.draw(&logits)?;
        self.tokens.push(token);
        Ok(token)
    }

    fn draw(&mut self, logits: &[f32]) -> Result<u16, TrainingError> {
        let best = logits
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .ok_or(TrainingError::NotFinite("the logits"))?;
        if !best.1.is_finite() {
            return Err(TrainingError::NotFinite("the logits"));
        }
        let mut index = best.0;
        if self.temperature > 0.0 {
            let weights: Vec<f64> = logits
                .iter()
                .map(|logit| f64::from((logit - best.1) / self.temperature).exp())
                .collect();
            let unit = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
            let mut left = unit * weights.iter().sum::<f64>();
            for (i, weight) in weights.iter().enumerate() {
                left -= weight;
                if left < 0.0 {
                    index = i;
                    break;
                }
            }
        }
        u16::try_from(index).map_err(|_| TrainingError::NotFinite("the logits"))
    }
}
