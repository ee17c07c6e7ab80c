//! The seed of a round's data assignments.
//!
//! It must be unknown before the round opens, or volunteers could pick rounds they like, and it must be
//! the same after a restart, or work in flight would be assigned anew. A keyed hash gives both without
//! anything to store but the key.

use covey_protocol::{Hash, Round};

/// Seed of `round` in `run`: BLAKE3 keyed with the coordinator's secret.
#[must_use]
pub fn round_seed(key: &[u8; 32], run: &Hash, round: Round) -> Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&run.0);
    hasher.update(&round.0.to_le_bytes());
    Hash(*hasher.finalize().as_bytes())
}

/// Seed of what an assessment looks at, in volunteers' own data and elsewhere. It never leaves the
/// coordinator before the round is closed, or a volunteer could work on just that.
#[must_use]
pub fn probe_seed(key: &[u8; 32], run: &Hash, round: Round) -> Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(b"probe");
    hasher.update(&run.0);
    hasher.update(&round.0.to_le_bytes());
    Hash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_key_run_and_round_and_repeat_for_the_same() {
        let run = Hash::of(b"run");
        let seed = round_seed(&[1; 32], &run, Round(3));
        assert_eq!(seed, round_seed(&[1; 32], &run, Round(3)));
        assert_ne!(seed, round_seed(&[2; 32], &run, Round(3)));
        assert_ne!(seed, round_seed(&[1; 32], &Hash::of(b"other"), Round(3)));
        assert_ne!(seed, round_seed(&[1; 32], &run, Round(4)));
        assert_ne!(seed, probe_seed(&[1; 32], &run, Round(3)));
        assert_ne!(
            probe_seed(&[1; 32], &run, Round(3)),
            probe_seed(&[1; 32], &run, Round(4))
        );
    }
}
