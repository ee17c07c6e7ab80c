//! The network: a Llama-style decoder in plain tensors (arXiv 2603.08163, section on the model).
//!
//! Parameters are a flat list of matrices in canonical order, a norm's weight being one row. That
//! keeps flattening, the optimiser and the gradients free of any per-layer code, and lets one
//! transaction read everything. Matrices are `[out, in]`, so a projection is `x W^T`.
//!
//! Grouped-query attention without repeating keys: the query heads that share a key head are stacked
//! along the time axis, `[batch, kv, group x time, head]`, and the causal mask is stacked the same way.

use burn::tensor::{
    Device, Int, Tensor, TensorData,
    activation::{log_softmax, silu, softmax},
};
use covey_protocol::model::ModelConfig;

use crate::{TrainingError, adamw::upload};

/// Per-layer parameters, in canonical order; see [`ModelConfig::tensors`].
const PER_LAYER: usize = 9;

/// Shapes of the parameters as matrices.
pub fn matrix_shapes(config: &ModelConfig) -> Vec<[usize; 2]> {
    config
        .tensors()
        .iter()
        .map(|tensor| match tensor.shape[..] {
            [rows, columns] => [rows, columns],
            _ => [1, tensor.len()],
        })
        .collect()
}

/// The network's constants on one device, for sequences of one length.
pub struct Transformer {
    config: ModelConfig,
    /// `[1, 1, time, head / 2]`
    cosines: Tensor<4>,
    sines: Tensor<4>,
    /// 0 where a query may look, very negative where it may not: `[1, 1, group x time, time]`.
    mask: Tensor<4>,
    time: usize,
}

impl Transformer {
    /// Prepares positions and mask for sequences of `time` tokens.
    pub fn new(config: &ModelConfig, time: usize, device: &Device) -> Self {
        let half = config.head_width() / 2;
        let angles = (0..time).flat_map(|position| {
            (0..half).map(move |i| {
                let exponent = -(2.0 * i as f64) / (2.0 * half as f64);
                position as f64 * f64::from(config.rope_base).powf(exponent)
            })
        });
        let table = |f: fn(f64) -> f64| -> Tensor<4> {
            let values: Vec<f32> = angles.clone().map(|angle| f(angle) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, time, half]), device)
        };
        let group = config.heads / config.kv_heads.max(1);
        let mask: Vec<f32> = (0..group * time)
            .flat_map(|row| {
                (0..time).map(move |column| if column <= row % time { 0.0 } else { -1e9 })
            })
            .collect();
        Self {
            cosines: table(f64::cos),
            sines: table(f64::sin),
            mask: Tensor::from_data(TensorData::new(mask, [1, 1, group * time, time]), device),
            config: config.clone(),
            time,
        }
    }

    /// Puts flat weights on a device.
    pub fn load(
        config: &ModelConfig,
        theta: &[f32],
        device: &Device,
    ) -> Result<Vec<Tensor<2>>, TrainingError> {
        let shapes = matrix_shapes(config);
        let expected = shapes.iter().map(|[rows, columns]| rows * columns).sum();
        if theta.len() != expected {
            return Err(TrainingError::WeightCount {
                actual: theta.len(),
                expected,
            });
        }
        Ok(upload(theta, &shapes, device))
    }

    /// Logits `[batch x time, vocabulary]` for tokens `[batch, time]`.
    ///
    /// `parameters` is what [`load`](Self::load) gave, with or without autodiff.
    pub fn forward(&self, parameters: &[Tensor<2>], tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, time] = tokens.dims();
        debug_assert_eq!(time, self.time);
        let mut parameters = parameters.iter().cloned();
        let mut next = || {
            parameters
                .next()
                .unwrap_or_else(|| Tensor::zeros([1, 1], &self.mask.device()))
        };
        let embedding = next();
        let mut x = embedding.clone().select(0, tokens.reshape([batch * time]));
        for _ in 0..self.config.layers {
            let [norm1, q, k, v, o, norm2, gate, up, down]: [Tensor<2>; PER_LAYER] =
                std::array::from_fn(|_| next());
            let y = self.rms_norm(x.clone(), norm1);
            x = x + linear(self.attention(y, q, k, v, batch), o);
            let y = self.rms_norm(x.clone(), norm2);
            x = x + linear(silu(linear(y.clone(), gate)) * linear(y, up), down);
        }
        let x = self.rms_norm(x, next());
        let head = if self.config.tied { embedding } else { next() };
        linear(x, head)
    }

    /// Mean cross-entropy in nats per token: `[1]`.
    pub fn loss(
        &self,
        parameters: &[Tensor<2>],
        tokens: Tensor<2, Int>,
        targets: Tensor<2, Int>,
    ) -> Tensor<1> {
        let [batch, time] = targets.dims();
        let logits = self.forward(parameters, tokens);
        log_softmax(logits, 1)
            .gather(1, targets.reshape([batch * time, 1]))
            .mean()
            .neg()
    }

    fn rms_norm(&self, x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
        let scale = x
            .clone()
            .square()
            .mean_dim(1)
            .add_scalar(self.config.norm_eps)
            .sqrt()
            .recip();
        x * scale * weight
    }

    /// Causal self-attention: `[batch x time, width]` to the same shape, before the output projection.
    fn attention(
        &self,
        x: Tensor<2>,
        q: Tensor<2>,
        k: Tensor<2>,
        v: Tensor<2>,
        batch: usize,
    ) -> Tensor<2> {
        let (time, width) = (self.time, self.config.head_width());
        let (kv, heads) = (self.config.kv_heads, self.config.heads);
        let group = heads / kv;
        let split =
            |y: Tensor<2>, heads: usize| y.reshape([batch, time, heads, width]).swap_dims(1, 2);
        let query = self
            .rotate(split(linear(x.clone(), q), heads))
            .mul_scalar(1.0 / (width as f32).sqrt())
            .reshape([batch, kv, group * time, width]);
        let key = self.rotate(split(linear(x.clone(), k), kv));
        let value = split(linear(x, v), kv);
        let scores = query.matmul(key.swap_dims(2, 3)) + self.mask.clone();
        softmax(scores, 3)
            .matmul(value)
            .reshape([batch, heads, time, width])
            .swap_dims(1, 2)
            .reshape([batch * time, heads * width])
    }

    /// Rotary positions on `[batch, heads, time, head]`, halves paired as Llama checkpoints do.
    fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = self.config.head_width() / 2;
        let a = x.clone().narrow(3, 0, half);
        let b = x.narrow(3, half, half);
        let (cos, sin) = (self.cosines.clone(), self.sines.clone());
        Tensor::cat(
            vec![
                a.clone() * cos.clone() - b.clone() * sin.clone(),
                b * cos + a * sin,
            ],
            3,
        )
    }
}

fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    x.matmul(weight.transpose())
}
