//! The assessment as a job beside the actor, and what the actor does with its outcome.
//!
//! The book of scores moves with the rounds: a verdict is held until the round's record is written, in
//! the same transaction, and only then becomes the book that everyone reads. A round that went on
//! without its assessment leaves the book as it was.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use covey_compression::SparseUpdate;
use covey_protocol::{
    Hash, Round, VolunteerId,
    corpus::{Manifest, decode_shard},
    http::{Score, Scores},
    update,
};
use covey_rounds::{Acceptance, Event, Pair, Phase};
use covey_scoring::{Book, Rules, Standing};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    Coordinator,
    jobs::{Jobs, Outcome},
};
use crate::{
    assessment::{Assessment, Closed, Received, exclusions, screened_out},
    engine::{Engine, Weights},
    metrics::seconds,
    storage::{BlobSource, Blobs, Journal, StorageError, blocking},
};

/// Share of its time that an assessment may spend trying packets; the rest is for what comes before and
/// after.
const TRIAL_SHARE: f64 = 0.8;

/// What the actor needs to have rounds assessed.
#[derive(Clone)]
pub struct Assessing {
    pub assessment: Arc<Assessment>,
    pub corpus: Arc<dyn BlobSource>,
    pub manifest: Arc<Manifest>,
    /// Whether packets are tried on the model, or only checked.
    pub trials: bool,
    /// Time the rounds wait.
    pub bound: Duration,
    /// Set when the coordinator stops: no further packet is tried.
    pub stopping: Arc<AtomicBool>,
}

/// A round to assess, as the machine names it.
pub(super) struct Task {
    pub round: Round,
    pub seed: Hash,
    pub probe: Hash,
    pub packets: Vec<Acceptance>,
    pub missing: Vec<VolunteerId>,
    pub replicas: Vec<Pair>,
}

/// Everything about a round that was read back for its assessment.
struct Field {
    task: Task,
    theta: Weights,
    received: Vec<Received>,
    last_round: Vec<SparseUpdate>,
}

impl Field {
    fn closed(&self) -> Closed<'_> {
        Closed {
            round: self.task.round,
            seed: self.task.seed,
            probe: self.task.probe,
            theta: &self.theta,
            packets: &self.received,
            missing: &self.task.missing,
            last_round: &self.last_round,
            replicas: &self.task.replicas,
        }
    }
}

impl Coordinator {
    pub(super) fn assess(&mut self, task: Task) {
        self.unassessed = Some(task.round);
        self.judged = None;
        self.jobs.assess(
            self.assessing.clone(),
            self.engine.clone(),
            Arc::clone(&self.weights),
            Arc::clone(&self.book),
            task,
        );
    }

    /// The verdict of an assessment, unless the round has gone on without it. A coordinator that stops
    /// leaves the round to its successor, which has the packets and the time.
    pub(super) fn assessed(&mut self, book: Book, event: Event) {
        if self.stopped.is_some() {
            return;
        }
        let waiting = matches!(self.machine.phase(), Phase::Assessing { .. });
        let ours =
            matches!(&event, Event::Assessed { round, .. } if *round == self.machine.round());
        if waiting && ours {
            self.judged = Some(Arc::new(book));
            self.unassessed = None;
        }
        self.step(event);
    }

    /// The round is being merged or recorded: was it assessed?
    pub(super) fn note_unassessed(&mut self) {
        if let Some(round) = self.unassessed.take() {
            self.metrics.unassessed.inc();
            tracing::warn!(%round, "round goes on with the fast checks only");
        }
    }

    /// The record is durable, and the book with it.
    pub(super) fn turn_page(&mut self) {
        if let Some(book) = self.judged.take() {
            self.book = book;
            let scores = scores(
                &self.book,
                self.assessing.assessment.rules(),
                self.machine.round(),
            );
            self.published.scores.store(Arc::new(scores));
        }
    }
}

/// The book as the API gives it.
pub(super) fn scores(book: &Book, rules: &Rules, round: Round) -> Scores {
    let standings = book.standings(rules).unwrap_or_else(|error| {
        tracing::error!(%error, "the book cannot be divided");
        Vec::new()
    });
    let score = |standing: Standing| Score {
        volunteer: standing.volunteer,
        mu: standing.rating.mu,
        sigma: standing.rating.sigma,
        computation: standing.computation,
        score: standing.score,
        weight: standing.weight,
        merged: standing.merged,
        excluded: standing.excluded,
        last: standing.last,
        banned_until: standing.banned_until,
        idle: standing.idle,
    };
    Scores {
        round,
        volunteers: standings.into_iter().map(score).collect(),
    }
}

impl Jobs {
    fn assess(
        &mut self,
        assessing: Assessing,
        engine: Engine,
        theta: Weights,
        book: Arc<Book>,
        task: Task,
    ) {
        let (journal, blobs) = (Arc::clone(&self.journal), Arc::clone(&self.blobs));
        let (metrics, meanwhile) = (Arc::clone(&self.metrics), self.outcomes.clone());
        self.start(async move {
            let (round, started) = (task.round, Instant::now());
            let read = read(&journal, &*blobs, &engine, theta, task).await;
            let result = match read {
                Ok(field) => assessing.run(field, &book, started, &meanwhile).await,
                Err(error) => Err(error),
            };
            metrics.assess_seconds.observe(seconds(started.elapsed()));
            match result {
                Ok((book, event)) => Outcome::Assessed { book, event },
                Err(error) => {
                    tracing::error!(%round, error, "assessment failed");
                    Outcome::Event(Event::AssessFailed { round })
                }
            }
        });
    }
}

