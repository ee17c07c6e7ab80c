//! The journal: numbered entries, each naming the hash of the one before.
//!
//! An entry is a signed action, a session authorisation, an epoch with the state's hash after it, or the
//! genesis. Whoever has the entries has everything: the state is what they add up to. The hash is BLAKE3
//! over the entry's canonical JSON, so any altered byte breaks the chain from there on.
//!
//! As a file it is one entry per line ([`Line`]), which can be appended to, cut at any line, and read with
//! any tool.

use covey_protocol::{Hash, PartnerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    call::SignedAction,
    error::LedgerError,
    genesis::Genesis,
    signing::{canonical, session::SignedSession},
    units::Height,
};

/// Longest line of a journal file: a `set_weights` with every hotkey it can name fits.
pub const MAX_LINE: usize = 256 * 1024;

/// Domain of entry hashes.
const CONTEXT: &str = "covey ledger entry v1";

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 0 for the genesis.
    pub index: u64,
    pub height: Height,
    /// Hash of the entry before; zero for the genesis.
    pub previous: Hash,
    pub body: Body,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    Genesis(Box<Genesis>),
    Action(SignedAction),
    Session(SignedSession),
    /// An epoch ran; `state` is the state's hash after it.
    Epoch {
        state: Hash,
    },
    /// The operator of a development run moved the clock.
    Clock {},
    /// The operator suspended a partner, or restored it. It says whom the operator credits and moves no
    /// money, so it needs no key but the one that signs the journal's head.
    Partnership {
        partner: PartnerId,
        suspended: bool,
    },
}

/// An entry with its hash: a line of a journal file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    #[serde(flatten)]
    pub entry: Entry,
    pub hash: Hash,
}

/// Why a journal is not what it says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JournalError {
    /// A line that is no entry.
    #[error("entry {index} cannot be read: {reason}")]
    Unreadable { index: u64, reason: String },
    /// Another entry belongs here.
    #[error("entry {expected} was expected, but {found} came")]
    Order { expected: u64, found: u64 },
    /// It does not follow from the entry before.
    #[error("entry {0} names another predecessor")]
    Previous(u64),
    /// The line's hash is not the entry's.
    #[error("entry {0} does not have the hash it claims")]
    Hash(u64),
    /// The rules refuse it.
    #[error("entry {index} breaks the rules: {error}")]
    Rule { index: u64, error: LedgerError },
    /// The journal does not begin with a genesis, or has a second one.
    #[error("entry {0}: a journal has one genesis, at its beginning")]
    Genesis(u64),
}

impl JournalError {
    /// The entry at which it was found.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Self::Unreadable { index, .. } | Self::Rule { index, .. } => *index,
            Self::Order { expected, .. } => *expected,
            Self::Previous(index) | Self::Hash(index) | Self::Genesis(index) => *index,
        }
    }
}

impl Entry {
    /// The entry's hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        // Entries hold strings, booleans and numbers below 2^53; one that did not could be hashed by
        // nobody, and zero is the hash of nothing.
        let bytes = canonical::canonical_of(self).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&bytes);
        Hash(*hasher.finalize().as_bytes())
    }

    /// The entry as a line.
    #[must_use]
    pub fn line(self) -> Line {
        let hash = self.hash();
        Line { entry: self, hash }
    }
}

impl Line {
    /// The line's text, without its end.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line that should be entry `index`, and checks its hash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, index: u64) -> Result<Self, JournalError> {
        let unreadable = |reason: String| JournalError::Unreadable { index, reason };
        if text.len() > MAX_LINE {
            return Err(unreadable("the line is too long".to_owned()));
        }
        let line: Self =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if line.entry.index != index {
            let found = line.entry.index;
            return Err(JournalError::Order {
                expected: index,
                found,
            });
        }
        if line.entry.hash() != line.hash {
            return Err(JournalError::Hash(index));
        }
        // What is not read is not hashed: a line may hold nothing but the entry.
        if line.text() != text {
            return Err(unreadable(
                "it is not written the way entries are".to_owned(),
            ));
        }
        Ok(line)
    }
}
