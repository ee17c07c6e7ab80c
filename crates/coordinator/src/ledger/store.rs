//! The ledger on disk: one redb file of its own.
//!
//! Truth is the journal's lines alone. Everything else in the file is derived from them in the same
//! transaction, so that it can be looked up: events, entries by account, requests that were carried out,
//! announced notices, and snapshots from which a start need not replay everything. What a reader would
//! get wrong: a batch is all or nothing, and appends only at the end; a second writer is refused.
//!
//! Calls block.

use std::{collections::BTreeSet, path::Path};

use covey_ledger::{AccountId, Alpha, journal::Line, notice::Notice};
use covey_protocol::Hash;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::storage::{StorageError, reopening::Reopening};

type Id = [u8; 32];

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Entry to its line.
const LINES: TableDefinition<u64, &str> = TableDefinition::new("lines");
/// Entry to its events as a JSON array; absent where there are none.
const EVENTS: TableDefinition<u64, &str> = TableDefinition::new("events");
/// (account, entry) for every entry an account signed or is named by.
const HISTORY: TableDefinition<(Id, u64), ()> = TableDefinition::new("history");
/// Hash of a signed action or session to the entry it became.
const REQUESTS: TableDefinition<Id, u64> = TableDefinition::new("requests");
/// Notice to [`Published`] as JSON.
const NOTICES: TableDefinition<u64, &str> = TableDefinition::new("notices");
/// Entry to the ledger's snapshot right after it.
const SNAPSHOTS: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshots");

/// Account to the alpha that revenue shares have brought it, of all subnets together.
const SHARED: TableDefinition<Id, u64> = TableDefinition::new("shared");

const VERSION_KEY: &str = "version";
const VERSION: u64 = 1;
const OFFSET_KEY: &str = "offset";
const WEIGHED_KEY: &str = "weighed_ms";
/// Snapshots that are kept.
const SNAPSHOTS_KEPT: usize = 2;

/// An entry as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The journal line, which is JSON.
    pub line: String,
    /// A JSON array.
    pub events: String,
}

impl Recorded {
    /// `{"line": …, "events": […]}`, the same text every time.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{{\"line\":{},\"events\":{}}}", self.line, self.events)
    }
}

/// A notice and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub notice: Notice,
    /// Unix milliseconds.
    pub announced_ms: u64,
    /// Unix milliseconds of its last change.
    pub updated_ms: u64,
}

/// An entry to append, with what can be looked up by it.
#[derive(Clone, Debug)]
pub struct Row {
    pub index: u64,
    pub recorded: Recorded,
    pub accounts: BTreeSet<AccountId>,
    pub request: Option<Hash>,
    /// Revenue shares that were paid.
    pub shared: Vec<(AccountId, Alpha)>,
}

/// What becomes durable together.
#[derive(Default)]
pub struct Batch {
    /// Consecutive.
    pub rows: Vec<Row>,
    pub notices: Vec<Published>,
    /// The ledger after one of the rows.
    pub snapshot: Option<(u64, Vec<u8>)>,
    pub offset: Option<u64>,
    pub weighed_ms: Option<u64>,
}

/// What is kept besides the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Number of entries.
    pub entries: u64,
    /// Blocks by which the clock was moved.
    pub offset: u64,
    /// Until when work is paid for, Unix milliseconds.
    pub weighed_ms: u64,
}

/// The file.
pub struct Store {
    database: Reopening,
}

