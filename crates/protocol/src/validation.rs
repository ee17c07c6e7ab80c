//! What validators say about a round's packets, and what they are asked to look at (training spec,
//! section 2; economics, section 3).
//!
//! 1. After a round has closed, a validator asks for its [`Task`]: which of the merged packets it is to
//!    score, drawn from the hash of the round's record.
//! 2. It measures each on its own device and signs one [`Sheet`] for the whole round.
//! 3. When the round is too old for any further sheet, everyone can read all of them. A validator's
//!    opinion, and so its weights on the ledger, is a function of its own sheets and of nothing else.
//!
//! What a reader would get wrong: a sheet names every packet of the round, also those it has no score
//! for. A contributor that was not drawn was there all the same.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId,
    limits::{MAX_CONTRIBUTIONS, MAX_SHEET},
};

const DOMAIN: &str = "covey 2026-11 validation signature";

/// Rounds after a round in which its sheets are still taken. They are public afterwards, so nobody can
/// copy a sheet in time.
pub const LATEST: u64 = 3;

/// A loss in billionths of a nat per token: integers, so that every reader computes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Loss(pub u64);

impl Loss {
    /// Everything from a million nats on, and what is no number: what a destroyed model has.
    pub const RUINED: Self = Self(1_000_000_000_000_000);

    /// From nats per token.
    #[must_use]
    pub fn of(nats: f64) -> Self {
        let billionths = nats * 1e9;
        if billionths >= 0.0 && billionths < Self::RUINED.0 as f64 {
            Self(billionths.round() as u64)
        } else {
            Self::RUINED
        }
    }

    /// In nats per token; infinite for a ruined model.
    #[must_use]
    pub fn nats(self) -> f64 {
        if self >= Self::RUINED {
            f64::INFINITY
        } else {
            self.0 as f64 / 1e9
        }
    }
}

/// A packet tried: the loss before and after it, on the contributor's own data and on data of nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    pub own_before: Loss,
    pub own_after: Loss,
    pub random_before: Loss,
    pub random_after: Loss,
}

/// One packet of the round and what a validator found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scored {
    pub volunteer: VolunteerId,
    /// Hash of the sealed packet.
    pub packet: Hash,
    pub inner_steps: u32,
    /// Absent where it was not assigned, or there was no time.
    pub losses: Option<Losses>,
}

/// A validator's findings about one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    pub run: Hash,
    pub validator: VolunteerId,
    pub round: Round,
    /// Hash of the round's record.
    pub record: Hash,
    /// As in the record, in its order.
    pub scores: Vec<Scored>,
}

impl Sheet {
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(108 + self.scores.len() * 101);
        bytes.extend(self.run.0);
        bytes.extend(self.validator.0);
        bytes.extend(self.round.0.to_le_bytes());
        bytes.extend(self.record.0);
        bytes.extend((self.scores.len() as u64).to_le_bytes());
        for scored in &self.scores {
            bytes.extend(scored.volunteer.0);
            bytes.extend(scored.packet.0);
            bytes.extend(scored.inner_steps.to_le_bytes());
            match &scored.losses {
                None => bytes.push(0),
                Some(losses) => {
                    bytes.push(1);
                    let Losses {
                        own_before,
                        own_after,
                        random_before,
                        random_after,
                    } = *losses;
                    for Loss(loss) in [own_before, own_after, random_before, random_after] {
                        bytes.extend(loss.to_le_bytes());
                    }
                }
            }
        }
        bytes
    }

    #[must_use]
    pub fn sign(self, identity: &Identity) -> SignedSheet {
        let signature = identity.sign(DOMAIN, &self.signed_bytes());
        SignedSheet {
            sheet: self,
            signature,
        }
    }
}

/// A sheet with its validator's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSheet {
    pub sheet: Sheet,
    pub signature: SignatureBytes,
}

impl SignedSheet {
    /// Parses a sheet from the network; bounded, its signature not yet checked.
    ///
    /// # Errors
    /// Too long, not JSON, or more scores than a round has packets.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const WHAT: &str = "a sheet of scores";
        let too_large = |actual, limit| ProtocolError::TooLarge {
            what: WHAT,
            actual,
            limit,
        };
        if bytes.len() > MAX_SHEET {
            return Err(too_large(bytes.len(), MAX_SHEET));
        }
        let this: Self =
            serde_json::from_slice(bytes).map_err(|error| ProtocolError::malformed(WHAT, error))?;
        let scores = this.sheet.scores.len();
        if scores > MAX_CONTRIBUTIONS {
            return Err(too_large(scores, MAX_CONTRIBUTIONS));
        }
        Ok(this)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// When it is not the validator's.
    pub fn verify(&self) -> Result<&Sheet, ProtocolError> {
        let bytes = self.sheet.signed_bytes();
        self.sheet
            .validator
            .verify(DOMAIN, &bytes, &self.signature)?;
        Ok(&self.sheet)
    }

