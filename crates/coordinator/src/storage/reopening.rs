//! A redb database that is closed at the first failed read or write and opened anew at the next call.
//!
//! After such a failure redb refuses everything until it is opened again, and a disk that was full for a
//! while must not need a restart. What a reader would get wrong: a write that failed may have reached the
//! disk all the same; whoever keeps state beside the database has to look.

use std::{
    path::Path,
    sync::{PoisonError, RwLock},
};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::StorageError;

/// Opens the database again after a failure.
pub type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

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
        let path = path.to_owned();
        Self::new(Box::new(move || Ok(Database::create(&path)?)))
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
        // A lock is poisoned by a panic inside redb, whose own checks then decide.
        let mut database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            drop(database);
            let mut absent = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if absent.is_none() {
                *absent = Some((self.opener)().map_err(StorageError::journal)?);
            }
            drop(absent);
            database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        let Some(open) = &*database else {
            return Err(StorageError::Task("the journal is being opened".into()));
        };
        let result = call(open);
        drop(database);
        if let Err(redb::Error::Io(_) | redb::Error::PreviousIo) = &result {
            *self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
        result.map_err(StorageError::journal)
    }
}
