//! Who coordinates a run after its first coordinator: signed statements, one for each change.
//!
//! A run's chain of records belongs to nobody, so a mirror may go on with it when its coordinator is gone
//! or turned. It says from which round and after which record; records before that are signed by the old
//! key and those after it by the new.
//!
//! What a reader would get wrong: the old key has signed nothing, since it may be gone. A handover is a
//! claim, not a permission. Whoever knew the old coordinator follows the new one only if the last record
//! it agreed to is in the new one's chain as well ([`RunInfo::signer`] says who must have signed it), and
//! chooses for itself where two claim the same run.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId, http::RunInfo,
    limits::MAX_HANDOVERS,
};

const HANDOVER_DOMAIN: &str = "covey 2026-11 handover signature";

/// One change of coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    pub run: Hash,
    /// The first round that the new coordinator records.
    pub from_round: Round,
    /// Hash of the record before it; absent before the first.
    pub last_record: Option<Hash>,
    pub old: VolunteerId,
    pub new: VolunteerId,
}

/// A handover, signed by the new coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHandover {
    pub handover: Handover,
    pub signature: SignatureBytes,
}

impl Handover {
    fn digest(&self) -> Hash {
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Signs as the new coordinator.
    #[must_use]
    pub fn sign(self, identity: &Identity) -> SignedHandover {
        SignedHandover {
            signature: identity.sign(HANDOVER_DOMAIN, &self.digest().0),
            handover: self,
        }
    }
}

impl SignedHandover {
    /// Checks that the new coordinator signed it.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self) -> Result<&Handover, ProtocolError> {
        let handover = &self.handover;
        handover
            .new
            .verify(HANDOVER_DOMAIN, &handover.digest().0, &self.signature)?;
        Ok(handover)
    }
}

/// Checks that handovers lead, each from the one before, to `coordinator`.
///
/// # Errors
/// The first that does not fit.
pub fn check(
    run: &Hash,
    handovers: &[SignedHandover],
    coordinator: &VolunteerId,
) -> Result<(), ProtocolError> {
    const WHAT: &str = "a handover";
    if handovers.len() > MAX_HANDOVERS {
        return Err(ProtocolError::TooLarge {
            what: "the list of handovers",
            actual: handovers.len(),
            limit: MAX_HANDOVERS,
        });
    }
    let mut before: Option<&Handover> = None;
    for signed in handovers {
        let handover = signed.verify()?;
        if handover.run != *run {
            return Err(ProtocolError::malformed(WHAT, "it is of another run"));
        }
        let follows = before.is_none_or(|before| {
            before.new == handover.old && before.from_round <= handover.from_round
        });
        if !follows || handover.old == handover.new {
            return Err(ProtocolError::Order(WHAT));
        }
        before = Some(handover);
    }
    match before {
        Some(last) if last.new != *coordinator => {
            Err(ProtocolError::malformed(WHAT, "the last one names another"))
        }
        _ => Ok(()),
    }
}

/// Whose signature the record of `round` must have.
#[must_use]
pub fn signer(
    handovers: &[SignedHandover],
    coordinator: &VolunteerId,
    round: Round,
) -> VolunteerId {
    // The newest that had begun by then; before the first of all, whoever it took over from.
    let begun = handovers
        .iter()
        .rev()
        .find(|signed| signed.handover.from_round <= round);
    match (begun, handovers.first()) {
        (Some(signed), _) => signed.handover.new,
        (None, Some(first)) => first.handover.old,
        (None, None) => *coordinator,
    }
}

impl RunInfo {
    /// Checks the handovers against the run and its coordinator.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn check_handovers(&self) -> Result<(), ProtocolError> {
        check(&self.run, &self.handovers, &self.coordinator)
    }

    /// Whose signature the record of `round` must have.
    #[must_use]
    pub fn signer(&self, round: Round) -> VolunteerId {
        signer(&self.handovers, &self.coordinator, round)
    }

    /// Whether `key` coordinates this run, or did before a handover.
    #[must_use]
    pub fn descends_from(&self, key: &VolunteerId) -> bool {
        let earlier = |signed: &SignedHandover| signed.handover.old == *key;
        self.coordinator == *key || self.handovers.iter().any(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Hash = Hash([1; 32]);

    fn identity(n: u8) -> Identity {
        Identity::from_secret([n; 32])
    }

    fn handover(old: u8, new: u8, from: u64) -> SignedHandover {
        Handover {
            run: RUN,
            from_round: Round(from),
            last_record: Some(Hash([from as u8; 32])),
            old: identity(old).id(),
            new: identity(new).id(),
        }
        .sign(&identity(new))
    }

    #[test]
    fn each_record_is_signed_by_whoever_coordinated_then() {
        let chain = [handover(1, 2, 5), handover(2, 3, 5), handover(3, 4, 9)];
        let last = identity(4).id();
        assert_eq!(check(&RUN, &chain, &last), Ok(()));
        let by = |round| signer(&chain, &last, Round(round));
        assert_eq!([by(0), by(4)], [identity(1).id(); 2]);
        assert_eq!([by(5), by(8)], [identity(3).id(); 2], "2 recorded nothing");
        assert_eq!([by(9), by(100)], [last; 2]);
        assert_eq!(signer(&[], &last, Round(3)), last);
    }

    #[test]
    fn a_chain_with_a_gap_or_a_forged_link_is_refused() {
        let last = identity(3).id();
        for chain in [
            vec![handover(1, 2, 5)],
            vec![handover(1, 2, 5), handover(1, 3, 6)],
            vec![handover(1, 2, 5), handover(2, 3, 4)],
            vec![handover(3, 3, 5)],
        ] {
            assert!(check(&RUN, &chain, &last).is_err(), "{chain:?}");
        }
        let mut forged = handover(1, 3, 5);
        forged.handover.from_round = Round(6);
        assert!(check(&RUN, &[forged], &last).is_err());
        assert!(check(&Hash([2; 32]), &[handover(1, 3, 5)], &last).is_err());
        let many = vec![handover(1, 3, 5); MAX_HANDOVERS + 1];
        assert!(matches!(
            check(&RUN, &many, &last),
            Err(ProtocolError::TooLarge { .. })
        ));
    }
}
