//! The one thread that owns the ledger.
//!
//! It waits for a request or for the next epoch, whichever comes first. Requests that wait together are
//! recorded together: one write to the disk for all of them, then their answers. What a reader would get
//! wrong: the ledger in memory is never ahead of the disk for anybody else. A batch is applied to a copy
//! ([`Draft`]); when writing it fails, the copy is dropped, and because a failed write may have reached the
//! disk all the same, the journal is read again before anything else is done.

mod epochs;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::extract::ws::Utf8Bytes;
use covey_ledger::{AccountId, Height, Ledger, LedgerError, ledger::Applied};
use covey_protocol::{Hash, Identity};
use tokio::sync::{broadcast, oneshot, watch};

use super::{
    Command, FRAMES, Handle, Opened, QUEUE, Refused, Request, Shared, View,
    clock::LedgerClock,
    draft::{Draft, Position},
    load,
    store::Recorded,
    weights::Weights,
};
use crate::{metrics::Metrics, storage::StorageError};

/// Requests recorded with one write.
const GROUP: usize = 64;
/// Longest sleep: a clock that was set is noticed after this.
const SLEEP: Duration = Duration::from_secs(15);
/// Pause after the disk failed.
const RETRY: Duration = Duration::from_secs(1);

/// Starts the keeper's thread.
///
/// # Errors
/// When the system has no thread to give.
pub fn start(
    opened: Opened,
    identity: &Identity,
    weights: Weights,
    metrics: Arc<Metrics>,
) -> std::io::Result<Handle> {
    let Opened {
        store,
        position,
        clock,
        token,
    } = opened;
    let (commands, inbox) = mpsc::sync_channel(QUEUE);
    let (ended, stopped) = watch::channel(false);
    let (frames, _) = broadcast::channel(FRAMES);
    let view = View::new(position.clone(), clock, identity);
    let shared = Arc::new(Shared {
        store: Arc::new(store),
        view: ArcSwap::from_pointee(view),
        frames,
        stopping: false.into(),
        identity: identity.clone(),
        token,
    });
    let mut keeper = Keeper {
        shared: Arc::clone(&shared),
        position,
        clock,
        weights,
        metrics,
        broken: false,
        told: None,
    };
    keeper.gauge();
    thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || {
            keeper.run(&inbox);
            // Nobody may be waiting for it.
            let _ = ended.send(true);
        })?;
    Ok(Handle {
        shared,
        commands,
        stopped,
    })
}

type Answer = oneshot::Sender<Result<Recorded, Refused>>;

struct Keeper {
    shared: Arc<Shared>,
    position: Position,
    clock: LedgerClock,
    weights: Weights,
    metrics: Arc<Metrics>,
    /// The disk may hold more than the position knows.
    broken: bool,
    /// The last refusal of our own weights that was logged.
    told: Option<String>,
}

