//! What must survive: small facts in a [`Journal`], large immutable bytes in [`Blobs`].
//!
//! Both are traits because a coordinator that outgrows one machine keeps its journal in a replicated
//! log and its blobs in an object store; the embedded defaults are redb and local files. The contract of
//! both is the same: when a write returns, the bytes survive the loss of power.

pub mod blobs;
pub mod journal;
mod redb_journal;
pub mod reopening;

use std::sync::Arc;

use covey_protocol::Hash;
use thiserror::Error;

pub use blobs::{BlobSource, Blobs, LocalBlobs};
pub use journal::{Journal, PartnerTotals};
pub use redb_journal::RedbJournal;

/// A disk or database failed. Nothing of the failed write remains visible.
#[derive(Debug, Error)]
pub enum StorageError {
    #[error("the journal is in use by another process; stop the other coordinator first")]
    InUse,
    #[error("the journal failed: {0}")]
    Journal(Arc<redb::Error>),
    #[error("the journal holds {0} that cannot be read; restore it from a backup")]
    Unreadable(&'static str),
    #[error("the journal was written by a newer version ({found}, this one knows {known})")]
    Newer { found: u64, known: u64 },
    #[error("the blob store failed: {0}")]
    Blobs(#[from] object_store::Error),
    #[error(
        "the blob {0} is not what its name says: it was altered on disk; put the file back from a backup \
         or a mirror"
    )]
    Altered(Hash),
    #[error("a storage task was lost: {0}")]
    Task(String),
}

impl StorageError {
    pub(crate) fn journal(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error => Self::Journal(Arc::new(error)),
        }
    }
}

/// Runs a blocking storage call on the pool made for it.
///
/// # Errors
/// The call's own, or [`StorageError::Task`] when the runtime is shutting down.
pub async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(StorageError::Task(error.to_string())),
    }
}
