//! The journal: what happened, in small durable facts.
//!
//! Its three transactions carry the coordinator's promises. [`Journal::commit`] makes a commitment durable, so that
//! its volunteer may show the packet. [`Journal::accept`] makes a packet and what
//! its receipt says durable together, so a receipt can be repeated after a crash. [`Journal::record`]
//! makes a round's record and the book of scores durable and drops the commitments, which the record
//! lists, and the packets' bytes, which by then live in the merged update; afterwards the next round is open. There is no state in between.
//!
//! Calls block; use [`blocking`](super::blocking) on a runtime.

use std::collections::BTreeMap;

use covey_protocol::{
    PartnerId, Round, VolunteerId,
    http::HeldOut,
    record::{Checkpoint, SignedRecord},
};
use covey_rounds::{Acceptance, Pledge};

use super::StorageError;

/// What a partner's visitors contributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartnerTotals {
    /// Rounds with at least one merged packet.
    pub rounds: u64,
    pub packets: u64,
    pub tokens: u64,
    /// Different keys that these are from.
    pub volunteers: u64,
    /// When the newest of them came, milliseconds since 1970.
    pub last_ms: Option<u64>,
}

/// Durable facts about one run.
pub trait Journal: Send + Sync + 'static {
    /// Keeps a commitment of the open round.
    fn commit(&self, pledge: &Pledge) -> Result<(), StorageError>;

    /// The commitments of the open round, in the order of volunteers.
    fn commitments(&self, round: Round) -> Result<Vec<Pledge>, StorageError>;

    /// Keeps a packet of the open round.
    fn accept(&self, acceptance: &Acceptance, sealed: &[u8]) -> Result<(), StorageError>;

    /// The sealed bytes of a packet of the open round.
    fn packet(&self, round: Round, volunteer: VolunteerId)
    -> Result<Option<Vec<u8>>, StorageError>;

    /// Acceptances from a round on, in the order of rounds and volunteers.
    fn acceptances(&self, from: Round) -> Result<Vec<Acceptance>, StorageError>;

    /// How many packets of a volunteer were accepted in the whole run.
    fn accepted_from(&self, volunteer: VolunteerId) -> Result<u64, StorageError>;

    /// Keeps a round's record and, if there is a new one, the book of scores; the bytes of its packets
    /// are dropped.
    fn record(&self, record: &SignedRecord, book: Option<&[u8]>) -> Result<(), StorageError>;

    /// The book of scores as it was last kept.
    fn book(&self) -> Result<Option<Vec<u8>>, StorageError>;

    /// At most `limit` records from a round on.
    fn records(&self, from: Round, limit: usize) -> Result<Vec<SignedRecord>, StorageError>;

    /// What was credited to each partner over the whole run, counted as records were kept.
    fn partners(&self) -> Result<BTreeMap<PartnerId, PartnerTotals>, StorageError>;

    fn last_record(&self) -> Result<Option<SignedRecord>, StorageError>;

    /// Keeps the name of a checkpoint whose blob is durable.
    fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), StorageError>;

    fn remove_checkpoint(&self, round: Round) -> Result<(), StorageError>;

    /// Oldest first.
    fn checkpoints(&self) -> Result<Vec<Checkpoint>, StorageError>;

    fn add_held_out(&self, held_out: HeldOut) -> Result<(), StorageError>;

    /// Oldest first.
    fn held_out(&self) -> Result<Vec<HeldOut>, StorageError>;

    /// Writes something durably, to see whether that still works.
    fn probe(&self) -> Result<(), StorageError>;
}
