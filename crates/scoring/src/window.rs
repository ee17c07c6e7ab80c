//! One round's gains side by side: what is typical, and who falls out of it.

use std::collections::BTreeMap;

use covey_compression::aggregate::lower_median;
use covey_protocol::{VolunteerId, record::ExclusionReason};

use crate::{
    Evaluation, Rules, Work,
    loss::MISSING_SCORE,
    peer::Peer,
    penalty::{WINDOW_GUARD_PLACE, excluded_for_negatives},
};

impl Peer {
    /// Whether its packet is left out for what it did to the loss.
    pub(crate) fn judge(
        &self,
        rules: &Rules,
        evaluation: &Evaluation,
        window: &Window,
    ) -> Option<ExclusionReason> {
        let known = self.is_known(rules);
        if !evaluation.is_negative(rules, window.median) {
            let least = rules.useful * window.median * self.claimed - rules.resolution;
            let useless = evaluation.gain() < least;
            return (useless && !known).then_some(ExclusionReason::Useless);
        }
        let turned = evaluation.is_destructive(rules, window.median);
        let streak = excluded_for_negatives(self.negative_streak, &window.scores);
        (!known || turned || streak).then_some(ExclusionReason::Harmful)
    }
}

/// Least share of a full round that a gain is divided by.
const LEAST_SHARE: f64 = 1.0 / 16.0;

/// A gain per claimed share of a full round; a loss stays what it is.
pub(crate) fn per_share(gain: f64, claimed: f64) -> f64 {
    if gain > 0.0 {
        gain / claimed.max(LEAST_SHARE)
    } else {
        gain.max(MISSING_SCORE)
    }
}

/// The round's gains, of packets that passed the checks.
pub(crate) struct Window {
    pub scores: Vec<f64>,
    /// Lower median of the positive gains; 0 in a bad window and without any.
    pub median: f64,
}

impl Window {
    pub fn of(
        evidence: &BTreeMap<VolunteerId, &Work>,
        screened: &BTreeMap<VolunteerId, Option<ExclusionReason>>,
    ) -> Self {
        let scores: Vec<f64> = evidence
            .iter()
            .filter(|(volunteer, _)| screened.get(volunteer) == Some(&None))
            .filter_map(|(_, work)| match work {
                Work::Delivered(delivered) => Some(delivered.evaluation?.gain()),
                Work::Missing | Work::Recomputed => None,
            })
            .filter(|score| !score.is_nan())
            .collect();
        let positive: Vec<f64> = scores.iter().copied().filter(|s| *s > 0.0).collect();
        let mut sorted = scores.clone();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let bad = sorted
            .get(WINDOW_GUARD_PLACE - 1)
            .is_some_and(|score| *score < 0.0);
        let median = if bad {
            0.0
        } else {
            lower_median(&positive).unwrap_or(0.0)
        };
        Self { scores, median }
    }
}