    /// Its name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.sheet.signed_bytes())
    }
}

/// How a key stands as a validator on the run's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether the key is a registered hotkey.
    pub registered: bool,
    /// All stake on it, in base units.
    pub stake: String,
    /// Whether its weights would count.
    pub permit: bool,
    /// Whose weights burn what nobody earned: the subnet's owner hotkey.
    pub owner: VolunteerId,
    /// For the next action it signs.
    pub nonce: u64,
    /// The ledger's height now.
    pub height: u64,
    /// Height of the last epoch.
    pub epoch: u64,
    /// When it last set weights.
    pub weights_set: Option<u64>,
}

/// Answer to [`VALIDATORS`](crate::http::VALIDATORS): how a validator stands and what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub standing: Standing,
    /// Absent without a permit, and before the first round with contributions.
    pub assignment: Option<Assignment>,
}

/// Which packets of the last closed round a validator is to score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub round: Round,
    /// Hash of the round's record.
    pub record: Hash,
    /// Hashes of sealed packets, in the order in which to try them.
    pub packets: Vec<Hash>,
    /// The last open round in which the sheet is taken.
    pub until: Round,
}

/// Answer to [`VALIDATIONS`](crate::http::VALIDATIONS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validations {
    /// By round, then by validator.
    pub sheets: Vec<SignedSheet>,
    /// Where to ask on. Equal to what was asked for when there is nothing new.
    pub next: Round,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sheet(losses: Vec<Option<[u64; 4]>>) -> Sheet {
        let identity = Identity::from_secret([7; 32]);
        let scores = losses.into_iter().enumerate().map(|(n, losses)| Scored {
            volunteer: VolunteerId([n as u8; 32]),
            packet: Hash([n as u8 + 1; 32]),
            inner_steps: n as u32,
            losses: losses.map(|[a, b, c, d]| Losses {
                own_before: Loss(a),
                own_after: Loss(b),
                random_before: Loss(c),
                random_after: Loss(d),
            }),
        });
        Sheet {
            run: Hash([1; 32]),
            validator: identity.id(),
            round: Round(3),
            record: Hash([2; 32]),
            scores: scores.collect(),
        }
    }

    #[test]
    fn a_loss_that_is_no_number_is_ruined() {
        for nats in [f64::NAN, f64::INFINITY, -0.1, 1e6, f64::MAX] {
            assert_eq!(Loss::of(nats), Loss::RUINED, "{nats}");
        }
        assert!(Loss::RUINED.nats().is_infinite());
        assert_eq!(Loss::of(0.0), Loss(0));
        assert_eq!(Loss::of(2.5).nats(), 2.5);
    }

    proptest! {
        #[test]
        fn a_sheet_survives_the_wire_and_its_signature_covers_every_field(
            losses in prop::collection::vec(prop::option::of(any::<[u64; 4]>()), 0..=MAX_CONTRIBUTIONS),
            which in 0usize..8,
        ) {
            let identity = Identity::from_secret([7; 32]);
            let signed = sheet(losses).sign(&identity);
            let json = serde_json::to_vec(&signed).unwrap();
            prop_assert!(json.len() <= MAX_SHEET);
            prop_assert_eq!(&SignedSheet::parse(&json).unwrap(), &signed);
            prop_assert!(signed.verify().is_ok());

            let mut other = signed.clone();
            let sheet = &mut other.sheet;
            match (which, sheet.scores.first_mut()) {
                (0, _) => sheet.run = Hash([9; 32]),
                (1, _) => sheet.round = Round(4),
                (2, _) => sheet.record = Hash([9; 32]),
                (3, Some(first)) => first.volunteer = VolunteerId([9; 32]),
                (4, Some(first)) => first.packet = Hash([9; 32]),
                (5, Some(first)) => first.inner_steps ^= 1,
                (6, Some(first)) => first.losses = match first.losses {
                    None => Some(Losses { own_before: Loss(0), own_after: Loss(0), random_before: Loss(0), random_after: Loss(0) }),
                    Some(mut losses) => { losses.random_after.0 ^= 1; Some(losses) }
                },
                _ => sheet.validator = Identity::from_secret([8; 32]).id(),
            }
            prop_assert!(other.verify().is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = SignedSheet::parse(&bytes);
        }

        #[test]
        fn losses_are_kept_to_a_billionth(nats in 0.0f64..1e5) {
            prop_assert!((Loss::of(nats).nats() - nats).abs() <= 1e-9);
        }
    }

    #[test]
    fn more_scores_than_a_round_has_packets_are_refused() {
        let signed = sheet(vec![None; MAX_CONTRIBUTIONS + 1]).sign(&Identity::from_secret([7; 32]));
        let json = serde_json::to_vec(&signed).unwrap();
        assert!(matches!(
            SignedSheet::parse(&json),
            Err(ProtocolError::TooLarge { .. })
        ));
        assert!(SignedSheet::parse(&vec![b' '; MAX_SHEET + 1]).is_err());
    }
}
