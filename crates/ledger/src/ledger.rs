//! The ledger itself: a state and the entry it was reached by. It appends what is new and replays what
//! is old by the same function, so neither can differ from the other.
//!
//! A snapshot is the state right after an epoch together with that epoch's entry, which holds the state's
//! hash: whoever has the entry can check the snapshot, and go on from there.

use covey_protocol::{Hash, PartnerId};
use serde::{Deserialize, Serialize};

use crate::{
    apply,
    call::SignedAction,
    epoch,
    error::LedgerError,
    event::Event,
    genesis::Genesis,
    journal::{Body, Entry, JournalError},
    partner,
    signing::session::SignedSession,
    state::State,
    units::Height,
};

/// First bytes of a snapshot.
const MAGIC: &[u8; 4] = b"CVS1";

/// A ledger at the end of its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    state: State,
    /// Number of entries so far.
    len: u64,
    /// The last entry's hash.
    head: Hash,
}

/// What an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub entry: Entry,
    pub hash: Hash,
    pub events: Vec<Event>,
}

/// State after an epoch, with the entry that vouches for it.
#[derive(Serialize, Deserialize)]
struct Snapshot<S> {
    index: u64,
    head: Hash,
    state: S,
}

impl Ledger {
    /// A new ledger and its first entry.
    ///
    /// # Errors
    /// What does not fit together in the genesis.
    pub fn new(genesis: Genesis) -> Result<(Self, Entry), LedgerError> {
        let state = genesis.state()?;
        let entry = Entry {
            index: 0,
            height: 0,
            previous: Hash([0; 32]),
            body: Body::Genesis(Box::new(genesis)),
        };
        let head = entry.hash();
        Ok((
            Self {
                state,
                len: 1,
                head,
            },
            entry,
        ))
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a ledger has its genesis.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Hash of the last entry.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Height of the next epoch. No entry can be later than it before it is recorded.
    #[must_use]
    pub fn next_epoch(&self) -> Height {
        self.state.epoch.saturating_add(self.state.schedule.tempo)
    }

    /// The state at a later height if nothing but epochs happens until then, and how many those are:
    /// what an action sent now would meet. `None` when that takes more than `most` epochs.
    #[must_use]
    pub fn state_at(&self, height: Height, most: u64) -> Option<(State, u64)> {
        let mut state = self.state.clone();
        let tempo = state.schedule.tempo.max(1);
        let epochs = height.saturating_sub(state.epoch) / tempo;
        if epochs > most {
            return None;
        }
        for _ in 0..epochs {
            let due = state.epoch.saturating_add(tempo);
            epoch::run(&mut state, due);
        }
        state.height = state.height.max(height);
        Some((state, epochs))
    }

    /// Appends a signed action at a height.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn action(&mut self, height: Height, action: SignedAction) -> Result<Applied, LedgerError> {
        self.append(height, Body::Action(action))
    }

