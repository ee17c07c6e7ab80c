//! Reads a corpus directory. Whatever is handed out was compared with its hash first.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use covey_protocol::{
    Hash, ProtocolError,
    corpus::{Manifest, Shard, Vocabulary, decode_shard},
};

use crate::{
    CorpusError,
    store::{BLOBS, MANIFEST},
};

/// A corpus directory with a valid manifest.
#[derive(Clone, Debug)]
pub struct Corpus {
    folder: PathBuf,
    manifest: Manifest,
    hash: Hash,
}

impl Corpus {
    /// Opens the corpus in `folder`. Only the manifest is read.
    ///
    /// # Errors
    /// When there is no manifest, or it is not valid.
    pub fn open(folder: &Path) -> Result<Self, CorpusError> {
        let path = folder.join(MANIFEST);
        let bytes = fs::read(path).map_err(|source| CorpusError::NotACorpus {
            path: folder.to_path_buf(),
            source,
        })?;
        let manifest = Manifest::from_json(&bytes).map_err(|error| damaged(folder, error))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            manifest,
            hash: Hash::of(&bytes),
        })
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hash of the manifest: the corpus's name.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Where a blob of this corpus lies.
    pub fn blob_path(&self, hash: Hash) -> PathBuf {
        self.folder.join(BLOBS).join(hash.to_string())
    }

    /// Reads a blob and compares it with its hash.
    pub fn blob(&self, hash: Hash) -> Result<Vec<u8>, CorpusError> {
        let path = self.blob_path(hash);
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CorpusError::Missing(path.clone()),
            _ => CorpusError::unreadable(&path, source),
        })?;
        if Hash::of(&bytes) != hash {
            return Err(damaged(
                &path,
                ProtocolError::HashMismatch { what: "a blob" },
            ));
        }
        Ok(bytes)
    }

    /// Tokens of a shard.
    pub fn shard(&self, shard: &Shard) -> Result<Vec<u16>, CorpusError> {
        let bytes = self.blob(shard.hash)?;
        decode_shard(shard, self.manifest.vocabulary_size, &bytes)
            .map_err(|error| damaged(&self.blob_path(shard.hash), error))
    }

    /// The bytes of every token.
    pub fn vocabulary(&self) -> Result<Vocabulary, CorpusError> {
        let hash = self.manifest.vocabulary;
        Vocabulary::from_blob(&self.blob(hash)?)
            .map_err(|error| damaged(&self.blob_path(hash), error))
    }

    /// Every blob the manifest names, each once per mention.
    pub fn blobs(&self) -> impl Iterator<Item = Hash> + '_ {
        let manifest = &self.manifest;
        let shards = manifest.train.iter().chain(&manifest.held_out);
        [manifest.vocabulary]
            .into_iter()
            .chain(manifest.tokenizer)
            .chain(shards.map(|shard| shard.hash))
    }

    /// Whether every blob is there and every shard has its length. Contents are not read.
    pub fn is_complete(&self) -> bool {
        let manifest = &self.manifest;
        let length = |hash| fs::metadata(self.blob_path(hash)).map(|m| m.len()).ok();
        self.blobs().all(|hash| length(hash).is_some())
            && manifest
                .train
                .iter()
                .chain(&manifest.held_out)
                .all(|shard| length(shard.hash) == Some(u64::from(shard.tokens) * 2))
    }
}

fn damaged(path: &Path, source: ProtocolError) -> CorpusError {
    CorpusError::Damaged {
        path: path.to_path_buf(),
        source,
    }
}
