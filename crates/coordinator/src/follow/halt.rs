//! Why a follower stops: nobody answers, its own disk fails, or something is not so.

use covey_witness::Finding;

use super::client::ClientError;
use crate::{CoordinatorError, storage::StorageError};

/// Why a look at the run ended early.
#[derive(Debug)]
pub enum Halt {
    /// The coordinator does not answer as one should; it may do so later.
    Unreachable(ClientError),
    /// This machine or its operator's settings.
    Broken(CoordinatorError),
    /// Recomputed, and not so. Final.
    Finding(Finding),
    /// Told to stop.
    Stopped,
}

impl From<ClientError> for Halt {
    fn from(error: ClientError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<CoordinatorError> for Halt {
    fn from(error: CoordinatorError) -> Self {
        Self::Broken(error)
    }
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Finding> for Halt {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}
