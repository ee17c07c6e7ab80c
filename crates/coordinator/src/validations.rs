//! What validators said about rounds: one redb file of signed sheets, by round and validator.
//!
//! A sheet is durable before it is acknowledged and never changes. What a reader would get wrong: nothing
//! here decides what anybody earns. Whoever has a validator's sheets has its opinion
//! (`covey_scoring::validation`), and only that validator's own key can say it on the ledger.
//!
//! Calls block.

use std::path::Path;

use covey_protocol::{
    Round, VolunteerId,
    limits::MAX_SHEETS,
    validation::{SignedSheet, Validations},
};
use redb::{ReadableTable, TableDefinition};

use crate::storage::{StorageError, reopening::Reopening};

type Key = (u64, [u8; 32]);

/// (round, validator) to the sheet as JSON.
const SHEETS: TableDefinition<Key, &[u8]> = TableDefinition::new("sheets");

/// Rounds whose sheets are kept: an opinion is made of these.
pub const KEPT: u64 = 256;
/// Most sheets of one round. More than have permits at once, since permits can change hands meanwhile.
pub const MAX_PER_ROUND: usize = 128;
/// Most sheets that one request looks through for one validator's.
const LOOKED_AT: usize = 4096;

/// What became of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is on disk, now or since an earlier time.
    Yes,
    /// Another sheet of this validator is, for this round.
    Other,
    /// The round has all the sheets it may have.
    Full,
}

/// The file.
pub struct Sheets {
    database: Reopening,
}

impl Sheets {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When another process has it open or the disk fails.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let database = Reopening::file(path);
        // So that reading never meets a table that does not exist yet.
        database.write(|transaction| Ok(drop(transaction.open_table(SHEETS)?)))?;
        Ok(Self { database })
    }

    /// A validator's sheet for a round.
    ///
    /// # Errors
    /// When the disk fails or what is on it cannot be read.
    pub fn get(
        &self,
        round: Round,
        validator: VolunteerId,
    ) -> Result<Option<SignedSheet>, StorageError> {
        let stored = self.database.read(|transaction| {
            let table = transaction.open_table(SHEETS)?;
            let found = table.get((round.0, validator.0))?;
            Ok(found.map(|value| value.value().to_vec()))
        })?;
        stored.map(|bytes| decode(&bytes)).transpose()
    }

    /// Keeps a sheet, durably. Those of rounds long ago go.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, signed: &SignedSheet) -> Result<Kept, StorageError> {
        let sheet = &signed.sheet;
        let (round, key) = (sheet.round.0, (sheet.round.0, sheet.validator.0));
        let bytes = serde_json::to_vec(signed)
            .map_err(|_| StorageError::Unreadable("a sheet of scores"))?;
        self.database.write(|transaction| {
            let mut table = transaction.open_table(SHEETS)?;
            let known = table
                .get(key)?
                .map(|value| value.value() == bytes.as_slice());
            if let Some(same) = known {
                return Ok(if same { Kept::Yes } else { Kept::Other });
            }
            let end = (round.saturating_add(1), [0; 32]);
            if table.range((round, [0; 32])..end)?.count() >= MAX_PER_ROUND {
                return Ok(Kept::Full);
            }
            table.insert(key, bytes.as_slice())?;
            let oldest = (round.saturating_sub(KEPT), [0; 32]);
            table.retain_in(..oldest, |_, _| false)?;
            Ok(Kept::Yes)
        })
    }

    /// Sheets of whole rounds from `from` on and before `before`, of everyone or of one validator, until
    /// there are at least [`MAX_SHEETS`].
    ///
    /// # Errors
    /// When the disk fails or what is on it cannot be read.
    pub fn list(
        &self,
        from: Round,
        before: Round,
        validator: Option<VolunteerId>,
    ) -> Result<Validations, StorageError> {
        let nothing = || Validations {
            sheets: Vec::new(),
            next: from,
        };
        if from >= before {
            return Ok(nothing());
        }
        let (stored, next) = self.database.read(|transaction| {
            let table = transaction.open_table(SHEETS)?;
            let (mut stored, mut last) = (Vec::new(), from.0);
            let range = table.range((from.0, [0; 32])..(before.0, [0; 32]))?;
            for (looked, entry) in range.enumerate() {
                let (key, value) = entry?;
                let (round, by) = key.value();
                let full = stored.len() >= MAX_SHEETS || looked >= LOOKED_AT;
                if round > last && full {
                    return Ok((stored, round));
                }
                last = round;
                if validator.is_none_or(|wanted| wanted.0 == by) {
                    stored.push(value.value().to_vec());
                }
            }
            Ok((stored, before.0))
        })?;
        let sheets: Result<_, _> = stored.iter().map(|bytes| decode(bytes)).collect();
        Ok(Validations {
            sheets: sheets?,
            next: Round(next),
        })
    }
}

