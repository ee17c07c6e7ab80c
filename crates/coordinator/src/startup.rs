//! From a data directory to a running coordinator's state, the same way after the first start, a
//! graceful stop, and a crash.
//!
//! 1. The run's description, the keys and the journal are opened or created.
//! 2. The newest checkpoint whose blob is whole is loaded. If none is, the initial weights are computed
//!    from the run's seed, which is what the first checkpoint held.
//! 3. The records after it are replayed with the same checks a newcomer makes: the chain, the update's
//!    name, the packets' signatures, and the weights after each round.
//! 4. The acknowledged commitments and packets of the open round take their places again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use covey_protocol::{
    Hash, Round, VolunteerId,
    handover::{SignedHandover, signer},
    limits::MAX_RECORDS,
    record::{Checkpoint, RoundRecord, SignedRecord},
};
use covey_rounds::{Assessing, Quota, RoundsMachine, Settings, Snapshot, Trust};
use covey_scoring::Book;

use crate::{
    CoordinatorError,
    actor::{self, Initial, keep_checkpoint},
    assessment::Assessment,
    clock::Clock,
    config::Config,
    data_dir::DataDir,
    engine::{Engine, Weights},
    evaluation, handovers,
    run_file::{self, CorpusManifest},
    secret::Secrets,
    storage::{BlobSource, Blobs, Journal, LocalBlobs, RedbJournal, StorageError, blocking},
};

/// Rounds of acceptances and results the machine wants to remember.
const REMEMBERED_ROUNDS: u64 = 256;

/// Packets admitted beyond what a round may merge (Gauntlet's reserve), where packets are tried: without
/// trials there is nothing to choose by.
const RESERVE: u32 = 10;

/// Everything opened and rebuilt.
pub struct Started {
    pub initial: Initial,
    pub journal: Arc<dyn Journal>,
    pub blobs: Arc<dyn Blobs>,
    pub corpus: Arc<dyn BlobSource>,
    pub manifest: CorpusManifest,
}

/// Opens a data directory, creating what is missing, and rebuilds the run's state.
///
/// # Errors
/// What the operator has to change or repair.
pub async fn start(config: &Config) -> Result<Started, CoordinatorError> {
    let data = DataDir::create(&config.data_dir)?;
    if data.mirror().exists() {
        return Err(CoordinatorError::AMirror(data.root().to_owned()));
    }
    let corpus_dir = config.corpus_dir();
    let manifest = CorpusManifest::load(&corpus_dir)?;
    let corpus = LocalBlobs::read_only(&corpus_dir.join("blobs")).map_err(|error| {
        CoordinatorError::Corpus {
            path: corpus_dir.clone(),
            reason: error.to_string(),
        }
    })?;
    // The journal's lock comes first, so that two coordinators never both create a run.
    let path = data.journal();
    // The description is written once the journal is there. redb would make a new one in its place.
    let empty = std::fs::metadata(&path).map_or(true, |file| file.len() == 0);
    if empty && data.run().exists() {
        return Err(CoordinatorError::Lost { path });
    }
    let journal = RedbJournal::open(&path).map_err(CoordinatorError::database(&path))?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let spec = run_file::load_or_create(&data.run(), &config.run, &manifest, &corpus_dir)?;
    let secrets = Secrets::load_or_create(&data.key())?;
    let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(&data.blobs())?);
    blobs.put(Bytes::from(manifest.json.clone())).await?;
    let engine = Engine::new(spec)?;
    let coordinator = secrets.identity.id();
    let handovers = handovers::load(&data.handovers(), &engine.run(), &coordinator)?;
    tracing::info!(
        run = %engine.run(),
        name = engine.spec().name,
        parameters = engine.spec().model.parameters(),
        coordinator = %secrets.identity.id(),
        data_dir = %data.root().display(),
        "run opened"
    );

    let Position {
        round,
        weights,
        base,
        checkpoints,
    } = rebuild(&engine, &handovers, coordinator, &journal, &*blobs).await?;

    let replication = config.replication.rules();
    let snapshot = snapshot(&journal, round, base, replication.quota).await?;
    let settings = Settings {
        replication,
        run: engine.run(),
        rounds: engine.spec().rounds.clone(),
        seed_key: secrets.seed_key,
        max_members: config.limits.connections,
        assessing: Some(Assessing {
            bound_ms: assess_seconds(config).saturating_mul(1000),
            reserve: if config.assess_sequences > 0 {
                RESERVE
            } else {
                0
            },
        }),
    };
    let clock = Clock::start();
    tracing::info!(
        %round,
        theta = %base,
        acknowledged = snapshot.packets.len(),
        "state rebuilt"
    );
    let (machine, effects) = RoundsMachine::recover(settings, snapshot, clock.now_ms());
    let held_out = read(&journal, |journal| journal.held_out()).await?;
    let corpus: Arc<dyn BlobSource> = Arc::new(corpus);
    let assessing = assessing(config, &engine, &manifest, &corpus).await?;
    let book = book(&journal).await?;
    Ok(Started {
        initial: Initial {
            engine,
            identity: secrets.identity,
            machine,
            effects,
            weights,
            checkpoints,
            checkpoints_kept: config.checkpoints_kept,
            held_out,
            unigram_entropy: manifest.manifest.unigram_entropy,
            handovers,
            clock,
            assessing,
            book,
        },
        journal,
        blobs,
        corpus,
        manifest,
    })
}

