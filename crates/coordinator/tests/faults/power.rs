//! Power cut between any two writes of the journal's file: unlike after SIGKILL, writes that were not
//! synced may be missing, one by one, or be torn.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use covey_coordinator::storage::{Journal, RedbJournal};
use covey_protocol::{Hash, Identity, Round, VolunteerId, record::RoundRecord};
use covey_rounds::Acceptance;
use redb::{Database, StorageBackend};

/// Smallest piece that a disk writes whole.
const SECTOR: usize = 512;

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What is on the platter.
    synced: Vec<u8>,
    /// What a reader sees.
    now: Vec<u8>,
    unsynced: Vec<Change>,
    /// Changes until the power goes.
    left: Option<usize>,
}

/// A disk in memory that loses power.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(len) => bytes.resize(*len, 0),
            Self::Write(start, data) => bytes[*start..*start + data.len()].copy_from_slice(data),
        }
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("whole")
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state();
        match &mut state.left {
            Some(0) => return Err(io::Error::other("no power")),
            Some(left) => *left -= 1,
            None => {}
        }
        change.apply(&mut state.now);
        state.unsynced.push(change);
        Ok(())
    }

    /// Power is back; of what was not synced, `keep` decides sector by sector what arrived.
    fn power_on(&self, mut keep: impl FnMut() -> bool) {
        let mut state = self.state();
        let mut bytes = std::mem::take(&mut state.synced);
        for change in std::mem::take(&mut state.unsynced) {
            match change {
                Change::Length(len) if len >= bytes.len() || keep() => bytes.resize(len, 0),
                Change::Length(_) => {}
                Change::Write(start, data) => {
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        let start = start + number * SECTOR;
                        if keep() && start + sector.len() <= bytes.len() {
                            bytes[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        state.now.clone_from(&bytes);
        state.synced = bytes;
        state.left = None;
    }

    fn open(&self) -> Result<RedbJournal, covey_coordinator::storage::StorageError> {
        let disk = self.clone();
        RedbJournal::with_opener(Box::new(move || {
            Ok(Database::builder().create_with_backend(disk.clone())?)
        }))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.state().now[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.left == Some(0) {
            return Err(io::Error::other("no power"));
        }
        state.synced = state.now.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset as usize, data.to_vec()))
    }
}

fn acceptance(round: u64, volunteer: u8) -> Acceptance {
    Acceptance {
        round: Round(round),
        volunteer: VolunteerId([volunteer; 32]),
        packet: Hash::of(&[round as u8, volunteer]),
        inner_steps: 4,
        tokens: 128,
        received_at_ms: 1_000,
    }
}

/// Two rounds of three packets and their records; gives what was acknowledged before the power went.
fn life(journal: &RedbJournal) -> Vec<Acceptance> {
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        for volunteer in 1..=3 {
            let acceptance = acceptance(round, volunteer);
            if journal.accept(&acceptance, &[volunteer; 3000]).is_err() {
                return acknowledged;
            }
            acknowledged.push(acceptance);
        }
        let hash = Hash::of(b"x");
        let record = RoundRecord {
            run: hash,
            round: Round(round),
            previous: None,
            seed: hash,
            base: hash,
            theta_after: hash,
            update: Some(hash),
            update_len: 1,
            contributions: acknowledged.iter().map(Acceptance::contribution).collect(),
            excluded: Vec::new(),
        };
        let record = record.sign(&Identity::from_secret([1; 32]));
        if journal.record(&record, Some(b"the book")).is_err() {
            return acknowledged;
        }
    }
    acknowledged
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_acknowledged() {
    let whole = Disk::default();
    whole.state().left = Some(usize::MAX);
    assert_eq!(life(&whole.open().expect("opened")).len(), 6);
    let writes = usize::MAX - whole.state().left.expect("counted");
    assert!(writes > 50, "{writes}");
    let mut noise = 1_u64;
    for at in 0..writes {
        // Nothing, everything, and halves of what was not synced.
        for kind in 0..4 {
            let disk = Disk::default();
            disk.state().left = Some(at);
            let acknowledged = match disk.open() {
                Ok(journal) => life(&journal),
                Err(_) => Vec::new(),
            };
            disk.power_on(|| match kind {
                0 => false,
                1 => true,
                _ => {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    noise & 1 == 0
                }
            });
            let journal = match disk.open() {
                Ok(journal) => journal,
                // Before the file was ever whole, nothing was promised.
                Err(error) => {
                    assert!(acknowledged.is_empty(), "write {at}, kind {kind}: {error}");
                    continue;
                }
            };
            let kept = journal.acceptances(Round(0)).expect("read");
            for wanted in &acknowledged {
                assert!(kept.contains(wanted), "write {at}, kind {kind}: {wanted:?}");
            }
            assert!(
                kept.len() <= acknowledged.len() + 1,
                "write {at}, kind {kind}"
            );
            journal.probe().expect("it goes on");
        }
    }
}
