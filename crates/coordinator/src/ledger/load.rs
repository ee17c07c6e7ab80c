//! From the ledger's file to the ledger in memory, with every check that anybody else would make.
//!
//! 1. Every entry must be the one its hash says, and name the one before it.
//! 2. The newest snapshot must be of the state that its epoch's entry vouches for.
//! 3. Entries after the snapshot are replayed by the rules, signatures and state hashes included.
//!
//! What a reader would get wrong: a snapshot is only a shortcut. One that is damaged is passed over; a
//! journal that is damaged stops the start.

use covey_ledger::{
    Ledger,
    journal::{Body, JournalError, Line},
};
use covey_protocol::Hash;

use super::{
    draft::{Anchor, Position, SinceSnapshot},
    store::Store,
};
use crate::storage::StorageError;

/// Lines that are read at a time, and their bytes.
const CHUNK: usize = 1024;
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// Why a ledger cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("it has no entries")]
    Empty,
}

/// Replays what is on disk.
///
/// # Errors
/// The first entry that is not what it should be.
pub fn load(store: &Store) -> Result<Position, LoadError> {
    let mut replay = Replay::default();
    let start = newest_snapshot(store)?;
    let skipped = start.as_ref().map(|(ledger, _)| ledger.len());
    if let Some((ledger, anchor)) = start {
        replay.position = Some(Position {
            ledger,
            anchor,
            since_snapshot: SinceSnapshot::default(),
        });
    }
    loop {
        let lines = store.lines(replay.next, CHUNK, CHUNK_BYTES)?;
        if lines.is_empty() {
            break;
        }
        for text in lines {
            let line = replay.check(&text)?;
            match skipped {
                Some(skipped) if line.entry.index < skipped => replay.pass(&line)?,
                _ => replay.apply(&line, text)?,
            }
        }
    }
    replay.position.ok_or(LoadError::Empty)
}

/// The newest snapshot that its epoch's entry vouches for.
fn newest_snapshot(store: &Store) -> Result<Option<(Ledger, Anchor)>, StorageError> {
    for (index, bytes) in store.snapshots()? {
        let Some(recorded) = store.recorded(index)? else {
            continue;
        };
        let text = recorded.line;
        let ledger =
            Line::parse(&text, index).and_then(|line| Ledger::from_snapshot(&bytes, &line.entry));
        match ledger {
            Ok(ledger) => {
                let anchor = Anchor {
                    line: text,
                    ledger: ledger.clone(),
                };
                return Ok(Some((ledger, anchor)));
            }
            Err(error) => tracing::error!(index, %error, "a snapshot is passed over"),
        }
    }
    Ok(None)
}

#[derive(Default)]
struct Replay {
    /// Index of the next line.
    next: u64,
    /// Hash of the line before.
    previous: Option<Hash>,
    position: Option<Position>,
}

impl Replay {
    /// The line, if it is what it says and follows.
    fn check(&mut self, text: &str) -> Result<Line, JournalError> {
        let index = self.next;
        let line = Line::parse(text, index)?;
        if line.entry.previous != self.previous.unwrap_or(Hash([0; 32])) {
            return Err(JournalError::Previous(index));
        }
        self.previous = Some(line.hash);
        self.next = index.saturating_add(1);
        Ok(line)
    }

    /// A line before the snapshot: the last of them must be the snapshot's own.
    fn pass(&self, line: &Line) -> Result<(), JournalError> {
        let index = line.entry.index;
        match &self.position {
            Some(position)
                if position.ledger.len() == index.saturating_add(1)
                    && position.ledger.head() != line.hash =>
            {
                Err(JournalError::Hash(index))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, line: &Line, text: String) -> Result<(), JournalError> {
        let Some(position) = &mut self.position else {
            let ledger = Ledger::from_genesis(&line.entry)?;
            let anchor = Anchor {
                line: text,
                ledger: ledger.clone(),
            };
            self.position = Some(Position {
                ledger,
                anchor,
                since_snapshot: SinceSnapshot::default(),
            });
            return Ok(());
        };
        position.ledger.replay(&line.entry)?;
        position.since_snapshot.entries += 1;
        if matches!(line.entry.body, Body::Epoch { .. }) {
            position.since_snapshot.epochs += 1;
            position.anchor = Anchor {
                line: text,
                ledger: position.ledger.clone(),
            };
        }
        Ok(())
    }
}