/// What rounds are assessed with.
async fn assessing(
    config: &Config,
    engine: &Engine,
    manifest: &CorpusManifest,
    corpus: &Arc<dyn BlobSource>,
) -> Result<actor::Assessing, CoordinatorError> {
    let trials = config.assess_sequences > 0;
    let manifest = &manifest.manifest;
    let held_out = if trials {
        evaluation::held_out_tokens(manifest, &**corpus)
            .await
            .map_err(|reason| CoordinatorError::Corpus {
                path: config.corpus_dir(),
                reason,
            })?
    } else {
        Vec::new()
    };
    let sequences = config.assess_sequences;
    let assessment = Assessment::new(engine, manifest.clone(), held_out, sequences);
    Ok(actor::Assessing {
        assessment: Arc::new(assessment),
        corpus: Arc::clone(corpus),
        manifest: Arc::new(manifest.clone()),
        trials,
        bound: Duration::from_secs(assess_seconds(config)),
        stopping: Arc::default(),
    })
}

/// Beyond an hour a round would rather seem to hang.
fn assess_seconds(config: &Config) -> u64 {
    config.assess_seconds.min(3600)
}

/// The book of scores, or an empty one for a run that has none yet.
async fn book(journal: &Arc<dyn Journal>) -> Result<Book, CoordinatorError> {
    let Some(bytes) = read(journal, |journal| journal.book()).await? else {
        return Ok(Book::default());
    };
    serde_json::from_slice(&bytes).or_else(|error| {
        // Scores can be earned again; a run that does not start cannot.
        tracing::error!(%error, "the book of scores cannot be read; it starts over");
        Ok(Book::default())
    })
}

async fn read<T: Send + 'static>(
    journal: &Arc<dyn Journal>,
    call: impl FnOnce(&dyn Journal) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let journal = Arc::clone(journal);
    blocking(move || call(&*journal)).await
}

/// The newest checkpoint that can be read, else the run's initial weights. Checkpoints that cannot be
/// read are taken off the list, so that none is offered to a newcomer.
async fn newest_weights(
    engine: &Engine,
    blobs: &dyn Blobs,
    checkpoints: &mut Vec<Checkpoint>,
) -> Result<(Round, Vec<f32>), CoordinatorError> {
    while let Some(checkpoint) = checkpoints.last().copied() {
        let blob = blobs.get(&checkpoint.theta).await?;
        let whole = blob.map(|bytes| engine.from_checkpoint(&checkpoint.theta, &bytes));
        match whole {
            Some(Ok(weights)) => return Ok((checkpoint.round, weights)),
            Some(Err(error)) => {
                tracing::error!(round = %checkpoint.round, %error, "checkpoint is damaged");
            }
            None => {
                tracing::error!(round = %checkpoint.round, "checkpoint is missing or damaged");
            }
        }
        checkpoints.pop();
    }
    let engine = engine.clone();
    let weights = blocking(move || Ok(engine.initial_weights())).await?;
    Ok((Round(0), weights))
}

/// From a journal and its blobs to the open round, checking all of it. A checkpoint is kept if there was
/// none.
///
/// # Errors
/// The first record or update that is not what it should be.
pub async fn rebuild(
    engine: &Engine,
    handovers: &[SignedHandover],
    coordinator: VolunteerId,
    journal: &Arc<dyn Journal>,
    blobs: &dyn Blobs,
) -> Result<Position, CoordinatorError> {
    let mut checkpoints = read(journal, |journal| journal.checkpoints()).await?;
    let (from, weights) = newest_weights(engine, blobs, &mut checkpoints).await?;
    let replay = Replay {
        engine,
        handovers,
        coordinator,
        journal,
        blobs,
    };
    let mut position = replay.run(from, weights).await?;
    if checkpoints.is_empty() {
        let weights = Arc::clone(&position.weights);
        checkpoints.push(keep_checkpoint(journal, blobs, position.round, weights).await?);
    }
    position.checkpoints = checkpoints;
    Ok(position)
}

struct Replay<'a> {
    engine: &'a Engine,
    handovers: &'a [SignedHandover],
    coordinator: VolunteerId,
    journal: &'a Arc<dyn Journal>,
    blobs: &'a dyn Blobs,
}