fn decode(bytes: &[u8]) -> Result<SignedSheet, StorageError> {
    serde_json::from_slice(bytes).map_err(|_| StorageError::Unreadable("a sheet of scores"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use covey_protocol::{Hash, Identity, validation::Sheet};

    fn sheet(secret: u8, round: u64, record: u8) -> SignedSheet {
        let identity = Identity::from_secret([secret; 32]);
        let sheet = Sheet {
            run: Hash([1; 32]),
            validator: identity.id(),
            round: Round(round),
            record: Hash([record; 32]),
            scores: Vec::new(),
        };
        sheet.sign(&identity)
    }

    fn sheets() -> (tempfile::TempDir, Sheets) {
        let folder = tempfile::tempdir().expect("a folder");
        let sheets = Sheets::open(&folder.path().join("validations.redb")).expect("opened");
        (folder, sheets)
    }

    #[test]
    fn a_sheet_is_kept_once_and_never_replaced() {
        let (folder, sheets) = sheets();
        let first = sheet(1, 5, 1);
        assert_eq!(sheets.keep(&first).expect("kept"), Kept::Yes);
        assert_eq!(sheets.keep(&first).expect("kept"), Kept::Yes);
        assert_eq!(sheets.keep(&sheet(1, 5, 2)).expect("looked"), Kept::Other);
        drop(sheets);
        let again = Sheets::open(&folder.path().join("validations.redb")).expect("opened");
        let found = again.get(Round(5), first.sheet.validator).expect("read");
        assert_eq!(found, Some(first));
    }

    #[test]
    fn a_round_takes_no_more_sheets_than_it_may_have() {
        let (_folder, sheets) = sheets();
        for n in 0..=u8::MAX {
            let expected = if usize::from(n) < MAX_PER_ROUND {
                Kept::Yes
            } else {
                Kept::Full
            };
            assert_eq!(sheets.keep(&sheet(n, 1, 1)).expect("looked"), expected);
        }
    }

    #[test]
    fn sheets_are_listed_by_whole_rounds_and_old_ones_go() {
        let (_folder, sheets) = sheets();
        for round in 0..60 {
            for n in 1..=3 {
                sheets.keep(&sheet(n, round, 1)).expect("kept");
            }
        }
        let first = sheets.list(Round(0), Round(50), None).expect("listed");
        assert_eq!((first.sheets.len(), first.next), (66, Round(22)));
        let mut all = first.sheets;
        let mut next = first.next;
        while next < Round(50) {
            let page = sheets.list(next, Round(50), None).expect("listed");
            all.extend(page.sheets);
            next = page.next;
        }
        assert_eq!(all.len(), 150);
        assert!(all.is_sorted_by_key(|signed| (signed.sheet.round, signed.sheet.validator)));
        let one = all.first().map(|signed| signed.sheet.validator);
        let own = sheets.list(Round(10), Round(50), one).expect("listed");
        assert_eq!((own.sheets.len(), own.next), (40, Round(50)));
        let none = sheets.list(Round(50), Round(50), None).expect("listed");
        assert_eq!((none.sheets.len(), none.next), (0, Round(50)));

        sheets.keep(&sheet(1, KEPT + 30, 1)).expect("kept");
        let left = sheets.list(Round(0), Round(60), None).expect("listed");
        assert_eq!(left.sheets.first().map(|s| s.sheet.round), Some(Round(30)));
    }
}
