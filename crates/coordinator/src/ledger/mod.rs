//! The coordinator's side of the ledger: it keeps the journal, runs epochs when they are due, and says
//! what its own validator thinks of the work (economics sections 1.6, 2.4 and 4.2).
//!
//! 1. [`open`] replays what is on disk ([`load`], [`store`]) or founds a new ledger ([`genesis`]).
//! 2. [`keeper`] is the one thread that appends. Requests reach it through a bounded queue; an answer
//!    leaves only when the entry is durable ([`draft`]).
//! 3. Epochs come by the clock ([`clock`]), also those missed while nobody was there. Before one the
//!    coordinator's validator signs its weights ([`weights`]).
//! 4. Readers never wait for the keeper: they see the last durable position ([`View`]).
//!
//! What a reader would get wrong: nothing here decides anything. Every rule is in `covey-ledger`, and
//! whoever has the journal can check that this coordinator kept to it.

pub mod admin;
pub mod clock;
pub mod draft;
pub mod genesis;
pub mod journal_file;
pub mod keeper;
pub mod load;
pub mod metrics;
pub mod notices;
pub mod store;
pub mod weights;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use arc_swap::ArcSwap;
use axum::extract::ws::Utf8Bytes;
use covey_ledger::{
    AccountId, Height, LedgerError,
    call::SignedAction,
    genesis::{Genesis, RUN},
    journal::{Body, Line},
    notice::Status,
    signing::session::SignedSession,
};
use covey_protocol::{Hash, Identity, PartnerId, SignatureBytes, VolunteerId, ledger::LedgerHead};
use tokio::sync::{broadcast, oneshot, watch};

use self::{
    admin::AdminToken,
    clock::LedgerClock,
    draft::{Draft, Position},
    genesis::Terms,
    store::{Recorded, Store},
};
use crate::{
    CoordinatorError,
    clock::Clock,
    config::Config,
    data_dir::{DataDir, write_durably},
    secret::Access,
    shutdown::requested,
};

/// Requests that may wait for the keeper; more are told to come again.
pub(crate) const QUEUE: usize = 256;
/// Frames that may wait for one socket. More than the entries of one batch.
pub(crate) const FRAMES: usize = 512;

/// A ledger that was opened and checked, and nothing runs yet.
pub struct Opened {
    pub store: Store,
    pub position: Position,
    pub clock: LedgerClock,
    pub token: AdminToken,
}

/// Opens a run's ledger, or founds it.
///
/// # Errors
/// What the operator has to change or repair.
pub fn open(
    config: &Config,
    chain: Hash,
    coordinator: AccountId,
    clock: Clock,
) -> Result<Opened, CoordinatorError> {
    let data = DataDir::create(&config.data_dir)?;
    let token = AdminToken::load_or_create(&data.admin_token())?;
    let file = config.ledger_genesis.as_deref();
    let terms = file
        .map(|path| Terms::read(path, coordinator).map(|terms| (path, terms)))
        .transpose()?;
    let path = data.ledger();
    let store = Store::open(&path).map_err(CoordinatorError::database(&path))?;
    let damaged = |reason: String| CoordinatorError::Ledger {
        path: path.clone(),
        reason,
    };
    let id = data.ledger_id();
    let known = fs::read_to_string(&id).ok();
    if store.meta()?.entries == 0 {
        if known.is_some() {
            return Err(damaged("it is empty, but a ledger was founded here".into()));
        }
        found(&store, chain, coordinator, clock, terms.clone())?;
    }
    let position = load::load(&store).map_err(|error| match error {
        load::LoadError::Storage(error) => CoordinatorError::Storage(error),
        other => damaged(other.to_string()),
    })?;
    let state = position.ledger.state();
    if state.chain != chain {
        return Err(damaged(format!("it belongs to run {}", state.chain)));
    }
    let first = first_entry(&store)?.map(|line| line.hash.to_string());
    match (first, known) {
        (Some(first), None) => {
            write_durably(&id, format!("{first}\n").as_bytes(), Access::Everyone)
                .map_err(CoordinatorError::file(&id))?;
        }
        (first, Some(known)) if first.as_deref() != Some(known.trim()) => {
            let reason = format!("{} says that another ledger was founded here", id.display());
            return Err(damaged(reason));
        }
        _ => {}
    }
    if let Some((path, terms)) = terms {
        same_genesis(&store, path, terms)?;
    }
    let clock = LedgerClock::new(clock, state, store.meta()?.offset);
    tracing::info!(
        entries = position.ledger.len(),
        head = %position.ledger.head(),
        height = state.height,
        epoch = state.epoch,
        "ledger opened"
    );
    if state.development {
        tracing::warn!(
            "this is a development ledger: its clock can be moved by the operator and its accounts \
             may be ones whose keys everybody knows; name --ledger-genesis for a run that matters"
        );
    }
    if !genesis::validates(&position.ledger, &coordinator) {
        tracing::warn!(
            hotkey = %coordinator,
            "the coordinator is no validator with stake: its scores pay nobody until it is \
             registered and staked on"
        );
    }
    Ok(Opened {
        store,
        position,
        clock,
        token,
    })
}

