//! What the coordinator states about a finished round, and its receipts: signed, chained, final.
//!
//! A newcomer takes the newest checkpoint, applies the updates of the records after it, and arrives
//! at `theta_after` of the last one or knows exactly which record lies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Identity, PartnerId, ProtocolError, Round, SignatureBytes, VolunteerId,
    limits::MAX_COMMITMENTS,
};

const COMMITMENT_DOMAIN: &str = "covey 2026-11 commitment signature";
const RECORD_DOMAIN: &str = "covey 2026-11 round record signature";
const RECEIPT_DOMAIN: &str = "covey 2026-11 receipt signature";

/// A volunteer's word for one packet, given before anyone could read another one of the round
/// (spec 2.7, commit then reveal). Round and run are signed but not repeated: they are the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub signature: SignatureBytes,
}

impl Commitment {
    pub fn sign(run: &Hash, round: Round, packet: Hash, identity: &Identity) -> Self {
        let signed = commitment_bytes(run, round, &packet);
        Self {
            volunteer: identity.id(),
            packet,
            signature: identity.sign(COMMITMENT_DOMAIN, &signed),
        }
    }

    /// Checks the volunteer's signature for a round of a run.
    pub fn verify(&self, run: &Hash, round: Round) -> Result<(), ProtocolError> {
        let signed = commitment_bytes(run, round, &self.packet);
        self.volunteer
            .verify(COMMITMENT_DOMAIN, &signed, &self.signature)
    }
}

fn commitment_bytes(run: &Hash, round: Round, packet: &Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(run.0);
    bytes.extend(round.0.to_le_bytes());
    bytes.extend(packet.0);
    bytes
}

/// One merged contribution, as listed in a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub inner_steps: u32,
    pub tokens: u32,
    /// The site it is credited to. Not written when there is none, so that records from before there
    /// were partners keep their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerId>,
}

/// A packet that has a receipt but was left out of the merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub reason: ExclusionReason,
}

/// Why a packet was left out; what each means is decided in `covey-scoring`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExclusionReason {
    /// Every value is zero.
    Empty,
    /// Far larger than the other packets of the round.
    Norm,
    /// Shares its entries with a packet that came earlier, in this round or the one before.
    Copied,
    /// The very payload was sent before.
    Replayed,
    /// It raised the loss when it was tried.
    Harmful,
    /// It changed next to nothing for the better when it was tried.
    Useless,
    /// The volunteer is barred for some rounds after a copy.
    Banned,
    /// Others with better scores took all the places.
    NotNeeded,
    /// It is somebody else's work, computed again to compare: present and counted, never merged.
    Replica,
    /// A replica came to something else. Which of the two is wrong is decided by later rounds.
    Disputed,
}

impl ExclusionReason {
    /// All of them, in the order of the declaration.
    pub const ALL: [Self; 10] = [
        Self::Empty,
        Self::Norm,
        Self::Copied,
        Self::Replayed,
        Self::Harmful,
        Self::Useless,
        Self::Banned,
        Self::NotNeeded,
        Self::Replica,
        Self::Disputed,
    ];

    /// As it is written in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Norm => "norm",
            Self::Copied => "copied",
            Self::Replayed => "replayed",
            Self::Harmful => "harmful",
            Self::Useless => "useless",
            Self::Banned => "banned",
            Self::NotNeeded => "not_needed",
            Self::Replica => "replica",
            Self::Disputed => "disputed",
        }
    }

    /// For the volunteer whose packet it was.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Empty => "it held nothing but zeros",
            Self::Norm => "it was far larger than everyone else's",
            Self::Copied => "it repeats a contribution that came before it",
            Self::Replayed => "the same contribution was sent before",
            Self::Harmful => "it made the model worse when it was tried",
            Self::Useless => "it did next to nothing for the model when it was tried",
            Self::Banned => "this identity is barred for some rounds after a copy",
            Self::NotNeeded => "others with better scores took all the places",
            Self::Replica => "it was a check of somebody else's work, and counts as such",
            Self::Disputed => {
                "somebody who computed the same came to another result; the next rounds show who is right"
            }
        }
    }
}

/// A volunteer's work that another one computed again, on the same data and from the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// Whose work it is.
    pub of: VolunteerId,
    /// Who computed it again, instead of its own.
    pub by: VolunteerId,
    pub agreement: Agreement,
}

/// What comparing the two packets of a [`Replica`] showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    Agreed,
    /// Further apart than any two adapters are.
    Disputed,
    /// Nothing: the first packet never came, or they are neither close nor far enough.
    Open,
}