/// The round's packets, and what was merged in the round before.
async fn read(
    journal: &Arc<dyn Journal>,
    blobs: &dyn Blobs,
    engine: &Engine,
    theta: Weights,
    task: Task,
) -> Result<Field, String> {
    let words = |error: StorageError| error.to_string();
    let (source, decoder, round) = (Arc::clone(journal), engine.clone(), task.round);
    let packets = task.packets.clone();
    let work = move || {
        let mut received = Vec::with_capacity(packets.len());
        for acceptance in packets {
            let sealed = source
                .packet(round, acceptance.volunteer)?
                .filter(|bytes| Hash::of(bytes) == acceptance.packet)
                .ok_or(StorageError::Unreadable("an accepted packet"))?;
            let opened = Received::open(&decoder, acceptance, &sealed)
                .map_err(|_| StorageError::Unreadable("an accepted packet"))?;
            received.push(opened);
        }
        let before = match round.0.checked_sub(1) {
            Some(last) => source.records(Round(last), 1)?.pop(),
            None => None,
        };
        Ok((received, before.and_then(|signed| signed.record.update)))
    };
    let (received, last) = blocking(work).await.map_err(words)?;
    let last = match last {
        Some(name) => blobs.get(&name).await.map_err(words)?,
        None => None,
    };
    let decoder = engine.clone();
    let decode = move || {
        let packets = last.as_deref().map_or(Ok(Vec::new()), update::decode);
        // Without it copies of the last round go unnoticed, and nothing worse.
        Ok(packets
            .unwrap_or_default()
            .iter()
            .filter_map(|packet| decoder.codec().decode(packet.payload).ok())
            .collect())
    };
    Ok(Field {
        last_round: blocking(decode).await.map_err(words)?,
        task,
        theta,
        received,
    })
}

impl Assessing {
    async fn run(
        &self,
        field: Field,
        book: &Arc<Book>,
        started: Instant,
        meanwhile: &mpsc::Sender<Outcome>,
    ) -> Result<(Book, Event), String> {
        let (this, before) = (self.clone(), Arc::clone(book));
        let work = move || {
            let screened = this.assessment.screen(&before, &field.closed());
            let replicas = field.closed().compare();
            Ok((field, screened, replicas))
        };
        let (field, screened, replicas) =
            blocking(work).await.map_err(|error| error.to_string())?;
        let round = field.task.round;
        let excluded = screened_out(&field.closed(), &screened);
        let checked = Event::Checked {
            round,
            excluded,
            replicas: replicas.clone(),
        };
        let _ = meanwhile.send(Outcome::Meanwhile(checked)).await;

        let tokens = if self.trials {
            let shards = self.assessment.shards(&field.closed(), &screened);
            let shards = shards.map_err(|error| error.to_string())?;
            self.tokens(shards.into_iter().collect()).await?
        } else {
            BTreeMap::new()
        };
        let (this, mut book) = (self.clone(), Book::clone(book));
        let (runtime, until) = (Handle::current(), started + self.bound.mul_f64(TRIAL_SHARE));
        let work = move || {
            let closed = field.closed();
            let evaluations = if this.trials {
                let stopping = &this.stopping;
                let go_on = || Instant::now() < until && !stopping.load(Ordering::Relaxed);
                let trials = this
                    .assessment
                    .measure(&book, &closed, &screened, &tokens, go_on);
                let tried = runtime.block_on(trials);
                tried.map_err(|error| StorageError::Task(error.to_string()))?
            } else {
                BTreeMap::new()
            };
            tracing::debug!(%round, packets = closed.packets.len(), tried = evaluations.len(), "tried");
            let verdicts = this
                .assessment
                .conclude(&mut book, &closed, &screened, &evaluations);
            let excluded = exclusions(&closed, &verdicts);
            let event = Event::Assessed {
                round,
                excluded,
                replicas,
            };
            Ok((book, event))
        };
        blocking(work).await.map_err(|error| error.to_string())
    }

    async fn tokens(&self, shards: Vec<usize>) -> Result<BTreeMap<usize, Vec<u16>>, String> {
        let mut tokens = BTreeMap::new();
        for number in shards {
            let shard = self.manifest.train.get(number);
            let shard = shard.ok_or_else(|| format!("there is no shard {number}"))?;
            let bytes = self.corpus.get(&shard.hash).await;
            let bytes = bytes
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("the shard {} is missing or damaged", shard.hash))?;
            let decoded = decode_shard(shard, self.manifest.vocabulary_size, &bytes);
            tokens.insert(number, decoded.map_err(|error| error.to_string())?);
        }
        Ok(tokens)
    }
}
