//! The journal as a file: one line an entry, which any tool can read and anybody can check.
//!
//! Exporting copies lines; importing replays them with every check and builds a new ledger's file from
//! nothing but them. What a reader would get wrong: an imported ledger is the same ledger. It has the
//! same head, and whoever imports it can go on with it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use covey_ledger::{
    Ledger,
    journal::{JournalError, Line, MAX_LINE},
};

use super::{clock::LedgerClock, draft::Draft, store::Store};
use crate::{CoordinatorError, clock::Clock, data_dir::DataDir};

/// Lines copied or replayed between two transactions.
const CHUNK: usize = 512;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Writes the ledger of a data directory to a file; the coordinator must be stopped.
///
/// # Errors
/// When there is no ledger, it is in use, or a file cannot be written.
pub fn export(data: &DataDir, to: &Path) -> Result<u64, CoordinatorError> {
    let path = data.ledger();
    if !path.is_file() {
        let message = format!("there is no ledger at {}", path.display());
        return Err(CoordinatorError::Config(message));
    }
    let store = Store::open(&path)?;
    let staged = to.with_extension("new");
    let failed = |path: &Path| CoordinatorError::file(path.to_owned());
    let mut file = BufWriter::new(File::create(&staged).map_err(failed(&staged))?);
    let mut next = 0_u64;
    loop {
        let lines = store.lines(next, CHUNK, CHUNK_BYTES)?;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            writeln!(file, "{line}").map_err(failed(&staged))?;
            next = next.saturating_add(1);
        }
    }
    let file = file
        .into_inner()
        .map_err(|error| failed(&staged)(error.into_error()))?;
    file.sync_all().map_err(failed(&staged))?;
    fs::rename(&staged, to).map_err(failed(to))?;
    Ok(next)
}

/// Makes a data directory's ledger from a journal file, replaying all of it.
///
/// # Errors
/// When there is a ledger already, or the first entry that is not what it should be.
pub fn import(data: &DataDir, from: &Path) -> Result<u64, CoordinatorError> {
    let path = data.ledger();
    if path.exists() {
        let message = format!(
            "{} exists; a journal is imported only into a data directory without a ledger",
            path.display()
        );
        return Err(CoordinatorError::Config(message));
    }
    // Under another name until it is whole.
    let staged = path.with_extension("importing");
    if staged.exists() {
        fs::remove_file(&staged).map_err(CoordinatorError::file(&staged))?;
    }
    let entries = replay(&Store::open(&staged)?, from)?;
    fs::rename(&staged, &path).map_err(CoordinatorError::file(&path))?;
    Ok(entries)
}

fn replay(store: &Store, from: &Path) -> Result<u64, CoordinatorError> {
    let wrong = |error: JournalError| CoordinatorError::Ledger {
        path: from.to_owned(),
        reason: error.to_string(),
    };
    let mut lines = Lines {
        reader: BufReader::new(File::open(from).map_err(CoordinatorError::file(from))?),
        index: 0,
    };
    let read = |lines: &mut Lines| lines.next().map_err(CoordinatorError::file(from));
    let Some(text) = read(&mut lines)? else {
        return Err(wrong(JournalError::Genesis(0)));
    };
    let first = Line::parse(&text, 0).map_err(wrong)?;
    let ledger = Ledger::from_genesis(&first.entry).map_err(wrong)?;
    let clock = LedgerClock::new(Clock::start(), ledger.state(), 0);
    let mut draft = Draft::genesis(ledger, text);
    while let Some(text) = read(&mut lines)? {
        let index = draft.position.ledger.len();
        let line = Line::parse(&text, index).map_err(wrong)?;
        let before = draft.position.ledger.clone();
        let applied = draft.position.ledger.replay(&line.entry).map_err(wrong)?;
        draft.push(applied);
        draft.notices(&before, store, &clock)?;
        if draft.batch.rows.len() >= CHUNK {
            draft = committed(store, draft)?;
            tracing::info!(entries = draft.position.ledger.len(), "imported");
        }
    }
    // What was done before this import was paid for, or was not: it is not paid for twice.
    draft.batch.weighed_ms = Some(clock.now_ms());
    draft = committed(store, draft)?;
    Ok(draft.position.ledger.len())
}

fn committed(store: &Store, mut draft: Draft) -> Result<Draft, CoordinatorError> {
    draft.snapshot_if_due();
    store.append(&draft.batch)?;
    Ok(Draft::of(&draft.position))
}

/// Lines of a file, none longer than an entry can be.
struct Lines {
    reader: BufReader<File>,
    index: u64,
}

impl Lines {
    fn next(&mut self) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE as u64 + 2;
        let count = self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)?;
        if count == 0 {
            return Ok(None);
        }
        let too_long = !bytes.ends_with(b"\n") && count as u64 == limit;
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec();
        let unreadable = |what: &str| {
            let message = format!("line {} {what}", self.index.saturating_add(1));
            std::io::Error::new(std::io::ErrorKind::InvalidData, message)
        };
        if too_long {
            return Err(unreadable("is longer than an entry can be"));
        }
        let text = String::from_utf8(text).map_err(|_| unreadable("is no text"))?;
        self.index = self.index.saturating_add(1);
        Ok(Some(text))
    }
}
