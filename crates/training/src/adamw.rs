//! AdamW with decoupled weight decay, and the global gradient clip before it (spec 1.7).
//!
//! Ours rather than burn's for one reason: the moments must outlive a tab. They are read in the same
//! transaction as the weights and restored from a flat vector, which burn's optimiser records cannot
//! do without a synchronous read. Everything stays on the device; the clip's norm is never read.

use burn::tensor::{Device, Tensor, TensorData};
use covey_protocol::run::InnerSpec;

use crate::TrainingError;

/// Constants of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
}

impl AdamWConfig {
    pub fn of(inner: &InnerSpec) -> Self {
        Self {
            beta1: inner.beta1,
            beta2: inner.beta2,
            eps: inner.eps,
            weight_decay: inner.weight_decay,
        }
    }
}

/// First and second moments of every parameter, and how many steps they hold.
pub struct AdamW {
    config: AdamWConfig,
    moments: Option<Vec<(Tensor<2>, Tensor<2>)>>,
    steps: u64,
}

impl AdamW {
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            moments: None,
            steps: 0,
        }
    }

    /// Steps taken since the moments were zero.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step: `theta <- theta (1 - lr wd) - lr m^ / (sqrt(v^) + eps)`.
    ///
    /// `parameters` and `gradients` pair up and keep their shapes from step to step.
    pub fn step(
        &mut self,
        parameters: Vec<Tensor<2>>,
        gradients: Vec<Tensor<2>>,
        lr: f64,
    ) -> Vec<Tensor<2>> {
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = self.config;
        self.steps = self.steps.saturating_add(1);
        let exponent = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = 1.0 - f64::from(beta1).powi(exponent);
        let correction2 = 1.0 - f64::from(beta2).powi(exponent);
        // m^/(sqrt(v^)+eps) = (m/c1) / (sqrt(v)/sqrt(c2) + eps): one scale fewer per element.
        let scale = lr / correction1;
        let root = correction2.sqrt();
        let keep = 1.0 - lr * f64::from(weight_decay);

        let moments = self.moments.take().unwrap_or_else(|| {
            gradients
                .iter()
                .map(|g| (g.zeros_like(), g.zeros_like()))
                .collect()
        });
        let mut updated = Vec::with_capacity(parameters.len());
        let mut next = Vec::with_capacity(moments.len());
        for ((parameter, gradient), (m, v)) in parameters.into_iter().zip(gradients).zip(moments) {
            let m = m.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
            let v = v.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
            let denominator = v.clone().sqrt().div_scalar(root).add_scalar(eps);
            updated.push(parameter.mul_scalar(keep) - m.clone().div(denominator).mul_scalar(scale));
            next.push((m, v));
        }
        self.moments = Some(next);
        updated
    }

    /// The moments, to be read together with other tensors; empty before the first step.
    pub fn tensors(&self) -> Vec<Tensor<2>> {
        let moments = self.moments.iter().flatten();
        let (first, second): (Vec<_>, Vec<_>) = moments.cloned().unzip();
        first.into_iter().chain(second).collect()
    }

    /// Restores moments that were read from [`tensors`](Self::tensors): `m` then `v`, both flat in
    /// canonical order.
    pub fn restore(
        config: AdamWConfig,
        steps: u64,
        moments: &[f32],
        shapes: &[[usize; 2]],
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let count: usize = shapes.iter().map(|[rows, columns]| rows * columns).sum();
        if moments.len() != 2 * count {
            return Err(TrainingError::OptimiserState);
        }
        let (m, v) = moments.split_at(count);
        if !moments.iter().all(|x| x.is_finite()) || v.iter().any(|x| *x < 0.0) {
            return Err(TrainingError::NotFinite("the saved optimiser state"));
        }
        let moments = upload(m, shapes, device)
            .into_iter()
            .zip(upload(v, shapes, device))
            .collect();
        Ok(Self {
            config,
            moments: Some(moments),
            steps,
        })
    }
}

/// Cuts flat values into matrices on a device. The caller has checked the total.
pub(crate) fn upload(flat: &[f32], shapes: &[[usize; 2]], device: &Device) -> Vec<Tensor<2>> {
    let mut rest = flat;
    shapes
        .iter()
        .map(|shape| {
            let (values, tail) = rest.split_at(shape[0] * shape[1]);
            rest = tail;
            Tensor::from_data(TensorData::new(values.to_vec(), *shape), device)
        })
        .collect()
}

/// Scales all gradients so that their joint L2 norm is at most `limit`; smaller ones stay as they
/// are. The norm stays on the device.
pub fn clip(gradients: Vec<Tensor<2>>, limit: f32) -> Vec<Tensor<2>> {
    let Some(squares) = gradients
        .iter()
        .map(|gradient| gradient.clone().square().sum())
        .reduce(|total, square| total + square)
    else {
        return gradients;
    };
    // min(1, limit / (norm + 1e-6)), as PyTorch's clip_grad_norm_.
    let scale = squares
        .sqrt()
        .add_scalar(1e-6)
        .recip()
        .mul_scalar(limit)
        .clamp_max(1.0)
        .reshape([1, 1]);
    gradients
        .into_iter()
        .map(|gradient| gradient.mul(scale.clone()))
        .collect()
}
