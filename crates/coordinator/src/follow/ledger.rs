//! A run's ledger, replayed: every entry's hash, signature and rule, every epoch's payments and the hash of
//! the state after it, up to the end that the coordinator signed. The rules are `covey_witness::books`;
//! here are the file and the network.

use covey_ledger::journal::Line;
use covey_protocol::{http::RunInfo, ledger::LedgerHead, witness::LedgerSeen};
use covey_witness::books::{self, broken};

use super::{
    client::{Client, ClientError},
    halt::Halt,
    rounds::Rounds,
};
use crate::{
    CoordinatorError,
    clock::Clock,
    ledger::{
        View,
        clock::LedgerClock,
        draft::{Draft, Position},
        load,
        store::Store,
    },
};

/// Lines replayed between two transactions.
const CHUNK: usize = 512;
/// Entries between two lines about a long replay.
const SAY_EVERY: u64 = 4096;

/// What is agreed so far: the journal up to a signed head.
pub struct Replayed {
    /// Absent before the first entry.
    position: Option<Position>,
    /// The last head that was checked.
    head: Option<LedgerHead>,
    clock: Clock,
}

impl Replayed {
    /// Goes on from the file, if it has entries.
    ///
    /// # Errors
    /// When the file is damaged or the disk fails.
    pub fn open(store: &Store, head: Option<LedgerHead>) -> Result<Self, CoordinatorError> {
        let position = if store.meta()?.entries > 0 {
            Some(load::load(store).map_err(|error| match error {
                load::LoadError::Storage(error) => CoordinatorError::Storage(error),
                other => CoordinatorError::Config(format!(
                    "this mirror's own ledger is damaged ({other}); remove ledger.redb, and it is \
                     copied again"
                )),
            })?)
        } else {
            None
        };
        Ok(Self {
            position,
            head,
            clock: Clock::start(),
        })
    }

    /// Replays up to a head that the coordinator signed before `rounds` were followed; says whether that
    /// was further than before.
    ///
    /// # Errors
    /// The first entry that is not so.
    pub fn follow(
        &mut self,
        store: &Store,
        client: &Client,
        info: &RunInfo,
        head: LedgerHead,
        rounds: &Rounds,
    ) -> Result<bool, Halt> {
        books::signed_end(&head, info)?;
        let begun = self.len();
        while self.len() < head.entries {
            self.chunk(store, client, info, head.entries, rounds)?;
            let now = self.len();
            if now / SAY_EVERY != begun / SAY_EVERY {
                tracing::info!(entry = now, of = head.entries, "ledger replayed");
            }
        }
        books::same_end(&head, store.hash_at(head.entries)?)?;
        let further = head.entries > begun;
        // One with fewer entries is an older copy's: it is in this journal, and that is all.
        if head.entries == self.len() {
            self.head = Some(head);
        }
        Ok(further)
    }

    /// Replays some entries before `end` and keeps them.
    fn chunk(
        &mut self,
        store: &Store,
        client: &Client,
        info: &RunInfo,
        end: u64,
        rounds: &Rounds,
    ) -> Result<(), Halt> {
        let from = self.len();
        let text = client.entries(from)?;
        let left = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut lines = text.lines().take(left.min(CHUNK)).peekable();
        let Some(first) = lines.peek() else {
            let reason = format!("entry {from} is signed for and not served");
            return Err(ClientError::Invalid(reason).into());
        };
        let mut draft = match &self.position {
            Some(position) => Draft::of(position),
            None => {
                let (ledger, line) = books::founded(first, &info.run)?;
                let draft = Draft::genesis(ledger, line.text());
                lines.next();
                draft
            }
        };
        let clock = LedgerClock::new(self.clock, draft.position.ledger.state(), 0);
        for text in lines {
            let before = draft.position.ledger.clone();
            let index = before.len();
            let line = Line::parse(text, index).map_err(|error| broken(index, &error))?;
            books::payment(&line, books::owner(&before), info, &rounds.chain.volunteers)?;
            let applied = draft.position.ledger.replay(&line.entry);
            draft.push(applied.map_err(|error| broken(index, &error))?);
            draft.notices(&before, store, &clock)?;
        }
        draft.snapshot_if_due();
        store.append(&draft.batch)?;
        self.position = Some(draft.position);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.position
            .as_ref()
            .map_or(0, |position| position.ledger.len())
    }

    /// Where the replay is, as a witness states it.
    #[must_use]
    pub fn seen(&self) -> Option<LedgerSeen> {
        self.position
            .as_ref()
            .map(|position| books::seen(&position.ledger))
    }

    /// The last head that was checked.
    #[must_use]
    pub fn head(&self) -> Option<&LedgerHead> {
        self.head.as_ref()
    }

    /// The replayed ledger for everybody who reads, with the coordinator's own signature.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        let (position, head) = (self.position.as_ref()?, self.head.as_ref()?);
        let clock = LedgerClock::new(self.clock, position.ledger.state(), 0);
        Some(View::signed(
            position.clone(),
            clock,
            head.coordinator,
            head.signature,
        ))
    }
}
