//! What a volunteer keeps between visits: error feedback, optimiser state, counters; as bytes.
//!
//! A tab can be killed in the middle of a write, so the file ends in a BLAKE3 of everything before
//! it, and [`super::store`] alternates between two files: a torn one is ignored and the other is one
//! round older.
//!
//! Layout, little endian: `CVS1`, run (32), then u64 sequence number, optimiser steps, tokens, rounds
//! contributed, parameters n; n f32 of error feedback; u64 moments (0 or 2n) and as many f32; hash.

use covey_protocol::Hash;
use covey_training::inner::OptimiserState;

const MAGIC: &[u8; 4] = b"CVS1";

/// State of one volunteer in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Grows with every save; the larger of two files is the newer.
    pub sequence: u64,
    pub tokens: u64,
    pub rounds: u64,
    /// Flat, in canonical order; empty means all zero.
    pub error_feedback: Vec<f32>,
    pub optimiser: OptimiserState,
}

impl Progress {
    pub fn to_bytes(&self, run: &Hash) -> Vec<u8> {
        let values = self.error_feedback.len() + self.optimiser.moments.len();
        let mut out = Vec::with_capacity(128 + 4 * values);
        out.extend(MAGIC);
        out.extend(run.0);
        for number in [
            self.sequence,
            self.optimiser.steps,
            self.tokens,
            self.rounds,
            self.error_feedback.len() as u64,
        ] {
            out.extend(number.to_le_bytes());
        }
        extend(&mut out, &self.error_feedback);
        out.extend((self.optimiser.moments.len() as u64).to_le_bytes());
        extend(&mut out, &self.optimiser.moments);
        let hash = Hash::of(&out);
        out.extend(hash.0);
        out
    }

    /// Reads state of `run` for a model of `parameters`; anything torn, foreign or not finite is
    /// `None`.
    pub fn from_bytes(run: &Hash, parameters: usize, bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.split_last_chunk::<32>()?;
        if Hash::of(body).0 != *hash {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&run.0)?;
        let (sequence, rest) = number(rest)?;
        let (steps, rest) = number(rest)?;
        let (tokens, rest) = number(rest)?;
        let (rounds, rest) = number(rest)?;
        let (error_feedback, rest) = values(rest, &[0, parameters])?;
        let (moments, rest) = values(rest, &[0, 2 * parameters])?;
        rest.is_empty().then_some(Self {
            sequence,
            tokens,
            rounds,
            error_feedback,
            optimiser: OptimiserState { moments, steps },
        })
    }
}

fn extend(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn values<'a>(bytes: &'a [u8], lengths: &[usize]) -> Option<(Vec<f32>, &'a [u8])> {
    let (count, rest) = number(bytes)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|n| lengths.contains(n))?;
    let (values, rest) = rest.split_at_checked(count * 4)?;
    let (values, _) = values.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    values
        .iter()
        .all(|value| value.is_finite())
        .then_some((values, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            sequence: 3,
            tokens: 4096,
            rounds: 2,
            error_feedback: vec![0.5, -1.0, 2.0],
            optimiser: OptimiserState {
                moments: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
                steps: 40,
            },
        }
    }

    #[test]
    fn state_comes_back_as_it_was() {
        let run = Hash([1; 32]);
        let bytes = progress().to_bytes(&run);
        assert_eq!(Progress::from_bytes(&run, 3, &bytes), Some(progress()));
        let empty = Progress::default();
        assert_eq!(
            Progress::from_bytes(&run, 3, &empty.to_bytes(&run)),
            Some(empty)
        );
    }

    #[test]
    fn torn_foreign_and_altered_state_is_ignored() {
        let run = Hash([1; 32]);
        let bytes = progress().to_bytes(&run);
        for length in 0..bytes.len() {
            assert_eq!(Progress::from_bytes(&run, 3, &bytes[..length]), None);
        }
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            assert_eq!(Progress::from_bytes(&run, 3, &altered), None);
        }
        assert_eq!(Progress::from_bytes(&Hash([2; 32]), 3, &bytes), None);
        assert_eq!(Progress::from_bytes(&run, 4, &bytes), None);
    }

    /// The bytes under their own hash, as somebody who can write to the disk would leave them: only what is
    /// read decides. A length that is believed would be found here as a panic or as endless memory.
    fn read(mut body: Vec<u8>) {
        let run = Hash([1; 32]);
        let hash = Hash::of(&body);
        body.extend(hash.0);
        if let Some(read) = Progress::from_bytes(&run, 3, &body) {
            assert_eq!(read.to_bytes(&run), body);
            assert!([0, 3].contains(&read.error_feedback.len()));
            assert!([0, 6].contains(&read.optimiser.moments.len()));
            let all = read.error_feedback.iter().chain(&read.optimiser.moments);
            assert!(all.into_iter().all(|value| value.is_finite()));
        }
    }

    /// Bytes that are always the same.
    fn noise(seed: u64) -> impl Iterator<Item = u8> {
        let mut reader = blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof();
        std::iter::repeat_with(move || {
            let mut byte = [0];
            reader.fill(&mut byte);
            byte[0]
        })
    }

    #[test]
    fn whatever_has_a_good_hash_is_read_exactly_or_not_at_all() {
        let whole = progress().to_bytes(&Hash([1; 32]));
        let (body, _) = whole.split_last_chunk::<32>().expect("a hash");
        for length in 0..body.len() {
            read(body[..length].to_vec());
        }
        for position in 0..body.len() {
            for with in 1..=u8::MAX {
                let mut body = body.to_vec();
                body[position] ^= with;
                read(body);
            }
        }
        for seed in 0..5000 {
            let mut noise = noise(seed);
            let length = usize::from(noise.next().unwrap_or(0));
            read(noise.by_ref().take(length).collect());
            // A good beginning, and then anything.
            let kept = usize::from(noise.next().unwrap_or(0)) % body.len();
            let rest: Vec<u8> = noise.take(length).collect();
            read([&body[..kept], &rest].concat());
        }
    }

    #[test]
    fn lengths_that_are_claimed_are_not_believed() {
        let whole = progress().to_bytes(&Hash([1; 32]));
        let (body, _) = whole.split_last_chunk::<32>().expect("a hash");
        // Where the two counts are: behind the numbers, and behind the three values.
        for at in [68, 88] {
            for claim in [
                1,
                2,
                4,
                7,
                1 << 20,
                1 << 33,
                1 << 62,
                u64::MAX / 4,
                u64::MAX,
            ] {
                let mut bytes = body.to_vec();
                bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
                let hash = Hash::of(&bytes);
                bytes.extend(hash.0);
                assert_eq!(Progress::from_bytes(&Hash([1; 32]), 3, &bytes), None);
            }
        }
    }
}
