//! The shape of a model: what a run fixes once and everybody derives tensors, bytes and cost from.
//!
//! A Llama-style decoder as in Covenant-72B (arXiv 2603.08163): RMSNorm before attention and
//! feed-forward, rotary positions, grouped-query attention, SwiGLU, no biases. Only arithmetic
//! lives here, so that the coordinator's pure parts and the page can speak about a model without
//! pulling in a tensor library; `covey-training` builds the network.
//!
//! Matrices are `[out, in]` and carry the names Llama checkpoints use, so an exported file opens in
//! common tools. Every dimension is a multiple of 64: SparseLoCo's chunks are 64 x 64 blocks, and a
//! dimension without a good divisor would silently degrade them (spec 1.2).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::MAX_VOCABULARY;

/// Dimensions of a Llama-style decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of the SwiGLU feed-forward.
    pub hidden: usize,
    /// Longest sequence in tokens.
    pub context: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// Added inside RMSNorm's root.
    pub norm_eps: f32,
    /// Whether the output head shares the embedding matrix.
    pub tied: bool,
}

/// One tensor of the model, in canonical order.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a model cannot be built as configured.
#[derive(Debug, Error, PartialEq)]
pub enum ModelError {
    #[error("{field} is {value}, but must be a multiple of {multiple} and above 0")]
    Multiple {
        field: &'static str,
        value: usize,
        multiple: usize,
    },
    #[error("{field} is {value}, above the limit of {limit}")]
    TooLarge {
        field: &'static str,
        value: usize,
        limit: usize,
    },
    #[error("{heads} query heads cannot be shared by {kv_heads} key-value heads")]
    Heads { heads: usize, kv_heads: usize },
    #[error("{field} must be finite and above 0")]
    Positive { field: &'static str },
}

/// Named sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// About 1 M parameters on bytes: trains on any machine in minutes.
    Tiny,
    /// About 10 M parameters.
    Small,
    /// About 125 M parameters.
    Base,
    /// Covenant-72B's published shapes. For arithmetic only: nothing here allocates it.
    #[serde(rename = "covenant-72b")]
    Covenant72b,
}

impl Preset {
    pub fn config(self) -> ModelConfig {
        let shape =
            |vocabulary, width, layers, heads, kv_heads, hidden, context, tied| ModelConfig {
                vocabulary,
                width,
                layers,
                heads,
                kv_heads,
                hidden,
                context,
                rope_base: 10_000.0,
                norm_eps: 1e-5,
                tied,
            };
        match self {
            Self::Tiny => shape(256, 128, 4, 4, 2, 448, 128, false),
            Self::Small => shape(4096, 320, 7, 5, 5, 896, 256, true),
            Self::Base => shape(8192, 768, 19, 12, 4, 2048, 512, true),
            // Vocabulary and untied head as in the published checkpoint, whose total the paper
            // states exactly; see the test below.
            Self::Covenant72b => ModelConfig {
                rope_base: 500_000.0,
                ..shape(262_144, 8192, 80, 64, 8, 28_672, 2048, false)
            },
        }
    }
}

impl ModelConfig {
    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.width.checked_div(self.heads).unwrap_or_default()
    }

    /// Checks that the model can be built, compressed and addressed with u16 tokens.
    pub fn validate(&self) -> Result<(), ModelError> {
        for (field, value, multiple, limit) in [
            ("vocabulary", self.vocabulary, 64, MAX_VOCABULARY),
            ("width", self.width, 64, 16_384),
            ("hidden", self.hidden, 64, 65_536),
            ("layers", self.layers, 1, 256),
            ("heads", self.heads, 1, 256),
            ("kv_heads", self.kv_heads, 1, 256),
            ("context", self.context, 1, 16_384),
        ] {
            if value == 0 || !value.is_multiple_of(multiple) {
                return Err(ModelError::Multiple {
                    field,
                    value,
                    multiple,
                });
            }
            if value > limit {
                return Err(ModelError::TooLarge {
                    field,
                    value,
                    limit,
                });
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads)
            || !self.width.is_multiple_of(self.heads)
            || !(self.head_width() * self.kv_heads).is_multiple_of(64)
            || !self.head_width().is_multiple_of(2)
        {
            return Err(ModelError::Heads {
                heads: self.heads,
                kv_heads: self.kv_heads,
            });
        }
        for (field, value) in [("rope_base", self.rope_base), ("norm_eps", self.norm_eps)] {
            if !value.is_finite() || value <= 0.0 {
                return Err(ModelError::Positive { field });
            }
        }
        Ok(())
    }

    /// Every tensor in canonical order: the order of the flat weights, of payload frames and of
    /// hashes. Changing it changes every hash of every run.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let spec = |name: String, shape: &[usize]| TensorSpec {
            name,
            shape: shape.to_vec(),
        };
        let (width, hidden) = (self.width, self.hidden);
        let kv = self.head_width() * self.kv_heads;
        let mut all = vec![spec(
            "model.embed_tokens.weight".into(),
            &[self.vocabulary, width],
        )];
        for layer in 0..self.layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            all.extend([
                spec(name("input_layernorm"), &[width]),
                spec(name("self_attn.q_proj"), &[width, width]),
                spec(name("self_attn.k_proj"), &[kv, width]),
                spec(name("self_attn.v_proj"), &[kv, width]),
                spec(name("self_attn.o_proj"), &[width, width]),
                spec(name("post_attention_layernorm"), &[width]),
                spec(name("mlp.gate_proj"), &[hidden, width]),
                spec(name("mlp.up_proj"), &[hidden, width]),
                spec(name("mlp.down_proj"), &[width, hidden]),
            ]);
        }
        all.push(spec("model.norm.weight".into(), &[width]));
        if !self.tied {
            all.push(spec("lm_head.weight".into(), &[self.vocabulary, width]));
        }
        all
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        self.tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().map(|n| *n as u64).product::<u64>())
            .sum()
    }

    /// Bytes a volunteer needs besides activations (spec 1.11): the shared weights, the working
    /// copy, gradients, both AdamW moments and the error feedback, all f32.
    pub fn training_bytes(&self) -> u64 {
        self.parameters() * 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_sizes_they_are_named_for() {
        let within = |preset: Preset, low: u64, high: u64| {
            let config = preset.config();
            assert_eq!(config.validate(), Ok(()), "{preset:?}");
            let count = config.parameters();
            assert!((low..=high).contains(&count), "{preset:?} has {count}");
        };
        within(Preset::Tiny, 900_000, 1_100_000);
        within(Preset::Small, 9_000_000, 11_000_000);
        within(Preset::Base, 115_000_000, 135_000_000);
    }

    #[test]
    fn covenant_72b_counts_the_parameters_its_paper_states() {
        assert_eq!(Preset::Covenant72b.config().parameters(), 72_747_327_488);
    }

    #[test]
    fn dimensions_that_would_spoil_the_chunks_are_refused() {
        let config = ModelConfig {
            vocabulary: 97,
            ..Preset::Tiny.config()
        };
        assert!(matches!(
            config.validate(),
            Err(ModelError::Multiple {
                field: "vocabulary",
                ..
            })
        ));
    }
}
