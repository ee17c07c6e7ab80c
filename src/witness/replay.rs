//! Fetching and recomputing: the rounds in order, the checkpoint that newcomers are offered, then the ledger.
//!
//! What a reader would get wrong: asking again tells a broken line from a broken promise. A blob's name is
//! its hash, so one that is not what its name says is asked for [`TRIES`] times before it is a finding;
//! a server that does not answer is never one.

use std::cell::Cell;

use covey_compression::ModelCodec;
use covey_ledger::{Ledger, journal::Line};
use covey_protocol::{
    Hash, Round,
    http::RunInfo,
    ledger::LedgerHead,
    packet::HEADER_LEN,
    record::SignedRecord,
    witness::{Equivocation, Place},
};
use covey_training::{TrainingError, init::initial_weights, outer};
use covey_witness::{Chain, Finding, books, kept::Kept, recomputed, update_limit};

use super::view::{Show, State};
use crate::contributor::{
    client::{Client, ClientError},
    platform::{now_ms, sleep},
    store::Store,
};

/// Times a blob is asked for before what is served counts.
const TRIES: usize = 3;
/// Milliseconds of work between two looks at the page's wishes.
const BREATH_MS: f64 = 100.0;
/// Milliseconds between two saves of a long replay.
const SAVE_MS: f64 = 30_000.0;

/// Why a look at the run ended early.
pub enum Halt {
    /// The coordinator does not answer as one should; it may do so later.
    Unreachable(String),
    /// This run is not for a tab.
    Refused(String),
    /// Recomputed, and not so. Final.
    Finding(Finding),
    Stopped,
}

impl From<ClientError> for Halt {
    fn from(error: ClientError) -> Self {
        let words = error.to_string();
        let mut letters = words.chars();
        let first = letters.next().map(|c| c.to_uppercase().to_string());
        Self::Unreachable(first.unwrap_or_default() + letters.as_str())
    }
}

impl From<Finding> for Halt {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// What is agreed so far.
pub struct Replay {
    codec: ModelCodec,
    pub kept: Kept,
    /// The ledger, replayed anew in every visit.
    pub books: Option<Ledger>,
    /// Hash of the last entry in `books`.
    last_entry: Option<Hash>,
    /// The bytes of the checkpoint were compared in this visit.
    whole_checkpoint: bool,
    /// How often it was kept, and the round and time of the last.
    saves: u64,
    saved: (Round, f64),
    /// Two records for one round, once they were met.
    pub proof: Option<String>,
}

impl Replay {
    /// Goes on from what was kept, or begins with the weights of the run's seed.
    ///
    /// # Errors
    /// When the run's model cannot be compressed.
    pub fn begin(info: &RunInfo, kept: Option<Kept>) -> Result<Self, TrainingError> {
        let spec = &info.spec;
        let kept = kept.unwrap_or_else(|| {
            let weights = initial_weights(&spec.seed, &spec.model);
            Kept::begin(info.run, info.coordinator, weights)
        });
        Ok(Self {
            codec: outer::codec(spec)?,
            saved: (kept.chain.round, now_ms()),
            kept,
            books: None,
            last_entry: None,
            whole_checkpoint: false,
            saves: 0,
            proof: None,
        })
    }

    /// The run and its coordinator are those of the first contact, or come from them, and the last agreed
    /// record is still the one that is served.
    pub async fn same_run(&mut self, client: &Client, info: &RunInfo) -> Result<(), Halt> {
        let (round, known) = (self.kept.chain.round.0, self.kept.coordinator);
        if info.run != self.kept.chain.run {
            let words = format!("Another run is served there, {}", info.run);
            return Err(Halt::Unreachable(words));
        }
        let handover = |found: String| Finding::new(Place::Handover, round, known, found);
        info.check_handovers()
            .map_err(|error| handover(error.to_string()))?;
        if !info.descends_from(&known) {
            return Err(handover(info.coordinator.to_string()).into());
        }
        let Some(last) = self.kept.last.clone() else {
            return Ok(());
        };
        let round = last.record.round;
        let served = client.served_records(round).await?.into_iter().next();
        let served = served.filter(|signed| signed.record.round == round);
        let served = served.ok_or_else(|| {
            // A mirror that is behind, or a restored backup: what was agreed is not shown to be wrong.
            Halt::Unreachable(format!(
                "There is no record of round {round}, which is agreed"
            ))
        })?;
        if let Err(finding) = Chain::same(&last, &served, &known, &info.signer(round)) {
            if finding.place == Place::Equivocation {
                let proof = Equivocation {
                    coordinator: known,
                    first: last,
                    second: served,
                };
                self.proof = serde_json::to_string(&proof).ok();
            }
            return Err(finding.into());
        }
        self.kept.coordinator = info.signer(round);
        Ok(())
    }