/// The outcome of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRecord {
    pub run: Hash,
    pub round: Round,
    /// Hash of the record before this one; absent in round 0.
    pub previous: Option<Hash>,
    /// Seed of the round's data assignments, now that nobody can use it early.
    pub seed: Hash,
    /// Weights the round started from.
    pub base: Hash,
    /// Weights after the outer step. Equals `base` when nothing was merged.
    pub theta_after: Hash,
    /// The merged update's blob; absent when nothing was merged.
    pub update: Option<Hash>,
    /// Length of that blob in bytes, 0 when absent.
    pub update_len: u64,
    /// What was merged, in ascending volunteer order, the order of merging.
    pub contributions: Vec<Contribution>,
    /// What was received and left out, in ascending volunteer order. Not written when empty, so that
    /// records from before it existed keep their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Exclusion>,
    /// Every commitment of the round in the order in which they were taken, also those whose packet never
    /// came. Of two packets that resemble each other, the one committed to first is the original. Empty
    /// in records from before commitments existed, and not written then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commitments: Vec<Commitment>,
    /// What was computed twice, in ascending order of who did it again. Not written when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Volunteers whose packet is merged but is no clean round: they are on probation and could not be
    /// looked at. Ascending; not written when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<VolunteerId>,
}

impl RoundRecord {
    /// Hash of the canonical JSON: the record's name in the chain.
    pub fn hash(&self) -> Hash {
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Checks that every commitment is its volunteer's own, that nobody has two, and that everything
    /// received was committed to: nobody was slipped in, and the order is what the coordinator signed.
    ///
    /// Costs a signature check for each commitment. A record from before commitments existed fails
    /// unless its round was empty.
    pub fn check_commitments(&self) -> Result<(), ProtocolError> {
        const WHAT: &str = "a record's commitments";
        if self.commitments.len() > MAX_COMMITMENTS {
            return Err(ProtocolError::TooLarge {
                what: WHAT,
                actual: self.commitments.len(),
                limit: MAX_COMMITMENTS,
            });
        }
        let mut committed = BTreeMap::new();
        for commitment in &self.commitments {
            commitment.verify(&self.run, self.round)?;
            let Commitment {
                volunteer, packet, ..
            } = commitment;
            if committed.insert(*volunteer, *packet).is_some() {
                return Err(ProtocolError::malformed(
                    WHAT,
                    format!("{volunteer} has two"),
                ));
            }
        }
        let merged = self.contributions.iter().map(|c| (c.volunteer, c.packet));
        let left_out = self.excluded.iter().map(|e| (e.volunteer, e.packet));
        for (volunteer, packet) in merged.chain(left_out) {
            if committed.get(&volunteer) != Some(&packet) {
                return Err(ProtocolError::malformed(
                    WHAT,
                    format!("{volunteer} did not commit to {packet}"),
                ));
            }
        }
        Ok(())
    }

    pub fn sign(self, identity: &Identity) -> SignedRecord {
        let signature = identity.sign(RECORD_DOMAIN, &self.hash().0);
        SignedRecord {
            record: self,
            signature,
        }
    }
}

/// A record with the coordinator's signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRecord {
    pub record: RoundRecord,
    pub signature: SignatureBytes,
}

impl SignedRecord {
    /// Checks the signature against the run's coordinator.
    pub fn verify(&self, coordinator: &VolunteerId) -> Result<&RoundRecord, ProtocolError> {
        coordinator.verify(RECORD_DOMAIN, &self.record.hash().0, &self.signature)?;
        Ok(&self.record)
    }
}

/// Weights everyone can start from: the blob is the f32 values, little endian, so its name is the
/// weights' hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The round these weights are the base of.
    pub round: Round,
    pub theta: Hash,
    /// Length of the blob in bytes.
    pub len: u64,
}

/// The coordinator's promise that a packet is on disk and will be in the round's record: among the
/// contributions, or among the excluded with a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub run: Hash,
    pub round: Round,
    pub volunteer: VolunteerId,
    pub packet: Hash,
    pub tokens: u32,
    /// The coordinator's clock, milliseconds since 1970.
    pub received_at_ms: u64,
    /// The site it is credited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerId>,
    /// Over all fields above; without a partner, over the same bytes as before there were any.
    pub signature: SignatureBytes,
}

