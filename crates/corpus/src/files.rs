//! Finds the files of an input, in an order that depends on their names only.
//!
//! Hidden files and folders are left out, links are followed, and what cannot hold text is named
//! in [`Skipped`]. A file that exists but cannot be opened is an error, never skipped: a corpus
//! that silently lacks a part would train a different model than the one asked for.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use crate::CorpusError;

/// A file that is not part of the corpus, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    pub why: Reason,
}

/// Why a file of a folder is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Empty,
    /// Holds NUL bytes.
    Binary,
    /// More than a few bytes are not UTF-8.
    NotUtf8,
    /// Byte for byte the same as an earlier file.
    Repeat,
    /// A link to nothing.
    BrokenLink,
    /// A link to one of the folders it lies in.
    LinkLoop,
    /// A socket, pipe or device.
    NotAFile,
}

impl Reason {
    /// In words; the end of "skipped because it ...".
    pub fn words(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Binary => "holds NUL bytes, so it is not text",
            Self::NotUtf8 => "is not UTF-8",
            Self::Repeat => "repeats another file byte for byte",
            Self::BrokenLink => "is a link to nothing",
            Self::LinkLoop => "is a link to a folder it lies in",
            Self::NotAFile => "is not a regular file",
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.why.words())
    }
}

/// The files of an input, before anybody has looked inside them.
#[derive(Debug, Default)]
pub struct Listing {
    pub files: Vec<PathBuf>,
    pub skipped: Vec<Skipped>,
    /// Whether the input is one file: then a file that is not text is refused, not skipped.
    pub single: bool,
}

/// Lists `input`. `exclude` (the output folder) is not entered, so that making a corpus inside the
/// folder it is made from does not feed on itself.
///
/// # Errors
/// When `input` does not exist or is neither file nor folder, or when a part cannot be listed.
pub fn list(input: &Path, exclude: &Path) -> Result<Listing, CorpusError> {
    let metadata = input.metadata().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CorpusError::NotFound(input.to_path_buf()),
        _ => CorpusError::unreadable(input, error),
    })?;
    if metadata.is_file() {
        return Ok(Listing {
            files: vec![input.to_path_buf()],
            skipped: Vec::new(),
            single: true,
        });
    }
    if !metadata.is_dir() {
        return Err(CorpusError::NotAFile(input.to_path_buf()));
    }
    let exclude = exclude.canonicalize().ok();
    let wanted = |entry: &DirEntry| {
        entry.depth() == 0
            || !(is_hidden(entry)
                || exclude.is_some() && entry.path().canonicalize().ok() == exclude)
    };
    let mut listing = Listing::default();
    for entry in WalkDir::new(input)
        .follow_links(true)
        .into_iter()
        .filter_entry(wanted)
    {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if entry.file_type().is_file() => listing.files.push(entry.into_path()),
            Ok(entry) => listing.skip(entry.into_path(), Reason::NotAFile),
            Err(error) => listing.note_failure(input, error)?,
        }
    }
    // By components, not by the text of the path: "a/b" sorts before "a.txt" on every system.
    listing.files.sort_by(|a, b| a.iter().cmp(b.iter()));
    listing.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

impl Listing {
    fn skip(&mut self, path: PathBuf, why: Reason) {
        self.skipped.push(Skipped { path, why });
    }

    fn note_failure(&mut self, input: &Path, error: walkdir::Error) -> Result<(), CorpusError> {
        let path = error.path().unwrap_or(input).to_path_buf();
        if error.loop_ancestor().is_some() {
            self.skip(path, Reason::LinkLoop);
            return Ok(());
        }
        // Following a link to nothing fails, looking at the link itself does not. Links that only
        // lead to each other fail the same way.
        let is_link = path.symlink_metadata().is_ok_and(|m| m.is_symlink());
        let leads_nowhere = |error: io::Error| error.kind() != io::ErrorKind::PermissionDenied;
        if is_link && path.metadata().is_err_and(leads_nowhere) {
            self.skip(path, Reason::BrokenLink);
            return Ok(());
        }
        let source = error
            .into_io_error()
            .unwrap_or_else(|| io::Error::other("it could not be listed"));
        Err(CorpusError::Unreadable { path, source })
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}
