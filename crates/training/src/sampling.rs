//! Which data a volunteer trains on: a pure function of seed, volunteer and round (spec 3).
//!
//! `assign` draws distinct ids below `n` with a sparse Fisher-Yates over a SHA-256 counter stream:
//! portable, without modulo bias, and cheap for a few draws from millions. Anyone can recompute an
//! assignment and its receipt.

use std::collections::{HashMap, HashSet};

use blake2::{Blake2b, digest::consts::U16};
use sha2::{Digest, Sha256};

/// Draws for training.
pub const TRAIN: &str = "train";
/// Draws of the shards that training sequences come from.
pub const SHARD: &str = "shard";
/// Draws for evaluation on data assigned to nobody.
pub const EVALUATION: &str = "eval";

/// `count` distinct ids below `n` (all of them, shuffled, when `count >= n`).
pub fn assign(
    domain: &str,
    run_seed: &[u8],
    peer: &[u8],
    window: u64,
    n: u64,
    count: usize,
) -> Vec<u64> {
    let mut words = Words::new(domain, run_seed, peer, window);
    let count = u64::try_from(count).unwrap_or(u64::MAX).min(n);
    // Positions of the virtual array [0, n) that no longer hold their own index.
    let mut moved: HashMap<u64, u64> = HashMap::new();
    (0..count)
        .map(|i| {
            let j = i + words.below(n - i);
            let picked = moved.get(&j).copied().unwrap_or(j);
            let displaced = moved.get(&i).copied().unwrap_or(i);
            moved.insert(j, displaced);
            picked
        })
        .collect()
}

/// Receipt of an assignment: BLAKE2b-128 of the sorted ids as little-endian u64.
pub fn receipt(ids: &[u64]) -> [u8; 16] {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let mut hasher = Blake2b::<U16>::new();
    for id in sorted {
        hasher.update(id.to_le_bytes());
    }
    hasher.finalize().into()
}

/// Templar's sampler seed, for comparing with its runs.
pub fn templar_seed(uid: u64, window: u64) -> u32 {
    ((uid.wrapping_mul(1_000_003) ^ window) & u64::from(u32::MAX)) as u32
}

/// Whether ids are all different: an assignment always is.
pub fn distinct(ids: &[u64]) -> bool {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().all(|id| seen.insert(id))
}

/// u64 words of SHA-256(key, counter), little endian, four from each digest.
struct Words {
    key: [u8; 32],
    counter: u64,
    /// Words of the last digest not yet given, the next one last.
    ready: Vec<u64>,
}

impl Words {
    fn new(domain: &str, run_seed: &[u8], peer: &[u8], window: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"slc-assign-v1\0");
        hasher.update(domain.as_bytes());
        hasher.update([0]);
        for part in [run_seed, peer] {
            hasher.update((part.len() as u32).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(window.to_le_bytes());
        Self {
            key: hasher.finalize().into(),
            counter: 0,
            ready: Vec::with_capacity(4),
        }
    }

    fn next(&mut self) -> u64 {
        loop {
            if let Some(word) = self.ready.pop() {
                return word;
            }
            let digest: [u8; 32] = Sha256::new()
                .chain_update(self.key)
                .chain_update(self.counter.to_le_bytes())
                .finalize()
                .into();
            self.counter += 1;
            let (words, _) = digest.as_chunks::<8>();
            self.ready
                .extend(words.iter().rev().map(|word| u64::from_le_bytes(*word)));
        }
    }

    /// Uniform below `n`; words in the last, partial range are rejected.
    fn below(&mut self, n: u64) -> u64 {
        let n = n.max(1);
        // 2^64 mod n, without 128 bits.
        let partial = (u64::MAX % n + 1) % n;
        loop {
            let word = self.next();
            if partial == 0 || word < 0u64.wrapping_sub(partial) {
                return word % n;
            }
        }
    }
}
