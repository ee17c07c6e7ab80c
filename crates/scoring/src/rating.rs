//! Skill ratings from rankings: the Plackett-Luce update of Weng and Lin (2011), as the `openskill`
//! package computes it and the Gauntlet uses it.
//!
//! Every window ranks the evaluated peers by loss score; each peer's skill is a normal belief (mean and
//! deviation) that moves by how surprising its rank was. What a reader would get wrong: equal scores share
//! a rank, and peers outside the match keep their deviation too.
//!
//! This is our own: the `skillratings` crate has the Bradley-Terry variant of the same paper (every pair
//! compared on its own), whose numbers differ from Plackett-Luce as soon as three peers meet.

use serde::{Deserialize, Serialize};

use crate::error::{ScoringError, finite};

/// A peer's skill: a normal belief.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    /// Mean.
    #[serde(with = "crate::stored::bits")]
    pub mu: f64,
    /// Standard deviation, positive.
    #[serde(with = "crate::stored::bits")]
    pub sigma: f64,
}

impl Rating {
    /// A skill that the peer has almost certainly: three deviations below the mean.
    #[must_use]
    pub fn ordinal(&self) -> f64 {
        self.mu - 3.0 * self.sigma
    }
}

/// Constants of the update; the default is the Gauntlet's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlackettLuce {
    /// How much a peer's performance scatters around its skill.
    pub beta: f64,
    /// How much a skill may drift between matches.
    pub tau: f64,
    /// Smallest factor by which a match may shrink a variance.
    pub kappa: f64,
    /// What a new peer starts with.
    pub initial: Rating,
}

impl Default for PlackettLuce {
    fn default() -> Self {
        Self {
            beta: 7.0,
            tau: 0.1,
            kappa: 1e-4,
            initial: Rating {
                mu: 25.0,
                sigma: 25.0 / 3.0,
            },
        }
    }
}

impl PlackettLuce {
    /// Ratings after a match, in the order of `peers`: each peer's rating before, and its score (higher is
    /// better, equal scores tie).
    ///
    /// # Errors
    /// No peers, numbers that are not finite, or a deviation or constant that is not positive.
    pub fn rate(&self, peers: &[(Rating, f64)]) -> Result<Vec<Rating>, ScoringError> {
        self.check(peers)?;
        let drift = self.tau * self.tau;
        let variances: Vec<f64> = peers
            .iter()
            .map(|(rating, _)| rating.sigma * rating.sigma + drift)
            .collect();
        let scatter = self.beta * self.beta;
        let c = variances
            .iter()
            .map(|variance| variance + scatter)
            .sum::<f64>()
            .sqrt();
        // Peers with equal scores share a stage. In a crowd nearly all do (who delivered nothing, and doing
        // nothing itself), so the exponentials are taken for each stage, not for each pair of peers.
        let mut places: Vec<f64> = peers.iter().map(|(_, score)| *score).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        let place_of = |score: &f64| places.partition_point(|place| place < score);
        let place: Vec<usize> = peers.iter().map(|(_, score)| place_of(score)).collect();
        let stages: Vec<Stage> = places
            .iter()
            .map(|place| Stage::new(peers, *place, c))
            .collect();

        let after =
            peers
                .iter()
                .zip(&variances)
                .enumerate()
                .map(|(i, ((rating, score), variance))| {
                    let from = place_of(score);
                    let shares: Vec<Share> = stages
                        .iter()
                        .skip(from)
                        .map(|stage| Share::new(rating.mu, stage, c))
                        .collect();
                    let (mut omega, mut delta) = (0.0, 0.0);
                    // One term for each peer, in their order: floating-point sums depend on it.
                    for (q, place) in place.iter().enumerate() {
                        let Some(share) = place.checked_sub(from).and_then(|at| shares.get(at))
                        else {
                            continue;
                        };
                        omega += if q == i { share.won } else { share.lost };
                        delta += share.spread;
                    }
                    let sigma = variance.sqrt();
                    let shrink = 1.0 - variance / (c * c) * (sigma / c) * delta;
                    Rating {
                        mu: rating.mu + variance * omega / c,
                        sigma: sigma * shrink.max(self.kappa).sqrt(),
                    }
                });
        Ok(after.collect())
    }

    fn check(&self, peers: &[(Rating, f64)]) -> Result<(), ScoringError> {
        if peers.is_empty() {
            return Err(ScoringError::Empty("match"));
        }
        finite("rating constants", &[self.beta, self.tau, self.kappa])?;
        for (rating, score) in peers {
            finite("rating", &[rating.mu, rating.sigma])?;
            finite("score", &[*score])?;
            if rating.sigma <= 0.0 {
                return Err(ScoringError::OutOfRange {
                    what: "deviation",
                    range: "positive",
                });
            }
        }
        if self.beta <= 0.0 || self.kappa <= 0.0 {
            return Err(ScoringError::OutOfRange {
                what: "beta and kappa",
                range: "positive",
            });
        }
        Ok(())
    }
}

/// One place of the ranking as a draw among all who are not ranked above it.
struct Stage {
    /// Highest mean among them; exponentials are taken relative to it, so that none overflows.
    top: f64,
    /// Sum of their exponentials.
    sum: f64,
    /// How many peers share this place.
    tied: f64,
}

/// What one stage adds to a peer's update.
struct Share {
    /// Where the stage is its own.
    won: f64,
    lost: f64,
    spread: f64,
}

impl Share {
    fn new(mu: f64, stage: &Stage, c: f64) -> Self {
        let p = libm::exp((mu - stage.top) / c) / stage.sum;
        Self {
            won: (1.0 - p) / stage.tied,
            lost: -p / stage.tied,
            spread: p * (1.0 - p) / stage.tied,
        }
    }
}

impl Stage {
    fn new(peers: &[(Rating, f64)], place: f64, c: f64) -> Self {
        let below = || {
            peers
                .iter()
                .filter(|(_, score)| *score <= place)
                .map(|(rating, _)| rating.mu)
        };
        let top = below().fold(f64::NEG_INFINITY, f64::max);
        let sum = below().map(|mu| libm::exp((mu - top) / c)).sum();
        let tied = peers.iter().filter(|(_, score)| *score == place).count() as f64;
        Self { top, sum, tied }
    }
}
