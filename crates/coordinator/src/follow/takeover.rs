//! A mirror becomes the run's coordinator.
//!
//! The folder is a data directory already; what is missing is the signed [`Handover`] and that the note of
//! what is followed goes away. What a reader would get wrong: only what this mirror recomputed is there to
//! go on from, so a coordinator that turned is left behind at the last agreed round, whatever it signed
//! after that.
//!
//! The handover is written before the note is taken away, so that this can be done again after a crash.

use std::{fs, path::Path};

use covey_protocol::{Round, handover::Handover, witness::Equivocation};

use super::folder::{Source, read_json};
use crate::{
    CoordinatorError,
    clock::Clock,
    data_dir::DataDir,
    handovers,
    ledger::store::{Batch, Store},
    secret::Secrets,
    storage::{Journal, RedbJournal},
};

/// Makes a mirror's folder a coordinator's; gives the handover.
///
/// # Errors
/// When it holds no mirror, a follower is running in it, or the disk fails.
pub fn prepare(data: &DataDir) -> Result<Handover, CoordinatorError> {
    let no_mirror = || CoordinatorError::NoMirror(data.root().to_owned());
    let source: Source = read_json(&data.mirror())?.ok_or_else(no_mirror)?;
    // Its lock keeps a follower out.
    let journal = RedbJournal::open(&data.journal())?;
    let last = journal.last_record()?.map(|signed| signed.record);
    let identity = Secrets::load_or_create(&data.key())?.identity;
    let handover = Handover {
        run: source.run,
        from_round: last.as_ref().map_or(Round(0), |record| record.round.next()),
        last_record: last.map(|record| record.hash()),
        old: source.coordinator,
        new: identity.id(),
    };
    let store = Store::open(&data.ledger())?;
    if store.meta()?.entries == 0 {
        return Err(no_mirror());
    }
    // What was done before was paid for by the old coordinator, or by nobody.
    store.append(&Batch {
        weighed_ms: Some(Clock::start().now_ms()),
        ..Batch::default()
    })?;
    let mut all = source.handovers;
    all.push(handover.sign(&identity));
    covey_protocol::handover::check(&source.run, &all, &identity.id())
        .map_err(|error| CoordinatorError::Config(error.to_string()))?;
    handovers::write(&data.handovers(), &all)?;
    let path = data.mirror();
    fs::rename(&path, path.with_extension("json.taken-over"))
        .map_err(CoordinatorError::file(path))?;
    Ok(handover)
}

/// Says whether a file proves that a coordinator signed two records for one round.
///
/// # Errors
/// When it cannot be read or proves nothing.
pub fn check_proof(file: &Path) -> Result<(), CoordinatorError> {
    let path = file.to_owned();
    let missing = || CoordinatorError::Config(format!("there is no file {}", path.display()));
    let proof: Equivocation = read_json(&path)?.ok_or_else(missing)?;
    proof
        .verify()
        .map_err(|error| CoordinatorError::Config(error.to_string()))?;
    let record = &proof.first.record;
    println!(
        "{} signed two records for round {} of run {}",
        proof.coordinator, record.round, record.run
    );
    Ok(())
}
