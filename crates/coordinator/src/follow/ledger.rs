//! A run's ledger, replayed: every entry's hash, signature and rule, every epoch's payments and the hash of
//! the state after it, up to the end that the coordinator signed.
//!
//! One thing in it does not follow from the journal alone: whom the coordinator's own weights name. They
//! come from trials on the model (`covey-scoring`), which are not public, so how much each weight is cannot
//! be recomputed. Whom they name can be held against the records: somebody whose work is in none of them
//! has nothing to be paid for. So the end of the journal is asked for first, then the records, then the
//! entries.

use covey_ledger::{
    Ledger,
    call::Call,
    genesis::RUN,
    journal::{Body, JournalError, Line},
};
use covey_protocol::{
    Hash, VolunteerId,
    http::RunInfo,
    ledger::LedgerHead,
    witness::{LedgerSeen, Place},
};

use super::{
    client::{Client, ClientError},
    finding::{Finding, Halt},
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

fn broken(entry: u64, error: &JournalError) -> Finding {
    Finding::new(Place::LedgerEntry, entry, "an entry that follows", error)
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
        let finding = |expected: &dyn ToString, found: &dyn ToString| {
            let (expected, found) = (expected.to_string(), found.to_string());
            Halt::from(Finding::new(
                Place::LedgerHead,
                head.entries,
                expected,
                found,
            ))
        };
        if head.chain != info.run {
            return Err(finding(&info.run, &head.chain));
        }
        if head.verify(&info.coordinator).is_err() {
            return Err(finding(&info.coordinator, &head.signature));
        }
        let begun = self.len();
        while self.len() < head.entries {
            self.chunk(store, client, info, head.entries, rounds)?;
            let now = self.len();
            if now / SAY_EVERY != begun / SAY_EVERY {
                tracing::info!(entry = now, of = head.entries, "ledger replayed");
            }
        }
        let ours = self.hash_at(store, head.entries)?;
        if ours != Some(head.head) {
            let ours = ours.map_or("no such entry".to_owned(), |hash| hash.to_string());
            return Err(finding(&ours, &head.head));
        }
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
                let line = Line::parse(first, 0).map_err(|error| broken(0, &error))?;
                let ledger =
                    Ledger::from_genesis(&line.entry).map_err(|error| broken(0, &error))?;
                let chain = ledger.state().chain;
                if chain != info.run {
                    return Err(Finding::new(Place::LedgerEntry, 0, info.run, chain).into());
                }
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
            payment(&line, &before, info, rounds)?;
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

    /// Hash of the last of the first `entries` entries.
    fn hash_at(&self, store: &Store, entries: u64) -> Result<Option<Hash>, Halt> {
        let Some(index) = entries.checked_sub(1) else {
            return Ok(None);
        };
        let line = store.recorded(index)?.map(|recorded| recorded.line);
        let line = line.and_then(|text| Line::parse(&text, index).ok());
        Ok(line.map(|line| line.hash))
    }

    /// Where the replay is, as a witness states it.
    #[must_use]
    pub fn seen(&self) -> Option<LedgerSeen> {
        let ledger = &self.position.as_ref()?.ledger;
        Some(LedgerSeen {
            entries: ledger.len(),
            head: ledger.head(),
            height: ledger.state().height,
            state: ledger.state().hash(),
        })
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

/// Holds a coordinator's weights against the records: whoever they name has worked, or is the subnet's
/// owner, whose incentive is burned.
fn payment(line: &Line, before: &Ledger, info: &RunInfo, rounds: &Rounds) -> Result<(), Finding> {
    let Body::Action(signed) = &line.entry.body else {
        return Ok(());
    };
    let Call::SetWeights { weights, .. } = &signed.action.call else {
        return Ok(());
    };
    if !info.descends_from(&VolunteerId(signed.action.account.0)) {
        return Ok(());
    }
    let owner = before.state().subnets.get(&RUN).map(|s| s.owner_hotkey);
    let unproven = weights.iter().find(|(account, weight)| {
        let worked = rounds.volunteers.contains(&VolunteerId(account.0));
        *weight > 0 && !worked && owner != Some(*account)
    });
    match unproven {
        Some((account, _)) => {
            let expected = "somebody whose work is in a record";
            Err(Finding::new(
                Place::Payment,
                line.entry.index,
                expected,
                account,
            ))
        }
        None => Ok(()),
    }
}
