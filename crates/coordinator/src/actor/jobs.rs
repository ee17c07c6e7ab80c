//! Work for disk and processor, done beside the actor. Every job ends in exactly one [`Outcome`], and may
//! send one more before.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use covey_protocol::{
    Hash, Round,
    http::HeldOut,
    record::{Checkpoint, SignedRecord},
    update, weights,
};
use covey_rounds::{Acceptance, Event, Pledge};
use covey_scoring::Book;
use tokio::sync::mpsc;

use crate::{
    engine::{Engine, Weights},
    metrics::{Metrics, seconds},
    storage::{Blobs, Journal, StorageError, blocking},
};

/// Outcomes that may wait for the actor. Jobs wait when there are more, which cannot deadlock: the actor
/// never waits for a job.
const OUTCOMES: usize = 256;

/// How a job ended.
pub(super) enum Outcome {
    /// An event for the machine.
    Event(Event),
    /// The merge's result, and its event.
    Merged { theta: Weights, event: Event },
    /// A checkpoint is durable, and these older ones are gone.
    Checkpointed {
        checkpoint: Checkpoint,
        removed: Vec<Round>,
    },
    /// The verdicts on a round's packets, and the book they are written into.
    Assessed { book: Book, event: Event },
    /// News of a job that goes on.
    Meanwhile(Event),
    /// Something that nothing waits for.
    Done,
}

/// Starts jobs and counts those that are open.
pub(super) struct Jobs {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) outcomes: mpsc::Sender<Outcome>,
    open: usize,
}

impl Jobs {
    pub fn new(
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn Blobs>,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::Receiver<Outcome>) {
        let (outcomes, receiver) = mpsc::channel(OUTCOMES);
        let this = Self {
            journal,
            blobs,
            metrics,
            outcomes,
            open: 0,
        };
        (this, receiver)
    }

    pub fn open(&self) -> usize {
        self.open
    }

    /// An outcome has arrived.
    pub fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn start(&mut self, job: impl Future<Output = Outcome> + Send + 'static) {
        self.open += 1;
        let outcomes = self.outcomes.clone();
        tokio::spawn(async move {
            // The actor outlives its jobs unless the process is going down.
            let _ = outcomes.send(job.await).await;
        });
    }

    /// Makes a commitment durable.
    pub fn pledge(&mut self, pledge: Pledge) {
        let (journal, metrics) = (Arc::clone(&self.journal), Arc::clone(&self.metrics));
        self.start(async move {
            let (volunteer, packet) = (pledge.commitment.volunteer, pledge.commitment.packet);
            Outcome::Event(match blocking(move || journal.commit(&pledge)).await {
                Ok(()) => Event::Pledged { volunteer, packet },
                Err(error) => {
                    failed(&metrics, "commitment", &error);
                    Event::PledgeFailed { volunteer, packet }
                }
            })
        });
    }

    /// Makes a packet and its acceptance durable.
    pub fn store(&mut self, acceptance: Acceptance, sealed: Bytes) {
        let (journal, metrics) = (Arc::clone(&self.journal), Arc::clone(&self.metrics));
        self.start(async move {
            let (volunteer, packet) = (acceptance.volunteer, acceptance.packet);
            let started = Instant::now();
            let stored = blocking(move || journal.accept(&acceptance, &sealed)).await;
            metrics.store_seconds.observe(seconds(started.elapsed()));
            Outcome::Event(match stored {
                Ok(()) => Event::Stored { volunteer, packet },
                Err(error) => {
                    failed(&metrics, "packet", &error);
                    Event::StoreFailed { volunteer, packet }
                }
            })
        });
    }

    /// Merges a round's packets into the next weights and makes the update durable.
    pub fn merge(
        &mut self,
        engine: Engine,
        base: Weights,
        round: Round,
        base_hash: Hash,
        packets: Vec<Acceptance>,
    ) {
        let (journal, blobs) = (Arc::clone(&self.journal), Arc::clone(&self.blobs));
        let metrics = Arc::clone(&self.metrics);
        self.start(async move {
            let started = Instant::now();
            let work = move || merge(&*journal, &engine, &base, round, &base_hash, &packets);
            let merged = match blocking(work).await {
                Ok(merged) => blobs
                    .put(merged.update.clone())
                    .await
                    .map(|update| (merged, update)),
                Err(error) => Err(error),
            };
            metrics.merge_seconds.observe(seconds(started.elapsed()));
            match merged {
                Ok((merged, update)) => Outcome::Merged {
                    theta: merged.theta,
                    event: Event::Merged {
                        round,
                        theta_after: merged.hash,
                        update,
                        update_len: merged.update.len() as u64,
                    },
                },
                Err(error) => {
                    failed(&metrics, "merge", &error);
                    Outcome::Event(Event::MergeFailed { round })
                }
            }
        });
    }

