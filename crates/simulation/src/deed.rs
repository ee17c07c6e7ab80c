//! Kinds of what the process does: each a place where it may die.
//!
//! It dies before the deed. That is also after the one before it, and nothing outside the process can tell
//! an instant between two deeds from another; so to die before each is to die everywhere.

/// What the process is about to do, or has just had done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    // Effects of the rounds.
    Store = 1,
    Receipt,
    Reject,
    Assess,
    Merge,
    Record,
    Closed,
    Opened,
    Checkpoint,
    Resync,
    Refuse,
    Presence,
    Pledge,
    Committed,
    NotCommitted,
    Task,
    // Of the ledger.
    Entries,
    Answer,
    // Steps of what takes time. What is written may be lost or half lost; what is synchronised stays, but
    // nobody was told.
    Checked,
    Assessed,
    PledgeWritten,
    PledgeSynced,
    PacketWritten,
    PacketSynced,
    UpdateWritten,
    UpdateSynced,
    RecordWritten,
    RecordSynced,
    CheckpointWritten,
    CheckpointSynced,
    EntriesWritten,
    EntriesSynced,
}

impl Deed {
    pub const ALL: [Self; 32] = [
        Self::Store,
        Self::Receipt,
        Self::Reject,
        Self::Assess,
        Self::Merge,
        Self::Record,
        Self::Closed,
        Self::Opened,
        Self::Checkpoint,
        Self::Resync,
        Self::Refuse,
        Self::Presence,
        Self::Pledge,
        Self::Committed,
        Self::NotCommitted,
        Self::Task,
        Self::Entries,
        Self::Answer,
        Self::Checked,
        Self::Assessed,
        Self::PledgeWritten,
        Self::PledgeSynced,
        Self::PacketWritten,
        Self::PacketSynced,
        Self::UpdateWritten,
        Self::UpdateSynced,
        Self::RecordWritten,
        Self::RecordSynced,
        Self::CheckpointWritten,
        Self::CheckpointSynced,
        Self::EntriesWritten,
        Self::EntriesSynced,
    ];
}

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Now and then, as the seed has it.
    ByChance,
    /// Once, before this deed, counted from 1.
    At(u64),
    /// Once, before this one of its kind.
    AtKind(Deed, u64),
    Never,
}
