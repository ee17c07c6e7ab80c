//! Where everything lies on disk.
//!
//! ```text
//! DATA_DIR/
//!   run.json          the run's description as canonical JSON; its BLAKE3 hash is the run's id
//!   coordinator.key   32 secret bytes, mode 600: signs records and receipts, keys the rounds' seeds
//!   journal.redb      packets of the open round, acceptances, records, checkpoints, held-out losses
//!   ledger.redb       the ledger's journal, what is looked up in it, its snapshots
//!   validations.redb  validators' signed sheets of scores
//!   witnesses.json    who recomputed the run, as far as they told
//!   handovers.json    how this coordinator took the run over, if it did
//!   mirror.json       what is followed, in a mirror's folder; no coordinator starts there
//!   witness.json      a mirror's newest signed statement
//!   admin.token       64 hex digits, mode 600: opens the operator's interface
//!   ledger.id         hash of the ledger's first entry: a ledger that was lost is never founded anew
//!   blobs/HASH        checkpoints, merged updates and the corpus manifest, named by their BLAKE3 hash
//! ```
//!
//! The folder can be copied while the coordinator is stopped; a copy of it is a complete backup. Blobs
//! never change, so they may be copied, mirrored or linked at any time. Corpus shards stay in the
//! corpus folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{CoordinatorError, secret::Access};

/// Paths inside a data directory that exists.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Creates the folders that are missing, and sees whether they can be written to: a folder that is
    /// read-only or full is best found before anything is done with it.
    ///
    /// # Errors
    /// When a folder cannot be created or written to.
    pub fn create(root: &Path) -> Result<Self, CoordinatorError> {
        let this = Self {
            root: root.to_owned(),
        };
        let probe = root.join("probe.new");
        fs::create_dir_all(this.blobs())
            .and_then(|()| fs::write(&probe, b"x"))
            .map_err(|source| CoordinatorError::NotWritable {
                path: root.to_owned(),
                source,
            })?;
        // Another coordinator may have tried at the same time; its lock comes later.
        let _ = fs::remove_file(probe);
        Ok(this)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run.json")
    }

    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.root.join("coordinator.key")
    }

    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.redb")
    }

    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger.redb")
    }

    #[must_use]
    pub fn validations(&self) -> PathBuf {
        self.root.join("validations.redb")
    }

    #[must_use]
    pub fn ledger_id(&self) -> PathBuf {
        self.root.join("ledger.id")
    }

    #[must_use]
    pub fn admin_token(&self) -> PathBuf {
        self.root.join("admin.token")
    }

    #[must_use]
    pub fn witnesses(&self) -> PathBuf {
        self.root.join("witnesses.json")
    }

    #[must_use]
    pub fn handovers(&self) -> PathBuf {
        self.root.join("handovers.json")
    }

    #[must_use]
    pub fn mirror(&self) -> PathBuf {
        self.root.join("mirror.json")
    }

    #[must_use]
    pub fn witness(&self) -> PathBuf {
        self.root.join("witness.json")
    }

    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }
}

/// Writes a small file so that after any crash it is either absent or whole: beside its place first,
/// then synced, then renamed.
///
/// # Errors
/// Those of the file system.
pub fn write_durably(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let staged = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(match access {
            Access::Everyone => 0o644,
            Access::OwnerOnly => 0o600,
        });
    }
    #[cfg(not(unix))]
    let _ = access;
    let mut file = options.open(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    sync_folder(path)
}

/// A rename is durable only once the folder is.
///
/// # Errors
/// Those of the file system.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Nothing to be done here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