    /// Makes a record and the book of scores durable.
    pub fn record(&mut self, record: Arc<SignedRecord>, book: Option<Arc<Book>>) {
        let (journal, metrics) = (Arc::clone(&self.journal), Arc::clone(&self.metrics));
        self.start(async move {
            let round = record.record.round;
            let work = move || {
                let book = book.map(|book| serde_json::to_vec(&*book)).transpose();
                let book = book.map_err(|error| StorageError::Task(error.to_string()))?;
                journal.record(&record, book.as_deref())
            };
            Outcome::Event(match blocking(work).await {
                Ok(()) => Event::Recorded { round },
                Err(error) => {
                    failed(&metrics, "record", &error);
                    Event::RecordFailed { round }
                }
            })
        });
    }

    /// Keeps weights as a checkpoint, then drops the oldest of `known` beyond `kept`.
    pub fn checkpoint(
        &mut self,
        round: Round,
        theta: Weights,
        mut known: Vec<Checkpoint>,
        kept: usize,
    ) {
        let (journal, blobs) = (Arc::clone(&self.journal), Arc::clone(&self.blobs));
        let metrics = Arc::clone(&self.metrics);
        self.start(async move {
            let keep = keep_checkpoint(&journal, &*blobs, round, theta).await;
            let checkpoint = match keep {
                Ok(checkpoint) => checkpoint,
                Err(error) => {
                    // The older one still serves; the next is due in a few rounds.
                    failed(&metrics, "checkpoint", &error);
                    return Outcome::Done;
                }
            };
            known.push(checkpoint);
            let excess = known.len().saturating_sub(kept);
            let (old, rest) = known.split_at(excess.min(known.len()));
            let mut removed = Vec::new();
            for checkpoint in old {
                match drop_checkpoint(&journal, &*blobs, *checkpoint, rest).await {
                    Ok(()) => removed.push(checkpoint.round),
                    Err(error) => failed(&metrics, "old checkpoint", &error),
                }
            }
            Outcome::Checkpointed {
                checkpoint,
                removed,
            }
        });
    }

    pub fn held_out(&mut self, held_out: HeldOut) {
        let (journal, metrics) = (Arc::clone(&self.journal), Arc::clone(&self.metrics));
        self.start(async move {
            if let Err(error) = blocking(move || journal.add_held_out(held_out)).await {
                failed(&metrics, "held-out loss", &error);
            }
            Outcome::Done
        });
    }
}

fn failed(metrics: &Metrics, what: &'static str, error: &StorageError) {
    metrics.storage_errors.inc();
    tracing::error!(what, %error, "storage failed");
}

struct Merged {
    theta: Weights,
    hash: Hash,
    update: Bytes,
}

fn merge(
    journal: &dyn Journal,
    engine: &Engine,
    base: &Weights,
    round: Round,
    base_hash: &Hash,
    packets: &[Acceptance],
) -> Result<Merged, StorageError> {
    let mut sealed = Vec::with_capacity(packets.len());
    for acceptance in packets {
        let bytes = journal
            .packet(round, acceptance.volunteer)?
            .filter(|bytes| Hash::of(bytes) == acceptance.packet)
            .ok_or(StorageError::Unreadable("an accepted packet"))?;
        sealed.push(bytes);
    }
    let update = Bytes::from(update::encode(&sealed));
    drop(sealed);
    let mut theta = base.as_ref().clone();
    let hash = engine
        .merge(&mut theta, round, base_hash, &update)
        .map_err(|error| StorageError::Task(error.to_string()))?;
    Ok(Merged {
        theta: Arc::new(theta),
        hash,
        update,
    })
}

/// Makes the blob durable, then its name.
pub(crate) async fn keep_checkpoint(
    journal: &Arc<dyn Journal>,
    blobs: &dyn Blobs,
    round: Round,
    theta: Weights,
) -> Result<Checkpoint, StorageError> {
    let bytes = blocking(move || Ok(Bytes::from(weights::to_bytes(&theta)))).await?;
    let len = bytes.len() as u64;
    let theta = blobs.put(bytes).await?;
    let checkpoint = Checkpoint { round, theta, len };
    let journal = Arc::clone(journal);
    blocking(move || journal.add_checkpoint(&checkpoint)).await?;
    Ok(checkpoint)
}

/// Forgets the name, then deletes the blob unless a kept checkpoint has the same weights.
async fn drop_checkpoint(
    journal: &Arc<dyn Journal>,
    blobs: &dyn Blobs,
    old: Checkpoint,
    kept: &[Checkpoint],
) -> Result<(), StorageError> {
    let journal = Arc::clone(journal);
    blocking(move || journal.remove_checkpoint(old.round)).await?;
    if kept.iter().all(|checkpoint| checkpoint.theta != old.theta) {
        blobs.delete(&old.theta).await?;
    }
    Ok(())
}
