//! Weights as a SafeTensors file, for everyone outside a run: the same values as the checkpoint blob
//! (`covey_protocol::weights`) under the names Llama checkpoints use.

use std::collections::HashMap;

use covey_protocol::{model::ModelConfig, weights};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::TrainingError;

/// A SafeTensors file with every tensor by name, plus `metadata` in its header.
pub fn to_safetensors(
    config: &ModelConfig,
    theta: &[f32],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, TrainingError> {
    let bytes = weights::to_bytes(theta);
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
