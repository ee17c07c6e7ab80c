//! What a tab keeps of a run that it recomputes, as bytes: how far it is, the last record it agreed to, and
//! the weights there.
//!
//! A tab can be killed in the middle of a write, so the file ends in a BLAKE3 of everything before it; one
//! that is torn is none, and the replay begins anew. The ledger is not in it: a snapshot would have to be
//! trusted, or checked by replaying the journal, which every visit does anyway.
//!
//! Layout, little endian: `CVW1`, u32 length of the JSON of [`Kept`] without its weights, that JSON, the
//! weights as f32, hash.

use std::collections::BTreeMap;

use covey_protocol::{Hash, Round, VolunteerId, record::SignedRecord};
use serde::{Deserialize, Serialize};

use crate::Chain;

const MAGIC: &[u8; 4] = b"CVW1";
/// Hashes of earlier weights that are kept, to hold an offered checkpoint against.
pub const RECENT: usize = 1024;

/// A replay that can go on later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub chain: Chain,
    /// Whom the last agreed record is signed by; the first contact is taken at its word.
    pub coordinator: VolunteerId,
    /// The last agreed record, to be held against what is served for its round later.
    pub last: Option<SignedRecord>,
    /// Weights that recent rounds start from, at most [`RECENT`] of them.
    pub thetas: BTreeMap<Round, Hash>,
    /// The weights that `chain` is at, flat, in canonical order.
    #[serde(skip)]
    pub weights: Vec<f32>,
}

impl Kept {
    /// Before the first record.
    #[must_use]
    pub fn begin(run: Hash, coordinator: VolunteerId, weights: Vec<f32>) -> Self {
        let theta = Hash::of_weights(&weights);
        Self {
            chain: Chain::begin(run, theta),
            coordinator,
            last: None,
            thetas: BTreeMap::from([(Round(0), theta)]),
            weights,
        }
    }

    /// Moves on over a record whose packets were merged into [`Self::weights`].
    pub fn agree(&mut self, signed: &SignedRecord) {
        self.chain.agree(&signed.record);
        self.thetas.insert(self.chain.round, self.chain.theta);
        while self.thetas.len() > RECENT {
            self.thetas.pop_first();
        }
        self.last = Some(signed.clone());
    }

    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Structs, numbers and strings: serde_json has no way to fail on them.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut out = Vec::with_capacity(40 + json.len() + 4 * self.weights.len());
        out.extend(MAGIC);
        out.extend((json.len() as u32).to_le_bytes());
        out.extend(json);
        out.extend(self.weights.iter().flat_map(|value| value.to_le_bytes()));
        let hash = Hash::of(&out);
        out.extend(hash.0);
        out
    }

    /// Reads what was kept of `run` for a model of `parameters`; anything torn, foreign, or whose weights
    /// are not those that it names is `None`.
    #[must_use]
    pub fn from_bytes(run: &Hash, parameters: usize, bytes: &[u8]) -> Option<Self> {
        let (body, hash) = bytes.split_last_chunk::<32>()?;
        if Hash::of(body).0 != *hash {
            return None;
        }
        let (length, rest) = body.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (json, weights) = rest.split_at_checked(length)?;
        let mut kept: Self = serde_json::from_slice(json).ok()?;
        if kept.chain.run != *run || weights.len() != parameters.checked_mul(4)? {
            return None;
        }
        let (weights, _) = weights.as_chunks::<4>();
        kept.weights = weights.iter().map(|v| f32::from_le_bytes(*v)).collect();
        let last = kept.last.as_ref().map(|signed| signed.record.hash());
        let whole = Hash::of_weights(&kept.weights) == kept.chain.theta
            && last == kept.chain.record
            && kept.thetas.len() <= RECENT;
        whole.then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use covey_protocol::{Identity, record::RoundRecord};
    use proptest::prelude::*;

    use super::*;

    const RUN: Hash = Hash([1; 32]);

    fn kept() -> Kept {
        let coordinator = Identity::from_secret([7; 32]);
        let mut kept = Kept::begin(RUN, coordinator.id(), vec![0.5, -1.0, 2.0]);
        let base = kept.chain.theta;
        kept.weights = vec![0.25, -1.0, 2.0];
        let record = RoundRecord {
            run: RUN,
            round: Round(0),
            previous: None,
            seed: Hash([3; 32]),
            base,
            theta_after: Hash::of_weights(&kept.weights),
            update: None,
            update_len: 0,
            commitments: Vec::new(),
            contributions: Vec::new(),
            excluded: Vec::new(),
            replicas: Vec::new(),
            unproven: Vec::new(),
        };
        kept.agree(&record.sign(&coordinator));
        kept
    }

    #[test]
    fn a_replay_comes_back_as_it_was() {
        for kept in [kept(), Kept::begin(RUN, kept().coordinator, vec![1.0; 3])] {
            assert_eq!(Kept::from_bytes(&RUN, 3, &kept.to_bytes()), Some(kept));
        }
    }

    #[test]
    fn torn_foreign_and_altered_replays_are_none() {
        let bytes = kept().to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Kept::from_bytes(&RUN, 3, &bytes[..length]), None);
        }
        for position in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            assert_eq!(Kept::from_bytes(&RUN, 3, &altered), None);
        }
        assert_eq!(Kept::from_bytes(&Hash([2; 32]), 3, &bytes), None);
        assert_eq!(Kept::from_bytes(&RUN, 4, &bytes), None);
    }

    #[test]
    fn weights_and_record_must_be_those_that_are_named() {
        let mut other = kept();
        other.weights[0] = 3.0;
        assert_eq!(Kept::from_bytes(&RUN, 3, &other.to_bytes()), None);
        let mut other = kept();
        other.last = None;
        assert_eq!(Kept::from_bytes(&RUN, 3, &other.to_bytes()), None);
    }

    proptest! {
        /// With a hash that holds, so that what is behind it is reached.
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut magic = MAGIC.to_vec();
            magic.append(&mut bytes);
            let hash = Hash::of(&magic);
            magic.extend(hash.0);
            prop_assert_eq!(Kept::from_bytes(&RUN, 3, &magic), None);
        }
    }
}
