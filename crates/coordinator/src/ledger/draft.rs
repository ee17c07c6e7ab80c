//! Entries that are applied but not durable yet.
//!
//! A draft is a copy of the ledger, which costs a few pointers, with everything that must reach the disk
//! before anybody hears of it. It is either committed whole or dropped. Replaying an imported journal
//! and appending new entries build the same drafts, so both give the same file.

use std::collections::BTreeSet;

use covey_ledger::{
    AccountId, Ledger,
    event::Event,
    journal::{Body, Line},
    ledger::Applied,
};
use covey_protocol::Hash;
use serde::Serialize;
use serde_json::Value;

use super::{
    clock::LedgerClock,
    store::{Batch, Published, Recorded, Row, Store},
};
use crate::storage::StorageError;

/// Epochs between two snapshots on disk, and entries after which one is kept earlier.
const SNAPSHOT_EPOCHS: u64 = 32;
const SNAPSHOT_ENTRIES: u64 = 2048;

/// The ledger right after an epoch, or after its genesis, and the line that vouches for it.
#[derive(Clone)]
pub struct Anchor {
    pub line: String,
    pub ledger: Ledger,
}

/// How much happened since the newest snapshot on disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinceSnapshot {
    pub epochs: u64,
    pub entries: u64,
}

/// Where a ledger stands, in memory.
#[derive(Clone)]
pub struct Position {
    pub ledger: Ledger,
    pub anchor: Anchor,
    pub since_snapshot: SinceSnapshot,
}

/// A position ahead of the disk, and what has to become durable for it.
pub struct Draft {
    pub position: Position,
    pub batch: Batch,
    pub epochs: u64,
}

impl Draft {
    /// A draft that begins where the ledger is.
    #[must_use]
    pub fn of(position: &Position) -> Self {
        Self {
            position: position.clone(),
            batch: Batch::default(),
            epochs: 0,
        }
    }

    /// A draft that holds a new ledger's genesis.
    #[must_use]
    pub fn genesis(ledger: Ledger, line: String) -> Self {
        let recorded = Recorded {
            line: line.clone(),
            events: "[]".to_owned(),
        };
        let row = Row {
            index: 0,
            recorded,
            accounts: BTreeSet::new(),
            request: None,
            shared: Vec::new(),
        };
        let anchor = Anchor {
            line,
            ledger: ledger.clone(),
        };
        Self {
            position: Position {
                ledger,
                anchor,
                since_snapshot: SinceSnapshot::default(),
            },
            batch: Batch {
                rows: vec![row],
                ..Batch::default()
            },
            epochs: 0,
        }
    }

    /// Takes in what `self.position.ledger` has just applied; gives it as it will be kept.
    pub fn push(&mut self, applied: Applied) -> Recorded {
        let Applied {
            entry,
            hash,
            events,
        } = applied;
        let index = entry.index;
        let mut accounts = BTreeSet::new();
        let (mut request, mut is_epoch) = (None, false);
        match &entry.body {
            Body::Action(signed) => {
                accounts.insert(signed.action.account);
                request = Some(request_id(signed));
            }
            Body::Session(signed) => request = Some(request_id(signed)),
            Body::Epoch { .. } => is_epoch = true,
            Body::Genesis(_) | Body::Clock {} | Body::Partnership { .. } => {}
        }
        let shared = events.iter().filter_map(|event| match event {
            Event::RevenueShared {
                partner, amount, ..
            } => Some((*partner, *amount)),
            _ => None,
        });
        let shared = shared.collect();
        // Plain data: it has no way to fail.
        let values = serde_json::to_value(&events).unwrap_or_default();
        named(&values, &mut accounts);
        let recorded = Recorded {
            line: Line { entry, hash }.text(),
            events: values.to_string(),
        };
        self.position.since_snapshot.entries += 1;
        if is_epoch {
            self.epochs += 1;
            self.position.since_snapshot.epochs += 1;
            self.position.anchor = Anchor {
                line: recorded.line.clone(),
                ledger: self.position.ledger.clone(),
            };
        }
        self.batch.rows.push(Row {
            index,
            recorded: recorded.clone(),
            accounts,
            request,
            shared,
        });
        recorded
    }

    /// Notes which notices are new or other than in `before`. To be called after each entry: an epoch
    /// may forget what an earlier one closed.
    ///
    /// # Errors
    /// When the disk cannot say when a notice was announced.
    pub fn notices(
        &mut self,
        before: &Ledger,
        store: &Store,
        clock: &LedgerClock,
    ) -> Result<(), StorageError> {
        let state = self.position.ledger.state();
        // Dated by the entry's height when replayed and by the clock when live, whichever is earlier.
        let updated_ms = clock.time_of(state.height).min(clock.now_ms());
        let old = &before.state().notices;
        let changed = state
            .notices
            .iter()
            .filter(|notice| old.get(notice.id) != Some(notice));
        for notice in changed {
            let earlier = self
                .batch
                .notices
                .iter()
                .position(|published| published.notice.id == notice.id);
            // A notice changed twice in one batch is kept once, as it is now.
            let known = match earlier {
                Some(at) => Some(self.batch.notices.remove(at)),
                None => store.notice(notice.id)?,
            };
            self.batch.notices.push(Published {
                notice: notice.clone(),
                announced_ms: known.map_or(updated_ms, |known| known.announced_ms),
                updated_ms,
            });
        }
        Ok(())
    }

    /// Adds a snapshot of the last epoch if the newest on disk is old.
    pub fn snapshot_if_due(&mut self) {
        let since = self.position.since_snapshot;
        let due = since.epochs >= SNAPSHOT_EPOCHS || since.entries >= SNAPSHOT_ENTRIES;
        let anchor = &self.position.anchor.ledger;
        if due && self.epochs > 0 {
            let index = anchor.len().saturating_sub(1);
            self.batch.snapshot = Some((index, anchor.snapshot()));
            let entries = self.position.ledger.len().saturating_sub(anchor.len());
            self.position.since_snapshot = SinceSnapshot { epochs: 0, entries };
        }
    }
}

/// Names a request, so that sending it again finds its entry.
#[must_use]
pub fn request_id(request: &impl Serialize) -> Hash {
    Hash::of(&serde_json::to_vec(request).unwrap_or_default())
}

/// Every account that events name. Addresses carry a checksum, so no other text passes for one.
fn named(value: &Value, accounts: &mut BTreeSet<AccountId>) {
    match value {
        Value::String(text) => accounts.extend(text.parse::<AccountId>()),
        Value::Array(items) => items.iter().for_each(|item| named(item, accounts)),
        Value::Object(fields) => fields.values().for_each(|field| named(field, accounts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