impl Store {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When another process has it open, a newer version wrote it, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Self::within(Reopening::file(path))
    }

    /// As [`open`](Self::open), for a database that lies elsewhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn within(database: Reopening) -> Result<Self, StorageError> {
        let this = Self { database };
        let found = this.database.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get(VERSION_KEY)?.map(|value| value.value());
            if found.is_none() {
                meta.insert(VERSION_KEY, VERSION)?;
            }
            // So that reading never meets a table that does not exist yet.
            transaction.open_table(LINES)?;
            transaction.open_table(EVENTS)?;
            transaction.open_table(HISTORY)?;
            transaction.open_table(REQUESTS)?;
            transaction.open_table(NOTICES)?;
            transaction.open_table(SNAPSHOTS)?;
            transaction.open_table(SHARED)?;
            Ok(found.unwrap_or(VERSION))
        })?;
        if found > VERSION {
            return Err(StorageError::Newer {
                found,
                known: VERSION,
            });
        }
        Ok(this)
    }

    /// Appends entries and what belongs to them, durably.
    ///
    /// # Errors
    /// When the disk fails, or the entries are not the next ones.
    pub fn append(&self, batch: &Batch) -> Result<(), StorageError> {
        let appended = self.database.write(|transaction| {
            let next = next_index(&transaction.open_table(LINES)?)?;
            let follows = batch.rows.first().is_none_or(|row| row.index == next);
            if follows {
                write(transaction, batch)?;
            }
            Ok(follows)
        })?;
        if appended {
            Ok(())
        } else {
            Err(StorageError::Unreadable(
                "other ledger entries than expected",
            ))
        }
    }

    /// # Errors
    /// When the disk fails.
    pub fn meta(&self) -> Result<Meta, StorageError> {
        self.database.read(|transaction| {
            let meta = transaction.open_table(META)?;
            let value = |key| -> Result<u64, redb::Error> {
                Ok(meta.get(key)?.map_or(0, |value| value.value()))
            };
            Ok(Meta {
                entries: next_index(&transaction.open_table(LINES)?)?,
                offset: value(OFFSET_KEY)?,
                weighed_ms: value(WEIGHED_KEY)?,
            })
        })
    }

    /// Lines from an entry on: at most `count` and `bytes` of them, but at least one if there is one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn lines(
        &self,
        from: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<String>, StorageError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(LINES)?;
            let (mut lines, mut sum) = (Vec::new(), 0_usize);
            for entry in table.range(from..)?.take(count) {
                let line = entry?.1.value().to_owned();
                sum = sum.saturating_add(line.len()).saturating_add(1);
                if sum > bytes && !lines.is_empty() {
                    break;
                }
                lines.push(line);
            }
            Ok(lines)
        })
    }

    /// # Errors
    /// When the disk fails.
    pub fn recorded(&self, index: u64) -> Result<Option<Recorded>, StorageError> {
        self.database
            .read(|transaction| recorded(transaction, index))
    }

    /// Hash of the last of the first `entries` entries, if there are so many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn hash_at(&self, entries: u64) -> Result<Option<Hash>, StorageError> {
        let Some(index) = entries.checked_sub(1) else {
            return Ok(None);
        };
        let line = self.recorded(index)?.map(|recorded| recorded.line);
        let line = line.and_then(|text| Line::parse(&text, index).ok());
        Ok(line.map(|line| line.hash))
    }

    /// The entry that a request became.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn request(&self, hash: &Hash) -> Result<Option<Recorded>, StorageError> {
        self.database.read(|transaction| {
            let requests = transaction.open_table(REQUESTS)?;
            let index = requests.get(hash.0)?.map(|value| value.value());
            index.map_or(Ok(None), |index| recorded(transaction, index))
        })
    }

    /// Entries that concern an account, before one of them, newest first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn history(
        &self,
        account: &AccountId,
        before: u64,
        count: usize,
    ) -> Result<Vec<Recorded>, StorageError> {
        self.database.read(|transaction| {
            let history = transaction.open_table(HISTORY)?;
            let mut all = Vec::new();
            let range = history.range((account.0, 0)..(account.0, before))?;
            for entry in range.rev().take(count) {
                let (_, index) = entry?.0.value();
                all.extend(recorded(transaction, index)?);
            }
            Ok(all)
        })
    }

    /// Announced notices, newest first, as JSON of [`Published`].
    ///
    /// # Errors
    /// When the disk fails or holds something else.
    pub fn notices(&self, count: usize) -> Result<Vec<Published>, StorageError> {
        let json = self.database.read(|transaction| {
            let table = transaction.open_table(NOTICES)?;
            let mut all = Vec::new();
            for entry in table.iter()?.rev().take(count) {
                all.push(entry?.1.value().to_owned());
            }
            Ok(all)
        })?;
        json.iter()
            .map(|text| serde_json::from_str(text))
            .collect::<Result<_, _>>()
            .map_err(|_| StorageError::Unreadable("a notice"))
    }

    /// One notice as it was last published.
    ///
    /// # Errors
    /// When the disk fails or holds something else.
    pub fn notice(&self, id: u64) -> Result<Option<Published>, StorageError> {
        let json = self.database.read(|transaction| {
            let table = transaction.open_table(NOTICES)?;
            Ok(table.get(id)?.map(|text| text.value().to_owned()))
        })?;
        json.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| StorageError::Unreadable("a notice"))
    }

    /// What revenue shares have brought an account.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn shared(&self, account: &AccountId) -> Result<Alpha, StorageError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(SHARED)?;
            let sum = table.get(account.0)?.map_or(0, |value| value.value());
            Ok(Alpha(sum))
        })
    }

    /// Snapshots, newest first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn snapshots(&self) -> Result<Vec<(u64, Vec<u8>)>, StorageError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(SNAPSHOTS)?;
            let mut all = Vec::new();
            for entry in table.iter()?.rev() {
                let (index, bytes) = entry?;
                all.push((index.value(), bytes.value().to_vec()));
            }
            Ok(all)
        })
    }
}