fn found(
    store: &Store,
    chain: Hash,
    coordinator: AccountId,
    clock: Clock,
    terms: Option<(&Path, Terms)>,
) -> Result<(), CoordinatorError> {
    let (name, terms) = match terms {
        Some((path, terms)) => (path.display().to_string(), terms),
        None => ("of development".to_owned(), Terms::development(coordinator)),
    };
    let founded = genesis::found(terms.of(chain, clock.now_ms()));
    let (ledger, line) = founded.map_err(|reason| {
        CoordinatorError::Config(format!("the ledger genesis {name}: {reason}"))
    })?;
    let mut draft = Draft::genesis(ledger, line);
    draft.batch.weighed_ms = Some(clock.now_ms());
    store.append(&draft.batch)?;
    tracing::info!(genesis = name, "ledger founded");
    Ok(())
}

fn first_entry(store: &Store) -> Result<Option<Line>, CoordinatorError> {
    let first = store.recorded(0)?.map(|recorded| recorded.line);
    Ok(first.and_then(|text| Line::parse(&text, 0).ok()))
}

/// Whether the file still says what the ledger began with.
fn same_genesis(store: &Store, path: &Path, terms: Terms) -> Result<(), CoordinatorError> {
    let first = first_entry(store)?;
    let Some(Body::Genesis(genesis)) = first.map(|line| line.entry.body) else {
        return Ok(());
    };
    let genesis: &Genesis = &genesis;
    if terms.of(genesis.chain, genesis.started_ms) == *genesis {
        return Ok(());
    }
    Err(genesis::wrong(
        path,
        "the ledger was founded with another one, which never changes; leave --ledger-genesis out, or \
         choose another --data-dir",
    ))
}

/// What a request asks to record.
pub enum Request {
    Action(Box<SignedAction>),
    Session(Box<SignedSession>),
}

/// Why a request was not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A rule.
    Rule(LedgerError),
    /// The disk fails or the coordinator is stopping.
    Unavailable,
    /// The queue is full.
    Busy,
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        Self::Rule(error)
    }
}

pub(crate) enum Command {
    Record {
        request: Request,
        id: Hash,
        answer: oneshot::Sender<Result<Recorded, Refused>>,
    },
    Partnership {
        partner: PartnerId,
        suspended: bool,
        answer: oneshot::Sender<Result<(), Refused>>,
    },
    Advance {
        blocks: u64,
        answer: oneshot::Sender<Result<Height, Refused>>,
    },
    Stop,
}

/// The last durable position, for everybody who reads.
pub struct View {
    pub position: Position,
    pub clock: LedgerClock,
    /// Who signed the position's head, and the signature.
    signer: VolunteerId,
    signature: SignatureBytes,
}

impl View {
    pub(crate) fn new(position: Position, clock: LedgerClock, identity: &Identity) -> Self {
        let ledger = &position.ledger;
        let chain = &ledger.state().chain;
        let signature =
            covey_protocol::ledger::sign_head(identity, chain, ledger.len(), &ledger.head());
        Self::signed(position, clock, identity.id(), signature)
    }

    /// A position whose head somebody else signed.
    pub(crate) fn signed(
        position: Position,
        clock: LedgerClock,
        signer: VolunteerId,
        signature: SignatureBytes,
    ) -> Self {
        Self {
            position,
            clock,
            signer,
            signature,
        }
    }

