//! Cuts a stream of tokens into shards and counts how common each token is.
//!
//! The last full shard is held back until the next one is full. At the end it shares its tokens
//! evenly with the remainder, so that no shard is too short to hold a sequence.

use covey_protocol::{
    Hash,
    corpus::Shard,
    limits::{MAX_SHARD_TOKENS, MAX_SHARDS},
};

use crate::{CorpusError, store::Partial};

/// Smallest shard size chosen, in tokens: a volunteer on a small corpus need not fetch much.
const SMALLEST: u64 = 128 * 1024;
/// Shards aimed at, so that a manifest stays small enough to fetch at once.
const SHARDS_WANTED: u64 = 2048;

/// Tokens of a shard for a corpus of about `tokens` tokens: a power of two.
pub fn shard_tokens(tokens: u64) -> usize {
    let wanted = (tokens / SHARDS_WANTED).next_power_of_two().max(SMALLEST);
    usize::try_from(wanted).map_or(MAX_SHARD_TOKENS, |wanted| wanted.min(MAX_SHARD_TOKENS))
}

/// Writes one part of a corpus.
pub struct ShardWriter<'a> {
    output: &'a Partial,
    /// Tokens of a shard.
    size: usize,
    /// Less than two shards.
    pending: Vec<u16>,
    shards: Vec<Shard>,
    counts: Vec<u64>,
}

/// A part that was written.
pub struct Written {
    pub shards: Vec<Shard>,
    pub tokens: u64,
    /// Entropy of the tokens' own frequencies, in nats per token.
    pub unigram_entropy: f64,
}

impl<'a> ShardWriter<'a> {
    /// Shards of `size` tokens, each below `vocabulary`.
    pub fn new(output: &'a Partial, size: usize, vocabulary: u32) -> Self {
        Self {
            output,
            size: size.clamp(1, MAX_SHARD_TOKENS),
            pending: Vec::new(),
            shards: Vec::new(),
            counts: vec![0; vocabulary as usize],
        }
    }

    /// Takes the next tokens.
    ///
    /// # Errors
    /// When a token is outside the vocabulary, when there are too many shards, or when the disk
    /// refuses.
    pub fn push(&mut self, tokens: &[u16]) -> Result<(), CorpusError> {
        for &token in tokens {
            *self.counts.get_mut(usize::from(token)).ok_or_else(|| {
                CorpusError::Tokenizer(format!("token {token} is outside the vocabulary"))
            })? += 1;
        }
        self.pending.extend(tokens);
        let mut written = 0;
        while self.pending.len() - written >= 2 * self.size {
            self.write(written..written + self.size)?;
            written += self.size;
        }
        self.pending.drain(..written);
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<Written, CorpusError> {
        let left = self.pending.len();
        if left > self.size {
            let half = left.div_ceil(2);
            self.write(0..half)?;
            self.write(half..left)?;
        } else if left > 0 {
            self.write(0..left)?;
        }
        Ok(Written {
            tokens: self.counts.iter().sum(),
            unigram_entropy: entropy(&self.counts),
            shards: self.shards,
        })
    }

    fn write(&mut self, range: std::ops::Range<usize>) -> Result<(), CorpusError> {
        if self.shards.len() >= MAX_SHARDS {
            return Err(CorpusError::TooManyShards { limit: MAX_SHARDS });
        }
        let tokens = self.pending.get(range).unwrap_or_default();
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        let shard = Shard {
            hash: Hash::of(&bytes),
            tokens: u32::try_from(tokens.len()).unwrap_or(u32::MAX),
        };
        self.output.blob(shard.hash, &bytes)?;
        self.shards.push(shard);
        Ok(())
    }
}

/// Entropy of the frequencies in nats; 0 when there are none.
///
/// Rounded to nine decimals: logarithms differ in their last bit between systems, and the number is
/// part of what the manifest's hash covers.
pub fn entropy(counts: &[u64]) -> f64 {
    const DECIMALS: f64 = 1e9;
    let total = counts.iter().sum::<u64>() as f64;
    let nats = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = *count as f64 / total;
            -share * share.ln()
        })
        .sum::<f64>();
    (nats.max(0.0) * DECIMALS).round() / DECIMALS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entropy_of_equal_shares_is_the_logarithm_of_their_number() {
        assert!((entropy(&[5, 5, 0, 5, 5]) - 4f64.ln()).abs() < 1e-8);
        assert_eq!(entropy(&[7]), 0.0);
        assert_eq!(entropy(&[]), 0.0);
    }

    #[test]
    fn larger_corpora_have_larger_shards_within_the_limit() {
        assert_eq!(shard_tokens(5_000_000), 128 * 1024);
        assert_eq!(shard_tokens(1 << 30), MAX_SHARD_TOKENS);
        assert_eq!(shard_tokens(u64::MAX / 4), MAX_SHARD_TOKENS);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shards_hold_every_token_in_order_and_none_is_tiny(
            lengths in prop::collection::vec(0usize..300, 0..20),
            size in 2usize..100,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let output = Partial::create(&folder.path().join("out")).unwrap();
            let mut writer = ShardWriter::new(&output, size, 300);
            let mut all = Vec::new();
            for len in lengths {
                let tokens: Vec<u16> = (0..len as u16).collect();
                writer.push(&tokens).unwrap();
                all.extend(tokens);
            }
            let written = writer.finish().unwrap();
            prop_assert_eq!(written.tokens, all.len() as u64);
            let mut read = Vec::new();
            for shard in &written.shards {
                let bytes = std::fs::read(output.blobs().join(shard.hash.to_string())).unwrap();
                read.extend(covey_protocol::corpus::decode_shard(shard, 300, &bytes).unwrap());
                prop_assert!(shard.tokens as usize <= size);
                prop_assert!(written.shards.len() == 1 || shard.tokens as usize >= size / 2);
            }
            prop_assert_eq!(read, all);
        }
    }
}
