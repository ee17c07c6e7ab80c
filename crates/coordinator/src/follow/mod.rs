//! `covey-coordinator follow URL`: nobody has to believe a coordinator.
//!
//! 1. [`folder`]: a mirror's folder is a data directory like a coordinator's, with a note of what it
//!    follows. The corpus is copied into it.
//! 2. [`rounds`]: every record is checked and recomputed from the signed packets before it is kept.
//! 3. [`ledger`]: so is every entry of the ledger, with the hash of the state after each epoch.
//! 4. What came of it is a signed statement: shown here, and sent to the coordinator's page. The first
//!    disagreement is final; nothing that comes after it is looked at.
//! 5. With `--listen` the mirror serves what it agreed to, to whoever would rather not ask the coordinator.
//! 6. [`takeover`]: when the coordinator is gone or turned, the folder becomes the run's next one.
//!
//! What a reader would get wrong: a mirror never repairs or chooses. It keeps what it recomputed, in the
//! order in which it was signed, and stops at the first thing that is not so.
//!
//! `docs/witnesses.md` says what can be recomputed and what cannot.

pub mod client;
pub mod folder;
pub mod halt;
pub mod ledger;
pub mod rounds;
pub mod serve;
pub mod takeover;

use std::{
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;
use covey_protocol::{
    Hash, Identity, VolunteerId,
    http::{RunInfo, WITNESSES},
    limits::MAX_NAME,
    witness::{Place, SignedStatement, Statement, Verdict, WitnessKind},
};
use covey_witness::Finding;
use tokio::runtime::Handle;

use self::{
    client::Client,
    folder::{Folder, read_json},
    halt::Halt,
    ledger::Replayed,
    rounds::Rounds,
    serve::Serving,
};
use crate::{
    CoordinatorError,
    config::Config,
    data_dir::DataDir,
    ledger::store::Store,
    secret::Secrets,
    shutdown::Stop,
    storage::{Blobs, Journal, LocalBlobs, RedbJournal},
};

/// Looks at a coordinator that does not answer before giving up, where giving up is the way to say so.
const TRIES: u32 = 3;
/// Longest wait for one that does not answer.
const LONGEST: Duration = Duration::from_secs(120);
/// The bytes of a checkpoint are fetched this often; its name is compared every time.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(3600);

/// How to follow.
#[derive(Args, Clone, Debug)]
pub struct FollowArgs {
    /// Address of the coordinator, or of another mirror
    pub url: String,
    /// Serve the mirror at this address; without it nothing is served
    #[arg(long = "listen", value_name = "HOST:PORT", id = "mirror_listen")]
    pub listen: Option<String>,
    /// How this witness is called on the run's page
    #[arg(
        long = "name",
        value_name = "NAME",
        id = "witness_name",
        default_value = ""
    )]
    pub name: String,
    /// The run that must be served there (its id)
    #[arg(long, value_name = "HASH")]
    pub run: Option<Hash>,
    /// The coordinator that must be there, now or before a handover (its key)
    #[arg(long, value_name = "KEY")]
    pub coordinator: Option<VolunteerId>,
    /// Another server of this run whose last record is held against this one; may be given again
    #[arg(long, value_name = "URL")]
    pub compare: Vec<String>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub every: u64,
    /// Catch up, say what came of it, and end
    #[arg(long)]
    pub once: bool,
}

/// Everything a follower has open.
pub struct Follower {
    client: Client,
    others: Vec<Client>,
    folder: Folder,
    identity: Identity,
    name: String,
    rounds: Rounds,
    store: Arc<Store>,
    ledger: Replayed,
    serving: Option<Serving>,
    whole_checkpoint: Option<Instant>,
    stated: Option<SignedStatement>,
    told: Option<SignedStatement>,
    runtime: Handle,
    stop: Stop,
}

