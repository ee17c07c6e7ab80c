//! Where a coordinator's ledger stands, signed, so that a head can be held against whoever gave it.
//!
//! Two heads with the same number of entries and different hashes are proof that a coordinator showed two
//! histories. What a reader would get wrong: the signature covers the run, the number of entries and the
//! hash; the height beside them is only the coordinator's clock.

use serde::{Deserialize, Serialize};

use crate::{Hash, Identity, ProtocolError, SignatureBytes, VolunteerId};

const HEAD_DOMAIN: &str = "covey 2026-11 ledger head signature";

/// The end of a ledger's journal, and the clock beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// The run.
    pub chain: Hash,
    /// Whether the operator may move the clock.
    pub development: bool,
    /// The coordinator's clock, in blocks since the ledger's beginning.
    pub height: u64,
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last entry.
    pub head: Hash,
    pub block_seconds: u32,
    /// Blocks per epoch.
    pub tempo: u64,
    /// Height of the next epoch.
    pub next_epoch: u64,
    /// Unix time of height 0 in milliseconds.
    pub started_ms: u64,
    pub coordinator: VolunteerId,
    /// Over `chain`, `entries` and `head`.
    pub signature: SignatureBytes,
}

fn signed_bytes(chain: &Hash, entries: u64, head: &Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(chain.0);
    bytes.extend(entries.to_le_bytes());
    bytes.extend(head.0);
    bytes
}

/// A coordinator's signature of the end of its journal.
#[must_use]
pub fn sign_head(identity: &Identity, chain: &Hash, entries: u64, head: &Hash) -> SignatureBytes {
    identity.sign(HEAD_DOMAIN, &signed_bytes(chain, entries, head))
}

impl LedgerHead {
    /// Checks that `coordinator` signed this head.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, coordinator: &VolunteerId) -> Result<(), ProtocolError> {
        let bytes = signed_bytes(&self.chain, self.entries, &self.head);
        coordinator.verify(HEAD_DOMAIN, &bytes, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_verifies_for_its_coordinator_and_its_entries_only() {
        let identity = Identity::from_secret([7; 32]);
        let (chain, hash) = (Hash::of(b"run"), Hash::of(b"entry"));
        let head = LedgerHead {
            chain,
            development: false,
            height: 12,
            entries: 3,
            head: hash,
            block_seconds: 12,
            tempo: 360,
            next_epoch: 360,
            started_ms: 1,
            coordinator: identity.id(),
            signature: sign_head(&identity, &chain, 3, &hash),
        };
        assert_eq!(head.verify(&identity.id()), Ok(()));
        let later = LedgerHead {
            height: 13,
            ..head.clone()
        };
        assert_eq!(later.verify(&identity.id()), Ok(()), "the clock goes on");
        let longer = LedgerHead {
            entries: 4,
            ..head.clone()
        };
        assert!(longer.verify(&identity.id()).is_err());
        let stranger = Identity::from_secret([8; 32]).id();
        assert!(head.verify(&stranger).is_err());
    }
}
