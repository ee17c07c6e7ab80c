//! The coordinator's disk: append-only logs that keep what was synchronised, and of the rest a beginning.
//!
//! What a reader would get wrong: a crash may also keep more than was promised. A write that nobody was
//! told about can be there afterwards, and recovery has to live with it.

use std::{collections::BTreeMap, rc::Rc};

use covey_protocol::{Hash, Round, record::RoundRecord};
use covey_rounds::Acceptance;
use covey_scoring::Book;

use crate::dice::Dice;

/// One file.
pub struct Log<T> {
    rows: Vec<T>,
    durable: usize,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            durable: 0,
        }
    }
}

impl<T> Log<T> {
    pub fn append(&mut self, row: T) {
        self.rows.push(row);
    }

    pub fn sync(&mut self) {
        self.durable = self.rows.len();
    }

    /// What a reader of the file finds after a crash.
    pub fn durable(&self) -> &[T] {
        self.rows.get(..self.durable).unwrap_or_default()
    }

    fn crash(&mut self, dice: &mut Dice) {
        let loose = (self.rows.len() - self.durable) as u64;
        self.rows
            .truncate(self.durable + dice.below(loose + 1) as usize);
        self.durable = self.rows.len();
    }
}

/// What the rounds write.
pub enum Row {
    Packet {
        acceptance: Acceptance,
        payload: Rc<[u8]>,
    },
    /// A record and, in the same transaction, the book; only the newest book is kept.
    Record {
        record: Box<RoundRecord>,
        book: Option<Rc<Book>>,
    },
}

/// A line of the ledger's journal with what is written beside it.
pub struct LedgerRow {
    pub line: String,
    pub hash: Hash,
    /// The request that it answers.
    pub request: Option<Hash>,
    /// Work up to here is paid for.
    pub weighed_ms: Option<u64>,
}

/// A merged update: the payloads in the order of merging.
pub struct Update {
    pub name: Hash,
    pub payloads: Vec<Rc<[u8]>>,
}

pub struct Checkpoint {
    pub round: Round,
    pub theta: Rc<Vec<f32>>,
}

#[derive(Default)]
pub struct Disk {
    pub journal: Log<Row>,
    pub updates: Log<Update>,
    pub checkpoints: Log<Checkpoint>,
    pub ledger: Log<LedgerRow>,
    /// The ledger's last snapshot and the row it was taken after.
    pub snapshot: Option<(usize, Vec<u8>)>,
    /// Where each durable packet is.
    packets: BTreeMap<Hash, usize>,
    /// Where each durable record is; its place is its round.
    records: Vec<usize>,
    indexed: usize,
}

impl Disk {
    pub fn sync_journal(&mut self) {
        self.journal.sync();
        self.index();
    }

    pub fn crash(&mut self, dice: &mut Dice) {
        self.journal.crash(dice);
        self.updates.crash(dice);
        self.checkpoints.crash(dice);
        self.ledger.crash(dice);
        self.index();
    }

    fn index(&mut self) {
        for at in self.indexed..self.journal.durable().len() {
            match self.journal.rows.get(at) {
                Some(Row::Packet { acceptance, .. }) => {
                    self.packets.insert(acceptance.packet, at);
                }
                Some(Row::Record { book, .. }) => {
                    let without = book.is_none();
                    let earlier = self.records.last().copied();
                    // Only the newest is kept, and a record without a book leaves the one before.
                    let kept = match earlier.and_then(|at| self.journal.rows.get_mut(at)) {
                        Some(Row::Record { book, .. }) => book.take(),
                        _ => None,
                    };
                    if without && let Some(Row::Record { book, .. }) = self.journal.rows.get_mut(at)
                    {
                        *book = kept;
                    }
                    self.records.push(at);
                }
                None => {}
            }
        }
        self.indexed = self.journal.durable().len();
    }

    /// A durable packet.
    pub fn packet(&self, packet: &Hash) -> Option<(&Acceptance, &Rc<[u8]>)> {
        match self.journal.durable().get(*self.packets.get(packet)?)? {
            Row::Packet {
                acceptance,
                payload,
            } => Some((acceptance, payload)),
            Row::Record { .. } => None,
        }
    }

    pub fn record(&self, round: Round) -> Option<&RoundRecord> {
        let at = *self.records.get(usize::try_from(round.0).ok()?)?;
        match self.journal.durable().get(at)? {
            Row::Record { record, .. } => Some(record),
            Row::Packet { .. } => None,
        }
    }

    /// Durable records.
    pub fn rounds(&self) -> u64 {
        self.records.len() as u64
    }

    pub fn book(&self) -> Option<&Rc<Book>> {
        match self.journal.durable().get(*self.records.last()?)? {
            Row::Record { book, .. } => book.as_ref(),
            Row::Packet { .. } => None,
        }
    }

    /// Durable acceptances, newest first.
    pub fn acceptances(&self) -> impl Iterator<Item = &Acceptance> {
        self.journal
            .durable()
            .iter()
            .rev()
            .filter_map(|row| match row {
                Row::Packet { acceptance, .. } => Some(acceptance),
                Row::Record { .. } => None,
            })
    }

    pub fn update(&self, name: &Hash) -> Option<&Update> {
        self.updates
            .durable()
            .iter()
            .rev()
            .find(|update| update.name == *name)
    }
}