    /// Appends a session authorisation.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn session(
        &mut self,
        height: Height,
        session: SignedSession,
    ) -> Result<Applied, LedgerError> {
        self.append(height, Body::Session(session))
    }

    /// Runs and appends the next epoch, if `height` has reached it.
    ///
    /// # Errors
    /// [`LedgerError::EpochNotDue`].
    pub fn epoch(&mut self, height: Height) -> Result<Applied, LedgerError> {
        let due = self.next_epoch();
        if height < due {
            return Err(LedgerError::EpochNotDue);
        }
        let mut state = self.state.clone();
        let events = epoch::run(&mut state, due);
        let body = Body::Epoch {
            state: state.hash(),
        };
        Ok(self.commit(due, body, state, events))
    }

    /// Moves a development run's clock; epochs on the way must have been appended.
    ///
    /// # Errors
    /// In any other run, and when an epoch is due first.
    pub fn clock(&mut self, height: Height) -> Result<Applied, LedgerError> {
        self.append(height, Body::Clock {})
    }

    /// Suspends a partner, or restores it.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn partnership(
        &mut self,
        height: Height,
        partner: PartnerId,
        suspended: bool,
    ) -> Result<Applied, LedgerError> {
        let body = Body::Partnership { partner, suspended };
        self.append(height, body)
    }

    /// Appends anything but an epoch, whose hash only [`epoch`](Self::epoch) knows.
    fn append(&mut self, height: Height, body: Body) -> Result<Applied, LedgerError> {
        let (state, events) = self.next(height, &body)?;
        Ok(self.commit(height, body, state, events))
    }

    /// Applies the next entry of an existing journal, checking that it is the next one.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub fn replay(&mut self, entry: &Entry) -> Result<Applied, JournalError> {
        let index = entry.index;
        if index != self.len {
            return Err(JournalError::Order {
                expected: self.len,
                found: index,
            });
        }
        if entry.previous != self.head {
            return Err(JournalError::Previous(index));
        }
        if matches!(entry.body, Body::Genesis(_)) {
            return Err(JournalError::Genesis(index));
        }
        let next = self.next(entry.height, &entry.body);
        let (state, events) = next.map_err(|error| JournalError::Rule { index, error })?;
        Ok(self.commit(entry.height, entry.body.clone(), state, events))
    }

    /// A ledger from the first entry of a journal.
    ///
    /// # Errors
    /// When it is not a genesis.
    pub fn from_genesis(entry: &Entry) -> Result<Self, JournalError> {
        let index = entry.index;
        let Body::Genesis(genesis) = &entry.body else {
            return Err(JournalError::Genesis(index));
        };
        let (ledger, first) =
            Self::new((**genesis).clone()).map_err(|error| JournalError::Rule { index, error })?;
        if first != *entry {
            return Err(JournalError::Genesis(index));
        }
        Ok(ledger)
    }

    /// The state after an entry, and what happened; the ledger itself is unchanged.
    fn next(&self, height: Height, body: &Body) -> Result<(State, Vec<Event>), LedgerError> {
        let last = self.state.height;
        if height < last {
            return Err(LedgerError::HeightInThePast { last, got: height });
        }
        let due = self.next_epoch();
        let is_epoch = matches!(body, Body::Epoch { .. });
        if height >= due && !(is_epoch && height == due) {
            return Err(LedgerError::EpochDue(due));
        }
        let mut state = self.state.clone();
        state.height = height;
        let events = match body {
            Body::Genesis(_) => return Err(LedgerError::UnfitChange("there is a genesis already")),
            Body::Action(signed) => {
                let events = apply::action(&mut state, &signed.action)?;
                // Last: curve arithmetic is the dearest check.
                signed.verify()?;
                events
            }
            Body::Session(signed) => {
                let mut events = Vec::new();
                apply::hotkeys::authorise(&mut state, signed, &mut events)?;
                events
            }
            Body::Epoch { state: recorded } => {
                if height != due {
                    return Err(LedgerError::EpochNotDue);
                }
                let events = epoch::run(&mut state, height);
                if state.hash() != *recorded {
                    return Err(LedgerError::StateHashMismatch);
                }
                events
            }
            Body::Partnership { partner, suspended } => {
                partner::change(&mut state, *partner, *suspended)?
            }
            Body::Clock {} if state.development => Vec::new(),
            Body::Clock {} => return Err(LedgerError::NotADevelopmentRun),
        };
        Ok((state, events))
    }

    fn commit(&mut self, height: Height, body: Body, state: State, events: Vec<Event>) -> Applied {
        let entry = Entry {
            index: self.len,
            height,
            previous: self.head,
            body,
        };
        let hash = entry.hash();
        self.state = state;
        self.len = self.len.saturating_add(1);
        self.head = hash;
        Applied {
            entry,
            hash,
            events,
        }
    }

    /// The ledger as bytes. Only right after an epoch can others check them.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            index: self.len - 1,
            head: self.head,
            state: &self.state,
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(postcard::to_allocvec(&snapshot).unwrap_or_default());
        bytes
    }

    /// Reads a snapshot. `entry` is the epoch it was taken after; it vouches for the state.
    ///
    /// # Errors
    /// When the bytes are no snapshot or not of this entry's state.
    pub fn from_snapshot(bytes: &[u8], entry: &Entry) -> Result<Self, JournalError> {
        let index = entry.index;
        let ledger = Self::restore(bytes).ok_or_else(|| JournalError::Unreadable {
            index,
            reason: "the snapshot is damaged".to_owned(),
        })?;
        let vouched = match &entry.body {
            Body::Epoch { state } => ledger.state.hash() == *state,
            _ => false,
        };
        if !vouched || ledger.head != entry.hash() || ledger.len != index.saturating_add(1) {
            return Err(JournalError::Hash(index));
        }
        Ok(ledger)
    }

    /// Reads a snapshot without anything that vouches for it: one's own.
    #[must_use]
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let snapshot: Snapshot<State> = postcard::from_bytes(bytes.strip_prefix(MAGIC)?).ok()?;
        let ledger = Self {
            state: snapshot.state,
            len: snapshot.index.checked_add(1)?,
            head: snapshot.head,
        };
        // One state has one snapshot: nothing may follow it, and no number may be written longer.
        (ledger.snapshot() == bytes).then_some(ledger)
    }
}
