//! Why a follower stops: nobody answers, its own disk fails, or something is not so.

use covey_protocol::{
    limits::MAX_FINDING,
    witness::{Place, Verdict},
};

use super::client::ClientError;
use crate::{CoordinatorError, storage::StorageError};

/// The first thing that is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    /// Of the round or the ledger's entry.
    pub number: u64,
    pub expected: String,
    pub found: String,
}

impl Finding {
    pub fn new(place: Place, number: u64, expected: impl ToString, found: impl ToString) -> Self {
        Self {
            place,
            number,
            expected: short(expected.to_string()),
            found: short(found.to_string()),
        }
    }

    #[must_use]
    pub fn verdict(self) -> Verdict {
        Verdict::Disagrees {
            place: self.place,
            number: self.number,
            expected: self.expected,
            found: self.found,
        }
    }
}

/// A server's words may be long, and cut anywhere they may be no text.
fn short(mut text: String) -> String {
    let mut end = MAX_FINDING.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_letters() {
        let finding = Finding::new(Place::Packet, 1, "", "ä".repeat(MAX_FINDING));
        assert!(finding.found.len() <= MAX_FINDING);
        assert!(finding.found.chars().all(|c| c == 'ä'));
    }
}