/// Where a replay arrived: the open round and its base.
pub struct Position {
    pub round: Round,
    pub weights: Weights,
    pub base: Hash,
    /// Oldest first; at least one.
    pub checkpoints: Vec<Checkpoint>,
}

impl Replay<'_> {
    async fn run(&self, from: Round, weights: Vec<f32>) -> Result<Position, CoordinatorError> {
        let (mut round, mut weights) = (from, weights);
        let mut base = Hash::of_weights(&weights);
        let before = match from.0.checked_sub(1) {
            None => None,
            Some(last) => {
                let record = self.records(Round(last), 1).await?.into_iter().next();
                record.map(|signed| signed.record)
            }
        };
        if from.0 > 0 && before.as_ref().map(|record| record.theta_after) != Some(base) {
            return Err(chain(
                from,
                "the checkpoint is not what the last record says",
            ));
        }
        let mut previous = before.map(|record| record.hash());
        loop {
            let records = self.records(round, MAX_RECORDS).await?;
            if records.is_empty() {
                break;
            }
            for signed in records {
                self.check(&signed, round, &base, previous)?;
                weights = self.apply(signed.record.clone(), weights).await?;
                base = signed.record.theta_after;
                previous = Some(signed.record.hash());
                round = round.next();
            }
        }
        if round > from {
            tracing::info!(%from, to = %round, "records replayed");
        }
        Ok(Position {
            round,
            weights: Arc::new(weights),
            base,
            checkpoints: Vec::new(),
        })
    }

    async fn records(
        &self,
        from: Round,
        limit: usize,
    ) -> Result<Vec<SignedRecord>, CoordinatorError> {
        Ok(read(self.journal, move |journal| journal.records(from, limit)).await?)
    }

    fn check(
        &self,
        signed: &SignedRecord,
        round: Round,
        base: &Hash,
        previous: Option<Hash>,
    ) -> Result<(), CoordinatorError> {
        let record = signed
            .verify(&signer(self.handovers, &self.coordinator, round))
            .map_err(|error| chain(round, &error.to_string()))?;
        let problem = if record.round != round {
            "a record is missing"
        } else if record.previous != previous {
            "it names another predecessor"
        } else if record.base != *base {
            "it starts from other weights"
        } else {
            return Ok(());
        };
        Err(chain(round, problem))
    }

    async fn apply(
        &self,
        record: RoundRecord,
        mut weights: Vec<f32>,
    ) -> Result<Vec<f32>, CoordinatorError> {
        let round = record.round;
        let unusable = move |update: Hash, reason: String| CoordinatorError::Update {
            round,
            update,
            reason,
        };
        let bytes = match record.update {
            None => None,
            Some(update) => {
                let found = self.blobs.get(&update).await?;
                Some(found.ok_or_else(|| unusable(update, "no whole blob".into()))?)
            }
        };
        let engine = self.engine.clone();
        let work = move || {
            let result = engine.replay(&mut weights, &record, bytes.as_deref());
            Ok(result
                .map(|()| weights)
                .map_err(|error| (record.update.unwrap_or(record.base), error.to_string())))
        };
        blocking(work)
            .await?
            .map_err(|(update, reason)| unusable(update, reason))
    }
}

fn chain(round: Round, reason: &str) -> CoordinatorError {
    CoordinatorError::Chain {
        round,
        reason: reason.to_owned(),
    }
}

async fn snapshot(
    journal: &Arc<dyn Journal>,
    round: Round,
    base: Hash,
    quota: Quota,
) -> Result<Snapshot, StorageError> {
    read(journal, move |journal| {
        let first = Round(round.0.saturating_sub(REMEMBERED_ROUNDS));
        let limit = usize::try_from(REMEMBERED_ROUNDS).unwrap_or(usize::MAX);
        let (packets, receipts) = journal
            .acceptances(first)?
            .into_iter()
            .partition(|acceptance| acceptance.round == round);
        let records = journal.records(first, limit)?;
        let history = records
            .iter()
            .map(|signed| (signed.record.round, signed.record.theta_after))
            .collect();
        Ok(Snapshot {
            round,
            base,
            pledges: journal.commitments(round)?,
            trust: trust(journal, &quota)?,
            previous: records.last().map(|signed| signed.record.hash()),
            packets,
            receipts,
            history,
        })
    })
    .await
}

/// Everyone's standing: a fold over all records, a part of them in memory at a time.
fn trust(journal: &dyn Journal, quota: &Quota) -> Result<Trust, StorageError> {
    let (mut trust, mut next) = (Trust::default(), Round(0));
    loop {
        let records = journal.records(next, MAX_RECORDS)?;
        let Some(last) = records.last() else {
            return Ok(trust);
        };
        next = last.record.round.next();
        for signed in &records {
            trust.observe(quota, &signed.record);
        }
    }
}
