//! Replaying a whole journal in the tab, from its genesis, as it arrives: every hash, every signature,
//! every rule and every epoch's state hash is checked again (issue 3, "Verify").
//!
//! What a reader would get wrong: the pieces come in arbitrary cuts, also within a line, and a hostile
//! server may never send a line feed. What is kept of an unfinished line is therefore bounded by the
//! longest line there can be.

use covey_ledger::{
    Ledger,
    journal::{Body, JournalError, Line, MAX_LINE},
};
use serde::Serialize;

use crate::error::WalletError;

/// A replay on its way.
#[derive(Debug, Default)]
pub struct Audit {
    ledger: Option<Ledger>,
    /// The beginning of a line whose end has not come yet.
    rest: String,
    epochs: u64,
    /// State hash at the last epoch, or of the genesis.
    state: String,
    /// The first thing that was wrong; nothing after it is looked at.
    wrong: Option<WalletError>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditProgress {
    /// Entries that are right.
    pub entries: u64,
    pub height: u64,
    /// Hash of the last of them, hex.
    pub head: String,
    /// Hash of the state at the last epoch, hex; before any, of the genesis.
    pub state: String,
    pub epochs: u64,
}

impl Audit {
    /// A replay that expects a genesis.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the journal.
    ///
    /// # Errors
    /// The first wrong entry; from then on always that.
    pub fn feed(&mut self, chunk: &str) -> Result<AuditProgress, WalletError> {
        let result = self.take(chunk);
        self.keep(result)
    }

    /// The journal has ended: what is left is its last line.
    ///
    /// # Errors
    /// As [`feed`](Self::feed), and for a journal without any entry.
    pub fn finish(&mut self) -> Result<AuditProgress, WalletError> {
        let last = std::mem::take(&mut self.rest);
        let mut result = match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None if last.is_empty() => Ok(()),
            None => self.line(&last),
        };
        if result.is_ok() && self.ledger.is_none() {
            result = Err(JournalError::Genesis(0).into());
        }
        self.keep(result)
    }

    fn keep(&mut self, result: Result<(), WalletError>) -> Result<AuditProgress, WalletError> {
        match result {
            Ok(()) => Ok(self.progress()),
            Err(wrong) => {
                self.wrong = Some(wrong.clone());
                Err(wrong)
            }
        }
    }

    fn take(&mut self, chunk: &str) -> Result<(), WalletError> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        let mut chunk = chunk;
        while let Some((end, next)) = chunk.split_once('\n') {
            chunk = next;
            self.hold(end)?;
            let line = std::mem::take(&mut self.rest);
            self.line(&line)?;
        }
        self.hold(chunk)
    }

    /// Adds to the unfinished line.
    fn hold(&mut self, part: &str) -> Result<(), WalletError> {
        if self.rest.len().saturating_add(part.len()) > MAX_LINE {
            let index = self.entries();
            let reason = "the line is too long".to_owned();
            return Err(JournalError::Unreadable { index, reason }.into());
        }
        self.rest.push_str(part);
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<(), WalletError> {
        let Line { entry, .. } = Line::parse(text, self.entries())?;
        match &mut self.ledger {
            Some(ledger) => {
                ledger.replay(&entry)?;
            }
            None => {
                let ledger = Ledger::from_genesis(&entry)?;
                self.state = ledger.state().hash().to_string();
                self.ledger = Some(ledger);
            }
        }
        if let Body::Epoch { state } = &entry.body {
            self.epochs = self.epochs.saturating_add(1);
            self.state = state.to_string();
        }
        Ok(())
    }

    fn entries(&self) -> u64 {
        self.ledger.as_ref().map_or(0, Ledger::len)
    }

    fn progress(&self) -> AuditProgress {
        let ledger = self.ledger.as_ref();
        AuditProgress {
            entries: self.entries(),
            height: ledger.map_or(0, |ledger| ledger.state().height),
            head: ledger.map_or_else(String::new, |ledger| ledger.head().to_string()),
            state: self.state.clone(),
            epochs: self.epochs,
        }
    }
}