    /// Takes in every record there is.
    pub async fn rounds(
        &mut self,
        client: &Client,
        info: &RunInfo,
        show: &Show,
        stopping: &Cell<bool>,
        store: &Store,
    ) -> Result<(), Halt> {
        loop {
            let records = client.served_records(self.kept.chain.round).await?;
            if records.is_empty() {
                return Ok(());
            }
            for signed in records {
                if stopping.get() {
                    return Err(Halt::Stopped);
                }
                self.take(client, info, &signed).await?;
                show.change(|view| {
                    view.round = self.kept.chain.round;
                    view.rounds = info.round.max(self.kept.chain.round);
                    view.theta = Some(self.kept.chain.theta);
                    view.packets += signed.record.contributions.len() as u64;
                    view.bytes = client.received();
                });
                show.enter(
                    State::Rounds,
                    format!("Recomputed round {}.", signed.record.round),
                );
                sleep(0.0).await;
                if now_ms() - self.saved.1 > SAVE_MS
                    && let Err(error) = self.keep(store).await
                {
                    log::warn!("how far the run is recomputed was not kept: {error}");
                }
            }
        }
    }

    async fn take(
        &mut self,
        client: &Client,
        info: &RunInfo,
        signed: &SignedRecord,
    ) -> Result<(), Halt> {
        let record = &signed.record;
        let by = info.signer(self.kept.chain.round);
        self.kept.chain.check(signed, &by)?;
        let update = match record.update {
            None => None,
            Some(name) => Some(
                self.update(client, record.round, name, record.update_len)
                    .await?,
            ),
        };
        let (spec, theta) = (&info.spec, &mut self.kept.weights);
        outer::apply_record(spec, &self.codec, theta, record, update.as_deref())
            .map_err(|error| recomputed(record, &error))?;
        self.kept.agree(signed);
        self.kept.coordinator = by;
        Ok(())
    }

    async fn update(
        &self,
        client: &Client,
        round: Round,
        name: Hash,
        len: u64,
    ) -> Result<Vec<u8>, Halt> {
        let limit = update_limit(HEADER_LEN + self.codec.payload_len());
        let finding = |found: String| Finding::new(Place::Update, round.0, name, found);
        if len > limit as u64 {
            return Err(finding(format!("{len} bytes, more than a merge can have")).into());
        }
        let exact = |bytes: &[u8]| bytes.len() as u64 == len;
        served(client, &name, limit, exact, false)
            .await?
            .map_err(|found| finding(found).into())
    }

    /// Whether the checkpoint that newcomers are given is the weights of its round; once a visit, its bytes
    /// as well.
    pub async fn checkpoint(&mut self, client: &Client, info: &RunInfo) -> Result<(), Halt> {
        let offered = info.checkpoint;
        let Some(ours) = self.kept.thetas.get(&offered.round).copied() else {
            // Newer than what is agreed, or older than what is kept of it.
            return Ok(());
        };
        let finding = |found: String| Finding::new(Place::Checkpoint, offered.round.0, ours, found);
        if offered.theta != ours {
            return Err(finding(offered.theta.to_string()).into());
        }
        if self.whole_checkpoint {
            return Ok(());
        }
        let limit = self.kept.weights.len().saturating_mul(4);
        // One that is not there has been replaced by a newer one since.
        served(client, &ours, limit, |_| true, true)
            .await?
            .map_err(finding)?;
        self.whole_checkpoint = true;
        Ok(())
    }

