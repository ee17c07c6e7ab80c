//! What a witness says about a run: "I recomputed everything up to here, and it is so", or the first thing
//! that is not so. Servers that follow a run and tabs that apply its records sign the same statement.
//!
//! What a reader would get wrong: a statement proves only that its key said it. Anybody can make keys, so
//! many agreeing witnesses are no majority; one honest witness is enough, because what it says can be
//! recomputed by whoever doubts it. Two signed records for one round ([`Equivocation`]) are different:
//! they convict their signer without anybody's word.

use serde::{Deserialize, Serialize};

use crate::{
    Hash, Identity, ProtocolError, Round, SignatureBytes, VolunteerId,
    limits::{MAX_FINDING, MAX_NAME},
    record::SignedRecord,
};

const STATEMENT_DOMAIN: &str = "covey 2026-11 witness statement signature";

/// Who witnesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessKind {
    /// `covey-coordinator follow`: rounds from the first on, and the ledger.
    Server,
    /// A tab: the rounds that it applied while it was here or, where its statement has a ledger, all that a
    /// server recomputes.
    Tab,
}

/// The end of the ledger's journal that was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSeen {
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last one.
    pub head: Hash,
    /// Height of the last one.
    pub height: u64,
    /// The state's hash after it.
    pub state: Hash,
}

/// What did not hold when it was recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The record is not signed by the round's coordinator.
    Signature,
    /// The record does not follow the one before it.
    Chain,
    /// The record starts from other weights than the round before ended with.
    Base,
    /// The merged update is not to be had, or is not the one that the record names.
    Update,
    /// A packet in the update is not what its volunteer signed, or not of this round.
    Packet,
    /// The record lists other contributions than its update holds.
    Contributions,
    /// Something was merged or left out that its volunteer had not committed to, or a commitment is not
    /// its volunteer's own.
    Commitments,
    /// Merge and outer step give other weights.
    Weights,
    /// The checkpoint offered to newcomers is not the round's weights.
    Checkpoint,
    /// Two records were signed for one round.
    Equivocation,
    /// An entry of the ledger does not follow from those before it, or its state is another one.
    LedgerEntry,
    /// The signed head is not the end of the journal.
    LedgerHead,
    /// The coordinator's weights pay somebody whose work is in no record.
    Payment,
    /// The handovers do not lead from the coordinator that was known to the one that signs now.
    Handover,
}

impl Place {
    /// For a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Signature => "the record is not signed by the coordinator",
            Self::Chain => "the record does not follow the one before it",
            Self::Base => "the record starts from other weights than the round before ended with",
            Self::Update => "the merged update is missing or not the one the record names",
            Self::Packet => "a contribution is not what its volunteer signed",
            Self::Contributions => "the record lists other contributions than were merged",
            Self::Commitments => "a packet is not the one its volunteer committed to in time",
            Self::Weights => "the contributions add up to other weights than the record says",
            Self::Checkpoint => "the weights offered to newcomers are not the run's",
            Self::Equivocation => "two different records were signed for one round",
            Self::LedgerEntry => "an entry of the ledger does not follow from those before it",
            Self::LedgerHead => "the ledger's signed end is not the end of its journal",
            Self::Payment => "somebody is paid whose work is in no record",
            Self::Handover => "another coordinator signs, and nothing says how it came to",
        }
    }
}

/// What came of recomputing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    Agrees,
    /// The first thing that was not so.
    Disagrees {
        place: Place,
        /// Of the round or, for the ledger, of the entry.
        number: u64,
        /// What recomputing gives, or what was signed before.
        expected: String,
        /// What the coordinator says.
        found: String,
    },
}

/// What a witness states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    pub run: Hash,
    pub kind: WitnessKind,
    /// As the witness calls itself, at most [`MAX_NAME`] bytes; may be empty.
    pub name: String,
    /// Rounds before this one are agreed.
    pub round: Round,
    /// Weights this round starts from.
    pub theta: Hash,
    /// The last agreed record; absent before the first.
    pub record: Option<Hash>,
    /// Absent for tabs that train, which do not replay the ledger for that.
    pub ledger: Option<LedgerSeen>,
    pub verdict: Verdict,
}

/// A statement with its witness's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    pub statement: Statement,
    pub witness: VolunteerId,
    /// Over the hash of the statement's JSON: fields in declaration order, no white space.
    pub signature: SignatureBytes,
}

impl Statement {
    fn digest(&self) -> Hash {
        // Strings, numbers and structs: serde_json has no way to fail on them.
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    #[must_use]
    pub fn sign(self, identity: &Identity) -> SignedStatement {
        let signature = identity.sign(STATEMENT_DOMAIN, &self.digest().0);
        SignedStatement {
            statement: self,
            witness: identity.id(),
            signature,
        }
    }
}

impl SignedStatement {
    /// Checks lengths and signature.
    ///
    /// # Errors
    /// What is too long, or that the witness did not sign it.
    pub fn verify(&self) -> Result<&Statement, ProtocolError> {
        let statement = &self.statement;
        let mut texts = vec![("a witness's name", statement.name.len(), MAX_NAME)];
        if let Verdict::Disagrees {
            expected, found, ..
        } = &statement.verdict
        {
            texts.push(("a finding", expected.len(), MAX_FINDING));
            texts.push(("a finding", found.len(), MAX_FINDING));
        }
        for (what, actual, limit) in texts {
            if actual > limit {
                return Err(ProtocolError::TooLarge {
                    what,
                    actual,
                    limit,
                });
            }
        }
        let digest = statement.digest();
        self.witness
            .verify(STATEMENT_DOMAIN, &digest.0, &self.signature)?;
        Ok(statement)
    }

