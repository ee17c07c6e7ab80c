//! The ledger's side of the process: requests in groups, one write for each group, epochs when they are due
//! with the coordinator's own judgement before them, and a replay of the journal after every crash.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use covey_ledger::{
    AccountId, Height, Ledger,
    call::{APP, Action, Call, SignedAction},
    genesis::RUN as SUBNET,
    journal::Line,
    signing::keys::Keypair,
    supply,
};
use covey_protocol::Hash;
use covey_scoring::Book;

use crate::{
    Deed, Sabotage, Stop,
    disk::LedgerRow,
    founding::{coordinator, genesis},
    replay::{broken, founded, line_of, replay, whole_replay},
    settings::rules,
    volunteer::number_of,
    wallet,
    world::{Event, Peer, Reply, START_MS, World},
};

/// Requests recorded with one write.
const GROUP: usize = 64;
/// Lives between two replays of the whole journal.
const WHOLE_REPLAY: u64 = 8;

/// What somebody is answered, and the ledger's position if it was read.
type Answer = (Peer, Reply, Option<(u64, Hash)>);

struct Batch {
    ledger: Ledger,
    weighed_ms: u64,
    rows: Vec<LedgerRow>,
    answers: Vec<Answer>,
    /// Snapshot after the last epoch in it, and how many rows into the batch.
    snapshot: Option<(usize, Vec<u8>)>,
}

pub struct Keeper {
    life: u64,
    key: Keypair,
    /// What is durable, and what everybody sees.
    ledger: Ledger,
    weighed_ms: u64,
    /// Requests in the journal: number and hash of their entries.
    known: BTreeMap<Hash, (u64, Hash)>,
    queue: VecDeque<(Peer, Hash, Rc<SignedAction>)>,
    batch: Option<Batch>,
}

impl Keeper {
    /// Replays what is on disk, from the last snapshot; now and then from the beginning, to compare.
    ///
    /// # Errors
    /// [`Stop::Broken`] when the journal does not give what was promised.
    pub fn open(world: &mut World, life: u64) -> Result<Self, Stop> {
        if world.disk.ledger.durable().is_empty() {
            let (_, entry) = Ledger::new(genesis(world.wallets)).map_err(|e| broken(0, &e))?;
            let line = entry.line();
            world.disk.ledger.append(LedgerRow {
                line: line.text(),
                hash: line.hash,
                request: None,
                weighed_ms: None,
            });
            world.disk.ledger.sync();
        }
        world.oracle.entries(&world.disk)?;
        let rows = world.disk.ledger.durable();
        let (ledger, from) = match &world.disk.snapshot {
            Some((at, bytes)) => {
                let line = line_of(rows, *at)?;
                let ledger = Ledger::from_snapshot(bytes, &line.entry);
                (ledger.map_err(|e| broken(*at, &e))?, at + 1)
            }
            None => (founded(rows)?, 1),
        };
        let ledger = replay(ledger, rows, from)?;
        if life.is_multiple_of(WHOLE_REPLAY) {
            whole_replay(world, &ledger)?;
        }
        supply::check(ledger.state()).map_err(|e| broken(rows.len(), &e))?;
        let requests = (0..).zip(rows);
        let known = requests.filter_map(|(index, row)| Some((row.request?, (index, row.hash))));
        let weighed_ms = rows.iter().rev().find_map(|row| row.weighed_ms);
        let mut keeper = Self {
            life,
            key: coordinator(),
            known: known.collect(),
            weighed_ms: weighed_ms.unwrap_or(0),
            queue: VecDeque::new(),
            batch: None,
            ledger,
        };
        keeper.sleep(world);
        Ok(keeper)
    }