/// Follows until told to stop, or once. Blocks.
///
/// # Errors
/// [`CoordinatorError::Disagreement`] after the first disagreement; else what the operator has to repair.
pub fn run(config: &Config, args: &FollowArgs, stop: Stop) -> Result<(), CoordinatorError> {
    if args.name.len() > MAX_NAME {
        let message = format!("--name is longer than {MAX_NAME} bytes");
        return Err(CoordinatorError::Config(message));
    }
    let url = |url: &String| {
        Client::new(url).map_err(|reason| CoordinatorError::Config(format!("{url}: {reason}")))
    };
    let client = url(&args.url)?;
    let others = args.compare.iter().map(url).collect::<Result<_, _>>()?;
    let runtime = Handle::current();
    let listener = args.listen.as_deref().map(|address| {
        // Bound first, so that a port in use is found before a long replay.
        runtime.block_on(crate::server::bind(address))
    });
    let listener = listener.transpose()?;
    let data = DataDir::create(&config.data_dir)?;
    let journal: Arc<dyn Journal>;
    let folder = match Folder::open(data.clone(), &client, args) {
        Ok(folder) => {
            // Its lock keeps a second follower out.
            journal = Arc::new(RedbJournal::open(&data.journal())?);
            folder
        }
        Err(halt) => return Err(ended(&args.url, halt)),
    };
    let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(&data.blobs())?);
    let identity = Secrets::load_or_create(&data.key())?.identity;
    let store = Arc::new(Store::open(&data.ledger())?);
    let ledger = Replayed::open(&store, folder.source.ledger.clone())?;
    let kept = config.checkpoints_kept;
    let rounds = Rounds::open(&folder, journal, blobs, kept, runtime.clone())
        .map_err(|halt| ended(&args.url, halt))?;
    tracing::info!(
        run = %folder.source.run,
        name = folder.spec.name,
        coordinator = %folder.source.coordinator,
        witness = %identity.id(),
        round = %rounds.chain.round,
        "following"
    );
    let mut follower = Follower {
        stated: read_json(&data.witness())?,
        serving: None,
        client,
        others,
        folder,
        identity,
        name: args.name.clone(),
        rounds,
        store,
        ledger,
        whole_checkpoint: None,
        told: None,
        runtime,
        stop,
    };
    let result = follower.serve(config, listener, args);
    // Told to stop, the doors close by themselves; after a failure nobody has told them.
    if *follower.stop.borrow()
        && let Some(serving) = follower.serving.take()
    {
        follower.runtime.block_on(serving.closed());
    }
    result
}

/// What an early end is called on the last line.
fn ended(url: &str, halt: Halt) -> CoordinatorError {
    match halt {
        Halt::Broken(error) => error,
        Halt::Unreachable(error) => CoordinatorError::Follow {
            url: url.to_owned(),
            reason: error.to_string(),
        },
        Halt::Finding(finding) => CoordinatorError::Disagreement(words(&finding.verdict())),
        Halt::Stopped => CoordinatorError::Task("following was stopped"),
    }
}

/// A verdict as a sentence.
#[must_use]
pub fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Agrees => "everything is so".into(),
        Verdict::Disagrees {
            place,
            number,
            expected,
            found,
        } => {
            let of = match place {
                Place::LedgerEntry | Place::LedgerHead | Place::Payment => "ledger entry",
                _ => "round",
            };
            let what = place.words();
            format!("{of} {number}: {what} (expected {expected}, found {found})")
        }
    }
}

impl Follower {
    fn serve(
        &mut self,
        config: &Config,
        listener: Option<tokio::net::TcpListener>,
        args: &FollowArgs,
    ) -> Result<(), CoordinatorError> {
        let mut listener = listener;
        let every = Duration::from_secs(args.every.max(1));
        let mut failures = 0_u32;
        loop {
            // What is on disk is served at once, also while nobody answers.
            self.open_doors(config, &mut listener)?;
            if let Some(signed) = self.stated.clone().filter(|signed| !signed.agrees()) {
                return self.disagreed(&signed);
            }
            let wait = match self.look() {
                Ok(()) => {
                    failures = 0;
                    self.open_doors(config, &mut listener)?;
                    if args.once {
                        println!("agrees before round {}", self.rounds.chain.round);
                        return Ok(());
                    }
                    every
                }
                Err(Halt::Stopped) => return Ok(()),
                Err(Halt::Broken(error)) => return Err(error),
                Err(Halt::Finding(finding)) => {
                    self.state(finding.verdict())?;
                    continue;
                }
                Err(Halt::Unreachable(error)) => {
                    failures += 1;
                    if args.once && failures >= TRIES {
                        return Err(ended(self.client.url(), Halt::Unreachable(error)));
                    }
                    let wait = (every * 2_u32.saturating_pow(failures.min(8))).min(LONGEST);
                    tracing::warn!(url = self.client.url(), %error, ?wait, "tried again later");
                    wait
                }
            };
            if !self.wait(wait) {
                return Ok(());
            }
        }
    }

    /// Serves, once there is a ledger to serve.
    fn open_doors(
        &mut self,
        config: &Config,
        listener: &mut Option<tokio::net::TcpListener>,
    ) -> Result<(), CoordinatorError> {
        if let Some(view) = self.ledger.view()
            && let Some(socket) = listener.take()
        {
            self.serving = Some(Serving::start(config, self, view, socket)?);
        }
        Ok(())
    }

