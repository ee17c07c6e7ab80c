//! The promise that an auditor in a browser gets the coordinator's bits: ratings, sync scores and payouts
//! over generated windows, as one hash. Natively and in wasm it must be the same line.

use covey_scoring::computation::{ALPHA, Computation, THRESHOLD};
use covey_scoring::score::final_score;
use covey_scoring::sync::{steps_behind, sync_score};
use covey_scoring::{Emission, PlackettLuce, Rating, ScoringError};
use sha2::{Digest, Sha256};

const PEERS: usize = 30;
const WINDOWS: usize = 50;

/// Fifty windows of thirty peers with ties among them.
pub fn digest() -> Result<String, String> {
    let hash = windows().map_err(|problem: ScoringError| problem.to_string())?;
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn windows() -> Result<Vec<u8>, ScoringError> {
    let rules = PlackettLuce::default();
    let mut ratings = vec![rules.initial; PEERS];
    let mut computations = [Computation::default(); PEERS];
    let mut numbers = Numbers(1);
    let mut hasher = Sha256::new();
    for _ in 0..WINDOWS {
        let scores: Vec<f64> = (0..PEERS)
            .map(|_| (numbers.next() * 20.0).floor() / 1000.0)
            .collect();
        let peers: Vec<(Rating, f64)> = ratings.into_iter().zip(scores).collect();
        ratings = rules.rate(&peers)?;
        let mut finals = Vec::new();
        for (rating, computation) in ratings.iter().zip(&mut computations) {
            *computation = computation.observe(numbers.next() + 0.3, numbers.next(), ALPHA)?;
            let (mine, theirs, change) = (numbers.some(), numbers.some(), numbers.some());
            let sync = sync_score(steps_behind(&mine, &theirs, &change)?)?;
            finals.push(final_score(rating, computation, THRESHOLD, sync)?);
            [rating.mu, rating.sigma, sync]
                .iter()
                .for_each(|value| hasher.update(value.to_le_bytes()));
        }
        let payout = Emission::default().divide(&finals)?;
        finals
            .iter()
            .chain(&payout.peers)
            .for_each(|value| hasher.update(value.to_le_bytes()));
    }
    Ok(hasher.finalize().to_vec())
}

/// A small linear congruential generator, of whose 64 bits the upper half is used.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as f64 / f64::from(u32::MAX)
    }

    fn some(&mut self) -> Vec<f64> {
        (0..9).map(|_| self.next()).collect()
    }
}