    /// The height now: the clock's, and never before the last entry's.
    #[must_use]
    pub fn height(&self) -> Height {
        let last = self.position.ledger.state().height;
        self.clock.height().max(last)
    }

    /// One line for the operator.
    #[must_use]
    pub fn words(&self) -> String {
        let ledger = &self.position.ledger;
        let state = ledger.state();
        let pending = state.notices.iter();
        let pending = pending.filter(|notice| notice.status == Status::Pending);
        let owner = state.subnets.get(&RUN).map(|subnet| subnet.owner);
        format!(
            "height {}, {} entries, next epoch at {}, owner {}, {} pending notices{}",
            self.height(),
            ledger.len(),
            ledger.next_epoch(),
            owner.map_or_else(|| "nobody".to_owned(), |owner| owner.to_string()),
            pending.count(),
            if state.development {
                " (development)"
            } else {
                ""
            }
        )
    }
}

pub(crate) struct Shared {
    pub store: Arc<Store>,
    pub view: ArcSwap<View>,
    pub frames: broadcast::Sender<Utf8Bytes>,
    pub stopping: AtomicBool,
    pub identity: Identity,
    pub token: AdminToken,
}

/// How to reach the ledger; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::SyncSender<Command>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Handle {
    /// A ledger that can be read and records nothing: a mirror's.
    pub(crate) fn read_only(
        store: Arc<Store>,
        view: View,
        identity: &Identity,
        token: AdminToken,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let (commands, _) = mpsc::sync_channel(1);
        let (frames, _) = broadcast::channel(1);
        let shared = Shared {
            store,
            view: ArcSwap::from_pointee(view),
            frames,
            stopping: AtomicBool::new(false),
            identity: identity.clone(),
            token,
        };
        Self {
            shared: Arc::new(shared),
            commands,
            stopped,
        }
    }

    /// The last durable position.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// Where the ledger stands, signed.
    #[must_use]
    pub fn head(&self) -> LedgerHead {
        let view = self.shared.view.load();
        let ledger = &view.position.ledger;
        let state = ledger.state();
        LedgerHead {
            chain: state.chain,
            development: state.development,
            height: view.height(),
            entries: ledger.len(),
            head: ledger.head(),
            block_seconds: state.schedule.block_seconds,
            tempo: state.schedule.tempo,
            next_epoch: ledger.next_epoch(),
            started_ms: state.started_ms,
            coordinator: view.signer,
            signature: view.signature,
        }
    }

    /// Frames for a socket, from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Utf8Bytes> {
        self.shared.frames.subscribe()
    }

    /// Records a request; returns when it is durable.
    ///
    /// # Errors
    /// Why it was not. After [`Refused::Unavailable`] the same request may be sent again.
    pub async fn record(&self, id: Hash, request: Request) -> Result<Recorded, Refused> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Record {
            request,
            id,
            answer,
        })?;
        answered.await.unwrap_or(Err(Refused::Unavailable))
    }

    /// Moves a development run's clock, with every epoch on the way; gives the new height.
    ///
    /// # Errors
    /// In any other run, and when the disk fails on the way.
    pub async fn advance(&self, blocks: u64) -> Result<Height, Refused> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Advance { blocks, answer })?;
        answered.await.unwrap_or(Err(Refused::Unavailable))
    }

    /// Suspends a partner or restores it; returns when everybody can see it.
    ///
    /// # Errors
    /// When that is how it stands already, and when the disk fails.
    pub async fn partnership(&self, partner: PartnerId, suspended: bool) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Partnership {
            partner,
            suspended,
            answer,
        })?;
        answered.await.unwrap_or(Err(Refused::Unavailable))
    }

    fn send(&self, command: Command) -> Result<(), Refused> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                mpsc::TrySendError::Full(_) => Refused::Busy,
                mpsc::TrySendError::Disconnected(_) => Refused::Unavailable,
            })
    }

    /// Finishes the batch under way and ends the keeper and every socket.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // A full queue wakes the keeper just as well.
        let _ = self.commands.try_send(Command::Stop);
        requested(self.stopped.clone()).await;
    }
}
