//! Weights as bytes: the checkpoint blob that rounds start from, and SafeTensors for everyone else.
//!
//! The blob is the flat f32 values, little endian, so its BLAKE3 is the weights' hash. The
//! SafeTensors file holds the same values under the names Llama checkpoints use.

use std::collections::HashMap;

use covey_protocol::{Hash, model::ModelConfig};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::TrainingError;

/// The checkpoint blob of flat weights.
pub fn to_bytes(theta: &[f32]) -> Vec<u8> {
    theta.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads a checkpoint blob whose hash must be `expected`.
pub fn from_bytes(
    config: &ModelConfig,
    expected: &Hash,
    bytes: &[u8],
) -> Result<Vec<f32>, TrainingError> {
    let count = usize::try_from(config.parameters()).unwrap_or(usize::MAX);
    if bytes.len() / 4 != count || !bytes.len().is_multiple_of(4) {
        return Err(TrainingError::WeightCount {
            actual: bytes.len() / 4,
            expected: count,
        });
    }
    let actual = Hash::of(bytes);
    if actual != *expected {
        return Err(TrainingError::WrongWeights {
            actual,
            expected: *expected,
        });
    }
    let theta: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
        .collect();
    if theta.iter().all(|value| value.is_finite()) {
        Ok(theta)
    } else {
        Err(TrainingError::NotFinite("the checkpoint"))
    }
}

/// A SafeTensors file with every tensor by name, plus `metadata` in its header.
pub fn to_safetensors(
    config: &ModelConfig,
    theta: &[f32],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TrainingError> {
    let bytes = to_bytes(theta);
    let mut rest = bytes.as_slice();
    let mut views = Vec::new();
    for tensor in config.tensors() {
        let (values, tail) =
            rest.split_at_checked(tensor.len() * 4)
                .ok_or_else(|| TrainingError::WeightCount {
                    actual: theta.len(),
                    expected: usize::try_from(config.parameters()).unwrap_or(usize::MAX),
                })?;
        rest = tail;
        let view = TensorView::new(Dtype::F32, tensor.shape, values).map_err(invalid)?;
        views.push((tensor.name, view));
    }
    safetensors::serialize(views, Some(metadata)).map_err(invalid)
}

/// Flat weights from a SafeTensors file that has exactly the model's tensors in f32.
pub fn from_safetensors(config: &ModelConfig, bytes: &[u8]) -> Result<Vec<f32>, TrainingError> {
    let file = SafeTensors::deserialize(bytes).map_err(invalid)?;
    let tensors = config.tensors();
    if file.len() != tensors.len() {
        return Err(invalid(format!(
            "{} tensors where the model has {}",
            file.len(),
            tensors.len()
        )));
    }
    let mut theta = Vec::with_capacity(tensors.iter().map(|t| t.len()).sum());
    for tensor in tensors {
        let view = file.tensor(&tensor.name).map_err(invalid)?;
        if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
            return Err(invalid(format!(
                "{} is {:?} {:?}, not f32 {:?}",
                tensor.name,
                view.dtype(),
                view.shape(),
                tensor.shape
            )));
        }
        theta.extend(
            view.data()
                .chunks_exact(4)
                .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]])),
        );
    }
    Ok(theta)
}

fn invalid(error: impl ToString) -> TrainingError {
    TrainingError::Checkpoint(error.to_string())
}
