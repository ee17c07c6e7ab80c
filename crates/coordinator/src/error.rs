//! Why the coordinator cannot start or go on. Each message says what to do next, because it is the last
//! line an operator sees.

use std::path::{Path, PathBuf};

use covey_protocol::{Hash, ProtocolError, Round, run::RunError};
use covey_training::TrainingError;
use thiserror::Error;

use crate::storage::StorageError;

/// A failure that ends the coordinator. [`exit_code`](Self::exit_code) tells a supervisor whether
/// starting again could help.
#[derive(Debug, Error)]
pub enum CoordinatorError {
    #[error("the configuration is not valid: {0}\nSee covey-coordinator --help for every setting.")]
    Config(String),
    #[error("the run cannot be described like this: {0}")]
    Run(#[from] RunError),
    #[error(
        "{path} describes another run than the configuration asks for:\n{differences}\nA run's \
         description never changes. Remove these settings to go on with the run, or choose another \
         --data-dir to start a new one."
    )]
    OtherRun { path: PathBuf, differences: String },
    #[error(
        "no corpus at {path}: {reason}\nPrepare one with the corpus tool and name its folder with \
         --corpus."
    )]
    Corpus { path: PathBuf, reason: String },
    #[error(
        "the corpus at {path} is {actual}, but the run was created with {expected}\nName the right \
         folder with --corpus, or choose another --data-dir to start a new run."
    )]
    OtherCorpus {
        path: PathBuf,
        actual: Hash,
        expected: Hash,
    },
    #[error(
        "{path} cannot be written to: {source}\nMake the folder writable and see that its disk has \
         space, or choose another --data-dir."
    )]
    NotWritable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{path} is missing or empty, but the run has begun, and what volunteers were promised was in \
         it\nRestore it from a backup, or choose another --data-dir to start a new run."
    )]
    Lost { path: PathBuf },
    #[error(
        "{path} is damaged: {source}\nRestore the data folder from a backup, or choose another \
         --data-dir."
    )]
    Database { path: PathBuf, source: StorageError },
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is damaged: {source}\nRestore it from a backup, or choose another --data-dir.")]
    Damaged {
        path: PathBuf,
        source: ProtocolError,
    },
    #[error("storage: {0}")]
    Storage(#[from] StorageError),
    #[error(
        "the update of round {round} ({update}) is missing or damaged: {reason}\nPut the blob back \
         into the data directory from a backup or a mirror; its name is its BLAKE3 hash."
    )]
    Update {
        round: Round,
        update: Hash,
        reason: String,
    },
    #[error("the record of round {round} does not follow the one before it: {reason}")]
    Chain { round: Round, reason: String },
    #[error(
        "the ledger in {path} is not what it claims: {reason}\nRestore it from a backup, or import a \
         journal of this run that can be checked: covey-coordinator import-ledger FILE, with another \
         --data-dir."
    )]
    Ledger { path: PathBuf, reason: String },
    #[error("training engine: {0}")]
    Engine(#[from] TrainingError),
    #[error(
        "cannot listen on {address}: {source}\nChoose another address with --listen, or --admin-listen for the operator's."
    )]
    Listen {
        address: String,
        source: std::io::Error,
    },
    #[error("no entropy from the operating system: {0}")]
    Entropy(getrandom::Error),
    #[error(
        "{0} is a mirror's folder: go on with covey-coordinator follow, or make it the run's \
         coordinator with covey-coordinator takeover"
    )]
    AMirror(PathBuf),
    #[error(
        "{0} holds no mirror: name the --data-dir of a covey-coordinator follow that is stopped"
    )]
    NoMirror(PathBuf),
    #[error("{url}: {reason}")]
    Follow { url: String, reason: String },
    #[error("this mirror disagrees: {0}")]
    Disagreement(String),
    #[error("a task of the coordinator ended unexpectedly: {0}")]
    Task(&'static str),
}

impl CoordinatorError {
    /// 2 for what the operator has to change, 3 for a disagreement, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Run(_)
            | Self::OtherRun { .. }
            | Self::Corpus { .. }
            | Self::OtherCorpus { .. }
            | Self::AMirror(_)
            | Self::NoMirror(_)
            | Self::NotWritable { .. }
            | Self::Listen { .. } => 2,
            Self::Disagreement(_) => 3,
            _ => 1,
        }
    }

    /// A database that could not be opened: one that is in use or newer is whole.
    pub(crate) fn database(path: &Path) -> impl FnOnce(StorageError) -> Self {
        let path = path.to_owned();
        move |source| match source {
            StorageError::InUse | StorageError::Newer { .. } => Self::Storage(source),
            source => Self::Database { path, source },
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