impl Keeper {
    fn run(&mut self, inbox: &mpsc::Receiver<Command>) {
        while !self.stopping() {
            let now = self.clock.height();
            if let Err(error) = self.settle(now) {
                self.failed(&error);
            }
            let next = if self.broken {
                RETRY
            } else {
                self.clock
                    .until(self.position.ledger.next_epoch())
                    .min(SLEEP)
            };
            match inbox.recv_timeout(next) {
                Ok(first) => self.commands(first, inbox),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    fn commands(&mut self, first: Command, inbox: &mpsc::Receiver<Command>) {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Stop => break,
                Command::Record {
                    request,
                    id,
                    answer,
                } => group.push((request, id, answer)),
                Command::Partnership {
                    partner,
                    suspended,
                    answer,
                } => {
                    self.record(std::mem::take(&mut group));
                    let result = self.partnership(partner, suspended);
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
                Command::Advance { blocks, answer } => {
                    self.record(std::mem::take(&mut group));
                    let result = self.advance(blocks);
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
            }
            next = if group.len() < GROUP {
                inbox.try_recv().ok()
            } else {
                None
            };
        }
        self.record(group);
    }

    /// Records requests that came together, then answers them.
    fn record(&mut self, group: Vec<(Request, Hash, Answer)>) {
        if group.is_empty() {
            return;
        }
        let now = self.clock.height();
        if let Err(error) = self.settle(now) {
            self.failed(&error);
            return;
        }
        let height = now.max(self.position.ledger.state().height);
        let mut draft = Draft::of(&self.position);
        let mut recorded: HashMap<Hash, Recorded> = HashMap::new();
        let mut waiting = Vec::new();
        for (request, id, answer) in group {
            if let Some(known) = recorded.get(&id) {
                waiting.push((known.clone(), answer));
                continue;
            }
            match self.apply(&mut draft, request, &id, height) {
                Ok(Outcome::Known(known)) => drop(answer.send(Ok(known))),
                Ok(Outcome::New(new)) => {
                    recorded.insert(id, new.clone());
                    waiting.push((new, answer));
                }
                // The coordinator is stopping amid missed epochs.
                Ok(Outcome::Refused(LedgerError::EpochDue(_))) => {
                    drop(answer.send(Err(Refused::Unavailable)));
                }
                Ok(Outcome::Refused(error)) => {
                    self.metrics.ledger.refuse(&error.name());
                    drop(answer.send(Err(Refused::Rule(error))));
                }
                Err(error) => {
                    self.failed(&error);
                    // Dropped answers say "unavailable".
                    return;
                }
            }
        }
        if let Err(error) = self.commit(draft) {
            self.failed(&error);
            return;
        }
        self.metrics.ledger.accepted.inc_by(recorded.len() as u64);
        for (recorded, answer) in waiting {
            drop(answer.send(Ok(recorded)));
        }
    }

    fn apply(
        &self,
        draft: &mut Draft,
        request: Request,
        id: &Hash,
        height: Height,
    ) -> Result<Outcome, StorageError> {
        if let Some(known) = self.shared.store.request(id)? {
            return Ok(Outcome::Known(known));
        }
        let before = draft.position.ledger.clone();
        let ledger = &mut draft.position.ledger;
        let applied = match request {
            Request::Action(action) => ledger.action(height, *action),
            Request::Session(session) => ledger.session(height, *session),
        };
        match applied {
            Ok(applied) => Ok(Outcome::New(self.push(draft, &before, applied)?)),
            Err(error) => Ok(Outcome::Refused(error)),
        }
    }

    fn push(
        &self,
        draft: &mut Draft,
        before: &Ledger,
        applied: Applied,
    ) -> Result<Recorded, StorageError> {
        let recorded = draft.push(applied);
        draft.notices(before, &self.shared.store, &self.clock)?;
        Ok(recorded)
    }

    /// Makes a draft durable, then the position everybody sees, then tells.
    fn commit(&mut self, mut draft: Draft) -> Result<(), StorageError> {
        draft.snapshot_if_due();
        self.shared.store.append(&draft.batch)?;
        let Draft {
            position, batch, ..
        } = draft;
        self.position = position;
        let view = View::new(self.position.clone(), self.clock, &self.shared.identity);
        let height = view.height();
        self.shared.view.store(Arc::new(view));
        self.gauge();
        let tell = |text: String| {
            // Fails when nobody listens.
            let _ = self.shared.frames.send(Utf8Bytes::from(text));
        };
        for row in &batch.rows {
            let line = &row.recorded.line;
            tell(format!(
                "{{\"type\":\"entry\",\"line\":{line},\"height\":{height}}}"
            ));
        }
        for published in &batch.notices {
            let notice = serde_json::to_string(&published.notice).unwrap_or_default();
            tell(format!("{{\"type\":\"notice\",\"notice\":{notice}}}"));
        }
        Ok(())
    }

    fn failed(&mut self, error: &StorageError) {
        self.broken = true;
        self.metrics.storage_errors.inc();
        tracing::error!(%error, "the ledger is not written");
    }

    /// After a failure: what is on disk decides.
    fn recover(&mut self) -> Result<(), StorageError> {
        if !self.broken {
            return Ok(());
        }
        let position = match load::load(&self.shared.store) {
            Ok(position) => position,
            Err(load::LoadError::Storage(error)) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "the ledger on disk is damaged");
                return Err(StorageError::Unreadable("a ledger"));
            }
        };
        let offset = self.shared.store.meta()?.offset;
        let state = position.ledger.state();
        self.clock = self.clock.with_offset(state, offset);
        self.shared.view.store(Arc::new(View::new(
            position.clone(),
            self.clock,
            &self.shared.identity,
        )));
        self.position = position;
        self.broken = false;
        Ok(())
    }

    fn gauge(&self) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (ledger, metrics) = (&self.position.ledger, &self.metrics.ledger);
        metrics.entries.set(gauge(ledger.len()));
        metrics.height.set(gauge(ledger.state().height));
    }
}

enum Outcome {
    New(Recorded),
    /// The same request was recorded before.
    Known(Recorded),
    Refused(LedgerError),
}

/// The account of a coordinator's identity.
#[must_use]
pub fn account(identity: &Identity) -> AccountId {
    AccountId(identity.id().0)
}