    /// Sleeps; false when it is time to stop.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if *self.stop.borrow() {
                return false;
            }
            sleep(Duration::from_millis(100));
        }
        !*self.stop.borrow()
    }

    /// The verdict stands: what was agreed goes on being served, or this is the end.
    fn disagreed(&mut self, signed: &SignedStatement) -> Result<(), CoordinatorError> {
        let words = words(&signed.statement.verdict);
        tracing::error!(
            verdict = words,
            statement = %self.folder.data.witness().display(),
            "DISAGREES; nothing after this is looked at"
        );
        self.tell();
        if self.serving.is_some() {
            tracing::warn!("what was agreed before goes on being served");
            while self.wait(Duration::from_secs(1)) {}
        }
        Err(CoordinatorError::Disagreement(words))
    }

    /// One look at the run, up to its end.
    fn look(&mut self) -> Result<(), Halt> {
        let stop = self.stop.clone();
        let go_on = move || !*stop.borrow();
        let info = self.client.run()?;
        self.same_run(&info)?;
        if info.coordinator != self.folder.source.coordinator {
            self.handed_over(&info)?;
        }
        // Before the records: whatever the ledger pays for by then is in them.
        let head = self.client.ledger()?;
        self.rounds
            .follow(&self.client, &self.folder, &info, &go_on)?;
        for other in &self.others {
            self.rounds.compare(other, &self.folder)?;
        }
        let whole = self
            .whole_checkpoint
            .is_none_or(|at| at.elapsed() > CHECKPOINT_EVERY);
        self.rounds
            .checkpoint(&self.client, &info.checkpoint, whole)?;
        if whole {
            self.whole_checkpoint = Some(Instant::now());
        }
        self.ledger
            .follow(&self.store, &self.client, &info, head, &self.rounds)?;
        self.folder.note(&info, self.ledger.head())?;
        folder::copy_corpus(
            &self.folder,
            &self.client,
            &*self.rounds.blobs,
            &self.runtime,
            &go_on,
        )?;
        self.rounds.held_out(&info)?;
        if let Some(serving) = &self.serving {
            serving.show(self, &info)?;
        }
        self.state(Verdict::Agrees)?;
        self.tell();
        Ok(())
    }

    /// The run and its coordinator are those of the first contact, or come from them.
    fn same_run(&self, info: &RunInfo) -> Result<(), Halt> {
        let source = &self.folder.source;
        if info.run != source.run || info.spec.id() != source.run {
            return Err(Halt::Broken(CoordinatorError::Follow {
                url: self.client.url().to_owned(),
                reason: format!("it serves run {}, not {}", info.run, source.run),
            }));
        }
        let round = self.rounds.chain.round.0;
        let finding = |found: String| {
            let expected = source.coordinator;
            Halt::from(Finding::new(Place::Handover, round, expected, found))
        };
        info.check_handovers()
            .map_err(|error| finding(error.to_string()))?;
        if !info.descends_from(&source.coordinator) {
            return Err(finding(info.coordinator.to_string()));
        }
        Ok(())
    }

    /// Another coordinator goes on with the run: from the last agreed record, or it is not followed. Noted
    /// before any of its own records is kept, so that a restart knows who signed them.
    fn handed_over(&mut self, info: &RunInfo) -> Result<(), Halt> {
        self.rounds.same_end(&self.client, &self.folder, info)?;
        tracing::warn!(
            old = %self.folder.source.coordinator,
            new = %info.coordinator,
            "another coordinator goes on with the run"
        );
        Ok(self.folder.note(info, self.ledger.head())?)
    }

    /// Signs and keeps what came of it, if that is new.
    fn state(&mut self, verdict: Verdict) -> Result<(), CoordinatorError> {
        let statement = Statement {
            run: self.folder.source.run,
            kind: WitnessKind::Server,
            name: self.name.clone(),
            round: self.rounds.chain.round,
            theta: self.rounds.chain.theta,
            record: self.rounds.chain.record,
            ledger: self.ledger.seen(),
            verdict,
        };
        if self.stated.as_ref().map(|known| &known.statement) == Some(&statement) {
            return Ok(());
        }
        let signed = statement.sign(&self.identity);
        self.folder.state(&signed)?;
        tracing::info!(
            round = %signed.statement.round,
            theta = %signed.statement.theta,
            verdict = words(&signed.statement.verdict),
            "stated"
        );
        if let Some(serving) = &self.serving {
            serving.state(&signed);
        }
        self.stated = Some(signed);
        Ok(())
    }

    /// Tells the coordinator, once for each statement. Whether it lists it is its own business: the
    /// statement is served here as well.
    fn tell(&mut self) {
        if self.stated == self.told {
            return;
        }
        let Some(signed) = &self.stated else { return };
        let body = serde_json::to_vec(signed).unwrap_or_default();
        match self.client.post(WITNESSES, &body) {
            Ok(()) => self.told.clone_from(&self.stated),
            Err(error) => tracing::warn!(%error, "the coordinator does not list this witness"),
        }
    }
}
