//! A run's records, one after the other: signature, place in the chain, the weights it starts from, and
//! what was committed to.
//!
//! What a reader would get wrong: [`Chain::check`] is not all of it. A record that passes names an update,
//! and only a replay of the packets in it shows whether they add up to the weights that the record says.

use std::collections::BTreeSet;

use covey_protocol::{
    Hash, ProtocolError, Round, VolunteerId,
    limits::MAX_CONTRIBUTIONS,
    record::{RoundRecord, SignedRecord},
    witness::Place,
};
use covey_training::TrainingError;
use serde::{Deserialize, Serialize};

use crate::Finding;

/// How far a run's records are agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    pub run: Hash,
    /// Rounds before this one are agreed.
    pub round: Round,
    /// Weights this round starts from.
    pub theta: Hash,
    /// Hash of the last agreed record.
    pub record: Option<Hash>,
    /// A record listed commitments: from then on every one has to.
    commitments: bool,
    /// Everybody whose packet is in a record, merged or not.
    pub volunteers: BTreeSet<VolunteerId>,
}

impl Chain {
    /// Before the first record; `theta` is of the weights that the run's seed gives.
    #[must_use]
    pub fn begin(run: Hash, theta: Hash) -> Self {
        Self {
            run,
            round: Round(0),
            theta,
            record: None,
            commitments: false,
            volunteers: BTreeSet::new(),
        }
    }

    /// Whether a record follows, as far as it shows by itself. `by` is who coordinated then.
    ///
    /// # Errors
    /// The first thing that is not so.
    pub fn check(&self, signed: &SignedRecord, by: &VolunteerId) -> Result<(), Finding> {
        let record = &signed.record;
        let finding = |place, expected: &dyn ToString, found: &dyn ToString| {
            let (expected, found) = (expected.to_string(), found.to_string());
            Err(Finding::new(place, self.round.0, expected, found))
        };
        if signed.verify(by).is_err() {
            return finding(Place::Signature, by, &signed.signature);
        }
        if record.round != self.round || record.run != self.run {
            return finding(Place::Chain, &self.round, &record.round);
        }
        if record.previous != self.record {
            let name = |hash: Option<Hash>| hash.map_or("none".to_owned(), |hash| hash.to_string());
            return finding(Place::Chain, &name(self.record), &name(record.previous));
        }
        if record.base != self.theta {
            return finding(Place::Base, &self.theta, &record.base);
        }
        if (self.commitments || !record.commitments.is_empty())
            && let Err(error) = record.check_commitments()
        {
            return finding(Place::Commitments, &"commitments to all of it", &error);
        }
        Ok(())
    }

    /// Moves on over a record that was checked and recomputed, or that was agreed at an earlier time.
    pub fn agree(&mut self, record: &RoundRecord) {
        self.round = record.round.next();
        self.theta = record.theta_after;
        self.record = Some(record.hash());
        let merged = record.contributions.iter().map(|c| c.volunteer);
        let left_out = record.excluded.iter().map(|e| e.volunteer);
        self.volunteers.extend(merged.chain(left_out));
        self.commitments |= !record.commitments.is_empty();
    }

    /// A record that is served again for a round that is agreed must be the one that was agreed.
    /// `known` is who coordinated then as far as was known, `shown` who it is said to have been now.
    ///
    /// # Errors
    /// [`Place::Equivocation`] if its coordinator signed both: the two records are then the proof.
    pub fn same(
        kept: &SignedRecord,
        served: &SignedRecord,
        known: &VolunteerId,
        shown: &VolunteerId,
    ) -> Result<(), Finding> {
        let (ours, theirs) = (kept.record.hash(), served.record.hash());
        if ours == theirs {
            return Ok(());
        }
        let place = if served.verify(known).is_ok() {
            Place::Equivocation
        } else if shown == known {
            Place::Signature
        } else {
            // Somebody goes on from an earlier record than the last one agreed here.
            Place::Handover
        };
        Err(Finding::new(place, kept.record.round.0, ours, theirs))
    }
}

/// Most bytes a merged update of this run can have, by the length of its packets.
#[must_use]
pub const fn update_limit(packet_len: usize) -> usize {
    16 + MAX_CONTRIBUTIONS * (4 + packet_len)
}

