//! Immutable bytes named by their hash: checkpoints, merged updates, corpus shards.
//!
//! The local engine is `object_store`'s file system with its `fsync` switched on, which is off by
//! default: it writes beside the final name, syncs the file, renames, and syncs the folder, so that a
//! name never stands for half a blob and a written blob survives the loss of power. Any other store of
//! `object_store` fits behind the same trait.
//!
//! Names are hashes, so whoever reads can check; a write of a blob that exists replaces it with the
//! same bytes, which also heals a damaged one. What was altered on disk is not given out: a file is read
//! and compared with its name before it is first served, and again when its size or time has changed.

use std::{
    collections::HashMap,
    fs,
    ops::Range,
    path::Path as FilePath,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use covey_protocol::Hash;
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem,
    path::Path,
};

use super::StorageError;

/// A blob, or a part of one, on its way out.
pub struct Stream {
    /// Length of the whole blob in bytes.
    pub len: u64,
    /// The part that `bytes` gives.
    pub range: Range<u64>,
    pub bytes: BoxStream<'static, Result<Bytes, StorageError>>,
}

/// Named bytes that can be read.
#[async_trait]
pub trait BlobSource: Send + Sync + 'static {
    /// Length of a blob in bytes; `None` if there is none of that name.
    async fn len(&self, name: &Hash) -> Result<Option<u64>, StorageError>;

    /// A blob, or a part of it, which must lie inside.
    async fn stream(
        &self,
        name: &Hash,
        range: Option<Range<u64>>,
    ) -> Result<Option<Stream>, StorageError>;

    /// As [`len`](Self::len), but only of a blob that matches its name.
    ///
    /// # Errors
    /// [`StorageError::Altered`] when it does not, and those of the store.
    async fn checked_len(&self, name: &Hash) -> Result<Option<u64>, StorageError>;

    /// The whole blob, if it is there and matches its name.
    async fn get(&self, name: &Hash) -> Result<Option<Bytes>, StorageError> {
        let Some(mut stream) = self.stream(name, None).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(stream.len).unwrap_or_default());
        while let Some(part) = stream.bytes.next().await {
            bytes.extend_from_slice(&part?);
        }
        Ok((Hash::of(&bytes) == *name).then(|| Bytes::from(bytes)))
    }
}

/// Named bytes that can be added and deleted, but never changed.
#[async_trait]
pub trait Blobs: BlobSource {
    /// Keeps bytes and returns their name once they are durable.
    async fn put(&self, bytes: Bytes) -> Result<Hash, StorageError>;

    /// Deletes a blob; deleting one that does not exist is not an error.
    async fn delete(&self, name: &Hash) -> Result<(), StorageError>;
}

/// Blobs in one folder.
pub struct LocalBlobs {
    store: LocalFileSystem,
    /// What files looked like when they matched their names.
    checked: Mutex<HashMap<Hash, Look>>,
}

/// What changes when a file is written: its bytes and its time.
type Look = (u64, i64);

impl LocalBlobs {
    /// Reads a folder that another program wrote, such as a corpus.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read_only(folder: &FilePath) -> Result<impl BlobSource + use<>, StorageError> {
        Ok(Self::of(LocalFileSystem::new_with_prefix(folder)?))
    }

    /// Uses a folder that exists, and removes what a crash left half-written in it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(folder: &FilePath) -> Result<Self, StorageError> {
        remove_staged(folder);
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self::of(store))
    }

    fn of(store: LocalFileSystem) -> Self {
        Self {
            store,
            checked: Mutex::default(),
        }
    }

    async fn look(&self, name: &Hash) -> Result<Option<Look>, StorageError> {
        let head = self.store.head(&path_of(name)).await;
        Ok(missing_is_none(head)?.map(|meta| (meta.size, meta.last_modified.timestamp_micros())))
    }

    fn checked(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Look>> {
        // Nothing panics while it is held.
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `object_store` stages a write under the final name followed by `#` and a number.
fn remove_staged(folder: &FilePath) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().contains('#')
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "half-written blob stays");
        }
    }
}

fn missing_is_none<T>(result: object_store::Result<T>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl BlobSource for LocalBlobs {
    async fn len(&self, name: &Hash) -> Result<Option<u64>, StorageError> {
        Ok(self.look(name).await?.map(|(len, _)| len))
    }

    async fn checked_len(&self, name: &Hash) -> Result<Option<u64>, StorageError> {
        let Some(look) = self.look(name).await? else {
            return Ok(None);
        };
        if self.checked().get(name) == Some(&look) {
            return Ok(Some(look.0));
        }
        let Some(mut stream) = self.stream(name, None).await? else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        while let Some(part) = stream.bytes.next().await {
            hasher.update(&part?);
        }
        if Hash(hasher.finalize().into()) != *name {
            return Err(StorageError::Altered(*name));
        }
        self.checked().insert(*name, look);
        Ok(Some(look.0))
    }

    async fn stream(
        &self,
        name: &Hash,
        range: Option<Range<u64>>,
    ) -> Result<Option<Stream>, StorageError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = missing_is_none(self.store.get_opts(&path_of(name), options).await)?;
        Ok(found.map(|result| Stream {
            len: result.meta.size,
            range: result.range.clone(),
            bytes: result
                .into_stream()
                .map(|part| part.map_err(StorageError::from))
                .boxed(),
        }))
    }
}

#[async_trait]
impl Blobs for LocalBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Hash, StorageError> {
        let name = Hash::of(&bytes);
        let payload = PutPayload::from(bytes);
        self.store.put(&path_of(&name), payload).await?;
        Ok(name)
    }

    async fn delete(&self, name: &Hash) -> Result<(), StorageError> {
        self.checked().remove(name);
        missing_is_none(self.store.delete(&path_of(name)).await).map(|_| ())
    }
}

fn path_of(name: &Hash) -> Path {
    Path::from(name.to_string())
}
