//! How a reward is divided: most to the peers in the gather, some to the reserves, some burned.
//!
//! The gather peers stand on a straight line, the first earning `top_ratio` times the last; reserves
//! follow geometrically. What a reader would get wrong: a reserve must never earn more than a gather peer,
//! or it would pay to rank lower. Where the reserves' share would do that it shrinks until the first
//! reserve earns `decay` times the last gather peer, and the rest goes to everyone in proportion.

use serde::{Deserialize, Serialize};

use crate::error::{ScoringError, finite, share};

/// Settings of the division; the default is the Templar code's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// Peers in the gather.
    pub gather: usize,
    /// Peers in reserve.
    pub reserve: usize,
    /// The gather peers' share of what is not burned.
    pub share: f64,
    /// What the first gather peer earns for one unit of the last.
    pub top_ratio: f64,
    /// What each reserve earns for one unit of the one before.
    pub decay: f64,
    /// Share that nobody gets.
    pub burn: f64,
}

impl Default for Emission {
    fn default() -> Self {
        Self {
            gather: 20,
            reserve: 10,
            share: 0.75,
            top_ratio: 2.0,
            decay: 0.5,
            burn: 0.5,
        }
    }
}

/// Shares of one reward; together they make 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Payout {
    /// Each peer's share, in the order of the scores.
    pub peers: Vec<f64>,
    /// What is burned: everything when nobody earned.
    pub burn: f64,
}

impl Emission {
    /// Divides one reward among peers by their final scores. Only positive scores earn; of equal scores
    /// the earlier in the list ranks higher.
    ///
    /// # Errors
    /// Scores that are not finite, or settings out of range.
    pub fn divide(&self, scores: &[f64]) -> Result<Payout, ScoringError> {
        finite("final score", scores)?;
        share("share", self.share)?;
        share("decay", self.decay)?;
        share("burn", self.burn)?;
        finite("top ratio", &[self.top_ratio])?;
        if self.top_ratio < 1.0 {
            return Err(ScoringError::OutOfRange {
                what: "top ratio",
                range: "at least 1",
            });
        }
        let mut ranked: Vec<(usize, f64)> = scores
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, score)| *score > 0.0)
            .collect();
        ranked.sort_by(|(_, left), (_, right)| right.total_cmp(left));

        let parts = self.parts(ranked.len());
        let total: f64 = parts.iter().sum();
        let mut peers = vec![0.0; scores.len()];
        if total <= 0.0 {
            return Ok(Payout { peers, burn: 1.0 });
        }
        for ((peer, _), part) in ranked.iter().zip(&parts) {
            if let Some(slot) = peers.get_mut(*peer) {
                *slot = (1.0 - self.burn) * part / total;
            }
        }
        Ok(Payout {
            peers,
            burn: self.burn,
        })
    }

    /// What each rank earns, best first, before it is scaled to make 1.
    fn parts(&self, ranked: usize) -> Vec<f64> {
        let gather = ranked.min(self.gather);
        let reserve = (ranked - gather).min(self.reserve);
        let gaps = gather.saturating_sub(1).max(1) as f64;
        let line =
            (0..gather).map(|place| self.top_ratio + (1.0 - self.top_ratio) * place as f64 / gaps);
        let mut parts = scaled(line.collect(), self.share);
        let last = parts.last().copied();
        let curve = std::iter::successors(Some(1.0), |part| Some(part * self.decay));
        let reserves = scaled(curve.take(reserve).collect(), 1.0 - self.share);
        let cap = match (last, reserves.first()) {
            (Some(last), Some(first)) if *first > last => last / first * self.decay,
            _ => 1.0,
        };
        parts.extend(reserves.into_iter().map(|part| part * cap));
        parts
    }
}

fn scaled(parts: Vec<f64>, total: f64) -> Vec<f64> {
    let sum: f64 = parts.iter().sum();
    parts.into_iter().map(|part| total * part / sum).collect()
}
