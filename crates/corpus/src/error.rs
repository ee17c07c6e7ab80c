//! Everything that can stop a corpus from being made or read. Each message ends with what to do.

use std::{io, path::PathBuf};

use covey_protocol::ProtocolError;
use thiserror::Error;

/// Why a corpus could not be made or read. Nothing is left behind in the output folder.
#[derive(Debug, Error)]
pub enum CorpusError {
    #[error("{} does not exist; give the path of a text file or of a folder of text files", .0.display())]
    NotFound(PathBuf),
    #[error("{} is not a regular file or folder; copy its content into a file first", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is empty; give a file that holds text", .0.display())]
    Empty(PathBuf),
    #[error("{} is not text: {why}; give plain text in UTF-8", path.display())]
    NotText { path: PathBuf, why: &'static str },
    #[error("{} holds no text file ({skipped} files were skipped); put plain UTF-8 text in it", path.display())]
    NoText { path: PathBuf, skipped: usize },
    #[error("{} cannot be read: {source}; make it readable or move it out of the input", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} changed while it was being read; run again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    #[error(
        "the input holds {actual} bytes of text, and a corpus needs at least {needed}; add text"
    )]
    TooSmall { actual: u64, needed: u64 },
    #[error(
        "only {actual} tokens would be {part}, and at least {needed} are needed; add text, hold \
         out a larger share, or choose a smaller vocabulary"
    )]
    TooFewTokens {
        part: &'static str,
        actual: u64,
        needed: u64,
    },
    #[error("the text needs more than {limit} shards; split it into several corpora")]
    TooManyShards { limit: usize },
    #[error("\"{0}\" is not a vocabulary: give \"bytes\", or a multiple of 64 from 320 to 65536")]
    Vocabulary(String),
    #[error("\"{0}\" is not a share to hold out: give a percentage from 0.1% to 50%")]
    HeldOut(String),
    #[error(
        "{} exists and is not a corpus, so it will not be replaced; name another output folder \
         or remove it",
        .0.display()
    )]
    OutputInUse(PathBuf),
    #[error("another process is writing {}; wait for it or name another output folder", .0.display())]
    Busy(PathBuf),
    #[error("{} cannot be written: {source}; check the folder's permissions and the free space", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the tokeniser failed: {0}")]
    Tokenizer(String),
    #[error("{} is not a corpus: {source}; make it again with covey-corpus", path.display())]
    NotACorpus { path: PathBuf, source: io::Error },
    #[error("{} is missing; make the corpus again with covey-corpus", .0.display())]
    Missing(PathBuf),
    #[error("{} is damaged: {source}; make the corpus again with covey-corpus", path.display())]
    Damaged {
        path: PathBuf,
        source: ProtocolError,
    },
}

impl CorpusError {
    pub(crate) fn unreadable(path: &std::path::Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn write(path: &std::path::Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }
}