    /// What is durable.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn ask(&mut self, from: Peer, id: Hash, action: Rc<SignedAction>) {
        self.queue.push_back((from, id, action));
    }

    fn sleep(&mut self, world: &mut World) {
        let seconds = u64::from(self.ledger.state().schedule.block_seconds);
        let due = START_MS + self.ledger.next_epoch() * seconds * 1000;
        // A clock that is behind comes to it a little later.
        let wait = due.saturating_sub(world.now).max(500);
        let life = self.life;
        world.after(wait, Event::Epoch { life });
    }

    /// Starts a write if there is something to write and none is under way; says whether it did.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn turn(&mut self, world: &mut World, book: &Book, now_ms: u64) -> Result<bool, Stop> {
        if self.batch.is_some() {
            return Ok(false);
        }
        let state = self.ledger.state();
        let block_ms = u64::from(state.schedule.block_seconds) * 1000;
        let height = (now_ms.saturating_sub(START_MS) / block_ms).max(state.height);
        let mut batch = Batch {
            ledger: self.ledger.clone(),
            weighed_ms: self.weighed_ms,
            rows: Vec::new(),
            answers: Vec::new(),
            snapshot: None,
        };
        let mut judged = 0;
        while batch.ledger.next_epoch() <= height {
            if judged < 2 {
                self.judge(world, book, now_ms, &mut batch);
                judged += 1;
            }
            let applied = batch.ledger.epoch(height);
            let applied = applied.map_err(|e| broken(batch.rows.len(), &e))?;
            supply::check(batch.ledger.state()).map_err(|e| broken(batch.rows.len(), &e))?;
            batch.push(applied.entry.line(), None);
            batch.snapshot = Some((batch.rows.len() - 1, batch.ledger.snapshot()));
        }
        for _ in 0..GROUP {
            let Some((from, id, action)) = self.queue.pop_front() else {
                break;
            };
            self.record(&mut batch, height, from, id, &action);
        }
        let writes = !batch.rows.is_empty() || !batch.answers.is_empty();
        if writes {
            world.effect(
                Deed::Entries,
                batch.ledger.len(),
                Some(&batch.ledger.head()),
            )?;
            if world.write_fails() {
                // Nobody is answered; they ask again. What is due is tried again in a while.
                let life = self.life;
                world.after(1_000, Event::Epoch { life });
                return Ok(false);
            }
            for row in batch.rows.drain(..) {
                world.disk.ledger.append(row);
            }
            self.batch = Some(batch);
            if world.sabotage == Some(Sabotage::EntryBeforeDisk) {
                self.tell(world)?;
            }
        }
        Ok(writes)
    }

    fn record(
        &self,
        batch: &mut Batch,
        height: Height,
        from: Peer,
        id: Hash,
        action: &SignedAction,
    ) {
        let mut here = batch.rows.iter().zip(self.ledger.len()..);
        let same = here.find(|(row, _)| row.request == Some(id));
        let known = same.map(|(row, index)| (index, row.hash));
        if let Some(entry) = known.or(self.known.get(&id).copied()) {
            batch
                .answers
                .push((from, Reply::Recorded { id }, Some(entry)));
            return;
        }
        match batch.ledger.action(height, action.clone()) {
            Ok(applied) => {
                let entry = (applied.entry.index, applied.hash);
                batch.push(applied.entry.line(), Some(id));
                batch
                    .answers
                    .push((from, Reply::Recorded { id }, Some(entry)));
            }
            Err(_) => batch.answers.push((from, Reply::Declined { id }, None)),
        }
    }

    /// Weights for those who worked since the last epoch, as the server's keeper gives them.
    fn judge(&self, world: &World, book: &Book, now_ms: u64, batch: &mut Batch) {
        let since = batch.weighed_ms;
        let worked: BTreeSet<usize> = world
            .disk
            .acceptances()
            .take(20_000)
            .filter(|acceptance| acceptance.received_at_ms > since)
            .map(|acceptance| number_of(&acceptance.volunteer))
            .collect();
        let weights = book.weights(&rules()).unwrap_or_default();
        let mut targets: Vec<(AccountId, u16)> = weights
            .into_iter()
            .filter(|(who, weight)| *weight > 0 && worked.contains(&number_of(who)))
            .map(|(who, weight)| (AccountId(who.0), weight))
            .collect();
        targets.sort_unstable();
        batch.weighed_ms = now_ms;
        let state = batch.ledger.state();
        if targets.is_empty()
            && let Some(subnet) = state.subnets.get(&SUBNET)
        {
            targets.push((subnet.owner_hotkey, u16::MAX));
        }
        let account = self.key.account();
        let expires = batch
            .ledger
            .next_epoch()
            .saturating_sub(1)
            .max(state.height);
        let action = Action {
            app: APP.to_owned(),
            chain: state.chain,
            account,
            nonce: state.accounts.get(&account).map_or(0, |known| known.nonce),
            expires,
            call: Call::SetWeights {
                netuid: SUBNET,
                weights: targets,
            },
        };
        let signed = wallet::signed(&self.key, action);
        if let Ok(applied) = batch.ledger.action(expires, signed) {
            batch.push(applied.entry.line(), None);
        }
    }

    /// The write is durable: it is what everybody sees, and those who asked are told.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn written(&mut self, world: &mut World) -> Result<(), Stop> {
        let written = self.batch.as_ref();
        let len = written.map_or(0, |batch| batch.ledger.len());
        world.effect(Deed::EntriesWritten, len, None)?;
        world.disk.ledger.sync();
        world.effect(Deed::EntriesSynced, len, None)?;
        self.tell(world)?;
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        if let Some((at, bytes)) = batch.snapshot {
            let first = usize::try_from(self.ledger.len()).unwrap_or(usize::MAX);
            world.disk.snapshot = Some((first + at, bytes));
        }
        self.ledger = batch.ledger;
        self.weighed_ms = batch.weighed_ms;
        self.sleep(world);
        Ok(())
    }

    fn tell(&mut self, world: &mut World) -> Result<(), Stop> {
        let answers = self
            .batch
            .as_mut()
            .map(|batch| std::mem::take(&mut batch.answers));
        for (to, reply, entry) in answers.unwrap_or_default() {
            world.effect(Deed::Answer, entry.map_or(0, |(index, _)| index), None)?;
            if let (Some((index, hash)), Reply::Recorded { id }) = (entry, &reply) {
                world.oracle.recorded(index, hash, &world.disk)?;
                self.known.insert(*id, (index, hash));
            }
            world.reply(to, reply);
        }
        Ok(())
    }
}

impl Batch {
    fn push(&mut self, line: Line, request: Option<Hash>) {
        self.rows.push(LedgerRow {
            line: line.text(),
            hash: line.hash,
            request,
            weighed_ms: Some(self.weighed_ms),
        });
    }
}
