//! Blobs: weights, and the corpus. All of them come from anybody, under a hash that a signed record or the
//! run's description names.

use covey_protocol::Hash;

/// The checkpoint of the smallest model there is.
pub mod checkpoint {
    use std::sync::LazyLock;

    use covey_protocol::{
        model::{ModelConfig, Preset},
        weights,
    };

    use super::*;

    fn config() -> &'static ModelConfig {
        static CONFIG: LazyLock<ModelConfig> = LazyLock::new(|| ModelConfig {
            vocabulary: 64,
            width: 64,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            hidden: 64,
            context: 8,
            tied: true,
            ..Preset::Tiny.config()
        });
        &CONFIG
    }

    fn length() -> usize {
        4 * usize::try_from(config().parameters()).expect("a small model")
    }

    pub fn run(data: &[u8]) {
        // As it comes: of another length, so refused whatever its hash is.
        let name = Hash::of(data);
        if data.len() != length() {
            assert!(weights::from_bytes(config(), &name, data).is_err());
        }
        // Repeated to the model's length, since the search should not have to find it.
        let mut blob = data.repeat(length() / data.len().max(1) + 1);
        blob.truncate(length());
        let name = Hash::of(&blob);
        match weights::from_bytes(config(), &name, &blob) {
            Ok(theta) => {
                assert!(theta.iter().all(|value| value.is_finite()));
                assert_eq!(weights::to_bytes(&theta), blob);
            }
            // 255 or 127, then more than 127: an exponent of ones.
            Err(_) => assert!(data.is_empty() || blob.iter().any(|byte| byte & 127 == 127)),
        }
        let other = Hash::of(&name.0);
        assert!(weights::from_bytes(config(), &other, &blob).is_err());
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let few = [0.0, -0.125, 1.0e-40, f32::MAX];
        vec![weights::to_bytes(&few), weights::to_bytes(&[f32::NAN])]
    }
}

pub mod manifest {
    use covey_protocol::corpus::{MANIFEST_VERSION, Manifest, Shard};

    use super::*;

    pub fn run(data: &[u8]) {
        if let Ok(manifest) = Manifest::from_json(data) {
            Manifest::from_json(&manifest.to_json()).expect("what was written can be read");
        }
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let shard = |bytes: &[u8]| Shard {
            hash: Hash::of(bytes),
            tokens: 4,
        };
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            vocabulary_size: 256,
            vocabulary: Hash([1; 32]),
            tokenizer: None,
            train: vec![shard(b"a"), shard(b"b")],
            held_out: vec![shard(b"c")],
            train_bytes: 16,
            held_out_bytes: 8,
            unigram_entropy: 3.25,
        };
        vec![manifest.to_json()]
    }
}

/// Two bytes of vocabulary size, then the blob.
pub mod shard {
    use covey_protocol::corpus::{Shard, decode_shard};

    use super::*;

    pub fn run(data: &[u8]) {
        let Some((size, blob)) = data.split_first_chunk::<2>() else {
            return;
        };
        let size = u32::from(u16::from_le_bytes(*size));
        let shard = Shard {
            hash: Hash::of(blob),
            tokens: blob.len() as u32 / 2,
        };
        match decode_shard(&shard, size, blob) {
            Ok(tokens) => {
                let bytes: Vec<u8> = tokens
                    .iter()
                    .flat_map(|token| token.to_le_bytes())
                    .collect();
                assert_eq!(bytes, blob);
                assert!(tokens.iter().all(|token| u32::from(*token) < size));
            }
            Err(_) => assert!(
                blob.len() % 2 == 1
                    || blob
                        .chunks_exact(2)
                        .any(|t| u32::from(u16::from_le_bytes([t[0], t[1]])) >= size)
            ),
        }
        // Bytes that are not the named ones are never tokens.
        let other = Shard {
            hash: Hash([0; 32]),
            ..shard
        };
        assert!(decode_shard(&other, size, blob).is_err());
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![vec![0, 1, 65, 0, 66, 0], vec![0, 16, 255, 15]]
    }
}

pub mod vocabulary {
    use covey_protocol::corpus::Vocabulary;

    pub fn run(data: &[u8]) {
        let Ok(vocabulary) = Vocabulary::from_blob(data) else {
            return;
        };
        assert_eq!(vocabulary.to_blob(), data);
        let prompt = String::from_utf8_lossy(data);
        let tokens = vocabulary.encode(&prompt);
        assert!(
            tokens
                .iter()
                .all(|token| usize::from(*token) < vocabulary.len())
        );
        vocabulary.decode(&tokens);
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let pieces = vec![b"C".to_vec(), b"V".to_vec(), b"CV".to_vec(), Vec::new()];
        let few = Vocabulary::new(pieces).expect("a small vocabulary");
        vec![Vocabulary::bytes().to_blob(), few.to_blob()]
    }
}
