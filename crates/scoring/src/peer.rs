//! One volunteer's page in the book, and the evidence that is written onto it.

use std::collections::VecDeque;

use covey_protocol::{Hash, Round, VolunteerId, record::ExclusionReason};
use serde::{Deserialize, Serialize};

use crate::{
    Finding, Rating, Rules,
    checks::OverlapVerdict,
    computation::Computation,
    penalty::{
        BAN_WINDOWS, HISTORY, Verdict, inactivity_verdict, missing_factor, missing_verdict,
        negative_factor,
    },
    score::final_score,
};

/// Payloads remembered per volunteer, to know them when they are sent again.
const REMEMBERED_PAYLOADS: usize = 8;

/// What became known about one volunteer in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub volunteer: VolunteerId,
    pub work: Work,
}

/// What it did.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// It joined, stayed to the end, and delivered nothing.
    Missing,
    /// It computed somebody else's work again: it was there, and there is nothing to rate.
    Recomputed,
    Delivered(Delivered),
}

/// A packet that was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Hash of the payload without its envelope, so that signing it anew does not hide it.
    pub payload: Hash,
    /// Share of a full round's inner steps that the sender claims, in `0..=1`.
    pub claimed: f64,
    pub finding: Finding,
    /// Absent when there was no time for it.
    pub evaluation: Option<Evaluation>,
}

/// Loss scores of one packet; see [`loss`](crate::loss). A loss that ceased to be finite is
/// negative infinity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// On the volunteer's own data.
    pub own: f64,
    /// On data nobody was assigned.
    pub random: f64,
}

impl Evaluation {
    /// What a packet is let in or left out by: the mean of both scores. The spec takes the score on
    /// random data alone, but once a model is past its first rounds that of an honest packet is within
    /// the noise of eight sequences around zero, while on its own data it is clear; whoever trained on
    /// nothing or against the loss has neither.
    #[must_use]
    pub fn gain(&self) -> f64 {
        0.5 * (self.own + self.random)
    }

    /// Whether it costs more than it may: on both together, or on random data alone so much that no
    /// chance explains it. `typical` is the window's median gain.
    #[must_use]
    pub fn is_negative(&self, rules: &Rules, typical: f64) -> bool {
        self.gain() < -rules.resolution || self.is_destructive(rules, typical)
    }

    /// Whether it is so bad that not even a known volunteer is forgiven.
    #[must_use]
    pub fn is_destructive(&self, rules: &Rules, typical: f64) -> bool {
        let limit = -rules.turncoat * typical - rules.resolution;
        !(self.random.is_finite() && self.own.is_finite())
            || (typical > 0.0 && self.random.min(self.gain()) < limit)
    }
}

/// The newest evaluations of a volunteer, newest last, at most [`HISTORY`].
type Marks = VecDeque<bool>;

/// What is known of one volunteer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    pub rating: Rating,
    pub computation: Computation,
    /// `true` where a payload was missing.
    pub missing: Marks,
    /// `true` where an evaluation was below zero.
    pub negative: Marks,
    /// `true` where an evaluation was not worthwhile; see [`Rules::worthwhile`].
    pub poor: Marks,
    pub missing_streak: u32,
    pub negative_streak: u32,
    /// Worthwhile evaluations since the last reset.
    pub positives: u32,
    /// Windows without any sign of it.
    pub idle: u32,
    /// Windows since its last evaluation: those who waited longest are evaluated first.
    pub unevaluated: u32,
    /// Its packets are not merged before this round.
    pub banned_until: Option<Round>,
    /// It earns nothing before this round.
    pub unpaid_until: Option<Round>,
    /// Share of a full round's steps that it claimed last.
    #[serde(with = "crate::stored::bits")]
    pub claimed: f64,
    /// Penalties of the newest round, multiplied.
    #[serde(with = "crate::stored::bits")]
    pub factor: f64,
    /// Newest payloads, newest last.
    pub payloads: VecDeque<Hash>,
    /// What was decided about its newest packet; nothing if that was merged.
    pub last: Option<ExclusionReason>,
    pub merged: u64,
    pub excluded: u64,
    /// The final score as it stands, never negative.
    #[serde(with = "crate::stored::bits")]
    pub score: f64,
}

