//! A corpus as volunteers see it: a manifest of content-addressed token shards.
//!
//! A shard is a blob of u16 tokens, little endian. Training shards and held-out shards are disjoint
//! stretches of the text. The vocabulary blob maps every token to its bytes, which is all a tab
//! needs to show text; the tokeniser that made the shards is kept beside it as a blob of its own.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, ProtocolError,
    limits::{MAX_SHARD_TOKENS, MAX_SHARDS, MAX_TOKEN_BYTES, MAX_VOCABULARY},
};

/// Version of the manifest's fields.
pub const MANIFEST_VERSION: u16 = 1;

/// One stretch of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    pub hash: Hash,
    /// Tokens in the blob; its length is twice this in bytes.
    pub tokens: u32,
}

/// Everything about a tokenised corpus. Its own hash is the corpus's name in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u16,
    /// Tokens are below this.
    pub vocabulary_size: u32,
    /// [`Vocabulary`] blob.
    pub vocabulary: Hash,
    /// The tokeniser in the `tokenizers` crate's JSON; absent when tokens are bytes.
    pub tokenizer: Option<Hash>,
    pub train: Vec<Shard>,
    pub held_out: Vec<Shard>,
    /// Bytes of text behind the training and the held-out tokens.
    pub train_bytes: u64,
    pub held_out_bytes: u64,
    /// Entropy of the held-out tokens' own frequencies, in nats per token: what a model that knows
    /// only how common each token is would reach.
    pub unigram_entropy: f64,
}

impl Manifest {
    /// Canonical JSON, the bytes that are hashed.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses a manifest and checks every bound.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a corpus manifest";
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| ProtocolError::malformed(WHAT, error))?;
        if manifest.version != MANIFEST_VERSION {
            return Err(ProtocolError::Version {
                what: WHAT,
                actual: manifest.version,
                supported: MANIFEST_VERSION,
            });
        }
        let shards = || manifest.train.iter().chain(&manifest.held_out);
        if shards().count() > MAX_SHARDS {
            return Err(ProtocolError::TooLarge {
                what: "the list of shards",
                actual: shards().count(),
                limit: MAX_SHARDS,
            });
        }
        if manifest.train.is_empty() || manifest.held_out.is_empty() {
            return Err(ProtocolError::malformed(
                WHAT,
                "needs training and held-out shards",
            ));
        }
        if let Some(shard) =
            shards().find(|s| s.tokens == 0 || s.tokens as usize > MAX_SHARD_TOKENS)
        {
            return Err(ProtocolError::TooLarge {
                what: "a shard",
                actual: shard.tokens as usize,
                limit: MAX_SHARD_TOKENS,
            });
        }
        if manifest.vocabulary_size == 0 || manifest.vocabulary_size as usize > MAX_VOCABULARY {
            return Err(ProtocolError::malformed(WHAT, "vocabulary size"));
        }
        if !manifest.unigram_entropy.is_finite() || manifest.unigram_entropy < 0.0 {
            return Err(ProtocolError::NotFinite("the unigram entropy"));
        }
        Ok(manifest)
    }
}

/// Reads a shard's blob: hash, length and every token are checked.
pub fn decode_shard(
    shard: &Shard,
    vocabulary_size: u32,
    bytes: &[u8],
) -> Result<Vec<u16>, ProtocolError> {
    let expected = shard.tokens as usize * 2;
    if bytes.len() != expected {
        return Err(ProtocolError::Truncated {
            what: "a shard",
            actual: bytes.len(),
            expected,
        });
    }
    if Hash::of(bytes) != shard.hash {
        return Err(ProtocolError::HashMismatch { what: "a shard" });
    }
    let tokens: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    match tokens.iter().find(|t| u32::from(**t) >= vocabulary_size) {
        Some(token) => Err(ProtocolError::malformed(
            "a shard",
            format!("token {token} is outside the vocabulary of {vocabulary_size}"),
        )),
        None => Ok(tokens),
    }
}

