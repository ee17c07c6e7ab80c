//! The book: what is known of every volunteer, moved by one round's evidence at a time.
//!
//! [`Book::screen`] says before anything expensive which packets are out already; the caller evaluates
//! the rest in the order of [`Book::turns`]; [`Book::observe`] takes all of it in and says what is
//! merged; [`Book::weights`] says who earns what. No clock, no I/O: the same evidence gives the same
//! book, and the book is plain data that is stored with the round's record.
//!
//! What a reader would get wrong: being merged and being paid are different. A newcomer's packet is
//! merged as soon as its own evaluation is not negative, or a young run would never move; it earns
//! only after several positive ones ([`Rules`]).

use std::collections::{BTreeMap, BTreeSet};

use covey_protocol::{Hash, Round, VolunteerId, record::ExclusionReason};
use serde::{Deserialize, Serialize};

use crate::{
    Delivered, Evidence, Finding, Rating, Rules, ScoringError, Work,
    loss::MISSING_SCORE,
    peer::Peer,
    window::{Window, per_share},
};

/// What everyone's work was worth so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Rounds taken in.
    rounds: u64,
    #[serde(with = "crate::stored::as_list")]
    peers: BTreeMap<VolunteerId, Peer>,
}

/// What a round's evidence came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdicts {
    /// Whose packets are merged, ascending.
    pub selected: Vec<VolunteerId>,
    /// Whose are not, ascending, and why.
    pub excluded: Vec<(VolunteerId, ExclusionReason)>,
    /// Final scores of everyone with evidence, ascending by volunteer.
    pub scores: Vec<(VolunteerId, f64)>,
}

/// One volunteer as the outside sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub volunteer: VolunteerId,
    pub rating: Rating,
    pub computation: f64,
    pub score: f64,
    /// Incentive weight, the best being 65535.
    pub weight: u16,
    pub merged: u64,
    pub excluded: u64,
    /// What was decided about its newest packet; nothing if that was merged.
    pub last: Option<ExclusionReason>,
    pub banned_until: Option<Round>,
    pub idle: u32,
}

