//! A disk that fails when it is told to.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use covey_coordinator::storage::reopening::Opener;
use redb::{Database, StorageBackend};

/// A disk in memory that can be made to fail.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
}

impl Disk {
    /// Opens this disk as a database, as often as needed.
    pub fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move || Ok(Database::builder().create_with_backend(disk.clone())?))
    }

    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
        }
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(act(&mut bytes))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.with(|bytes| bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        self.with(|bytes| out.copy_from_slice(&bytes[start..start + out.len()]))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|bytes| bytes.resize(len as usize, 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|_| ())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.with(|bytes| bytes[start..start + data.len()].copy_from_slice(data))
    }
}
