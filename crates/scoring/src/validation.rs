//! Validators beside the coordinator: who scores which packet, and what a validator's signed sheets come
//! to (training spec, section 2; economics, section 3).
//!
//! The draw is a function of the round's record, which nobody knows while packets can still be made, and
//! of the validator's key, so that everyone can repeat it. An [`Opinion`] is a [`Book`] that takes in one
//! validator's sheets in their order: whoever has the sheets has the opinion, after a reload as well as
//! before.
//!
//! What a reader would get wrong: a young opinion is silent. Its weights would all go to nobody, and a
//! validator with much stake would burn everyone's pay while it is still looking.

use covey_protocol::{
    Hash, Round, VolunteerId,
    validation::{Loss, Losses, Scored, Sheet},
};

use crate::{
    Book, Delivered, Evaluation, Evidence, Finding, Rules, ScoringError, Work,
    checks::OverlapVerdict, loss::loss_score,
};

/// Most packets that one validator scores in a round: each costs two forward passes on two small batches
/// (spec 2.7).
pub const ASSIGNED: usize = 8;

/// Rounds after which an opinion is heard.
pub const SPEAKS_AFTER: u64 = 5;

const DRAW: &[u8] = b"covey validation draw v1";
const PROBE: &[u8] = b"covey validation probe v1";

/// The packets that a validator scores, at most [`ASSIGNED`], in the order in which to try them. `seed`
/// is the hash of the round's record. Its own are never among them, nor those of whoever is `related`.
#[must_use]
pub fn assigned(
    seed: &Hash,
    validator: &VolunteerId,
    packets: impl IntoIterator<Item = (VolunteerId, Hash)>,
    related: impl Fn(&VolunteerId) -> bool,
) -> Vec<Hash> {
    let place = |packet: &Hash| Hash::of(&[DRAW, &seed.0, &validator.0, &packet.0].concat());
    let mut drawn: Vec<(Hash, Hash)> = packets
        .into_iter()
        .filter(|(volunteer, _)| volunteer != validator && !related(volunteer))
        .map(|(_, packet)| (place(&packet), packet))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(ASSIGNED);
    drawn.into_iter().map(|(_, packet)| packet).collect()
}

/// Seed of the sequences on which a validator tries a round's packets: every validator looks elsewhere.
#[must_use]
pub fn probe(seed: &Hash, validator: &VolunteerId) -> Hash {
    Hash::of(&[PROBE, &seed.0, &validator.0].concat())
}

/// What one validator thinks of everyone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opinion {
    book: Book,
    /// The next round that it takes in.
    next: Round,
}

impl Opinion {
    /// The first round of which it knows nothing.
    #[must_use]
    pub fn next(&self) -> Round {
        self.next
    }

    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Takes the validator's next sheet in; one of an earlier round changes nothing. `steps` are the
    /// run's inner steps of a full round.
    pub fn take_in(&mut self, rules: &Rules, steps: u32, sheet: &Sheet) {
        if sheet.round < self.next {
            return;
        }
        let evidence: Vec<Evidence> = sheet
            .scores
            .iter()
            .map(|scored| evidence(scored, steps))
            .collect();
        self.book.observe(rules, sheet.round, &evidence);
        self.next = sheet.round.next();
    }

    /// Weights by contributor, ascending, without zeros; empty where nobody earned anything. Nothing at
    /// all while the opinion is young.
    ///
    /// # Errors
    /// Emission settings out of range.
    pub fn weights(&self, rules: &Rules) -> Result<Option<Vec<(VolunteerId, u16)>>, ScoringError> {
        if self.book.rounds() < SPEAKS_AFTER {
            return Ok(None);
        }
        let mut weights = self.book.weights(rules)?;
        weights.retain(|(_, weight)| *weight > 0);
        Ok(Some(weights))
    }
}

/// What a score says. The packet was merged, so the fast checks had nothing against it.
fn evidence(scored: &Scored, steps: u32) -> Evidence {
    Evidence {
        volunteer: scored.volunteer,
        work: Work::Delivered(Delivered {
            payload: scored.packet,
            claimed: f64::from(scored.inner_steps) / f64::from(steps.max(1)),
            finding: Finding {
                fault: None,
                overlap: OverlapVerdict::Clear,
                norm: 1.0,
            },
            evaluation: scored.losses.as_ref().map(evaluation),
        }),
    }
}

fn evaluation(losses: &Losses) -> Evaluation {
    let score = |before: Loss, after: Loss| {
        loss_score(before.nats(), after.nats()).unwrap_or(f64::NEG_INFINITY)
    };
    Evaluation {
        own: score(losses.own_before, losses.own_after),
        random: score(losses.random_before, losses.random_after),
    }
}