/// What a replay that failed says about the record.
#[must_use]
pub fn recomputed(record: &RoundRecord, error: &TrainingError) -> Finding {
    let finding = |place, expected: &dyn ToString, found: &dyn ToString| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Finding::new(place, record.round.0, expected, found)
    };
    match error {
        TrainingError::WrongWeights { actual, expected } => {
            finding(Place::Weights, actual, expected)
        }
        TrainingError::Protocol(ProtocolError::HashMismatch {
            what: "the list of contributions",
        }) => finding(
            Place::Contributions,
            &"the packets of the update",
            &format!("{} listed contributions", record.contributions.len()),
        ),
        TrainingError::Protocol(ProtocolError::HashMismatch { what: "an update" }) => finding(
            Place::Update,
            &"an update for what is listed",
            &"none, or one for nothing",
        ),
        error => finding(Place::Packet, &"packets that can be merged", error),
    }
}

#[cfg(test)]
mod tests {
    use covey_protocol::Identity;

    use super::*;

    const RUN: Hash = Hash([1; 32]);
    const START: Hash = Hash([2; 32]);

    fn record(round: u64, previous: Option<Hash>, base: Hash, after: Hash) -> RoundRecord {
        RoundRecord {
            run: RUN,
            round: Round(round),
            previous,
            seed: Hash([3; 32]),
            base,
            theta_after: after,
            update: None,
            update_len: 0,
            commitments: Vec::new(),
            contributions: Vec::new(),
            excluded: Vec::new(),
            replicas: Vec::new(),
            unproven: Vec::new(),
        }
    }

    fn place(result: Result<(), Finding>) -> Option<(Place, u64)> {
        result.err().map(|finding| (finding.place, finding.number))
    }

    #[test]
    fn records_that_follow_are_agreed_one_after_the_other() {
        let coordinator = Identity::from_secret([7; 32]);
        let mut chain = Chain::begin(RUN, START);
        let first = record(0, None, START, Hash([4; 32])).sign(&coordinator);
        assert_eq!(chain.check(&first, &coordinator.id()), Ok(()));
        chain.agree(&first.record);
        let hash = Some(first.record.hash());
        let second = record(1, hash, Hash([4; 32]), Hash([5; 32])).sign(&coordinator);
        assert_eq!(chain.check(&second, &coordinator.id()), Ok(()));
        chain.agree(&second.record);
        assert_eq!((chain.round, chain.theta), (Round(2), Hash([5; 32])));
    }

    #[test]
    fn what_does_not_follow_has_its_own_name() {
        let coordinator = Identity::from_secret([7; 32]);
        let stranger = Identity::from_secret([8; 32]);
        let chain = Chain::begin(RUN, START);
        let good = record(0, None, START, Hash([4; 32]));
        let check = |record: RoundRecord, by: &Identity| {
            place(chain.check(&record.sign(by), &coordinator.id()))
        };
        assert_eq!(check(good.clone(), &coordinator), None);
        assert_eq!(check(good.clone(), &stranger), Some((Place::Signature, 0)));
        let later = record(1, None, START, Hash([4; 32]));
        assert_eq!(check(later, &coordinator), Some((Place::Chain, 0)));
        let mut other = good.clone();
        other.run = Hash([9; 32]);
        assert_eq!(check(other, &coordinator), Some((Place::Chain, 0)));
        let follows = record(0, Some(Hash([9; 32])), START, Hash([4; 32]));
        assert_eq!(check(follows, &coordinator), Some((Place::Chain, 0)));
        let elsewhere = record(0, None, Hash([9; 32]), Hash([4; 32]));
        assert_eq!(check(elsewhere, &coordinator), Some((Place::Base, 0)));
    }

    #[test]
    fn another_record_for_an_agreed_round_is_named_by_who_signed_it() {
        let [old, new, stranger] = [7, 8, 9].map(|n| Identity::from_secret([n; 32]));
        let kept = record(4, None, START, Hash([4; 32])).sign(&old);
        let other = record(4, None, START, Hash([5; 32]));
        let same = |served: &SignedRecord, shown: &Identity| {
            place(Chain::same(&kept, served, &old.id(), &shown.id()))
        };
        assert_eq!(same(&kept, &old), None);
        let equivocation = Some((Place::Equivocation, 4));
        assert_eq!(same(&other.clone().sign(&old), &old), equivocation);
        let forged = other.clone().sign(&stranger);
        assert_eq!(same(&forged, &old), Some((Place::Signature, 4)));
        assert_eq!(same(&other.sign(&new), &new), Some((Place::Handover, 4)));
    }
}