fn next_index(lines: &impl ReadableTable<u64, &'static str>) -> Result<u64, redb::Error> {
    let last = lines.last()?;
    Ok(last.map_or(0, |(index, _)| index.value().saturating_add(1)))
}

fn recorded(transaction: &ReadTransaction, index: u64) -> Result<Option<Recorded>, redb::Error> {
    let lines = transaction.open_table(LINES)?;
    let Some(line) = lines.get(index)? else {
        return Ok(None);
    };
    let events = transaction.open_table(EVENTS)?;
    let events = events.get(index)?;
    Ok(Some(Recorded {
        line: line.value().to_owned(),
        events: events.map_or_else(|| "[]".to_owned(), |events| events.value().to_owned()),
    }))
}

fn write(transaction: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    let mut lines = transaction.open_table(LINES)?;
    let mut events = transaction.open_table(EVENTS)?;
    let mut history = transaction.open_table(HISTORY)?;
    let mut requests = transaction.open_table(REQUESTS)?;
    let mut shared = transaction.open_table(SHARED)?;
    for row in &batch.rows {
        lines.insert(row.index, row.recorded.line.as_str())?;
        if row.recorded.events != "[]" {
            events.insert(row.index, row.recorded.events.as_str())?;
        }
        for account in &row.accounts {
            history.insert((account.0, row.index), ())?;
        }
        for (account, amount) in &row.shared {
            let before = shared.get(account.0)?.map_or(0, |value| value.value());
            shared.insert(account.0, before.saturating_add(amount.0))?;
        }
        if let Some(request) = row.request {
            requests.insert(request.0, row.index)?;
        }
    }
    let mut notices = transaction.open_table(NOTICES)?;
    for published in &batch.notices {
        // Plain data: it has no way to fail.
        let json = serde_json::to_string(published).unwrap_or_default();
        notices.insert(published.notice.id, json.as_str())?;
    }
    if let Some((index, bytes)) = &batch.snapshot {
        let mut snapshots = transaction.open_table(SNAPSHOTS)?;
        snapshots.insert(*index, bytes.as_slice())?;
        let mut known = Vec::new();
        for entry in snapshots.iter()? {
            known.push(entry?.0.value());
        }
        let excess = known.len().saturating_sub(SNAPSHOTS_KEPT);
        for old in known.into_iter().take(excess) {
            snapshots.remove(old)?;
        }
    }
    let mut meta = transaction.open_table(META)?;
    if let Some(offset) = batch.offset {
        meta.insert(OFFSET_KEY, offset)?;
    }
    if let Some(weighed) = batch.weighed_ms {
        meta.insert(WEIGHED_KEY, weighed)?;
    }
    Ok(())
}
