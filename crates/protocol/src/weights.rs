//! Weights as a blob: what a checkpoint is on disk and on the network.
//!
//! The blob is the flat f32 values in canonical order, little endian, so its BLAKE3 is the weights' hash.
//! What a reader would get wrong: the number of values comes from the run's description, never from the
//! blob, and bytes of another length are refused before one of them is read.

use crate::{Hash, ProtocolError, model::ModelConfig};

const WHAT: &str = "a checkpoint";

/// The blob of flat weights.
#[must_use]
pub fn to_bytes(theta: &[f32]) -> Vec<u8> {
    theta.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Reads a blob whose hash must be `expected`.
///
/// # Errors
/// Another length than the model's, another hash, or a value that is not finite.
pub fn from_bytes(
    config: &ModelConfig,
    expected: &Hash,
    bytes: &[u8],
) -> Result<Vec<f32>, ProtocolError> {
    let (values, rest) = bytes.as_chunks::<4>();
    let count = config.parameters();
    if values.len() as u64 != count || !rest.is_empty() {
        let detail = format!("{} bytes where the model has {count} values", bytes.len());
        return Err(ProtocolError::malformed(WHAT, detail));
    }
    if Hash::of(bytes) != *expected {
        return Err(ProtocolError::HashMismatch { what: WHAT });
    }
    let theta: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    if theta.iter().all(|value| value.is_finite()) {
        Ok(theta)
    } else {
        Err(ProtocolError::NotFinite(WHAT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preset;

    /// As small as a model can be.
    fn config() -> ModelConfig {
        ModelConfig {
            vocabulary: 64,
            width: 64,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            hidden: 64,
            context: 8,
            ..Preset::Tiny.config()
        }
    }

    fn theta() -> Vec<f32> {
        (0..config().parameters()).map(|n| n as f32 / 7.0).collect()
    }

    #[test]
    fn weights_come_back_under_their_own_hash() {
        let bytes = to_bytes(&theta());
        assert_eq!(Hash::of(&bytes), Hash::of_weights(&theta()));
        let read = from_bytes(&config(), &Hash::of(&bytes), &bytes);
        assert_eq!(read, Ok(theta()));
    }

    #[test]
    fn another_length_hash_or_model_is_refused() {
        let bytes = to_bytes(&theta());
        let refused = |config: &ModelConfig, bytes: &[u8]| {
            from_bytes(config, &Hash::of(bytes), bytes).expect_err("not these")
        };
        for length in [0, 1, 4, bytes.len() - 4, bytes.len() - 1] {
            let error = refused(&config(), &bytes[..length]);
            assert!(matches!(error, ProtocolError::Malformed { .. }), "{error}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        refused(&config(), &longer);
        refused(&Preset::Tiny.config(), &bytes);
        let other = from_bytes(&config(), &Hash([0; 32]), &bytes);
        assert_eq!(other, Err(ProtocolError::HashMismatch { what: WHAT }));
    }

    #[test]
    fn a_value_that_is_not_finite_is_refused_wherever_it_is() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 100, theta().len() - 1] {
                let mut theta = theta();
                theta[at] = wrong;
                let bytes = to_bytes(&theta);
                let read = from_bytes(&config(), &Hash::of(&bytes), &bytes);
                assert_eq!(read, Err(ProtocolError::NotFinite(WHAT)));
            }
        }
    }
}
