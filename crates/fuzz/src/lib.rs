//! Fuzz targets: one function for every decoder of other people's bytes, and for the journal.
//!
//! 1. A [`Target`] takes any bytes. It may find them wrong, by a typed error; it may not panic, allocate
//!    by a length it was told, or give out something that does not encode to what it was read from.
//! 2. `cargo run -p covey-fuzz --bin seeds` writes `seeds/`: for each target a few inputs made by the
//!    real encoders, where the search begins.
//! 3. `cargo xtask test --long` builds the driver with coverage counters (libFuzzer, on the stable
//!    compiler) and runs every target; what it learns is kept in the cache folder.
//! 4. An input that a target ever failed on lies in `findings/` for good. The tests run both folders
//!    through their targets, without any fuzzer.
//!
//! What a reader would get wrong: a random byte string never passes a signature or a hash. So most
//! targets do two things with their input: they decode it as it is, and they make what is hard to guess
//! right (sign, hash, chain) to reach the code behind. Crates that need burn are not linked here, or it
//! would be compiled once more with counters: decoders in them have property tests of their own.
//! `docs/fuzzing.md` names every decoder and what covers it.

mod blobs;
mod compression;
mod journal;
mod keys;
mod ledger;
mod protocol;
mod scoring;
mod signed;
mod wallet;
mod world;

/// A decoder under test.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Panics on a bug, and on nothing else.
    pub run: fn(&[u8]),
    /// Valid inputs, always the same.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Target {
            name: stringify!($name),
            run: $module::$name::run,
            seeds: $module::$name::seeds,
        }),*]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets![
    protocol::packet,
    protocol::update,
    protocol::client_frame,
    protocol::server_frame,
    protocol::run_spec,
    protocol::answers,
    blobs::checkpoint,
    blobs::manifest,
    blobs::shard,
    blobs::vocabulary,
    signed::statement,
    signed::sheet,
    signed::handovers,
    compression::payload,
    scoring::book,
    keys::signature,
    ledger::names,
    ledger::canonical,
    ledger::session,
    ledger::genesis,
    ledger::action,
    ledger::extrinsic,
    journal::line,
    journal::entry,
    journal::journal,
    wallet::snapshot,
    wallet::page,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
