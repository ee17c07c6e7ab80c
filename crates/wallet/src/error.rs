//! Why the module refuses, as the page sees it: a name to act on, words to show, and the journal entry it
//! concerns if there is one.

use covey_ledger::{
    LedgerError,
    journal::JournalError,
    pool::PoolError,
    signing::{SignatureError, session::SessionError},
};
use thiserror::Error;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalletError {
    /// The ledger's rules say no.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// The journal or the snapshot is not what it says.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// Something given to the module is not what it should be.
    #[error("{0}")]
    Unreadable(String),
    /// A text is no amount.
    #[error("{0}")]
    Amount(&'static str),
    /// A text is no account.
    #[error("{0}")]
    Account(String),
    /// A wallet's answer is no signature.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// A session cannot be asked for or does not hold.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// A draft is for another run.
    #[error("this was prepared for another run: prepare it again")]
    Chain,
    /// The copy of the ledger is too old to say what would happen.
    #[error(
        "the ledger here is {0} epochs behind the clock: fetch the latest entries, or wait until the \
         coordinator has recorded them"
    )]
    Behind(u64),
    /// Nobody has this name among the development keys.
    #[error("there is no development key of this name")]
    UnknownName,
}

impl WalletError {
    /// The name by which a page knows it; the ledger's own name for a refusal of the ledger.
    #[must_use]
    pub fn name(&self) -> String {
        let name = match self {
            Self::Ledger(error) | Self::Journal(JournalError::Rule { error, .. }) => {
                return error.name();
            }
            Self::Journal(error) => match error {
                JournalError::Unreadable { .. } => "Unreadable",
                JournalError::Order { .. } => "Order",
                JournalError::Previous(_) => "Previous",
                JournalError::Hash(_) => "Hash",
                JournalError::Genesis(_) => "Genesis",
                JournalError::Rule { .. } => "Rule",
            },
            Self::Unreadable(_) => "Unreadable",
            Self::Amount(_) => "Amount",
            Self::Account(_) => "Account",
            Self::Signature(_) => "BadSignature",
            Self::Session(_) => "BadSession",
            Self::Chain => "Chain",
            Self::Behind(_) => "Behind",
            Self::UnknownName => "UnknownName",
        };
        name.to_owned()
    }

    /// The journal entry it concerns.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        match self {
            Self::Journal(error) => Some(error.index()),
            _ => None,
        }
    }
}

impl From<PoolError> for WalletError {
    fn from(error: PoolError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<serde_json::Error> for WalletError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}
