//! A redb database that is closed at the first failed read or write and opened anew at the next call.
//!
//! After such a failure redb refuses everything until it is opened again, and a disk that was full for a
//! while must not need a restart. What a reader would get wrong: a write that failed may have reached the
//! disk all the same; whoever keeps state beside the database has to look. And redb stops with a panic at
//! some of what a disk can do to its pages; here that is an error like the others.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{PoisonError, RwLock},
};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::StorageError;
use crate::data_dir::sync_folder;

/// Opens the database again after a failure.
pub type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// Opens the file at `path`, created if it is not there.
#[must_use]
pub fn file_opener(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move || {
        if !path.exists() {
            create(&path)?;
        }
        Ok(Database::create(&path)?)
    })
}

/// A new database comes to its place whole. redb writes its first pages in several steps, and cannot open what
/// a crash left between them.
fn create(path: &Path) -> Result<(), redb::Error> {
    let staged = path.with_extension("redb.new");
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Closing it finishes and syncs its pages.
    drop(Database::create(&staged)?);
    fs::rename(&staged, path)?;
    Ok(sync_folder(path)?)
}

/// A database that survives its failures.
pub struct Reopening {
    opener: Opener,
    /// Absent after a failure.
    database: RwLock<Option<Database>>,
}

impl Reopening {
    /// Opened at the first call.
    #[must_use]
    pub fn new(opener: Opener) -> Self {
        Self {
            opener,
            database: RwLock::new(None),
        }
    }

    /// The file at `path`, created if it is not there.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::new(file_opener(path))
    }

    /// One transaction: all of `change` or nothing, durable when this returns.
    ///
    /// # Errors
    /// Those of the database and of `change`.
    pub fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        self.with_database(|database| {
            let transaction = database.begin_write()?;
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// Looks at one consistent state.
    ///
    /// # Errors
    /// Those of the database and of `look`.
    pub fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        self.with_database(|database| look(&database.begin_read()?))
    }

    fn with_database<T>(
        &self,
        call: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        let mut database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            drop(database);
            let mut absent = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if absent.is_none() {
                *absent = Some(guarded(&*self.opener)?.map_err(StorageError::journal)?);
            }
            drop(absent);
            database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(open) = &*database else {
            return Err(StorageError::Task("the journal is being opened".into()));
        };
        let result = guarded(|| call(open));
        drop(database);
        if let Err(_) | Ok(Err(redb::Error::Io(_) | redb::Error::PreviousIo)) = &result {
            let mut failed = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let closed = failed.take();
            // Closing writes, so it can meet the same page again; what is wrong is known already.
            let _ = guarded(|| drop(closed));
        }
        result?.map_err(StorageError::journal)
    }
}

impl Drop for Reopening {
    /// Closing writes as well. Whatever it meets was committed before and is looked at by the next start.
    fn drop(&mut self) {
        let database = self.database.get_mut();
        let open = database.unwrap_or_else(PoisonError::into_inner).take();
        if let Err(error) = guarded(|| drop(open)) {
            tracing::error!(%error, "a database was not closed in order");
        }
    }
}

/// What redb says, unless it panics. Nothing of ours is left half done by that: the database is closed, and
/// what was not committed is not there when it is opened again.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| StorageError::Unreadable("pages"))
}