impl Receipt {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(116);
        bytes.extend(self.run.0);
        bytes.extend(self.round.0.to_le_bytes());
        bytes.extend(self.volunteer.0);
        bytes.extend(self.packet.0);
        bytes.extend(self.tokens.to_le_bytes());
        bytes.extend(self.received_at_ms.to_le_bytes());
        // Last, and everything before it has a fixed length: no other receipt has the same bytes.
        bytes.extend(self.partner.iter().flat_map(|id| id.as_str().bytes()));
        bytes
    }

    /// Signs, replacing whatever signature was there.
    pub fn sign(mut self, identity: &Identity) -> Self {
        self.signature = identity.sign(RECEIPT_DOMAIN, &self.signed_bytes());
        self
    }

    pub fn verify(&self, coordinator: &VolunteerId) -> Result<(), ProtocolError> {
        coordinator.verify(RECEIPT_DOMAIN, &self.signed_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RoundRecord {
        RoundRecord {
            run: Hash([1; 32]),
            round: Round(3),
            previous: None,
            seed: Hash([2; 32]),
            base: Hash([3; 32]),
            theta_after: Hash([3; 32]),
            update: None,
            update_len: 0,
            contributions: Vec::new(),
            excluded: Vec::new(),
            commitments: Vec::new(),
            replicas: Vec::new(),
            unproven: Vec::new(),
        }
    }

    #[test]
    fn a_record_without_exclusions_or_commitments_reads_and_hashes_as_before_they_existed() {
        let json = serde_json::to_string(&record()).unwrap();
        assert!(!json.contains("excluded") && !json.contains("commitments"));
        assert_eq!(
            serde_json::from_str::<RoundRecord>(&json).unwrap(),
            record()
        );
    }

    #[test]
    fn a_contribution_without_a_partner_reads_and_hashes_as_before_there_were_any() {
        let mut record = record();
        let contribution = Contribution {
            volunteer: VolunteerId([4; 32]),
            packet: Hash([5; 32]),
            inner_steps: 1,
            tokens: 2,
            partner: None,
        };
        record.contributions = vec![contribution];
        let (json, hash) = (serde_json::to_string(&record).unwrap(), record.hash());
        assert!(!json.contains("partner"));
        assert_eq!(serde_json::from_str::<RoundRecord>(&json).unwrap(), record);
        record.contributions[0].partner = Some("example-blog".parse().unwrap());
        assert_ne!(record.hash(), hash, "credit is part of what is signed");
        let json = serde_json::to_string(&record).unwrap();
        assert!(json.contains("\"partner\":\"example-blog\""));
        assert_eq!(serde_json::from_str::<RoundRecord>(&json).unwrap(), record);
    }

    #[test]
    fn a_receipt_vouches_for_its_partner_and_without_one_is_what_it_always_was() {
        let identity = Identity::from_secret([7; 32]);
        let receipt = Receipt {
            run: Hash([1; 32]),
            round: Round(3),
            volunteer: VolunteerId([4; 32]),
            packet: Hash([5; 32]),
            tokens: 6,
            received_at_ms: 7,
            partner: None,
            signature: SignatureBytes([0; 64]),
        };
        assert_eq!(receipt.signed_bytes().len(), 116);
        let credited = Receipt {
            partner: Some("example-blog".parse().unwrap()),
            ..receipt
        }
        .sign(&identity);
        assert_eq!(credited.verify(&identity.id()), Ok(()));
        for partner in [None, Some("example-blo".parse().unwrap())] {
            let other = Receipt {
                partner,
                ..credited.clone()
            };
            assert!(other.verify(&identity.id()).is_err(), "{partner:?}");
        }
    }

    #[test]
    fn an_exclusion_is_part_of_what_is_signed() {
        let mut record = record();
        let before = record.hash();
        for reason in ExclusionReason::ALL {
            record.excluded = vec![Exclusion {
                volunteer: VolunteerId([4; 32]),
                packet: Hash([5; 32]),
                reason,
            }];
            assert_ne!(record.hash(), before);
            let json = serde_json::to_string(&record).unwrap();
            assert!(json.contains(&format!("\"reason\":\"{}\"", reason.name())));
            assert_eq!(serde_json::from_str::<RoundRecord>(&json).unwrap(), record);
        }
    }

    #[test]
    fn what_was_received_without_a_commitment_shows() {
        let (one, two) = (
            Identity::from_secret([1; 32]),
            Identity::from_secret([2; 32]),
        );
        let mut record = record();
        let commit = |identity: &Identity, packet: u8| {
            Commitment::sign(&record.run, record.round, Hash([packet; 32]), identity)
        };
        let (first, second, again) = (commit(&one, 7), commit(&two, 8), commit(&two, 9));
        record.commitments = vec![first, second];
        record.contributions = vec![Contribution {
            volunteer: one.id(),
            packet: Hash([7; 32]),
            inner_steps: 1,
            tokens: 1,
            partner: None,
        }];
        record.excluded = vec![Exclusion {
            volunteer: two.id(),
            packet: Hash([8; 32]),
            reason: ExclusionReason::Harmful,
        }];
        record.check_commitments().unwrap();

        let mut slipped_in = record.clone();
        slipped_in.commitments.remove(0);
        let mut exchanged = record.clone();
        exchanged.excluded[0].packet = Hash([9; 32]);
        let mut twice = record.clone();
        twice.commitments.push(again);
        for wrong in [slipped_in, exchanged, twice] {
            assert!(matches!(
                wrong.check_commitments(),
                Err(ProtocolError::Malformed { .. })
            ));
        }
        let mut forged = record.clone();
        forged.commitments[0].volunteer = VolunteerId([3; 32]);
        let mut of_another_round = record.clone();
        of_another_round.round = Round(4);
        for wrong in [forged, of_another_round] {
            assert!(matches!(
                wrong.check_commitments(),
                Err(ProtocolError::Signature(_))
            ));
        }
        let mut too_many = record.clone();
        too_many.commitments = vec![first; MAX_COMMITMENTS + 1];
        assert!(matches!(
            too_many.check_commitments(),
            Err(ProtocolError::TooLarge { .. })
        ));
        let before = record.hash();
        record.commitments.swap(0, 1);
        assert_ne!(record.hash(), before, "the order is signed");
    }
}
