//! Reads a stretch of a file in chunks that a tokeniser can take one at a time, in any order.
//!
//! Where a chunk ends decides which tokens the text becomes, so it may depend on nothing but the
//! text. It ends at a *seam*: before white space that follows something else. No byte-pair token
//! reaches across a seam, so the tokens are the same as if the text had been tokenised whole. Text
//! without any white space is cut between characters.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{CorpusError, inspect::fill};

/// Longest chunk in bytes: one core's work. Longer ones repeat more words, which are tokenised once
/// per chunk; a chunk without seams takes some fifty times its size in memory.
pub const CHUNK: usize = 1 << 20;
/// How far back from the wanted place a split looks for a line's start.
const SEARCH: u64 = 1024;

/// The chunks of one stretch, in order.
pub struct Chunks {
    path: PathBuf,
    file: io::Take<File>,
    /// Bytes read but not yet given out.
    pending: Vec<u8>,
}

impl Chunks {
    /// Opens the stretch `bytes` of the file at `path`.
    pub fn open(path: &Path, bytes: &Range<u64>) -> Result<Self, CorpusError> {
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(bytes.start))?;
            Ok(file.take(bytes.end.saturating_sub(bytes.start)))
        };
        Ok(Self {
            path: path.to_path_buf(),
            file: open().map_err(|error| CorpusError::unreadable(path, error))?,
            pending: Vec::new(),
        })
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, CorpusError> {
        let mut buffer = std::mem::take(&mut self.pending);
        let kept = buffer.len();
        buffer.resize(CHUNK, 0);
        let read = fill(&mut self.file, buffer.get_mut(kept..).unwrap_or_default())
            .map_err(|error| CorpusError::unreadable(&self.path, error))?;
        buffer.truncate(kept + read);
        if buffer.len() < CHUNK {
            // The stretch was measured when the file was inspected; a shorter one now means that
            // somebody has written to it since.
            if self.file.limit() > 0 {
                return Err(CorpusError::Changed(self.path.clone()));
            }
        } else if self.file.limit() > 0 {
            self.pending = buffer.split_off(cut_within(&buffer));
        }
        Ok(Some(buffer).filter(|buffer| !buffer.is_empty()))
    }
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Where to end a chunk inside `bytes`: in the latter half where that is possible, and always above
/// 0.
fn cut_within(bytes: &[u8]) -> usize {
    let half = bytes.len() / 2;
    (half.max(1)..bytes.len())
        .rev()
        .find(|&at| is_seam(bytes, at))
        .unwrap_or_else(|| character_start(bytes, bytes.len().saturating_sub(1)).max(1))
}

/// Whether ASCII white space starts at `at` and no white space, of any script, ends there.
fn is_seam(bytes: &[u8], at: usize) -> bool {
    let (before, after) = bytes.split_at_checked(at).unwrap_or_default();
    if !after.first().is_some_and(u8::is_ascii_whitespace) {
        return false;
    }
    let last = before.get(character_start(before, at.saturating_sub(1))..);
    match last.map(std::str::from_utf8) {
        Some(Ok(text)) => !text.is_empty() && !text.ends_with(char::is_whitespace),
        _ => true,
    }
}

/// Cuts text at every seam; the parts join to the text.
pub fn between_seams(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let spaces = rest.len() - rest.trim_start().len();
        let word = rest.get(spaces..)?.find(char::is_whitespace);
        let (part, tail) = rest.split_at_checked(word.map_or(rest.len(), |len| spaces + len))?;
        rest = tail;
        Some(part).filter(|part| !part.is_empty())
    })
}

/// The last place at or before `at` where a UTF-8 character starts; `at` itself where there is none
/// within four bytes, for then the bytes are not UTF-8.
fn character_start(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|&place| bytes.get(place).is_some_and(|byte| byte & 0xC0 != 0x80))
        .unwrap_or(at)
}

/// A good place to split the file at `path`, at or shortly before `wanted`: a line's start, else a
/// word's, else a character's.
pub fn place_to_split(path: &Path, wanted: u64) -> Result<u64, CorpusError> {
    let from = wanted.saturating_sub(SEARCH);
    let window = (|| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut window = Vec::new();
        file.take(wanted - from + 1).read_to_end(&mut window)?;
        Ok(window)
    })()
    .map_err(|error| CorpusError::unreadable(path, error))?;
    let after = |separator: fn(&u8) -> bool| {
        let searched = window.get(..window.len().saturating_sub(1))?;
        Some(searched.iter().rposition(separator)? + 1)
    };
    let place = after(|byte| *byte == b'\n')
        .or_else(|| after(u8::is_ascii_whitespace))
        .unwrap_or_else(|| character_start(&window, window.len().saturating_sub(1)));
    Ok(from + place as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn chunks(path: &Path, bytes: Range<u64>) -> Vec<Vec<u8>> {
        Chunks::open(path, &bytes)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    #[test]
    fn chunks_end_before_white_space() {
        let text = "word  word\n".repeat(CHUNK / 5);
        let file = file(text.as_bytes());
        let chunks = chunks(file.path(), 0..text.len() as u64);
        assert!(chunks.len() > 2);
        for chunk in &chunks[..chunks.len() - 1] {
            assert!(!chunk.last().unwrap().is_ascii_whitespace());
        }
        for chunk in &chunks[1..] {
            assert!(chunk[0].is_ascii_whitespace());
        }
    }

    #[test]
    fn a_line_without_spaces_is_cut_between_characters() {
        let text = "é🦀".repeat(CHUNK / 2);
        let file = file(text.as_bytes());
        for chunk in chunks(file.path(), 0..text.len() as u64) {
            assert!(String::from_utf8(chunk).is_ok());
        }
    }

    #[test]
    fn a_file_that_shrank_is_noticed() {
        let file = file(b"short");
        let result: Result<Vec<_>, _> = Chunks::open(file.path(), &(0..10)).unwrap().collect();
        assert!(matches!(result, Err(CorpusError::Changed(_))));
    }

    #[test]
    fn splits_prefer_lines_then_words_then_characters() {
        let at = |text: &str, wanted| place_to_split(file(text.as_bytes()).path(), wanted).unwrap();
        assert_eq!(at("one\ntwo three four", 12), 4);
        assert_eq!(at("one two three four", 12), 8);
        assert_eq!(at("éééé", 3), 2);
        assert_eq!(at("one\ntwo", 4), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_between_seams_join_to_the_text(text in "([a-cé\u{3000}\u{A0}]|\\s){0,40}") {
            let parts: Vec<&str> = between_seams(&text).collect();
            prop_assert_eq!(parts.concat(), text.clone());
            let mut at = 0;
            for part in parts.iter().take(parts.len().saturating_sub(1)) {
                at += part.len();
                let starts_ascii = text.as_bytes()[at].is_ascii_whitespace();
                prop_assert_eq!(is_seam(text.as_bytes(), at), starts_ascii);
            }
        }

        #[test]
        fn chunks_join_to_the_stretch(
            unit in prop::collection::vec(any::<u8>(), 1..40),
            chunks in 0.0f64..2.5,
            start in 0u64..100,
        ) {
            let content = unit.repeat(1 + (chunks * CHUNK as f64) as usize / unit.len());
            let len = content.len() as u64;
            let start = start.min(len);
            let file = file(&content);
            let joined = self::chunks(file.path(), start..len).concat();
            prop_assert_eq!(&joined[..], &content[start as usize..]);
        }
    }
}