impl Peer {
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            rating: rules.rating.initial,
            computation: Computation::default(),
            missing: Marks::new(),
            negative: Marks::new(),
            poor: Marks::new(),
            missing_streak: 0,
            negative_streak: 0,
            positives: 0,
            idle: 0,
            unevaluated: u32::MAX,
            banned_until: None,
            unpaid_until: None,
            claimed: 1.0,
            factor: 1.0,
            payloads: VecDeque::new(),
            last: None,
            merged: 0,
            excluded: 0,
            score: 0.0,
        }
    }

    /// Rating, averages and trust start over. Bans, remembered payloads and counts stay.
    pub(crate) fn reset(&mut self, rules: &Rules) {
        self.rating = rules.rating.initial;
        self.computation = Computation::default();
        self.missing.clear();
        self.negative.clear();
        self.poor.clear();
        self.missing_streak = 0;
        self.negative_streak = 0;
        self.positives = 0;
        self.score = 0.0;
    }

    /// Whether its packets are out of the merge in `round`.
    #[must_use]
    pub fn is_banned(&self, round: Round) -> bool {
        self.banned_until.is_some_and(|until| round < until)
    }

    /// Whether it has shown enough for its next packet to be merged on credit: worthwhile evaluations,
    /// and mostly those of late.
    #[must_use]
    pub fn is_known(&self, rules: &Rules) -> bool {
        self.positives >= rules.earns_after.max(1) && !self.is_poor()
    }

    /// Whether more than half of the newest evaluations were not worthwhile.
    fn is_poor(&self) -> bool {
        let poor = self.poor.iter().filter(|poor| **poor).count();
        2 * poor > self.poor.len()
    }

    pub(crate) fn miss(&mut self, rules: &Rules, round: Round) {
        self.idle = 0;
        self.missing_streak = self.missing_streak.saturating_add(1);
        push(&mut self.missing, true);
        self.factor = missing_factor(self.missing_streak);
        if let Verdict::ResetAndBan(windows) = missing_verdict(self.missing.make_contiguous()) {
            // A slow tab is not an attacker: what it does deliver is still merged, but not paid for.
            self.reset(rules);
            self.unpaid_until = Some(later(round, windows));
        }
    }

    /// It was there, and did something else than usual.
    pub(crate) fn recompute(&mut self) {
        self.idle = 0;
        self.missing_streak = 0;
        push(&mut self.missing, false);
        self.factor = 1.0;
    }

    pub(crate) fn deliver(&mut self, rules: &Rules, round: Round, delivered: &Delivered) {
        self.idle = 0;
        self.missing_streak = 0;
        push(&mut self.missing, false);
        self.claimed = delivered.claimed.clamp(0.0, 1.0);
        self.unevaluated = self.unevaluated.saturating_add(1);
        self.factor = 1.0;
        self.payloads.push_back(delivered.payload);
        while self.payloads.len() > REMEMBERED_PAYLOADS {
            self.payloads.pop_front();
        }
        match delivered.finding.overlap {
            OverlapVerdict::Clear => {}
            OverlapVerdict::Suspect => self.factor = 0.5,
            OverlapVerdict::Reset => self.reset(rules),
            OverlapVerdict::Ban => self.ban(rules, round),
        }
    }

    pub(crate) fn ban(&mut self, rules: &Rules, round: Round) {
        self.reset(rules);
        self.banned_until = Some(later(round, BAN_WINDOWS));
    }

    /// Takes an evaluation in; `typical` is the window's median gain.
    pub(crate) fn evaluate(&mut self, rules: &Rules, evaluation: &Evaluation, typical: f64) {
        self.unevaluated = 0;
        let negative = evaluation.is_negative(rules, typical);
        let enough = rules.worthwhile * typical * self.claimed;
        let worthwhile = !negative && evaluation.gain() > 0.0 && evaluation.gain() >= enough;
        push(&mut self.negative, negative);
        push(&mut self.poor, !worthwhile);
        if negative {
            self.negative_streak = self.negative_streak.saturating_add(1);
        } else {
            self.negative_streak = 0;
        }
        if worthwhile {
            self.positives = self.positives.saturating_add(1);
        }
        // A loss that is not finite loses against anything.
        let (own, random) = if evaluation.own.is_finite() && evaluation.random.is_finite() {
            (evaluation.own, evaluation.random)
        } else {
            (0.0, 0.0)
        };
        if let Ok(next) = self
            .computation
            .observe(own, random, rules.computation_alpha)
        {
            self.computation = next;
        }
        self.factor *= negative_factor(self.negative.make_contiguous());
    }

    /// A round went by without it. Returns whether it is to be forgotten.
    pub(crate) fn rest(&mut self, rules: &Rules) -> bool {
        self.idle = self.idle.saturating_add(1);
        match inactivity_verdict(self.idle) {
            Verdict::Scale(factor) => self.factor = factor,
            Verdict::Reset | Verdict::ResetAndBan(_) => self.reset(rules),
        }
        self.idle > rules.forget_after
    }

    /// The final score after `round`. Sync is 1: admission compares the hash of the weights a packet
    /// started from with the run's, which is stricter than any sample of them.
    pub(crate) fn settle(&mut self, rules: &Rules, round: Round) {
        let unpaid = self.is_banned(round.next())
            || self.unpaid_until.is_some_and(|until| round.next() < until)
            || self.positives < rules.earns_after
            // Pay waits for the proof, without the grace the formula gives newcomers.
            || self.computation.average < rules.computation_threshold
            || self
                .last
                .is_some_and(|reason| reason != ExclusionReason::NotNeeded)
            || self.is_poor();
        let sync = 1.0;
        let score = final_score(
            &self.rating,
            &self.computation,
            rules.computation_threshold,
            sync,
        );
        let score = score.unwrap_or(0.0) * self.factor;
        self.score = if unpaid || !score.is_finite() {
            0.0
        } else {
            score.max(0.0)
        };
    }
}

fn push(marks: &mut Marks, mark: bool) {
    marks.push_back(mark);
    while marks.len() > HISTORY {
        marks.pop_front();
    }
}

fn later(round: Round, windows: u32) -> Round {
    Round(round.0.saturating_add(1).saturating_add(u64::from(windows)))
}
