//! The embedded journal: one redb file. redb commits with a sync before it returns and recovers by
//! itself after a crash; its file lock keeps a second coordinator out.

use std::{collections::BTreeMap, path::Path, time::SystemTime};

use covey_protocol::{
    Hash, PartnerId, Round, SignatureBytes, VolunteerId,
    http::HeldOut,
    record::{Checkpoint, Commitment, RoundRecord, SignedRecord},
};
use covey_rounds::{Acceptance, Pledge};
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::{
    Journal, PartnerTotals, StorageError,
    reopening::{Opener, Reopening, file_opener},
};

type Id = [u8; 32];

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// (round, volunteer) to (order, packet, signature); only of the open round.
const COMMITMENTS: TableDefinition<(u64, Id), (u32, Id, [u8; 64])> =
    TableDefinition::new("commitments");
/// (round, volunteer) to sealed bytes; only of the open round.
const PACKETS: TableDefinition<(u64, Id), &[u8]> = TableDefinition::new("packets");
/// (round, volunteer) to (packet, inner steps, tokens, received at).
const ACCEPTANCES: TableDefinition<(u64, Id), (Id, u32, u32, u64)> =
    TableDefinition::new("acceptances");
/// (round, volunteer) to the partner its packet is credited to, if there is one.
const CREDITS: TableDefinition<(u64, Id), &str> = TableDefinition::new("credits");
/// Partner to (rounds, packets, tokens, volunteers, newest packet's time or 0), of what was merged.
const PARTNERS: TableDefinition<&str, (u64, u64, u64, u64, u64)> = TableDefinition::new("partners");
/// (partner, volunteer) for everyone counted there.
const PARTNER_VOLUNTEERS: TableDefinition<(&str, Id), ()> =
    TableDefinition::new("partner_volunteers");
/// Volunteer to the number of its accepted packets.
const VOLUNTEERS: TableDefinition<Id, u64> = TableDefinition::new("volunteers");
/// Round to the record's JSON.
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
/// Round to (weights, length).
const CHECKPOINTS: TableDefinition<u64, (Id, u64)> = TableDefinition::new("checkpoints");
const HELD_OUT: TableDefinition<u64, f32> = TableDefinition::new("held_out");

/// One entry: the book of scores as JSON.
const BOOK: TableDefinition<&str, &[u8]> = TableDefinition::new("book");
const BOOK_KEY: &str = "book";

const VERSION_KEY: &str = "version";
const VERSION: u64 = 1;
const PROBE_KEY: &str = "probe";

/// [`Journal`] in one file.
pub struct RedbJournal {
    database: Reopening,
}

impl RedbJournal {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When another process has it open, a newer version wrote it, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Self::with_opener(file_opener(path))
    }

    /// As [`open`](Self::open), for a database that lies elsewhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_opener(opener: Opener) -> Result<Self, StorageError> {
        let this = Self {
            database: Reopening::new(opener),
        };
        let found = this.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get(VERSION_KEY)?.map(|value| value.value());
            if found.is_none() {
                meta.insert(VERSION_KEY, VERSION)?;
            }
            // So that reading never meets a table that does not exist yet.
            transaction.open_table(COMMITMENTS)?;
            transaction.open_table(PACKETS)?;
            transaction.open_table(ACCEPTANCES)?;
            transaction.open_table(VOLUNTEERS)?;
            transaction.open_table(RECORDS)?;
            transaction.open_table(CHECKPOINTS)?;
            transaction.open_table(HELD_OUT)?;
            transaction.open_table(BOOK)?;
            transaction.open_table(CREDITS)?;
            transaction.open_table(PARTNERS)?;
            transaction.open_table(PARTNER_VOLUNTEERS)?;
            Ok(found.unwrap_or(VERSION))
        })?;
        if found > VERSION {
            return Err(StorageError::Newer {
                found,
                known: VERSION,
            });
        }
        Ok(this)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        self.database.write(change)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        self.database.read(look)
    }
}

fn decode(bytes: &[u8]) -> Result<SignedRecord, StorageError> {
    serde_json::from_slice(bytes).map_err(|_| StorageError::Unreadable("a record"))
}

