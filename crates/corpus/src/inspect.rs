//! Reads every file once and decides whether it is text.
//!
//! Text is: at least one byte, no NUL byte, and at most one byte in a hundred that is not UTF-8
//! (old texts carry the odd Latin-1 letter; it becomes the replacement character). The hash taken
//! on the way names the file's content for the stamp in [`crate::store`] and finds exact repeats,
//! which would otherwise appear in training and held-out text at once.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use covey_protocol::Hash;
use rayon::prelude::*;

use crate::{
    CorpusError, Progress,
    files::{Listing, Reason, Skipped},
};

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;
/// One byte in so many may be something else than UTF-8.
const FOREIGN_SHARE: u64 = 100;
/// Files looked at between two reports of progress.
const BATCH: usize = 64;

/// A file that belongs to the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    pub path: PathBuf,
    /// Bytes.
    pub len: u64,
    /// BLAKE3 of the content.
    pub hash: Hash,
}

/// What a look inside showed.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Text { len: u64, hash: Hash },
    Other(Reason),
}

/// Keeps the text among the listed files, in order, and adds the rest to the skipped ones.
///
/// # Errors
/// When a file cannot be read; when the input is a single file that is not text; when nothing is
/// left.
pub fn inspect(
    input: &Path,
    listing: Listing,
    progress: &dyn Progress,
) -> Result<(Vec<TextFile>, Vec<Skipped>), CorpusError> {
    let mut texts = Vec::new();
    let mut skipped = listing.skipped;
    let mut seen = HashSet::new();
    for batch in listing.files.chunks(BATCH) {
        let findings: Vec<_> = batch.par_iter().map(|path| look_inside(path)).collect();
        for (path, finding) in batch.iter().zip(findings) {
            let finding = finding.map_err(|error| CorpusError::unreadable(path, error))?;
            let why = match finding {
                Finding::Text { len, hash } => {
                    progress.advance(len);
                    if seen.insert(hash) {
                        let path = path.clone();
                        texts.push(TextFile { path, len, hash });
                        continue;
                    }
                    Reason::Repeat
                }
                Finding::Other(why) => why,
            };
            if listing.single {
                return Err(refusal(path, why));
            }
            let path = path.clone();
            skipped.push(Skipped { path, why });
        }
    }
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    if texts.is_empty() {
        return Err(CorpusError::NoText {
            path: input.to_path_buf(),
            skipped: skipped.len(),
        });
    }
    Ok((texts, skipped))
}

fn refusal(path: &Path, why: Reason) -> CorpusError {
    let path = path.to_path_buf();
    match why {
        Reason::Empty => CorpusError::Empty(path),
        Reason::Binary => CorpusError::NotText {
            path,
            why: "it holds NUL bytes",
        },
        Reason::NotUtf8 => CorpusError::NotText {
            path,
            why: "it is not UTF-8",
        },
        _ => CorpusError::NotAFile(path),
    }
}

/// Reads a file to its end, or to its first NUL byte.
fn look_inside(path: &Path) -> io::Result<Finding> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BLOCK];
    let (mut len, mut foreign) = (0u64, 0u64);
    // Bytes at the start of the buffer that belong to a character the last block cut in two.
    let mut carried = 0;
    loop {
        let read = fill(&mut file, buffer.get_mut(carried..).unwrap_or_default())?;
        let end = carried + read;
        let fresh = buffer.get(carried..end).unwrap_or_default();
        if fresh.contains(&0) {
            return Ok(Finding::Other(Reason::Binary));
        }
        hasher.update(fresh);
        len += read as u64;
        let last = end < buffer.len();
        let (bad, rest) = foreign_bytes(buffer.get(..end).unwrap_or_default());
        if last {
            foreign += bad + rest as u64;
            break;
        }
        foreign += bad;
        buffer.copy_within(end - rest..end, 0);
        carried = rest;
    }
    Ok(match len {
        0 => Finding::Other(Reason::Empty),
        _ if foreign > len / FOREIGN_SHARE => Finding::Other(Reason::NotUtf8),
        _ => Finding::Text {
            len,
            hash: Hash(*hasher.finalize().as_bytes()),
        },
    })
}

/// How many bytes are not UTF-8, and how many at the end may be the start of a character.
fn foreign_bytes(mut bytes: &[u8]) -> (u64, usize) {
    let mut foreign = 0;
    loop {
        let Err(error) = std::str::from_utf8(bytes) else {
            return (foreign, 0);
        };
        let rest = bytes.get(error.valid_up_to()..).unwrap_or_default();
        let Some(len) = error.error_len() else {
            return (foreign, rest.len());
        };
        foreign += len as u64;
        bytes = rest.get(len..).unwrap_or_default();
    }
}

/// Reads until `buffer` is full or the file ends; bytes read.
pub(crate) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read(space) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn finding(content: &[u8]) -> Finding {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        look_inside(file.path()).unwrap()
    }

    #[test]
    fn characters_cut_by_a_block_are_still_text() {
        for shift in 0..4 {
            let text = "a".repeat(shift) + &"🦀".repeat(BLOCK / 2);
            let expected = Finding::Text {
                len: text.len() as u64,
                hash: Hash::of(text.as_bytes()),
            };
            assert_eq!(finding(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_file_of_exactly_one_block_is_read_whole() {
        let text = vec![b'x'; BLOCK];
        let expected = Finding::Text {
            len: BLOCK as u64,
            hash: Hash::of(&text),
        };
        assert_eq!(finding(&text), expected);
    }

    #[test]
    fn a_nul_byte_anywhere_means_binary() {
        let mut bytes = vec![b'x'; BLOCK + 100];
        bytes[BLOCK + 50] = 0;
        assert_eq!(finding(&bytes), Finding::Other(Reason::Binary));
    }

    #[test]
    fn one_foreign_byte_in_a_hundred_is_tolerated_and_no_more() {
        let mut bytes = vec![b'x'; 1000];
        bytes[..10].fill(0xE9);
        assert!(matches!(finding(&bytes), Finding::Text { len: 1000, .. }));
        bytes[10] = 0xE9;
        assert_eq!(finding(&bytes), Finding::Other(Reason::NotUtf8));
    }

    #[test]
    fn a_character_cut_off_at_the_end_counts_as_foreign() {
        let mut bytes = vec![b'x'; 50];
        bytes.extend([0xF0, 0x9F]);
        assert_eq!(finding(&bytes), Finding::Other(Reason::NotUtf8));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_bytes_are_text_exactly_by_the_rule(
            text in "[a-z é🦀\u{0}]{0,300}",
            odd in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = text.into_bytes();
            for (place, byte) in odd {
                let at = place.index(bytes.len() + 1);
                bytes.insert(at, byte);
            }
            let foreign: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
            let expected = if bytes.contains(&0) {
                Finding::Other(Reason::Binary)
            } else if bytes.is_empty() {
                Finding::Other(Reason::Empty)
            } else if foreign > bytes.len() / 100 {
                Finding::Other(Reason::NotUtf8)
            } else {
                Finding::Text {
                    len: bytes.len() as u64,
                    hash: Hash::of(&bytes),
                }
            };
            prop_assert_eq!(finding(&bytes), expected);
        }
    }
}
