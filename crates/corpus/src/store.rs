//! Writes a corpus directory so that it is either whole or not there.
//!
//! Everything goes into `.NAME.partial` beside the output folder and is renamed into place at the
//! end. A lock file in it keeps two processes apart; the operating system drops the lock of a
//! process that died, so what such a process left behind is cleared by the next one. `source.json`
//! says what a corpus was made from: the same text and settings again are recognised without any
//! work.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use covey_protocol::{Hash, corpus::Manifest};
use serde::{Deserialize, Serialize};

use crate::{Corpus, CorpusError, Options, inspect::TextFile};

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const BLOBS: &str = "blobs";
const SOURCE: &str = "source.json";
const LOCK: &str = "lock";

/// Version of how corpora are made. Raised when the same text would give another corpus.
const MAKER: u32 = 1;

/// What a corpus was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Hash of the settings and of every file's content, in order.
    pub fingerprint: Hash,
    /// Hash of the manifest that came out.
    pub manifest: Hash,
    /// Files of text.
    pub files: usize,
    /// Bytes in them.
    pub bytes: u64,
}

/// Hash of all that decides what a corpus will be.
pub fn fingerprint(options: &Options, files: &[TextFile]) -> Hash {
    let mut text = format!(
        "covey corpus {MAKER}, vocabulary {}, held out {}\n",
        options.vocabulary, options.held_out
    );
    for file in files {
        text += &format!("{} {}\n", file.len, file.hash);
    }
    Hash::of(text.as_bytes())
}

/// The corpus at `out`, if it is whole and was made from exactly this.
pub fn existing(out: &Path, fingerprint: Hash) -> Option<(Corpus, Source)> {
    let source: Source = serde_json::from_slice(&fs::read(out.join(SOURCE)).ok()?).ok()?;
    let corpus = Corpus::open(out).ok()?;
    let same = source.fingerprint == fingerprint && source.manifest == corpus.hash();
    (same && corpus.is_complete()).then_some((corpus, source))
}

/// Fails when `out` holds something that is not a corpus.
pub fn check_replaceable(out: &Path) -> Result<(), CorpusError> {
    match fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) if out.join(MANIFEST).is_file() && out.join(BLOBS).is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(CorpusError::OutputInUse(out.to_path_buf())),
    }
}

/// A corpus directory in the making. Dropping it removes it.
#[derive(Debug)]
pub struct Partial {
    folder: PathBuf,
    out: PathBuf,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl Partial {
    /// Starts a corpus that will be put at `out`.
    ///
    /// # Errors
    /// When `out` is something else, when another process is at it, or when the disk refuses.
    pub fn create(out: &Path) -> Result<Self, CorpusError> {
        check_replaceable(out)?;
        let absolute = std::path::absolute(out).map_err(|error| CorpusError::write(out, error))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(CorpusError::OutputInUse(out.to_path_buf()));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        let folder = parent.join(hidden);
        fs::create_dir_all(&folder).map_err(|error| CorpusError::write(&folder, error))?;
        let lock = folder.join(LOCK);
        let file = File::create(&lock).map_err(|error| CorpusError::write(&lock, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CorpusError::Busy(out.to_path_buf())),
            Err(TryLockError::Error(error)) => return Err(CorpusError::write(&lock, error)),
        }
        let partial = Self {
            folder,
            out: absolute,
            _lock: file,
        };
        let blobs = partial.blobs();
        let fresh = match fs::remove_dir_all(&blobs) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(&blobs),
        };
        fresh.map_err(|error| CorpusError::write(&blobs, error))?;
        Ok(partial)
    }

    /// Where the blobs are for now.
    pub fn blobs(&self) -> PathBuf {
        self.folder.join(BLOBS)
    }

    /// Writes one blob. Equal blobs are one file.
    pub fn blob(&self, hash: Hash, bytes: &[u8]) -> Result<(), CorpusError> {
        write(&self.blobs().join(hash.to_string()), bytes)
    }

    /// Puts the finished corpus in place of whatever corpus was there.
    pub fn publish(self, manifest: &Manifest, source: &Source) -> Result<(), CorpusError> {
        write(&self.folder.join(MANIFEST), &manifest.to_json())?;
        let mut stamp = serde_json::to_vec_pretty(source)
            .map_err(|error| CorpusError::write(&self.out, error.into()))?;
        stamp.push(b'\n');
        write(&self.folder.join(SOURCE), &stamp)?;
        check_replaceable(&self.out)?;
        let failed = |error| CorpusError::write(&self.out, error);
        if !self.out.exists() {
            fs::remove_file(self.folder.join(LOCK)).map_err(failed)?;
            return fs::rename(&self.folder, &self.out).map_err(failed);
        }
        // Both folders are renamed, never emptied: a reader finds the old corpus or the new one.
        let old = self.folder.with_extension("old");
        if old.exists() {
            fs::remove_dir_all(&old).map_err(failed)?;
        }
        fs::rename(&self.out, &old).map_err(failed)?;
        fs::remove_file(self.folder.join(LOCK)).map_err(failed)?;
        fs::rename(&self.folder, &self.out).map_err(failed)?;
        fs::remove_dir_all(&old).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After publishing nothing is there any more; a failure to tidy up is mended by the next
        // run, which clears the folder before it begins.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CorpusError> {
    fs::write(path, bytes).map_err(|error| CorpusError::write(path, error))
}