/// Counts a new record's contributions for their partners, in the transaction that keeps the record, so
/// that each counts once whatever fails in between.
fn credit(transaction: &WriteTransaction, record: &RoundRecord) -> Result<(), redb::Error> {
    let acceptances = transaction.open_table(ACCEPTANCES)?;
    let mut totals = transaction.open_table(PARTNERS)?;
    let mut volunteers = transaction.open_table(PARTNER_VOLUNTEERS)?;
    let mut seen: Vec<PartnerId> = Vec::new();
    for contribution in &record.contributions {
        let Some(partner) = contribution.partner else {
            continue;
        };
        let (id, volunteer) = (partner.as_str(), contribution.volunteer.0);
        let known = totals.get(id)?.map(|value| value.value());
        let (mut rounds, packets, tokens, mut people, last) = known.unwrap_or_default();
        if !seen.contains(&partner) {
            seen.push(partner);
            rounds = rounds.saturating_add(1);
        }
        if volunteers.insert((id, volunteer), ())?.is_none() {
            people = people.saturating_add(1);
        }
        let received = acceptances.get((record.round.0, volunteer))?;
        let received = received.map_or(0, |value| value.value().3);
        let value = (
            rounds,
            packets.saturating_add(1),
            tokens.saturating_add(u64::from(contribution.tokens)),
            people,
            last.max(received),
        );
        totals.insert(id, value)?;
    }
    Ok(())
}

impl Journal for RedbJournal {
    fn commit(&self, pledge: &Pledge) -> Result<(), StorageError> {
        let Commitment {
            volunteer,
            packet,
            signature,
        } = pledge.commitment;
        let (key, value) = (
            (pledge.round.0, volunteer.0),
            (pledge.order, packet.0, signature.0),
        );
        self.write(|transaction| {
            transaction.open_table(COMMITMENTS)?.insert(key, value)?;
            Ok(())
        })
    }

