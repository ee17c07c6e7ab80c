//! The coordinator's secrets: its signing key, and the key of the rounds' seeds derived from it.
//!
//! One file holds both, created at the first start from the operating system's entropy and readable by
//! its owner only. Losing it loses the run's identity: volunteers would refuse its records.

use std::{fs, io, path::Path};

use covey_protocol::Identity;

use crate::{CoordinatorError, data_dir::write_durably};

const SEED_DOMAIN: &str = "covey 2026-11 round seed key";

/// The coordinator's identity and what is derived from it.
pub struct Secrets {
    pub identity: Identity,
    /// Keys the rounds' seeds.
    pub seed_key: [u8; 32],
}

impl Secrets {
    fn of(secret: [u8; 32]) -> Self {
        Self {
            identity: Identity::from_secret(secret),
            seed_key: blake3::derive_key(SEED_DOMAIN, &secret),
        }
    }

    /// Reads the key file, or creates it.
    ///
    /// # Errors
    /// When the file cannot be read or written, or does not hold a key.
    pub fn load_or_create(path: &Path) -> Result<Self, CoordinatorError> {
        match fs::read(path) {
            Ok(bytes) => <[u8; 32]>::try_from(bytes)
                .map(Self::of)
                .map_err(|_| not_a_key(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = random()?;
                write_durably(path, &secret, Access::OwnerOnly)
                    .map_err(CoordinatorError::file(path))?;
                Ok(Self::of(secret))
            }
            Err(error) => Err(CoordinatorError::file(path)(error)),
        }
    }
}

fn not_a_key(path: &Path) -> CoordinatorError {
    let problem = io::Error::new(io::ErrorKind::InvalidData, "does not hold a 32-byte key");
    CoordinatorError::file(path)(problem)
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Everyone,
    OwnerOnly,
}

/// 32 bytes from the operating system.
///
/// # Errors
/// When it has none to give.
pub fn random() -> Result<[u8; 32], CoordinatorError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(CoordinatorError::Entropy)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_created_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("coordinator.key");
        let first = Secrets::load_or_create(&path).expect("created");
        let second = Secrets::load_or_create(&path).expect("read");
        assert_eq!(first.identity.id(), second.identity.id());
        assert_eq!(first.seed_key, second.seed_key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("coordinator.key");
        fs::write(&path, b"short").expect("written");
        assert!(Secrets::load_or_create(&path).is_err());
        assert_eq!(fs::read(&path).expect("still there"), b"short");
    }
}
