//! What the coordinator states about a finished round, and its receipts: signed, chained, final.
//!
//! A newcomer takes the newest checkpoint, applies the updates of the records after it, and arrives
//! at `theta_after` of the last one or knows exactly which record lies.

use serde::{Deserialize, Serialize};

use crate::{Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId};

const RECORD_DOMAIN: &str = "covey 2026-11 round record signature";
const RECEIPT_DOMAIN: &str = "covey 2026-11 receipt signature";

/// One accepted contribution, as listed in a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub inner_steps: u32,
    pub tokens: u32,
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
    /// Weights after the outer step. Equals `base` when nothing was contributed.
    pub theta_after: Hash,
    /// The merged update's blob; absent when nothing was contributed.
    pub update: Option<Hash>,
    /// Length of that blob in bytes, 0 when absent.
    pub update_len: u64,
    /// In ascending volunteer order, the order of merging.
    pub contributions: Vec<Contribution>,
}

impl RoundRecord {
    /// Hash of the canonical JSON: the record's name in the chain.
    pub fn hash(&self) -> Hash {
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
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

/// The coordinator's promise that a packet is on disk and will be merged.
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
    /// Over all fields above.
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