/// The bytes of every token.
///
/// Blob layout, little endian: `CVV1`, u32 count, then per token u16 length and its bytes. A token
/// may be empty (padding to a multiple of 64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    pieces: Vec<Vec<u8>>,
}

const VOCABULARY_MAGIC: &[u8; 4] = b"CVV1";

impl Vocabulary {
    /// Tokens that are the 256 bytes.
    pub fn bytes() -> Self {
        Self {
            pieces: (0..=255u8).map(|byte| vec![byte]).collect(),
        }
    }

    pub fn new(pieces: Vec<Vec<u8>>) -> Result<Self, ProtocolError> {
        if pieces.len() > MAX_VOCABULARY {
            return Err(ProtocolError::TooLarge {
                what: "a vocabulary",
                actual: pieces.len(),
                limit: MAX_VOCABULARY,
            });
        }
        match pieces.iter().find(|piece| piece.len() > MAX_TOKEN_BYTES) {
            Some(piece) => Err(ProtocolError::TooLarge {
                what: "a token",
                actual: piece.len(),
                limit: MAX_TOKEN_BYTES,
            }),
            None => Ok(Self { pieces }),
        }
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn to_blob(&self) -> Vec<u8> {
        let mut out = VOCABULARY_MAGIC.to_vec();
        out.extend((self.pieces.len() as u32).to_le_bytes());
        for piece in &self.pieces {
            out.extend((piece.len() as u16).to_le_bytes());
            out.extend(piece);
        }
        out
    }

    pub fn from_blob(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a vocabulary";
        let short = |expected| ProtocolError::Truncated {
            what: WHAT,
            actual: bytes.len(),
            expected,
        };
        let rest = bytes
            .strip_prefix(VOCABULARY_MAGIC)
            .ok_or(ProtocolError::Magic(WHAT))?;
        let (count, mut rest) = rest.split_first_chunk::<4>().ok_or_else(|| short(8))?;
        let count = u32::from_le_bytes(*count) as usize;
        if count > MAX_VOCABULARY {
            return Err(ProtocolError::TooLarge {
                what: WHAT,
                actual: count,
                limit: MAX_VOCABULARY,
            });
        }
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            let (len, tail) = rest
                .split_first_chunk::<2>()
                .ok_or_else(|| short(bytes.len() + 2))?;
            let len = usize::from(u16::from_le_bytes(*len));
            let (piece, tail) = tail
                .split_at_checked(len)
                .ok_or_else(|| short(bytes.len() + len))?;
            pieces.push(piece.to_vec());
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(ProtocolError::malformed(WHAT, "bytes after the last token"));
        }
        Self::new(pieces)
    }

    /// Text of tokens; bytes that are not UTF-8 become the replacement character.
    pub fn decode(&self, tokens: &[u16]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter_map(|token| self.pieces.get(usize::from(*token)))
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Tokens of a prompt by greedy longest match. For prompts only: it may split rare words
    /// differently from the tokeniser's merges, but every split it makes is one the model knows.
    /// Bytes that no token starts with are skipped.
    pub fn encode(&self, text: &str) -> Vec<u16> {
        let index: std::collections::HashMap<&[u8], u16> = self
            .pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| !piece.is_empty())
            .filter_map(|(token, piece)| Some((piece.as_slice(), u16::try_from(token).ok()?)))
            .collect();
        let longest = self.pieces.iter().map(Vec::len).max().unwrap_or(0);
        let mut rest = text.as_bytes();
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let found = (1..=longest.min(rest.len()))
                .rev()
                .find_map(|len| Some((len, *index.get(rest.get(..len)?)?)));
            let len = found.map_or(1, |(len, token)| {
                tokens.push(token);
                len
            });
            rest = rest.get(len..).unwrap_or_default();
        }
        tokens
    }
}
