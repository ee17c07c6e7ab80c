//! The first thing that is not so.

use covey_protocol::{
    limits::MAX_FINDING,
    witness::{Place, Verdict},
};

/// What a witness expected and what it found instead. It never changes its mind about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    /// Of the round or the ledger's entry.
    pub number: u64,
    pub expected: String,
    pub found: String,
}

impl Finding {
    /// Words longer than [`MAX_FINDING`] bytes are cut.
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