impl Book {
    /// Rounds taken in.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// One volunteer's page.
    #[must_use]
    pub fn peer(&self, volunteer: &VolunteerId) -> Option<&Peer> {
        self.peers.get(volunteer)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Why a packet is out before it is evaluated: by the checks, by a ban, or because this very
    /// payload was seen before, from anyone.
    #[must_use]
    pub fn screen(
        &self,
        round: Round,
        volunteer: &VolunteerId,
        payload: &Hash,
        finding: &Finding,
    ) -> Option<ExclusionReason> {
        let banned = self
            .peer(volunteer)
            .is_some_and(|peer| peer.is_banned(round));
        let mut seen = self.peers.values().flat_map(|peer| &peer.payloads);
        if finding.fault.is_some() {
            finding.fault
        } else if seen.any(|known| known == payload) {
            Some(ExclusionReason::Replayed)
        } else {
            banned.then_some(ExclusionReason::Banned)
        }
    }

    /// In which order to evaluate: who waited longest first, newcomers before everyone.
    #[must_use]
    pub fn turns(&self, volunteers: &[VolunteerId]) -> Vec<VolunteerId> {
        let mut turns = volunteers.to_vec();
        turns.sort_by_key(|volunteer| {
            let peer = self.peer(volunteer);
            let waited = peer.map_or(u32::MAX, |peer| peer.unevaluated);
            (u32::MAX - waited, *volunteer)
        });
        turns
    }

    /// Takes a round's evidence in. Of several pieces about one volunteer the last counts. A stranger that
    /// delivered nothing has nothing to lose: it gets no page, and no place in the ranking, whose cost
    /// grows with the square of those in it.
    pub fn observe(&mut self, rules: &Rules, round: Round, evidence: &[Evidence]) -> Verdicts {
        let mut evidence: BTreeMap<VolunteerId, &Work> = evidence
            .iter()
            .map(|piece| (piece.volunteer, &piece.work))
            .collect();
        evidence.retain(|volunteer, work| {
            **work != Work::Missing || self.peers.contains_key(volunteer)
        });
        let screened: BTreeMap<VolunteerId, Option<ExclusionReason>> = evidence
            .iter()
            .filter_map(|(volunteer, work)| match work {
                Work::Missing | Work::Recomputed => None,
                Work::Delivered(Delivered {
                    payload, finding, ..
                }) => Some((*volunteer, self.screen(round, volunteer, payload, finding))),
            })
            .collect();
        let window = Window::of(&evidence, &screened);

        for (volunteer, work) in &evidence {
            let peer = self
                .peers
                .entry(*volunteer)
                .or_insert_with(|| Peer::new(rules));
            match work {
                Work::Missing => peer.miss(rules, round),
                Work::Recomputed => peer.recompute(),
                Work::Delivered(delivered) => {
                    peer.deliver(rules, round, delivered);
                    let reason = screened.get(volunteer).copied().flatten();
                    if reason == Some(ExclusionReason::Replayed) {
                        peer.ban(rules, round);
                    }
                    if let Some(evaluation) = &delivered.evaluation
                        && reason.is_none()
                    {
                        peer.evaluate(rules, evaluation, window.median);
                    }
                }
            }
        }
        let verdicts = self.select(rules, &evidence, &screened, &window);
        self.rate(rules, &evidence, &screened);
        self.close(rules, round, &evidence, verdicts)
    }

    /// Who is merged: everyone who is not out by the checks and not harmful, the best if they are many.
    fn select(
        &self,
        rules: &Rules,
        evidence: &BTreeMap<VolunteerId, &Work>,
        screened: &BTreeMap<VolunteerId, Option<ExclusionReason>>,
        window: &Window,
    ) -> Verdicts {
        let mut verdicts = Verdicts::default();
        let mut candidates: Vec<(VolunteerId, f64, f64)> = Vec::new();
        for (volunteer, reason) in screened {
            let (Some(peer), Some(Work::Delivered(delivered))) =
                (self.peers.get(volunteer), evidence.get(volunteer))
            else {
                continue;
            };
            let tried = || peer.judge(rules, delivered.evaluation.as_ref()?, window);
            let newcomer =
                || (peer.positives < rules.merges_after).then_some(ExclusionReason::NotNeeded);
            match reason.or_else(tried).or_else(newcomer) {
                Some(reason) => verdicts.excluded.push((*volunteer, reason)),
                None => {
                    let gain = delivered.evaluation.map_or(0.0, |e| e.gain());
                    candidates.push((*volunteer, peer.score, gain));
                }
            }
        }
        candidates.sort_by(|(a, a_score, a_gain), (b, b_score, b_gain)| {
            let by_score = b_score.total_cmp(a_score);
            by_score.then(b_gain.total_cmp(a_gain)).then(a.cmp(b))
        });
        let surplus = candidates.split_off(rules.gather.min(candidates.len()));
        let surplus = surplus.into_iter().map(|(volunteer, ..)| volunteer);
        verdicts
            .excluded
            .extend(surplus.map(|volunteer| (volunteer, ExclusionReason::NotNeeded)));
        verdicts.excluded.sort();
        verdicts.selected = candidates
            .into_iter()
            .map(|(volunteer, ..)| volunteer)
            .collect();
        verdicts.selected.sort();
        verdicts
    }

    /// The round as a match: ranked by what each packet did to the loss on data of nobody. Who was
    /// screened out or delivered nothing comes last; who is barred does not take part. A gain counts per
    /// claimed share of a full round, so that a slow device can rank as high as a fast one; it is paid
    /// for its share ([`weights`](Self::weights)). Doing nothing at all takes part, too, once for
    /// each volunteer, with a score of 0 and always the rating of a newcomer: a lone volunteer could not
    /// win anything otherwise, and of many that are equally good some would always be last.
    fn rate(
        &mut self,
        rules: &Rules,
        evidence: &BTreeMap<VolunteerId, &Work>,
        screened: &BTreeMap<VolunteerId, Option<ExclusionReason>>,
    ) {
        let mut volunteers = Vec::new();
        let mut field = Vec::new();
        for (volunteer, work) in evidence {
            let Some(peer) = self.peers.get(volunteer) else {
                continue;
            };
            let score = match (work, screened.get(volunteer).copied().flatten()) {
                // Of a disputed packet nothing is known yet.
                (Work::Recomputed, _)
                | (Work::Delivered(_), Some(ExclusionReason::Banned | ExclusionReason::Disputed)) => {
                    None
                }
                (Work::Missing, _) | (Work::Delivered(_), Some(_)) => Some(MISSING_SCORE),
                (Work::Delivered(delivered), None) => delivered
                    .evaluation
                    .map(|evaluation| per_share(evaluation.random, peer.claimed)),
            };
            if let Some(score) = score.filter(|score| !score.is_nan()) {
                volunteers.push(*volunteer);
                field.push((peer.rating, score));
            }
        }
        let nothing = (rules.rating.initial, 0.0);
        field.extend(std::iter::repeat_n(nothing, volunteers.len()));
        // Numbers that are not finite cannot get here, and if they did the ratings would stay as they
        // are.
        if let Ok(ratings) = rules.rating.rate(&field) {
            for (volunteer, rating) in volunteers.iter().zip(ratings) {
                if let Some(peer) = self.peers.get_mut(volunteer) {
                    peer.rating = rating;
                }
            }
        }
    }

    fn close(
        &mut self,
        rules: &Rules,
        round: Round,
        evidence: &BTreeMap<VolunteerId, &Work>,
        mut verdicts: Verdicts,
    ) -> Verdicts {
        for (volunteer, reason) in &verdicts.excluded {
            if let Some(peer) = self.peers.get_mut(volunteer) {
                peer.last = Some(*reason);
                peer.excluded = peer.excluded.saturating_add(1);
            }
        }
        for volunteer in &verdicts.selected {
            if let Some(peer) = self.peers.get_mut(volunteer) {
                peer.last = None;
                peer.merged = peer.merged.saturating_add(1);
            }
        }
        // A round with all places taken says nothing about who was not in it: it may have found it full.
        let delivered = verdicts.selected.len() + verdicts.excluded.len();
        let crowded = delivered >= rules.gather + rules.emission.reserve;
        self.peers.retain(|volunteer, peer| {
            let there = crowded || evidence.contains_key(volunteer);
            there || !peer.rest(rules) || peer.is_banned(round)
        });
        for peer in self.peers.values_mut() {
            peer.settle(rules, round);
        }
        verdicts.scores = evidence
            .keys()
            .filter_map(|volunteer| Some((*volunteer, self.peers.get(volunteer)?.score)))
            .collect();
        self.shrink(rules);
        self.rounds = self.rounds.saturating_add(1);
        verdicts
    }

    /// Throw-away identities must not fill the book: those idle for longest go first, and of those the
    /// ones that never earned anything.
    fn shrink(&mut self, rules: &Rules) {
        let excess = self.peers.len().saturating_sub(rules.capacity);
        if excess == 0 {
            return;
        }
        let mut order: Vec<(u32, u32, VolunteerId)> = self
            .peers
            .iter()
            .map(|(volunteer, peer)| (u32::MAX - peer.idle, peer.positives, *volunteer))
            .collect();
        order.sort();
        let gone: BTreeSet<VolunteerId> = order
            .into_iter()
            .take(excess)
            .map(|(.., volunteer)| volunteer)
            .collect();
        self.peers.retain(|volunteer, _| !gone.contains(volunteer));
    }

    /// Incentive weights of everyone in the book, ascending by volunteer: the emission's shares times
    /// the share of a full round that was claimed, the largest being 65535. Who earns nothing has 0.
    ///
    /// # Errors
    /// Emission settings out of range.
    pub fn weights(&self, rules: &Rules) -> Result<Vec<(VolunteerId, u16)>, ScoringError> {
        let scores: Vec<f64> = self.peers.values().map(|peer| peer.score).collect();
        let payout = rules.emission.divide(&scores)?;
        let shares: Vec<f64> = payout
            .peers
            .iter()
            .zip(self.peers.values())
            .map(|(share, peer)| share * peer.claimed)
            .collect();
        let most = shares.iter().copied().fold(0.0, f64::max);
        let scaled = |share: f64| {
            if most > 0.0 {
                (share / most * f64::from(u16::MAX)).round() as u16
            } else {
                0
            }
        };
        Ok(self
            .peers
            .keys()
            .zip(shares)
            .map(|(volunteer, share)| (*volunteer, scaled(share)))
            .collect())
    }

    /// Everyone in the book, best first.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    pub fn standings(&self, rules: &Rules) -> Result<Vec<Standing>, ScoringError> {
        let weights = self.weights(rules)?;
        let mut standings: Vec<Standing> = self
            .peers
            .iter()
            .zip(weights)
            .map(|((volunteer, peer), (_, weight))| Standing {
                volunteer: *volunteer,
                rating: peer.rating,
                computation: peer.computation.average,
                score: peer.score,
                weight,
                merged: peer.merged,
                excluded: peer.excluded,
                last: peer.last,
                banned_until: peer.banned_until,
                idle: peer.idle,
            })
            .collect();
        standings.sort_by(|a, b| {
            let by_score = b.score.total_cmp(&a.score);
            by_score
                .then(b.rating.ordinal().total_cmp(&a.rating.ordinal()))
                .then(a.volunteer.cmp(&b.volunteer))
        });
        Ok(standings)
    }
}