    /// Replays the ledger up to an end that the coordinator signed before the rounds were looked at.
    pub async fn ledger(
        &mut self,
        client: &Client,
        info: &RunInfo,
        head: &LedgerHead,
        show: &Show,
        stopping: &Cell<bool>,
    ) -> Result<(), Halt> {
        books::signed_end(head, info)?;
        let mut breath = now_ms();
        loop {
            let from = self.books.as_ref().map_or(0, Ledger::len);
            if from >= head.entries {
                break;
            }
            let text = client.entries(from).await?;
            let left = usize::try_from(head.entries - from).unwrap_or(usize::MAX);
            let mut lines = text.lines().take(left).peekable();
            if lines.peek().is_none() {
                let words = format!("Entry {from} of the ledger is signed for and not served");
                return Err(Halt::Unreachable(words));
            }
            for text in lines {
                self.entry(text, info)?;
                if now_ms() - breath > BREATH_MS {
                    let entries = self.books.as_ref().map_or(0, Ledger::len);
                    show.change(|view| {
                        view.entries = entries;
                        view.entries_of = head.entries;
                        view.bytes = client.received();
                    });
                    show.enter(
                        State::Ledger,
                        format!("Replayed entry {entries} of the ledger."),
                    );
                    sleep(0.0).await;
                    breath = now_ms();
                    if stopping.get() {
                        return Err(Halt::Stopped);
                    }
                }
            }
        }
        let entries = self.books.as_ref().map_or(0, Ledger::len);
        show.change(|view| (view.entries, view.entries_of) = (entries, head.entries));
        // An end with fewer entries is an older copy's. It was held against this journal when it was new.
        if head.entries == entries {
            books::same_end(head, self.last_entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, text: &str, info: &RunInfo) -> Result<(), Finding> {
        let Some(ledger) = &mut self.books else {
            let (ledger, line) = books::founded(text, &info.run)?;
            self.last_entry = Some(line.hash);
            self.books = Some(ledger);
            return Ok(());
        };
        let index = ledger.len();
        let line = Line::parse(text, index).map_err(|error| books::broken(index, &error))?;
        let volunteers = &self.kept.chain.volunteers;
        books::payment(&line, books::owner(ledger), info, volunteers)?;
        let applied = ledger.replay(&line.entry);
        let applied = applied.map_err(|error| books::broken(index, &error))?;
        if applied.hash != line.hash {
            let (place, ours) = (Place::LedgerEntry, applied.hash);
            return Err(Finding::new(place, index, ours, line.hash));
        }
        self.last_entry = Some(applied.hash);
        Ok(())
    }

    /// Keeps how far it is, if that is further than the last time.
    ///
    /// # Errors
    /// When the browser refuses.
    pub async fn keep(&mut self, store: &Store) -> Result<(), String> {
        if self.saved.0 == self.kept.chain.round {
            return Ok(());
        }
        self.saved.1 = now_ms();
        store.keep_witnessed(&self.kept, self.saves).await?;
        self.saves += 1;
        self.saved.0 = self.kept.chain.round;
        Ok(())
    }
}

/// The bytes under a name, or what is served in their place. With `may_go`, nothing is as good.
async fn served(
    client: &Client,
    name: &Hash,
    limit: usize,
    fits: impl Fn(&[u8]) -> bool,
    may_go: bool,
) -> Result<Result<Vec<u8>, String>, Halt> {
    let mut found = String::new();
    for _ in 0..TRIES {
        match client.served_blob(name, limit).await {
            Ok(bytes) if Hash::of(&bytes) == *name && fits(&bytes) => return Ok(Ok(bytes)),
            Ok(bytes) if Hash::of(&bytes) == *name => {
                found = format!("{} bytes, which is another length", bytes.len());
            }
            Ok(bytes) => found = Hash::of(&bytes).to_string(),
            Err(error) if error.not_found() && may_go => return Ok(Ok(Vec::new())),
            Err(error) if error.not_found() => found = "nothing is served".into(),
            // Longer than it may be.
            Err(ClientError::Invalid(reason)) => found = reason,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Err(found))
}
