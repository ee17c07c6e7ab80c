//! `handovers.json`: how the coordinator of a data directory came to coordinate its run. Absent for a
//! run's first coordinator.

use std::{fs, io, path::Path};

use covey_protocol::{
    Hash, VolunteerId,
    handover::{self, SignedHandover},
};

use crate::{CoordinatorError, data_dir::write_durably, secret::Access};

/// Reads the file and checks that it leads to this coordinator.
///
/// # Errors
/// When it cannot be read or says something else.
pub fn load(
    path: &Path,
    run: &Hash,
    coordinator: &VolunteerId,
) -> Result<Vec<SignedHandover>, CoordinatorError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CoordinatorError::file(path)(error)),
    };
    let handovers: Vec<SignedHandover> = serde_json::from_slice(&bytes).map_err(|error| {
        CoordinatorError::file(path)(io::Error::new(io::ErrorKind::InvalidData, error))
    })?;
    handover::check(run, &handovers, coordinator).map_err(|source| CoordinatorError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    Ok(handovers)
}

/// Writes the file durably.
///
/// # Errors
/// When the disk fails.
pub fn write(path: &Path, handovers: &[SignedHandover]) -> Result<(), CoordinatorError> {
    let json = serde_json::to_vec_pretty(handovers).unwrap_or_default();
    write_durably(path, &json, Access::Everyone).map_err(CoordinatorError::file(path))
}