    #[must_use]
    pub fn agrees(&self) -> bool {
        self.statement.verdict == Verdict::Agrees
    }
}

/// Answer to [`WITNESSES`](crate::http::WITNESSES): who recomputed this run, as far as anybody told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// The open round.
    pub round: Round,
    /// The newest statement of each server that agrees, the furthest first.
    pub servers: Vec<SignedStatement>,
    pub tabs: Tabs,
    /// Everybody who does not agree, in the order in which they said so. Never forgotten.
    pub disagreements: Vec<SignedStatement>,
}

/// Tabs that agreed in the last rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tabs {
    /// How many agreed lately.
    pub agree: u32,
    /// How many of them recomputed everything: the rounds from the first on, and the ledger.
    #[serde(default)]
    pub whole: u32,
    /// All of them agree on the rounds before this one.
    pub round: Round,
    /// A few of their statements, the newest first.
    pub latest: Vec<SignedStatement>,
}

/// Two records for one round, signed with one key: proof that a coordinator told two stories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivocation {
    pub coordinator: VolunteerId,
    pub first: SignedRecord,
    pub second: SignedRecord,
}

impl Equivocation {
    /// Checks the proof: it needs nothing but itself.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self) -> Result<(), ProtocolError> {
        const WHAT: &str = "a proof of two records";
        let first = self.first.verify(&self.coordinator)?;
        let second = self.second.verify(&self.coordinator)?;
        if first.run != second.run {
            return Err(ProtocolError::malformed(WHAT, "they are of two runs"));
        }
        if first.round != second.round {
            return Err(ProtocolError::malformed(WHAT, "they are of two rounds"));
        }
        if first.hash() == second.hash() {
            return Err(ProtocolError::malformed(WHAT, "they are the same"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RoundRecord;

    fn statement() -> Statement {
        Statement {
            run: Hash([1; 32]),
            kind: WitnessKind::Server,
            name: "a library".into(),
            round: Round(7),
            theta: Hash([2; 32]),
            record: Some(Hash([3; 32])),
            ledger: Some(LedgerSeen {
                entries: 4,
                head: Hash([4; 32]),
                height: 90,
                state: Hash([5; 32]),
            }),
            verdict: Verdict::Agrees,
        }
    }

    #[test]
    fn a_statement_survives_the_wire_and_covers_every_field() {
        let identity = Identity::from_secret([9; 32]);
        let signed = statement().sign(&identity);
        let json = serde_json::to_string(&signed).unwrap();
        let read: SignedStatement = serde_json::from_str(&json).unwrap();
        assert_eq!(read.verify(), Ok(&statement()));
        type Change = fn(&mut Statement);
        let changes: [Change; 7] = [
            |s| s.run = Hash([0; 32]),
            |s| s.kind = WitnessKind::Tab,
            |s| s.name.push('x'),
            |s| s.round = Round(8),
            |s| s.theta = Hash([0; 32]),
            |s| s.record = None,
            |s| s.ledger = None,
        ];
        for change in changes {
            let mut altered = signed.clone();
            change(&mut altered.statement);
            assert!(altered.verify().is_err(), "{:?}", altered.statement);
        }
        let mut turned = signed;
        turned.statement.verdict = Verdict::Disagrees {
            place: Place::Weights,
            number: 6,
            expected: String::new(),
            found: String::new(),
        };
        assert!(turned.verify().is_err());
    }

    #[test]
    fn a_statement_that_is_too_long_is_refused_however_well_signed() {
        let identity = Identity::from_secret([9; 32]);
        let mut long = statement();
        long.name = "x".repeat(MAX_NAME + 1);
        assert!(long.sign(&identity).verify().is_err());
        let mut long = statement();
        long.verdict = Verdict::Disagrees {
            place: Place::Packet,
            number: 1,
            expected: String::new(),
            found: "x".repeat(MAX_FINDING + 1),
        };
        assert!(long.sign(&identity).verify().is_err());
    }

    #[test]
    fn two_records_for_one_round_convict_and_nothing_else_does() {
        let identity = Identity::from_secret([9; 32]);
        let record = |round: u64, theta: u8| {
            RoundRecord {
                run: Hash([1; 32]),
                round: Round(round),
                previous: None,
                seed: Hash([2; 32]),
                base: Hash([3; 32]),
                theta_after: Hash([theta; 32]),
                update: None,
                update_len: 0,
                commitments: Vec::new(),
                contributions: Vec::new(),
                excluded: Vec::new(),
                replicas: Vec::new(),
                unproven: Vec::new(),
            }
            .sign(&identity)
        };
        let proof = |first, second| Equivocation {
            coordinator: identity.id(),
            first,
            second,
        };
        assert_eq!(proof(record(3, 3), record(3, 4)).verify(), Ok(()));
        assert!(proof(record(3, 3), record(3, 3)).verify().is_err());
        assert!(proof(record(3, 3), record(4, 4)).verify().is_err());
        let mut forged = proof(record(3, 3), record(3, 4));
        forged.second.record.theta_after = Hash([5; 32]);
        assert!(forged.verify().is_err(), "the second is not signed");
    }
}