    fn commitments(&self, round: Round) -> Result<Vec<Pledge>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(COMMITMENTS)?;
            let mut all = Vec::new();
            for entry in table.range((round.0, [0; 32])..=(round.0, [255; 32]))? {
                let (key, value) = entry?;
                let (order, packet, signature) = value.value();
                all.push(Pledge {
                    round,
                    order,
                    commitment: Commitment {
                        volunteer: VolunteerId(key.value().1),
                        packet: Hash(packet),
                        signature: SignatureBytes(signature),
                    },
                });
            }
            Ok(all)
        })
    }

    fn accept(&self, acceptance: &Acceptance, sealed: &[u8]) -> Result<(), StorageError> {
        let key = (acceptance.round.0, acceptance.volunteer.0);
        let value = (
            acceptance.packet.0,
            acceptance.inner_steps,
            acceptance.tokens,
            acceptance.received_at_ms,
        );
        self.write(|transaction| {
            transaction.open_table(PACKETS)?.insert(key, sealed)?;
            let known = transaction
                .open_table(ACCEPTANCES)?
                .insert(key, value)?
                .is_some();
            if let Some(partner) = &acceptance.partner {
                let mut credits = transaction.open_table(CREDITS)?;
                credits.insert(key, partner.as_str())?;
            }
            if !known {
                let mut volunteers = transaction.open_table(VOLUNTEERS)?;
                let before = volunteers.get(key.1)?.map_or(0, |value| value.value());
                volunteers.insert(key.1, before.saturating_add(1))?;
            }
            Ok(())
        })
    }

    fn packet(
        &self,
        round: Round,
        volunteer: VolunteerId,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(|transaction| {
            let packets = transaction.open_table(PACKETS)?;
            let sealed = packets.get((round.0, volunteer.0))?;
            Ok(sealed.map(|value| value.value().to_vec()))
        })
    }

    fn acceptances(&self, from: Round) -> Result<Vec<Acceptance>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(ACCEPTANCES)?;
            let credits = transaction.open_table(CREDITS)?;
            let mut all = Vec::new();
            for entry in table.range((from.0, [0; 32])..)? {
                let (key, value) = entry?;
                let (round, volunteer) = key.value();
                let (packet, inner_steps, tokens, received_at_ms) = value.value();
                all.push(Acceptance {
                    round: Round(round),
                    volunteer: VolunteerId(volunteer),
                    packet: Hash(packet),
                    inner_steps,
                    tokens,
                    // Written from an id, so it reads as one.
                    partner: credits
                        .get((round, volunteer))?
                        .and_then(|id| id.value().parse().ok()),
                    received_at_ms,
                });
            }
            Ok(all)
        })
    }

    fn accepted_from(&self, volunteer: VolunteerId) -> Result<u64, StorageError> {
        self.read(|transaction| {
            let volunteers = transaction.open_table(VOLUNTEERS)?;
            let count = volunteers.get(volunteer.0)?;
            Ok(count.map_or(0, |value| value.value()))
        })
    }

    fn record(&self, record: &SignedRecord, book: Option<&[u8]>) -> Result<(), StorageError> {
        let json = serde_json::to_vec(record)
            .map_err(|_| StorageError::Unreadable("a record before it was written"))?;
        let round = record.record.round.0;
        self.write(|transaction| {
            let known = transaction
                .open_table(RECORDS)?
                .insert(round, json.as_slice())?
                .is_some();
            if !known {
                credit(transaction, &record.record)?;
            }
            if let Some(book) = book {
                transaction.open_table(BOOK)?.insert(BOOK_KEY, book)?;
            }
            let mut commitments = transaction.open_table(COMMITMENTS)?;
            commitments.retain_in(..=(round, [255; 32]), |_, _| false)?;
            let mut packets = transaction.open_table(PACKETS)?;
            packets.retain_in(..=(round, [255; 32]), |_, _| false)?;
            // A write that failed may have reached the disk all the same. What was never acknowledged
            // must not look acknowledged later.
            let mut acceptances = transaction.open_table(ACCEPTANCES)?;
            acceptances.retain_in((round, [0; 32])..=(round, [255; 32]), |(_, id), value| {
                let RoundRecord {
                    contributions,
                    excluded,
                    ..
                } = &record.record;
                let merged = contributions.iter().map(|c| (c.volunteer, c.packet));
                let left_out = excluded.iter().map(|e| (e.volunteer, e.packet));
                let wanted = (VolunteerId(id), Hash(value.0));
                merged.chain(left_out).any(|listed| listed == wanted)
            })?;
            let mut credits = transaction.open_table(CREDITS)?;
            let mut gone = Vec::new();
            for entry in credits.range((round, [0; 32])..=(round, [255; 32]))? {
                let key = entry?.0.value();
                if acceptances.get(key)?.is_none() {
                    gone.push(key);
                }
            }
            for key in gone {
                credits.remove(key)?;
            }
            Ok(())
        })
    }

    fn book(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(BOOK)?;
            Ok(table.get(BOOK_KEY)?.map(|value| value.value().to_vec()))
        })
    }

    fn records(&self, from: Round, limit: usize) -> Result<Vec<SignedRecord>, StorageError> {
        let json = self.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            let mut all = Vec::new();
            for entry in table.range(from.0..)?.take(limit) {
                all.push(entry?.1.value().to_vec());
            }
            Ok(all)
        })?;
        json.iter().map(|bytes| decode(bytes)).collect()
    }

    fn partners(&self) -> Result<BTreeMap<PartnerId, PartnerTotals>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(PARTNERS)?;
            let mut all = BTreeMap::new();
            for entry in table.iter()? {
                let (id, value) = entry?;
                let (rounds, packets, tokens, volunteers, last) = value.value();
                // Written from an id, so it reads as one.
                let Ok(id) = id.value().parse() else { continue };
                let totals = PartnerTotals {
                    rounds,
                    packets,
                    tokens,
                    volunteers,
                    last_ms: (last > 0).then_some(last),
                };
                all.insert(id, totals);
            }
            Ok(all)
        })
    }

    fn last_record(&self) -> Result<Option<SignedRecord>, StorageError> {
        let json = self.read(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            Ok(table.last()?.map(|(_, value)| value.value().to_vec()))
        })?;
        json.map(|bytes| decode(&bytes)).transpose()
    }

    fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), StorageError> {
        self.write(|transaction| {
            transaction
                .open_table(CHECKPOINTS)?
                .insert(checkpoint.round.0, (checkpoint.theta.0, checkpoint.len))?;
            Ok(())
        })
    }

    fn remove_checkpoint(&self, round: Round) -> Result<(), StorageError> {
        self.write(|transaction| {
            transaction.open_table(CHECKPOINTS)?.remove(round.0)?;
            Ok(())
        })
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(CHECKPOINTS)?;
            let mut all = Vec::new();
            for entry in table.iter()? {
                let (round, value) = entry?;
                let (theta, len) = value.value();
                all.push(Checkpoint {
                    round: Round(round.value()),
                    theta: Hash(theta),
                    len,
                });
            }
            Ok(all)
        })
    }

    fn add_held_out(&self, held_out: HeldOut) -> Result<(), StorageError> {
        self.write(|transaction| {
            transaction
                .open_table(HELD_OUT)?
                .insert(held_out.round.0, held_out.loss)?;
            Ok(())
        })
    }

    fn held_out(&self) -> Result<Vec<HeldOut>, StorageError> {
        self.read(|transaction| {
            let table = transaction.open_table(HELD_OUT)?;
            let mut all = Vec::with_capacity(usize::try_from(table.len()?).unwrap_or_default());
            for entry in table.iter()? {
                let (round, loss) = entry?;
                all.push(HeldOut {
                    round: Round(round.value()),
                    loss: loss.value(),
                });
            }
            Ok(all)
        })
    }

    fn probe(&self) -> Result<(), StorageError> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.write(|transaction| {
            transaction.open_table(META)?.insert(PROBE_KEY, now)?;
            Ok(())
        })
    }
}
