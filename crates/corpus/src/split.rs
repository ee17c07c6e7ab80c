//! Decides which stretches of the text are held out.
//!
//! Every file owes the same share of its bytes. A long file pays with its own end; files too short
//! for that pay together: once their debts add up to one of them, that one is held out whole. So a
//! novel gives up its last chapter, a folder of ten thousand notes gives up every twentieth note,
//! and nothing is cut into crumbs that a model could not read. The choice depends on the lengths
//! and the order of the files only.

use std::ops::Range;

use crate::{CorpusError, HeldOut, VocabularyChoice};

/// Fewest bytes of text that can make a corpus.
pub const MIN_TEXT: u64 = 16 * 1024;
/// Fewest tokens of each part, so that an evaluation has several sequences of any preset to read.
pub const MIN_TOKENS: u64 = 2048;
/// Shortest end of a file worth cutting off, in bytes.
const MIN_STRETCH: i64 = 4096;
/// Bytes that a byte-pair token may stand for where small inputs are concerned: generous, so that
/// [`MIN_TOKENS`] are reached.
const BYTES_PER_TOKEN: u64 = 6;

/// What a stretch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Train,
    HeldOut,
}

/// A run of bytes of one file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Index of the file.
    pub file: usize,
    pub bytes: Range<u64>,
    pub part: Part,
}

/// Splits files of `lengths` bytes.
///
/// `cut(file, wanted)` moves a cut to a good place at or before `wanted`, such as a line's start.
/// A small text gives up more than `held_out` asks for, so that it can be evaluated at all, but
/// never more than a quarter on that account.
///
/// # Errors
/// When there is too little text, or when `cut` fails.
pub fn split(
    lengths: &[u64],
    held_out: HeldOut,
    vocabulary: VocabularyChoice,
    mut cut: impl FnMut(usize, u64) -> Result<u64, CorpusError>,
) -> Result<Vec<Stretch>, CorpusError> {
    let total: u64 = lengths.iter().sum();
    if total < MIN_TEXT {
        return Err(CorpusError::TooSmall {
            actual: total,
            needed: MIN_TEXT,
        });
    }
    let floor = match vocabulary {
        VocabularyChoice::Bytes => 2 * MIN_TOKENS,
        VocabularyChoice::Bpe(_) => MIN_TOKENS * BYTES_PER_TOKEN,
    };
    let target = held_out.of(total).max(floor.min(total / 4));
    let mut stretches = Vec::new();
    // Held-out bytes owed so far; below 0 after a cut was moved back to a line's start.
    let mut owed: i64 = 0;
    for (file, &len) in lengths.iter().enumerate() {
        owed += share(len, target, total);
        let last = file + 1 == lengths.len();
        let enough = if last { MIN_STRETCH / 8 } else { MIN_STRETCH };
        let start = if owed >= signed(len) {
            0
        } else if owed >= enough {
            cut(file, len - owed.unsigned_abs())?.min(len)
        } else {
            len
        };
        owed -= signed(len - start);
        for (bytes, part) in [(0..start, Part::Train), (start..len, Part::HeldOut)] {
            if !bytes.is_empty() {
                stretches.push(Stretch { file, bytes, part });
            }
        }
    }
    Ok(stretches)
}

/// `len * target / total`, rounded up so that debts never fall short of the target.
fn share(len: u64, target: u64, total: u64) -> i64 {
    let share = (u128::from(len) * u128::from(target)).div_ceil(u128::from(total.max(1)));
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// File sizes are below 2^63 on every file system.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(lengths: &[u64], share: &str) -> Vec<Stretch> {
        split(
            lengths,
            share.parse().unwrap(),
            VocabularyChoice::Bytes,
            |_, wanted| Ok(wanted),
        )
        .unwrap()
    }

    fn held(stretches: &[Stretch]) -> u64 {
        stretches
            .iter()
            .filter(|s| s.part == Part::HeldOut)
            .map(|s| s.bytes.end - s.bytes.start)
            .sum()
    }

    #[test]
    fn one_file_gives_up_its_end() {
        let stretches = plain(&[1_000_000], "5%");
        assert_eq!(stretches.len(), 2);
        assert_eq!(stretches[0].bytes, 0..950_000);
        assert_eq!(stretches[1].bytes, 950_000..1_000_000);
        assert_eq!(stretches[1].part, Part::HeldOut);
    }

    #[test]
    fn many_short_files_give_up_whole_files() {
        let stretches = plain(&[1000; 2000], "5%");
        assert_eq!(stretches.len(), 2000);
        assert_eq!(held(&stretches), 100_000);
    }

    #[test]
    fn small_text_gives_up_enough_to_evaluate_on() {
        assert_eq!(held(&plain(&[MIN_TEXT], "1%")), 2 * MIN_TOKENS);
    }

    #[test]
    fn too_little_text_is_refused() {
        let result = split(
            &[MIN_TEXT - 1],
            HeldOut::default(),
            VocabularyChoice::Bytes,
            |_, wanted| Ok(wanted),
        );
        assert!(matches!(result, Err(CorpusError::TooSmall { .. })));
    }

    proptest! {
        #[test]
        fn every_byte_is_in_exactly_one_part_and_both_parts_exist(
            lengths in prop::collection::vec(1u64..200_000, 1..60),
            share in 0.1f64..50.0,
            moved in 0u64..1000,
        ) {
            prop_assume!(lengths.iter().sum::<u64>() >= MIN_TEXT);
            let stretches = split(
                &lengths,
                format!("{share:.3}%").parse().unwrap(),
                VocabularyChoice::Bytes,
                |_, wanted| Ok(wanted.saturating_sub(moved)),
            )
            .unwrap();
            let mut next = (0, 0);
            for stretch in &stretches {
                if stretch.bytes.start == 0 && next.1 > 0 {
                    prop_assert_eq!(next.1, lengths[next.0]);
                    next = (next.0 + 1, 0);
                }
                prop_assert_eq!(next, (stretch.file, stretch.bytes.start));
                prop_assert!(!stretch.bytes.is_empty());
                next.1 = stretch.bytes.end;
            }
            prop_assert_eq!(next, (lengths.len() - 1, *lengths.last().unwrap()));
            let (total, held) = (lengths.iter().sum::<u64>(), held(&stretches));
            prop_assert!(held > 0);
            // At most half, and one stretch's slack: a whole file may be a little too much.
            prop_assert!(held <= total / 2 + lengths.len() as u64 + moved, "{held} of {total}");
        }
    }
}
