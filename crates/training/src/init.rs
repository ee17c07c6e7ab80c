//! Initial weights as a pure function of the seed.
//!
//! Every machine must draw the same bits, so no `ln` or `cos` (their last bit differs between
//! platforms): a value is a scaled sum of four uniforms, near enough to a normal for a start. Norm
//! weights are 1; a matrix has standard deviation `1/sqrt(fan in)`, the two that write into the
//! residual stream a further `1/sqrt(2 layers)`; the embedding 0.02.

use covey_compression::generator::generate;
use covey_protocol::{Hash, model::ModelConfig};

/// The flat weights of round 0, in canonical tensor order.
pub fn initial_weights(seed: &Hash, config: &ModelConfig) -> Vec<f32> {
    // A sum of four uniforms on [-1/2, 1/2) has variance 1/3.
    let unit = 3f64.sqrt();
    let tensors = config.tensors();
    let total = tensors.iter().map(|tensor| tensor.len()).sum();
    let mut theta = Vec::with_capacity(total);
    for tensor in &tensors {
        let [_, fan_in] = tensor.shape[..] else {
            theta.resize(theta.len() + tensor.len(), 1.0);
            continue;
        };
        let deviation = if tensor.name.contains("embed_tokens") {
            0.02
        } else if tensor.name.contains("o_proj") || tensor.name.contains("down_proj") {
            1.0 / (fan_in as f64 * 2.0 * config.layers as f64).sqrt()
        } else {
            1.0 / (fan_in as f64).sqrt()
        };
        theta.extend(generate(
            tensor_seed(seed, &tensor.name),
            tensor.len(),
            deviation * unit,
        ));
    }
    theta
}

/// Each tensor has its own stream, so its values do not depend on what stands before it.
fn tensor_seed(seed: &Hash, name: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(&seed.0);
    hasher.update(name.as_bytes());
    let mut word = [0; 8];
    hasher.finalize_xof().fill(&mut word);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use covey_protocol::model::Preset;

    #[test]
    fn weights_depend_on_the_seed_alone() {
        let config = Preset::Tiny.config();
        let a = initial_weights(&Hash([1; 32]), &config);
        assert_eq!(a.len() as u64, config.parameters());
        assert_eq!(a, initial_weights(&Hash([1; 32]), &config));
        assert_ne!(a, initial_weights(&Hash([2; 32]), &config));
    }

    #[test]
    fn matrices_have_the_deviation_they_are_drawn_with() {
        let config = Preset::Tiny.config();
        let theta = initial_weights(&Hash([3; 32]), &config);
        let (embedding, _) = theta.split_at(config.vocabulary * config.width);
        let variance = embedding.iter().map(|x| x * x).sum::<f32>() / embedding.len() as f32;
        assert!(
            (variance.sqrt() - 0.02).abs() < 0.001,
            "{}",
            variance.sqrt()
        );
    }
}
